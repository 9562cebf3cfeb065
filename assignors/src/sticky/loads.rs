//! Sticky with equal subscriptions, one member at a time: what [`equal`](super::equal) decides when
//! all that has changed since its last decision is that one member came or went.
//!
//! Everyone had the floor or the ceiling of the average, and has it again afterwards. So a member
//! that comes gets exactly what others are above their new quotas, and what a member that goes had
//! is dealt out to those that are below theirs. That is found in the members ordered by load,
//! without a look at the others. Property tests compare it with the whole computation.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// Kafka's order of member ids and topic names, which decides who is served first.
pub fn name_order(a: &str, b: &str) -> Ordering {
    crate::roster::java_cmp(a, b)
}

/// Members by how many partitions they have. `M` names a member, and its order has to be
/// [`name_order`] of the members' ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loads<M: Ord> {
    by_load: BTreeMap<u32, BTreeSet<M>>,
    members: u32,
}

impl<M: Ord> Default for Loads<M> {
    fn default() -> Self {
        Self { by_load: BTreeMap::new(), members: 0 }
    }
}

impl<M: Ord + Clone> Loads<M> {
    /// A member that is not there yet has so many partitions.
    pub fn insert(&mut self, member: M, load: u32) {
        self.by_load.entry(load).or_default().insert(member);
        self.members += 1;
    }

    /// A member that had so many partitions is there no more.
    pub fn remove(&mut self, member: &M, load: u32) {
        let Some(members) = self.by_load.get_mut(&load) else { return };
        self.members -= u32::from(members.remove(member));
        if members.is_empty() {
            self.by_load.remove(&load);
        }
    }

    /// The members with a load, in their order.
    pub fn of(&self, load: u32) -> impl DoubleEndedIterator<Item = &M> {
        self.by_load.get(&load).into_iter().flatten()
    }

    /// How many partitions all members have together.
    pub fn total(&self) -> u64 {
        let of = |(load, members): (&u32, &BTreeSet<M>)| u64::from(*load) * members.len() as u64;
        self.by_load.iter().map(of).sum()
    }

    /// Whether none of these loads is more than one above another.
    fn are_level(loads: impl Iterator<Item = u32>) -> bool {
        let (least, most) = loads.fold((u32::MAX, 0), |(l, m), load| (l.min(load), m.max(load)));
        most <= least.saturating_add(1)
    }

    /// `new` has just come, with nothing, to members who share all `partitions`: who of them has to
    /// give something up, and how many partitions each of those keeps. All that they give up is the
    /// new one's. `None`: they do not share everything evenly, so that all has to be computed.
    pub fn join(&self, new: &M, partitions: u32) -> Option<Vec<(M, u32)>> {
        let members = self.members;
        let is_another = |(load, members): &(&u32, &BTreeSet<M>)| {
            **load > 0 || members.len() > usize::from(members.contains(new))
        };
        let others = self.by_load.iter().filter(is_another).map(|(load, _)| *load);
        if members < 2 || self.total() != u64::from(partitions) || !Self::are_level(others) {
            return None;
        }
        let (low, larger) = (partitions / members, partitions % members);
        // In their order, the first `larger` of those above `low` keep one more than the others.
        let above: u32 = self.by_load.range(low + 1..).map(|(_, m)| m.len() as u32).sum();
        let mut lighter = above.saturating_sub(larger);
        let mut found = Vec::new();
        // Two neighbouring loads at most, as they are level: merged from the last one on.
        let mut loads = self.by_load.range(low + 1..);
        let (a, b) = (loads.next(), loads.next());
        let of = |found: Option<(&u32, &'_ BTreeSet<M>)>| found.map_or(0, |(load, _)| *load);
        let (load_a, load_b) = (of(a), of(b));
        let mut a = a.into_iter().flat_map(|(_, m)| m).rev().peekable();
        let mut b = b.into_iter().flat_map(|(_, m)| m).rev().peekable();
        while lighter > 0 {
            let from_b = match (a.peek(), b.peek()) {
                (Some(a), Some(b)) => b > a,
                (None, _) => true,
                (_, None) => false,
            };
            let member = if from_b { b.next() } else { a.next() };
            found.push((member?.clone(), low));
            lighter -= 1;
        }
        let mut cut = |load: u32, rest: &mut dyn Iterator<Item = &M>| {
            if load > low + 1 {
                found.extend(rest.map(|member| (member.clone(), low + 1)));
            }
        };
        cut(load_a, &mut a);
        cut(load_b, &mut b);
        Some(found)
    }

    /// A member went that had `freed` of all `partitions`: to whom each of those goes, in their
    /// order by topic name and number. `None`: they do not share everything evenly, so that all has
    /// to be computed.
    pub fn leave(&self, partitions: u32, freed: u32) -> Option<Vec<M>> {
        let all = self.total() + u64::from(freed);
        let loads = self.by_load.keys().copied().chain([freed]);
        if self.members == 0 || all != u64::from(partitions) || !Self::are_level(loads) {
            return None;
        }
        let (low, larger) = (partitions / self.members, partitions % self.members);
        let above: u32 = self.by_load.range(low + 1..).map(|(_, m)| m.len() as u32).sum();
        if above > larger || self.by_load.range(low + 2..).next().is_some() {
            return None;
        }
        let mut under: BTreeMap<&M, u32> = BTreeMap::new();
        for (load, members) in self.by_load.range(..low) {
            under.extend(members.iter().map(|member| (member, low - load)));
        }
        let (mut found, mut filled) = (Vec::new(), Vec::new());
        while !under.is_empty() {
            under.retain(|member, missing| {
                found.push((*member).clone());
                *missing -= 1;
                if *missing == 0 {
                    filled.push((*member).clone());
                }
                *missing > 0
            });
        }
        let rest = (freed as usize).checked_sub(found.len())?;
        // Who was at `low` comes before who has got there.
        let at_low = if larger > above { self.by_load.get(&low) } else { None };
        let level = at_low.into_iter().flatten().cloned().chain(filled);
        found.extend(level.take(rest));
        (found.len() == freed as usize).then_some(found)
    }
}
