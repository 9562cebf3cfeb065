//! **idempotent-duplicate** (P1): one sequence of an idempotent producer is in the log twice, or
//! two acknowledgements of it tell two offsets.
//!
//! Source: KIP-98, which promises that a retry is not appended again. Brokers that lose the
//! producer's state with a change of leader, or look for a retry only in their memory, do this. A
//! retry is another `send` with the same sequence here, so however often it was sent, it counts
//! once. A broker forgets a producer that was silent for a day or whose records are gone; no run is
//! that long.

use super::{NO_SEQUENCES, Producers, named};
use crate::checkers::logs::Logs;
use crate::checkers::{Checker, Need, Verdict, Violation};
use crate::history::History;

/// One sequence, two offsets.
#[derive(Debug)]
pub struct IdempotentDuplicate;

impl Checker for IdempotentDuplicate {
    fn name(&self) -> &'static str {
        "idempotent-duplicate"
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::EveryClient]
    }

    fn check(&self, history: &History) -> Verdict {
        let logs = Logs::of(history);
        let producers = Producers::of(&logs, &history.ops);
        let (mut judged, mut violations) = (0, Vec::new());
        for (stream, numbers) in &producers.streams {
            for (number, numbered) in numbers {
                judged += usize::from(!numbered.offsets.is_empty());
                if numbered.offsets.len() > 1 {
                    let offsets: Vec<String> =
                        numbered.offsets.keys().map(i64::to_string).collect();
                    violations.push(Violation::new(
                        format!(
                            "{stream} sent sequence {}, and it is at the offsets {}",
                            named(*number),
                            offsets.join(" and ")
                        ),
                        numbered.offsets.values().copied().chain([numbered.first.id]),
                    ));
                }
            }
        }
        Verdict::of(judged, violations, "no record of an idempotent producer was seen")
            .unless_empty(producers.count() == 0, NO_SEQUENCES)
    }
}
