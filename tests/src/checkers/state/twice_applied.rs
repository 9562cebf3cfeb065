//! **twice-applied** (G23) on states: requests of one origin change the state once, however often
//! they are retried.

use std::collections::BTreeMap;

use super::trace::Effect;
use super::{StateChecker, StateTrace, violation};
use crate::checkers::Verdict;

/// G23 on states.
pub(super) struct TwiceApplied;

impl StateChecker for TwiceApplied {
    fn name(&self) -> &'static str {
        "state/twice-applied"
    }

    fn check(&self, trace: &StateTrace) -> Verdict {
        let mut first: BTreeMap<&str, u64> = BTreeMap::new();
        let mut violations = Vec::new();
        for Effect { index, origin } in &trace.effects {
            if let Some(first) = first.insert(origin, *index) {
                let account =
                    format!("request {origin} took effect at index {first} and at index {index}");
                violations.push(violation(account));
            }
        }
        Verdict::of(trace.effects.len(), violations, "the trace has no effects of requests")
    }
}
