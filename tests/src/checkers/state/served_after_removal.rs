//! **accepted-after-removal** (G14) on states: a node serves a request only of a member that is in
//! the group by what the node has applied, and what it has applied is never behind an earlier
//! removal that it knows of.

use std::collections::BTreeMap;

use super::trace::Change;
use super::{StateChecker, StateTrace, violation};
use crate::checkers::Verdict;

/// G14 on states.
pub(super) struct ServedAfterRemoval;

impl StateChecker for ServedAfterRemoval {
    fn name(&self) -> &'static str {
        "state/accepted-after-removal"
    }

    fn check(&self, trace: &StateTrace) -> Verdict {
        let mut changes: BTreeMap<(&str, &str), Vec<(u64, Change)>> = BTreeMap::new();
        for change in &trace.members {
            changes
                .entry((&change.group, &change.member))
                .or_default()
                .push((change.index, change.change));
        }
        changes.values_mut().for_each(|list| list.sort_by_key(|(index, _)| *index));
        let mut violations = Vec::new();
        for served in &trace.served {
            let list = changes
                .get(&(served.group.as_str(), served.member.as_str()))
                .map_or(&[][..], Vec::as_slice);
            let last = list.partition_point(|(index, _)| *index <= served.applied).checked_sub(1);
            let out = last.is_none_or(|last| list[last].1 != Change::Joined);
            if out {
                violations.push(violation(format!(
                    "group {}: {} served {} at index {}, when it was not a member",
                    served.group, served.node, served.member, served.applied
                )));
            }
        }
        Verdict::of(trace.served.len(), violations, "the trace has no served requests")
    }
}
