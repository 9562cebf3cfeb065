//! Who shall hold what: an assignor's answer for the members of a group, whatever their kind.
//!
//! A *target* says for each member what it should hold in a generation. How it gets there is
//! [`super::reconcile`]'s matter. Assignors know no names, only places in lists. This module is the
//! way there and back: names become numbers, the assignor is run, and numbers become names again.
//!
//! It knows no kind of group and no state. A kind names its members as [`Candidate`]s and says how
//! many partitions each topic has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use assignors::{AssignError, Group as AssignorGroup, Member, Topic, TopicPartition};

use crate::ids::{Generation, GroupId, InstanceId, MemberId, ProtocolName, TopicName};
use crate::rejection::Rejection;
use crate::values::TopicPartitions;

/// A member that takes part in an assignment.
pub(super) struct Candidate<'a> {
    pub id: &'a MemberId,
    pub instance_id: Option<&'a InstanceId>,
    /// What it subscribes to.
    pub topics: &'a [TopicName],
    /// What it had, so that sticky strategies can leave it there.
    pub owned: &'a TopicPartitions,
    /// The generation in which it had that.
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

impl Failed {
    /// The refusal of the request that wanted the target.
    pub(super) fn rejection(self, group: &GroupId, strategy: &ProtocolName) -> Rejection {
        match self {
            Self::Unknown => Rejection::UnsupportedAssignor(strategy.clone()),
            Self::Refused(error) => Rejection::AssignorFailed {
                group: group.clone(),
                problem: error.to_string().into(),
            },
        }
    }
}

/// Runs a strategy over members; the result has every member, in the order given. `partitions` says
/// how many a topic has, `None` where it does not exist.
///
/// # Errors
/// Where there is no such strategy, or it refuses the members.
pub(super) fn compute<'a>(
    strategy: &ProtocolName,
    candidates: &[Candidate<'a>],
    partitions: impl Fn(&TopicName) -> Option<u32>,
    moving: Moving,
) -> Result<Vec<(MemberId, TopicPartitions)>, Failed> {
    let assignor = assignors::by_name(strategy.as_str()).ok_or(Failed::Unknown)?;
    let names: BTreeSet<&TopicName> = candidates.iter().flat_map(|c| c.topics).collect();
    let names: Vec<&TopicName> = names.into_iter().collect();
    let index =
        |topic: &TopicName| names.binary_search(&topic).ok().and_then(|i| u32::try_from(i).ok());
    let topic = |name: &&TopicName| match partitions(name) {
        Some(count) => Topic::new(name.as_str(), count),
        None => Topic::missing(name.as_str()),
    };
    // Members with equal subscriptions share one list: assignors then see that they are equal at a
    // glance.
    let mut shared: BTreeMap<&'a [TopicName], Arc<[u32]>> = BTreeMap::new();
    let mut member = |candidate: &Candidate<'a>| {
        let topics = shared.entry(candidate.topics);
        let topics = topics.or_insert_with(|| {
            // Each once: an assignor would refuse anything else, and a rebalance can't be refused.
            candidate
                .topics
                .iter()
                .filter_map(index)
                .collect::<BTreeSet<u32>>()
                .into_iter()
                .collect()
        });
        let mut member = Member::new(candidate.id.as_str(), topics.clone());
        member.instance_id = candidate.instance_id.map(|i| i.as_str().into());
        member.generation = candidate.generation.map(|g| g.0);
        let owned =
            candidate.owned.iter().filter_map(|(topic, of_topic)| Some((index(topic)?, of_topic)));
        member.owned =
            owned.flat_map(|(t, of)| of.iter().map(move |p| TopicPartition::new(t, *p))).collect();
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

#[cfg(test)]
mod tests {
    use super::{Candidate, Failed, Moving, compute};
    use crate::ids::{Generation, TopicName};
    use crate::values::TopicPartitions;

    /// `t` has four partitions and `u` two.
    fn partitions(topic: &TopicName) -> Option<u32> {
        match topic.as_str() {
            "t" => Some(4),
            "u" => Some(2),
            _ => None,
        }
    }

    fn list(parts: &[(&str, &[u32])]) -> TopicPartitions {
        parts.iter().map(|(topic, numbers)| ((*topic).into(), numbers.to_vec())).collect()
    }

    type List = &'static [(&'static str, &'static [u32])];

    /// Members `a`, `b`, …: what each subscribes to, what it had, and what it is to get.
    fn check(strategy: &str, moving: Moving, members: &[(&[&str], List, List)]) {
        let names = ["a", "b", "c"].map(Into::into);
        let topics: Vec<Vec<TopicName>> = members
            .iter()
            .map(|(topics, ..)| topics.iter().map(|t| (*t).into()).collect())
            .collect();
        let owned: Vec<TopicPartitions> = members.iter().map(|(_, owned, _)| list(owned)).collect();
        let candidate = |i: usize| Candidate {
            id: &names[i],
            instance_id: None,
            topics: &topics[i],
            owned: &owned[i],
            generation: (!owned[i].is_empty()).then_some(Generation(1)),
        };
        let candidates: Vec<_> = (0..members.len()).map(candidate).collect();
        let target = compute(&strategy.into(), &candidates, partitions, moving).expect("a target");
        let expected: Vec<_> = members
            .iter()
            .zip(names.clone())
            .map(|((.., target), name)| (name, list(target)))
            .collect();
        assert_eq!(target, expected, "{strategy}");
    }

    #[test]
    fn names_become_numbers_and_names_again() {
        let both: &[&str] = &["t", "u"];
        check(
            "range",
            Moving::Included,
            &[
                (both, &[], &[("t", &[0, 1]), ("u", &[0])]),
                (both, &[], &[("t", &[2, 3]), ("u", &[1])]),
            ],
        );
        // Only who subscribes gets something; a topic that does not exist has nothing to give.
        check(
            "range",
            Moving::Included,
            &[
                (&["t"], &[], &[("t", &[0, 1, 2, 3])]),
                (&["u"], &[], &[("u", &[0, 1])]),
                (&["x"], &[], &[]),
            ],
        );
    }

    #[test]
    fn what_moves_is_given_away_at_once_or_withheld() {
        let before: List = &[("t", &[0, 1, 2, 3])];
        let topics: &[&str] = &["t"];
        check(
            "cooperative-sticky",
            Moving::Included,
            &[(topics, before, &[("t", &[0, 1])]), (topics, &[], &[("t", &[2, 3])])],
        );
        check(
            "cooperative-sticky",
            Moving::Withheld,
            &[(topics, before, &[("t", &[0, 1])]), (topics, &[], &[])],
        );
    }

    #[test]
    fn an_unknown_strategy_has_no_target() {
        let failed = compute(&"random".into(), &[], partitions, Moving::Included);
        assert!(matches!(failed, Err(Failed::Unknown)));
    }
}
