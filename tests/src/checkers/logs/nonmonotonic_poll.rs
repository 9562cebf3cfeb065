//! **nonmonotonic-poll**: a read began before where it had to.
//!
//! Source: Jepsen's Kafka checker (`nonmonotonic-poll`), where a process's next poll begins at or
//! before the end of its last one. A `poll` with offsets and a `fetch` name their position
//! themselves, and must not return anything below it. A thin consumer must not get again what it
//! got, unless its position went back to the committed offset.

use super::positions::thin_reads;
use super::{Logs, NO_LOGS, PlacedRead};
use crate::checkers::{Checker, Verdict, Violation};
use crate::history::History;

/// A read that went back.
#[derive(Debug)]
pub struct NonmonotonicPoll;

impl Checker for NonmonotonicPoll {
    fn name(&self) -> &'static str {
        "nonmonotonic-poll"
    }

    fn check(&self, history: &History) -> Verdict {
        let logs = Logs::of(history);
        let (mut judged, mut violations) = (0, Vec::new());
        for PlacedRead { id, read, from, first, .. } in logs.placed_reads() {
            judged += 1;
            if first < from {
                violations.push(Violation::new(
                    format!("{id}: {} asked for offset {from} and got {first}", read.op.process),
                    [read.op.id],
                ));
            }
        }
        for read in thin_reads(history, &logs) {
            let (Some(first), Some((next, before))) = (read.first, read.expected) else { continue };
            judged += 1;
            if first < next && !read.committed.values.contains_key(&first) {
                violations.push(Violation::new(
                    format!(
                        "{}: consumer {} of group {} had read up to {} and got {first} again; committed was {}",
                        read.log,
                        read.consumer,
                        read.group,
                        next - 1,
                        read.committed.text()
                    ),
                    [before.id, read.op.id].into_iter().chain(read.committed.ops()),
                ));
            }
        }
        Verdict::of(judged, violations, "no read returned records from a known position")
            .unless_empty(logs.is_empty(), NO_LOGS)
    }
}
