//! **rebalance-storm** (G9) on states: between two causes (a member came or went, a subscription or
//! a topic changed, another leader) a group's generation rises at most once. A topic that was
//! deleted and made again by one entry looks as before, so changes of topics count by themselves.
//!
//! For groups whose coordinator computes the assignment: Kafka's classic cooperative protocol
//! rebalances in several rounds by design.

use std::collections::{BTreeMap, BTreeSet};

use super::trace::GroupState;
use super::{StateChecker, StateTrace, violation};
use crate::checkers::Verdict;

/// G9 on states.
pub(super) struct RebalanceStorm;

/// What a rebalance may answer: members with their subscriptions, and topics.
type Cause<'a> = (Vec<(&'a str, &'a BTreeSet<String>)>, &'a BTreeMap<String, i64>);

fn cause(group: &GroupState) -> Cause<'_> {
    (
        group.members.iter().map(|(id, member)| (id.as_str(), &member.topics)).collect(),
        &group.topics,
    )
}

impl StateChecker for RebalanceStorm {
    fn name(&self) -> &'static str {
        "state/rebalance-storm"
    }

    fn check(&self, trace: &StateTrace) -> Verdict {
        // A change of leader shows in the log as a new term; the first entry of each term is where
        // it begins.
        let mut terms: BTreeMap<u64, u64> = BTreeMap::new();
        for applied in &trace.applied {
            let first = terms.entry(applied.term).or_insert(applied.index);
            *first = (*first).min(applied.index);
        }
        let starts: BTreeSet<u64> = terms.into_values().collect();
        let changes: BTreeSet<(&str, u64)> =
            trace.members.iter().map(|change| (change.group.as_str(), change.index)).collect();
        let topics: BTreeSet<(&str, u64)> =
            trace.topics.iter().map(|change| (change.topic.as_str(), change.index)).collect();
        let mut quiet: BTreeMap<&str, (&GroupState, i64)> = BTreeMap::new();
        let (mut judged, mut violations) = (0, Vec::new());
        for group in trace.groups.iter().filter(|group| group.hands_out_all) {
            judged += 1;
            let name = group.group.as_str();
            let since = quiet.get(name).copied();
            let Some((before, generation)) = since else {
                quiet.insert(name, (group, group.generation));
                continue;
            };
            let came_or_went =
                changes.range((name, before.index + 1)..=(name, group.index)).next().is_some();
            let led_anew = starts.range(before.index + 1..=group.index).next().is_some();
            let of_topics = group.topics.keys().any(|topic| {
                let span = (topic.as_str(), before.index + 1)..=(topic.as_str(), group.index);
                topics.range(span).next().is_some()
            });
            if cause(before) != cause(group) || came_or_went || of_topics || led_anew {
                // An entry may hold several causes, each with a rise that answers it at once. One
                // more may follow where the group is not at rest yet.
                let at_rest = matches!(group.state.as_str(), "Stable" | "Empty");
                quiet.insert(name, (group, group.generation - i64::from(at_rest)));
                continue;
            }
            if group.generation > generation + 1 {
                violations.push(violation(format!(
                    "index {}, group {name}: generation {} after {generation}, though nobody came or went",
                    group.index, group.generation
                )));
            }
            quiet.insert(name, (group, generation));
        }
        Verdict::of(
            judged,
            violations,
            "the trace has no groups whose coordinator computes the assignment",
        )
    }
}
