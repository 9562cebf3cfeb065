//! What is answered about groups. What members of a kind are told stands with their kind.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::classic::command::Client;
use super::classic::reply::ClassicReply;
use super::group::{GroupKind, GroupState};
use super::polling::reply::PollingReply;
use crate::ids::{
    Generation, GroupId, InstanceId, MemberId, Millis, NodeId, Offset, PartitionId, ProtocolName,
    TopicName, TopicPartition,
};
use crate::values::TopicPartitions;

/// What was done with a group, or read of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum GroupReply {
    /// To a polling consumer.
    Polling(PollingReply),
    /// To a classic member.
    Classic(ClassicReply),
    /// A declared group's assignment.
    Declared {
        /// The whole target, sorted by consumer.
        assignments: Vec<(MemberId, Vec<PartitionId>)>,
        /// Under `cooperative-sticky`: what each consumer that stays must give up first.
        revoked: Option<Vec<(MemberId, Vec<PartitionId>)>>,
    },
    /// All groups, sorted.
    Listed(Vec<(GroupId, GroupKind, GroupState)>),
    /// Everything about a group.
    Described(Box<Description>),
}

impl GroupReply {
    /// The member that it names as the one it is for.
    pub(crate) fn member(&self) -> Option<&MemberId> {
        match self {
            Self::Classic(
                ClassicReply::Joined { member_id, .. } | ClassicReply::IdGiven { member_id },
            ) => Some(member_id),
            Self::Classic(ClassicReply::Synced { .. })
            | Self::Polling(_)
            | Self::Declared { .. }
            | Self::Listed(_)
            | Self::Described(_) => None,
        }
    }
}

/// Everything about a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub struct Description {
    pub group: GroupId,
    pub kind: GroupKind,
    pub state: GroupState,
    /// The strategy by which it assigns; `None` before it has one.
    pub strategy: Option<ProtocolName>,
    pub generation: Generation,
    /// In a classic group.
    pub leader: Option<MemberId>,
    /// The node that coordinates it.
    pub coordinator: Option<NodeId>,
    /// How many it has completed.
    pub rebalances: u64,
    /// How many of them in the hour before the last stamp.
    pub rebalances_last_hour: u64,
    /// Sorted by name.
    pub members: Vec<DescribedMember>,
    /// Every partition that has a commit or belongs to a subscribed topic; sorted.
    pub offsets: Vec<DescribedOffset>,
}

/// A member in a group's description.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub struct DescribedMember {
    pub member_id: MemberId,
    pub instance_id: Option<InstanceId>,
    /// What it subscribes to.
    pub topics: Vec<TopicName>,
    /// What it reads.
    pub assignment: TopicPartitions,
    /// What a member of Kafka's own protocol says besides.
    pub client: Option<Box<DescribedClient>>,
}

/// A member of Kafka's own protocol in a group's description.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DescribedClient {
    /// Who it is.
    pub client: Client,
    /// What it says to its leader under the elected protocol.
    pub metadata: Bytes,
    /// What its leader gave it.
    pub given: Bytes,
}

/// A partition in a group's description.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub struct DescribedOffset {
    pub partition: TopicPartition,
    /// What was committed; [`reached`](Self::reached) where an offset of the log is wanted.
    pub committed: Option<Offset>,
    /// Where its reader is.
    pub position: Option<Offset>,
    /// The partition's next offset; 0 where it does not exist.
    pub log_end_offset: Offset,
    /// The committer's own note.
    pub metadata: Option<Arc<str>>,
    /// When the offset was committed.
    pub timestamp: Option<Millis>,
    /// Who reads the partition.
    pub member_id: Option<MemberId>,
}

impl DescribedOffset {
    /// Up to where the group has read. Nothing where nobody has committed, or where a client of
    /// Kafka has committed a number below 0, which is kept as one above `i64::MAX`.
    pub fn reached(&self) -> Option<Offset> {
        self.committed.filter(|committed| i64::try_from(*committed).is_ok())
    }

    /// How many offsets the group has not yet read: log end minus committed, from 0 where nothing
    /// was committed; never below 0.
    pub fn lag(&self) -> Offset {
        self.log_end_offset.saturating_sub(self.reached().unwrap_or(0))
    }

    /// The lag in percent of the log's end; 0 for an empty log.
    pub fn lag_percent(&self) -> f64 {
        if self.log_end_offset == 0 {
            0.0
        } else {
            self.lag() as f64 / self.log_end_offset as f64 * 100.0
        }
    }
}
