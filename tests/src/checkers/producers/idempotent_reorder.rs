//! **idempotent-reorder** (P3): of two records of an idempotent producer the later sequence has the
//! smaller offset.
//!
//! Source: KIP-98, and the promise of Kafka's producers that with up to five requests under way the
//! order of records is kept. A broker that appends a sequence before the ones before it does this.

use super::{NO_SEQUENCES, Numbered, Producers, named};
use crate::checkers::logs::Logs;
use crate::checkers::{Checker, Need, Verdict, Violation};
use crate::history::History;

/// Sequences that overtook each other.
#[derive(Debug)]
pub struct IdempotentReorder;

impl Checker for IdempotentReorder {
    fn name(&self) -> &'static str {
        "idempotent-reorder"
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::EveryClient]
    }

    fn check(&self, history: &History) -> Verdict {
        let logs = Logs::of(history);
        let producers = Producers::of(&logs, &history.ops);
        let (mut judged, mut violations) = (0, Vec::new());
        for (stream, numbers) in &producers.streams {
            let mut highest: Option<(i64, i64, u64)> = None;
            let placed = |(number, numbered): (&i64, &Numbered<'_>)| {
                numbered.place().map(|(offset, op)| (*number, offset, op))
            };
            for (number, offset, op) in numbers.iter().filter_map(placed) {
                judged += 1;
                match highest {
                    Some((earlier, before, shown)) if offset < before => {
                        violations.push(Violation::new(
                            format!(
                                "{stream} has sequence {} at offset {before} and sequence {} at offset {offset}",
                                named(earlier),
                                named(number)
                            ),
                            [shown, op],
                        ));
                    }
                    _ => highest = Some((number, offset, op)),
                }
            }
        }
        Verdict::of(judged, violations, "no record of an idempotent producer was seen")
            .unless_empty(producers.count() == 0, NO_SEQUENCES)
    }
}
