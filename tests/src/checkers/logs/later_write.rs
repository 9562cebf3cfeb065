//! **later-write**: a read returned a message that its own client sent only after it.
//!
//! Requests of one client take effect in the order in which they came (`docs/protocol.md`), also
//! where the client does not wait for replies. A linearizable register alone would allow it. Equal
//! times are in the order of the operations' ids. Only messages that were sent once are judged.

use super::{Logs, NO_LOGS};
use crate::checkers::clock::at;
use crate::checkers::{Checker, Need, Verdict, Violation};
use crate::history::History;

/// A client's read sees its later write.
#[derive(Debug)]
pub struct LaterWrite;

impl Checker for LaterWrite {
    fn name(&self) -> &'static str {
        "later-write"
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::OwnPromise, Need::EveryClient]
    }

    fn check(&self, history: &History) -> Verdict {
        let logs = Logs::of(history);
        let (mut judged, mut violations) = (0, Vec::new());
        for (id, log) in &logs.logs {
            let space = id.space();
            for read in &log.reads {
                for (offset, value) in &read.records {
                    let mut senders = logs.sends_of(&space, *value);
                    let (Some(sent), None) = (senders.next(), senders.next()) else { continue };
                    if sent.op.process != read.op.process || sent.op.node != read.op.node {
                        continue;
                    }
                    judged += 1;
                    let came = |op: &crate::history::Op| (op.invoke_us, op.id);
                    if came(sent.op) > came(read.op) {
                        let account = format!(
                            "{id}: {} asked at {} and was given message {} at offset {offset}, which it sent at {}",
                            read.op.process,
                            at(read.op.invoke_us),
                            logs.text(*value),
                            at(sent.op.invoke_us)
                        );
                        violations.push(Violation::new(account, [read.op.id, sent.op.id]));
                    }
                }
            }
        }
        let nothing =
            if logs.logs.is_empty() { NO_LOGS } else { "no client read what it had sent" };
        Verdict::of(judged, violations, nothing)
    }
}
