//! Topics are configured, and what that does.

use bytes::Bytes;
use wire::batch::{self, Record};
use wire::errors;
use wire::kafka_protocol::messages::TopicName;
use wire::kafka_protocol::messages::alter_configs_request::{
    AlterConfigsRequest, AlterConfigsResource as Replaced, AlterableConfig as Replacement,
};
use wire::kafka_protocol::messages::create_topics_request::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use wire::kafka_protocol::messages::describe_configs_request::{
    DescribeConfigsRequest, DescribeConfigsResource,
};
use wire::kafka_protocol::messages::describe_configs_response::DescribeConfigsResult;
use wire::kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use wire::kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use wire::kafka_protocol::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use wire::kafka_protocol::messages::produce_response::PartitionProduceResponse;
use wire::kafka_protocol::protocol::StrBytes;

use super::broker::{Broker, Client, Folder, ask, command};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

const SET: i8 = 0;
const UNSET: i8 = 1;
const ADD: i8 = 2;
const REMOVE: i8 = 3;

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn durable(folder: &Folder) -> Broker {
    let mut command = command();
    command.args(["--free-floor", "0", "--data-dir"]).arg(&folder.0);
    Broker::run(command)
}

/// Makes a topic; the code, what is said about it, and what it then has that is no default.
fn create(client: &mut Client, topic: &str, configs: &[(&str, &str)]) -> (i16, Vec<String>) {
    let config = |(name, value): &(&str, &str)| {
        CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value)))
    };
    let topic = CreatableTopic::default()
        .with_name(TopicName(text(topic)))
        .with_num_partitions(1)
        .with_replication_factor(1)
        .with_configs(configs.iter().map(config).collect());
    let request = CreateTopicsRequest::default().with_topics(vec![topic]);
    let reply = ask!(client, CreateTopics CREATE_TOPICS 5, request).topics.remove(0);
    let told = reply.configs.into_iter().flatten().filter(|config| config.config_source == 1);
    let told = told.map(|it| format!("{}={}", it.name.as_str(), it.value.expect("a value")));
    (reply.error_code, told.collect())
}

fn describe(client: &mut Client, topic: &str) -> DescribeConfigsResult {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(text(topic))
        .with_configuration_keys(None);
    let request = DescribeConfigsRequest::default()
        .with_resources(vec![resource])
        .with_include_synonyms(true);
    ask!(client, DescribeConfigs DESCRIBE_CONFIGS 4, request).results.remove(0)
}

/// The value of a configuration, its source, and those of its synonyms.
fn value(client: &mut Client, topic: &str, name: &str) -> (String, i8, Vec<(String, i8)>) {
    let configs = describe(client, topic).configs;
    let found = configs.into_iter().find(|config| config.name.as_str() == name);
    let found = found.expect("it is told");
    let synonyms = found.synonyms.into_iter();
    let synonyms = synonyms.map(|it| (it.value.expect("a value").to_string(), it.source));
    (found.value.expect("a value").to_string(), found.config_source, synonyms.collect())
}

/// Changes configurations one by one; the code.
fn change(client: &mut Client, kind: i8, name: &str, changes: &[(&str, i8, &str)]) -> i16 {
    changed(client, kind, name, changes, false)
}

fn changed(
    client: &mut Client,
    kind: i8,
    name: &str,
    changes: &[(&str, i8, &str)],
    only: bool,
) -> i16 {
    let config = |(name, operation, value): &(&str, i8, &str)| {
        AlterableConfig::default()
            .with_name(text(name))
            .with_config_operation(*operation)
            .with_value((*operation != UNSET).then(|| text(value)))
    };
    let resource = AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configs(changes.iter().map(config).collect());
    let request = IncrementalAlterConfigsRequest::default()
        .with_resources(vec![resource])
        .with_validate_only(only);
    let reply = ask!(client, IncrementalAlterConfigs INCREMENTAL_ALTER_CONFIGS 1, request);
    let response = &reply.responses[0];
    assert_eq!(response.error_code == errors::NONE, response.error_message.is_none());
    response.error_code
}

