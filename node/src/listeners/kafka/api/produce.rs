//! Produce (0): batches of records for partitions that exist.
//!
//! What a batch says of itself is checked here, before anything is proposed. Where it stands, and
//! whether its producer sent it before, is decided when it is applied. `acks=1` is answered as
//! `acks=all` is: after the commit.

use bytes::{Bytes, BytesMut};
use state_machine::ids::TopicName;
use state_machine::reply::Reply;
use state_machine::topics::command::TopicCommand;
use state_machine::topics::reply::TopicReply;
use state_machine::topics::sequences::Sequence;
use state_machine::values::Records;
use wire::batch::{self, Checked};
use wire::kafka_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest};
use wire::kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse,
    ProduceResponse, TopicProduceResponse,
};
use wire::{errors, versions};

use super::super::connection::Closed;
use super::super::errors::About;
use super::{Context, LeaderHint, name_of, node_id, text, wire_offset};
use crate::service::api::Response;
use crate::{flaws, limits};

/// Zstandard is taken only from clients that know it.
const ZSTD_FROM: i16 = 7;

/// From here on it is told which records of a batch are bad. Clients fail those for themselves, and
/// say of the others that they were in bad company.
const RECORD_ERRORS_FROM: i16 = 8;

/// From here on a node that does not lead says who does, and where that is.
const LEADER_FROM: i16 = 10;

/// No reply is owed for `acks=0`; what goes wrong then closes the connection.
pub(super) async fn answer(
    cx: &Context,
    asked: ProduceRequest,
) -> Result<Option<ProduceResponse>, Closed> {
    if cx.version < versions::PRODUCE_SERVED_FROM {
        return Err(Closed::Refused("Produce of a version that only tells that compression works"));
    }
    let acks = asked.acks;
    let transactional = asked.transactional_id.is_some();
    let refused = match acks {
        -1..=1 => cx.refusal(About::Partition),
        _ => Some(errors::INVALID_REQUIRED_ACKS),
    };
    // All are submitted before the first is waited for.
    let mut topics = Vec::with_capacity(asked.topic_data.len());
    for data in asked.topic_data {
        let name = name_of(&data.name);
        let mut partitions = Vec::with_capacity(data.partition_data.len());
        for partition in data.partition_data {
            let Some(records) = partition.records.clone() else {
                return Err(Closed::Refused("Produce without records"));
            };
            let appended = match refused {
                Some(code) => Err(Refusal { code, text: None }),
                None if transactional => Err(Refusal {
                    code: errors::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
                    text: Some("transactions are not served".to_owned()),
                }),
                None => append(cx, &name, &partition, records),
            };
            partitions.push((partition.index, appended));
        }
        topics.push((data.name, partitions));
    }
    let mut responses = Vec::with_capacity(topics.len());
    let mut failed = false;
    let hint = cx.leader_hint().filter(|_| cx.version >= LEADER_FROM);
    for (name, partitions) in topics {
        let mut told = Vec::with_capacity(partitions.len());
        for (index, appended) in partitions {
            let reply = match appended {
                Ok((appended, keyless)) => of_response(appended.await, keyless.as_deref()),
                Err(refusal) => of_refusal(refusal),
            };
            failed |= reply.error_code != errors::NONE;
            let elsewhere = reply.error_code == errors::NOT_LEADER_OR_FOLLOWER;
            let reply = match hint.as_ref().filter(|_| elsewhere) {
                Some(LeaderHint { node, epoch, .. }) => reply.with_current_leader(
                    LeaderIdAndEpoch::default()
                        .with_leader_id(node_id(*node))
                        .with_leader_epoch(*epoch),
                ),
                None => reply,
            };
            told.push(reply.with_index(index));
        }
        if told.is_empty() {
            continue;
        }
        responses
            .push(TopicProduceResponse::default().with_name(name).with_partition_responses(told));
    }
    let of_hint = |hint: LeaderHint| {
        NodeEndpoint::default()
            .with_node_id(node_id(hint.node))
            .with_host(text(&hint.endpoint.host))
            .with_port(hint.endpoint.port.into())
    };
    let nodes: Vec<_> = hint.into_iter().map(of_hint).collect();
    match acks {
        0 if failed => Err(Closed::Refused("Produce with acks=0 failed")),
        0 => Ok(None),
        _ => Ok(Some(
            ProduceResponse::default().with_responses(responses).with_node_endpoints(nodes),
        )),
    }
}

/// Why a batch is not proposed.
struct Refusal {
    code: i16,
    text: Option<String>,
}

