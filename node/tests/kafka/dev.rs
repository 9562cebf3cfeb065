//! Hands on time: what a test would wait for happens when it says so.

use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use wire::errors;
use wire::kafka_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use wire::kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use wire::kafka_protocol::messages::heartbeat_request::HeartbeatRequest;
use wire::kafka_protocol::messages::join_group_request::{
    JoinGroupRequest, JoinGroupRequestProtocol,
};
use wire::kafka_protocol::messages::metadata_request::MetadataRequest;
use wire::kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use wire::kafka_protocol::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use wire::kafka_protocol::messages::sync_group_request::{
    SyncGroupRequest, SyncGroupRequestAssignment,
};
use wire::kafka_protocol::protocol::StrBytes;

use super::broker::{Broker, Client, ask, enter, received};

/// Longer than any test waits for what should happen at once; every time-out here is longer still.
const AT_ONCE: Duration = Duration::from_secs(20);

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn start(settings: &[&str]) -> (Broker, String) {
    let settings: Vec<&str> = ["--admin", "127.0.0.1:0"].iter().chain(settings).copied().collect();
    let broker = Broker::dev(&settings);
    let admin = broker.admin.clone().expect("it says where");
    (broker, admin)
}

/// Runs `cohort dev`: whether it did it, and what it says.
fn dev(admin: &str, line: &str) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_cohort"))
        .args(["dev", "--admin", admin])
        .args(line.split(' '))
        .output()
        .expect("it starts and ends");
    let text = if output.status.success() { output.stdout } else { output.stderr };
    (output.status.success(), String::from_utf8(text).expect("text"))
}

fn done(admin: &str, line: &str) {
    let (is_done, said) = dev(admin, line);
    assert!(is_done, "{line}: {said}");
}

fn refused(admin: &str, line: &str, expected: &str) {
    let (is_done, said) = dev(admin, line);
    assert!(!is_done && said.contains(expected), "{line}: {said}");
}

fn create(client: &mut Client) {
    let topic = CreatableTopic::default()
        .with_name(text("t").into())
        .with_num_partitions(1)
        .with_replication_factor(-1);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]);
    assert_eq!(ask!(client, CreateTopics CREATE_TOPICS 5, request).topics[0].error_code, 0);
}

fn join(member: &str) -> JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol::default()
        .with_name(text("range"))
        .with_metadata(Bytes::from_static(b"\0\0\0\0\0\0\0\0\0\0"));
    JoinGroupRequest::default()
        .with_group_id(text("g").into())
        .with_session_timeout_ms(300_000)
        .with_rebalance_timeout_ms(300_000)
        .with_member_id(text(member))
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol])
}

/// Becomes the only member of a group that is stable; its name.
fn alone(client: &mut Client) -> String {
    let joined = enter!(client, 5, join(""));
    let member = joined.member_id.to_string();
    let given = SyncGroupRequestAssignment::default()
        .with_member_id(text(&member))
        .with_assignment(Bytes::from_static(b"all"));
    let request = SyncGroupRequest::default()
        .with_group_id(text("g").into())
        .with_generation_id(joined.generation_id)
        .with_member_id(text(&member))
        .with_assignments(vec![given]);
    assert_eq!(ask!(client, SyncGroup SYNC_GROUP 3, request).error_code, errors::NONE);
    member
}

fn beat(client: &mut Client, member: &str) -> i16 {
    let request = HeartbeatRequest::default()
        .with_group_id(text("g").into())
        .with_generation_id(1)
        .with_member_id(text(member));
    ask!(client, Heartbeat HEARTBEAT 3, request).error_code
}

fn send(client: &mut Client) -> i16 {
    let record = wire::batch::Record {
        offset_delta: 0,
        timestamp: 1,
        key: None,
        value: Some(Bytes::from_static(b"x")),
        headers: Vec::new(),
    };
    let batch = wire::batch::build(&[record], 1, None);
    let data = PartitionProduceData::default().with_records(Some(batch));
    let topic = TopicProduceData::default().with_name(text("t").into());
    let topics = vec![topic.with_partition_data(vec![data])];
    let request = ProduceRequest::default().with_acks(-1).with_topic_data(topics);
    ask!(client, Produce PRODUCE 9, request).responses[0].partition_responses[0].error_code
}

fn fetch(wait_ms: i32) -> FetchRequest {
    let partition =
        FetchPartition::default().with_current_leader_epoch(-1).with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default().with_topic(text("t").into()).with_partitions(vec![partition]);
    FetchRequest::default()
        .with_max_wait_ms(wait_ms)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_topics(vec![topic])
}

