//! Polling consumers: the coordinator assigns, a poll is a sign of life.
//!
//! The model is KIP-848's, for eager groups too. The group has a *target* for each member, computed anew with
//! each generation; each member has what it was told, its *assigned* partitions, and the generation it was told
//! them in. The two meet in `reconcile` when the member asks: what it holds and should not, it
//! gives up with a poll; what it should hold and nobody else still holds, it gets. So a partition has one
//! holder at any time, and a member that was never told of a partition does not hold it.
//!
//! Eager and cooperative groups differ in one thing: when the generation begins. In an eager group it begins
//! when everyone has given up everything ([`Rebalance::holding`] is empty), in a cooperative group at once.
//!
//! Where the contract is silent:
//! * A member that holds nothing has nothing to give up: an eager rebalance does not wait for it.
//! * A heartbeat tells a new generation and new partitions, but gives nothing up; only a poll (or a `subscribe`,
//!   which is a restart) does. A member that still has to give something up stays in its generation.
//! * A static member whose seat is kept while it is away (it unsubscribed, or polled too slowly) holds up nobody:
//!   what its seat has to give up is given up at once. It has to subscribe before its other requests are taken.
//! * A member that changes its instance id keeps its place under the new one; if the new one has a seat already,
//!   it takes that and gives up its own.
//! * The last member's going begins no new generation: the next member's coming does.
//! * The partitions of a topic that was removed are nobody's at once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::ids::{
    Generation, GroupId, InstanceId, MemberId, Offset, ProtocolName, TopicName, TopicPartition,
};
use crate::reply::{GroupState, Rejection, TopicPartitions};

mod evolve;
pub(super) mod heartbeat;
pub(super) mod poll;
pub(super) mod rebalance;
pub(super) mod reconcile;
pub(super) mod subscribe;
pub(super) mod unsubscribe;

/// So many old names of static members are remembered as fenced, per group; the oldest are forgotten first,
/// and are then unknown members like any other.
pub const MAX_FENCED: usize = 1_024;

/// The members of a thin group.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Polling {
    /// The strategy by which it assigns: that of its members, or of the last one it had.
    pub strategy: ProtocolName,
    /// By name.
    pub members: BTreeMap<MemberId, PollingMember>,
    /// Who has the seat of each static identity.
    pub instances: BTreeMap<InstanceId, MemberId>,
    /// Old names of static members, oldest first; at most [`MAX_FENCED`].
    pub fenced: VecDeque<(MemberId, InstanceId)>,
    /// How many members subscribe to each topic.
    pub subscribed: BTreeMap<TopicName, u32>,
    /// Who holds each partition that somebody holds.
    pub owners: BTreeMap<TopicPartition, MemberId>,
    /// The rebalance under way; the group is Stable, or Empty, without one.
    pub rebalance: Option<Rebalance>,
    /// Members that are not away and either do not know the newest generation or do not hold their whole target.
    pub unsettled: BTreeSet<MemberId>,
}

/// A rebalance that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rebalance {
    /// How long it may take, in ms.
    pub timeout_ms: u32,
    /// In an eager group: who still has to give up what it holds.
    pub holding: BTreeSet<MemberId>,
}

/// A thin consumer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PollingMember {
    /// Its static identity, if it has one.
    pub instance_id: Option<InstanceId>,
    /// What it subscribes to; sorted, each once.
    pub topics: Vec<TopicName>,
    /// Silence after which it is removed, in ms.
    pub session_timeout_ms: u32,
    /// Time allowed to take part in a rebalance and between polls, in ms.
    pub rebalance_timeout_ms: u32,
    /// The generation that its last reply told.
    pub generation: Generation,
    /// What it shall read in the group's generation.
    pub target: TopicPartitions,
    /// What it was told to read, with its position in each: `None` until its first poll there, which begins at
    /// the committed offset.
    pub assigned: BTreeMap<TopicPartition, Option<Offset>>,
    /// Where its last poll ended: the next one begins after it, so that every partition has its turn.
    pub cursor: Option<TopicPartition>,
    /// The generation that asked it to give up partitions which it still holds.
    pub asked: Option<Generation>,
    /// Its static seat is kept, but it is not there.
    pub away: bool,
}

impl Polling {
    /// Kafka's name for what the group is doing.
    pub fn state(&self) -> GroupState {
        if self.members.is_empty() {
            GroupState::Empty
        } else if self.rebalance.is_some() {
            GroupState::PreparingRebalance
        } else {
            GroupState::Stable
        }
    }

    /// Whether partitions move one by one, and members keep reading what they keep.
    pub fn is_cooperative(&self) -> bool {
        is_cooperative(&self.strategy)
    }

    /// A member that is there.
    ///
    /// # Errors
    /// [`Rejection::FencedInstance`] for the old name of a static member, [`Rejection::UnknownMember`] for a
    /// stranger, and for a member that is away.
    pub(super) fn present(&self, id: &GroupId, member: &MemberId) -> Result<&PollingMember, Rejection> {
        match self.members.get(member) {
            Some(found) if !found.away => Ok(found),
            _ => Err(self.stranger(id, member)),
        }
    }

    /// What a description says that a member reads: in a Stable group what it shall read, which it may not have
    /// been told yet, as nobody else can; while partitions move, what it holds.
    pub(super) fn described_assignment(&self, member: &PollingMember) -> TopicPartitions {
        if self.rebalance.is_none() { member.target.clone() } else { member.assignment() }
    }

    fn stranger(&self, id: &GroupId, member: &MemberId) -> Rejection {
        match self.fenced.iter().find(|(name, _)| name == member) {
            Some((_, instance_id)) => Rejection::FencedInstance {
                group: id.clone(),
                instance_id: instance_id.clone(),
                member: member.clone(),
            },
            None => Rejection::UnknownMember { group: id.clone(), member: member.clone() },
        }
    }

    /// The greatest rebalance time-out of the members, in ms.
    fn rebalance_timeout_ms(&self) -> u32 {
        self.members.values().map(|m| m.rebalance_timeout_ms).max().unwrap_or(0)
    }
}

impl PollingMember {
    /// What it holds.
    pub fn assignment(&self) -> TopicPartitions {
        by_topic(self.assigned.keys())
    }

    /// Whether it holds all that it should.
    fn holds_target(&self) -> bool {
        self.assigned.len() == count(&self.target)
    }
}

/// Whether a strategy moves partitions one by one.
pub(super) fn is_cooperative(strategy: &ProtocolName) -> bool {
    strategy.as_str() == "cooperative-sticky"
}

/// Partitions in ascending order, put together by topic.
pub(super) fn by_topic<'a>(partitions: impl IntoIterator<Item = &'a TopicPartition>) -> TopicPartitions {
    let mut found: TopicPartitions = Vec::new();
    for TopicPartition { topic, partition } in partitions {
        match found.last_mut() {
            Some((last, of_topic)) if last == topic => of_topic.push(*partition),
            _ => found.push((topic.clone(), vec![*partition])),
        }
    }
    found
}

/// The partitions of a list by topic, one by one.
pub(super) fn each(partitions: &TopicPartitions) -> impl Iterator<Item = TopicPartition> + '_ {
    partitions.iter().flat_map(|(topic, of_topic)| {
        of_topic.iter().map(|partition| TopicPartition { topic: topic.clone(), partition: *partition })
    })
}

/// How many partitions a list by topic has.
fn count(partitions: &TopicPartitions) -> usize {
    partitions.iter().map(|(_, of_topic)| of_topic.len()).sum()
}
