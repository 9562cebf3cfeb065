//! The admin port, as probes, Prometheus and people ask it.

use std::io::{Read, Write};
use std::net::TcpStream;

use bytes::Bytes;
use wire::batch::{self, Record};
use wire::errors;
use wire::kafka_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use wire::kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use wire::kafka_protocol::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use wire::kafka_protocol::protocol::StrBytes;

use super::broker::{Broker, Client, ask};

/// The status and the body of a page.
fn get(address: &str, method: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
    (status, body.to_owned())
}

/// A topic `t` of two partitions, three records in the first, of which group `g` has read two.
fn fill(client: &mut Client) {
    let topic = CreatableTopic::default().with_name(StrBytes::from_static_str("t").into());
    let topic = topic.with_num_partitions(2).with_replication_factor(-1);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]);
    assert_eq!(ask!(client, CreateTopics CREATE_TOPICS 5, request).topics[0].error_code, 0);
    let record = |offset_delta| Record {
        offset_delta,
        timestamp: 1,
        key: None,
        value: Some(Bytes::from_static(b"x")),
        headers: Vec::new(),
    };
    let records = batch::build(&[record(0), record(1), record(2)], 1, None);
    let data = PartitionProduceData::default().with_records(Some(records));
    let topic = TopicProduceData::default().with_name(StrBytes::from_static_str("t").into());
    let topics = vec![topic.with_partition_data(vec![data])];
    let request = ProduceRequest::default().with_acks(-1).with_topic_data(topics);
    let reply = ask!(client, Produce PRODUCE 9, request);
    assert_eq!(reply.responses[0].partition_responses[0].error_code, errors::NONE);
    let partition = OffsetCommitRequestPartition::default().with_committed_offset(2);
    let topic = OffsetCommitRequestTopic::default()
        .with_name(StrBytes::from_static_str("t").into())
        .with_partitions(vec![partition]);
    let request = OffsetCommitRequest::default()
        .with_group_id(StrBytes::from_static_str("g").into())
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topic]);
    let reply = ask!(client, OffsetCommit OFFSET_COMMIT 7, request);
    assert_eq!(reply.topics[0].partitions[0].error_code, errors::NONE);
}

#[test]
fn a_nodes_pages_tell_what_there_is() {
    let broker = Broker::dev(&["--admin", "127.0.0.1:0"]);
    let admin = broker.admin.clone().expect("it says where");
    fill(&mut broker.connect());
    assert_eq!(get(&admin, "GET", "/livez"), (200, "ok\n".to_owned()));
    assert_eq!(get(&admin, "GET", "/readyz"), (200, "ok\n".to_owned()));
    assert_eq!(get(&admin, "GET", "/nothing").0, 404);
    assert_eq!(get(&admin, "POST", "/v1/topics").0, 405);
    let (status, metrics) = get(&admin, "GET", "/metrics");
    assert_eq!(status, 200);
    for series in [
        "kafka_brokers 1",
        &format!("kafka_broker_info{{id=\"1\",address=\"{}\"}} 1", broker.address),
        "cohort_raft_leader 1",
        "kafka_topic_partitions{topic=\"t\"} 2",
        "kafka_topic_partition_current_offset{topic=\"t\",partition=\"0\"} 3",
        "kafka_topic_partition_oldest_offset{topic=\"t\",partition=\"0\"} 0",
        "kafka_topic_partition_leader{topic=\"t\",partition=\"1\"} 1",
        "kafka_topic_partition_under_replicated_partition{topic=\"t\",partition=\"0\"} 0",
        "kafka_consumergroup_members{consumergroup=\"g\"} 0",
        "kafka_consumergroup_current_offset{consumergroup=\"g\",topic=\"t\",partition=\"0\"} 2",
        "kafka_consumergroup_lag{consumergroup=\"g\",topic=\"t\",partition=\"0\"} 1",
        "kafka_consumergroup_lag_sum{consumergroup=\"g\",topic=\"t\"} 1",
        "# EOF",
    ] {
        assert!(metrics.lines().any(|line| line == series), "{series}, of\n{metrics}");
    }
    let json = |path| {
        let (status, body) = get(&admin, "GET", path);
        assert_eq!(status, 200);
        serde_json::from_str::<serde_json::Value>(&body).expect("JSON")
    };
    let topics = json("/v1/topics");
    assert_eq!(topics["topics"][0]["topic"], "t");
    assert_eq!(topics["topics"][0]["partitions"][0]["end"], 3);
    let groups = json("/v1/groups");
    assert_eq!(groups["groups"][0]["group"], "g");
    assert_eq!(groups["groups"][0]["offsets"][0]["lag"], 1);
}

#[test]
fn series_of_topics_and_groups_come_from_the_leader_alone() {
    let broker = Broker::dev(&["--nodes", "3", "--admin", "127.0.0.1:0"]);
    let admin = broker.admin.clone().expect("it says where");
    let leads = |address: &&str| {
        get(address, "GET", "/metrics").1.lines().any(|line| line == "cohort_raft_leader 1")
    };
    let (leader, others): (Vec<&str>, Vec<&str>) = admin.split(',').partition(leads);
    let node = admin.split(',').position(|at| at == leader[0]).expect("one of them");
    let kafka = broker.address.split(',').nth(node).expect("as many");
    fill(&mut Client::to(kafka));
    let has_lag = |address: &str| {
        get(address, "GET", "/metrics").1.contains("kafka_consumergroup_lag{consumergroup=\"g\"")
    };
    assert!(has_lag(leader[0]));
    assert_eq!(others.len(), 2);
    for other in others {
        assert!(!has_lag(other), "it would be counted twice");
        let (status, groups) = get(other, "GET", "/v1/groups");
        assert_eq!(status, 200);
        assert!(groups.contains("\"lag\":1"), "every node tells people: {groups}");
    }
}
