//! **stale-leader** (G17) on states: no answer is decided in an older term after one of a newer
//! term was given.

use super::{StateChecker, StateTrace, violation};
use crate::checkers::Verdict;
use crate::checkers::clock::at;
use crate::checkers::groups::older_after_newer;

/// G17 on states.
pub(super) struct StaleLeader;

impl StateChecker for StaleLeader {
    fn name(&self) -> &'static str {
        "state/stale-leader"
    }

    fn check(&self, trace: &StateTrace) -> Verdict {
        let answers: Vec<_> = trace
            .answers
            .iter()
            .map(|answer| (answer.invoke_us, answer.complete_us, answer.term, answer))
            .collect();
        let mut violations = Vec::new();
        older_after_newer(&answers, |newer, older| {
            violations.push(violation(format!(
                "{} answered in term {} what was asked at {}, after {} had answered in term {} at {}",
                older.3.node,
                older.2,
                at(older.0),
                newer.3.node,
                newer.2,
                at(newer.1)
            )));
        });
        Verdict::of(trace.answers.len(), violations, "the trace has no answers")
    }
}
