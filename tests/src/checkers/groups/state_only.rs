//! **replica-divergence** (G21) and **nondeterministic-apply** (G22): replicas that applied the
//! same entries are not in the same state; replaying the log gives another state.
//!
//! No client can see either for certain, so a history is never judged; [`crate::checkers::state`]
//! judges the trace of a simulator. They stand in the list of checkers so that `arena check` names
//! them among what it could not judge.

use crate::checkers::{Checker, Verdict};
use crate::history::History;

/// G21 on a history.
#[derive(Debug)]
pub struct ReplicaDivergence;

/// G22 on a history.
#[derive(Debug)]
pub struct NondeterministicApply;

impl Checker for ReplicaDivergence {
    fn name(&self) -> &'static str {
        "replica-divergence"
    }

    fn check(&self, _: &History) -> Verdict {
        Verdict::NotJudged(
            "needs the state of each replica, which only the simulator's trace has".to_owned(),
        )
    }
}

impl Checker for NondeterministicApply {
    fn name(&self) -> &'static str {
        "nondeterministic-apply"
    }

    fn check(&self, _: &History) -> Verdict {
        Verdict::NotJudged(
            "needs a replay of the log, which only the simulator's trace has".to_owned(),
        )
    }
}
