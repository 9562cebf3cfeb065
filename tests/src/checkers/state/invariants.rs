//! **invariants**: after every entry of the log the invariants of the state machine hold
//! (`state_machine::invariants`): of each state, and of each step.

use super::{StateChecker, StateTrace, violation};
use crate::checkers::Verdict;

/// The state machine's own invariants.
pub(super) struct Invariants;

impl StateChecker for Invariants {
    fn name(&self) -> &'static str {
        "state/invariants"
    }

    fn check(&self, trace: &StateTrace) -> Verdict {
        let account = |breach: &super::trace::Breach| {
            violation(format!("index {}: {}", breach.index, breach.account))
        };
        let violations = trace.breaches.iter().map(account).collect();
        Verdict::of(trace.checked, violations, "the invariants were not looked at")
    }
}
