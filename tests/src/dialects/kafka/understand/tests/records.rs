//! Produce, Fetch, ListOffsets, InitProducerId.

use bytes::Bytes;
use serde_json::json;
use wire::batch::{Producer, Record, build, seal, set_base_offset};
use wire::kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use wire::kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use wire::kafka_protocol::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsTopic,
};
use wire::kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use wire::kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use wire::kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use wire::kafka_protocol::messages::produce_response::{
    PartitionProduceResponse, TopicProduceResponse,
};
use wire::kafka_protocol::messages::{
    FetchRequest, FetchResponse, InitProducerIdRequest, InitProducerIdResponse, ListOffsetsRequest,
    ListOffsetsResponse, MetadataResponse, ProduceRequest, ProduceResponse, RequestKind,
    ResponseKind,
};
use wire::versions::{FETCH, INIT_PRODUCER_ID, LIST_OFFSETS, PRODUCE};

use super::{TopicNames, ends, over_the_wire, plain, s, told, unanswered};

/// The id of the topic `t`.
const ID: &str = "00000000-0000-4000-8000-00000000002a";

fn batch(base: u64, values: &[&[u8]], producer: Option<Producer>) -> Vec<u8> {
    let record = |(at, value): (usize, &&[u8])| Record {
        offset_delta: at as u32,
        key: (at == 0).then(|| Bytes::from_static(b"k")),
        value: (!value.is_empty()).then(|| Bytes::copy_from_slice(value)),
        ..Record::default()
    };
    let records: Vec<Record> = values.iter().enumerate().map(record).collect();
    let mut batch = build(&records, 0, producer).to_vec();
    set_base_offset(&mut batch, base);
    batch
}

fn with_attributes(mut batch: Vec<u8>, attributes: u8) -> Vec<u8> {
    batch[22] |= attributes;
    seal(&mut batch);
    batch
}

fn produce(partitions: &[(i32, Vec<u8>)]) -> RequestKind {
    let data = |(index, records): &(i32, Vec<u8>)| {
        let records = Some(Bytes::copy_from_slice(records));
        PartitionProduceData::default().with_index(*index).with_records(records)
    };
    let topic = TopicProduceData::default()
        .with_name(s("t").into())
        .with_partition_data(partitions.iter().map(data).collect());
    RequestKind::Produce(ProduceRequest::default().with_acks(-1).with_topic_data(vec![topic]))
}

fn produced(partitions: &[(i32, i16, i64)]) -> ResponseKind {
    let answer = |(index, code, base): &(i32, i16, i64)| {
        PartitionProduceResponse::default()
            .with_index(*index)
            .with_error_code(*code)
            .with_base_offset(*base)
    };
    let topic = TopicProduceResponse::default()
        .with_name(s("t").into())
        .with_partition_responses(partitions.iter().map(answer).collect());
    ResponseKind::Produce(ProduceResponse::default().with_responses(vec![topic]))
}

#[test]
fn each_record_of_a_produce_is_a_send() {
    let producer = Producer { id: 9, epoch: 2, base_sequence: i32::MAX };
    let request = produce(&[
        (0, batch(0, &[b"a", b"\xff"], Some(producer))),
        (1, batch(0, &[b""], None)),
        (2, batch(0, &[b"late"], None)),
        (3, batch(0, &[b"silent"], None)),
        (4, batch(0, &[b"again"], None)),
    ]);
    let reply = produced(&[(1, 10, -1), (0, 0, 40), (2, 6, -1), (4, 0, -1)]);
    let names = &mut TopicNames::default();
    let first = json!({ "topic": "t", "partition": 0, "message": "a", "key": "k",
        "producer_id": 9, "producer_epoch": 2, "sequence": 2_147_483_647 });
    for version in ends(PRODUCE) {
        let found = told(names, (PRODUCE, version), request.clone(), reply.clone());
        assert_eq!(
            plain(&found),
            [
                json!(["send", first, { "partition": 0, "offset": 40 }]),
                json!(["send",
                    { "topic": "t", "partition": 0, "message": { "base64": "/w==" },
                      "producer_id": 9, "producer_epoch": 2, "sequence": 0 },
                    { "partition": 0, "offset": 41 }]),
                json!(["send", { "topic": "t", "partition": 1, "message": null, "key": "k" },
                    [12, "MESSAGE_TOO_LARGE"]]),
                json!(["send", { "topic": "t", "partition": 2, "message": "late", "key": "k" },
                    [0, "NOT_LEADER_OR_FOLLOWER"]]),
                json!(["send", { "topic": "t", "partition": 3, "message": "silent", "key": "k" },
                    [0, null]]),
                json!(["send", { "topic": "t", "partition": 4, "message": "again", "key": "k" },
                    [0, "DUPLICATE_SEQUENCE_NUMBER"]]),
            ]
        );
    }
    let request = over_the_wire(PRODUCE, 3, &request);
    assert_eq!(unanswered(names, &request)[0], json!(["send", first]));
}

