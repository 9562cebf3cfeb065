//! **unseen**: an acknowledged message that was still unread when the final phase had read its log
//! to the end.
//!
//! Source: Jepsen's Kafka checker (`unseen`). It needs a final phase that drains the logs: a read
//! that was sent after the acknowledgement and after the faults, from the message's offset or an
//! earlier one, and was told that there is nothing (more). Without such a read nothing follows, and
//! the checker says so.

use super::{LogId, Logs, NO_LOGS, deleted_topics};
use crate::checkers::{Checker, Verdict, Violation};
use crate::history::History;

/// An acknowledged message that the final drain did not find.
#[derive(Debug)]
pub struct Unseen;

impl Checker for Unseen {
    fn name(&self) -> &'static str {
        "unseen"
    }

    fn check(&self, history: &History) -> Verdict {
        let Some(heal) = history.header.heal_us else {
            return Verdict::NotJudged("the history has no final phase (`heal_us`)".to_owned());
        };
        let logs = Logs::of(history);
        let over = deleted_topics(history);
        let (mut judged, mut open, mut violations) = (0, Vec::new(), Vec::new());
        for (id, log) in &logs.logs {
            // Reads of the final phase that found the end: where they began to find nothing.
            let ends =
                log.reads.iter().filter(|read| read.op.invoke_us >= heal).filter_map(|read| {
                    let end = match (read.high_watermark, read.from) {
                        (Some(end), _) => end,
                        (None, Some(from)) if read.records.is_empty() => from,
                        _ => return None,
                    };
                    Some((end, read.op))
                });
            let ends: Vec<_> = ends.collect();
            // Nobody owes anybody the records of a life that is over.
            let is_over = matches!(id, LogId::Partition(topic, _) if over.contains(topic.as_str()));
            for (offset, value, ack) in &log.acks {
                if log.read_values.contains(value) {
                    judged += 1;
                    continue;
                }
                let acked = ack.complete_us.unwrap_or(u64::MAX);
                match ends.iter().find(|(end, read)| end <= offset && read.invoke_us > acked) {
                    Some((end, read)) => violations.push(Violation::new(
                        format!(
                            "{id}: message {} was acknowledged at offset {offset}, but the final read found the log's end at {end}",
                            logs.text(*value)
                        ),
                        [ack.id, read.id],
                    )),
                    None if is_over => {}
                    None => open.push((id, *offset)),
                }
            }
        }
        match open.first() {
            Some((id, offset)) if violations.is_empty() => Verdict::NotJudged(format!(
                "{} acknowledged records were never read, and no read of the final phase reached the end of their log (first: {id} at offset {offset})",
                open.len()
            )),
            _ => Verdict::of(judged, violations, "no record was acknowledged")
                .unless_empty(logs.is_empty(), NO_LOGS),
        }
    }
}
