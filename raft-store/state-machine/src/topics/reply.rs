//! What is answered about topics.

use serde::{Deserialize, Serialize};

use crate::ids::{Offset, PartitionId, TopicName};
use crate::values::StoredBatch;

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
        /// From the offset asked for. The first batch may begin before it.
        batches: Vec<StoredBatch>,
        /// The partition's next offset.
        high_watermark: Offset,
    },
}
