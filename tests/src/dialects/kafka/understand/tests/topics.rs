//! Metadata, CreateTopics, CreatePartitions, DeleteTopics.

use serde_json::json;
use wire::kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use wire::kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use wire::kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic,
};
use wire::kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use wire::kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use wire::kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use wire::kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use wire::kafka_protocol::messages::metadata_response::{
    MetadataResponsePartition, MetadataResponseTopic,
};
use wire::kafka_protocol::messages::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse,
    DeleteTopicsRequest, DeleteTopicsResponse, MetadataRequest, MetadataResponse, RequestKind,
    ResponseKind,
};
use wire::versions::{CREATE_PARTITIONS, CREATE_TOPICS, DELETE_TOPICS, METADATA};

use super::{TopicNames, ends, over_the_wire, plain, s, told, unanswered};

const ID: &str = "00000000-0000-4000-8000-00000000002a";

#[test]
fn a_metadata_of_all_topics_lists_them() {
    let topic = |name: &str, code, partitions| {
        MetadataResponseTopic::default()
            .with_name(Some(s(name).into()))
            .with_error_code(code)
            .with_partitions(vec![MetadataResponsePartition::default(); partitions])
    };
    let reply = MetadataResponse::default().with_topics(vec![topic("a", 0, 3), topic("b", 5, 0)]);
    let reply = ResponseKind::Metadata(reply);
    let names = &mut TopicNames::default();
    for version in ends(METADATA) {
        let all = if version == 0 { Some(Vec::new()) } else { None };
        let request = RequestKind::Metadata(MetadataRequest::default().with_topics(all));
        let found = told(names, (METADATA, version), request, reply.clone());
        assert_eq!(plain(&found), [json!(["list_topics", {}, { "topics": { "a": 3 } }])]);
        let one = MetadataRequestTopic::default().with_name(Some(s("a").into()));
        let some = MetadataRequest::default().with_topics(Some(vec![one]));
        let found = told(names, (METADATA, version), RequestKind::Metadata(some), reply.clone());
        assert!(found.is_empty());
    }
    let none = RequestKind::Metadata(MetadataRequest::default().with_topics(Some(Vec::new())));
    assert!(told(names, (METADATA, 12), none, reply).is_empty(), "version 1 and later: no topic");
}

#[test]
fn each_topic_of_a_create_topics_is_one() {
    let topic = |name: &str, partitions| {
        CreatableTopic::default().with_name(s(name).into()).with_num_partitions(partitions)
    };
    let placed = vec![CreatableReplicaAssignment::default(); 2];
    let topics =
        vec![topic("a", 3), topic("b", -1), topic("c", -1).with_assignments(placed), topic("d", 1)];
    let request = CreateTopicsRequest::default().with_topics(topics);
    let answer = |name: &str, code| {
        CreatableTopicResult::default().with_name(s(name).into()).with_error_code(code)
    };
    let names = &mut TopicNames::default();
    for version in ends(CREATE_TOPICS) {
        let mut given = answer("b", 0);
        if version >= 5 {
            given = given.with_num_partitions(6);
        }
        let all = vec![answer("a", 36), given, answer("c", 0), answer("d", 41)];
        let reply = ResponseKind::CreateTopics(CreateTopicsResponse::default().with_topics(all));
        let at = (CREATE_TOPICS, version);
        let request = RequestKind::CreateTopics(request.clone());
        let found = told(names, at, request.clone(), reply);
        let b = match version {
            5.. => json!({ "topic": "b", "partitions": 6 }),
            _ => json!({ "topic": "b" }),
        };
        assert_eq!(
            plain(&found),
            [
                json!(["create_topic", { "topic": "a", "partitions": 3 },
                    [21, "TOPIC_ALREADY_EXISTS"]]),
                json!(["create_topic", b, {}]),
                json!(["create_topic", { "topic": "c", "partitions": 2 }, {}]),
                json!(["create_topic", { "topic": "d", "partitions": 1 }, [0, "NOT_CONTROLLER"]]),
            ]
        );
        let request = over_the_wire(CREATE_TOPICS, version, &request);
        assert_eq!(unanswered(names, &request)[1], json!(["create_topic", { "topic": "b" }]));
    }
    let looked_at = RequestKind::CreateTopics(request.with_validate_only(true));
    assert!(unanswered(names, &looked_at).is_empty());
}

#[test]
fn each_topic_of_a_create_partitions_is_one() {
    let topic = CreatePartitionsTopic::default().with_name(s("a").into()).with_count(5);
    let request = CreatePartitionsRequest::default().with_topics(vec![topic]);
    let answer =
        CreatePartitionsTopicResult::default().with_name(s("a").into()).with_error_code(37);
    let reply = CreatePartitionsResponse::default().with_results(vec![answer]);
    for version in ends(CREATE_PARTITIONS) {
        let found = told(
            &mut TopicNames::default(),
            (CREATE_PARTITIONS, version),
            RequestKind::CreatePartitions(request.clone()),
            ResponseKind::CreatePartitions(reply.clone()),
        );
        let args = json!({ "topic": "a", "partitions": 5 });
        assert_eq!(plain(&found), [json!(["create_partitions", args, [12, "INVALID_PARTITIONS"]])]);
    }
}

#[test]
fn each_topic_of_a_delete_topics_is_one_by_name_or_by_id() {
    let answer = |name: Option<&str>, code| {
        DeletableTopicResult::default()
            .with_name(name.map(|name| s(name).into()))
            .with_error_code(code)
    };
    let names = &mut TopicNames::default();
    for version in ends(DELETE_TOPICS) {
        let by_id = DeleteTopicState::default().with_topic_id(ID.parse().expect("an id"));
        let by_name = DeleteTopicState::default().with_name(Some(s("a").into()));
        let request = match version {
            6.. => DeleteTopicsRequest::default().with_topics(vec![by_name, by_id]),
            _ => {
                DeleteTopicsRequest::default().with_topic_names(vec![s("a").into(), s("b").into()])
            }
        };
        let request = RequestKind::DeleteTopics(request);
        let mut second = answer(Some("b"), 0);
        if version >= 6 {
            second = second.with_topic_id(ID.parse().expect("an id"));
        }
        let all = vec![answer(Some("a"), 3), second];
        let reply = ResponseKind::DeleteTopics(DeleteTopicsResponse::default().with_responses(all));
        let found = told(names, (DELETE_TOPICS, version), request.clone(), reply);
        assert_eq!(
            plain(&found),
            [
                json!(["delete_topic", { "topic": "a" }, [20, "UNKNOWN_TOPIC_OR_PARTITION"]]),
                json!(["delete_topic", { "topic": "b" }, {}]),
            ]
        );
        let request = over_the_wire(DELETE_TOPICS, version, &request);
        let without = unanswered(names, &request);
        assert_eq!(without.len(), if version >= 6 { 1 } else { 2 });
    }
}

#[test]
fn an_id_is_learned_from_who_makes_the_topic() {
    let made = CreatableTopicResult::default()
        .with_name(s("b").into())
        .with_topic_id(ID.parse().expect("an id"));
    let names = &mut TopicNames::default();
    names.learn(&ResponseKind::CreateTopics(
        CreateTopicsResponse::default().with_topics(vec![made]),
    ));
    let state = DeleteTopicState::default().with_topic_id(ID.parse().expect("an id"));
    let request =
        RequestKind::DeleteTopics(DeleteTopicsRequest::default().with_topics(vec![state]));
    assert_eq!(unanswered(names, &request), [json!(["delete_topic", { "topic": "b" }])]);
}
