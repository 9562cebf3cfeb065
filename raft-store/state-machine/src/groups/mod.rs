//! Consumer groups: what they are, and who decides what about them.
//!
//! A group is a set of committed offsets, a generation, and one of four kinds of membership. This module
//! owns the group itself and what holds for all kinds; each kind's own rules are in a folder or file of its
//! own ([`thin`], [`classic`], `declared`), and so is each decision about groups of all kinds: who may
//! commit (`commit`), what ran out (`expire`, `deadlines`), what a topic's change means (`topic`), what is
//! told (`describe`), what administrators do (`admin`).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::apply::Transition;
use crate::command::{Command, Query, RequestId};
use crate::event::Event;
use crate::ids::{Generation, GroupId, MemberId, Millis, Offset, PartitionId, ProtocolName, TopicName};
use crate::offsets::CommittedOffset;
use crate::reply::{GroupKind, GroupState, Outcome, Rejection, Reply};
use crate::state::State;

mod admin;
mod assign;
pub mod classic;
mod commit;
mod deadlines;
mod declared;
mod describe;
pub mod event;
mod evolve;
mod expire;
pub mod polling;
mod topic;
mod violations;

pub use classic::{Classic, ClassicMember};
pub use declared::Declared;
use event::GroupEvent;
pub use polling::{Polling, PollingMember};
pub(crate) use topic::topic_changed;

/// So many times of completed rebalances are kept at most; older ones are forgotten first.
pub const MAX_RECENT_REBALANCES: usize = 4_096;

/// An hour, in ms.
pub(crate) const HOUR_MS: Millis = 3_600_000;

/// A consumer group.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Group {
    /// Its generation; it only grows while the group exists.
    pub generation: Generation,
    /// Counts the beginnings of rebalances, and of the waits within one, so that a deadline armed for one
    /// cannot end another.
    pub epoch: u64,
    /// Committed offsets by topic and partition.
    pub offsets: BTreeMap<TopicName, BTreeMap<PartitionId, CommittedOffset>>,
    /// How many rebalances it has completed: how often it became Stable by one.
    pub rebalances: u64,
    /// When each of those of the hour before the last one was completed, oldest first; at most
    /// [`MAX_RECENT_REBALANCES`].
    pub recent_rebalances: Vec<Millis>,
    /// When it last became empty of members, or was made; 0 before anything happened to it.
    pub emptied_ms: Millis,
    /// Its members, and the rules they live by.
    pub membership: Membership,
}

/// Who is in a group, by kind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Membership {
    /// Nobody: the group has offsets and nothing else.
    #[default]
    Simple,
    /// Consumers that were declared as a whole.
    Declared(Declared),
    /// Polling consumers; the coordinator assigns.
    Polling(Polling),
    /// Kafka's classic protocol; the group's leader assigns.
    Classic(Classic),
}

impl Membership {
    pub(crate) fn declared(&self) -> Option<&Declared> {
        match self {
            Self::Declared(declared) => Some(declared),
            Self::Simple | Self::Polling(_) | Self::Classic(_) => None,
        }
    }

    /// The members of a thin group.
    pub fn polling(&self) -> Option<&Polling> {
        match self {
            Self::Polling(polling) => Some(polling),
            Self::Simple | Self::Declared(_) | Self::Classic(_) => None,
        }
    }

    /// The members of a classic group.
    pub fn classic(&self) -> Option<&Classic> {
        match self {
            Self::Classic(classic) => Some(classic),
            Self::Simple | Self::Declared(_) | Self::Polling(_) => None,
        }
    }
}

impl Group {
    /// The refusal of a request that is for another kind of group.
    pub(crate) fn inconsistent(&self, id: &GroupId, problem: &str) -> Rejection {
        let strategy = self.strategy().map_or_else(|| text("none"), |s| text(s.as_str()));
        Rejection::InconsistentProtocol {
            group: id.clone(),
            kind: text(self.kind().name()),
            strategy,
            problem: text(problem),
        }
    }

    /// The strategy by which it assigns, if it has one.
    pub fn strategy(&self) -> Option<&ProtocolName> {
        match &self.membership {
            Membership::Simple => None,
            Membership::Declared(declared) => Some(&declared.strategy),
            Membership::Polling(polling) => Some(&polling.strategy),
            Membership::Classic(classic) => classic.protocol.as_ref(),
        }
    }

    /// Its kind.
    pub fn kind(&self) -> GroupKind {
        match &self.membership {
            Membership::Simple => GroupKind::Simple,
            Membership::Declared(_) => GroupKind::Declared,
            Membership::Polling(_) => GroupKind::Polling,
            Membership::Classic(_) => GroupKind::Classic,
        }
    }

    /// Its state.
    pub fn state(&self) -> GroupState {
        match &self.membership {
            Membership::Simple => GroupState::Empty,
            Membership::Declared(declared) if declared.assignments.is_empty() => GroupState::Empty,
            Membership::Declared(_) => GroupState::Stable,
            Membership::Polling(polling) => polling.state(),
            Membership::Classic(classic) => classic.state(),
        }
    }

    /// Whether members of the thin or classic kind are in it.
    pub fn has_members(&self) -> bool {
        match &self.membership {
            Membership::Simple | Membership::Declared(_) => false,
            Membership::Polling(polling) => !polling.members.is_empty(),
            Membership::Classic(classic) => !classic.members.is_empty(),
        }
    }

