//! Records are appended to a partition that exists (Kafka's Produce). A batch that an idempotent
//! producer sends again is answered with the offset that it has.

use super::event::TopicEvent;
use super::reply::TopicReply;
use super::sequences::{Admitted, Sequence};
use super::{existing, existing_partition};
use crate::command::LogLimits;
use crate::ids::{Offset, PartitionId, TopicName};
use crate::rejection::Rejection;
use crate::reply::Outcome;
use crate::transition::Transition;
use crate::values::Records;

/// What a topic may refuse a batch for.
pub(super) struct Limits {
    /// Whether a record has no key.
    pub(super) keyless: bool,
    /// No more bytes of records, unless the topic says itself how many.
    pub(super) max_bytes: u32,
}

pub(super) fn append(
    tx: &mut Transition<'_>,
    topic: &TopicName,
    partition: PartitionId,
    sequence: Option<&Sequence>,
    records: &Records,
    Limits { keyless, max_bytes }: Limits,
) -> Outcome {
    let log = existing_partition(tx.state(), topic, partition)?;
    let start = log.start_offset();
    let producers = existing(tx.state(), topic)?.producers.get(&partition);
    if let (Some(sequence), Some(producers)) = (sequence, producers)
        && let Admitted::Before(offset) = producers.admit(sequence)?
    {
        return Ok(TopicReply::Produced { offset, start, appended: None }.into());
    }
    let config = &existing(tx.state(), topic)?.config;
    let limit = config.max_batch_bytes(max_bytes);
    if records.bytes.len() > limit as usize {
        let bytes = records.bytes.len() as u64;
        return Err(Rejection::BatchTooLarge { topic: topic.clone(), bytes, limit });
    }
    if keyless && config.needs_keys() {
        return Err(Rejection::KeyMissing(topic.clone()));
    }
    if config.bears_append_time() {
        let appended = Some(log.timestamp_at(tx.state().now_ms()));
        let records = Records { created: None, ..records.clone() };
        let offset = write(tx, topic, partition, &records, false, sequence);
        return Ok(TopicReply::Produced { offset, start, appended }.into());
    }
    let latest = tx.state().now_ms().saturating_add(config.ahead_ms());
    if let Some(given) = records.created.filter(|created| *created > latest) {
        return Err(Rejection::TimestampAhead { topic: topic.clone(), given, latest });
    }
    let offset = write(tx, topic, partition, records, false, sequence);
    Ok(TopicReply::Produced { offset, start, appended: None }.into())
}

/// Puts records at the end of a partition that exists; their first offset. `next`: round-robin
/// chose the partition.
pub(super) fn write(
    tx: &mut Transition<'_>,
    topic: &TopicName,
    partition: PartitionId,
    records: &Records,
    next: bool,
    sequence: Option<&Sequence>,
) -> Offset {
    let found = tx.state().topic(topic).expect("it exists");
    let log = &found.partitions[partition as usize];
    let (offset, timestamp) = (log.end_offset(), log.timestamp_at(tx.state().now_ms()));
    let segment_bytes = found.config.segment_bytes(tx.state().log_limits().segment_bytes);
    let place = log.place(records, LogLimits { segment_bytes });
    tx.emit(TopicEvent::Appended {
        topic: topic.clone(),
        partition,
        records: records.clone(),
        place,
        offset,
        timestamp,
        next,
        sequence: sequence.copied(),
    });
    offset
}

/// Producers that have been silent for so long are not known any more (Kafka's
/// `producer.id.expiration.ms`).
pub(super) fn forget_producers(tx: &mut Transition<'_>, silent_ms: u64) -> Outcome {
    let before_ms = tx.state().now_ms().saturating_sub(silent_ms);
    let mut events = Vec::new();
    for (topic, found) in tx.state().topics() {
        for (partition, producers) in &found.producers {
            let silent: Vec<_> = producers.silent_since(before_ms).collect();
            if !silent.is_empty() {
                events.push(TopicEvent::ProducersForgotten {
                    topic: topic.clone(),
                    partition: *partition,
                    producers: silent,
                });
            }
        }
    }
    events.into_iter().for_each(|event| tx.emit(event));
    Ok(crate::reply::Reply::Done)
}
