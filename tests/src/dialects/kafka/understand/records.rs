//! Produce, Fetch, ListOffsets, InitProducerId.

use std::collections::HashMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};
use wire::batch::{Limits, Producer, batches};
use wire::errors;
use wire::kafka_protocol::messages::fetch_response::PartitionData;
use wire::kafka_protocol::messages::list_offsets_response::ListOffsetsPartitionResponse;
use wire::kafka_protocol::messages::produce_response::PartitionProduceResponse;
use wire::kafka_protocol::messages::{
    FetchRequest, FetchResponse, InitProducerIdRequest, InitProducerIdResponse, ListOffsetsRequest,
    ListOffsetsResponse, ProduceRequest, ProduceResponse,
};

use super::errors::answer;
use super::{Part, TopicNames, fields, name, number};
use crate::dialects::Answer;

/// A record as a partition's bytes tell it.
struct Told {
    /// Its offset; of a Produce, counted from 0 over the whole partition's bytes.
    offset: i64,
    message: Value,
    key: Value,
    /// Who wrote it, with the record's own sequence number.
    producer: Option<Producer>,
    is_transactional: bool,
}

/// A key or value: a string where it is UTF-8, else an object with `base64`.
fn text(bytes: Option<&[u8]>) -> Value {
    let Some(bytes) = bytes else { return Value::Null };
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::from(text),
        Err(_) => json!({ "base64": BASE64_STANDARD.encode(bytes) }),
    }
}

/// The sequence number that is so many after another: they have 31 bits.
fn sequence(first: i32, after: u32) -> i32 {
    ((i64::from(first) + i64::from(after)) & i64::from(i32::MAX)) as i32
}

/// The records of all batches from that offset on; none if a batch cannot be read. Control batches
/// hold no records.
fn records(bytes: &[u8], from: i64) -> Option<Vec<Told>> {
    let mut told = Vec::new();
    for batch in batches(bytes) {
        if !batch.is_readable {
            return None;
        }
        if batch.is_control {
            continue;
        }
        for record in wire::batch::records(batch.bytes, &Limits::default()).ok()? {
            let offset = batch.base_offset.checked_add(record.offset_delta.into())?;
            if offset < from {
                continue;
            }
            let producer = batch.producer.map(|producer| Producer {
                base_sequence: sequence(producer.base_sequence, record.offset_delta),
                ..producer
            });
            told.push(Told {
                offset,
                message: text(record.value.as_deref()),
                key: text(record.key.as_deref()),
                producer,
                is_transactional: batch.is_transactional,
            });
        }
    }
    Some(told)
}

pub(super) fn produce(
    names: &mut TopicNames,
    asked: &ProduceRequest,
    reply: Option<&ProduceResponse>,
) -> Vec<Part> {
    let mut answers: HashMap<(String, i32), &PartitionProduceResponse> = HashMap::new();
    for topic in reply.into_iter().flat_map(|reply| &reply.responses) {
        let Some(named) = names.resolve(&topic.name, topic.topic_id.into_bytes()) else { continue };
        let partitions = topic.partition_responses.iter();
        answers.extend(partitions.map(|answer| ((named.clone(), answer.index), answer)));
    }
    let mut parts = Vec::new();
    for topic in &asked.topic_data {
        let Some(named) = names.resolve(&topic.name, topic.topic_id.into_bytes()) else {
            names.leave_out(topic.partition_data.len());
            continue;
        };
        for partition in &topic.partition_data {
            let bytes = partition.records.as_deref().unwrap_or_default();
            let Some(told) = records(bytes, i64::MIN) else {
                names.leave_out(1);
                continue;
            };
            let answer = answers.get(&(named.clone(), partition.index)).copied();
            parts.extend(
                told.into_iter().map(|record| send(&named, partition.index, record, answer)),
            );
        }
    }
    parts
}

fn send(
    topic: &str,
    partition: i32,
    record: Told,
    reply: Option<&PartitionProduceResponse>,
) -> Part {
    let mut args = Map::new();
    args.insert("topic".to_owned(), Value::from(topic));
    args.insert("partition".to_owned(), Value::from(partition));
    args.insert("message".to_owned(), record.message);
    if !record.key.is_null() {
        args.insert("key".to_owned(), record.key);
    }
    if let Some(producer) = record.producer {
        args.insert("producer_id".to_owned(), Value::from(producer.id));
        args.insert("producer_epoch".to_owned(), Value::from(producer.epoch));
        args.insert("sequence".to_owned(), Value::from(producer.base_sequence));
    }
    if record.is_transactional {
        args.insert("transactional".to_owned(), Value::from(true));
    }
    let answer = reply.map(|reply| match (reply.error_code, reply.base_offset) {
        // It was appended, and the broker does not know where any more.
        (errors::NONE, ..0) => answer("send", errors::DUPLICATE_SEQUENCE_NUMBER, Map::new),
        (code, base) => answer("send", code, || {
            let offset = base.saturating_add(record.offset);
            fields([("partition", partition.into()), ("offset", offset.into())])
        }),
    });
    Part::new("send", args, answer)
}

