//! **generation-reuse** (G4) on states: a group's generation never falls along the log, and a
//! stable eager group has one assignment in a generation.

use std::collections::BTreeMap;

use super::trace::GroupState;
use super::{StateChecker, StateTrace, violation};
use crate::checkers::Verdict;

/// G4 on states.
pub(super) struct GenerationReuse;

impl StateChecker for GenerationReuse {
    fn name(&self) -> &'static str {
        "state/generation-reuse"
    }

    fn check(&self, trace: &StateTrace) -> Verdict {
        let mut last: BTreeMap<&str, &GroupState> = BTreeMap::new();
        let mut stable: BTreeMap<(&str, i64), &GroupState> = BTreeMap::new();
        let mut violations = Vec::new();
        for group in &trace.groups {
            // A group of the same name begins anew after this.
            if group.state == "Dead" {
                last.remove(group.group.as_str());
                stable.retain(|(name, _), _| *name != group.group);
                continue;
            }
            let before = last.insert(&group.group, group);
            if let Some(before) = before.filter(|before| before.generation > group.generation) {
                violations.push(violation(format!(
                    "index {}, group {}: generation {} after generation {}",
                    group.index, group.group, group.generation, before.generation
                )));
            }
            if group.state != "Stable" || group.cooperative {
                continue;
            }
            let first = *stable.entry((&group.group, group.generation)).or_insert(group);
            // Owners may change their name, in a static seat; what is owned by one of them stays
            // together.
            let parts = |group: &GroupState| {
                let mut parts: Vec<_> =
                    group.members.values().map(|member| member.assignment.clone()).collect();
                parts.sort();
                parts
            };
            if parts(first) != parts(group) {
                violations.push(violation(format!(
                    "index {}, group {}: generation {} has another assignment than at index {}",
                    group.index, group.group, group.generation, first.index
                )));
            }
        }
        Verdict::of(trace.groups.len(), violations, "the trace has no groups")
    }
}
