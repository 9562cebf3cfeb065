//! **records-not-deleted**: after a deletion of records was accepted, none of them is left.

use super::{StateChecker, StateTrace, violation};
use crate::checkers::Verdict;

/// A deletion that deletes nothing, or not all.
pub(super) struct RecordsNotDeleted;

impl StateChecker for RecordsNotDeleted {
    fn name(&self) -> &'static str {
        "state/records-not-deleted"
    }

    fn check(&self, trace: &StateTrace) -> Verdict {
        let left = trace.record_deletions.iter().filter(|it| it.start < it.before);
        let violations = left.map(|it| {
            violation(format!(
                "index {}: the records of {}-{} before {} were to go, and it begins at {}",
                it.index, it.topic, it.partition, it.before, it.start
            ))
        });
        let (judged, nothing) = (trace.record_deletions.len(), "no records were deleted");
        Verdict::of(judged, violations.collect(), nothing)
    }
}