    /// A committed offset.
    pub fn committed(&self, topic: &TopicName, partition: PartitionId) -> Option<&CommittedOffset> {
        self.offsets.get(topic)?.get(&partition)
    }
}

/// Commands about groups.
pub(crate) fn decide(tx: &mut Transition<'_>, command: &Command) -> Outcome {
    match command {
        Command::DeclareGroup { group, topic, consumers, partitions, strategy } => {
            declared::declare(tx, group, topic, consumers, partitions, strategy)
        }
        Command::Subscribe { group, member, subscription } => {
            polling::subscribe::subscribe(tx, group, member, subscription)
        }
        Command::Poll { group, member, max_messages } => {
            polling::poll::poll(tx, group, member, *max_messages)
        }
        Command::PollingHeartbeat { group, member } => polling::heartbeat::heartbeat(tx, group, member),
        Command::PollingCommit { commit, member, generation } => {
            commit::polling_commit(tx, commit, member, *generation)
        }
        Command::Unsubscribe { group, member, permanent } => {
            polling::unsubscribe::unsubscribe(tx, group, member, *permanent)
        }
        Command::JoinGroup {
            group,
            member,
            instance_id,
            session_timeout_ms,
            rebalance_timeout_ms,
            protocols,
        } => {
            let info = event::JoinInfo {
                instance_id: instance_id.clone(),
                session_timeout_ms: *session_timeout_ms,
                rebalance_timeout_ms: *rebalance_timeout_ms,
                protocols: protocols.clone(),
            };
            classic::join::join(tx, group, member.as_ref(), info)
        }
        Command::SyncGroup { group, member, instance_id, generation, assignments } => {
            classic::sync::sync(tx, group, member, instance_id.as_ref(), *generation, assignments.as_deref())
        }
        Command::LeaveGroup { group, member, instance_id, permanent } => {
            classic::leave::leave(tx, group, member, instance_id.as_ref(), *permanent)
        }
        Command::Expire { group, deadline } => expire::expire(tx, group, deadline),
        Command::DeleteGroup { group } => admin::delete_group(tx, group),
        Command::DeleteOffsets { group, topic, partitions } => {
            admin::delete_offsets(tx, group, topic, partitions.as_deref())
        }
        Command::ExpireOffsets { retention_ms } => admin::expire_offsets(tx, *retention_ms),
        Command::NewCoordinator { node } => {
            tx.emit(Event::CoordinatorChanged { node: *node });
            Ok(Reply::Done)
        }
        Command::LogSend { .. }
        | Command::LogCommit { .. }
        | Command::CreateTopic { .. }
        | Command::CreatePartitions { .. }
        | Command::DeleteTopic { .. }
        | Command::Produce { .. }
        | Command::CommitOffset { .. }
        | Command::RegisterWrite { .. }
        | Command::RegisterCas { .. } => unreachable!("not a command about groups: {command:?}"),
    }
}

/// Queries about groups.
pub(crate) fn query(state: &State, query: &Query) -> Outcome {
    match query {
        Query::ListGroups => {
            let groups = state.groups().map(|(id, group)| (id.clone(), group.kind(), group.state()));
            Ok(Reply::Groups(groups.collect()))
        }
        Query::DescribeGroup { group } => describe::describe(state, group),
        Query::PollingHeartbeat { group, member } => polling::heartbeat::query(state, group, member),
        Query::Heartbeat { group, member, instance_id, generation } => {
            classic::heartbeat::query(state, group, member, instance_id.as_ref(), *generation)
        }
        Query::LogPoll { .. }
        | Query::LogCommitted { .. }
        | Query::ListTopics
        | Query::Fetch { .. }
        | Query::FetchOffset { .. }
        | Query::RegisterRead { .. } => unreachable!("not a query about groups: {query:?}"),
    }
}

fn existing<'a>(state: &'a State, group: &GroupId) -> Result<&'a Group, Rejection> {
    state.group(group).ok_or_else(|| Rejection::GroupNotFound(group.clone()))
}

/// The members of a thin group, for a request of one of them.
fn polling_of<'a>(state: &'a State, group: &GroupId, member: &MemberId) -> Result<&'a Polling, Rejection> {
    let found = state.group(group).and_then(|g| g.membership.polling());
    found.ok_or_else(|| classic::unknown(group, member))
}

/// The members of a classic group, for a request of one of them.
fn classic_of<'a>(state: &'a State, group: &GroupId, member: &MemberId) -> Result<&'a Classic, Rejection> {
    let found = state.group(group).and_then(|g| g.membership.classic());
    found.ok_or_else(|| classic::unknown(group, member))
}

/// The next offset of a partition, 0 where it does not exist.
fn log_end(state: &State, topic: &TopicName, partition: PartitionId) -> Offset {
    let log = state.topic(topic).and_then(|t| t.partitions.get(partition as usize));
    log.map_or(0, crate::partitions::PartitionLog::end_offset)
}

fn emit(tx: &mut Transition<'_>, group: &GroupId, event: GroupEvent) {
    tx.emit(Event::Group { group: group.clone(), event });
}

/// Answers a request that waited.
fn answer(
    tx: &mut Transition<'_>,
    group: &GroupId,
    member: &MemberId,
    request_id: Option<RequestId>,
    outcome: Outcome,
) {
    emit(tx, group, GroupEvent::Answered { member: member.clone(), request_id, outcome });
}

fn text(text: impl Into<String>) -> Arc<str> {
    text.into().into()
}
