//! **one-leader-per-term** (election safety): at most one node is leader of a term. Source: Raft,
//! figure 3.

use std::collections::BTreeMap;

use super::{StateChecker, StateTrace, violation};
use crate::checkers::Verdict;

/// Election safety.
pub(super) struct OneLeaderPerTerm;

impl StateChecker for OneLeaderPerTerm {
    fn name(&self) -> &'static str {
        "state/one-leader-per-term"
    }

    fn check(&self, trace: &StateTrace) -> Verdict {
        let mut leaders: BTreeMap<u64, &str> = BTreeMap::new();
        let mut violations = Vec::new();
        for leader in &trace.leaders {
            let first = *leaders.entry(leader.term).or_insert(&leader.node);
            if first != leader.node {
                violations.push(violation(format!(
                    "term {}: both {first} and {} were leader",
                    leader.term, leader.node
                )));
            }
        }
        Verdict::of(trace.leaders.len(), violations, "the trace has no leaders")
    }
}
