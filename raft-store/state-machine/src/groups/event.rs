//! What can happen to a group's membership.
//!
//! An event says what became true, with all that is needed to make it so; it never asks. Several
//! events may come of one command, in the order in which they happened. What only members of one
//! kind meet stands with their kind.

use serde::{Deserialize, Serialize};

use super::classic::event::{ClassicEvent, InitialDelay};
use super::group::Group;
use super::polling::event::PollingEvent;
use crate::command::RequestId;
use crate::ids::{Generation, InstanceId, MemberId, PartitionId, ProtocolName, TopicName};
use crate::reply::Outcome;
use crate::values::TopicPartitions;

/// One fact about one group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub enum GroupEvent {
    /// Only a polling group meets this.
    Polling(PollingEvent),
    /// Only a classic group meets this.
    Classic(ClassicEvent),
    /// Its whole membership was declared; the generation goes on by one.
    Declared {
        strategy: ProtocolName,
        topic: TopicName,
        /// The whole target, sorted by consumer.
        assignments: Vec<(MemberId, Vec<PartitionId>)>,
    },
    /// A static member came back under another name: it has the seat now, and the old name is
    /// fenced.
    SeatTaken {
        instance_id: InstanceId,
        /// The old name.
        from: MemberId,
        /// The new name.
        to: MemberId,
    },
    /// A static member went, but its seat is kept until its session ends.
    SeatKept { member: MemberId },
    /// A member went, and its seat with it.
    MemberRemoved { member: MemberId, reason: RemovalReason },
    /// A rebalance began: members have to give up what they hold (polling, eager) or to join again
    /// (classic).
    RebalanceStarted {
        reason: RebalanceReason,
        /// How long it may take: the greatest rebalance time-out of the members.
        timeout_ms: u32,
        /// Only where a classic group was empty and waits for more members first.
        initial: Option<InitialDelay>,
    },
    /// Who shall read what in a generation, sorted by member.
    Assigned {
        /// In a polling group the generation begins with this.
        generation: Generation,
        /// In a classic group everyone's target; in a polling group only those that differ from
        /// the member's target before, which is empty for a new member.
        targets: Vec<(MemberId, TopicPartitions)>,
    },
    /// A rebalance is over and the group is Stable.
    RebalanceCompleted { generation: Generation },
    /// A delayed request has its answer, which is remembered for its retries too.
    Answered {
        /// The member whose request it was; it may be gone.
        member: MemberId,
        /// `None` where it was proposed without a request id.
        request_id: Option<RequestId>,
        outcome: Outcome,
    },
    /// The group is gone, with its offsets and its generation.
    Removed,
}

/// Why a rebalance began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RebalanceReason {
    /// A member came.
    MemberJoined(MemberId),
    /// A member that was there joined anew: it subscribes to something else, or it is the group's
    /// leader.
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
    /// The group became one of another kind.
    AnotherKind,
}

impl RemovalReason {
    /// Its name, in traces and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::SessionExpired => "session_expired",
            Self::PolledTooSlowly => "polled_too_slowly",
            Self::MissedRebalance => "missed_rebalance",
            Self::MissedSync => "missed_sync",
            Self::ChangedSeat => "changed_seat",
            Self::GroupFull => "group_full",
            Self::AnotherKind => "another_kind",
        }
    }
}

/// Whose deadlines an event may have changed. Those of the group as a whole
/// ([`Group::group_deadlines`]) are to be looked at with every touch.
///
/// [`Group::group_deadlines`]: super::group::Group::group_deadlines
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Touched<'a> {
    /// Nobody's.
    Nothing,
    /// No single member's.
    Whole,
    /// One member's.
    Member(&'a MemberId),
    /// A seat's, under its old and its new name.
    Seat(&'a MemberId, &'a MemberId),
    /// Those of the members that have a new target.
    Targets(&'a [(MemberId, TopicPartitions)]),
    /// Perhaps everyone's.
    Everyone,
}

impl GroupEvent {
    /// Whose deadlines it may have changed.
    pub fn touches(&self) -> Touched<'_> {
        match self {
            Self::Polling(event) => event.touches(),
            Self::Classic(event) => event.touches(),
            Self::RebalanceCompleted { .. } | Self::Answered { .. } => Touched::Nothing,
            Self::SeatKept { member } | Self::MemberRemoved { member, .. } => {
                Touched::Member(member)
            }
            Self::SeatTaken { from, to, .. } => Touched::Seat(from, to),
            Self::Assigned { targets, .. } => Touched::Targets(targets),
            Self::Declared { .. } | Self::RebalanceStarted { .. } | Self::Removed => {
                Touched::Everyone
            }
        }
    }

    /// As [`touches`](Self::touches), in a group as it is after the event. Nobody's time changes
    /// when a rebalance begins in a polling group.
    pub fn touches_in(&self, group: &Group) -> Touched<'_> {
        match self {
            Self::RebalanceStarted { .. } if group.membership.polling().is_some() => Touched::Whole,
            _ => self.touches(),
        }
    }
}

impl From<PollingEvent> for GroupEvent {
    fn from(event: PollingEvent) -> Self {
        Self::Polling(event)
    }
}

impl From<ClassicEvent> for GroupEvent {
    fn from(event: ClassicEvent) -> Self {
        Self::Classic(event)
    }
}