#[test]
fn a_members_session_ends_when_a_test_says_so() {
    let (broker, admin) = start(&[]);
    let client = &mut broker.connect();
    let member = alone(client);
    done(&admin, "wait-for-group --group g --members 1");
    assert_eq!(beat(client, &member), errors::NONE);
    refused(&admin, "expire-member --group g --member nobody", "no member `nobody`");
    refused(&admin, "expire-member --group h --member c", "group `h` does not exist");
    done(&admin, &format!("expire-member --group g --member {member}"));
    done(&admin, "wait-for-group --group g --members 0");
    assert_eq!(beat(client, &member), errors::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_rebalance_ends_without_those_who_do_not_come() {
    let (broker, admin) = start(&[]);
    let (one, two) = (&mut broker.connect(), &mut broker.connect());
    let first = alone(one);
    refused(&admin, "end-rebalance --group g", "group `g` waits for nothing");
    let joining = two.send(wire::versions::JOIN_GROUP, 3, join(""));
    // The group waits for the first member to join again, for five minutes.
    let began = Instant::now();
    while beat(one, &first) != errors::REBALANCE_IN_PROGRESS {
        assert!(began.elapsed() < AT_ONCE, "the second member joins");
    }
    refused(&admin, "wait-for-group --group g --members 2 --timeout-ms 1", "PreparingRebalance");
    done(&admin, "end-rebalance --group g");
    let joined = received!(two, JoinGroup JOIN_GROUP 3, joining);
    assert_eq!((joined.error_code, joined.members.len()), (errors::NONE, 1));
    assert_eq!(beat(one, &first), errors::UNKNOWN_MEMBER_ID);
    assert!(began.elapsed() < AT_ONCE);
}

#[test]
fn the_clock_moves_on_when_a_test_says_so() {
    let (broker, admin) = start(&["--retention.ms", "3600000"]);
    let client = &mut broker.connect();
    create(client);
    let member = alone(client);
    // The record's own time is 1970: it is too old when retention looks.
    assert_eq!(send(client), errors::NONE);
    refused(&admin, "advance-clock --ms soon", "'soon'");
    done(&admin, "advance-clock --ms 299000");
    assert_eq!(beat(client, &member), errors::NONE, "the session is not over yet, and begins anew");
    done(&admin, "advance-clock --ms 301000");
    done(&admin, "wait-for-group --group g --members 0");
    let began = Instant::now();
    loop {
        let reply = ask!(client, Fetch FETCH 11, fetch(0));
        let part = &reply.responses[0].partitions[0];
        if part.error_code == errors::OFFSET_OUT_OF_RANGE {
            break;
        }
        assert!(began.elapsed() < AT_ONCE, "retention looks every five minutes");
    }
}

#[test]
fn requests_fail_as_a_test_says_and_do_nothing() {
    let (broker, admin) = start(&[]);
    let client = &mut broker.connect();
    create(client);
    done(&admin, "fail --api Produce --error NOT_LEADER_OR_FOLLOWER --client test --times 2");
    done(&admin, "fail --api OffsetCommit --error 16 --client somebody");
    let codes: Vec<i16> = (0..3).map(|_| send(client)).collect();
    let not_leader = errors::NOT_LEADER_OR_FOLLOWER;
    assert_eq!(codes, [not_leader, not_leader, errors::NONE]);
    let reply = ask!(client, Fetch FETCH 11, fetch(0));
    assert_eq!(reply.responses[0].partitions[0].high_watermark, 1, "two were not appended");
    let partition = OffsetCommitRequestPartition::default().with_committed_offset(1);
    let topic = OffsetCommitRequestTopic::default()
        .with_name(text("t").into())
        .with_partitions(vec![partition]);
    let request = OffsetCommitRequest::default()
        .with_group_id(text("h").into())
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topic]);
    let reply = ask!(client, OffsetCommit OFFSET_COMMIT 7, request);
    assert_eq!(reply.topics[0].partitions[0].error_code, errors::NONE, "it is another client's");
    refused(&admin, "fail --api Metadata --error 3", "expected one of Produce, ");
    refused(&admin, "fail --api Produce --error LATE", "\"LATE\"");
    refused(&admin, "fail --api Produce --error 3 --times 0", "times 0");
}

#[test]
fn a_held_partition_gives_nothing_until_it_is_released() {
    let (broker, admin) = start(&[]);
    let client = &mut broker.connect();
    create(client);
    assert_eq!(send(client), errors::NONE);
    refused(&admin, "hold --topic t --partition 1", "has 1 partitions, not 1");
    refused(&admin, "release --topic t --partition 0", "not held");
    done(&admin, "hold --topic t --partition 0");
    let empty = ask!(client, Fetch FETCH 11, fetch(0));
    let records = |part: &wire::kafka_protocol::messages::fetch_response::PartitionData| {
        part.records.as_ref().map_or(0, Bytes::len)
    };
    assert_eq!(records(&empty.responses[0].partitions[0]), 0);
    let began = Instant::now();
    let waiting = client.send(wire::versions::FETCH, 11, fetch(60_000));
    done(&admin, "release --topic t --partition 0");
    let found = received!(client, Fetch FETCH 11, waiting);
    assert!(records(&found.responses[0].partitions[0]) > 0);
    assert!(began.elapsed() < AT_ONCE, "the fetch was woken");
}

#[test]
fn another_node_leads_when_a_test_says_so() {
    let (broker, admin) = start(&["--nodes", "3"]);
    let kafka: Vec<&str> = broker.address.split(',').collect();
    let admin: Vec<&str> = admin.split(',').collect();
    let client = &mut Client::to(kafka[0]);
    for node in [1, 2, 3, 1] {
        done(admin[1], &format!("move-leadership --node {node}"));
        let began = Instant::now();
        loop {
            let metadata = ask!(client, Metadata METADATA 12, MetadataRequest::default());
            if metadata.controller_id.0 == node {
                break;
            }
            assert!(began.elapsed() < AT_ONCE, "every node learns of it");
        }
    }
    refused(admin[0], "move-leadership --node 4", "node 4, expected one of [1, 2, 3]");
}

#[test]
fn nobody_has_a_hand_on_a_node_that_is_no_test() {
    let folder = super::broker::Folder::new();
    let mut command = super::broker::command();
    command.args(["--admin", "127.0.0.1:0", "--data-dir"]).arg(&folder.0);
    let broker = Broker::run(command);
    let admin = broker.admin.as_deref().expect("it says where");
    refused(admin, "advance-clock --ms 1", "without --dev");
    refused("127.0.0.1:1", "advance-clock --ms 1", "--admin 127.0.0.1:1");
}
