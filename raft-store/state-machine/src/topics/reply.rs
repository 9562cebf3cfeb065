//! What is answered about topics.

use serde::{Deserialize, Serialize};

use super::config::TopicConfig;
use crate::ids::{LogId, Millis, Offset, PartitionId, TopicName};
use crate::rejection::Rejection;
use crate::values::Found;

/// What was done with a topic, or read of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub enum TopicReply {
    /// Records were appended.
    Appended {
        partition: PartitionId,
        /// The first one's.
        offset: Offset,
    },
    /// All topics with their number of partitions, sorted.
    Listed(Vec<(TopicName, u32)>),
    /// Records of one partition.
    Fetched {
        /// From the offset asked for.
        found: Found,
        /// The partition's next offset.
        high_watermark: Offset,
    },
    /// Records were appended, or had been before.
    Produced {
        /// The first one's.
        offset: Offset,
        /// Where the partition begins.
        start: Offset,
        /// The time that the records bear, where that is the time of append.
        appended: Option<Millis>,
    },
    /// What was asked about topics, in that order.
    Described(Vec<(TopicName, Option<TopicDescription>)>),
    /// What was read, in the order in which it was asked for.
    Read(Vec<Result<ReadPart, Rejection>>),
    /// Offsets, in the order in which they were asked for.
    Offsets(Vec<Result<OffsetsFound, Rejection>>),
}

/// What there is to know about a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicDescription {
    /// How many partitions.
    pub partitions: u32,
    /// The log of its first partition. No other topic has it, also none of the same name.
    pub first_log: LogId,
    /// What it has of its own.
    pub config: TopicConfig,
}

/// What was read of one partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadPart {
    /// From the offset asked for. There may be more records around them, up to whole blocks.
    pub found: Found,
    /// Where the partition begins.
    pub start: Offset,
    /// The partition's next offset.
    pub high_watermark: Offset,
}

/// Offsets of a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OffsetsFound {
    /// Where it begins.
    pub start: Offset,
    /// The next one.
    pub end: Offset,
    /// How many bytes it has.
    pub bytes: u64,
    /// The newest time of its records.
    pub newest: Option<Millis>,
    /// Where the record that was looked for may be; before it, it is not.
    pub within: Option<Found>,
}
