//! What can happen to committed offsets.

use serde::{Deserialize, Serialize};

use super::committed::CommittedOffset;
use crate::ids::{GroupId, PartitionId, TopicName};

/// One fact about a group's committed offset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub enum OffsetEvent {
    /// It was committed.
    Committed {
        group: GroupId,
        topic: TopicName,
        partition: PartitionId,
        committed: CommittedOffset,
    },
    /// It was removed.
    Removed { group: GroupId, topic: TopicName, partition: PartitionId },
}

impl OffsetEvent {
    /// Whose offset it is.
    pub fn group(&self) -> &GroupId {
        match self {
            Self::Committed { group, .. } | Self::Removed { group, .. } => group,
        }
    }

    /// Of which topic.
    pub fn topic(&self) -> &TopicName {
        match self {
            Self::Committed { topic, .. } | Self::Removed { topic, .. } => topic,
        }
    }
}
