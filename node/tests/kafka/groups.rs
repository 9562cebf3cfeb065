//! Members join, share, commit and leave; what they say to each other goes through byte for byte.

use bytes::Bytes;
use wire::errors;
use wire::kafka_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use wire::kafka_protocol::messages::describe_groups_request::DescribeGroupsRequest;
use wire::kafka_protocol::messages::heartbeat_request::HeartbeatRequest;
use wire::kafka_protocol::messages::join_group_request::{
    JoinGroupRequest, JoinGroupRequestProtocol,
};
use wire::kafka_protocol::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use wire::kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use wire::kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestTopic,
};
use wire::kafka_protocol::messages::sync_group_request::{
    SyncGroupRequest, SyncGroupRequestAssignment,
};
use wire::kafka_protocol::protocol::StrBytes;

use super::broker::{Broker, Client, ask, enter, received};

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn join(member: &str, metadata: &'static [u8]) -> JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol::default()
        .with_name(text("anything"))
        .with_metadata(Bytes::from_static(metadata));
    JoinGroupRequest::default()
        .with_group_id(text("g").into())
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(10_000)
        .with_member_id(text(member))
        .with_protocol_type(text("connect"))
        .with_protocols(vec![protocol])
}

fn sync(member: &str, generation: i32, given: &[(&str, &'static [u8])]) -> SyncGroupRequest {
    let given = given.iter().map(|(member, bytes)| {
        SyncGroupRequestAssignment::default()
            .with_member_id(text(member))
            .with_assignment(Bytes::from_static(bytes))
    });
    SyncGroupRequest::default()
        .with_group_id(text("g").into())
        .with_generation_id(generation)
        .with_member_id(text(member))
        .with_assignments(given.collect())
}

fn beat(client: &mut Client, member: &str, generation: i32) -> i16 {
    let request = HeartbeatRequest::default()
        .with_group_id(text("g").into())
        .with_generation_id(generation)
        .with_member_id(text(member));
    ask!(client, Heartbeat HEARTBEAT 3, request).error_code
}

fn commit(client: &mut Client, member: &str, generation: i32, partition: i32) -> i16 {
    let partition = OffsetCommitRequestPartition::default()
        .with_partition_index(partition)
        .with_committed_offset(5)
        .with_committed_metadata(Some(text("note")));
    let topic = OffsetCommitRequestTopic::default()
        .with_name(text("t").into())
        .with_partitions(vec![partition]);
    let request = OffsetCommitRequest::default()
        .with_group_id(text("g").into())
        .with_generation_id_or_member_epoch(generation)
        .with_member_id(text(member))
        .with_topics(vec![topic]);
    let reply = ask!(client, OffsetCommit OFFSET_COMMIT 7, request);
    reply.topics[0].partitions[0].error_code
}

/// The committed offsets of partitions 0 and 1, each with its note.
fn committed(client: &mut Client, group: &str) -> Vec<(i64, String)> {
    let topic = OffsetFetchRequestTopic::default()
        .with_name(text("t").into())
        .with_partition_indexes(vec![0, 1]);
    let request = OffsetFetchRequest::default()
        .with_group_id(text(group).into())
        .with_topics(Some(vec![topic]));
    let reply = ask!(client, OffsetFetch OFFSET_FETCH 5, request);
    assert_eq!(reply.error_code, errors::NONE);
    let told = reply.topics[0].partitions.iter();
    told.map(|p| (p.committed_offset, p.metadata.as_ref().expect("never null").to_string()))
        .collect()
}

#[test]
fn a_group_of_two_from_its_first_join_to_its_last_leave() {
    let broker = Broker::dev(&[]);
    let (one, two) = (&mut broker.connect(), &mut broker.connect());
    let topic = CreatableTopic::default()
        .with_name(text("t").into())
        .with_num_partitions(2)
        .with_replication_factor(1);
    let made = CreateTopicsRequest::default().with_topics(vec![topic]);
    assert_eq!(ask!(one, CreateTopics CREATE_TOPICS 4, made).topics[0].error_code, 0);

    let alone = enter!(one, 5, join("", b"\x00one"));
    let first = alone.member_id.to_string();
    assert_eq!((alone.error_code, alone.generation_id, &*alone.leader), (0, 1, &*first));
    let given = ask!(one, SyncGroup SYNC_GROUP 3, sync(&first, 1, &[(&first, b"\xffall")]));
    assert_eq!(given.assignment, &b"\xffall"[..]);
    assert_eq!(beat(one, &first, 1), errors::NONE);

    let given = ask!(two, JoinGroup JOIN_GROUP 5, join("", b"\x00two"));
    assert_eq!(given.error_code, errors::MEMBER_ID_REQUIRED);
    assert_eq!(beat(one, &first, 1), errors::NONE, "nobody has joined yet");
    assert_eq!(beat(two, &given.member_id, 1), errors::UNKNOWN_MEMBER_ID);
    let joins = two.send(wire::versions::JOIN_GROUP, 5, join(&given.member_id, b"\x00two"));
    while beat(one, &first, 1) != errors::REBALANCE_IN_PROGRESS {
        // The second member's join is on its way.
        std::thread::yield_now();
    }
    assert_eq!(commit(one, &first, 1, 0), errors::NONE, "as it gives up what it had");
    let leader = ask!(one, JoinGroup JOIN_GROUP 5, join(&first, b"\x00one"));
    let joined = received!(two, JoinGroup JOIN_GROUP 5, joins);
    let second = joined.member_id.to_string();
    assert_eq!((leader.generation_id, joined.generation_id), (2, 2));
    assert_eq!((&*joined.leader, joined.members.len()), (&*first, 0));
    let mut told: Vec<_> = leader.members.iter().map(|member| &member.metadata[..]).collect();
    told.sort_unstable();
    assert_eq!(told, [b"\x00one", b"\x00two"]);

    let waits = two.send(wire::versions::SYNC_GROUP, 3, sync(&second, 2, &[]));
    let halves: [(&str, &'static [u8]); 2] = [(&first, b"\x01"), (&second, b"\x02")];
    let given = ask!(one, SyncGroup SYNC_GROUP 3, sync(&first, 2, &halves));
    assert_eq!(given.assignment, &b"\x01"[..]);
    assert_eq!(received!(two, SyncGroup SYNC_GROUP 3, waits).assignment, &b"\x02"[..]);

    assert_eq!(commit(two, &second, 1, 1), errors::ILLEGAL_GENERATION);
    assert_eq!(commit(two, "stranger", 2, 1), errors::UNKNOWN_MEMBER_ID);
    assert_eq!(commit(two, "", -1, 1), errors::UNKNOWN_MEMBER_ID);
    assert_eq!(commit(two, &second, 2, 9), errors::UNKNOWN_TOPIC_OR_PARTITION);
    let none = (-1, String::new());
    assert_eq!(committed(two, "g"), [(5, "note".to_owned()), none.clone()]);
    assert_eq!(committed(two, "nobody"), [none.clone(), none]);

    let described =
        DescribeGroupsRequest::default().with_groups(vec![text("g").into(), text("nobody").into()]);
    let described = ask!(one, DescribeGroups DESCRIBE_GROUPS 4, described);
    let group = &described.groups[0];
    assert_eq!((&*group.group_state, &*group.protocol_type), ("Stable", "connect"));
    assert_eq!((group.members.len(), &*group.members[0].client_id), (2, "test"));
    assert_eq!(&*described.groups[1].group_state, "Dead");

    let leaves = |member: &str| {
        let member = MemberIdentity::default().with_member_id(text(member));
        LeaveGroupRequest::default().with_group_id(text("g").into()).with_members(vec![member])
    };
    let left = ask!(two, LeaveGroup LEAVE_GROUP 3, leaves(&second));
    assert_eq!(left.members[0].error_code, errors::NONE);
    let again = ask!(two, LeaveGroup LEAVE_GROUP 3, leaves(&second));
    assert_eq!(again.members[0].error_code, errors::UNKNOWN_MEMBER_ID);
    assert_eq!(beat(one, &first, 2), errors::REBALANCE_IN_PROGRESS);
}

#[test]
fn joins_that_break_a_rule_are_refused_with_kafkas_codes() {
    let broker = Broker::dev(&["--group.min.session.timeout.ms", "100"]);
    let client = &mut broker.connect();
    for (what, request, code) in [
        ("no group", join("", b"").with_group_id(text("").into()), errors::INVALID_GROUP_ID),
        (
            "a short session",
            join("", b"").with_session_timeout_ms(99),
            errors::INVALID_SESSION_TIMEOUT,
        ),
        (
            "no protocol",
            join("", b"").with_protocols(Vec::new()),
            errors::INCONSISTENT_GROUP_PROTOCOL,
        ),
        ("a member that nobody knows", join("stranger", b""), errors::UNKNOWN_MEMBER_ID),
    ] {
        let reply = ask!(client, JoinGroup JOIN_GROUP 5, request);
        assert_eq!((reply.error_code, reply.generation_id), (code, -1), "{what}");
    }
    assert_eq!(enter!(client, 5, join("", b"")).error_code, errors::NONE);
    let other = join("", b"").with_protocol_type(text("consumer"));
    let reply = ask!(client, JoinGroup JOIN_GROUP 5, other);
    assert_eq!(reply.error_code, errors::INCONSISTENT_GROUP_PROTOCOL);
}

#[test]
fn regression_a_members_id_begins_with_its_clients() {
    let broker = Broker::dev(&[]);
    let client = &mut broker.connect();
    let first = ask!(client, JoinGroup JOIN_GROUP 9, join("", b"one"));
    assert!(first.member_id.starts_with("test-"), "{}", &*first.member_id);
    let named = join("", b"one").with_group_instance_id(Some(text("me")));
    let joined = ask!(client, JoinGroup JOIN_GROUP 9, named);
    assert!(joined.member_id.starts_with("me-"), "{}", &*joined.member_id);
}

#[test]
fn a_member_is_given_its_id_first_and_joins_with_it() {
    let broker = Broker::dev(&["--group.min.session.timeout.ms", "100"]);
    let (one, two) = (&mut broker.connect(), &mut broker.connect());
    let first = ask!(one, JoinGroup JOIN_GROUP 4, join("", b"one"));
    assert_eq!((first.error_code, first.generation_id), (errors::MEMBER_ID_REQUIRED, -1));
    assert_eq!((&*first.leader, first.members.len()), ("", 0));
    let other = ask!(two, JoinGroup JOIN_GROUP 9, join("", b"two"));
    assert_eq!(other.error_code, errors::MEMBER_ID_REQUIRED);
    assert!(!first.member_id.is_empty() && first.member_id != other.member_id);

    let described = DescribeGroupsRequest::default().with_groups(vec![text("g").into()]);
    let described = ask!(one, DescribeGroups DESCRIBE_GROUPS 5, described);
    let group = &described.groups[0];
    assert_eq!((&*group.group_state, &*group.protocol_type), ("Empty", ""));
    assert_eq!(group.members.len(), 0);

    // Whoever leaves before it has joined is not waited for any more.
    let joins = one.send(wire::versions::JOIN_GROUP, 4, join(&first.member_id, b"one"));
    let member = MemberIdentity::default().with_member_id(other.member_id.clone());
    let leaves =
        LeaveGroupRequest::default().with_group_id(text("g").into()).with_members(vec![member]);
    let left = ask!(two, LeaveGroup LEAVE_GROUP 3, leaves);
    assert_eq!(left.members[0].error_code, errors::NONE);
    let joined = received!(one, JoinGroup JOIN_GROUP 4, joins);
    assert_eq!((joined.error_code, joined.generation_id), (errors::NONE, 1));
    assert_eq!((&joined.member_id, joined.members.len()), (&first.member_id, 1));
    let gone = ask!(two, JoinGroup JOIN_GROUP 4, join(&other.member_id, b"two"));
    assert_eq!(gone.error_code, errors::UNKNOWN_MEMBER_ID);

    let shared = ask!(one, SyncGroup SYNC_GROUP 3, sync(&first.member_id, 1, &[]));
    assert_eq!(shared.error_code, errors::NONE);

    // Who does not come with its id holds up nobody for longer than its session.
    let silent = join("", b"two").with_session_timeout_ms(100);
    let silent = ask!(two, JoinGroup JOIN_GROUP 4, silent);
    assert_eq!(silent.error_code, errors::MEMBER_ID_REQUIRED);
    let again = ask!(one, JoinGroup JOIN_GROUP 4, join(&first.member_id, b"one"));
    assert_eq!((again.error_code, again.generation_id, again.members.len()), (0, 2, 1));
    let late = ask!(two, JoinGroup JOIN_GROUP 4, join(&silent.member_id, b"two"));
    assert_eq!(late.error_code, errors::UNKNOWN_MEMBER_ID);

    // In older versions a member joins at once.
    assert_eq!(beat(one, &first.member_id, 2), errors::NONE);
    let old = two.send(wire::versions::JOIN_GROUP, 3, join("", b"two"));
    while beat(one, &first.member_id, 2) != errors::REBALANCE_IN_PROGRESS {
        std::thread::yield_now();
    }
    let again = ask!(one, JoinGroup JOIN_GROUP 4, join(&first.member_id, b"one"));
    assert_eq!((again.error_code, again.members.len()), (errors::NONE, 2));
    let joined = received!(two, JoinGroup JOIN_GROUP 3, old);
    assert_eq!((joined.error_code, joined.generation_id), (errors::NONE, 3));
}
