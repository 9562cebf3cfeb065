//! What can be asked of groups. What members of a kind ask stands with their kind.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::classic::command::ClassicCommand;
use super::polling::command::PollingCommand;
use crate::command::Lane;
use crate::ids::{Generation, GroupId, InstanceId, MemberId, PartitionId, ProtocolName, TopicName};
use crate::liveness::Heartbeat;

/// A change of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub enum GroupCommand {
    /// A polling consumer's request.
    Polling(PollingCommand),
    /// A classic member's request.
    Classic(ClassicCommand),
    /// Declare a group's whole membership and compute its assignment.
    Declare {
        group: GroupId,
        /// The topic whose partitions these are; it need not exist.
        topic: TopicName,
        /// Sorted, each once.
        consumers: Vec<MemberId>,
        /// Sorted, each once.
        partitions: Vec<PartitionId>,
        /// One of the four strategies.
        strategy: ProtocolName,
    },
    /// The coordinator's clock says that a time is over. Whether that still means something is
    /// decided when it is applied.
    Expire { group: GroupId, deadline: Deadline },
    /// A time is over now, whatever the coordinator's clock says: for tests.
    ExpireNow { group: GroupId, what: Expiring },
    /// Remove a group that has no members.
    Delete { group: GroupId },
}

/// What ran out, as the coordinator saw it. Each names what it was armed for, so that one that was
/// overtaken does nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub enum Deadline {
    /// A member's session: no sign of life for its session time-out.
    Session { member: MemberId },
    /// A polling consumer's poll interval: no poll for its rebalance time-out.
    PollInterval { member: MemberId },
    /// The join phase of a rebalance, or an eager group's time to give up partitions.
    Rebalance {
        /// The [epoch](super::group::Group::epoch) for which it was armed.
        epoch: u64,
    },
    /// The time in which members of a new generation have to sync.
    Sync { generation: Generation },
    /// A cooperative member's time to give up partitions.
    Revocation {
        member: MemberId,
        /// The generation in which it was asked to.
        generation: Generation,
    },
    /// The initial rebalance delay of a group that was empty.
    InitialDelay {
        /// The [epoch](super::group::Group::epoch) for which it was armed.
        epoch: u64,
    },
}

/// Which time is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Expiring {
    /// A member's session. The member is named by its id or its instance id.
    Session(Arc<str>),
    /// All that the group waits for: joins, syncs, partitions to be given up.
    Rebalance,
}

/// A read of groups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub enum GroupQuery {
    /// All groups.
    List,
    /// Everything about a group.
    Describe { group: GroupId },
    /// A polling consumer's sign of life.
    PollingHeartbeat { group: GroupId, member: MemberId },
    /// A classic member's sign of life.
    ClassicHeartbeat {
        group: GroupId,
        member: MemberId,
        /// If the member gives one.
        instance_id: Option<InstanceId>,
        /// The generation it believes in.
        generation: Generation,
    },
}

impl GroupCommand {
    /// Whose sign of life it is, if it is one.
    pub(crate) fn heartbeat(&self) -> Option<Heartbeat<'_>> {
        match self {
            Self::Polling(command) => Some(command.heartbeat()),
            Self::Classic(command) => Some(command.heartbeat()),
            Self::Declare { .. }
            | Self::Expire { .. }
            | Self::ExpireNow { .. }
            | Self::Delete { .. } => None,
        }
    }

    /// Whether its request may wait for its group.
    pub(crate) fn lane(&self) -> Lane {
        match self {
            Self::Classic(command) => command.lane(),
            Self::Polling(_)
            | Self::Declare { .. }
            | Self::Expire { .. }
            | Self::ExpireNow { .. }
            | Self::Delete { .. } => Lane::Immediate,
        }
    }
}

impl GroupQuery {
    /// Whose sign of life it is, if it is one.
    pub(crate) fn heartbeat(&self) -> Option<Heartbeat<'_>> {
        match self {
            Self::PollingHeartbeat { group, member }
            | Self::ClassicHeartbeat { group, member, .. } => Some(Heartbeat::of(group, member)),
            Self::List | Self::Describe { .. } => None,
        }
    }
}
