//! What a request asks for many times, or for many of.

use wire::errors;
use wire::kafka_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use wire::kafka_protocol::messages::describe_configs_request::{
    DescribeConfigsRequest, DescribeConfigsResource,
};
use wire::kafka_protocol::messages::describe_groups_request::DescribeGroupsRequest;
use wire::kafka_protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use wire::kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use wire::kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use wire::kafka_protocol::protocol::StrBytes;

use super::broker::{Broker, Client, ask};

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn topic(name: &str, partitions: i32) -> CreatableTopic {
    let topic = CreatableTopic::default().with_name(text(name).into());
    topic.with_num_partitions(partitions).with_replication_factor(-1)
}

/// The codes with which a request for topics is answered.
fn create(client: &mut Client, topics: Vec<CreatableTopic>, only: bool) -> Vec<i16> {
    let request = CreateTopicsRequest::default().with_topics(topics).with_validate_only(only);
    let reply = ask!(client, CreateTopics CREATE_TOPICS 5, request);
    reply.topics.iter().map(|topic| topic.error_code).collect()
}

#[test]
fn regression_what_is_asked_for_more_than_once_is_answered_once() {
    let broker = Broker::dev(&[]);
    let mut client = broker.connect();
    assert_eq!(create(&mut client, vec![topic("t", 2)], false), [errors::NONE]);
    let note = OffsetCommitRequestPartition::default().with_committed_offset(1);
    let of_topic = OffsetCommitRequestTopic::default()
        .with_name(text("t").into())
        .with_partitions(vec![note.with_committed_metadata(Some(text("a note")))]);
    let request = OffsetCommitRequest::default()
        .with_group_id(text("g").into())
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![of_topic]);
    let reply = ask!(client, OffsetCommit OFFSET_COMMIT 7, request);
    assert_eq!(reply.topics[0].partitions[0].error_code, errors::NONE);

    let groups = ["g", "h", "g", "g", "h"].map(|group| text(group).into()).to_vec();
    let request = DescribeGroupsRequest::default().with_groups(groups);
    let reply = ask!(client, DescribeGroups DESCRIBE_GROUPS 5, request);
    let told: Vec<&str> = reply.groups.iter().map(|group| group.group_id.as_str()).collect();
    assert_eq!(told, ["g", "h"]);

    let group = OffsetFetchRequestGroup::default().with_group_id(text("g").into());
    let all = group.clone().with_topics(None);
    let request = OffsetFetchRequest::default().with_groups(vec![all; 1_000]);
    let reply = ask!(client, OffsetFetch OFFSET_FETCH 8, request);
    assert_eq!((reply.groups.len(), reply.groups[0].topics[0].partitions.len()), (1, 1));

    let of = |indexes: &[i32]| {
        let topic = OffsetFetchRequestTopics::default().with_name(text("t").into());
        let topics = vec![topic.with_partition_indexes(indexes.to_vec()); 3];
        group.clone().with_topics(Some(topics))
    };
    let request = OffsetFetchRequest::default();
    let request = request.with_groups(vec![of(&[0, 0]), of(&[0, 0, 1]), of(&[1])]);
    let reply = ask!(client, OffsetFetch OFFSET_FETCH 8, request);
    let told: Vec<Vec<i32>> = reply
        .groups
        .iter()
        .flat_map(|group| &group.topics)
        .map(|topic| topic.partitions.iter().map(|told| told.partition_index).collect())
        .collect();
    assert_eq!(told, [[0], [1]], "each where it is named first, and no topic without any");

    let named = OffsetFetchRequestTopic::default().with_name(text("t").into());
    let named = vec![named.with_partition_indexes(vec![0, 0, 1]); 2];
    let request = OffsetFetchRequest::default().with_group_id(text("g").into());
    let reply = ask!(client, OffsetFetch OFFSET_FETCH 5, request.with_topics(Some(named)));
    let told: Vec<i64> = reply
        .topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|partition| partition.committed_offset))
        .collect();
    assert_eq!(told, [1, -1]);

    let resource = DescribeConfigsResource::default().with_resource_type(2);
    let resource = resource.with_resource_name(text("t")).with_configuration_keys(None);
    let one = resource.clone().with_configuration_keys(Some(vec![text("retention.ms")]));
    let resources = vec![resource.clone(), one.clone(), resource, one];
    let request = DescribeConfigsRequest::default().with_resources(resources);
    let reply = ask!(client, DescribeConfigs DESCRIBE_CONFIGS 4, request);
    let told: Vec<usize> = reply.results.iter().map(|result| result.configs.len()).collect();
    assert!(told.len() == 2 && told[0] > 1 && told[1] == 1, "{told:?}");
}

#[test]
fn regression_one_request_makes_10_000_partitions_at_most() {
    let broker = Broker::dev(&[]);
    let mut client = broker.connect();
    let half = |name| topic(name, 5_000);
    let refused = [errors::POLICY_VIOLATION; 3];
    let asked = vec![half("a"), half("b"), topic("c", 1)];
    assert_eq!(create(&mut client, asked, true), refused);
    let many = (0..10_001).map(|nth| topic(&format!("t{nth}"), 1)).collect();
    let codes = create(&mut client, many, true);
    assert!(codes.len() == 10_001 && codes.iter().all(|code| *code == refused[0]));
    assert_eq!(create(&mut client, vec![half("a"), half("b")], true), [errors::NONE; 2]);
}

#[test]
fn regression_a_topic_too_much_like_another_is_not_made_by_asking_for_it() {
    let broker = Broker::dev(&[]);
    let mut client = broker.connect();
    assert_eq!(create(&mut client, vec![topic("q.r", 1)], false), [errors::NONE]);
    let mut asked_for = |names: &[&str]| {
        let named =
            |name: &&str| MetadataRequestTopic::default().with_name(Some(text(name).into()));
        let topics = names.iter().map(named).collect();
        let request = MetadataRequest::default().with_topics(Some(topics));
        let request = request.with_allow_auto_topic_creation(true);
        let reply = ask!(client, Metadata METADATA 9, request);
        reply.topics.iter().map(|topic| topic.error_code).collect::<Vec<_>>()
    };
    assert_eq!(asked_for(&["q_r"]), [errors::UNKNOWN_TOPIC_OR_PARTITION]);
    let both = asked_for(&["a.1", "a_1"]);
    assert_eq!(both, [errors::NONE, errors::UNKNOWN_TOPIC_OR_PARTITION]);
    assert_eq!(asked_for(&["a_1", "b_1"]), [errors::UNKNOWN_TOPIC_OR_PARTITION, errors::NONE]);
}
