//! What is answered to polling consumers.

use serde::{Deserialize, Serialize};

use crate::groups::group::GroupState;
use crate::groups::reply::GroupReply;
use crate::ids::{Generation, Offset, TopicPartition};
use crate::reply::Reply;
use crate::values::{Extent, Found, TopicPartitions};

/// What a polling consumer is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub enum PollingReply {
    /// It subscribed or sent a heartbeat.
    Told(PollingView),
    /// It polled.
    Polled {
        view: PollingView,
        /// What it was handed: not empty, and each partition once.
        records: Vec<(TopicPartition, Found)>,
    },
}

/// What every reply to a polling consumer tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PollingView {
    /// The member's generation from now on.
    pub generation: Generation,
    /// The group's.
    pub state: GroupState,
    /// What the member may read and commit.
    pub assignment: TopicPartitions,
}

/// A run of offsets that a poll handed out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub struct Span {
    pub partition: TopicPartition,
    /// The first offset.
    pub from: Offset,
    /// One past the last.
    pub to: Offset,
}

impl Span {
    /// The run that a poll found in a partition.
    pub(super) fn of((partition, found): &(TopicPartition, Found)) -> Self {
        let Extent { from, to, .. } = found.extent;
        Self { partition: partition.clone(), from, to }
    }
}

impl From<PollingReply> for Reply {
    fn from(reply: PollingReply) -> Self {
        Self::Group(GroupReply::Polling(reply))
    }
}
