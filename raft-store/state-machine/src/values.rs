//! Values that commands, events and replies share: they ask nothing and answer nothing themselves.

use std::ops::Range;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::ids::{LogId, Millis, Offset, PartitionId, TopicName, TopicPartition};

/// Encoded records on their way into a partition. The state machine never looks into the bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Records {
    /// How many records the bytes hold; at least 1.
    pub count: u32,
    /// One Kafka record batch (magic 2), whose offset is not filled in, nor its time of append.
    pub bytes: Bytes,
    /// The newest time in it, in ms since 1970, if its records bear their own times (Kafka's
    /// `CreateTime`), which may be in any order. `None`: they get the time of their append.
    pub created: Option<Millis>,
    /// By so many bytes keys and values are longer as text, where characters are escaped. A bound
    /// from above will do. Replies that tell text are cut by it.
    pub escapes: u32,
}

/// Where a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// In which log.
    pub log: LogId,
    /// In which of its segments: the segment's first offset.
    pub segment: Offset,
    /// At which byte of the segment.
    pub position: u32,
}

/// A run of records in a log, and where their batches lie.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Extent {
    /// The log.
    pub log: LogId,
    /// The first offset. Its batch may begin before it.
    pub from: Offset,
    /// One past the last offset. Its batch may end after it.
    pub to: Offset,
    /// The bytes in which the batches lie, in order.
    pub pieces: Vec<Piece>,
}

/// A piece of a segment. It begins where a batch begins, and ends where one ends. There may be
/// batches in it, at both ends, that are not wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// The first offset of the segment.
    pub segment: Offset,
    /// The first offset in the piece.
    pub first: Offset,
    /// Which of the segment's bytes.
    pub bytes: Range<u64>,
}

impl Extent {
    /// Adds bytes that come next in the log.
    pub(crate) fn add(&mut self, segment: Offset, first: Offset, bytes: Range<u64>) {
        match self.pieces.last_mut() {
            Some(last) if last.segment == segment => last.bytes.end = bytes.end,
            _ => self.pieces.push(Piece { segment, first, bytes }),
        }
    }

    /// How many bytes its pieces have.
    pub fn byte_len(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.bytes.end - piece.bytes.start).sum()
    }

    /// Whether there is no record in it.
    pub fn is_empty(&self) -> bool {
        self.from >= self.to
    }
}

/// Records of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Found {
    /// Where they lie.
    pub extent: Extent,
    /// Their batches; filled in only where the answer is sent from.
    pub batches: Vec<StoredBatch>,
}

impl Found {
    /// The offsets of the records. Batches may have others at both ends.
    pub fn offsets(&self) -> Range<Offset> {
        self.extent.from..self.extent.to
    }
}

impl From<Extent> for Found {
    fn from(extent: Extent) -> Self {
        Self { extent, batches: Vec::new() }
    }
}

/// Records as they stand in a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredBatch {
    /// The first record's offset.
    pub base_offset: Offset,
    /// How many records.
    pub count: u32,
    /// When they were appended, by the leader's clock, which never falls within a partition; or
    /// the newest of their own times ([`Records::created`]).
    pub timestamp: Millis,
    /// As they came in [`Records`], with offset and time of append filled in.
    pub bytes: Bytes,
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
