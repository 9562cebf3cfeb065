//! Records are produced and fetched.

use std::io::Read;
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use wire::batch::{self, Producer, Record};
use wire::errors;
use wire::kafka_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use wire::kafka_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use wire::kafka_protocol::messages::delete_topics_request::DeleteTopicsRequest;
use wire::kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use wire::kafka_protocol::messages::fetch_response::PartitionData;
use wire::kafka_protocol::messages::init_producer_id_request::InitProducerIdRequest;
use wire::kafka_protocol::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use wire::kafka_protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use wire::kafka_protocol::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use wire::kafka_protocol::messages::produce_response::PartitionProduceResponse;
use wire::kafka_protocol::protocol::StrBytes;

use super::broker::{Broker, Client, Folder, ask, command, received};

fn name(name: &'static str) -> wire::kafka_protocol::messages::TopicName {
    StrBytes::from_static_str(name).into()
}

fn create(client: &mut Client, topic: &'static str, partitions: i32) {
    let topic = CreatableTopic::default()
        .with_name(name(topic))
        .with_num_partitions(partitions)
        .with_replication_factor(1);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]);
    let reply = ask!(client, CreateTopics CREATE_TOPICS 5, request);
    assert_eq!(reply.topics[0].error_code, errors::NONE);
}

/// Records with these times and the texts `r0`, `r1`…
fn records(times: &[i64]) -> Vec<Record> {
    let record = |(i, timestamp): (usize, &i64)| Record {
        offset_delta: u32::try_from(i).expect("few records"),
        timestamp: *timestamp,
        key: None,
        value: Some(Bytes::from(format!("r{i}"))),
        headers: Vec::new(),
    };
    times.iter().enumerate().map(record).collect()
}

fn produce(topic: &'static str, partition: i32, acks: i16, batch: Bytes) -> ProduceRequest {
    let data = PartitionProduceData::default().with_index(partition).with_records(Some(batch));
    let topic = TopicProduceData::default().with_name(name(topic)).with_partition_data(vec![data]);
    ProduceRequest::default().with_acks(acks).with_timeout_ms(1_000).with_topic_data(vec![topic])
}

fn send(client: &mut Client, topic: &'static str, batch: Bytes) -> PartitionProduceResponse {
    let reply = ask!(client, Produce PRODUCE 9, produce(topic, 0, -1, batch));
    reply.responses[0].partition_responses[0].clone()
}

fn fetch(topic: &'static str, offset: i64, wait_ms: i32) -> FetchRequest {
    let partition = FetchPartition::default()
        .with_partition(0)
        .with_current_leader_epoch(-1)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default().with_topic(name(topic)).with_partitions(vec![partition]);
    FetchRequest::default()
        .with_max_wait_ms(wait_ms)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_topics(vec![topic])
}

fn fetched(client: &mut Client, topic: &'static str, offset: i64) -> PartitionData {
    let reply = ask!(client, Fetch FETCH 12, fetch(topic, offset, 0));
    reply.responses[0].partitions[0].clone()
}

#[test]
fn what_was_produced_is_fetched_to_the_byte() {
    let broker = Broker::dev(&[]);
    let client = &mut broker.connect();
    create(client, "t", 1);
    let batches = [batch::build(&records(&[5, 3]), 5, None), batch::build(&records(&[9]), 9, None)];
    assert_eq!(send(client, "t", batches[0].clone()).base_offset, 0);
    assert_eq!(send(client, "t", batches[1].clone()).base_offset, 2);
    let found = fetched(client, "t", 1);
    assert_eq!((found.error_code, found.high_watermark), (errors::NONE, 3));
    let bytes = found.records.expect("records");
    let (first, second) = bytes.split_at(batches[0].len());
    // The base offset and the leader's epoch are the broker's; all else is as it was sent.
    for (found, (sent, offset)) in [first, second].into_iter().zip(batches.iter().zip([0, 2])) {
        assert_eq!(found[..8], u64::to_be_bytes(offset));
        assert_eq!((&found[8..12], &found[16..]), (&sent[8..12], &sent[16..]));
    }
    let beyond = fetched(client, "t", 4);
    assert_eq!((beyond.error_code, beyond.high_watermark), (errors::OFFSET_OUT_OF_RANGE, -1));
    let at_end = fetched(client, "t", 3);
    assert_eq!((at_end.error_code, at_end.records), (errors::NONE, Some(Bytes::new())));
}

