//! **rebalance-storm** (G9): the generation of a group rose more than once, though nothing gave
//! cause for it.
//!
//! Holds for all groups. Judged in the final phase, from when the group must have been at rest
//! ([`settle`](super::settle)): nobody came or went since, and no fault changed the leader.

use super::epochs::NOT_OF_EPOCHS;
use super::settle::settled;
use super::view::Groups;
use crate::checkers::clock::at;
use crate::checkers::{Checker, Verdict, Violation};
use crate::history::History;

/// Rebalances without end.
#[derive(Debug)]
pub struct RebalanceStorm;

impl Checker for RebalanceStorm {
    fn name(&self) -> &'static str {
        "rebalance-storm"
    }

    fn check(&self, history: &History) -> Verdict {
        let groups = Groups::of(history);
        let (mut judged, mut violations, mut reasons) = (0, Vec::new(), Vec::new());
        for group in groups.groups.values() {
            let told = group
                .tellings
                .iter()
                .map(|telling| (telling.invoke, telling.generation, telling.op.id));
            let described = group.descriptions.iter();
            let described =
                described.filter_map(|d| Some((d.op.invoke_us, d.generation?, d.op.id)));
            let seen: Vec<_> = told.chain(described).collect();
            // The latest request at which the group is known to be at rest: members may leave at
            // the very end.
            let rest = group
                .descriptions
                .iter()
                .rev()
                .map(|d| settled(&groups, group, d.op.invoke_us).map(|s| (s, d.op.invoke_us)));
            let rest =
                rest.reduce(Result::or).unwrap_or_else(|| Err("it was never described".to_owned()));
            let (settled, until) = match rest {
                Ok(rest) => rest,
                Err(why) => {
                    reasons.push(format!("group {}: {why}", group.name));
                    continue;
                }
            };
            let at_rest =
                || seen.iter().filter(|(invoke, ..)| *invoke > settled.since && *invoke <= until);
            let (Some(low), Some(high)) =
                (at_rest().min_by_key(|s| (s.1, s.2)), at_rest().max_by_key(|s| (s.1, s.2)))
            else {
                continue;
            };
            judged += 1;
            if high.1 > low.1 + 1 {
                violations.push(Violation::new(
                    format!(
                        "group {}: generation rose from {} to {} between {} and {}, though nobody came or went",
                        group.name,
                        low.1,
                        high.1,
                        at(settled.since),
                        at(until)
                    ),
                    [low.2, high.2],
                ));
            }
        }
        Verdict::of(judged, violations, reasons.first().map_or(Groups::NONE, String::as_str))
            .unless_empty(groups.only_epochs(), NOT_OF_EPOCHS)
    }
}
