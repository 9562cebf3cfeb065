//! **records-missing**: what is left of a partition by the state, a node can read from its first
//! offset on, also after a restart or a snapshot.

use super::{StateChecker, StateTrace, violation};
use crate::checkers::Verdict;

/// Records that went with others.
pub(super) struct RecordsMissing;

impl StateChecker for RecordsMissing {
    fn name(&self) -> &'static str {
        "state/records-missing"
    }

    fn check(&self, trace: &StateTrace) -> Verdict {
        let mut violations = Vec::new();
        for held in trace.held.iter().filter(|held| held.start < held.end) {
            if held.first.is_none_or(|first| first > held.start) {
                violations.push(violation(format!(
                    "index {}: {}-{} goes from {} to {}, and {} (life {}) has {}",
                    held.index,
                    held.topic,
                    held.partition,
                    held.start,
                    held.end,
                    held.node,
                    held.incarnation,
                    held.first.map_or("nothing".to_owned(), |first| format!("it from {first} on"))
                )));
            }
        }
        Verdict::of(trace.held.len(), violations, "no partition begins behind offset 0")
    }
}
