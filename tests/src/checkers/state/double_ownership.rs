//! **double-ownership** (G1) on states: after no entry do two members of a group own the same
//! partition.

use std::collections::BTreeMap;

use super::{StateChecker, StateTrace, violation};
use crate::checkers::Verdict;

/// G1 on states.
pub(super) struct DoubleOwnership;

impl StateChecker for DoubleOwnership {
    fn name(&self) -> &'static str {
        "state/double-ownership"
    }

    fn check(&self, trace: &StateTrace) -> Verdict {
        let mut violations = Vec::new();
        for group in &trace.groups {
            let mut owners: BTreeMap<&(String, i64), &str> = BTreeMap::new();
            for (member, state) in &group.members {
                for partition in &state.assignment {
                    if let Some(other) = owners.insert(partition, member) {
                        violations.push(violation(format!(
                            "index {}, group {} in generation {}: {}-{} is owned by {other} and {member}",
                            group.index, group.group, group.generation, partition.0, partition.1
                        )));
                    }
                }
            }
        }
        Verdict::of(trace.groups.len(), violations, "the trace has no groups")
    }
}
