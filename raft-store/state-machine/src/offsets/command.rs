//! What can be asked of committed offsets.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::{Generation, GroupId, InstanceId, MemberId, Offset, PartitionId, TopicName};
use crate::liveness::Heartbeat;
use crate::values::TopicPartitions;

/// A change of committed offsets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub enum OffsetCommand {
    /// Commit an offset, as an administrator or fenced as a member.
    Commit {
        commit: OffsetCommit,
        /// `None`: by whoever administers the group.
        fence: Option<Fence>,
    },
    /// Commit an offset as a polling consumer that owns the partition.
    PollingCommit {
        commit: OffsetCommit,
        member: MemberId,
        /// The generation that the consumer names, if it names one.
        generation: Option<Generation>,
    },
    /// Commit offsets of several partitions, those that exist. All are refused together where the
    /// member is.
    CommitAll {
        group: GroupId,
        /// `None`: by whoever administers the group.
        member: Option<Committer>,
        commits: Vec<PartitionCommit>,
    },
    /// Remove committed offsets of a topic.
    Delete {
        group: GroupId,
        topic: TopicName,
        /// `None`: all.
        partitions: Option<Vec<PartitionId>>,
    },
    /// Forget what was committed longer ago than the retention, where nobody reads.
    Expire { retention_ms: u64 },
}

/// One partition's offset to commit for a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub struct OffsetCommit {
    pub group: GroupId,
    /// It need not exist.
    pub topic: TopicName,
    pub partition: PartitionId,
    /// The next offset that the group will read.
    pub offset: Offset,
    /// The epoch of the leader from which the committer read the record before, if it says so.
    pub leader_epoch: Option<u32>,
    /// The committer's own note.
    pub metadata: Option<Arc<str>>,
}

/// Which member commits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub struct Committer {
    pub member_id: MemberId,
    /// If the member gives one.
    pub instance_id: Option<InstanceId>,
    pub generation: Generation,
}

/// An offset of one partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub struct PartitionCommit {
    pub topic: TopicName,
    pub partition: PartitionId,
    /// The next offset that the group will read.
    pub offset: Offset,
    /// The epoch of the leader from which the committer read the record before, if it says so.
    pub leader_epoch: Option<u32>,
    /// The committer's own note.
    pub metadata: Option<Arc<str>>,
}

/// On whose behalf a member of a group commits (Kafka's `OffsetCommit` fields).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// The member, if named.
    pub member_id: Option<MemberId>,
    /// The generation, if named.
    pub generation: Option<Generation>,
}

/// A read of committed offsets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub enum OffsetQuery {
    /// A group's committed offset of a partition.
    Fetch { group: GroupId, topic: TopicName, partition: PartitionId },
    /// A group's committed offsets: of partitions, with those that have none, or all that it has.
    FetchAll { group: GroupId, partitions: Option<TopicPartitions> },
}

impl OffsetCommand {
    /// Whose sign of life it is, if it is one.
    pub(crate) fn heartbeat(&self) -> Option<Heartbeat<'_>> {
        match self {
            Self::PollingCommit { commit, member, .. } => {
                Some(Heartbeat::of(&commit.group, member))
            }
            Self::Commit { commit, fence } => {
                let member = fence.as_ref()?.member_id.as_ref()?;
                Some(Heartbeat::of(&commit.group, member))
            }
            Self::CommitAll { group, member, .. } => {
                Some(Heartbeat::of(group, &member.as_ref()?.member_id))
            }
            Self::Delete { .. } | Self::Expire { .. } => None,
        }
    }
}
