//! What can happen to polling consumers.

use serde::{Deserialize, Serialize};

use super::command::Subscription;
use super::reply::Span;
use crate::groups::event::Touched;
use crate::ids::{Generation, MemberId, TopicName};
use crate::values::TopicPartitions;

/// One fact about a polling group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub enum PollingEvent {
    /// A consumer subscribed, for the first time or anew; its positions are its committed offsets
    /// again. The group is a polling one from now on.
    Subscribed { member: MemberId, subscription: Subscription },
    /// A consumer was told where it stands: it gave up some partitions and got others.
    Reconciled {
        member: MemberId,
        /// The generation it was told.
        generation: Generation,
        /// What it gave up.
        revoked: TopicPartitions,
        /// What it got, to be read from the committed offsets.
        assigned: TopicPartitions,
    },
    /// A consumer was handed records.
    Polled {
        member: MemberId,
        /// At most one run a partition.
        spans: Vec<Span>,
    },
    /// A topic is gone: whoever read its partitions does not any more.
    TopicDropped { topic: TopicName },
}

impl PollingEvent {
    /// Whose deadlines it may have changed.
    pub(crate) fn touches(&self) -> Touched<'_> {
        match self {
            Self::Polled { .. } => Touched::Nothing,
            Self::Subscribed { member, .. } | Self::Reconciled { member, .. } => {
                Touched::Member(member)
            }
            Self::TopicDropped { .. } => Touched::Everyone,
        }
    }
}
