//! **duplicate**: one sent message is in a log at more than one offset.
//!
//! Source: Jepsen's Kafka checker (`duplicate`). A retry inside the cluster that is applied twice
//! does this, whether or not the client got an answer. Records of idempotent producers are judged
//! by their sequences (`idempotent-duplicate`).

use super::{Logs, NO_LOGS, Sequence};
use crate::checkers::{Checker, Need, Verdict, Violation};
use crate::history::History;

/// One send, several offsets of a log.
#[derive(Debug)]
pub struct Duplicate;

impl Checker for Duplicate {
    fn name(&self) -> &'static str {
        "duplicate"
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::EveryClient]
    }

    fn check(&self, history: &History) -> Verdict {
        let logs = Logs::of(history);
        let (mut judged, mut violations) = (0, Vec::new());
        for (id, log) in &logs.logs {
            let space = id.space();
            for (value, places) in &log.places {
                // Sent twice by the clients, it may be there twice. Never sent at all, it is
                // another anomaly.
                let sent = logs.only_send(&space, *value).map(|sent| sent.op);
                let Some(sent) = sent.filter(|op| Sequence::of(op).is_none()) else { continue };
                judged += 1;
                if places.len() > 1 {
                    let offsets: Vec<String> = places.keys().map(i64::to_string).collect();
                    violations.push(Violation::new(
                        format!(
                            "{id}: message {} was sent once but is at offsets {}",
                            logs.text(*value),
                            offsets.join(", ")
                        ),
                        places.values().copied().chain([sent.id]),
                    ));
                }
            }
        }
        Verdict::of(judged, violations, NO_LOGS)
    }
}
