//! **poll-skip**: a read began behind where it had to, and left out records that are known to be in
//! the log.
//!
//! Source: Jepsen's Kafka checker (`poll-skip`), where a process's next poll begins beyond the next
//! known record. A `poll` with offsets and a `fetch` name their position themselves. A thin
//! consumer goes on behind its last record or begins at the committed offset; where an unanswered
//! poll of it may have taken records, nothing follows.

use super::positions::thin_reads;
use super::{Logs, NO_LOGS, PlacedRead};
use crate::checkers::{Checker, Need, Verdict, Violation};
use crate::history::History;

/// A read that left out records.
#[derive(Debug)]
pub struct PollSkip;

impl Checker for PollSkip {
    fn name(&self) -> &'static str {
        "poll-skip"
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::KeptRecords]
    }

    fn check(&self, history: &History) -> Verdict {
        let logs = Logs::of(history);
        let (mut judged, mut violations) = (0, Vec::new());
        for PlacedRead { id, log, read, from, first } in logs.placed_reads() {
            judged += 1;
            if let Some(left_out) = log.known_between(from, first) {
                let shown = log.seen[&left_out].values().next().copied();
                violations.push(Violation::new(
                    format!(
                        "{id}: {} asked for offset {from} and got {first}; the record at {left_out} was left out",
                        read.op.process
                    ),
                    shown.into_iter().chain([read.op.id]),
                ));
            }
        }
        for read in thin_reads(history, &logs) {
            let Some(first) = read.first.filter(|_| !read.haunted) else { continue };
            judged += 1;
            // Where it may have begun at the latest, up to where it did begin.
            let starts =
                read.committed.values.keys().copied().chain(read.expected.map(|(next, _)| next));
            let Some(start) = starts.filter(|start| *start <= first).max() else { continue };
            let Some(left_out) = logs.logs[&read.log].known_between(start, first) else { continue };
            let shown = logs.logs[&read.log].seen[&left_out].values().next().copied();
            violations.push(Violation::new(
                format!(
                    "{}: consumer {} of group {} got {first}, where it had to go on at {start}; the record at {left_out} was left out",
                    read.log, read.consumer, read.group
                ),
                read.expected.map(|(_, before)| before.id).into_iter().chain(shown).chain([read.op.id]),
            ));
        }
        Verdict::of(judged, violations, "no read returned records from a known position")
            .unless_empty(logs.is_empty(), NO_LOGS)
    }
}
