//! **fenced-commit** (G13) on states: a commit in a member's name is accepted only from a member,
//! and only if it names the member's generation (or none).

use super::{StateChecker, StateTrace, violation};
use crate::checkers::Verdict;

/// G13 on states.
pub(super) struct FencedCommit;

impl StateChecker for FencedCommit {
    fn name(&self) -> &'static str {
        "state/fenced-commit"
    }

    fn check(&self, trace: &StateTrace) -> Verdict {
        let (mut judged, mut violations) = (0, Vec::new());
        for commit in &trace.commits {
            let Some(member) = &commit.member else { continue };
            judged += 1;
            let why = match (commit.generation, commit.named) {
                (None, _) => "which is not a member".to_owned(),
                (Some(is), Some(named)) if is != named => {
                    format!("which is of generation {is}, not {named}")
                }
                _ => continue,
            };
            violations.push(violation(format!(
                "index {}: commit of {} for group {} in {}-{} was accepted from {member}, {why}",
                commit.index, commit.offset, commit.group, commit.topic, commit.partition
            )));
        }
        Verdict::of(judged, violations, "the trace has no commits of members")
    }
}
