//! **at-least-once** (G19): a group committed past a record that none of its members was ever
//! given.
//!
//! Holds for thin groups whose members commit what they were given: then a record that is passed
//! over was skipped by the coordinator, and is lost to the group. Partitions are left out where an
//! administrator commits or deletes offsets, where a member commits more than it was given, and
//! where an unanswered poll, or another holder of the same static seat, may have taken the record.

use std::collections::BTreeMap;

use crate::checkers::clock::span;
use crate::checkers::logs::positions::{ThinRead, thin_reads};
use crate::checkers::logs::{LogId, Logs};
use crate::checkers::offsets::{Commits, Register, Slot, Write, consumer, group};
use crate::checkers::{Checker, Verdict, Violation};
use crate::history::{History, Micros, Outcome};

/// A record that a group never saw.
#[derive(Debug)]
pub struct AtLeastOnce;

impl Checker for AtLeastOnce {
    fn name(&self) -> &'static str {
        "at-least-once"
    }

    fn check(&self, history: &History) -> Verdict {
        let logs = Logs::of(history);
        let thin = thin_reads(history, &logs);
        let (mut judged, mut violations) = (0, Vec::new());
        for (slot, register) in &Commits::of(history).registers {
            let log = LogId::Partition(slot.topic.clone(), slot.partition);
            if !logs.logs.contains_key(&log) {
                continue;
            }
            let reads: Vec<&ThinRead<'_>> =
                thin.iter().filter(|read| read.group == slot.group && read.log == log).collect();
            let given = Given::of(&logs, slot, &log);
            if let Some(here) = judge(&logs, slot, &log, register, &given, &reads, &mut violations)
            {
                judged += here;
            }
        }
        Verdict::of(judged, violations, "no thin consumers committed just what they were given")
    }
}

/// What a group's members were given of one partition.
struct Given {
    /// By offset: when the first poll that returned it was invoked.
    first: BTreeMap<i64, Micros>,
    /// By member: when a poll was answered, and the highest offset that the member had by then.
    highest: BTreeMap<String, Vec<(Micros, i64)>>,
}

impl Given {
    fn of(logs: &Logs<'_>, slot: &Slot, log: &LogId) -> Self {
        let mut first: BTreeMap<i64, Micros> = BTreeMap::new();
        let mut highest: BTreeMap<String, Vec<(Micros, i64)>> = BTreeMap::new();
        for read in &logs.logs[log].reads {
            let (Some(consumer), Some(last), Some(complete)) =
                (consumer(&read.op.args), read.last(), read.op.complete_us)
            else {
                continue;
            };
            if read.op.f != "poll" || group(&read.op.args) != Some(slot.group.as_str()) {
                continue;
            }
            for (offset, _) in &read.records {
                let invoked = first.entry(*offset).or_insert(read.op.invoke_us);
                *invoked = (*invoked).min(read.op.invoke_us);
            }
            highest.entry(consumer.to_owned()).or_default().push((complete, last));
        }
        Self { first, highest }
    }

    /// Whether a commit covers no more than its member had been given when it was sent.
    fn covers(&self, write: &Write<'_>) -> bool {
        let had = write.by.and_then(|member| self.highest.get(member));
        had.is_some_and(|had| {
            had.iter().any(|(at, last)| *at <= write.op.invoke_us && *last + 1 >= write.value)
        })
    }
}

fn judge(
    logs: &Logs<'_>,
    slot: &Slot,
    log: &LogId,
    register: &Register<'_>,
    given: &Given,
    reads: &[&ThinRead<'_>],
    violations: &mut Vec<Violation>,
) -> Option<usize> {
    let honest =
        |write: &Write<'_>| write.op.f == "commit" && (write.value == 0 || given.covers(write));
    if !register.writes.iter().all(honest) {
        return None;
    }
    let mut acked: Vec<&Write<'_>> =
        register.writes.iter().filter(|w| w.op.outcome == Outcome::Ok).collect();
    acked.sort_by_key(|write| (write.op.complete_us, write.op.id));
    let (mut judged, mut passed) = (0, i64::MIN);
    for write in acked {
        let complete = write.op.complete_us?;
        if write.value <= passed {
            continue;
        }
        for offset in logs.logs[log].seen.range(passed..write.value).map(|(offset, _)| *offset) {
            judged += 1;
            if given.first.get(&offset).is_some_and(|invoked| *invoked <= complete) {
                continue;
            }
            let by_ghost = |read: &&ThinRead<'_>| {
                read.haunted
                    && read.op.invoke_us <= complete
                    && read.first.is_some_and(|first| first > offset)
            };
            if reads.iter().any(by_ghost) {
                continue;
            }
            violations.push(Violation::new(
                format!(
                    "{slot}: {} was committed in {}, but nobody in the group had been given the record at {offset}",
                    write.value,
                    span(write.op)
                ),
                logs.logs[log].seen[&offset].values().copied().chain([write.op.id]),
            ));
        }
        passed = write.value;
    }
    Some(judged)
}
