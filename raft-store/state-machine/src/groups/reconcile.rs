//! How members get from what they hold to what they should hold.
//!
//! The idea is KIP-848's. When the assignment changes, nobody stops. Each member is moved by
//! itself, one step with each of its requests:
//!
//! 1. What it holds and should not, it gives up first. Until it has, it stays in its old
//!    generation.
//! 2. Then it is told the newest generation, and it gets what it should hold and nobody holds.
//! 3. What another member still holds it gets with a later request, when the other has given it up.
//!
//! So a partition has one holder at any time, and the members need not be heard in any order.
//! Everyone is *settled* in the end: it was told the newest generation and holds its whole target.
//!
//! This module knows no kind of group, no state and no time. A kind says where its member stands
//! ([`Standing`]) and which partitions are free, and makes events of the [`Step`]. The target
//! itself comes from [`super::target`].

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{Generation, TopicPartition};
use crate::values::{TopicPartitions, by_topic, count, each};

/// Where a member stands: what it was told and holds, and what it should hold.
///
/// `P` is what the kind keeps beside each partition, such as a position. It does not matter here.
#[derive(Debug)]
pub(super) struct Standing<'a, P> {
    /// The generation that it was told last.
    pub told: Generation,
    /// What it holds.
    pub holds: &'a BTreeMap<TopicPartition, P>,
    /// What it should hold in the group's generation. `None`: that is not known yet, and until it
    /// is, the member should hold nothing (an eager rebalance).
    pub target: Option<&'a TopicPartitions>,
}

/// What a member is told next.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// The generation that it is in from now on.
    pub generation: Generation,
    /// What it gives up.
    pub revoked: TopicPartitions,
    /// What it gets.
    pub assigned: TopicPartitions,
}

/// A member's next step; `None` while there is nothing new to tell it. `gives_up`: its request says
/// that it reads no more what it has to give up. Without that, a member that has to give something
/// up stays where it is.
pub(super) fn next_step<P>(
    member: &Standing<'_, P>,
    current: Generation,
    gives_up: bool,
    is_free: impl Fn(&TopicPartition) -> bool,
) -> Option<Step> {
    let revoked = surplus(member);
    if !revoked.is_empty() && !gives_up {
        return None;
    }
    let free: Vec<_> = member.target.into_iter().flat_map(each).filter(is_free).collect();
    let is_news = !revoked.is_empty() || !free.is_empty() || member.told != current;
    is_news.then(|| Step { generation: current, revoked, assigned: by_topic(&free) })
}

/// What a member holds and should not.
pub(super) fn surplus<P>(member: &Standing<'_, P>) -> TopicPartitions {
    // Nearly always, and cheaper to see.
    if !owes(member) {
        return TopicPartitions::new();
    }
    let target: BTreeSet<TopicPartition> = member.target.into_iter().flat_map(each).collect();
    by_topic(member.holds.keys().filter(|partition| !target.contains(*partition)))
}

/// Whether a member holds something that it should not.
pub(super) fn owes<P>(member: &Standing<'_, P>) -> bool {
    // Cheaper to see, where there is much.
    if member.target.map_or(0, count) < member.holds.len() || member.holds.is_empty() {
        return !member.holds.is_empty();
    }
    let kept = member.target.into_iter().flat_map(each).filter(|p| member.holds.contains_key(p));
    kept.count() < member.holds.len()
}

