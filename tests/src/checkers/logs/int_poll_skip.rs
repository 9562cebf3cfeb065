//! **int-poll-skip**: inside one reply, a record is left out that is known to be in the log.
//!
//! Source: Jepsen's Kafka checker (`int-poll-skip`). Offsets at which nobody ever saw a record are
//! not missed here; `dense-offsets` does that.

use super::{Logs, NO_LOGS};
use crate::checkers::{Checker, Verdict, Violation};
use crate::history::History;

/// A hole in one reply.
#[derive(Debug)]
pub struct IntPollSkip;

impl Checker for IntPollSkip {
    fn name(&self) -> &'static str {
        "int-poll-skip"
    }

    fn check(&self, history: &History) -> Verdict {
        let logs = Logs::of(history);
        let (mut judged, mut violations) = (0, Vec::new());
        for (id, log) in &logs.logs {
            for read in log.reads.iter().filter(|read| !read.records.is_empty()) {
                judged += 1;
                for pair in read.records.windows(2) {
                    let Some(left_out) = log.known_between(pair[0].0.saturating_add(1), pair[1].0)
                    else {
                        continue;
                    };
                    let shown = log.seen[&left_out].values().next().copied();
                    violations.push(Violation::new(
                        format!(
                            "{id}: one reply to {} goes from offset {} to {} and leaves out {left_out}",
                            read.op.process, pair[0].0, pair[1].0
                        ),
                        shown.into_iter().chain([read.op.id]),
                    ));
                }
            }
        }
        Verdict::of(judged, violations, NO_LOGS)
    }
}