#[test]
fn a_transaction_is_told_and_old_formats_are_not() {
    let producer = Producer { id: 9, epoch: 0, base_sequence: 0 };
    let mut old = batch(0, &[b"old"], None);
    old[16] = 1;
    let request = produce(&[
        (0, with_attributes(batch(0, &[b"a"], Some(producer)), 0x10)),
        (1, old),
        (2, batch(0, &[b"b"], None)),
    ]);
    let names = &mut TopicNames::default();
    let found = told(names, (PRODUCE, 9), request, produced(&[(0, 0, 1), (1, 0, 1), (2, 0, 1)]));
    let told: Vec<_> = found.iter().map(|told| &told.args).collect();
    assert_eq!(told[0]["transactional"], true);
    assert_eq!((told.len(), &told[1]["message"]), (2, &json!("b")));
    assert_eq!(names.untold(), 1);
}

#[test]
fn compressed_records_are_told() {
    let plain_batch = batch(0, &[b"hello"], None);
    let mut compressed = plain_batch[..61].to_vec();
    compressed.extend(gzip(&plain_batch[61..]));
    let length = (compressed.len() - 12) as i32;
    compressed[8..12].copy_from_slice(&length.to_be_bytes());
    let request = produce(&[(0, with_attributes(compressed, 1))]);
    let names = &mut TopicNames::default();
    let found = told(names, (PRODUCE, 9), request, produced(&[(0, 0, 3)]));
    assert_eq!(found[0].args["message"], "hello");
}

/// A member of RFC 1952 with one stored block.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let size = bytes.len() as u16;
    let mut member = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    member.extend(size.to_le_bytes());
    member.extend((!size).to_le_bytes());
    member.extend(bytes);
    member.extend(crc32(bytes).to_le_bytes());
    member.extend((bytes.len() as u32).to_le_bytes());
    member
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    })
}

fn fetch(by_id: bool, partitions: &[(i32, i64)]) -> RequestKind {
    let partition = |(partition, from): &(i32, i64)| {
        FetchPartition::default().with_partition(*partition).with_fetch_offset(*from)
    };
    let topic = FetchTopic::default().with_partitions(partitions.iter().map(partition).collect());
    let topic = match by_id {
        true => topic.with_topic_id(ID.parse().expect("an id")),
        false => topic.with_topic(s("t").into()),
    };
    RequestKind::Fetch(FetchRequest::default().with_topics(vec![topic]))
}

fn fetched(by_id: bool, partitions: Vec<PartitionData>) -> ResponseKind {
    let topic = FetchableTopicResponse::default().with_partitions(partitions);
    let topic = match by_id {
        true => topic.with_topic_id(ID.parse().expect("an id")),
        false => topic.with_topic(s("t").into()),
    };
    ResponseKind::Fetch(FetchResponse::default().with_responses(vec![topic]))
}

fn data(partition: i32, code: i16, end: i64, records: &[u8]) -> PartitionData {
    PartitionData::default()
        .with_partition_index(partition)
        .with_error_code(code)
        .with_high_watermark(end)
        .with_records(Some(Bytes::copy_from_slice(records)))
}

