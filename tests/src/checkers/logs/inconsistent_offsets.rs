//! **inconsistent-offsets**: two different messages were seen at one offset of a log, by
//! acknowledgements or reads.
//!
//! Source: Jepsen's Kafka checker (`inconsistent-offsets`). Diverging replicas do this, or an
//! acknowledged record that was lost and whose offset was given away again.

use super::{Logs, NO_LOGS};
use crate::checkers::{Checker, Verdict, Violation};
use crate::history::History;

/// Several messages at one offset.
#[derive(Debug)]
pub struct InconsistentOffsets;

impl Checker for InconsistentOffsets {
    fn name(&self) -> &'static str {
        "inconsistent-offsets"
    }

    fn check(&self, history: &History) -> Verdict {
        let logs = Logs::of(history);
        let (mut judged, mut violations) = (0, Vec::new());
        for (id, log) in &logs.logs {
            for (offset, values) in &log.seen {
                judged += 1;
                if values.len() > 1 {
                    let texts: Vec<String> = values.keys().map(|value| logs.text(*value)).collect();
                    violations.push(Violation::new(
                        format!("{id}: offset {offset} held the messages {}", texts.join(" and ")),
                        values.values().copied(),
                    ));
                }
            }
        }
        Verdict::of(judged, violations, NO_LOGS)
    }
}
