//! Topics and groups as JSON.

use serde_json::{Value, json};
use state_machine::groups::reply::Description;
use state_machine::ids::{PartitionId, TopicName};
use state_machine::topics::reply::OffsetsFound;

use super::look::Topic;

pub(super) fn topics(topics: &[Topic]) -> Value {
    json!({ "topics": topics.iter().map(topic).collect::<Vec<_>>() })
}

fn topic(topic: &Topic) -> Value {
    let partitions: Vec<Value> = topic.partitions.iter().enumerate().map(partition).collect();
    json!({ "topic": topic.name.as_str(), "partitions": partitions })
}

fn partition((number, at): (usize, &OffsetsFound)) -> Value {
    json!({ "partition": number, "start": at.start, "end": at.end, "bytes": at.bytes })
}

pub(super) fn groups(groups: &[Description]) -> Value {
    json!({ "groups": groups.iter().map(group).collect::<Vec<_>>() })
}

fn assigned((topic, partitions): &(TopicName, Vec<PartitionId>)) -> Value {
    json!({ "topic": topic.as_str(), "partitions": partitions })
}

pub(super) fn group(group: &Description) -> Value {
    let members = group.members.iter().map(|member| {
        let assigned: Vec<Value> = member.assignment.iter().map(assigned).collect();
        let client = member.client.as_ref().map(|client| &client.client);
        json!({
            "member": member.member_id.as_str(),
            "instance": member.instance_id.as_ref().map(|id| id.as_str()),
            "client": client.map(|client| client.client_id.as_ref()),
            "host": client.map(|client| client.host.as_ref()),
            "assigned": assigned,
        })
    });
    let offsets = group.offsets.iter().map(|offset| {
        json!({
            "topic": offset.partition.topic.as_str(),
            "partition": offset.partition.partition,
            "committed": offset.reached(),
            "end": offset.log_end_offset,
            "lag": offset.lag(),
        })
    });
    json!({
        "group": group.group.as_str(),
        "state": group.state.name(),
        "strategy": group.strategy.as_ref().map(|name| name.as_str()),
        "generation": group.generation.0,
        "rebalances": group.rebalances,
        "members": members.collect::<Vec<_>>(),
        "offsets": offsets.collect::<Vec<_>>(),
    })
}
