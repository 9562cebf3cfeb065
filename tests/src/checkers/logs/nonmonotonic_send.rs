//! **nonmonotonic-send**: a message that was sent after another one had been acknowledged got a
//! smaller offset.
//!
//! Source: Jepsen's Kafka checker (`nonmonotonic-send`), which compares the sends of one process.
//! Appends of cohort are linearizable, so here the order of time counts across processes too: once
//! an offset is acknowledged, all smaller ones are taken.

use super::{Logs, NO_LOGS, acked_before};
use crate::checkers::clock::span;
use crate::checkers::{Checker, Verdict, Violation};
use crate::history::History;

/// A later send with an earlier offset.
#[derive(Debug)]
pub struct NonmonotonicSend;

impl Checker for NonmonotonicSend {
    fn name(&self) -> &'static str {
        "nonmonotonic-send"
    }

    fn check(&self, history: &History) -> Verdict {
        let logs = Logs::of(history);
        let (mut judged, mut violations) = (0, Vec::new());
        for (id, log) in &logs.logs {
            let sends = log.acks.iter().filter(|ack| !log.retries.contains(&ack.2.id));
            let sends = sends.map(|ack| (ack.2.invoke_us, ack)).collect();
            acked_before(log, sends, |(offset, value, op), (earlier, before, acked)| {
                judged += 1;
                if *offset <= earlier {
                    violations.push(Violation::new(
                        format!(
                            "{id}: {} sent {} in {} and got offset {offset}, after {} had offset {earlier} for {} in {}",
                            op.process,
                            logs.text(*value),
                            span(op),
                            acked.process,
                            logs.text(before),
                            span(acked)
                        ),
                        [op.id, acked.id],
                    ));
                }
            });
        }
        Verdict::of(judged, violations, "no two sends to one log followed each other")
            .unless_empty(logs.is_empty(), NO_LOGS)
    }
}
