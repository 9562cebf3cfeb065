//! **aborted-read** (G1a): a read returned a message whose send was refused for certain.
//!
//! Source: Jepsen's Kafka checker (`G1a`), after Adya's phenomenon. A node that answers a definite
//! error without knowing that the record will never be appended does this. `fail` must mean
//! *certainly not*.

use super::{Logs, NO_LOGS};
use crate::checkers::{Checker, Need, Verdict, Violation};
use crate::history::{History, Outcome};

/// A refused message that was read.
#[derive(Debug)]
pub struct AbortedRead;

impl Checker for AbortedRead {
    fn name(&self) -> &'static str {
        "aborted-read"
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::EveryClient]
    }

    fn check(&self, history: &History) -> Verdict {
        let logs = Logs::of(history);
        let (mut judged, mut violations) = (0, Vec::new());
        for (id, log) in &logs.logs {
            let space = id.space();
            for value in &log.read_values {
                let Some(sent) = logs.only_send(&space, *value) else { continue };
                judged += 1;
                if sent.outcome == Outcome::Fail {
                    let code =
                        sent.op.code.map_or_else(String::new, |code| format!(" with error {code}"));
                    let (offset, read) =
                        log.places[value].iter().next().expect("a read value has a place");
                    violations.push(Violation::new(
                        format!(
                            "{id}: message {} was refused{code} to {}, yet read at offset {offset}",
                            logs.text(*value),
                            sent.op.process
                        ),
                        [sent.op.id, *read],
                    ));
                }
            }
        }
        Verdict::of(judged, violations, NO_LOGS)
    }
}
