//! **lost-member** (G20) on states: one request to join makes one member. That all replicas have it
//! is `replica-divergence`.

use std::collections::BTreeMap;

use super::trace::Change;
use super::{StateChecker, StateTrace, violation};
use crate::checkers::Verdict;

/// G20 on states.
pub(super) struct LostMember;

impl StateChecker for LostMember {
    fn name(&self) -> &'static str {
        "state/lost-member"
    }

    fn check(&self, trace: &StateTrace) -> Verdict {
        let mut joined: BTreeMap<(&str, &str), (&str, u64)> = BTreeMap::new();
        let (mut judged, mut violations) = (0, Vec::new());
        for change in trace.members.iter().filter(|change| change.change == Change::Joined) {
            let Some(origin) = &change.origin else { continue };
            judged += 1;
            let first =
                *joined.entry((&change.group, origin)).or_insert((&change.member, change.index));
            if first != (&change.member, change.index) {
                violations.push(violation(format!(
                    "group {}: request {origin} made the members {} (index {}) and {} (index {})",
                    change.group, first.0, first.1, change.member, change.index
                )));
            }
        }
        Verdict::of(judged, violations, "nobody joined in the trace")
    }
}
