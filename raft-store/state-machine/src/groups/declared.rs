//! Declared groups: the caller names all consumers and partitions in one request, and the group
//! answers with an assignment. It remembers that, so that sticky strategies keep what they can at
//! the next request.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::group::GroupState;
use crate::ids::{MemberId, PartitionId, ProtocolName, TopicName};

/// What a declared group remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declared {
    /// The strategy of the last request.
    pub strategy: ProtocolName,
    /// The topic of the last request.
    pub topic: TopicName,
    /// The last assignment.
    pub assignments: BTreeMap<MemberId, Vec<PartitionId>>,
}

impl Declared {
    /// Kafka's name for what the group is doing.
    pub(super) fn state(&self) -> GroupState {
        if self.assignments.is_empty() { GroupState::Empty } else { GroupState::Stable }
    }
}
