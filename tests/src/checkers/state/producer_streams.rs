//! What partitions know of idempotent producers, as the log of a trace tells it. The three
//! predicates of producers share it.
//!
//! A producer that was silent for as long as the log says is forgotten, and may begin anywhere.

use std::collections::BTreeMap;

use super::StateTrace;
use super::trace::{Append, Numbers};

/// What came of a producer before, in one partition's log: the oldest first.
#[derive(Debug, Default)]
pub(super) struct Before<'t>(pub Vec<(&'t Append, Numbers)>);

impl Before<'_> {
    /// Its latest batch.
    pub fn last(&self) -> Option<Numbers> {
        self.0.last().map(|(_, numbers)| *numbers)
    }
}

/// Calls `each` with every batch of an idempotent producer, and with what came of that producer
/// before it. How many there are.
pub(super) fn each_batch<'t>(
    trace: &'t StateTrace,
    mut each: impl FnMut(&'t Append, Numbers, &Before<'t>),
) -> usize {
    let mut streams: BTreeMap<(u64, u64), Before<'t>> = BTreeMap::new();
    let mut judged = 0;
    for append in &trace.appends {
        let Some(numbers) = append.numbers else { continue };
        judged += 1;
        let before = streams.entry((append.log, numbers.producer)).or_default();
        if let Some((last, _)) = before.0.last() {
            let forgotten = trace.forgettings.iter().any(|forgetting| {
                (last.index..=append.index).contains(&forgetting.index)
                    && last.now_ms.saturating_add(forgetting.silent_ms) < forgetting.now_ms
            });
            if forgotten {
                before.0.clear();
            }
        }
        each(append, numbers, before);
        before.0.push((append, numbers));
    }
    judged
}

/// Why a trace says nothing of producers.
pub(super) const NO_PRODUCERS: &str = "the trace has no records of idempotent producers";
