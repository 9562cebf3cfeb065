//! **twice-applied** (G23) on states: requests of one origin change the state once, however often they are retried.

use std::collections::BTreeMap;

use super::{StateChecker, StateTrace, violation};
use crate::checkers::Verdict;

/// G23 on states.
pub(super) struct TwiceApplied;

impl StateChecker for TwiceApplied {
    fn name(&self) -> &'static str {
        "twice-applied"
    }

    fn check(&self, trace: &StateTrace) -> Verdict {
        let mut effects: BTreeMap<&str, u64> = BTreeMap::new();
        let (mut judged, mut violations) = (0, Vec::new());
        for applied in trace.applied.iter().filter(|applied| applied.effective) {
            let Some(origin) = &applied.origin else { continue };
            judged += 1;
            let first = *effects.entry(origin).or_insert(applied.index);
            if first != applied.index {
                violations.push(violation(format!(
                    "request {origin} took effect at index {first} and at index {} (on {})",
                    applied.index, applied.node
                )));
            }
        }
        Verdict::of(judged, violations, "the trace has no origins")
    }
}