fn replace(client: &mut Client, topic: &str, configs: &[(&str, Option<&str>)]) -> i16 {
    let config = |(name, value): &(&str, Option<&str>)| {
        Replacement::default().with_name(text(name)).with_value(value.map(text))
    };
    let resource = Replaced::default()
        .with_resource_type(TOPIC)
        .with_resource_name(text(topic))
        .with_configs(configs.iter().map(config).collect());
    let request = AlterConfigsRequest::default().with_resources(vec![resource]);
    ask!(client, AlterConfigs ALTER_CONFIGS 2, request).responses[0].error_code
}

/// Appends one record of so many bytes; the code.
fn send(client: &mut Client, topic: &str, bytes: usize) -> i16 {
    produce(client, topic, bytes, 1_000).error_code
}

/// Appends one record of so many bytes and of this time.
fn produce(
    client: &mut Client,
    topic: &str,
    bytes: usize,
    timestamp: i64,
) -> PartitionProduceResponse {
    let record = Record {
        offset_delta: 0,
        timestamp,
        key: None,
        value: Some(Bytes::from(vec![b'x'; bytes])),
        headers: Vec::new(),
    };
    produce_all(client, topic, batch::build(&[record], timestamp, None))
}

fn produce_all(client: &mut Client, topic: &str, batch: Bytes) -> PartitionProduceResponse {
    let data = PartitionProduceData::default().with_records(Some(batch));
    let data = TopicProduceData::default()
        .with_name(TopicName(text(topic)))
        .with_partition_data(vec![data]);
    let request =
        ProduceRequest::default().with_acks(-1).with_timeout_ms(1_000).with_topic_data(vec![data]);
    ask!(client, Produce PRODUCE 9, request).responses[0].partition_responses[0].clone()
}

/// The first batch of partition 0.
fn first_batch(client: &mut Client, topic: &str) -> Bytes {
    let partition =
        FetchPartition::default().with_current_leader_epoch(-1).with_partition_max_bytes(1 << 20);
    let topic =
        FetchTopic::default().with_topic(TopicName(text(topic))).with_partitions(vec![partition]);
    let request = FetchRequest::default().with_max_bytes(1 << 20).with_topics(vec![topic]);
    let reply = ask!(client, Fetch FETCH 11, request);
    reply.responses[0].partitions[0].records.clone().expect("records")
}

#[test]
fn what_a_topic_is_made_with_is_told() {
    let broker = Broker::dev(&["--retention.ms", "5000"]);
    let client = &mut broker.connect();
    let (code, told) = create(client, "t", &[("retention.ms", "77"), ("preallocate", "true")]);
    assert_eq!(
        (code, told),
        (errors::NONE, vec!["preallocate=true".into(), "retention.ms=77".into()])
    );
    let told = |value: &str, source| (value.to_owned(), source);
    let synonyms = vec![told("77", 1), told("5000", 4), told("168", 5)];
    assert_eq!(value(client, "t", "retention.ms"), ("77".to_owned(), 1, synonyms));
    for wrong in [("retention.ms", "soon"), ("retention", "1"), ("cleanup.policy", "never")] {
        assert_eq!(create(client, "u", &[wrong]).0, errors::INVALID_CONFIG, "{wrong:?}");
    }
    assert_eq!(describe(client, "u").error_code, errors::UNKNOWN_TOPIC_OR_PARTITION);
}

#[test]
fn the_default_time_of_retention_is_told_beside_a_brokers_own_alone() {
    let broker = Broker::dev(&[]);
    let client = &mut broker.connect();
    create(client, "t", &[]);
    create(client, "u", &[("retention.ms", "77")]);
    assert_eq!(value(client, "t", "retention.ms"), ("604800000".to_owned(), 5, vec![]));
    let own = vec![("77".to_owned(), 1)];
    assert_eq!(value(client, "u", "retention.ms"), ("77".to_owned(), 1, own));
}

