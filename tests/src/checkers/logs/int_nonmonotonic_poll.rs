//! **int-nonmonotonic-poll**: inside one reply, the records of a log do not go forward.
//!
//! Source: Jepsen's Kafka checker (`int-nonmonotonic-poll`).

use super::{Logs, NO_LOGS};
use crate::checkers::{Checker, Verdict, Violation};
use crate::history::History;

/// Records of one reply out of order, or twice.
#[derive(Debug)]
pub struct IntNonmonotonicPoll;

impl Checker for IntNonmonotonicPoll {
    fn name(&self) -> &'static str {
        "int-nonmonotonic-poll"
    }

    fn check(&self, history: &History) -> Verdict {
        let logs = Logs::of(history);
        let (mut judged, mut violations) = (0, Vec::new());
        for (id, log) in &logs.logs {
            for read in log.reads.iter().filter(|read| !read.records.is_empty()) {
                judged += 1;
                if let Some(pair) = read.records.windows(2).find(|pair| pair[1].0 <= pair[0].0) {
                    violations.push(Violation::new(
                        format!(
                            "{id}: one reply to {} has offset {} behind offset {}",
                            read.op.process, pair[1].0, pair[0].0
                        ),
                        [read.op.id],
                    ));
                }
            }
        }
        Verdict::of(judged, violations, NO_LOGS)
    }
}