#[test]
fn a_fetch_waits_for_records_and_is_woken_by_them() {
    let broker = Broker::dev(&[]);
    let (waits, writes) = (&mut broker.connect(), &mut broker.connect());
    create(writes, "t", 1);
    let correlation = waits.send(wire::versions::FETCH, 12, fetch("t", 0, 20_000));
    // Whether it has come before the records or after them, it is answered by them.
    let begun = Instant::now();
    assert_eq!(send(writes, "t", batch::build(&records(&[1]), 1, None)).base_offset, 0);
    let reply = received!(waits, Fetch FETCH 12, correlation);
    assert_eq!(reply.responses[0].partitions[0].high_watermark, 1);
    assert!(begun.elapsed() < Duration::from_secs(15), "it did not wait to its end");
}

#[test]
fn batches_that_break_a_rule_are_refused_and_nothing_is_appended() {
    let broker = Broker::dev(&["--message.max.bytes", "2000"]);
    let client = &mut broker.connect();
    create(client, "t", 1);
    let good = batch::build(&records(&[1, 2]), 1, None);
    let broken = |at: usize, bits: u8| {
        let mut bytes = good.to_vec();
        bytes[at] ^= bits;
        Bytes::from(bytes)
    };
    let large = Record { value: Some(vec![0; 3_000].into()), ..records(&[1]).remove(0) };
    for (what, batch, code) in [
        ("its checksum", broken(70, 1), errors::CORRUPT_MESSAGE),
        ("its magic", broken(16, 1), errors::CORRUPT_MESSAGE),
        ("nothing in it", Bytes::new(), errors::INVALID_RECORD),
        ("two batches", [&good[..], &good].concat().into(), errors::INVALID_RECORD),
        ("too large", batch::build(&[large], 1, None), errors::MESSAGE_TOO_LARGE),
    ] {
        assert_eq!(send(client, "t", batch).error_code, code, "{what}");
    }
    let reply = ask!(client, Produce PRODUCE 9, produce("t", 7, -1, good.clone()));
    let code = reply.responses[0].partition_responses[0].error_code;
    assert_eq!(code, errors::UNKNOWN_TOPIC_OR_PARTITION);
    let reply = ask!(client, Produce PRODUCE 9, produce("t", 0, 2, good.clone()));
    let code = reply.responses[0].partition_responses[0].error_code;
    assert_eq!(code, errors::INVALID_REQUIRED_ACKS);
    assert_eq!(fetched(client, "t", 0).high_watermark, 0);
    assert_eq!(send(client, "t", good).base_offset, 0);
}

#[test]
fn without_acknowledgements_nothing_is_answered_and_a_failure_closes() {
    let broker = Broker::dev(&[]);
    let client = &mut broker.connect();
    create(client, "t", 1);
    let good = batch::build(&records(&[1]), 1, None);
    client.send(wire::versions::PRODUCE, 9, produce("t", 0, 0, good.clone()));
    assert_eq!(send(client, "t", good.clone()).base_offset, 1, "the next reply is of the next");
    client.send(wire::versions::PRODUCE, 9, produce("unknown", 0, 0, good));
    assert!(client.frame().is_none(), "closed");
}

#[test]
fn more_produces_than_are_taken_at_once_are_answered_in_order_before_one_that_closes() {
    let broker = Broker::dev(&[]);
    let client = &mut broker.connect();
    create(client, "t", 1);
    let good = batch::build(&records(&[1]), 1, None);
    let mut send = |topic, acks| {
        client.send(wire::versions::PRODUCE, 9, produce(topic, 0, acks, good.clone()))
    };
    let sent: Vec<i32> = (0..1_500).map(|_| send("t", -1)).collect();
    send("unknown", 0);
    for (offset, correlation) in (0..).zip(sent) {
        let reply = received!(client, Produce PRODUCE 9, correlation);
        let partition = &reply.responses[0].partition_responses[0];
        assert_eq!((partition.error_code, partition.base_offset), (errors::NONE, offset));
    }
    assert!(client.frame().is_none(), "closed");
}

#[test]
fn an_idempotent_producers_batches_are_appended_once_in_a_pipeline_too() {
    let broker = Broker::dev(&[]);
    let client = &mut broker.connect();
    create(client, "t", 1);
    let request = InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_producer_id((-1).into())
        .with_producer_epoch(-1);
    let made = ask!(client, InitProducerId INIT_PRODUCER_ID 4, request.clone());
    let other = ask!(client, InitProducerId INIT_PRODUCER_ID 4, request);
    assert_ne!(made.producer_id, other.producer_id);
    let numbered = |base_sequence| {
        let producer = Producer { id: made.producer_id.0, epoch: 0, base_sequence };
        batch::build(&records(&[1]), 1, Some(producer))
    };
    let sequences = [0, 1, 2, 1, 3, 9, 4];
    let sent = sequences.map(|sequence| {
        client.send(wire::versions::PRODUCE, 9, produce("t", 0, -1, numbered(sequence)))
    });
    let answers = sent.map(|correlation| {
        let reply = received!(client, Produce PRODUCE 9, correlation);
        let partition = &reply.responses[0].partition_responses[0];
        (partition.error_code, partition.base_offset)
    });
    let out_of_order = (errors::OUT_OF_ORDER_SEQUENCE_NUMBER, -1);
    let done = |offset| (errors::NONE, offset);
    assert_eq!(answers, [done(0), done(1), done(2), done(1), done(3), out_of_order, done(4)]);
}

