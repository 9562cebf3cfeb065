//! The admin port, as probes, Prometheus and people ask it.

use std::io::{Read, Write};
use std::net::TcpStream;

use bytes::Bytes;
use wire::batch::{self, Record};
use wire::errors;
use wire::kafka_protocol::messages::api_versions_request::ApiVersionsRequest;
use wire::kafka_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use wire::kafka_protocol::messages::join_group_request::{
    JoinGroupRequest, JoinGroupRequestProtocol,
};
use wire::kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use wire::kafka_protocol::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use wire::kafka_protocol::messages::sync_group_request::SyncGroupRequest;
use wire::kafka_protocol::protocol::StrBytes;

use super::broker::{Broker, Client, Folder, ask, enter};

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
    commit(client, 2);
}

/// Group `g` commits an offset of the first partition of `t`.
fn commit(client: &mut Client, offset: i64) {
    let partition = OffsetCommitRequestPartition::default().with_committed_offset(offset);
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
fn what_was_committed_below_0_is_no_offset_of_the_log() {
    let broker = Broker::dev(&["--admin", "127.0.0.1:0"]);
    let admin = broker.admin.clone().expect("it says where");
    let client = &mut broker.connect();
    fill(client);
    commit(client, -2);
    let (_, metrics) = get(&admin, "GET", "/metrics");
    assert!(!metrics.contains("kafka_consumergroup_current_offset{"), "{metrics}");
    let (_, groups) = get(&admin, "GET", "/v1/groups");
    let groups: serde_json::Value = serde_json::from_str(&groups).expect("JSON");
    let offset = &groups["groups"][0]["offsets"][0];
    assert_eq!((offset["committed"].is_null(), &offset["lag"]), (true, &serde_json::json!(3)));
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

fn has(metrics: &str, series: &str) {
    assert!(metrics.lines().any(|line| line == series), "{series}, of\n{metrics}");
}

#[test]
fn connections_requests_and_errors_are_counted() {
    let broker = Broker::dev(&["--admin", "127.0.0.1:0"]);
    let admin = broker.admin.clone().expect("it says where");
    let mut client = broker.connect();
    fill(&mut client);
    let data = PartitionProduceData::default().with_index(9).with_records(Some(Bytes::new()));
    let topic = TopicProduceData::default().with_name(StrBytes::from_static_str("t").into());
    let topics = vec![topic.with_partition_data(vec![data])];
    let request = ProduceRequest::default().with_acks(-1).with_topic_data(topics);
    let reply = ask!(client, Produce PRODUCE 9, request);
    let code = reply.responses[0].partition_responses[0].error_code;
    let error = errors::name(code).expect("a code of Kafka's");
    assert_ne!(code, errors::NONE);
    drop(broker.connect());
    let (_, metrics) = get(&admin, "GET", "/metrics");
    for series in [
        "cohort_kafka_connections_taken_total 2",
        "cohort_kafka_connections_refused_total 0",
        "cohort_kafka_requests_total{api=\"Produce\"} 2",
        "cohort_kafka_requests_total{api=\"CreateTopics\"} 1",
        &format!("cohort_kafka_errors_total{{api=\"Produce\",error=\"{error}\"}} 1"),
        "# TYPE cohort_kafka_requests counter",
    ] {
        has(&metrics, series);
    }
    assert!(!metrics.contains("error=\"NONE\""), "{metrics}");
    // The second one is seen to be closed in a moment.
    let begin = std::time::Instant::now();
    let one_is_open = |metrics: &str| metrics.lines().any(|l| l == "cohort_kafka_connections 1");
    while !one_is_open(&get(&admin, "GET", "/metrics").1) {
        assert!(begin.elapsed().as_secs() < 30, "it stays open");
    }
}

#[test]
fn rebalances_have_a_reason_and_a_duration() {
    let broker = Broker::dev(&["--admin", "127.0.0.1:0"]);
    let admin = broker.admin.clone().expect("it says where");
    let mut client = broker.connect();
    let text = StrBytes::from_static_str;
    let protocol = JoinGroupRequestProtocol::default().with_name(text("p"));
    let request = JoinGroupRequest::default()
        .with_group_id(text("g").into())
        .with_session_timeout_ms(300)
        .with_rebalance_timeout_ms(300)
        .with_protocol_type(text("connect"))
        .with_protocols(vec![protocol]);
    let joined = enter!(client, 5, request);
    assert_eq!(joined.error_code, errors::NONE);
    let (_, metrics) = get(&admin, "GET", "/metrics");
    has(&metrics, "cohort_rebalances_begun_total{reason=\"joined\"} 1");
    has(&metrics, "cohort_rebalance_seconds_count{reason=\"joined\"} 0");
    let request = SyncGroupRequest::default()
        .with_group_id(text("g").into())
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id);
    assert_eq!(ask!(client, SyncGroup SYNC_GROUP 3, request).error_code, errors::NONE);
    has(&get(&admin, "GET", "/metrics").1, "cohort_rebalance_seconds_count{reason=\"joined\"} 1");
    // Its session is over soon, and nobody is left.
    let begin = std::time::Instant::now();
    let expired = "cohort_rebalances_begun_total{reason=\"session_expired\"} 1";
    while !get(&admin, "GET", "/metrics").1.lines().any(|line| line == expired) {
        assert!(begin.elapsed().as_secs() < 30, "it is never over");
    }
}

#[test]
fn syncs_of_a_log_on_a_disk_are_measured() {
    let count = |metrics: &str| {
        let count = metrics.lines().find_map(|l| l.strip_prefix("cohort_log_sync_seconds_count "));
        count.map(|count| count.parse::<u64>().expect("a number"))
    };
    let broker = Broker::dev(&["--admin", "127.0.0.1:0"]);
    let (_, metrics) = get(&broker.admin.clone().expect("where"), "GET", "/metrics");
    assert_eq!(count(&metrics), None, "in memory nothing is synced");
    let folder = Folder::new();
    let mut command = super::broker::command();
    command.arg("--data-dir").arg(&folder.0).args(["--free-floor", "0", "--admin", "127.0.0.1:0"]);
    let broker = Broker::run(command);
    let admin = broker.admin.clone().expect("it says where");
    let before = count(&get(&admin, "GET", "/metrics").1).expect("it synced its first entries");
    fill(&mut broker.connect());
    let (_, metrics) = get(&admin, "GET", "/metrics");
    let after = count(&metrics).expect("it syncs");
    assert!(after >= before + 3, "each of three writes was synced: {before}, {after}");
    has(&metrics, "# UNIT cohort_log_sync_seconds seconds");
    has(&metrics, &format!("cohort_log_sync_seconds_bucket{{le=\"+Inf\"}} {after}"));
}

#[test]
fn connections_to_the_admin_port_are_bounded() {
    const MOST: usize = cohort::limits::ADMIN_CONNECTIONS;
    let broker = Broker::dev(&["--admin", "127.0.0.1:0"]);
    let admin = broker.admin.clone().expect("it says where");
    let silent: Vec<TcpStream> =
        (0..MOST).map(|_| TcpStream::connect(&admin).expect("it listens")).collect();
    let mut refused = TcpStream::connect(&admin).expect("the system takes it");
    // A reset is as good.
    assert_eq!(refused.read(&mut [0]).unwrap_or_default(), 0, "it is closed");
    assert_eq!(ask_versions(&broker), errors::NONE, "others are not concerned");
    drop(silent);
    // They are seen to be closed in a moment.
    let begin = std::time::Instant::now();
    let metrics = loop {
        assert!(begin.elapsed().as_secs() < 30, "there is no room");
        if let Some(metrics) = try_get(&admin, "/metrics") {
            break metrics;
        }
    };
    let refused = metrics.lines().find_map(|line| {
        line.strip_prefix("cohort_admin_connections_refused_total ")?.parse::<u64>().ok()
    });
    assert!(refused >= Some(1), "{metrics}");
}

fn ask_versions(broker: &Broker) -> i16 {
    let mut client = broker.connect();
    ask!(client, ApiVersions API_VERSIONS 2, ApiVersionsRequest::default()).error_code
}

/// A page, unless the connection is closed before it comes.
fn try_get(address: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
}
