//! **idempotent-duplicate** (P1) on states: no number of an idempotent producer's epoch is appended
//! to a partition's log twice, also not under another leader.
//!
//! Numbers begin anew after 2^31 records, which no trace has.

use super::producer_streams::{NO_PRODUCERS, each_batch};
use super::{StateChecker, StateTrace, violation};
use crate::checkers::Verdict;

/// P1 on states.
pub(super) struct IdempotentDuplicate;

impl StateChecker for IdempotentDuplicate {
    fn name(&self) -> &'static str {
        "state/idempotent-duplicate"
    }

    fn check(&self, trace: &StateTrace) -> Verdict {
        let mut violations = Vec::new();
        let judged = each_batch(trace, |append, numbers, before| {
            let same = before.0.iter().find(|(_, earlier)| {
                earlier.epoch == numbers.epoch
                    && earlier.first <= numbers.last
                    && numbers.first <= earlier.last
            });
            if let Some((earlier, _)) = same {
                violations.push(violation(format!(
                    "index {}: {}-{}: number {} of producer {} (epoch {}) was appended at offset {} and again at {}",
                    append.index,
                    append.topic,
                    append.partition,
                    numbers.first,
                    numbers.producer,
                    numbers.epoch,
                    earlier.offset,
                    append.offset
                )));
            }
        });
        Verdict::of(judged, violations, NO_PRODUCERS)
    }
}
