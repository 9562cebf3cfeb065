//! Consumer groups: what they are, and who decides what about them.
//!
//! A group is a set of committed offsets, a generation, and one of four kinds of membership. This module
//! owns the group itself and what holds for all kinds; each kind's own rules are in a file of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::apply::Transition;
use crate::command::{Command, Fence, Query};
use crate::event::Event;
use crate::ids::{Generation, GroupId, Millis, Offset, PartitionId, ProtocolName, TopicName};
use crate::offsets::CommittedOffset;
use crate::reply::{GroupKind, GroupState, Outcome, Rejection, Reply};
use crate::state::State;

mod admin;
mod declared;
mod describe;
pub mod event;

pub use declared::Declared;
use event::GroupEvent;

/// A consumer group.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Group {
    /// Its generation; it only grows while the group exists.
    pub generation: Generation,
    /// Counts the beginnings of rebalances, so that a deadline armed for one cannot end another.
    pub epoch: u64,
    /// Committed offsets by topic and partition.
    pub offsets: BTreeMap<TopicName, BTreeMap<PartitionId, CommittedOffset>>,
    /// How many rebalances it has completed.
    pub rebalances: u64,
    /// When each of those of the last hour was completed.
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
}

impl Membership {
    pub(crate) fn declared(&self) -> Option<&Declared> {
        match self {
            Self::Declared(declared) => Some(declared),
            Self::Simple => None,
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
        }
    }

    /// Its kind.
    pub fn kind(&self) -> GroupKind {
        match &self.membership {
            Membership::Simple => GroupKind::Simple,
            Membership::Declared(_) => GroupKind::Declared,
        }
    }

    /// Its state.
    pub fn state(&self) -> GroupState {
        match &self.membership {
            Membership::Simple => GroupState::Empty,
            Membership::Declared(declared) if declared.assignments.is_empty() => GroupState::Empty,
            Membership::Declared(_) => GroupState::Stable,
        }
    }

    /// Whether members of the thin or classic kind are in it.
    pub fn has_members(&self) -> bool {
        match &self.membership {
            Membership::Simple | Membership::Declared(_) => false,
        }
    }

    /// A committed offset.
    pub fn committed(&self, topic: &TopicName, partition: PartitionId) -> Option<&CommittedOffset> {
        self.offsets.get(topic)?.get(&partition)
    }

    /// Whether an offset of a partition may be committed. The one place that knows.
    pub(crate) fn may_commit(
        &self,
        id: &GroupId,
        fence: Option<&Fence>,
        _topic: &TopicName,
        _partition: PartitionId,
    ) -> Result<(), Rejection> {
        match (&self.membership, fence) {
            (Membership::Simple | Membership::Declared(_), None) => Ok(()),
            (Membership::Simple | Membership::Declared(_), Some(fence)) => {
                let member = fence.member_id.clone().unwrap_or_else(|| "".into());
                Err(Rejection::UnknownMember { group: id.clone(), member })
            }
        }
    }

    /// What does not hold of the group that should.
    pub(crate) fn violations(&self) -> Vec<String> {
        let mut found = Vec::new();
        if let Membership::Declared(declared) = &self.membership {
            let mut all: Vec<_> = declared.assignments.values().flatten().collect();
            let count = all.len();
            all.sort_unstable();
            all.dedup();
            if all.len() != count {
                found.push("a partition is assigned to two declared consumers".to_owned());
            }
        }
        found
    }

    pub(crate) fn evolve(&mut self, event: &GroupEvent, now_ms: Millis) {
        match event {
            GroupEvent::Declared { strategy, topic, assignments } => {
                self.generation = self.generation.next();
                self.emptied_ms = now_ms;
                self.membership = Membership::Declared(Declared {
                    strategy: strategy.clone(),
                    topic: topic.clone(),
                    assignments: assignments.iter().cloned().collect(),
                });
            }
            GroupEvent::Removed => unreachable!("the state removes the group"),
        }
    }
}

/// Commands about groups.
pub(crate) fn decide(tx: &mut Transition<'_>, command: &Command) -> Outcome {
    match command {
        Command::DeclareGroup { group, topic, consumers, partitions, strategy } => {
            declared::declare(tx, group, topic, consumers, partitions, strategy)
        }
        Command::DeleteGroup { group } => admin::delete_group(tx, group),
        Command::DeleteOffsets { group, topic, partitions } => {
            admin::delete_offsets(tx, group, topic, partitions.as_deref())
        }
        Command::ExpireOffsets { retention_ms } => admin::expire_offsets(tx, *retention_ms),
        Command::NewCoordinator { node } => {
            tx.emit(Event::CoordinatorChanged { node: *node });
            Ok(Reply::Done)
        }
        other => unreachable!("not a command about groups: {other:?}"),
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
        other => unreachable!("not a query about groups: {other:?}"),
    }
}

/// A topic was made, grew or was removed: groups that subscribe to it have to rebalance.
pub(crate) fn topic_changed(_tx: &mut Transition<'_>, _topic: &TopicName) {}

fn existing<'a>(state: &'a State, group: &GroupId) -> Result<&'a Group, Rejection> {
    state.group(group).ok_or_else(|| Rejection::GroupNotFound(group.clone()))
}

/// The next offset of a partition, 0 where it does not exist.
fn log_end(state: &State, topic: &TopicName, partition: PartitionId) -> Offset {
    let log = state.topic(topic).and_then(|t| t.partitions.get(partition as usize));
    log.map_or(0, crate::partitions::PartitionLog::end_offset)
}

fn emit(tx: &mut Transition<'_>, group: &GroupId, event: GroupEvent) {
    tx.emit(Event::Group { group: group.clone(), event });
}

fn text(text: impl Into<String>) -> Arc<str> {
    text.into().into()
}
