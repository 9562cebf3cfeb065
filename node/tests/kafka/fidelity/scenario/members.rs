//! Requests of members, in few words.

use bytes::Bytes;
use wire::kafka_protocol::messages::heartbeat_request::HeartbeatRequest;
use wire::kafka_protocol::messages::join_group_request::{
    JoinGroupRequest, JoinGroupRequestProtocol,
};
use wire::kafka_protocol::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use wire::kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use wire::kafka_protocol::messages::sync_group_request::{
    SyncGroupRequest, SyncGroupRequestAssignment,
};

use super::requests::text;

/// What a consumer says that it wants these topics.
pub fn subscription(topics: &[&str]) -> Bytes {
    let mut bytes = vec![0, 0];
    bytes.extend_from_slice(&(topics.len() as u32).to_be_bytes());
    for topic in topics {
        bytes.extend_from_slice(&(topic.len() as u16).to_be_bytes());
        bytes.extend_from_slice(topic.as_bytes());
    }
    bytes.extend_from_slice(&[0xff; 4]);
    bytes.into()
}

fn protocol(name: &str, metadata: Bytes) -> JoinGroupRequestProtocol {
    JoinGroupRequestProtocol::default().with_name(text(name)).with_metadata(metadata)
}

/// A consumer of topic `t` that enters a group, or enters it again.
pub fn join(group: &str, member: &str) -> JoinGroupRequest {
    JoinGroupRequest::default()
        .with_group_id(text(group).into())
        .with_session_timeout_ms(30_000)
        .with_rebalance_timeout_ms(60_000)
        .with_member_id(text(member))
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol("range", subscription(&["t"]))])
}

/// The same with these protocols.
pub fn with_protocols(request: JoinGroupRequest, names: &[&str]) -> JoinGroupRequest {
    let protocols = names.iter().map(|name| protocol(name, subscription(&["t"])));
    request.with_protocols(protocols.collect())
}

pub fn of_instance(request: JoinGroupRequest, instance: &str) -> JoinGroupRequest {
    request.with_group_instance_id(Some(text(instance)))
}

/// What a leader gives, or a follower waits for.
pub fn sync(
    group: &str,
    member: &str,
    generation: i32,
    given: &[(&str, &'static [u8])],
) -> SyncGroupRequest {
    let given = given.iter().map(|(member, bytes)| {
        SyncGroupRequestAssignment::default()
            .with_member_id(text(member))
            .with_assignment(Bytes::from_static(bytes))
    });
    SyncGroupRequest::default()
        .with_group_id(text(group).into())
        .with_generation_id(generation)
        .with_member_id(text(member))
        .with_assignments(given.collect())
}

/// The same, which says what it knows of the protocol: from version 5 on.
pub fn of_protocol(request: SyncGroupRequest, kind: &str, name: &str) -> SyncGroupRequest {
    request.with_protocol_type(Some(text(kind))).with_protocol_name(Some(text(name)))
}

pub fn beat(group: &str, member: &str, generation: i32) -> HeartbeatRequest {
    HeartbeatRequest::default()
        .with_group_id(text(group).into())
        .with_generation_id(generation)
        .with_member_id(text(member))
}

/// Members leave; an instance id goes with a member id, or is empty.
pub fn leave(version: i16, group: &str, members: &[(&str, &str)]) -> LeaveGroupRequest {
    let request = LeaveGroupRequest::default().with_group_id(text(group).into());
    if version < 3 {
        return request.with_member_id(text(members[0].0));
    }
    let member = |(member, instance): &(&str, &str)| {
        let instance = Some(text(instance)).filter(|instance| !instance.is_empty());
        MemberIdentity::default().with_member_id(text(member)).with_group_instance_id(instance)
    };
    request.with_members(members.iter().map(member).collect())
}

/// A commit of one partition, by a member or, with generation -1 and no id, by anybody.
pub fn commit(
    group: &str,
    member: &str,
    generation: i32,
    at: (&str, i32, i64),
) -> OffsetCommitRequest {
    let (topic, partition, offset) = at;
    let partition = OffsetCommitRequestPartition::default()
        .with_partition_index(partition)
        .with_committed_offset(offset)
        .with_committed_metadata(Some(text("note")));
    let topic = OffsetCommitRequestTopic::default()
        .with_name(text(topic).into())
        .with_partitions(vec![partition]);
    OffsetCommitRequest::default()
        .with_group_id(text(group).into())
        .with_generation_id_or_member_epoch(generation)
        .with_member_id(text(member))
        .with_topics(vec![topic])
}
