//! What can happen to a group's membership.
//!
//! An event says what became true, with all that is needed to make it so; it never asks. Several events may
//! come of one command, in the order in which they happened.

use serde::{Deserialize, Serialize};

use crate::command::{Protocol, RequestId, Subscription};
use crate::ids::{Generation, InstanceId, MemberId, PartitionId, ProtocolName, TopicName};
use crate::reply::{Outcome, Span, TopicPartitions};

/// Why a rebalance began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RebalanceReason {
    /// A member came.
    MemberJoined(MemberId),
    /// A member that was there joined anew: it subscribes to something else, or it is the group's leader.
    MemberRejoined(MemberId),
    /// A member went, for whatever reason.
    MemberRemoved(MemberId),
    /// A topic that the group reads was made, grew or was removed.
    TopicChanged(TopicName),
    /// Members of a new generation did not ask for their assignment in time.
    SyncTimedOut,
}

/// Why a member went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RemovalReason {
    /// It said so.
    Left,
    /// No sign of life for its session time-out.
    SessionExpired,
    /// No poll for its poll interval.
    PolledTooSlowly,
    /// It did not take part in a rebalance within its time-out.
    MissedRebalance,
    /// It did not ask for its assignment within the time-out.
    MissedSync,
    /// It took the seat of another (static) member and gave up its own.
    ChangedSeat,
    /// The group is larger than it may be (Kafka's `group.max.size`), and it was too late.
    GroupFull,
}

/// What a classic member says of itself when it joins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinInfo {
    /// Its static identity, if it has one.
    pub instance_id: Option<InstanceId>,
    /// Silence after which it is removed, in ms.
    pub session_timeout_ms: u32,
    /// Time allowed to take part in a rebalance, in ms.
    pub rebalance_timeout_ms: u32,
    /// In its order of preference.
    pub protocols: Vec<Protocol>,
}

/// How an empty classic group waits for more members before its first rebalance ends (Kafka's
/// `group.initial.rebalance.delay.ms`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitialDelay {
    /// This wait, in ms.
    pub delay_ms: u32,
    /// How long all further waits may be together, in ms.
    pub remaining_ms: u32,
}

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
    /// A thin consumer subscribed, for the first time or anew; its positions are its committed offsets again.
    /// The group is a thin one from now on.
    Subscribed {
        /// The consumer.
        member: MemberId,
        /// What it wants.
        subscription: Subscription,
    },
    /// A classic member joined, for the first time or anew. The group is a classic one from now on.
    Joined {
        /// The member.
        member: MemberId,
        /// What it wants.
        info: JoinInfo,
        /// It waits for the group, and this is whose answer it will be; `None`: it does not wait.
        waits: Option<Option<RequestId>>,
    },
    /// A static member came back under another name: it has the seat now, and the old name is fenced.
    SeatTaken {
        /// The static identity.
        instance_id: InstanceId,
        /// The old name.
        from: MemberId,
        /// The new name.
        to: MemberId,
    },
    /// A static member went, but its seat is kept until its session ends.
    SeatKept {
        /// The member.
        member: MemberId,
    },
    /// A member went, and its seat with it.
    MemberRemoved {
        /// The member.
        member: MemberId,
        /// Why.
        reason: RemovalReason,
    },
    /// A rebalance began: members have to give up what they hold (thin, eager) or to join again (classic).
    RebalanceStarted {
        /// Why.
        reason: RebalanceReason,
        /// How long it may take, in ms: the greatest rebalance time-out of the members.
        timeout_ms: u32,
        /// Only where a classic group was empty and waits for more members first.
        initial: Option<InitialDelay>,
    },
    /// The wait of a classic group's rebalance begins again: more members came within the initial delay, or
    /// nobody joined.
    RebalanceExtended {
        /// How long it may take from now on, in ms.
        timeout_ms: u32,
        /// The next wait, if it is still the initial one.
        initial: Option<InitialDelay>,
    },
    /// A classic group's members have joined: a new generation, and everyone's join is over.
    JoinCompleted {
        /// The new generation.
        generation: Generation,
        /// The elected protocol.
        protocol: ProtocolName,
        /// Who assigns.
        leader: MemberId,
    },
    /// A classic group's rebalance ended without members: it is empty, in a new generation.
    Emptied {
        /// The new generation.
        generation: Generation,
    },
    /// A classic member asked for its assignment before it was there, and waits.
    SyncWaits {
        /// The member.
        member: MemberId,
        /// Whose answer it will be.
        request_id: Option<RequestId>,
    },
    /// A classic member asked for its assignment and got it.
    SyncFetched {
        /// The member.
        member: MemberId,
    },
    /// Who shall read what in a generation: the whole target, sorted by member.
    Assigned {
        /// The generation; in a thin group it begins with this.
        generation: Generation,
        /// What each member shall read.
        targets: Vec<(MemberId, TopicPartitions)>,
    },
    /// A thin consumer was told where it stands: it gave up some partitions and got others.
    Reconciled {
        /// The consumer.
        member: MemberId,
        /// The generation it was told.
        generation: Generation,
        /// What it gave up.
        revoked: TopicPartitions,
        /// What it got, to be read from the committed offsets.
        assigned: TopicPartitions,
    },
    /// A rebalance is over and the group is Stable.
    RebalanceCompleted {
        /// In this generation.
        generation: Generation,
    },
    /// A thin consumer was handed records.
    Polled {
        /// The consumer.
        member: MemberId,
        /// Which, at most one run a partition.
        spans: Vec<Span>,
    },
    /// A topic is gone: whoever read its partitions does not any more.
    TopicDropped {
        /// The topic.
        topic: TopicName,
    },
    /// A request that waited has its answer, which is remembered for its retries too.
    Answered {
        /// The member whose request it was; it may be gone.
        member: MemberId,
        /// The request; `None` where it was proposed without an request id.
        request_id: Option<RequestId>,
        /// The answer.
        outcome: Outcome,
    },
    /// The group is gone, with its offsets and its generation.
    Removed,
}

/// Whose deadlines an event may have changed. Those of the group as a whole ([`Group::group_deadlines`]) are
/// to be looked at with every touch.
///
/// [`Group::group_deadlines`]: crate::groups::Group::group_deadlines
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Touched<'a> {
    /// Nobody's.
    Nothing,
    /// One member's.
    Member(&'a MemberId),
    /// A seat's, under its old and its new name.
    Seat(&'a MemberId, &'a MemberId),
    /// Perhaps everyone's.
    Everyone,
}

impl GroupEvent {
    /// Whether the group ends with it.
    pub fn removes_group(&self) -> bool {
        matches!(self, Self::Removed)
    }

    /// Whose deadlines it may have changed.
    pub fn touches(&self) -> Touched<'_> {
        match self {
            Self::Polled { .. } | Self::RebalanceCompleted { .. } | Self::Answered { .. } => Touched::Nothing,
            Self::Subscribed { member, .. }
            | Self::Joined { member, .. }
            | Self::SeatKept { member }
            | Self::MemberRemoved { member, .. }
            | Self::SyncWaits { member, .. }
            | Self::SyncFetched { member }
            | Self::Reconciled { member, .. } => Touched::Member(member),
            Self::SeatTaken { from, to, .. } => Touched::Seat(from, to),
            Self::Declared { .. }
            | Self::RebalanceStarted { .. }
            | Self::RebalanceExtended { .. }
            | Self::JoinCompleted { .. }
            | Self::Emptied { .. }
            | Self::Assigned { .. }
            | Self::TopicDropped { .. }
            | Self::Removed => Touched::Everyone,
        }
    }
}
