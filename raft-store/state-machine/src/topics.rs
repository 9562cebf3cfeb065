//! Topics and the logs of Maelstrom's `kafka` workload: what is made, grown, removed, appended, read.

use serde::{Deserialize, Serialize};

use crate::apply::Transition;
use crate::command::{Placement, Records};
use crate::event::Event;
use crate::groups;
use crate::ids::{LogKey, Offset, PartitionId, TopicName};
use crate::partitions::{MAX_LOG_POLL_MESSAGES, PartitionLog, ReadBudget, partition_of};
use crate::reply::{Outcome, Rejection, Reply};
use crate::state::State;

/// A topic has at most this many partitions.
pub const MAX_PARTITIONS: u32 = 10_000;

/// A topic with its partitions.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Topic {
    /// By number.
    pub partitions: Vec<PartitionLog>,
    /// Which partition the next record without a key goes to.
    pub next: PartitionId,
}

impl Topic {
    /// How many partitions it has.
    pub fn partition_count(&self) -> u32 {
        u32::try_from(self.partitions.len()).expect("at most MAX_PARTITIONS")
    }
}

pub(crate) fn create(tx: &mut Transition<'_>, topic: &TopicName, partitions: u32) -> Outcome {
    if tx.state().topic(topic).is_some() {
        return Err(Rejection::TopicAlreadyExists(topic.clone()));
    }
    tx.emit(Event::TopicCreated { topic: topic.clone(), partitions });
    groups::topic_changed(tx, topic);
    Ok(Reply::Done)
}

pub(crate) fn grow(tx: &mut Transition<'_>, topic: &TopicName, partitions: u32) -> Outcome {
    let current = existing(tx.state(), topic)?.partition_count();
    if partitions < current {
        return Err(Rejection::TopicCannotShrink { topic: topic.clone(), current, asked: partitions });
    }
    if partitions > current {
        tx.emit(Event::TopicGrown { topic: topic.clone(), partitions });
        groups::topic_changed(tx, topic);
    }
    Ok(Reply::Done)
}

pub(crate) fn delete(tx: &mut Transition<'_>, topic: &TopicName) -> Outcome {
    existing(tx.state(), topic)?;
    for (group, partition) in tx.state().commits_of_topic(topic) {
        tx.emit(Event::OffsetRemoved { group, topic: topic.clone(), partition });
    }
    tx.emit(Event::TopicDeleted { topic: topic.clone() });
    groups::topic_changed(tx, topic);
    Ok(Reply::Done)
}

pub(crate) fn produce(
    tx: &mut Transition<'_>,
    topic: &TopicName,
    placement: Placement,
    new_topic_partitions: u32,
    records: &Records,
) -> Outcome {
    let found = tx.state().topic(topic);
    let count = found.map_or(new_topic_partitions, Topic::partition_count);
    let partition = match placement {
        Placement::Key(hash) => partition_of(hash, count),
        Placement::Next => found.map_or(0, |t| t.next),
        Placement::Partition(partition) if partition < count => partition,
        Placement::Partition(partition) => {
            return Err(Rejection::UnknownPartition { topic: topic.clone(), partition, partitions: count });
        }
    };
    if found.is_none() {
        create(tx, topic, count)?;
    }
    let log = &tx.state().topic(topic).expect("exists or was made").partitions[partition as usize];
    let (offset, timestamp) = (log.end_offset(), log.timestamp_at(tx.state().now_ms()));
    tx.emit(Event::Appended {
        topic: topic.clone(),
        partition,
        records: records.clone(),
        offset,
        timestamp,
        next: placement == Placement::Next,
    });
    Ok(Reply::Appended { partition, offset })
}

pub(crate) fn fetch(
    state: &State,
    topic: &TopicName,
    partition: PartitionId,
    offset: Offset,
    max_messages: u32,
) -> Outcome {
    let found = existing(state, topic)?;
    let Some(log) = found.partitions.get(partition as usize) else {
        let partitions = found.partition_count();
        return Err(Rejection::UnknownPartition { topic: topic.clone(), partition, partitions });
    };
    let batches = log.read(offset, max_messages, &mut ReadBudget::default());
    Ok(Reply::Fetched { batches, high_watermark: log.end_offset() })
}

pub(crate) fn list(state: &State) -> Outcome {
    Ok(Reply::Topics(state.topics().map(|(name, topic)| (name.clone(), topic.partition_count())).collect()))
}

pub(crate) fn log_send(tx: &mut Transition<'_>, key: &LogKey, records: &Records) -> Outcome {
    let now_ms = tx.state().now_ms();
    let (offset, timestamp) =
        tx.state().log(key).map_or((0, now_ms), |log| (log.end_offset(), log.timestamp_at(now_ms)));
    tx.emit(Event::LogAppended { key: key.clone(), records: records.clone(), offset, timestamp });
    Ok(Reply::Appended { partition: 0, offset })
}

pub(crate) fn log_commit(tx: &mut Transition<'_>, offsets: &[(LogKey, Offset)]) -> Outcome {
    for (key, offset) in offsets {
        if tx.state().log_committed(key).is_none_or(|committed| committed < *offset) {
            tx.emit(Event::LogCommitted { key: key.clone(), offset: *offset });
        }
    }
    Ok(Reply::Done)
}

pub(crate) fn log_poll(state: &State, offsets: &[(LogKey, Offset)]) -> Outcome {
    let mut budget = ReadBudget::default();
    let messages = offsets.iter().filter_map(|(key, offset)| {
        let found = state.log(key)?.read(*offset, MAX_LOG_POLL_MESSAGES, &mut budget);
        (!found.is_empty()).then(|| (key.clone(), found))
    });
    Ok(Reply::LogMessages(messages.collect()))
}

pub(crate) fn log_committed(state: &State, keys: &[LogKey]) -> Outcome {
    let committed = keys.iter().filter_map(|key| Some((key.clone(), state.log_committed(key)?)));
    Ok(Reply::LogCommitted(committed.collect()))
}

fn existing<'a>(state: &'a State, topic: &TopicName) -> Result<&'a Topic, Rejection> {
    state.topic(topic).ok_or_else(|| Rejection::UnknownTopic(topic.clone()))
}
