//! Groups as they are kept.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::by_topic::ByTopic;
use super::classic::members::Classic;
use super::declared::Declared;
use super::polling::members::Polling;
use crate::ids::{Generation, GroupId, Millis, Offset, ProtocolName, TopicName, TopicPartition};
use crate::offsets::committed::CommittedOffsets;
use crate::rejection::Rejection;

/// So many times of completed rebalances are kept at most; older ones are forgotten first.
pub const MAX_RECENT_REBALANCES: usize = 4_096;

/// An hour.
pub(crate) const HOUR_MS: Millis = 3_600_000;

/// A consumer group.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Group {
    /// Its generation; it only grows while the group exists.
    pub generation: Generation,
    /// Counts the beginnings of rebalances, and of the waits within one, so that a deadline armed
    /// for one cannot end another.
    pub epoch: u64,
    /// What it has got to.
    pub offsets: CommittedOffsets,
    /// How many rebalances it has completed: how often it became Stable by one.
    pub rebalances: u64,
    /// When each of those of the hour before the last one was completed, oldest first; at most
    /// [`MAX_RECENT_REBALANCES`].
    pub recent_rebalances: VecDeque<Millis>,
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

/// A group's state, by Kafka's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum GroupState {
    /// No members.
    Empty,
    /// Members are joining, or giving up what they have to.
    PreparingRebalance,
    /// Members have joined and wait for the leader's assignment.
    CompletingRebalance,
    /// Everyone reads what it should.
    Stable,
    /// Removed.
    Dead,
}

impl GroupState {
    /// Kafka's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
        }
    }
}

/// How a group came to be and who assigns in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum GroupKind {
    /// It has committed offsets and nothing else.
    Simple,
    /// Declared as a whole, in one request.
    Declared,
    /// Consumers that only poll; the coordinator assigns, as in KIP-848. On the wire it is called
    /// `thin`.
    Polling,
    /// Kafka's classic protocol; the group's leader assigns.
    Classic,
}

impl GroupKind {
    /// Its name in replies.
    pub fn name(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Declared => "declared",
            Self::Polling => "thin",
            Self::Classic => "classic",
        }
    }
}

impl Membership {
    pub(crate) fn declared(&self) -> Option<&Declared> {
        match self {
            Self::Declared(declared) => Some(declared),
            Self::Simple | Self::Polling(_) | Self::Classic(_) => None,
        }
    }

    /// The members of a polling group.
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
            Membership::Declared(declared) => declared.state(),
            Membership::Polling(polling) => polling.state(),
            Membership::Classic(classic) => classic.state(),
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

    /// Whether it has members. Declared consumers are none.
    pub fn has_members(&self) -> bool {
        match &self.membership {
            Membership::Simple | Membership::Declared(_) => false,
            Membership::Polling(polling) => !polling.members.is_empty(),
            Membership::Classic(classic) => !classic.members.is_empty(),
        }
    }

    /// Whether somebody was given an id and is still to join with it.
    pub(crate) fn expects_members(&self) -> bool {
        self.membership.classic().is_some_and(|classic| !classic.pending_join.is_empty())
    }

    /// Whether a member reads a topic. Declared consumers are no members.
    pub fn subscribes_to(&self, topic: &TopicName) -> bool {
        match &self.membership {
            Membership::Simple | Membership::Declared(_) => false,
            Membership::Polling(polling) => polling.subscribed.contains_key(topic),
            Membership::Classic(classic) => classic.subscribed.contains(topic),
        }
    }

    /// Where a consumer begins to read a partition: at the committed offset, 0 without one.
    pub(crate) fn start(&self, partition: &TopicPartition) -> Offset {
        self.offsets.get(&partition.topic, partition.partition).map_or(0, |c| c.offset)
    }

    /// The refusal of a request that is for another kind of group.
    pub(crate) fn inconsistent(&self, id: &GroupId, problem: &str) -> Rejection {
        Rejection::InconsistentProtocol {
            group: id.clone(),
            kind: self.kind().name().into(),
            strategy: self.strategy().map_or("none", |s| s.as_str()).into(),
            problem: problem.into(),
        }
    }
}

/// All groups. They are shared, so that a snapshot's clone is cheap.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Groups {
    pub(super) all: BTreeMap<GroupId, Arc<Group>>,
    /// The groups that name each topic.
    pub(super) by_topic: ByTopic,
}

impl Groups {
    /// A group.
    pub fn get(&self, group: &GroupId) -> Option<&Group> {
        self.all.get(group).map(AsRef::as_ref)
    }

    /// How many parts a clone copies.
    pub(crate) fn parts(&self) -> usize {
        self.all.len() + self.by_topic.len()
    }

    /// All by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&GroupId, &Group)> {
        self.all.iter().map(|(id, group)| (id, group.as_ref()))
    }

    /// Those that name a topic ([`Group::names`]), by name.
    pub fn of_topic(&self, topic: &TopicName) -> impl Iterator<Item = (&GroupId, &Group)> {
        let found = |id| Some((id, self.get(id)?));
        self.by_topic.groups(topic).filter_map(found)
    }

    /// Whether [`of_topic`](Self::of_topic) is what a look at all groups finds.
    pub(crate) fn are_found_by_topic(&self) -> bool {
        self.by_topic == ByTopic::of(self.iter())
    }
}

/// Written is what does not follow from the rest.
impl Serialize for Groups {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { all, by_topic: _ } = self;
        all.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Groups {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let all = BTreeMap::deserialize(deserializer)?;
        let mut groups = Self { all, by_topic: ByTopic::default() };
        groups.by_topic = ByTopic::of(groups.iter());
        Ok(groups)
    }
}
