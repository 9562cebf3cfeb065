//! A broker of one partition that acknowledges every record, and leaves one out when it is read.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use bytes::Bytes;
use wire::batch::{Limits, batches, records, set_base_offset};
use wire::frame;
use wire::kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResponse, DescribeConfigsResult,
};
use wire::kafka_protocol::messages::fetch_response::{
    FetchResponse, FetchableTopicResponse, PartitionData,
};
use wire::kafka_protocol::messages::produce_response::{
    PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};
use wire::kafka_protocol::messages::{RequestKind, ResponseKind};
use wire::kafka_protocol::protocol::StrBytes;

/// Its address. It serves one connection after the other, for as long as the test runs.
pub fn start() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            serve(stream.expect("a connection"));
        }
    });
    address
}

fn serve(mut stream: TcpStream) {
    let mut log: Vec<Vec<u8>> = Vec::new();
    let mut length = [0; 4];
    while stream.read_exact(&mut length).is_ok() {
        let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut bytes).expect("the rest of a request");
        let head = frame::head(bytes.into()).expect("a header");
        let (key, version, id) = (head.key, head.version, head.correlation_id);
        let reply = answer(&mut log, frame::decode(head).expect("a body"));
        let frame = frame::encode(key, version, id, &reply).expect("an answer");
        stream.write_all(&frame).expect("it reads");
    }
}

fn answer(log: &mut Vec<Vec<u8>>, request: RequestKind) -> ResponseKind {
    match request {
        RequestKind::Produce(asked) => {
            let topic = &asked.topic_data[0];
            let mut batch = topic.partition_data[0].records.clone().expect("records").to_vec();
            set_base_offset(&mut batch, log.len() as u64);
            let told = PartitionProduceResponse::default().with_base_offset(log.len() as i64);
            log.push(batch);
            let topic = TopicProduceResponse::default()
                .with_name(topic.name.clone())
                .with_partition_responses(vec![told]);
            ResponseKind::Produce(ProduceResponse::default().with_responses(vec![topic]))
        }
        RequestKind::Fetch(asked) => {
            let told = PartitionData::default()
                .with_high_watermark(log.len() as i64)
                .with_records(Some(kept(log)));
            let topic = FetchableTopicResponse::default()
                .with_topic(asked.topics[0].topic.clone())
                .with_partitions(vec![told]);
            ResponseKind::Fetch(FetchResponse::default().with_responses(vec![topic]))
        }
        RequestKind::DescribeConfigs(asked) => {
            let policy = DescribeConfigsResourceResult::default()
                .with_name(StrBytes::from_static_str("cleanup.policy"))
                .with_value(Some(StrBytes::from_static_str("delete")));
            let topic = DescribeConfigsResult::default()
                .with_resource_type(2)
                .with_resource_name(asked.resources[0].resource_name.clone())
                .with_configs(vec![policy]);
            let reply = DescribeConfigsResponse::default().with_results(vec![topic]);
            ResponseKind::DescribeConfigs(reply)
        }
        other => panic!("{other:?}"),
    }
}

/// All batches but those that say that they are lost.
fn kept(log: &[Vec<u8>]) -> Bytes {
    let is_lost = |batch: &&Vec<u8>| {
        batches(batch).any(|batch| {
            let all = records(batch.bytes, &Limits::default()).expect("records");
            all.iter().any(|record| record.value.as_deref() == Some(b"lost"))
        })
    };
    log.iter().filter(|batch| !is_lost(batch)).flatten().copied().collect()
}
