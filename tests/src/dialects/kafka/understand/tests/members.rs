//! Members of KIP-848.

use bytes::{BufMut, BytesMut};
use serde_json::json;
use uuid::Uuid;
use wire::frame;
use wire::kafka_protocol::messages::consumer_group_heartbeat_response::{
    Assignment, TopicPartitions,
};
use wire::kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use wire::kafka_protocol::messages::{
    ConsumerGroupHeartbeatResponse, MetadataResponse, OffsetFetchRequest, RequestKind, ResponseKind,
};
use wire::kafka_protocol::protocol::Encodable;
use wire::versions::{CONSUMER_GROUP_HEARTBEAT, OFFSET_COMMIT, OFFSET_FETCH};

use super::{TopicNames, plain, s, unanswered, understand};
use crate::dialects::kafka::ask;

const ID: Uuid = Uuid::from_u128(7);

/// Names that know the topic `t`.
fn names() -> TopicNames {
    let topic = MetadataResponseTopic::default().with_name(Some(s("t").into())).with_topic_id(ID);
    let mut names = TopicNames::default();
    names.learn(&ResponseKind::Metadata(MetadataResponse::default().with_topics(vec![topic])));
    names
}

#[test]
fn a_heartbeat_tells_partitions_by_the_names_of_their_topics() {
    let args = json!({ "group": "g", "member_id": "m", "member_epoch": 4, "instance_id": "seat",
                       "topics": ["t"], "assignor": "range", "owned": { "t": [1, 2] },
                       "rebalance_timeout_ms": 9_000 });
    let mut names = names();
    let asked = ask::request("consumer_heartbeat", &args, 0, &names).expect("a request");
    assert_eq!((asked.key, asked.version), (CONSUMER_GROUP_HEARTBEAT, 0));
    assert_eq!(unanswered(&mut names, &asked.body), [json!(["consumer_heartbeat", args])]);
    let told = |id| {
        let partitions = TopicPartitions::default().with_topic_id(id).with_partitions(vec![2]);
        ConsumerGroupHeartbeatResponse::default()
            .with_member_id(Some(s("m")))
            .with_member_epoch(5)
            .with_heartbeat_interval_ms(300)
            .with_assignment(Some(Assignment::default().with_topic_partitions(vec![partitions])))
    };
    let reply = ResponseKind::ConsumerGroupHeartbeat(told(ID));
    let found = understand(&mut names, &asked.body, &reply, 0);
    let reply = json!({ "member_id": "m", "member_epoch": 5, "heartbeat_interval_ms": 300,
                        "assignment": { "t": [2] } });
    assert_eq!(plain(&found), [json!(["consumer_heartbeat", args, reply])]);
    // A topic that nobody named is left out, and counted.
    let reply = ResponseKind::ConsumerGroupHeartbeat(told(Uuid::from_u128(8)));
    let found = understand(&mut names, &asked.body, &reply, 0);
    assert_eq!(plain(&found)[0][2]["assignment"], json!({}));
    assert_eq!(names.untold(), 1);
}

#[test]
fn what_did_not_change_is_left_out() {
    let args = json!({ "group": "g", "member_id": "m", "member_epoch": 4 });
    let mut names = names();
    let asked = ask::request("consumer_heartbeat", &args, 0, &names).expect("a request");
    let reply = ConsumerGroupHeartbeatResponse::default().with_member_epoch(4);
    let found = understand(&mut names, &asked.body, &reply.into(), 0);
    let reply = json!({ "member_epoch": 4, "heartbeat_interval_ms": 0 });
    assert_eq!(plain(&found), [json!(["consumer_heartbeat", args, reply])]);
    let refused = ConsumerGroupHeartbeatResponse::default().with_error_code(110);
    let found = understand(&mut names, &asked.body, &refused.into(), 0);
    assert_eq!(plain(&found)[0][2], json!([22, "FENCED_MEMBER_EPOCH"]));
}

#[test]
fn an_expression_asks_for_version_1_and_an_unknown_topic_for_nothing() {
    let args = json!({ "group": "g", "member_id": "m", "member_epoch": 0, "regex": "t.*" });
    let asked = ask::request("consumer_heartbeat", &args, 0, &names()).expect("a request");
    assert_eq!(asked.version, 1);
    assert_eq!(unanswered(&mut names(), &asked.body), [json!(["consumer_heartbeat", args])]);
    let args = json!({ "group": "g", "member_id": "m", "member_epoch": 1, "owned": { "u": [0] } });
    let problem = ask::request("consumer_heartbeat", &args, 0, &names()).expect_err("no id");
    assert!(problem.contains("`u`"), "{problem}");
}

#[test]
fn an_answer_is_read_from_its_bytes() {
    for version in [0, 1] {
        let body = ConsumerGroupHeartbeatResponse::default().with_member_epoch(3);
        let mut bytes = BytesMut::new();
        bytes.put_i32(9);
        bytes.put_u8(0);
        body.encode(&mut bytes, version).expect("a body");
        let read = frame::reply(CONSUMER_GROUP_HEARTBEAT, version, bytes.freeze());
        assert_eq!(read, Ok((9, body.into())));
    }
    let args = json!({ "group": "g", "member_id": "m", "member_epoch": 1 });
    let asked = ask::request("consumer_heartbeat", &args, 0, &names()).expect("a request");
    let sent = frame::request(asked.key, asked.version, 1, Some("c"), &asked.body);
    let sent = sent.expect("a frame");
    // A node does not serve it.
    assert!(frame::head(sent.slice(4..)).is_err());
}

#[test]
fn offsets_are_asked_for_under_an_epoch() {
    let args = json!({ "group": "g", "member_id": "m", "member_epoch": 3, "topic": "t",
                       "partition": 1 });
    let asked = ask::request("fetch_offset", &args, 0, &names()).expect("a request");
    assert_eq!((asked.key, asked.version), (OFFSET_FETCH, 9));
    assert_eq!(unanswered(&mut names(), &asked.body), [json!(["fetch_offset", args])]);
    let without = RequestKind::OffsetFetch(OffsetFetchRequest::default());
    assert!(unanswered(&mut names(), &without).is_empty());
    let mut commit = args;
    commit["offset"] = json!(5);
    let asked = ask::request("commit_offset", &commit, 0, &names()).expect("a request");
    assert_eq!((asked.key, asked.version), (OFFSET_COMMIT, 9));
    let told = &unanswered(&mut names(), &asked.body)[0][1];
    assert_eq!((&told["generation"], &told["member_id"]), (&json!(3), &json!("m")));
}