/// Whether there is nothing more to do for a member: it was told the newest generation and holds
/// its whole target. Who was told the newest generation holds nothing else, so that counting is
/// enough.
pub(super) fn is_settled<P>(member: &Standing<'_, P>, current: Generation) -> bool {
    member.told == current
        && member.target.is_some_and(|target| count(target) == member.holds.len())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::{Standing, Step, is_settled, next_step, owes, surplus};
    use crate::ids::{Generation, TopicPartition};
    use crate::values::{TopicPartitions, by_topic};

    const CURRENT: Generation = Generation(2);

    fn partition(number: u32) -> TopicPartition {
        TopicPartition { topic: "t".into(), partition: number }
    }

    fn list(numbers: &[u32]) -> TopicPartitions {
        let partitions: Vec<_> = numbers.iter().copied().map(partition).collect();
        by_topic(&partitions)
    }

    /// What a member was told and holds, what it should hold (`None`: not known yet), and what
    /// others hold.
    struct Case {
        told: i32,
        holds: &'static [u32],
        target: Option<&'static [u32]>,
        others: &'static [u32],
    }

    /// Generation, given up, got.
    type Told = Option<(i32, &'static [u32], &'static [u32])>;

    impl Case {
        fn check(&self, by_heartbeat: Told, by_poll: Told, settled: bool) {
            let Self { told, holds, target, others } = *self;
            let name = format!("told {told}, holds {holds:?} of {target:?}, others {others:?}");
            let held: BTreeMap<_, _> = holds.iter().map(|p| (partition(*p), ())).collect();
            let owned: BTreeSet<_> = holds.iter().chain(others).copied().map(partition).collect();
            let target = target.map(list);
            let member = Standing { told: Generation(told), holds: &held, target: target.as_ref() };
            for (gives_up, expected) in [(false, by_heartbeat), (true, by_poll)] {
                let step = next_step(&member, CURRENT, gives_up, |p| !owned.contains(p));
                let expected = expected.map(|(generation, revoked, assigned)| Step {
                    generation: Generation(generation),
                    revoked: list(revoked),
                    assigned: list(assigned),
                });
                assert_eq!(step, expected, "{name}, gives up: {gives_up}");
            }
            assert_eq!(is_settled(&member, CURRENT), settled, "{name}");
            let revoked = by_poll.map_or(&[][..], |(_, revoked, _)| revoked);
            assert_eq!(surplus(&member), list(revoked), "{name}");
            assert_eq!(owes(&member), !revoked.is_empty(), "{name}");
        }
    }

    #[test]
    fn a_member_gives_up_first_and_gets_what_is_free() {
        let case = |told, holds, target, others| Case { told, holds, target, others };
        // A new member gets what is free, and the newest generation in any case.
        case(0, &[], Some(&[0, 1]), &[]).check(
            Some((2, &[], &[0, 1])),
            Some((2, &[], &[0, 1])),
            false,
        );
        case(0, &[], Some(&[0, 1]), &[1]).check(Some((2, &[], &[0])), Some((2, &[], &[0])), false);
        case(0, &[], Some(&[0, 1]), &[0, 1]).check(Some((2, &[], &[])), Some((2, &[], &[])), false);
        // It waits for the rest in the generation that it was told.
        case(2, &[0], Some(&[0, 1]), &[1]).check(None, None, false);
        case(2, &[0], Some(&[0, 1]), &[]).check(Some((2, &[], &[1])), Some((2, &[], &[1])), false);
        case(2, &[0, 1], Some(&[0, 1]), &[]).check(None, None, true);
        // Nothing changes for it but the generation.
        case(1, &[0, 1], Some(&[0, 1]), &[2]).check(
            Some((2, &[], &[])),
            Some((2, &[], &[])),
            false,
        );
        // It has to give something up: only with a poll, and then it gets what is free at once.
        case(1, &[0, 1], Some(&[1]), &[]).check(None, Some((2, &[0], &[])), false);
        case(1, &[0, 1], Some(&[1, 2]), &[]).check(None, Some((2, &[0], &[2])), false);
        case(1, &[0, 1], Some(&[1, 2]), &[2]).check(None, Some((2, &[0], &[])), false);
        case(1, &[0], Some(&[]), &[]).check(None, Some((2, &[0], &[])), false);
        case(2, &[], Some(&[]), &[0]).check(None, None, true);
    }

    #[test]
    fn while_the_target_is_not_known_everything_is_to_be_given_up_and_nothing_is_to_be_had() {
        let case = |told, holds| Case { told, holds, target: None, others: &[] };
        case(2, &[0, 1]).check(None, Some((2, &[0, 1], &[])), false);
        case(1, &[0]).check(None, Some((2, &[0], &[])), false);
        case(2, &[]).check(None, None, false);
        case(0, &[]).check(Some((2, &[], &[])), Some((2, &[], &[])), false);
    }
}
