//! **replica-divergence** (G21): two nodes that applied the same index are in the same state, with
//! the same records to the byte, also after snapshots and restarts. **nondeterministic-apply**
//! (G22): a replay of the log on a fresh state machine gives that state too.

use std::collections::BTreeMap;

use super::trace::Applied;
use super::{StateChecker, StateTrace, violation};
use crate::checkers::Verdict;

/// G21.
pub(super) struct ReplicaDivergence;

/// G22.
pub(super) struct NondeterministicApply;

/// The first state told for each index.
fn states(trace: &StateTrace) -> BTreeMap<u64, (&Applied, u64)> {
    let mut states = BTreeMap::new();
    for applied in &trace.applied {
        if let Some(state) = applied.state {
            states.entry(applied.index).or_insert((applied, state));
        }
    }
    states
}

impl StateChecker for ReplicaDivergence {
    fn name(&self) -> &'static str {
        "state/replica-divergence"
    }

    fn check(&self, trace: &StateTrace) -> Verdict {
        let states = states(trace);
        let (mut judged, mut violations) = (0, Vec::new());
        for applied in &trace.applied {
            let Some(state) = applied.state else { continue };
            judged += 1;
            let (first, expected) = states[&applied.index];
            if state != expected {
                violations.push(violation(format!(
                    "index {}: {} (life {}) is in state {expected:016x}, {} (life {}) in state {state:016x}",
                    applied.index, first.node, first.incarnation, applied.node, applied.incarnation
                )));
            }
        }
        Verdict::of(judged, violations, "the trace has no hashes of states")
    }
}

impl StateChecker for NondeterministicApply {
    fn name(&self) -> &'static str {
        "state/nondeterministic-apply"
    }

    fn check(&self, trace: &StateTrace) -> Verdict {
        let states = states(trace);
        let (mut judged, mut violations) = (0, Vec::new());
        for replayed in &trace.replayed {
            let Some((first, expected)) = states.get(&replayed.index) else { continue };
            judged += 1;
            if replayed.state != *expected {
                violations.push(violation(format!(
                    "index {}: {} was in state {expected:016x}, a replay gives {:016x}",
                    replayed.index, first.node, replayed.state
                )));
            }
        }
        Verdict::of(judged, violations, "the log was not replayed")
    }
}