#[test]
fn a_transactional_id_is_refused_for_good() {
    let broker = Broker::dev(&[]);
    let request = InitProducerIdRequest::default()
        .with_transactional_id(Some(StrBytes::from_static_str("t").into()))
        .with_transaction_timeout_ms(1_000)
        .with_producer_id((-1).into())
        .with_producer_epoch(-1);
    let client = &mut broker.connect();
    let refused = ask!(client, InitProducerId INIT_PRODUCER_ID 4, request);
    // No client of those that are served takes this one for something to wait for.
    assert_eq!(refused.error_code, errors::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    assert_eq!(refused.producer_id.0, -1);
}

#[test]
fn regression_connections_leave_a_node_the_files_that_its_records_need() {
    let folder = Folder::new();
    let mut limited = Command::new("sh");
    let script =
        r#"ulimit -n 430; exec "$0" serve --kafka 127.0.0.1:0 --free-floor 0 --data-dir "$1""#;
    limited.args(["-c", script, env!("CARGO_BIN_EXE_cohort")]).arg(&folder.0);
    limited.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let broker = Broker::run(limited);
    let client = &mut broker.connect();
    // It had no file left for the first record, and ended.
    let others: Vec<TcpStream> =
        (0..600).map(|_| TcpStream::connect(&broker.address).expect("it listens")).collect();
    create(client, "t", 3);
    for partition in 0..3 {
        let batch = batch::build(&records(&[1]), 1, None);
        let reply = ask!(client, Produce PRODUCE 9, produce("t", partition, -1, batch));
        assert_eq!(reply.responses[0].partition_responses[0].error_code, errors::NONE);
    }
    // What is closed gives an end to read, what is open nothing at all.
    let is_open = |stream: &mut TcpStream| {
        stream.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
        stream.read(&mut [0]).is_err()
    };
    let mut last = TcpStream::connect(&broker.address).expect("it listens");
    assert!(!is_open(&mut last), "so many are not taken");
    drop(others);
    let begin = Instant::now();
    while !is_open(&mut TcpStream::connect(&broker.address).expect("it listens")) {
        assert!(begin.elapsed() < Duration::from_secs(10), "there is room again");
    }
}

fn offset_at(client: &mut Client, timestamp: i64) -> (i16, i64, i64) {
    let partition =
        ListOffsetsPartition::default().with_current_leader_epoch(-1).with_timestamp(timestamp);
    let topic = ListOffsetsTopic::default().with_name(name("t")).with_partitions(vec![partition]);
    let request = ListOffsetsRequest::default().with_topics(vec![topic]);
    let reply = ask!(client, ListOffsets LIST_OFFSETS 7, request);
    let found = &reply.topics[0].partitions[0];
    (found.error_code, found.offset, found.timestamp)
}

#[test]
fn offsets_are_found_by_time_record_by_record() {
    let broker = Broker::dev(&[]);
    let client = &mut broker.connect();
    create(client, "t", 1);
    assert_eq!(offset_at(client, 5), (errors::NONE, -1, -1), "an empty log");
    for times in [&[10, 30, 20][..], &[15], &[50, 40]] {
        assert_eq!(send(client, "t", batch::build(&records(times), times[0], None)).error_code, 0);
    }
    for (timestamp, expected) in [
        (0, (0, 10)),
        (10, (0, 10)),
        (11, (1, 30)),
        (31, (4, 50)),
        (51, (-1, -1)),
        (-1, (6, -1)),
        (-2, (0, -1)),
        (-3, (4, 50)),
    ] {
        let (offset, time) = expected;
        assert_eq!(offset_at(client, timestamp), (errors::NONE, offset, time), "{timestamp}");
    }
    let partition = DeleteRecordsPartition::default().with_offset(2);
    let topic = DeleteRecordsTopic::default().with_name(name("t")).with_partitions(vec![partition]);
    let request = DeleteRecordsRequest::default().with_topics(vec![topic]);
    let reply = ask!(client, DeleteRecords DELETE_RECORDS 1, request);
    assert_eq!(reply.topics[0].partitions[0].low_watermark, 2);
    assert_eq!(offset_at(client, 11), (errors::NONE, 2, 20), "what is deleted is not found");
    assert_eq!(offset_at(client, -2), (errors::NONE, 2, -1));
    assert_eq!(fetched(client, "t", 1).error_code, errors::OFFSET_OUT_OF_RANGE);
}

#[test]
fn topics_are_made_on_first_use_only_where_that_is_allowed() {
    let asks = |topic| {
        let topic = MetadataRequestTopic::default().with_name(Some(name(topic)));
        MetadataRequest::default().with_topics(Some(vec![topic]))
    };
    let broker = Broker::dev(&["--num.partitions", "3"]);
    let client = &mut broker.connect();
    let refused =
        ask!(client, Metadata METADATA 9, asks("a").with_allow_auto_topic_creation(false));
    assert_eq!(refused.topics[0].error_code, errors::UNKNOWN_TOPIC_OR_PARTITION);
    let made = ask!(client, Metadata METADATA 12, asks("a").with_allow_auto_topic_creation(true));
    assert_eq!((made.topics[0].error_code, made.topics[0].partitions.len()), (errors::NONE, 3));
    assert_eq!(made.brokers.len(), 1);
    assert!(!made.topics[0].topic_id.is_nil());
    let broker = Broker::dev(&["--auto.create.topics.enable", "false"]);
    let client = &mut broker.connect();
    let refused = ask!(client, Metadata METADATA 9,
        asks("a").with_allow_auto_topic_creation(true));
    assert_eq!(refused.topics[0].error_code, errors::UNKNOWN_TOPIC_OR_PARTITION);
}

#[test]
fn what_was_acknowledged_outlives_a_kill() {
    let folder = Folder::new();
    let start = || {
        let mut command = command();
        command.args(["--free-floor", "0", "--data-dir"]).arg(&folder.0);
        Broker::run(command)
    };
    let mut broker = start();
    create(&mut broker.connect(), "t", 1);
    for round in 0..3 {
        let client = &mut broker.connect();
        for i in 0..20 {
            let sent = send(client, "t", batch::build(&records(&[i, i]), i, None));
            assert_eq!((sent.error_code, sent.base_offset), (0, 40 * round + 2 * i));
        }
        broker.child.kill().expect("it runs");
        drop(broker);
        broker = start();
        let found = fetched(&mut broker.connect(), "t", 0);
        assert_eq!(found.high_watermark, 40 * (round + 1));
    }
}

/// A floor of free space, in MiB, that no disk has.
const NO_ROOM: &str = "4294967295";

fn with_floor(folder: &Folder, floor: &str) -> Broker {
    let mut command = command();
    command.args(["--free-floor", floor, "--data-dir"]).arg(&folder.0);
    Broker::run(command)
}

#[test]
fn regression_on_a_disk_without_room_what_is_deleted_makes_room() {
    let folder = Folder::new();
    let broker = with_floor(&folder, "0");
    let client = &mut broker.connect();
    for topic in ["t", "u"] {
        create(client, topic, 1);
        assert_eq!(send(client, topic, batch::build(&records(&[1]), 1, None)).error_code, 0);
    }
    drop(broker);
    let files = || std::fs::read_dir(folder.0.join("records")).expect("a folder").count();
    assert_eq!(files(), 2);
    let broker = with_floor(&folder, NO_ROOM);
    let client = &mut broker.connect();
    // Files go with a checkpoint, and without records the log never grew up to one. Nor did they go
    // while the node had the checkpoint before, which names them: that of the first deletion.
    for (topic, left) in [("t", 1), ("u", 0)] {
        let request = DeleteTopicsRequest::default().with_topic_names(vec![name(topic)]);
        let reply = ask!(client, DeleteTopics DELETE_TOPICS 4, request);
        assert_eq!(reply.responses[0].error_code, errors::NONE);
        let begin = Instant::now();
        while files() > left {
            assert!(begin.elapsed() < Duration::from_secs(20), "{topic} is still there");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn regression_below_the_floor_of_free_space_kafkas_records_are_refused_too() {
    let folder = Folder::new();
    let broker = with_floor(&folder, NO_ROOM);
    let client = &mut broker.connect();
    create(client, "t", 1);
    let batch = || batch::build(&records(&[1]), 1, None);
    // The first look at the disk comes soon after the start.
    let taken = (0..1_000).take_while(|_| send(client, "t", batch()).error_code == 0).count();
    assert!(taken < 1_000, "records are refused");
    let refused = send(client, "t", batch());
    assert_eq!((refused.error_code, refused.base_offset), (errors::KAFKA_STORAGE_ERROR, -1));
    create(client, "u", 1);
    assert_eq!(fetched(client, "t", 0).high_watermark, i64::try_from(taken).expect("few"));
    drop(broker);
    let broker = with_floor(&folder, "0");
    let sent = send(&mut broker.connect(), "t", batch());
    assert_eq!((sent.error_code, sent.base_offset), (0, i64::try_from(taken).expect("few")));
}
