//! Requests in few words. What a version lacks is left out.

use bytes::Bytes;
use wire::batch::{self, Producer, Record};
use wire::kafka_protocol::messages::create_partitions_request::{
    CreatePartitionsRequest, CreatePartitionsTopic,
};
use wire::kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreateTopicsRequest,
};
use wire::kafka_protocol::messages::delete_topics_request::{
    DeleteTopicState, DeleteTopicsRequest,
};
use wire::kafka_protocol::messages::find_coordinator_request::FindCoordinatorRequest;
use wire::kafka_protocol::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use wire::kafka_protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use wire::kafka_protocol::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use wire::kafka_protocol::messages::{RequestKind, describe_groups_request::DescribeGroupsRequest};
use wire::kafka_protocol::protocol::StrBytes;
use wire::versions;

use super::super::play::{Answer, Play};

pub fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// All versions of an API that cohort serves.
pub fn all(api: i16) -> std::ops::RangeInclusive<i16> {
    let api = versions::find(api).expect("an API that is understood");
    let min = (api.min..=api.max).find(|version| api.serves(*version)).expect("some version");
    min..=api.max
}

/// A topic to make.
pub fn topic(name: &str, partitions: i32, replicas: i16) -> CreatableTopic {
    CreatableTopic::default()
        .with_name(text(name).into())
        .with_num_partitions(partitions)
        .with_replication_factor(replicas)
}

/// A topic to make whose partitions lie on these brokers.
pub fn assigned(name: &str, assignments: &[(i32, &[i32])]) -> CreatableTopic {
    let assignment = |(partition, brokers): &(i32, &[i32])| {
        CreatableReplicaAssignment::default()
            .with_partition_index(*partition)
            .with_broker_ids(brokers.iter().map(|broker| (*broker).into()).collect())
    };
    topic(name, -1, -1).with_assignments(assignments.iter().map(assignment).collect())
}

pub fn create(topics: Vec<CreatableTopic>) -> CreateTopicsRequest {
    CreateTopicsRequest::default().with_topics(topics).with_timeout_ms(10_000)
}

pub fn delete(version: i16, names: &[&str]) -> DeleteTopicsRequest {
    let request = DeleteTopicsRequest::default().with_timeout_ms(10_000);
    let names = names.iter().map(|name| text(name).into());
    if version < 6 {
        return request.with_topic_names(names.collect());
    }
    request
        .with_topics(names.map(|name| DeleteTopicState::default().with_name(Some(name))).collect())
}

pub fn grow(name: &str, count: i32) -> CreatePartitionsRequest {
    let topic = CreatePartitionsTopic::default().with_name(text(name).into()).with_count(count);
    let topic = topic.with_assignments(None);
    CreatePartitionsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000)
}

/// Metadata of these topics, which makes none.
pub fn metadata(names: &[&str]) -> MetadataRequest {
    let topic = |name: &&str| MetadataRequestTopic::default().with_name(Some(text(name).into()));
    MetadataRequest::default()
        .with_topics(Some(names.iter().map(topic).collect()))
        .with_allow_auto_topic_creation(false)
}

/// Offsets at a time, of partitions of a topic.
pub fn offsets(name: &str, partitions: &[i32], timestamp: i64) -> ListOffsetsRequest {
    let partition = |index: &i32| {
        ListOffsetsPartition::default()
            .with_partition_index(*index)
            .with_current_leader_epoch(-1)
            .with_timestamp(timestamp)
    };
    let topic = ListOffsetsTopic::default()
        .with_name(text(name).into())
        .with_partitions(partitions.iter().map(partition).collect());
    ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topic])
}

/// Records with these values, at times 1000, 1001, ….
pub fn batch(values: &[&str]) -> Bytes {
    batch_of(values, None)
}

pub fn batch_of(values: &[&str], producer: Option<Producer>) -> Bytes {
    let record = |(at, value): (usize, &&str)| Record {
        offset_delta: at as u32,
        timestamp: 1_000 + at as i64,
        key: Some(Bytes::from_static(b"k")),
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
        headers: Vec::new(),
    };
    let records: Vec<Record> = values.iter().enumerate().map(record).collect();
    batch::build(&records, 1_000, producer)
}

/// Records for a partition.
pub fn produce(name: &str, partition: i32, records: Bytes) -> ProduceRequest {
    let partition =
        PartitionProduceData::default().with_index(partition).with_records(Some(records));
    produce_to(vec![(name, vec![partition])])
}

pub fn produce_to(topics: Vec<(&str, Vec<PartitionProduceData>)>) -> ProduceRequest {
    let topic = |(name, partitions): (&str, _)| {
        TopicProduceData::default().with_name(text(name).into()).with_partition_data(partitions)
    };
    ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(10_000)
        .with_topic_data(topics.into_iter().map(topic).collect())
}

/// Makes a topic and waits until its partitions are led, which Kafka does not do.
pub fn make(play: &mut Play, name: &str, partitions: i32) {
    let made = play.quietly(versions::CREATE_TOPICS, 5, create(vec![topic(name, partitions, 1)]));
    assert_eq!(made.number("/topics/0/error_code"), 0, "{name}: {}", made.0);
    settle(play, name, partitions);
}

/// Waits until the partitions of a topic are led.
pub fn settle(play: &mut Play, name: &str, partitions: i32) {
    let all: Vec<i32> = (0..partitions).collect();
    wait(
        play,
        versions::METADATA,
        9,
        || metadata(&[name]),
        |answer| {
            let told = answer.0["topics"][0]["partitions"].as_array().map_or(0, Vec::len);
            answer.number("/topics/0/error_code") == 0 && told == all.len()
        },
    );
    wait(
        play,
        versions::LIST_OFFSETS,
        5,
        || offsets(name, &all, -1),
        |answer| {
            let told = answer.0["topics"][0]["partitions"].as_array();
            told.is_some_and(|told| told.iter().all(|partition| partition["error_code"] == 0))
        },
    );
}

/// Waits until a topic is gone.
pub fn settle_gone(play: &mut Play, name: &str) {
    let is_gone = |answer: &Answer| answer.number("/topics/0/error_code") == 3;
    wait(play, versions::METADATA, 9, || metadata(&[name]), is_gone);
}

/// Waits until groups are coordinated, which in Kafka takes a topic that is made on first use.
pub fn coordinated(play: &mut Play, groups: &[&str]) {
    for group in groups {
        let find = || FindCoordinatorRequest::default().with_key(text(group));
        wait(play, versions::FIND_COORDINATOR, 2, find, |answer| answer.code() == 0);
        let describe = || DescribeGroupsRequest::default().with_groups(vec![text(group).into()]);
        wait(play, versions::DESCRIBE_GROUPS, 4, describe, |answer| {
            !matches!(answer.number("/groups/0/error_code"), 14..=16)
        });
    }
}

/// Asks until the answer is so, and keeps nothing.
pub fn wait<R: Into<RequestKind>>(
    play: &mut Play,
    api: i16,
    version: i16,
    request: impl Fn() -> R,
    is_so: impl Fn(&Answer) -> bool,
) {
    let begin = std::time::Instant::now();
    loop {
        let answer = play.quietly(api, version, request());
        if is_so(&answer) {
            return;
        }
        assert!(begin.elapsed() < std::time::Duration::from_secs(30), "{}", answer.0);
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
