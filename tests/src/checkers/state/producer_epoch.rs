//! **producer-epoch**: in a partition's log an idempotent producer's epoch never goes back: nothing
//! of an epoch that is over is appended.

use super::producer_streams::{NO_PRODUCERS, each_batch};
use super::{StateChecker, StateTrace, violation};
use crate::checkers::Verdict;

/// An epoch that is over.
pub(super) struct ProducerEpoch;

impl StateChecker for ProducerEpoch {
    fn name(&self) -> &'static str {
        "state/producer-epoch"
    }

    fn check(&self, trace: &StateTrace) -> Verdict {
        let mut violations = Vec::new();
        let judged = each_batch(trace, |append, numbers, before| {
            let newest = before.0.iter().map(|(_, earlier)| earlier.epoch).max();
            if let Some(newest) = newest.filter(|newest| *newest > numbers.epoch) {
                violations.push(violation(format!(
                    "index {}: {}-{}: a record of producer {} in epoch {} was appended at offset {}, after one in epoch {newest}",
                    append.index,
                    append.topic,
                    append.partition,
                    numbers.producer,
                    numbers.epoch,
                    append.offset
                )));
            }
        });
        Verdict::of(judged, violations, NO_PRODUCERS)
    }
}
