//! The beginning of a partition moves on: records before it are gone.
//!
//! Whoever administers a topic trims it at an offset (Kafka's DeleteRecords). Retention drops whole
//! segments that are too old, or too many (Kafka's `retention.ms`, `retention.bytes`): a leader
//! proposes it from time to time, and what is due is decided when it is applied.

use super::command::Retention;
use super::event::TopicEvent;
use super::existing_partition;
use super::partitions::PartitionLog;
use crate::ids::{Offset, PartitionId, TopicName, TopicPartition};
use crate::rejection::Rejection;
use crate::reply::{Outcome, Reply};
use crate::transition::Transition;

/// Records before the offset go. A beginning never moves back.
pub(super) fn trim(
    tx: &mut Transition<'_>,
    topic: &TopicName,
    partition: PartitionId,
    before: Offset,
) -> Outcome {
    let log = existing_partition(tx.state(), topic, partition)?;
    if before > log.end_offset() {
        let partition = TopicPartition { topic: topic.clone(), partition };
        return Err(Rejection::OffsetBeyondEnd {
            offset: before,
            partition,
            end: log.end_offset(),
        });
    }
    if before > log.start_offset() {
        let event = trimmed(topic, partition, log, before);
        tx.emit(event);
    }
    Ok(Reply::Done)
}

/// What is too old, or too much, goes.
pub(super) fn retain(tx: &mut Transition<'_>, retention: &Retention) -> Outcome {
    let now_ms = tx.state().now_ms();
    let mut events = Vec::new();
    for (topic, found) in tx.state().topics() {
        let retention = found.config.retention(*retention);
        for (partition, log) in (0..).zip(&found.partitions) {
            if let Some(start) = log.retained_from(&retention, now_ms) {
                events.push(trimmed(topic, partition, log, start));
            }
        }
    }
    events.into_iter().for_each(|event| tx.emit(event));
    Ok(Reply::Done)
}

fn trimmed(
    topic: &TopicName,
    partition: PartitionId,
    log: &PartitionLog,
    start: Offset,
) -> TopicEvent {
    TopicEvent::Trimmed {
        topic: topic.clone(),
        partition,
        log: log.id(),
        start,
        segments: log.segments_before(start).collect(),
    }
}
