//! **idempotent-gap** (P2) on states: the numbers of an idempotent producer follow on each other in
//! a partition's log, also under another leader, and those of a new epoch begin at 0.
//!
//! Of a producer that the log says is not known any more, the first number may be any.

use super::producer_streams::{NO_PRODUCERS, each_batch};
use super::{StateChecker, StateTrace, violation};
use crate::checkers::Verdict;

/// P2 on states.
pub(super) struct IdempotentGap;

impl StateChecker for IdempotentGap {
    fn name(&self) -> &'static str {
        "state/idempotent-gap"
    }

    fn check(&self, trace: &StateTrace) -> Verdict {
        let mut violations = Vec::new();
        let judged = each_batch(trace, |append, numbers, before| {
            // Of an epoch that is over, and of what comes again, the predicates beside this one
            // tell.
            let least = match before.last() {
                Some(last) if last.epoch == numbers.epoch => last.last + 1,
                Some(last) if last.epoch < numbers.epoch => 0,
                _ => return,
            };
            if numbers.first > least {
                violations.push(violation(format!(
                    "index {}: {}-{}: number {} of producer {} (epoch {}) was appended at offset {}, where {least} had to come",
                    append.index,
                    append.topic,
                    append.partition,
                    numbers.first,
                    numbers.producer,
                    numbers.epoch,
                    append.offset
                )));
            }
        });
        Verdict::of(judged, violations, NO_PRODUCERS)
    }
}
