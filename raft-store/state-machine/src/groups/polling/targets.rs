//! Who shall read something else in the next generation.
//!
//! Targets are what the strategy makes of all members and topics. Where all that has changed since
//! they were computed is that one member came or went, and all members read the same topics, the
//! ones that change are found in the group's index, at a cost that follows their number. Otherwise
//! all are computed. Either way they are the same.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use assignors::name_order;

use super::index::{Basis, ById};
use super::members::Polling;
use crate::groups::target::{self, Candidate, Moving};
use crate::ids::{Generation, MemberId, TopicName, TopicPartition};
use crate::state::State;
use crate::topics::topic::Topic;
use crate::values::{TopicPartitions, by_topic, each};

/// New targets of members, by member.
type Targets = Vec<(MemberId, TopicPartitions)>;

/// The targets that change with the generation after this one.
pub(super) fn changed(state: &State, group: &Polling, generation: Generation) -> Targets {
    found(state, group).unwrap_or_else(|| {
        let mut all = computed(state, group, generation);
        all.retain(|(id, target)| group.members[id].target != *target);
        all
    })
}

/// All targets.
fn computed(state: &State, group: &Polling, generation: Generation) -> Targets {
    let candidates = group.members.iter().map(|(id, member)| Candidate {
        id,
        instance_id: member.instance_id.as_ref(),
        topics: &member.topics,
        owned: &member.target,
        generation: (!member.target.is_empty()).then_some(generation),
    });
    let candidates: Vec<_> = candidates.collect();
    let partitions = |topic: &TopicName| state.topic(topic).map(Topic::partition_count);
    target::compute(&group.strategy, &candidates, partitions, Moving::Included)
        .expect("the strategy was checked when its members subscribed, and names are unique")
}

/// The targets that change, where they are found without a look at all members.
fn found(state: &State, group: &Polling) -> Option<Targets> {
    if matches!(group.basis, Basis::Unknown | Basis::Exact) {
        return None;
    }
    let partitions: u64 = group
        .subscribed
        .keys()
        .filter_map(|topic| state.topic(topic))
        .map(|topic| u64::from(topic.partition_count()))
        .sum();
    let partitions = u32::try_from(partitions).ok()?;
    if partitions == 0 {
        // There is nothing to share.
        return (group.index.loads.total() == 0).then(Targets::new);
    }
    if !group.is_alike() {
        return None;
    }
    let is_sticky = group.is_sticky();
    match &group.basis {
        Basis::Joined(id) if is_sticky => joined(group, id, partitions),
        Basis::Left(target) if is_sticky => left(group, target, partitions),
        Basis::Joined(id) => has_no_turn(group, id, partitions).then(Targets::new),
        // Nobody's place among those that get something has changed.
        Basis::Left(target) => {
            let is_all = group.index.loads.total() == u64::from(partitions);
            (target.is_empty() && is_all).then(Targets::new)
        }
        Basis::Unknown | Basis::Exact => None,
    }
}

/// Of a strategy that serves members in their order: whether a new one stands behind one that got
/// nothing. Then it gets nothing either, and everyone before that one what it had.
fn has_no_turn(group: &Polling, id: &MemberId, partitions: u32) -> bool {
    let without = group.index.loads.of(0).map(|ById(other)| other).find(|other| *other != id);
    group.index.loads.total() == u64::from(partitions)
        && without.is_some_and(|other| serving_order(group, other, id).is_lt())
}

/// Static members by instance id, then the others by id.
fn serving_order(group: &Polling, a: &MemberId, b: &MemberId) -> Ordering {
    let instance = |id: &MemberId| group.members[id].instance_id.as_ref();
    match (instance(a), instance(b)) {
        (Some(a), Some(b)) => name_order(a.as_str(), b.as_str()),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => name_order(a.as_str(), b.as_str()),
    }
}

/// A member came to a sticky group: others give up what they have above their new quotas, large
/// numbers first, so that it comes from all topics.
fn joined(group: &Polling, id: &MemberId, partitions: u32) -> Option<Targets> {
    let new = ById(id.clone());
    let (mut targets, mut moved) = (BTreeMap::new(), Vec::new());
    for (ById(from), keeps) in group.index.loads.join(&new, partitions)? {
        let mut kept: Vec<_> = each(&group.members[&from].target).collect();
        if let [_] = group.members[&from].target[..] {
            // Of one topic they are in order.
            moved.extend(kept.drain(keeps as usize..));
            targets.insert(from, kept);
            continue;
        }
        kept.sort_unstable_by(|a, b| {
            let by_number = a.partition.cmp(&b.partition);
            by_number.then_with(|| name_order(a.topic.as_str(), b.topic.as_str()))
        });
        moved.extend(kept.drain(keeps as usize..));
        targets.insert(from, kept);
    }
    if !moved.is_empty() {
        targets.insert(id.clone(), moved);
    }
    Some(sorted(targets))
}

/// A member went from a sticky group: what it had goes to those that are below their new quotas.
fn left(group: &Polling, target: &TopicPartitions, partitions: u32) -> Option<Targets> {
    let mut freed: Vec<_> = each(target).collect();
    freed.sort_unstable_by(|a, b| {
        let by_name = name_order(a.topic.as_str(), b.topic.as_str());
        by_name.then(a.partition.cmp(&b.partition))
    });
    let to = group.index.loads.leave(partitions, u32::try_from(freed.len()).ok()?)?;
    let mut targets: BTreeMap<MemberId, Vec<TopicPartition>> = BTreeMap::new();
    for (ById(to), partition) in to.into_iter().zip(freed) {
        let had = || each(&group.members[&to].target).collect();
        targets.entry(to.clone()).or_insert_with(had).push(partition);
    }
    Some(sorted(targets))
}

fn sorted(targets: BTreeMap<MemberId, Vec<TopicPartition>>) -> Targets {
    let sorted = |(id, mut partitions): (MemberId, Vec<TopicPartition>)| {
        partitions.sort_unstable();
        (id, by_topic(&partitions))
    };
    targets.into_iter().map(sorted).collect()
}
