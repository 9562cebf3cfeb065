//! The way from a group's members to an assignor and back: names become numbers and names again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use assignors::{AssignError, Group as AssignorGroup, Member, Topic, TopicPartition};

use crate::ids::{Generation, InstanceId, MemberId, ProtocolName, TopicName};
use crate::reply::TopicPartitions;
use crate::state::State;

/// A member as an assignor sees it.
pub(super) struct Candidate<'a> {
    pub id: &'a MemberId,
    pub instance_id: Option<&'a InstanceId>,
    pub topics: &'a [TopicName],
    /// What it had.
    pub owned: &'a TopicPartitions,
    /// In which generation.
    pub generation: Option<Generation>,
}

/// What to do with partitions that a cooperative assignor moves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Moving {
    /// Give them to their new owners: the caller sees to it that the old ones give them up first.
    Included,
    /// Give them to nobody in this round (KIP-429).
    Withheld,
}

/// What went wrong.
#[derive(Debug)]
pub(super) enum Failed {
    /// No assignor has that name.
    Unknown,
    /// It refused.
    Refused(AssignError),
}

/// Runs a strategy over members; the result has every member, in the order given.
pub(super) fn run<'a>(
    state: &State,
    strategy: &ProtocolName,
    candidates: &[Candidate<'a>],
    moving: Moving,
) -> Result<Vec<(MemberId, TopicPartitions)>, Failed> {
    let assignor = assignors::by_name(strategy.as_str()).ok_or(Failed::Unknown)?;
    let names: BTreeSet<&TopicName> = candidates.iter().flat_map(|c| c.topics).collect();
    let names: Vec<&TopicName> = names.into_iter().collect();
    let index = |topic: &TopicName| names.binary_search(&topic).ok().and_then(|i| u32::try_from(i).ok());
    let topic = |name: &&TopicName| match state.topic(name) {
        Some(topic) => Topic::new(name.as_str(), topic.partition_count()),
        None => Topic::missing(name.as_str()),
    };
    // Members with equal subscriptions share one list: assignors then see that they are equal at a glance.
    let mut shared: BTreeMap<&'a [TopicName], Arc<[u32]>> = BTreeMap::new();
    let mut member = |candidate: &Candidate<'a>| {
        let topics = shared.entry(candidate.topics);
        let topics = topics.or_insert_with(|| {
            // Each once: an assignor would refuse anything else, and a rebalance can't be refused.
            candidate.topics.iter().filter_map(index).collect::<BTreeSet<u32>>().into_iter().collect()
        });
        let mut member = Member::new(candidate.id.as_str(), topics.clone());
        member.instance_id = candidate.instance_id.map(|i| i.as_str().into());
        member.generation = candidate.generation.map(|g| g.0);
        let owned = candidate.owned.iter().filter_map(|(topic, of_topic)| Some((index(topic)?, of_topic)));
        member.owned = owned.flat_map(|(t, of)| of.iter().map(move |p| TopicPartition::new(t, *p))).collect();
        member
    };
    let input = AssignorGroup {
        topics: names.iter().map(topic).collect(),
        members: candidates.iter().map(&mut member).collect(),
    };
    let assignment = assignor.assign(&input).map_err(Failed::Refused)?;
    let assigned = match moving {
        Moving::Included => assignment.into_target(),
        Moving::Withheld => assignment.members,
    };
    let named = |owned: Vec<TopicPartition>| {
        let mut found: TopicPartitions = Vec::new();
        for TopicPartition { topic, partition } in owned {
            let topic = names[topic as usize];
            match found.last_mut() {
                Some((last, of_topic)) if last == topic => of_topic.push(partition),
                _ => found.push((topic.clone(), vec![partition])),
            }
        }
        found
    };
    Ok(candidates.iter().map(|c| c.id.clone()).zip(assigned.into_iter().map(named)).collect())
}