#[test]
fn configurations_change_one_by_one_or_all_at_once() {
    let broker = Broker::dev(&[]);
    let client = &mut broker.connect();
    create(client, "t", &[]);
    let (policy, ms) = ("cleanup.policy", "retention.ms");
    for (changes, expected, code) in [
        (&[(ms, SET, "5")][..], ("delete", "5"), errors::NONE),
        (&[(policy, ADD, "compact"), (ms, SET, "6")], ("delete,compact", "6"), errors::NONE),
        (&[(policy, REMOVE, "delete")], ("compact", "6"), errors::NONE),
        (&[(ms, SET, "7"), (policy, SET, "x")], ("compact", "6"), errors::INVALID_CONFIG),
        (&[(ms, ADD, "7")], ("compact", "6"), errors::INVALID_CONFIG),
        (&[(ms, 4, "7")], ("compact", "6"), errors::INVALID_REQUEST),
        (&[(ms, SET, "7"), (ms, SET, "8")], ("compact", "6"), errors::INVALID_REQUEST),
        (&[("retention", SET, "7")], ("compact", "6"), errors::INVALID_CONFIG),
        (&[(ms, UNSET, ""), (policy, UNSET, "")], ("delete", "604800000"), errors::NONE),
    ] {
        assert_eq!(change(client, TOPIC, "t", changes), code, "{changes:?}");
        let now = (value(client, "t", policy).0, value(client, "t", ms).0);
        assert_eq!((now.0.as_str(), now.1.as_str()), expected, "{changes:?}");
    }
    assert_eq!(changed(client, TOPIC, "t", &[(ms, SET, "9")], true), errors::NONE);
    assert_eq!(changed(client, TOPIC, "t", &[(ms, SET, "?")], true), errors::INVALID_CONFIG);
    assert_eq!(value(client, "t", ms).0, "604800000", "only asked whether");
    let all = [(ms, Some("1")), ("preallocate", Some("true"))];
    assert_eq!(replace(client, "t", &all), errors::NONE);
    assert_eq!(replace(client, "t", &[(ms, None)]), errors::INVALID_REQUEST);
    assert_eq!(value(client, "t", "preallocate").1, 1);
    assert_eq!(replace(client, "t", &[(ms, Some("2"))]), errors::NONE);
    assert_eq!(value(client, "t", "preallocate").1, 5, "what is not named goes");
}

#[test]
fn a_broker_tells_what_it_was_told_and_what_topics_have_by_default() {
    let settings = ["--node-id", "0", "--num.partitions", "3", "--segment.bytes", "4096"];
    let broker = Broker::dev(&settings);
    let resource = DescribeConfigsResource::default()
        .with_resource_type(BROKER)
        .with_resource_name(text("0"))
        .with_configuration_keys(None);
    let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
    let client = &mut broker.connect();
    let told = ask!(client, DescribeConfigs DESCRIBE_CONFIGS 4, request);
    let told = &told.results[0].configs;
    assert!(
        told.is_sorted_by_key(|config| config.name.as_str()) && told.iter().all(|it| it.read_only)
    );
    let listener = format!("PLAINTEXT://{}", broker.address);
    for (name, value, source) in [
        ("node.id", "0", 4),
        ("broker.id", "0", 4),
        ("num.partitions", "3", 4),
        ("log.segment.bytes", "4096", 4),
        ("log.retention.ms", "604800000", 5),
        ("log.cleanup.policy", "delete", 5),
        ("message.max.bytes", "1048588", 5),
        ("default.replication.factor", "1", 4),
        ("advertised.listeners", &listener, 4),
    ] {
        let config = told.iter().find(|config| config.name.as_str() == name).expect(name);
        let now = (config.value.as_ref().map(|it| it.as_str()), config.config_source);
        assert_eq!(now, (Some(value), source), "{name}");
    }
}

#[test]
fn what_cannot_be_changed_is_refused() {
    let broker = Broker::dev(&[]);
    let client = &mut broker.connect();
    for (kind, name, code) in [
        (TOPIC, "nowhere", errors::UNKNOWN_TOPIC_OR_PARTITION),
        (TOPIC, "no topic", errors::INVALID_TOPIC_EXCEPTION),
        (BROKER, "1", errors::INVALID_REQUEST),
        (BROKER, "", errors::INVALID_REQUEST),
        (8, "1", errors::INVALID_REQUEST),
        (77, "x", errors::INVALID_REQUEST),
    ] {
        let changes = [("retention.ms", SET, "1")];
        assert_eq!(change(client, kind, name, &changes), code, "{kind} {name}");
    }
}

