//! What can happen to a group's membership.

use serde::{Deserialize, Serialize};

use crate::ids::{MemberId, PartitionId, ProtocolName, TopicName};

/// One fact about one group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum GroupEvent {
    /// Its whole membership was declared; the generation goes on by one.
    Declared {
        /// By which strategy.
        strategy: ProtocolName,
        /// Of which topic.
        topic: TopicName,
        /// The whole target, sorted by consumer.
        assignments: Vec<(MemberId, Vec<PartitionId>)>,
    },
    /// The group is gone, with its offsets and its generation.
    Removed,
}

impl GroupEvent {
    /// Whether the group ends with it.
    pub fn removes_group(&self) -> bool {
        matches!(self, Self::Removed)
    }
}
