//! Committed offsets as a group keeps them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::event::OffsetEvent;
use crate::ids::{Millis, Offset, PartitionId, TopicName};

/// The longest metadata of a commit, in characters (Kafka's `offset.metadata.max.bytes`, which
/// compares the string's length).
pub const MAX_METADATA_LEN: usize = 4_096;

/// One committed offset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommittedOffset {
    /// The next offset to read.
    pub offset: Offset,
    /// The epoch of the leader from which the committer read the record before, if it says so.
    pub leader_epoch: Option<u32>,
    /// The committer's own note.
    pub metadata: Option<Arc<str>>,
    /// When it was committed, by the leader's clock.
    pub timestamp: Millis,
}

/// All committed offsets of a group, by topic and partition. A topic without any is not there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CommittedOffsets(BTreeMap<TopicName, BTreeMap<PartitionId, CommittedOffset>>);

impl CommittedOffsets {
    /// That of a partition.
    pub fn get(&self, topic: &TopicName, partition: PartitionId) -> Option<&CommittedOffset> {
        self.0.get(topic)?.get(&partition)
    }

    /// Whether there are any of a topic.
    pub(crate) fn has(&self, topic: &TopicName) -> bool {
        self.0.contains_key(topic)
    }

    /// Those of a topic.
    pub fn of_topic(
        &self,
        topic: &TopicName,
    ) -> impl Iterator<Item = (PartitionId, &CommittedOffset)> {
        self.0
            .get(topic)
            .into_iter()
            .flatten()
            .map(|(partition, committed)| (*partition, committed))
    }

    /// All by topic.
    pub fn iter(
        &self,
    ) -> impl Iterator<Item = (&TopicName, &BTreeMap<PartitionId, CommittedOffset>)> {
        self.0.iter()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.values().map(BTreeMap::len).sum()
    }

    /// Makes a fact about this group true.
    pub(crate) fn evolve(&mut self, event: &OffsetEvent) {
        match event {
            OffsetEvent::Committed { topic, partition, committed, .. } => {
                self.0.entry(topic.clone()).or_default().insert(*partition, committed.clone());
            }
            OffsetEvent::Removed { topic, partition, .. } => {
                if let Some(of_topic) = self.0.get_mut(topic) {
                    of_topic.remove(partition);
                    if of_topic.is_empty() {
                        self.0.remove(topic);
                    }
                }
            }
        }
    }
}
