//! A small client: builds frames, and reads answers in the order of its requests.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use wire::batch::{Limits, Record, batches, build, records};
use wire::consumer::{Assignment, Subscription, TopicPartitions};
use wire::frame;
use wire::kafka_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use wire::kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use wire::kafka_protocol::messages::find_coordinator_request::FindCoordinatorRequest;
use wire::kafka_protocol::messages::heartbeat_request::HeartbeatRequest;
use wire::kafka_protocol::messages::join_group_request::{
    JoinGroupRequest, JoinGroupRequestProtocol,
};
use wire::kafka_protocol::messages::leave_group_request::LeaveGroupRequest;
use wire::kafka_protocol::messages::metadata_request::MetadataRequest;
use wire::kafka_protocol::messages::metadata_response::MetadataResponse;
use wire::kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use wire::kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestTopic,
};
use wire::kafka_protocol::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use wire::kafka_protocol::messages::sync_group_request::{
    SyncGroupRequest, SyncGroupRequestAssignment,
};
use wire::kafka_protocol::messages::{RequestKind, ResponseKind};
use wire::kafka_protocol::protocol::StrBytes;
use wire::versions;

/// Longer than any answer takes.
const LONG: Duration = Duration::from_secs(30);

fn s(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// The key of a request and a version that it is sent in.
fn kind(request: &RequestKind) -> (i16, i16) {
    match request {
        RequestKind::Produce(_) => (versions::PRODUCE, 9),
        RequestKind::Fetch(_) => (versions::FETCH, 12),
        RequestKind::Metadata(_) => (versions::METADATA, 12),
        RequestKind::FindCoordinator(_) => (versions::FIND_COORDINATOR, 3),
        RequestKind::CreateTopics(_) => (versions::CREATE_TOPICS, 7),
        RequestKind::JoinGroup(_) => (versions::JOIN_GROUP, 3),
        RequestKind::SyncGroup(_) => (versions::SYNC_GROUP, 3),
        RequestKind::Heartbeat(_) => (versions::HEARTBEAT, 3),
        RequestKind::LeaveGroup(_) => (versions::LEAVE_GROUP, 2),
        RequestKind::OffsetCommit(_) => (versions::OFFSET_COMMIT, 7),
        RequestKind::OffsetFetch(_) => (versions::OFFSET_FETCH, 7),
        other => panic!("no version for {other:?}"),
    }
}

/// One batch for partition 0.
pub fn produce(topic: &str, values: &[&str], acks: i16) -> RequestKind {
    let record = |(at, value): (usize, &&str)| Record {
        offset_delta: at as u32,
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
        ..Record::default()
    };
    let all: Vec<Record> = values.iter().enumerate().map(record).collect();
    let data = PartitionProduceData::default().with_records(Some(build(&all, 0, None)));
    let topic =
        TopicProduceData::default().with_name(s(topic).into()).with_partition_data(vec![data]);
    let request = ProduceRequest::default().with_acks(acks).with_timeout_ms(10_000);
    RequestKind::Produce(request.with_topic_data(vec![topic]))
}

/// All from an offset of partition 0 on.
pub fn fetch(topic: &str, offset: i64, wait_ms: i32) -> RequestKind {
    let partition = FetchPartition::default()
        .with_fetch_offset(offset)
        .with_current_leader_epoch(-1)
        .with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default().with_topic(s(topic).into()).with_partitions(vec![partition]);
    let request = FetchRequest::default()
        .with_replica_id((-1).into())
        .with_max_wait_ms(wait_ms)
        .with_min_bytes(1)
        .with_session_epoch(-1)
        .with_topics(vec![topic]);
    RequestKind::Fetch(request)
}

/// A member that wants one topic.
fn join(group: &str, member: &str, topic: &str) -> RequestKind {
    let wanted = Subscription { topics: vec![topic.to_owned()], ..<_>::default() }.encode();
    let protocol = JoinGroupRequestProtocol::default().with_name(s("range")).with_metadata(wanted);
    let request = JoinGroupRequest::default()
        .with_group_id(s(group).into())
        .with_member_id(s(member))
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(10_000)
        .with_protocol_type(s("consumer"))
        .with_protocols(vec![protocol]);
    RequestKind::JoinGroup(request)
}

/// A connection.
pub struct Client {
    stream: TcpStream,
    correlation: i32,
    generation: i32,
}

/// Asks, and takes the answer of that kind.
macro_rules! ask {
    ($client:expr, $kind:ident, $request:expr) => {
        match $client.ask(&RequestKind::$kind($request)) {
            ResponseKind::$kind(reply) => reply,
            other => panic!("another answer: {other:?}"),
        }
    };
}

impl Client {
    pub fn to(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(LONG)).expect("a timeout");
        stream.set_nodelay(true).expect("an option");
        Self { stream, correlation: 0, generation: -1 }
    }

    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("it reads");
    }

    fn bytes(&mut self, key: i16, version: i16, request: &RequestKind) -> Bytes {
        self.correlation += 1;
        let bytes = frame::request(key, version, self.correlation, Some("test"), request);
        bytes.expect("a request")
    }

    /// Sends requests in one write, and does not wait.
    pub fn send_all(&mut self, requests: &[RequestKind]) {
        let mut all = Vec::new();
        for request in requests {
            let (key, version) = kind(request);
            all.extend(self.bytes(key, version, request));
        }
        self.send_bytes(&all);
    }

    /// What follows the length of the next frame.
    pub fn frame(&mut self) -> Bytes {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).expect("an answer");
        let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut bytes).expect("an answer");
        bytes.into()
    }

    pub fn ask_in(&mut self, key: i16, version: i16, request: &RequestKind) -> ResponseKind {
        let bytes = self.bytes(key, version, request);
        self.send_bytes(&bytes);
        let (id, reply) = frame::reply(key, version, self.frame()).expect("an answer");
        assert_eq!(id, self.correlation, "answers come in the order of requests");
        reply
    }

    fn ask(&mut self, request: &RequestKind) -> ResponseKind {
        let (key, version) = kind(request);
        self.ask_in(key, version, request)
    }

    pub fn create(&mut self, topic: &str, partitions: i32) {
        let topic = CreatableTopic::default()
            .with_name(s(topic).into())
            .with_num_partitions(partitions)
            .with_replication_factor(1);
        let request =
            CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
        let reply = ask!(self, CreateTopics, request);
        assert_eq!(reply.topics[0].error_code, 0);
    }

    /// The offset of the first record.
    pub fn produce(&mut self, topic: &str, values: &[&str], acks: i16) -> i64 {
        let ResponseKind::Produce(reply) = self.ask(&produce(topic, values, acks)) else {
            panic!("another answer")
        };
        let told = &reply.responses[0].partition_responses[0];
        assert!(matches!(told.error_code, 0 | 3), "error {}", told.error_code);
        told.base_offset
    }

    pub fn fetch(&mut self, topic: &str, offset: i64) -> Vec<String> {
        let ResponseKind::Fetch(reply) = self.ask(&fetch(topic, offset, 0)) else {
            panic!("another answer")
        };
        let told = &reply.responses[0].partitions[0];
        assert_eq!(told.error_code, 0);
        let bytes = told.records.as_deref().unwrap_or_default();
        let mut values = Vec::new();
        for batch in batches(bytes) {
            for record in records(batch.bytes, &Limits::default()).expect("records") {
                if batch.base_offset + i64::from(record.offset_delta) >= offset {
                    let value = record.value.expect("a value").to_vec();
                    values.push(String::from_utf8(value).expect("text"));
                }
            }
        }
        values
    }

    pub fn metadata(&mut self) -> MetadataResponse {
        ask!(self, Metadata, MetadataRequest::default())
    }

    /// Where a group's coordinator is said to be.
    pub fn coordinator(&mut self, group: &str) -> String {
        let reply =
            ask!(self, FindCoordinator, FindCoordinatorRequest::default().with_key(s(group)));
        format!("{}:{}", &*reply.host, reply.port)
    }

    /// The member's id.
    pub fn join(&mut self, group: &str, topic: &str) -> String {
        let ResponseKind::JoinGroup(mut reply) = self.ask(&join(group, "", topic)) else {
            panic!("another answer")
        };
        if reply.error_code == wire::errors::MEMBER_ID_REQUIRED {
            match self.ask(&join(group, &reply.member_id, topic)) {
                ResponseKind::JoinGroup(again) => reply = again,
                other => panic!("another answer: {other:?}"),
            }
        }
        assert_eq!(reply.error_code, 0);
        self.generation = reply.generation_id;
        reply.member_id.to_string()
    }

    /// Assigns these partitions to the member itself.
    pub fn sync(&mut self, group: &str, member: &str, topic: &str, partitions: &[i32]) {
        let held = TopicPartitions { topic: topic.to_owned(), partitions: partitions.to_vec() };
        let held = Assignment { partitions: vec![held], ..<_>::default() }.encode();
        let own =
            SyncGroupRequestAssignment::default().with_member_id(s(member)).with_assignment(held);
        let request = SyncGroupRequest::default()
            .with_group_id(s(group).into())
            .with_member_id(s(member))
            .with_generation_id(self.generation)
            .with_assignments(vec![own]);
        assert_eq!(ask!(self, SyncGroup, request).error_code, 0);
    }

    pub fn heartbeat(&mut self, group: &str, member: &str) {
        let request = HeartbeatRequest::default()
            .with_group_id(s(group).into())
            .with_member_id(s(member))
            .with_generation_id(self.generation);
        assert_eq!(ask!(self, Heartbeat, request).error_code, 0);
    }

    pub fn leave(&mut self, group: &str, member: &str) {
        let request =
            LeaveGroupRequest::default().with_group_id(s(group).into()).with_member_id(s(member));
        assert_eq!(ask!(self, LeaveGroup, request).error_code, 0);
    }

    pub fn commit(&mut self, group: &str, member: &str, topic: &str, offset: i64) {
        let partition = OffsetCommitRequestPartition::default().with_committed_offset(offset);
        let topic = OffsetCommitRequestTopic::default()
            .with_name(s(topic).into())
            .with_partitions(vec![partition]);
        let generation = if member.is_empty() { -1 } else { self.generation };
        let request = OffsetCommitRequest::default()
            .with_group_id(s(group).into())
            .with_member_id(s(member))
            .with_generation_id_or_member_epoch(generation)
            .with_topics(vec![topic]);
        let reply = ask!(self, OffsetCommit, request);
        assert_eq!(reply.topics[0].partitions[0].error_code, 0);
    }

    pub fn committed(&mut self, group: &str, topic: &str) -> i64 {
        let topic = OffsetFetchRequestTopic::default()
            .with_name(s(topic).into())
            .with_partition_indexes(vec![0]);
        let request = OffsetFetchRequest::default()
            .with_group_id(s(group).into())
            .with_topics(Some(vec![topic]));
        ask!(self, OffsetFetch, request).topics[0].partitions[0].committed_offset
    }
}
