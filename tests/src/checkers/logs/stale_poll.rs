//! **stale-poll**: a read that was sent after a record had been acknowledged, from that record's
//! offset or an earlier one, ended before it.
//!
//! Ours: Maelstrom has "no recency requirement", while `protocol.md` promises linearizable reads. A
//! reply that is full (1,000 messages of a key, `max_messages`, about 1 MiB) may end early; of a
//! `fetch`, whose limit is not part of the protocol, an empty reply or the high watermark tells
//! where the log ended.

use super::positions::thin_reads;
use super::{Logs, NO_LOGS, acked_before};
use crate::checkers::clock::span;
use crate::checkers::{Checker, Need, Verdict, Violation};
use crate::history::History;

/// A read of a past state of the log.
#[derive(Debug)]
pub struct StalePoll;

impl Checker for StalePoll {
    fn name(&self) -> &'static str {
        "stale-poll"
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::OwnPromise]
    }

    fn check(&self, history: &History) -> Verdict {
        let logs = Logs::of(history);
        let (mut judged, mut violations) = (0, Vec::new());
        let thin = thin_reads(history, &logs);
        for (id, log) in &logs.logs {
            // Where a read found the end of the log: the first offset at which it saw no record.
            let direct = log.reads.iter().filter_map(|read| {
                let end = match (read.high_watermark, read.from) {
                    (Some(end), _) => end,
                    (None, Some(from)) if !read.full => {
                        read.last().map_or(from, |last| last.saturating_add(1))
                    }
                    _ => return None,
                };
                Some((read.op.invoke_us, (end, read.op)))
            });
            let by_position = thin
                .iter()
                .filter(|read| read.log == *id)
                .filter_map(|read| Some((read.op.invoke_us, (read.end?, read.op))));
            acked_before(
                log,
                direct.chain(by_position).collect(),
                |(end, op), (offset, value, ack)| {
                    judged += 1;
                    if end <= offset {
                        violations.push(Violation::new(
                        format!(
                            "{id}: {} read in {} and found the end at {end}, though {} had been acknowledged at offset {offset} in {}",
                            op.process,
                            span(op),
                            logs.text(value),
                            span(ack)
                        ),
                        [ack.id, op.id],
                    ));
                    }
                },
            );
        }
        Verdict::of(judged, violations, "no read followed an acknowledgement")
            .unless_empty(logs.is_empty(), NO_LOGS)
    }
}