#[test]
fn each_partition_of_a_fetch_is_one_from_the_asked_offset_on() {
    let producer = Producer { id: 9, epoch: 0, base_sequence: 0 };
    let mut records = batch(5, &[b"a", b"b"], None);
    records.extend(with_attributes(batch(7, &[b"marker"], Some(producer)), 0x30));
    records.extend(batch(8, &[b"c"], None));
    records.extend(&batch(9, &[b"cut"], None)[..70]);
    let mut old = batch(0, &[b"old"], None);
    old[16] = 0;
    let names = &mut TopicNames::default();
    for version in ends(FETCH) {
        let by_id = version >= 13;
        let request = fetch(by_id, &[(0, 6), (1, 0), (2, 3), (3, 0), (4, 0)]);
        let reply = || {
            let all = vec![
                data(0, 0, 10, &records),
                data(1, 3, -1, &[]),
                data(2, 0, 3, &[]),
                data(3, 0, 1, &old),
            ];
            fetched(by_id, all)
        };
        if by_id {
            assert_eq!(told(names, (FETCH, version), request.clone(), reply()), []);
            assert_eq!(names.untold(), 1 + 5);
            names.learn(&ResponseKind::Metadata(MetadataResponse::default().with_topics(vec![
                MetadataResponseTopic::default()
                    .with_name(Some(s("t").into()))
                    .with_topic_id(ID.parse().expect("an id")),
            ])));
        }
        let found = told(names, (FETCH, version), request.clone(), reply());
        let args = |partition: i32, offset: i64| json!({ "topic": "t", "partition": partition, "offset": offset });
        assert_eq!(
            plain(&found),
            [
                json!(["fetch", args(0, 6), { "high_watermark": 10, "records": [
                    { "offset": 6, "message": "b" }, { "offset": 8, "message": "c" }] }]),
                json!(["fetch", args(1, 0), [20, "UNKNOWN_TOPIC_OR_PARTITION"]]),
                json!(["fetch", args(2, 3), { "high_watermark": 3, "records": [] }]),
            ]
        );
        let request = over_the_wire(FETCH, version, &request);
        assert_eq!(unanswered(names, &request)[2], json!(["fetch", args(2, 3)]));
    }
}

#[test]
fn a_fetch_that_is_refused_as_a_whole_is_refused_for_each_partition() {
    let reply = FetchResponse::default().with_error_code(70);
    let request = fetch(false, &[(0, 6), (1, 0)]);
    let names = &mut TopicNames::default();
    let found = told(names, (FETCH, 12), request, ResponseKind::Fetch(reply));
    let answers: Vec<_> = plain(&found).into_iter().map(|told| told[2].clone()).collect();
    assert_eq!(answers, vec![json!([11, "FETCH_SESSION_ID_NOT_FOUND"]); 2]);
}

#[test]
fn each_partition_of_a_list_offsets_is_one() {
    let partition = |partition, timestamp| {
        ListOffsetsPartition::default().with_partition_index(partition).with_timestamp(timestamp)
    };
    let topic = ListOffsetsTopic::default()
        .with_name(s("t").into())
        .with_partitions(vec![partition(0, -1), partition(1, -2)]);
    let request = RequestKind::ListOffsets(ListOffsetsRequest::default().with_topics(vec![topic]));
    let answer = |partition, code, offset| {
        ListOffsetsPartitionResponse::default()
            .with_partition_index(partition)
            .with_error_code(code)
            .with_offset(offset)
    };
    let topic = ListOffsetsTopicResponse::default()
        .with_name(s("t").into())
        .with_partitions(vec![answer(1, 6, -1), answer(0, 0, 12)]);
    let reply = ResponseKind::ListOffsets(ListOffsetsResponse::default().with_topics(vec![topic]));
    for version in ends(LIST_OFFSETS) {
        let names = &mut TopicNames::default();
        let found = told(names, (LIST_OFFSETS, version), request.clone(), reply.clone());
        assert_eq!(
            plain(&found),
            [
                json!(["list_offsets", { "topic": "t", "partition": 0, "timestamp": -1 },
                    { "offset": 12 }]),
                json!(["list_offsets", { "topic": "t", "partition": 1, "timestamp": -2 },
                    [11, "NOT_LEADER_OR_FOLLOWER"]]),
            ]
        );
    }
}

#[test]
fn a_producer_begins() {
    for version in ends(INIT_PRODUCER_ID) {
        let request = InitProducerIdRequest::default().with_transactional_id(None);
        let reply =
            InitProducerIdResponse::default().with_producer_id(7.into()).with_producer_epoch(0);
        let found = told(
            &mut TopicNames::default(),
            (INIT_PRODUCER_ID, version),
            RequestKind::InitProducerId(request),
            ResponseKind::InitProducerId(reply),
        );
        assert_eq!(
            plain(&found),
            [json!(["init_producer", {}, { "producer_id": 7, "producer_epoch": 0 }])]
        );
    }
}
