//! What can be asked of topics.

use serde::{Deserialize, Serialize};

use super::placement::Placement;
use crate::ids::{Offset, PartitionId, TopicName};
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
    },
    /// Give a topic more partitions.
    Grow {
        topic: TopicName,
        /// The new total.
        partitions: u32,
    },
    /// Remove a topic, its records and its committed offsets.
    Delete { topic: TopicName },
    /// Append to a partition of a topic, which is made if it does not exist.
    Produce {
        topic: TopicName,
        placement: Placement,
        /// How many partitions the topic gets if it has to be made.
        new_topic_partitions: u32,
        records: Records,
    },
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
}