#[test]
fn a_topic_says_how_large_its_batches_are() {
    let broker = Broker::dev(&["--message.max.bytes", "2000"]);
    let client = &mut broker.connect();
    create(client, "t", &[]);
    create(client, "large", &[("max.message.bytes", "100000")]);
    assert_eq!(send(client, "t", 1_000), errors::NONE);
    assert_eq!(send(client, "t", 3_000), errors::MESSAGE_TOO_LARGE);
    assert_eq!(send(client, "large", 3_000), errors::NONE);
    assert_eq!(send(client, "large", 100_000), errors::MESSAGE_TOO_LARGE);
    let smaller = [("max.message.bytes", SET, "500")];
    assert_eq!(change(client, TOPIC, "t", &smaller), errors::NONE);
    assert_eq!(send(client, "t", 1_000), errors::MESSAGE_TOO_LARGE);
    assert_eq!(send(client, "t", 100), errors::NONE);
}

#[test]
fn regression_a_compacted_topic_takes_no_records_without_a_key() {
    let broker = Broker::dev(&[]);
    let client = &mut broker.connect();
    create(client, "t", &[("cleanup.policy", "compact")]);
    let record = |offset_delta, key: Option<&'static str>| Record {
        offset_delta,
        key: key.map(Bytes::from),
        value: Some(Bytes::from("v")),
        ..Record::default()
    };
    let records = [record(0, None), record(1, Some("k")), record(2, None)];
    let reply = produce_all(client, "t", batch::build(&records, 0, None));
    assert_eq!((reply.error_code, reply.base_offset), (errors::INVALID_RECORD, -1));
    let bad: Vec<_> = reply.record_errors.iter().map(|it| it.batch_index).collect();
    assert_eq!(bad, [0, 2], "which ones clients fail, and the others for being with them");
    assert!(reply.record_errors.iter().all(|it| it.batch_index_error_message.is_some()));
    let reply = produce_all(client, "t", batch::build(&[record(0, Some("k"))], 0, None));
    assert_eq!((reply.error_code, reply.base_offset), (errors::NONE, 0));
    let not_compacted = [("cleanup.policy", SET, "delete")];
    assert_eq!(change(client, TOPIC, "t", &not_compacted), errors::NONE);
    let reply = produce_all(client, "t", batch::build(&records, 0, None));
    assert_eq!((reply.error_code, reply.base_offset), (errors::NONE, 1));
}

#[test]
fn records_bear_the_time_of_their_append_where_the_topic_says_so() {
    let folder = Folder::new();
    for broker in [Broker::dev(&[]), durable(&folder)] {
        let client = &mut broker.connect();
        create(client, "t", &[("message.timestamp.type", "LogAppendTime")]);
        // A time in the year 5138, which no other topic would take.
        let reply = produce(client, "t", 10, 100_000_000_000_000);
        let appended = reply.log_append_time_ms;
        assert_eq!(reply.error_code, errors::NONE);
        assert!((1_700_000_000_000..100_000_000_000_000).contains(&appended), "{appended}");
        let batch = first_batch(client, "t");
        assert_eq!(batch[35..43], appended.to_be_bytes(), "its greatest time");
        let checked = batch::check(&batch, &batch::Limits::default());
        assert!(checked.is_err(), "only a broker says so: bit 3 is set");
        assert_eq!(batch::crc_of(&batch).to_be_bytes(), batch[17..21], "the checksum is right");
    }
}

#[test]
fn times_may_be_ahead_of_the_clock_as_far_as_the_topic_says() {
    let broker = Broker::dev(&[]);
    let client = &mut broker.connect();
    create(client, "t", &[]);
    create(client, "far", &[("message.timestamp.after.max.ms", "9223372036854775807")]);
    let (year_5138, refused) = (100_000_000_000_000, errors::INVALID_TIMESTAMP);
    let reply = produce(client, "t", 10, year_5138);
    assert_eq!((reply.error_code, reply.log_append_time_ms), (refused, -1));
    let reply = produce(client, "far", 10, year_5138);
    assert_eq!((reply.error_code, reply.log_append_time_ms), (errors::NONE, -1));
}

#[test]
fn configurations_outlive_the_process() {
    let folder = Folder::new();
    let broker = durable(&folder);
    let client = &mut broker.connect();
    create(client, "t", &[("retention.ms", "77")]);
    assert_eq!(change(client, TOPIC, "t", &[("segment.bytes", SET, "2048")]), errors::NONE);
    drop(broker);
    let broker = durable(&folder);
    let client = &mut broker.connect();
    assert_eq!(value(client, "t", "retention.ms").0, "77");
    assert_eq!(value(client, "t", "segment.bytes").0, "2048");
}
