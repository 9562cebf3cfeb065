//! What can be asked of topics.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::config::{Change, TopicConfig};
use super::placement::Placement;
use super::sequences::Sequence;
use crate::ids::{Millis, Offset, PartitionId, TopicName};
use crate::values::Records;

/// A change of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub enum TopicCommand {
    /// Make a topic.
    Create {
        topic: TopicName,
        /// From 1 to [`MAX_PARTITIONS`](super::topic::MAX_PARTITIONS).
        partitions: u32,
        /// What it has of its own.
        config: TopicConfig,
    },
    /// Change the configuration of a topic.
    Configure {
        topic: TopicName,
        /// Names, and what happens to each.
        changes: Vec<(Arc<str>, Change)>,
        /// What is not named is not set any more.
        replace: bool,
    },
    /// Give a topic more partitions.
    Grow {
        topic: TopicName,
        /// The new total.
        partitions: u32,
    },
    /// Remove a topic, its records and its committed offsets.
    Delete { topic: TopicName },
    /// Remove the records of a partition before an offset.
    Trim {
        topic: TopicName,
        partition: PartitionId,
        /// At most the end of the log.
        before: Offset,
    },
    /// Remove what is too old, or too much, of every partition whose topic does not say itself
    /// how much is kept; and of the others what they say.
    Retain(Retention),
    /// Append to a partition of a topic, which is made if it does not exist.
    Produce {
        topic: TopicName,
        placement: Placement,
        /// How many partitions the topic gets if it has to be made.
        new_topic_partitions: u32,
        records: Records,
    },
    /// Append to a partition that exists.
    Append {
        topic: TopicName,
        partition: PartitionId,
        /// Of an idempotent producer.
        sequence: Option<Sequence>,
        records: Records,
        /// Whether a record has no key.
        keyless: bool,
        /// No more bytes of records, unless the topic says itself how many.
        max_bytes: u32,
    },
    /// Forget producers that have been silent for so long.
    ForgetProducers { silent_ms: Millis },
}

impl TopicCommand {
    /// Makes a topic that has nothing of its own.
    pub fn create(topic: impl Into<TopicName>, partitions: u32) -> Self {
        Self::Create { topic: topic.into(), partitions, config: TopicConfig::default() }
    }
}

/// What is kept of a partition. Whole segments go, the oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Retention {
    /// A segment goes when its last record is older than so many ms (Kafka's `retention.ms`).
    pub ms: Option<Millis>,
    /// A segment goes, but not the last one, while so many bytes are left without it (Kafka's
    /// `retention.bytes`).
    pub bytes: Option<u64>,
}

/// A read of topics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub enum TopicQuery {
    /// All topics.
    List,
    /// Records of a partition.
    Fetch {
        topic: TopicName,
        partition: PartitionId,
        /// The first one's.
        offset: Offset,
        /// At most this many records.
        max_messages: u32,
    },
    /// Topics by name, also those that do not exist; `None`: all.
    Describe { topics: Option<Vec<TopicName>> },
    /// Records of several partitions, in this order.
    Read {
        partitions: Vec<ReadFrom>,
        /// No more than so many bytes, but always one block of the first that has any.
        max_bytes: u32,
    },
    /// Offsets of several partitions.
    Offsets { partitions: Vec<OffsetAt> },
}

/// Where to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub struct ReadFrom {
    pub topic: TopicName,
    pub partition: PartitionId,
    /// The first one's.
    pub offset: Offset,
    /// No more than so many bytes of it.
    pub max_bytes: u32,
}

/// Which offset of a partition is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub struct OffsetAt {
    pub topic: TopicName,
    pub partition: PartitionId,
    /// That of the first record from an offset on that has this time or a later one. `None`: no
    /// record is looked for.
    pub since: Option<(Millis, Offset)>,
}
