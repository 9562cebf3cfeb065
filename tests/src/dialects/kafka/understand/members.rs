//! ConsumerGroupHeartbeat: what a member of a consumer group of KIP-848 says, and what it is told.

use serde_json::{Map, Value};
use wire::kafka_protocol::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
};

use super::errors::answer;
use super::groups::instance;
use super::{Part, TopicNames, fields, name, number};

/// Partitions by the names of their topics. Those of an unknown topic are left out, and counted.
macro_rules! by_topic {
    ($names:expr, $topics:expr) => {{
        let mut told: Map<String, Value> = Map::new();
        for topic in $topics {
            match $names.resolve("", topic.topic_id.into_bytes()) {
                Some(name) => {
                    told.insert(name, topic.partitions.clone().into());
                }
                None => $names.leave_out(topic.partitions.len()),
            }
        }
        Value::Object(told)
    }};
}

pub(super) fn heartbeat(
    names: &mut TopicNames,
    asked: &ConsumerGroupHeartbeatRequest,
    reply: Option<&ConsumerGroupHeartbeatResponse>,
) -> Vec<Part> {
    let topics = asked.subscribed_topic_names.as_ref().map(|topics| {
        topics.iter().map(|topic| Value::from(topic.as_str())).collect::<Vec<_>>().into()
    });
    let regex = asked.subscribed_topic_regex.as_ref().map(|regex| name(regex));
    let assignor = asked.server_assignor.as_ref().map(|assignor| name(assignor));
    let owned = asked.topic_partitions.as_ref().map(|owned| by_topic!(names, owned));
    let args = fields([
        ("group", asked.group_id.as_str().into()),
        ("member_id", name(&asked.member_id)),
        ("member_epoch", asked.member_epoch.into()),
        ("instance_id", instance(asked.instance_id.as_ref())),
        ("topics", topics.unwrap_or_default()),
        ("regex", regex.unwrap_or_default()),
        ("assignor", assignor.unwrap_or_default()),
        ("owned", owned.unwrap_or_default()),
        ("rebalance_timeout_ms", number(asked.rebalance_timeout_ms)),
    ]);
    let answer = reply.map(|reply| {
        let told = reply.assignment.as_ref();
        let told = told.map(|told| by_topic!(names, &told.topic_partitions));
        answer("consumer_heartbeat", reply.error_code, || {
            fields([
                ("member_id", reply.member_id.as_ref().map_or(Value::Null, |id| name(id))),
                ("member_epoch", reply.member_epoch.into()),
                ("heartbeat_interval_ms", reply.heartbeat_interval_ms.into()),
                ("assignment", told.unwrap_or_default()),
            ])
        })
    });
    vec![Part::new("consumer_heartbeat", args, answer)]
}
