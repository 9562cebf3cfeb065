//! Topics as they are kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::config::TopicConfig;
use super::partitions::PartitionLog;
use super::sequences::Producers;
use crate::ids::{PartitionId, TopicName};

/// A topic has at most this many partitions.
pub const MAX_PARTITIONS: u32 = 10_000;

/// A producer counts as so many bytes in a clone of its partition.
const PRODUCER_BYTES: usize = 256;

/// A topic with its partitions.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Topic {
    /// By number.
    pub partitions: Vec<PartitionLog>,
    /// Which partition the next record without a key goes to.
    pub next: PartitionId,
    /// What is known of idempotent producers, by partition; of those that have any.
    pub producers: BTreeMap<PartitionId, Producers>,
    /// What it has of its own.
    pub config: TopicConfig,
}

impl Topic {
    /// How many partitions it has.
    pub fn partition_count(&self) -> u32 {
        u32::try_from(self.partitions.len()).expect("at most MAX_PARTITIONS")
    }
}

/// All topics.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Topics(pub(super) BTreeMap<TopicName, Topic>);

impl Topics {
    /// A topic.
    pub fn get(&self, topic: &TopicName) -> Option<&Topic> {
        self.0.get(topic)
    }

    /// All by name.
    pub fn iter(&self) -> impl Iterator<Item = (&TopicName, &Topic)> {
        self.0.iter()
    }

    /// How many bytes, about, a clone costs.
    pub(crate) fn clone_cost(&self) -> usize {
        let logs = self.0.values().flat_map(|topic| &topic.partitions);
        let producers = self.0.values().flat_map(|topic| topic.producers.values());
        logs.map(PartitionLog::clone_cost).sum::<usize>()
            + self.0.values().map(|topic| topic.config.len()).sum::<usize>()
            + PRODUCER_BYTES * producers.map(Producers::len).sum::<usize>()
    }
}
