//! JoinGroup, SyncGroup, Heartbeat, LeaveGroup, DescribeGroups, DeleteGroups.
//!
//! What members say to each other is read where the protocol type is `consumer`. Old versions of
//! SyncGroup do not name the type. There the bytes count as an assignment if they are one.

use serde_json::{Map, Value};
use wire::consumer::{Assignment, Subscription, TopicPartitions};
use wire::errors;
use wire::kafka_protocol::messages::describe_groups_response::{
    DescribedGroup, DescribedGroupMember,
};
use wire::kafka_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse,
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    LeaveGroupResponse, SyncGroupRequest, SyncGroupResponse,
};
use wire::kafka_protocol::protocol::StrBytes;

use super::errors::{answer, done};
use super::{Part, fields, name, number};

/// The protocol type whose members' words are known.
const CONSUMER: &str = "consumer";

/// An instance id as a field.
pub(super) fn instance(id: Option<&StrBytes>) -> Value {
    id.map_or(Value::Null, |id| name(id))
}

/// Partitions by topic, as the JSON protocol has them.
fn by_topic(all: &[TopicPartitions]) -> Value {
    let mut topics: Map<String, Value> = Map::new();
    for TopicPartitions { topic, partitions } in all {
        let list = topics.entry(topic.clone()).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(list) = list {
            list.extend(partitions.iter().map(|partition| Value::from(*partition)));
        }
    }
    Value::Object(topics)
}

/// `topics`, `owned` and `generation` of what a member wants; nothing if it cannot be read.
fn subscription(bytes: &[u8]) -> Map<String, Value> {
    let Ok(read) = Subscription::parse(bytes) else { return Map::new() };
    fields([
        ("topics", read.topics.into()),
        ("owned", by_topic(&read.owned)),
        ("generation", number(read.generation)),
    ])
}

/// What a member is to read; null if it cannot be read. No bytes are no partitions.
fn assignment(bytes: &[u8]) -> Value {
    if bytes.is_empty() {
        return Value::Object(Map::new());
    }
    Assignment::parse(bytes).map_or(Value::Null, |read| by_topic(&read.partitions))
}

pub(super) fn join(asked: &JoinGroupRequest, reply: Option<&JoinGroupResponse>) -> Vec<Part> {
    let is_consumer = asked.protocol_type.as_str() == CONSUMER;
    let said = |bytes: &[u8]| if is_consumer { subscription(bytes) } else { Map::new() };
    let protocols = asked.protocols.iter().map(|protocol| {
        let mut told = said(&protocol.metadata);
        told.insert("name".to_owned(), Value::from(protocol.name.as_str()));
        Value::Object(told)
    });
    // Version 0 has one time-out for both.
    let rebalance = match asked.rebalance_timeout_ms {
        ..0 => asked.session_timeout_ms,
        given => given,
    };
    let args = fields([
        ("group", asked.group_id.as_str().into()),
        ("member_id", name(&asked.member_id)),
        ("instance_id", instance(asked.group_instance_id.as_ref())),
        ("protocols", protocols.collect()),
        ("session_timeout_ms", asked.session_timeout_ms.into()),
        ("rebalance_timeout_ms", rebalance.into()),
    ]);
    let answer = reply.map(|reply| {
        answer("join_group", reply.error_code, || {
            let members = reply.members.iter().map(|member| {
                let mut told = said(&member.metadata);
                told.insert("member_id".to_owned(), Value::from(member.member_id.as_str()));
                let seat = instance(member.group_instance_id.as_ref());
                told.extend(fields([("instance_id", seat)]));
                Value::Object(told)
            });
            let protocol = reply.protocol_name.as_ref();
            fields([
                ("member_id", reply.member_id.as_str().into()),
                ("generation", reply.generation_id.into()),
                ("protocol", protocol.map_or(Value::Null, |protocol| name(protocol))),
                ("leader", name(&reply.leader)),
                ("members", members.collect()),
            ])
        })
    });
    vec![Part::new("join_group", args, answer)]
}

pub(super) fn sync(asked: &SyncGroupRequest, reply: Option<&SyncGroupResponse>) -> Vec<Part> {
    let is_readable =
        |kind: &Option<StrBytes>| kind.as_ref().is_none_or(|kind| kind.as_str() == CONSUMER);
    let assignments: Map<String, Value> = asked
        .assignments
        .iter()
        .filter(|_| is_readable(&asked.protocol_type))
        .map(|given| (given.member_id.to_string(), assignment(&given.assignment)))
        .filter(|(_, told)| !told.is_null())
        .collect();
    let mut args = fields([
        ("group", asked.group_id.as_str().into()),
        ("member_id", name(&asked.member_id)),
        ("generation", asked.generation_id.into()),
        ("instance_id", instance(asked.group_instance_id.as_ref())),
    ]);
    if !assignments.is_empty() {
        args.insert("assignments".to_owned(), Value::Object(assignments));
    }
    let answer = reply.map(|reply| {
        answer("sync_group", reply.error_code, || {
            let is_readable =
                is_readable(&asked.protocol_type) && is_readable(&reply.protocol_type);
            let told = if is_readable { assignment(&reply.assignment) } else { Value::Null };
            fields([("assignment", told)])
        })
    });
    vec![Part::new("sync_group", args, answer)]
}

