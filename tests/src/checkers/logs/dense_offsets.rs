//! **dense-offsets**: the offsets of a log are 0, 1, 2, … without holes.
//!
//! Ours: `protocol.md` promises replies "contiguous from the offset asked for"; Maelstrom allows
//! gaps. Judged in three ways: a reply has no hole and begins where it was asked to; and an offset
//! that was acknowledged is smaller than the number of records that can have been sent by then (a
//! hole, a record stored twice and a log that does not begin at 0 all show in that count, even if
//! nobody reads).

use std::collections::BTreeMap;

use super::{LogId, Logs, NO_LOGS, Space};
use crate::checkers::clock::at;
use crate::checkers::{Checker, Need, Verdict, Violation};
use crate::history::{History, Micros, Outcome};

/// A hole in the offsets.
#[derive(Debug)]
pub struct DenseOffsets;

impl Checker for DenseOffsets {
    fn name(&self) -> &'static str {
        "dense-offsets"
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::OwnPromise, Need::EveryClient, Need::KeptRecords]
    }

    fn check(&self, history: &History) -> Verdict {
        let logs = Logs::of(history);
        let appends = Appends::of(&logs);
        let (mut judged, mut violations) = (0, Vec::new());
        for (id, log) in &logs.logs {
            for read in &log.reads {
                let Some((first, _)) = read.records.first() else { continue };
                judged += 1;
                let hole =
                    read.records.windows(2).find(|pair| pair[1].0 > pair[0].0.saturating_add(1));
                let account = match (read.from, hole) {
                    (Some(from), _) if from >= 0 && *first != from => {
                        format!("{id}: asked for offset {from}, got records from {first} on")
                    }
                    (_, Some(pair)) => {
                        format!("{id}: one reply jumps from offset {} to {}", pair[0].0, pair[1].0)
                    }
                    _ => continue,
                };
                violations.push(Violation::new(account, [read.op.id]));
            }
            // A log that others filled, too, has more records than the history has sends.
            if logs.has_strangers(id) {
                continue;
            }
            for (offset, _, op) in &log.acks {
                let Some(complete) = op.complete_us else { continue };
                judged += 1;
                let most = appends.upper_bound(id, complete);
                if usize::try_from(*offset).map_or(true, |offset| offset >= most) {
                    violations.push(Violation::new(
                        format!(
                            "{id}: offset {offset} was acknowledged by {}, when at most {most} records can have been sent to it",
                            at(complete)
                        ),
                        [op.id],
                    ));
                }
            }
        }
        Verdict::of(judged, violations, NO_LOGS)
    }
}

/// When the sends that may have appended a record were invoked, sorted.
pub(crate) struct Appends {
    placed: BTreeMap<LogId, Vec<Micros>>,
    unplaced: BTreeMap<Space, Vec<Micros>>,
}

impl Appends {
    pub(crate) fn of(logs: &Logs<'_>) -> Self {
        let (mut placed, mut unplaced) = (BTreeMap::new(), BTreeMap::new());
        for sent in logs.sends.iter().filter(|sent| sent.outcome != Outcome::Fail) {
            let list: &mut Vec<Micros> = match &sent.log {
                Some(log) => placed.entry(log.clone()).or_default(),
                None => unplaced
                    .entry(Space::Topic(super::topic(&sent.op.args).to_owned()))
                    .or_default(),
            };
            list.push(sent.op.invoke_us);
        }
        placed.values_mut().chain(unplaced.values_mut()).for_each(|list| list.sort_unstable());
        Self { placed, unplaced }
    }

    /// How many records can be in a log at a time, at most.
    pub(crate) fn upper_bound(&self, log: &LogId, time: Micros) -> usize {
        let until = |list: Option<&Vec<Micros>>| {
            list.map_or(0, |list| list.partition_point(|invoked| *invoked <= time))
        };
        until(self.placed.get(log)) + until(self.unplaced.get(&log.space()))
    }
}
