//! What is kept beside a polling group's members, so that nothing that concerns one of them has to
//! look at all.
//!
//! The [`Index`] follows from the members and is made anew where they come from a snapshot. The
//! [`Basis`] is a note of what has happened since the targets were computed: whoever does not have
//! it computes the same targets, with more work.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use assignors::{Loads, name_order};

use super::members::PollingMember;
use crate::ids::MemberId;
use crate::values::{TopicPartitions, count};

/// A member, in the order in which assignors serve members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ById(pub(super) MemberId);

impl Ord for ById {
    fn cmp(&self, other: &Self) -> Ordering {
        name_order(self.0.as_str(), other.0.as_str())
    }
}

impl PartialOrd for ById {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Members by what is asked of all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Index {
    /// How many members have each rebalance time-out.
    timeouts: BTreeMap<u32, u32>,
    /// Who is away.
    pub(super) away: BTreeSet<MemberId>,
    /// How many members hold a partition.
    pub(super) holders: u64,
    /// Members by how many partitions they shall read.
    pub(super) loads: Loads<ById>,
}

/// What an [`Index`] has of one member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Card {
    timeout_ms: u32,
    away: bool,
    holds: bool,
    load: u32,
}

impl Card {
    pub(super) fn of(member: &PollingMember) -> Self {
        Self {
            timeout_ms: member.rebalance_timeout_ms,
            away: member.away,
            holds: !member.assigned.is_empty(),
            load: u32::try_from(count(&member.target)).expect("a topic has few partitions"),
        }
    }
}

impl Index {
    pub(super) fn of<'a>(
        members: impl IntoIterator<Item = (&'a MemberId, &'a PollingMember)>,
    ) -> Self {
        let mut index = Self::default();
        for (id, member) in members {
            index.insert(id, &Card::of(member));
        }
        index
    }

    pub(super) fn insert(&mut self, id: &MemberId, card: &Card) {
        *self.timeouts.entry(card.timeout_ms).or_default() += 1;
        if card.away {
            self.away.insert(id.clone());
        }
        self.holders += u64::from(card.holds);
        self.loads.insert(ById(id.clone()), card.load);
    }

    pub(super) fn remove(&mut self, id: &MemberId, card: &Card) {
        let members = self.timeouts.get_mut(&card.timeout_ms).expect("every member is counted");
        *members -= 1;
        if *members == 0 {
            self.timeouts.remove(&card.timeout_ms);
        }
        if card.away {
            self.away.remove(id);
        }
        self.holders -= u64::from(card.holds);
        self.loads.remove(&ById(id.clone()), card.load);
    }

    /// The greatest rebalance time-out of the members, in ms.
    pub(super) fn timeout_ms(&self) -> u32 {
        self.timeouts.last_key_value().map_or(0, |(timeout_ms, _)| *timeout_ms)
    }
}

/// What has happened since the targets were computed. Two groups are equal whatever they know of
/// this.
#[derive(Debug, Clone, Default)]
pub(super) enum Basis {
    /// That is not known.
    #[default]
    Unknown,
    /// To the members nothing: the targets are what the strategy made of them, with the topics as
    /// they were then.
    Exact,
    /// A member came to that, and nothing else.
    Joined(MemberId),
    /// A member went from that, and nothing else; this was its target.
    Left(TopicPartitions),
}

impl PartialEq for Basis {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Basis {}

impl Basis {
    /// Something happened; `next` says what, in case that nothing else has.
    pub(super) fn then(&mut self, next: Self) {
        *self = if matches!(self, Self::Exact) { next } else { Self::Unknown };
    }
}
