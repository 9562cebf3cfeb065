//! **records-removed-early**: records go only where somebody asked for it, up to the offset that
//! was named; or where the retention says so: then each of them is too old, or so many bytes are
//! left behind it that it is too much.

use super::trace::{Append, Raise, Why};
use super::{StateChecker, StateTrace, violation};
use crate::checkers::Verdict;

/// Records that had to stay.
pub(super) struct RecordsRemovedEarly;

/// What is wrong with it, if anything is. `log` has the batches of the log.
fn problem(raise: &Raise, log: &[&Append]) -> Option<String> {
    let (ms, bytes) = match raise.why {
        Why::Asked(before) if raise.to <= before => return None,
        Why::Asked(before) => return Some(format!("only those before {before} were to go")),
        Why::None => return Some("nobody had asked for it".to_owned()),
        Why::Retention { ms, bytes } => (ms, bytes),
    };
    let is_young =
        |batch: &&&Append| ms.is_none_or(|ms| batch.newest_ms.saturating_add(ms) >= raise.now_ms);
    let mut gone = log.iter().filter(|batch| (raise.from..raise.to).contains(&batch.offset));
    // It was too much if those behind it alone are as many bytes as are kept.
    let last = gone.rfind(is_young)?;
    let behind = log.iter().filter(|batch| batch.offset > last.offset);
    let left: u64 = behind.map(|batch| batch.bytes).sum();
    let wrong = bytes.is_none_or(|bytes| left < bytes);
    wrong.then(|| {
        let age = raise.now_ms.saturating_sub(last.newest_ms);
        format!("the batch at {} was {age} ms old, with {left} bytes behind it", last.offset)
    })
}

impl StateChecker for RecordsRemovedEarly {
    fn name(&self) -> &'static str {
        "state/records-removed-early"
    }

    fn check(&self, trace: &StateTrace) -> Verdict {
        let mut violations = Vec::new();
        for raise in &trace.raises {
            let here = |append: &&Append| append.log == raise.log && append.index <= raise.index;
            let log: Vec<&Append> = trace.appends.iter().filter(here).collect();
            if let Some(problem) = problem(raise, &log) {
                violations.push(violation(format!(
                    "index {}: {}-{} lost its records from {} to {} ({:?}): {problem}",
                    raise.index, raise.topic, raise.partition, raise.from, raise.to, raise.why
                )));
            }
        }
        Verdict::of(trace.raises.len(), violations, "no records were removed")
    }
}
