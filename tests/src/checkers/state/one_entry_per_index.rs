//! **one-entry-per-index** (state machine safety, log matching): all nodes, in all their
//! incarnations, apply the same entry at an index, and each incarnation applies indexes in order.
//! Source: Raft, figure 3.
//!
//! Payloads are compared, not only terms: a leader that goes on in its old term after it lost
//! entries gives one log id two payloads, which log matching cannot see.

use std::collections::BTreeMap;

use super::trace::Applied;
use super::{StateChecker, StateTrace, violation};
use crate::checkers::Verdict;

/// State machine safety.
pub(super) struct OneEntryPerIndex;

impl StateChecker for OneEntryPerIndex {
    fn name(&self) -> &'static str {
        "state/one-entry-per-index"
    }

    fn check(&self, trace: &StateTrace) -> Verdict {
        let mut entries: BTreeMap<u64, &Applied> = BTreeMap::new();
        let mut last: BTreeMap<(&str, u32), u64> = BTreeMap::new();
        let mut violations = Vec::new();
        for applied in &trace.applied {
            let first = *entries.entry(applied.index).or_insert(applied);
            if (first.term, first.entry) != (applied.term, applied.entry) {
                violations.push(violation(format!(
                    "index {}: {} applied entry {:016x} of term {}, {} applied entry {:016x} of term {}",
                    applied.index,
                    first.node,
                    first.entry,
                    first.term,
                    applied.node,
                    applied.entry,
                    applied.term
                )));
            }
            let before = last.insert((&applied.node, applied.incarnation), applied.index);
            if let Some(before) = before.filter(|before| *before >= applied.index) {
                violations.push(violation(format!(
                    "{} applied index {} after index {before}",
                    applied.node, applied.index
                )));
            }
        }
        Verdict::of(trace.applied.len(), violations, "the trace has no applied entries")
    }
}
