//! **idempotent-gap** (P2): between two records of an idempotent producer a sequence that it sent
//! is not in the log.
//!
//! Source: KIP-98: a broker that has a record of a producer takes only its next sequence, so a
//! record that got lost takes all later ones with it (OUT_OF_ORDER_SEQUENCE_NUMBER) until it is
//! sent again. The missing record can only be between its neighbours: every offset there was read,
//! and it is at none. What is missing before a producer's first record in the log is not judged,
//! since a broker that knows nothing of a producer takes any sequence as the first, Kafka too.
//!
//! Logs must keep all records: a compacted topic is not to be judged by this.

use super::{NO_SEQUENCES, Numbered, Producers, Stream, named};
use crate::checkers::clock::at;
use crate::checkers::logs::{Covers, Logs};
use crate::checkers::{Checker, Need, Verdict, Violation};
use crate::history::History;

/// A sequence that was left out.
#[derive(Debug)]
pub struct IdempotentGap;

impl Checker for IdempotentGap {
    fn name(&self) -> &'static str {
        "idempotent-gap"
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::EveryClient, Need::KeptRecords]
    }

    fn check(&self, history: &History) -> Verdict {
        let logs = Logs::of(history);
        let producers = Producers::of(&logs, &history.ops);
        let (mut judged, mut violations) = (0, Vec::new());
        for (stream, numbers) in &producers.streams {
            let Some(covers) = logs.logs.get(&stream.log).map(Covers::of) else { continue };
            // The last record in the log, and what was sent since and not seen.
            let mut before: Option<(i64, &Numbered<'_>)> = None;
            let mut missing: Vec<(i64, &Numbered<'_>)> = Vec::new();
            for (number, numbered) in numbers {
                if numbered.unseen {
                    missing.push((*number, numbered));
                    continue;
                }
                // What was seen but may stand at any of several places is no neighbour.
                if numbered.offsets.len() != 1 {
                    (before, missing) = (None, Vec::new());
                    continue;
                }
                judged += 1;
                if let Some((_, last)) = before {
                    let between = Between { stream, covers: &covers, last, next: numbered };
                    violations.extend(missing.iter().filter_map(|m| between.lacks(m.0, m.1)));
                }
                (before, missing) = (Some((*number, numbered)), Vec::new());
            }
        }
        Verdict::of(judged, violations, "no record of an idempotent producer was seen")
            .unless_empty(producers.count() == 0, NO_SEQUENCES)
    }
}

/// Two records of a stream that follow each other in what is known.
struct Between<'a, 'h> {
    stream: &'a Stream,
    covers: &'a Covers,
    last: &'a Numbered<'h>,
    next: &'a Numbered<'h>,
}

impl Between<'_, '_> {
    /// That a sequence is not between them, where all that is between them was read.
    fn lacks(&self, number: i64, missing: &Numbered<'_>) -> Option<Violation> {
        let ((low, shown), (high, also)) = (self.last.place()?, self.next.place()?);
        let mut readers = Vec::new();
        // In another order it is `idempotent-reorder`.
        if low >= high {
            return None;
        }
        for offset in low + 1..high {
            readers.push(self.covers.reader_of(offset)?);
        }
        Some(Violation::new(
            format!(
                "{} sent sequence {} at {}, but between its records at offsets {low} and {high} it is missing",
                self.stream,
                named(number),
                at(missing.first.invoke_us)
            ),
            readers.into_iter().chain([missing.first.id, shown, also]),
        ))
    }
}
