//! What can happen to topics.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::config::TopicConfig;
use super::sequences::Sequence;
use crate::ids::{LogId, Millis, Offset, PartitionId, ProducerId, TopicName};
use crate::values::{Place, Records};

/// One fact about a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub enum TopicEvent {
    /// It was made.
    Created {
        topic: TopicName,
        partitions: u32,
        /// Those of the partitions, in order.
        logs: Range<LogId>,
        /// What it has of its own.
        config: TopicConfig,
    },
    /// It has another configuration.
    Configured { topic: TopicName, config: TopicConfig },
    /// It grew.
    Grown {
        topic: TopicName,
        /// The new total.
        partitions: u32,
        /// Those of the new partitions, in order.
        logs: Range<LogId>,
    },
    /// It was removed with its records.
    Deleted {
        topic: TopicName,
        /// Those of all its partitions: nobody reads them any more.
        logs: Vec<LogId>,
    },
    /// The records of a partition before an offset are gone.
    Trimmed {
        topic: TopicName,
        partition: PartitionId,
        log: LogId,
        /// The first offset that is left, or the end of the log.
        start: Offset,
        /// Segments, by their first offset, of which nothing is left.
        segments: Vec<Offset>,
    },
    /// Records were appended to a partition.
    Appended {
        topic: TopicName,
        partition: PartitionId,
        records: Records,
        place: Place,
        /// The first record's.
        offset: Offset,
        timestamp: Millis,
        /// Whether round-robin chose the partition, and so moves on.
        next: bool,
        /// Of an idempotent producer.
        sequence: Option<Sequence>,
    },
    /// Producers are not known any more in a partition.
    ProducersForgotten { topic: TopicName, partition: PartitionId, producers: Vec<ProducerId> },
}
