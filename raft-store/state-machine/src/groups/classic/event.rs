//! What can happen to classic members.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::command::JoinInfo;
use crate::command::RequestId;
use crate::groups::event::{RemovalReason, Touched};
use crate::ids::{Generation, MemberId, ProtocolName};

/// One fact about a classic group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub enum ClassicEvent {
    /// A member joined, for the first time or anew. The group is a classic one from now on.
    Joined {
        member: MemberId,
        info: JoinInfo,
        /// Its request is delayed, and this is the request's id; `None`: it is answered at once.
        waits: Option<Option<RequestId>>,
    },
    /// A member that wants to join was given its id. It joins with it in its next request. The group
    /// is a classic one from now on.
    IdGiven {
        member: MemberId,
        /// So long the id is kept for it, in ms.
        session_timeout_ms: u32,
    },
    /// A member that was given an id did not join: nobody waits for it any more.
    IdForgotten { member: MemberId, reason: RemovalReason },
    /// The wait of a rebalance begins again: more members came within the initial delay, or nobody
    /// joined.
    RebalanceExtended {
        /// How long it may take from now on.
        timeout_ms: u32,
        /// The next wait, if it is still the initial one.
        initial: Option<InitialDelay>,
    },
    /// The members have joined: a new generation, and everyone's join is over.
    JoinCompleted {
        /// The new one.
        generation: Generation,
        /// The elected one.
        protocol: ProtocolName,
        /// Who assigns.
        leader: MemberId,
    },
    /// A rebalance ended without members: the group is empty, in a new generation.
    Emptied { generation: Generation },
    /// The leader brought bytes for members; who is not named has none.
    Given { assignments: Vec<(MemberId, Bytes)> },
    /// A member asked for its assignment before it was there: its request is delayed.
    SyncWaits { member: MemberId, request_id: Option<RequestId> },
    /// A member asked for its assignment and got it.
    SyncFetched { member: MemberId },
}

/// How an empty classic group waits for more members before its first rebalance ends (Kafka's
/// `group.initial.rebalance.delay.ms`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitialDelay {
    /// This wait.
    pub delay_ms: u32,
    /// How long all further waits may be together.
    pub remaining_ms: u32,
}

impl ClassicEvent {
    /// Whose deadlines it may have changed.
    pub(crate) fn touches(&self) -> Touched<'_> {
        match self {
            Self::Joined { member, .. }
            | Self::IdGiven { member, .. }
            | Self::IdForgotten { member, .. }
            | Self::SyncWaits { member, .. }
            | Self::SyncFetched { member } => Touched::Member(member),
            Self::Given { .. } => Touched::Nothing,
            Self::RebalanceExtended { .. } | Self::JoinCompleted { .. } | Self::Emptied { .. } => {
                Touched::Everyone
            }
        }
    }
}