pub(super) fn fetch(
    names: &mut TopicNames,
    asked: &FetchRequest,
    reply: Option<&FetchResponse>,
) -> Vec<Part> {
    let refused = reply.map(|reply| reply.error_code).filter(|code| *code != errors::NONE);
    let mut answers: HashMap<(String, i32), &PartitionData> = HashMap::new();
    for topic in reply.into_iter().flat_map(|reply| &reply.responses) {
        let Some(named) = names.resolve(&topic.topic, topic.topic_id.into_bytes()) else {
            continue;
        };
        let partitions = topic.partitions.iter();
        answers.extend(partitions.map(|answer| ((named.clone(), answer.partition_index), answer)));
    }
    let mut parts = Vec::new();
    for topic in &asked.topics {
        let Some(named) = names.resolve(&topic.topic, topic.topic_id.into_bytes()) else {
            names.leave_out(topic.partitions.len());
            continue;
        };
        for partition in &topic.partitions {
            let args = || {
                let offset = partition.fetch_offset;
                fields([
                    ("topic", named.as_str().into()),
                    ("partition", partition.partition.into()),
                    ("offset", offset.into()),
                ])
            };
            let answer = match (refused, answers.get(&(named.clone(), partition.partition))) {
                (Some(code), _) => Some(answer("fetch", code, Map::new)),
                (None, Some(told)) => match fetched(partition.fetch_offset, told) {
                    Some(answer) => Some(answer),
                    None => {
                        names.leave_out(1);
                        continue;
                    }
                },
                // The answer of a fetch session leaves out partitions without news.
                (None, None) if reply.is_some() => continue,
                (None, None) => None,
            };
            parts.push(Part::new("fetch", args(), answer));
        }
    }
    parts
}

/// What a partition's answer tells; none if its batches cannot be read.
fn fetched(from: i64, told: &PartitionData) -> Option<Answer> {
    if told.error_code != errors::NONE {
        return Some(answer("fetch", told.error_code, Map::new));
    }
    let records = records(told.records.as_deref().unwrap_or_default(), from)?;
    let record = |told: Told| {
        let mut record = Map::new();
        record.insert("offset".to_owned(), Value::from(told.offset));
        record.insert("message".to_owned(), told.message);
        Value::Object(record)
    };
    let records: Vec<Value> = records.into_iter().map(record).collect();
    Some(answer("fetch", errors::NONE, || {
        fields([("records", records.into()), ("high_watermark", told.high_watermark.into())])
    }))
}

pub(super) fn list_offsets(
    asked: &ListOffsetsRequest,
    reply: Option<&ListOffsetsResponse>,
) -> Vec<Part> {
    let mut answers: HashMap<(&str, i32), &ListOffsetsPartitionResponse> = HashMap::new();
    for topic in reply.into_iter().flat_map(|reply| &reply.topics) {
        let partitions = topic.partitions.iter();
        answers.extend(partitions.map(|told| ((topic.name.as_str(), told.partition_index), told)));
    }
    let mut parts = Vec::new();
    for topic in &asked.topics {
        for partition in &topic.partitions {
            let args = fields([
                ("topic", topic.name.as_str().into()),
                ("partition", partition.partition_index.into()),
                ("timestamp", partition.timestamp.into()),
            ]);
            let told = answers.get(&(topic.name.as_str(), partition.partition_index));
            let answer = told.map(|told| {
                let offset = || fields([("offset", told.offset.into())]);
                answer("list_offsets", told.error_code, offset)
            });
            parts.push(Part::new("list_offsets", args, answer));
        }
    }
    parts
}

pub(super) fn init_producer(
    asked: &InitProducerIdRequest,
    reply: Option<&InitProducerIdResponse>,
) -> Vec<Part> {
    let id = asked.transactional_id.as_ref();
    let args = fields([
        ("transactional_id", id.map_or(Value::Null, |id| name(id))),
        ("producer_id", number(asked.producer_id.0)),
        ("producer_epoch", number(asked.producer_epoch)),
    ]);
    let answer = reply.map(|reply| {
        answer("init_producer", reply.error_code, || {
            fields([
                ("producer_id", reply.producer_id.0.into()),
                ("producer_epoch", reply.producer_epoch.into()),
            ])
        })
    });
    vec![Part::new("init_producer", args, answer)]
}