pub(super) fn heartbeat(asked: &HeartbeatRequest, reply: Option<&HeartbeatResponse>) -> Vec<Part> {
    let args = fields([
        ("group", asked.group_id.as_str().into()),
        ("member_id", name(&asked.member_id)),
        ("generation", asked.generation_id.into()),
        ("instance_id", instance(asked.group_instance_id.as_ref())),
    ]);
    vec![Part::new("heartbeat", args, reply.map(|reply| done("heartbeat", reply.error_code)))]
}

pub(super) fn leave(asked: &LeaveGroupRequest, reply: Option<&LeaveGroupResponse>) -> Vec<Part> {
    let group = asked.group_id.as_str();
    let part = |member: &str, seat: Option<&StrBytes>, code: Option<i16>| {
        let args = fields([
            ("group", group.into()),
            ("member_id", name(member)),
            ("instance_id", instance(seat)),
        ]);
        Part::new("leave_group", args, code.map(|code| done("leave_group", code)))
    };
    // Before version 3 one member leaves, by itself.
    if asked.members.is_empty() && !asked.member_id.is_empty() {
        return vec![part(&asked.member_id, None, reply.map(|reply| reply.error_code))];
    }
    let parts = asked.members.iter().enumerate().map(|(at, member)| {
        let code = reply.and_then(|reply| match reply.error_code {
            errors::NONE => {
                let same = |told: &&_| is_of(told, member);
                let own = reply.members.get(at).filter(same);
                own.or_else(|| reply.members.iter().find(same)).map(|told| told.error_code)
            }
            code => Some(code),
        });
        part(&member.member_id, member.group_instance_id.as_ref(), code)
    });
    parts.collect()
}

/// Whether a part of an answer is about that member.
fn is_of(
    told: &wire::kafka_protocol::messages::leave_group_response::MemberResponse,
    asked: &wire::kafka_protocol::messages::leave_group_request::MemberIdentity,
) -> bool {
    let seat = |id: &Option<StrBytes>| id.clone().unwrap_or_default();
    let (told_seat, asked_seat) = (seat(&told.group_instance_id), seat(&asked.group_instance_id));
    told_seat == asked_seat && (told.member_id == asked.member_id || !asked_seat.is_empty())
}

pub(super) fn describe(
    asked: &DescribeGroupsRequest,
    reply: Option<&DescribeGroupsResponse>,
) -> Vec<Part> {
    let parts = asked.groups.iter().map(|group| {
        let args = fields([("group", group.as_str().into())]);
        let told = reply.and_then(|reply| reply.groups.iter().find(|told| told.group_id == *group));
        let answer = told.map(|told| answer("describe_group", told.error_code, || described(told)));
        Part::new("describe_group", args, answer)
    });
    parts.collect()
}

fn described(told: &DescribedGroup) -> Map<String, Value> {
    // Brokers tell what members want and hold only of a group at rest.
    let is_told = told.protocol_type.as_str() == CONSUMER && told.group_state.as_str() == "Stable";
    let member = |member: &DescribedGroupMember| {
        let mut fields = fields([
            ("member_id", member.member_id.as_str().into()),
            ("instance_id", instance(member.group_instance_id.as_ref())),
        ]);
        if is_told {
            let topics = Subscription::parse(&member.member_metadata).map(|read| read.topics);
            let held = assignment(&member.member_assignment);
            fields.extend(super::fields([
                ("topics", topics.map_or(Value::Null, Value::from)),
                ("assignment", held),
            ]));
        }
        Value::Object(fields)
    };
    fields([
        ("state", told.group_state.as_str().into()),
        ("members", told.members.iter().map(member).collect()),
    ])
}

pub(super) fn delete(
    asked: &DeleteGroupsRequest,
    reply: Option<&DeleteGroupsResponse>,
) -> Vec<Part> {
    let parts = asked.groups_names.iter().map(|group| {
        let told =
            reply.and_then(|reply| reply.results.iter().find(|told| told.group_id == *group));
        let answer = told.map(|told| done("delete_group", told.error_code));
        Part::new("delete_group", fields([("group", group.as_str().into())]), answer)
    });
    parts.collect()
}
