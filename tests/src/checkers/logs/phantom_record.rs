//! **phantom-record**: a read returned a message that nobody had sent to that key or topic by then.
//!
//! Ours; Jepsen leaves it to its cycle search ("read before it was sent"). A message that was
//! altered, or that slipped into another log, shows like this. Only keys and topics to which the
//! history has sends are judged: a history may begin with logs that others filled; but a topic that
//! came again after its deletion begins empty, so what is read there was sent since.

use std::collections::BTreeSet;

use super::{LogId, Logs, NO_LOGS, Space};
use crate::checkers::clock::at;
use crate::checkers::lives;
use crate::checkers::{Checker, Need, Verdict, Violation};
use crate::history::History;

/// A message out of nowhere.
#[derive(Debug)]
pub struct PhantomRecord;

fn began_empty(id: &LogId) -> bool {
    matches!(id, LogId::Partition(topic, _) if lives::began_empty(topic))
}

impl Checker for PhantomRecord {
    fn name(&self) -> &'static str {
        "phantom-record"
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::EveryClient]
    }

    fn check(&self, history: &History) -> Verdict {
        let logs = Logs::of(history);
        let written: BTreeSet<Space> = logs
            .sends
            .iter()
            .filter_map(|sent| match (&sent.log, sent.op.args.get("message")) {
                (_, Some(_)) => Some(Space::Topic(super::topic(&sent.op.args).to_owned())),
                (Some(log), None) => Some(log.space()),
                (None, None) => None,
            })
            .collect();
        let (mut judged, mut violations) = (0, Vec::new());
        for (id, log) in
            logs.logs.iter().filter(|(id, _)| written.contains(&id.space()) || began_empty(id))
        {
            let space = id.space();
            for read in &log.reads {
                let Some(complete) = read.op.complete_us else { continue };
                for (offset, value) in &read.records {
                    judged += 1;
                    // Sends are in the order of their invocation.
                    let first = logs.sends_of(&space, *value).map(|sent| sent.op).next();
                    let account = match first {
                        None => format!(
                            "{id}: message {} at offset {offset} was sent by nobody",
                            logs.text(*value)
                        ),
                        Some(op) if op.invoke_us > complete => format!(
                            "{id}: message {} at offset {offset} was read by {}, before it was sent at {}",
                            logs.text(*value),
                            at(complete),
                            at(op.invoke_us)
                        ),
                        Some(_) => continue,
                    };
                    violations.push(Violation::new(
                        account,
                        first.map(|op| op.id).into_iter().chain([read.op.id]),
                    ));
                }
            }
        }
        Verdict::of(judged, violations, NO_LOGS)
    }
}
