//! What a classic member can ask.

use serde::{Deserialize, Serialize};

use crate::command::Lane;
use crate::ids::{Generation, GroupId, InstanceId, MemberId, ProtocolName, TopicName};
use crate::liveness::Heartbeat;
use crate::values::TopicPartitions;

/// A classic member's request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub enum ClassicCommand {
    /// Join or rejoin.
    Join {
        group: GroupId,
        /// `None` when it joins for the first time: the request id then makes its id.
        member: Option<MemberId>,
        info: JoinInfo,
    },
    /// Ask for the assignment; the group's leader may bring everyone's.
    Sync {
        group: GroupId,
        member: MemberId,
        /// If the member gives one.
        instance_id: Option<InstanceId>,
        /// The generation it joined.
        generation: Generation,
        /// From the group's leader.
        assignments: Option<Vec<(MemberId, TopicPartitions)>>,
    },
    /// Leave.
    Leave {
        group: GroupId,
        member: MemberId,
        /// If the member gives one.
        instance_id: Option<InstanceId>,
        /// A static member gives up its seat.
        permanent: bool,
    },
}

/// What a classic member says of itself when it joins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinInfo {
    /// Its static identity, if it has one.
    pub instance_id: Option<InstanceId>,
    /// Silence after which it is removed.
    pub session_timeout_ms: u32,
    /// Time allowed to take part in a rebalance.
    pub rebalance_timeout_ms: u32,
    /// In the member's order of preference.
    pub protocols: Vec<Protocol>,
}

/// One protocol that a classic member offers (Kafka's JoinGroup).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub struct Protocol {
    pub name: ProtocolName,
    /// The topics the member subscribes to under it; sorted, each once.
    pub topics: Vec<TopicName>,
    /// What the member owned when it joined.
    pub owned: TopicPartitions,
    /// The generation in which it owned that.
    pub generation: Option<Generation>,
}

impl ClassicCommand {
    /// Whose sign of life it is.
    pub(crate) fn heartbeat(&self) -> Heartbeat<'_> {
        match self {
            Self::Join { group, member, .. } => {
                Heartbeat { group, member: member.as_ref(), polled: false }
            }
            Self::Sync { group, member, .. } | Self::Leave { group, member, .. } => {
                Heartbeat::of(group, member)
            }
        }
    }

    /// Whether its request may wait for its group.
    pub(crate) fn lane(&self) -> Lane {
        match self {
            Self::Join { .. } | Self::Sync { .. } => Lane::Delayed,
            Self::Leave { .. } => Lane::Immediate,
        }
    }
}
