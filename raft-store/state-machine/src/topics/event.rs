//! What can happen to topics.

use serde::{Deserialize, Serialize};

use crate::ids::{Millis, Offset, PartitionId, TopicName};
use crate::values::Records;

/// One fact about a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub enum TopicEvent {
    /// It was made.
    Created { topic: TopicName, partitions: u32 },
    /// It grew.
    Grown {
        topic: TopicName,
        /// The new total.
        partitions: u32,
    },
    /// It was removed with its records.
    Deleted { topic: TopicName },
    /// Records were appended to a partition.
    Appended {
        topic: TopicName,
        partition: PartitionId,
        records: Records,
        /// The first one's.
        offset: Offset,
        timestamp: Millis,
        /// Whether round-robin chose the partition, and so moves on.
        next: bool,
    },
}
