//! **commit-beyond-end** (G12) on states: no consumer's commit is accepted behind the end of the
//! log it was applied to, or below 0.

use super::{StateChecker, StateTrace, violation};
use crate::checkers::Verdict;

/// G12 on states.
pub(super) struct CommitBeyondEnd;

impl StateChecker for CommitBeyondEnd {
    fn name(&self) -> &'static str {
        "state/commit-beyond-end"
    }

    fn check(&self, trace: &StateTrace) -> Verdict {
        let (mut judged, mut violations) = (0, Vec::new());
        for commit in trace.commits.iter().filter(|commit| commit.bounded) {
            judged += 1;
            let end = commit.log_end.unwrap_or(0);
            if !(0..=end).contains(&commit.offset) {
                violations.push(violation(format!(
                    "index {}: {} committed {} for group {} in {}-{}, whose log ends at {end}",
                    commit.index,
                    commit.member.as_deref().unwrap_or("somebody"),
                    commit.offset,
                    commit.group,
                    commit.topic,
                    commit.partition
                )));
            }
        }
        Verdict::of(judged, violations, "the trace has no commits of thin consumers")
    }
}
