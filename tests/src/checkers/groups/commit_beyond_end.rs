//! **commit-beyond-end** (G12): a consumer's commit was accepted for an offset behind the end of
//! the log, or below its start.
//!
//! Holds for commits by thin consumers, which the coordinator checks against the log; commits by
//! administrators and classic members may name any offset. From a history one knows how many
//! records can have been sent by then, at most; in the simulator [`crate::checkers::state`]
//! compares with the log itself.

use crate::checkers::clock::span;
use crate::checkers::logs::Appends;
use crate::checkers::logs::{LogId, Logs, topic};
use crate::checkers::offsets::{Commits, consumer};
use crate::checkers::{Checker, Verdict, Violation};
use crate::history::{History, Outcome};

/// A commit of records that are not there.
#[derive(Debug)]
pub struct CommitBeyondEnd;

impl Checker for CommitBeyondEnd {
    fn name(&self) -> &'static str {
        "commit-beyond-end"
    }

    fn check(&self, history: &History) -> Verdict {
        let logs = Logs::of(history);
        let appends = Appends::of(&logs);
        let (mut judged, mut violations) = (0, Vec::new());
        for (slot, register) in &Commits::of(history).registers {
            let log = LogId::Partition(slot.topic.clone(), slot.partition);
            if logs.has_strangers(&log) {
                continue;
            }
            for write in &register.writes {
                let by_consumer = write.op.f == "commit" && consumer(&write.op.args).is_some();
                let Some(complete) =
                    write.op.complete_us.filter(|_| write.op.outcome == Outcome::Ok && by_consumer)
                else {
                    continue;
                };
                judged += 1;
                let most = appends.upper_bound(&log, complete);
                if usize::try_from(write.value).map_or(true, |value| value > most) {
                    violations.push(Violation::new(
                        format!(
                            "{slot}: commit of {} by {} was accepted in {}, when {} can have held {most} records at most",
                            write.value,
                            write.by.unwrap_or("nobody"),
                            span(write.op),
                            topic(&write.op.args)
                        ),
                        [write.op.id],
                    ));
                }
            }
        }
        Verdict::of(judged, violations, "no thin consumer committed")
    }
}
