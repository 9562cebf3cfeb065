//! Values that commands, events and replies share: they ask nothing and answer nothing themselves.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::ids::{Millis, Offset, PartitionId, TopicName, TopicPartition};

/// Encoded records on their way into a partition. The state machine never looks into the bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Records {
    /// How many records the bytes hold; at least 1.
    pub count: u32,
    /// One Kafka record batch (magic 2), whose offsets and append time are not filled in.
    pub bytes: Bytes,
}

/// Records as they stand in a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredBatch {
    /// The first record's offset.
    pub base_offset: Offset,
    /// How many records.
    pub count: u32,
    /// When they were appended, by the leader's clock; never falls within a partition.
    pub timestamp: Millis,
    /// As they came in [`Records`].
    pub bytes: Bytes,
}

impl StoredBatch {
    /// The records alone, as they came in.
    pub fn records(&self) -> Records {
        Records { count: self.count, bytes: self.bytes.clone() }
    }
}

/// Partitions by topic, both ascending.
pub type TopicPartitions = Vec<(TopicName, Vec<PartitionId>)>;

/// Partitions in ascending order, put together by topic.
pub(crate) fn by_topic<'a>(
    partitions: impl IntoIterator<Item = &'a TopicPartition>,
) -> TopicPartitions {
    let mut found: TopicPartitions = Vec::new();
    for TopicPartition { topic, partition } in partitions {
        match found.last_mut() {
            Some((last, of_topic)) if last == topic => of_topic.push(*partition),
            _ => found.push((topic.clone(), vec![*partition])),
        }
    }
    found
}

/// The partitions of a list by topic, one by one.
pub(crate) fn each(partitions: &TopicPartitions) -> impl Iterator<Item = TopicPartition> + '_ {
    partitions.iter().flat_map(|(topic, of_topic)| {
        of_topic
            .iter()
            .map(|partition| TopicPartition { topic: topic.clone(), partition: *partition })
    })
}

/// How many partitions a list by topic has.
pub(crate) fn count(partitions: &TopicPartitions) -> usize {
    partitions.iter().map(|(_, of_topic)| of_topic.len()).sum()
}