fn batch_limits() -> batch::Limits {
    batch::Limits { max_batch: limits::KAFKA_BATCH_MOST, ..batch::Limits::default() }
}

/// Checks a batch and submits it. What is given back with the answer is the batch, where it is to
/// be told which records have no key, if that turns out to be wrong.
fn append(
    cx: &Context,
    topic: &TopicName,
    partition: &PartitionProduceData,
    bytes: Bytes,
) -> Result<(impl Future<Output = Response> + use<>, Option<Bytes>), Refusal> {
    let refuse = |code, text: &str| Refusal { code, text: Some(text.to_owned()) };
    let Ok(index) = u32::try_from(partition.index) else {
        return Err(Refusal { code: errors::UNKNOWN_TOPIC_OR_PARTITION, text: None });
    };
    let limits = batch::Limits { zstd: cx.version >= ZSTD_FROM, ..batch_limits() };
    let checked = batch::check(&bytes, &limits)
        .map_err(|problem| refuse(problem.code(), &problem.to_string()))?;
    if checked.is_transactional {
        let code = errors::TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
        return Err(refuse(code, "transactions are not served"));
    }
    let sequence = checked.producer.map(|producer| {
        let id = u64::try_from(producer.id).unwrap_or_default();
        let epoch = u16::try_from(producer.epoch).unwrap_or_default();
        let first = u32::try_from(producer.base_sequence).unwrap_or_default();
        Sequence::new(id, epoch, first, checked.count)
    });
    let is_told = checked.has_null_key && cx.version >= RECORD_ERRORS_FROM;
    let keyless = is_told.then(|| bytes.clone());
    let command = TopicCommand::Append {
        topic: topic.clone(),
        partition: index,
        sequence,
        records: records(bytes, &checked),
        keyless: checked.has_null_key,
        max_bytes: u32::try_from(cx.broker.settings.max_batch).unwrap_or(u32::MAX),
    };
    Ok((cx.asker.command(command), keyless))
}

fn records(bytes: Bytes, checked: &Checked) -> Records {
    // As text each byte may take six characters.
    let escapes = checked.text_len.saturating_mul(5).try_into().unwrap_or(u32::MAX);
    let bytes = if checked.max_timestamp_differs {
        let mut right = BytesMut::from(&bytes[..]);
        batch::set_max_timestamp(&mut right, checked.max_timestamp);
        right.freeze()
    } else {
        bytes
    };
    // Records without a time have -1.
    let created = Some(checked.max_timestamp.try_into().unwrap_or(0));
    Records { count: checked.count, bytes, created, escapes }
}

/// What is wrong with the records of a batch that have no key.
fn without_key(batch: &[u8]) -> Vec<BatchIndexAndErrorMessage> {
    let told = |index| {
        BatchIndexAndErrorMessage::default()
            .with_batch_index(i32::try_from(index).unwrap_or(i32::MAX))
            .with_batch_index_error_message(Some(text("no key, and the topic is compacted")))
    };
    let limits = batch_limits();
    batch::keyless(batch, &limits, limits::KAFKA_RECORD_ERRORS_MOST).into_iter().map(told).collect()
}

/// `keyless`: the batch, if it has records without a key and it is to be told which.
fn of_response(response: Response, keyless: Option<&[u8]>) -> PartitionProduceResponse {
    match response {
        Ok(Reply::Topic(TopicReply::Produced { offset, start, appended })) => {
            PartitionProduceResponse::default()
                .with_base_offset(wire_offset(offset))
                .with_log_append_time_ms(appended.map_or(-1, wire_offset))
                .with_log_start_offset(wire_offset(start))
        }
        Ok(_) => of_refusal(Refusal { code: errors::UNKNOWN_SERVER_ERROR, text: None }),
        Err(failure) => {
            let code = flaws::refused_batch(About::Partition.code(&failure));
            let reply = of_refusal(Refusal { code, text: Some(failure.to_string()) });
            match keyless.filter(|_| code == errors::INVALID_RECORD) {
                Some(batch) => reply.with_record_errors(without_key(batch)),
                None => reply,
            }
        }
    }
}

fn of_refusal(refusal: Refusal) -> PartitionProduceResponse {
    PartitionProduceResponse::default()
        .with_error_code(refusal.code)
        .with_base_offset(-1)
        .with_log_append_time_ms(-1)
        .with_log_start_offset(-1)
        .with_error_message(refusal.text.as_deref().map(text))
}
