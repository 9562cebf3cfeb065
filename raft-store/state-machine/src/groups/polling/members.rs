//! The members of a polling group as they are kept.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::index::{Basis, Index};
use crate::groups::group::GroupState;
use crate::groups::reconcile::Standing;
use crate::ids::{
    Generation, GroupId, InstanceId, MemberId, Offset, ProtocolName, TopicName, TopicPartition,
};
use crate::rejection::Rejection;
use crate::values::{TopicPartitions, by_topic};

/// So many old names of static members are remembered as fenced, per group; the oldest are
/// forgotten first, and are then unknown members like any other.
pub const MAX_FENCED: usize = 1_024;

/// The members of a polling group. How it is written stands in `stored.rs`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
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
    /// Members that are not away, know the newest generation and hold their whole target. A new
    /// generation empties it.
    pub(super) settled: BTreeSet<MemberId>,
    /// The members by what is asked of all of them.
    pub(super) index: Index,
    /// What has happened since the targets were computed.
    pub(super) basis: Basis,
}

/// A rebalance that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rebalance {
    /// How long it may take, in ms.
    pub timeout_ms: u32,
    /// In an eager group: who still has to give up what it holds.
    pub holding: BTreeSet<MemberId>,
}

/// A polling consumer.
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
    /// What it was told to read, with its position in each: `None` until its first poll there,
    /// which begins at the committed offset.
    pub assigned: BTreeMap<TopicPartition, Option<Offset>>,
    /// Where its last poll ended: the next one begins after it, so that every partition has its
    /// turn.
    pub cursor: Option<TopicPartition>,
    /// The generation that asked it to give up partitions which it still holds. `None`: it holds
    /// nothing that its target lacks.
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

    /// Whether there is something more to do for a member: it is not away, and it either does not
    /// know the newest generation or does not hold its whole target.
    pub fn is_unsettled(&self, id: &MemberId) -> bool {
        !self.settled.contains(id) && self.members.get(id).is_some_and(|member| !member.away)
    }

    /// Whether there is nothing more to do for anybody who is there.
    pub(super) fn are_all_settled(&self) -> bool {
        self.settled.len() + self.index.away.len() == self.members.len()
    }

    /// Whether members keep what they have where that is as good.
    pub(super) fn is_sticky(&self) -> bool {
        self.is_cooperative() || self.strategy.as_str() == "sticky"
    }

    /// Whether all members read the same topics.
    pub fn is_alike(&self) -> bool {
        self.subscribed.values().all(|readers| *readers as usize == self.members.len())
    }

    /// How many members hold a partition.
    pub fn holders(&self) -> u64 {
        self.index.holders
    }

    /// How many partitions all members shall read together.
    pub fn partitions(&self) -> u64 {
        self.index.loads.total()
    }

    /// Whether partitions move one by one, and members keep reading what they keep.
    pub fn is_cooperative(&self) -> bool {
        self.strategy.as_str() == "cooperative-sticky"
    }

    /// A member that is there.
    ///
    /// # Errors
    /// [`Rejection::FencedInstance`] for the old name of a static member,
    /// [`Rejection::UnknownMember`] for a stranger, and for a member that is away.
    pub(in crate::groups) fn present(
        &self,
        id: &GroupId,
        member: &MemberId,
    ) -> Result<&PollingMember, Rejection> {
        match self.members.get(member) {
            Some(found) if !found.away => Ok(found),
            _ => Err(self.stranger(id, member)),
        }
    }

    /// Where a member stands. While an eager rebalance is under way, the next target is not known
    /// yet.
    pub(super) fn standing(&self, id: &MemberId) -> Option<Standing<'_, Option<Offset>>> {
        let member = self.members.get(id)?;
        let is_known = self.rebalance.is_none() || self.is_cooperative();
        Some(member.standing(is_known.then_some(&member.target)))
    }

    /// What a description says that a member reads: in a Stable group what it shall read, which it
    /// may not have been told yet, as nobody else can; while partitions move, what it holds.
    pub(in crate::groups) fn described_assignment(
        &self,
        member: &PollingMember,
    ) -> TopicPartitions {
        if self.rebalance.is_none() { member.target.clone() } else { member.assignment() }
    }

    fn stranger(&self, id: &GroupId, member: &MemberId) -> Rejection {
        match self.fenced.iter().find(|(name, _)| name == member) {
            Some((_, instance_id)) => Rejection::FencedInstance {
                group: id.clone(),
                instance_id: instance_id.clone(),
                member: member.clone(),
            },
            None => Rejection::unknown_member(id, member),
        }
    }

    /// The greatest rebalance time-out of the members, in ms.
    pub(super) fn rebalance_timeout_ms(&self) -> u32 {
        self.index.timeout_ms()
    }
}

impl PollingMember {
    /// What it holds.
    pub fn assignment(&self) -> TopicPartitions {
        by_topic(self.assigned.keys())
    }

    /// Where it stands towards a target.
    pub(super) fn standing<'a>(
        &'a self,
        target: Option<&'a TopicPartitions>,
    ) -> Standing<'a, Option<Offset>> {
        Standing { told: self.generation, holds: &self.assigned, target }
    }
}
