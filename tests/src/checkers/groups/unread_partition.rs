//! **unread-partition** (C4): the owner of a partition reads its other partitions, but leaves this
//! one unread for longer than a session.
//!
//! To a user this is "one partition's lag grows, and the group looks fine". Holds for classic
//! members that own several partitions and fetch them by themselves. From the answer to its
//! `sync_group` until it joins again, leaves, or is told of a rebalance or that it is out, a member
//! owns what it was given. A stretch of that time, longer than the longest session, in which nobody
//! fetches one of its partitions is an anomaly if
//!
//! - the member fetched its others in it, three times as often as it has partitions;
//! - a record was acknowledged in the partition, and then a session went by: its leader was there;
//! - nothing that was asked of the partition failed;
//! - no fault was on, be it of nodes or of clients, or had ended less than [`slack`] before.
//!
//! A partition that belongs to nobody is `not-covering`. Not judged: the final phase, and watched
//! clients, whose applications may pause a partition, and whose fetch sessions name what changed
//! only.

use std::collections::BTreeMap;

use serde_json::Value;

use super::epochs::NOT_OF_EPOCHS;
use super::view::{Group, Groups, Partition, Telling, partition_text};
use crate::checkers::clock::{at, end, slack, unknown};
use crate::checkers::logs::topic;
use crate::checkers::wire::is_watched;
use crate::checkers::{Checker, Verdict, Violation};
use crate::history::{History, Micros, Op, Outcome};

/// A partition that its owner forgot.
#[derive(Debug)]
pub struct UnreadPartition;

/// Who fetches its others so many times for each partition that it owns has passed this one over.
const ROUNDS: usize = 3;

impl Checker for UnreadPartition {
    fn name(&self) -> &'static str {
        "unread-partition"
    }

    fn check(&self, history: &History) -> Verdict {
        if is_watched(history) {
            return Verdict::NotJudged(
                "an application that was only watched may pause a partition".to_owned(),
            );
        }
        let groups = Groups::of(history);
        let touches = Touches::of(history);
        let (mut judged, mut violations) = (0, Vec::new());
        for group in groups.groups.values().filter(|group| !group.thin) {
            for sync in group.tellings.iter().filter(|telling| telling.op.f == "sync_group") {
                let Some(owned) = sync.assignment.as_ref().filter(|owned| owned.len() > 1) else {
                    continue;
                };
                let until = tenure_ends(history, group, sync);
                let fetches = touches.fetches_of(&sync.op.process, sync.complete, until);
                for partition in owned {
                    let others: Vec<&Op> = fetches
                        .iter()
                        .filter(|(of, _)| of != partition && owned.contains(of))
                        .map(|(_, op)| *op)
                        .collect();
                    if others.len() < ROUNDS * owned.len() {
                        continue;
                    }
                    judged += 1;
                    let stretch = Stretch { history, group, sync, partition, others, until };
                    violations.extend(stretch.unread(&touches, owned.len()));
                }
            }
        }
        Verdict::of(judged, violations, "no classic member fetched several partitions of its own")
            .unless_empty(groups.only_epochs(), NOT_OF_EPOCHS)
    }
}

/// Until when a member owned what a `sync_group` told it, by its own doings and answers.
fn tenure_ends(history: &History, group: &Group<'_>, sync: &Telling<'_>) -> Micros {
    let ends = |op: &&&Op| match op.outcome {
        _ if matches!(op.f.as_str(), "join_group" | "leave_group" | "sync_group") => true,
        Outcome::Fail => true,
        _ => false,
    };
    let requests = group.requests.get(sync.member).map_or(&[][..], Vec::as_slice);
    let later = requests.iter().filter(|op| op.invoke_us >= sync.complete);
    let own = later.filter(ends).map(|op| op.invoke_us).min();
    let heal = history.header.heal_us.unwrap_or(Micros::MAX);
    own.unwrap_or(Micros::MAX).min(heal).min(end(history))
}

/// What was asked of partitions.
struct Touches<'h> {
    /// Fetches by process, in the order of invocation.
    fetches: BTreeMap<&'h str, Vec<(Partition, &'h Op)>>,
    /// Everything by partition, in the order of invocation.
    all: BTreeMap<Partition, Vec<&'h Op>>,
}

impl<'h> Touches<'h> {
    fn of(history: &'h History) -> Self {
        let mut touches = Self { fetches: BTreeMap::new(), all: BTreeMap::new() };
        for op in &history.ops {
            let reply = op.result.as_ref().and_then(|reply| reply.get("partition"));
            let number = op.args.get("partition").or(reply).and_then(Value::as_i64);
            let Some(number) = number else { continue };
            let partition = (topic(&op.args).to_owned(), number);
            if op.f == "fetch" {
                let fetches = touches.fetches.entry(&op.process).or_default();
                fetches.push((partition.clone(), op));
            }
            if matches!(op.f.as_str(), "fetch" | "send" | "list_offsets" | "fetch_offset") {
                touches.all.entry(partition).or_default().push(op);
            }
        }
        let by_time = |op: &Op| (op.invoke_us, op.id);
        touches.fetches.values_mut().for_each(|all| all.sort_by_key(|(_, op)| by_time(op)));
        touches.all.values_mut().for_each(|all| all.sort_by_key(|op| by_time(op)));
        touches
    }

    fn fetches_of(&self, process: &str, from: Micros, to: Micros) -> &[(Partition, &'h Op)] {
        let all = self.fetches.get(process).map_or(&[][..], Vec::as_slice);
        let first = all.partition_point(|(_, op)| op.invoke_us < from);
        let last = all.partition_point(|(_, op)| op.invoke_us <= to);
        &all[first.min(last)..last]
    }

    /// What was asked of a partition from one time to another, as far as it may have been then.
    fn of_partition(
        &self,
        partition: &Partition,
        from: Micros,
        to: Micros,
    ) -> impl Iterator<Item = &'h Op> {
        let all = self.all.get(partition).map_or(&[][..], Vec::as_slice);
        let during = move |op: &&Op| {
            op.invoke_us <= to && (unknown(op) || op.complete_us.is_none_or(|done| done >= from))
        };
        all.iter().copied().filter(during)
    }
}

/// The time for which a member owned a partition and read others.
struct Stretch<'a, 'h> {
    history: &'h History,
    group: &'a Group<'h>,
    sync: &'a Telling<'h>,
    partition: &'a Partition,
    others: Vec<&'h Op>,
    until: Micros,
}

impl Stretch<'_, '_> {
    fn unread(&self, touches: &Touches<'_>, owned: usize) -> Option<Violation> {
        let begin = self.sync.complete;
        let reads = touches.of_partition(self.partition, begin, self.until);
        let reads: Vec<&Op> = reads.filter(|op| op.f == "fetch").collect();
        // From an answer to the next question.
        let starts = reads.iter().map(|op| op.complete_us.unwrap_or(Micros::MAX));
        let ends = reads.iter().map(|op| op.invoke_us).chain([self.until]);
        let mut gaps = std::iter::once(begin).chain(starts).zip(ends);
        gaps.find_map(|(from, to)| self.gap(touches, owned, from, to))
    }

    fn gap(
        &self,
        touches: &Touches<'_>,
        owned: usize,
        from: Micros,
        to: Micros,
    ) -> Option<Violation> {
        let session = self.group.timeouts.longest_session;
        if to.saturating_sub(from) <= session || self.troubled(from, to) {
            return None;
        }
        let during = |op: &&&Op| op.invoke_us > from && op.invoke_us < to;
        let others: Vec<&&Op> = self.others.iter().filter(during).collect();
        let (first, last) = (others.first()?, others.last()?);
        if others.len() < ROUNDS * owned {
            return None;
        }
        let asked = || touches.of_partition(self.partition, from, to);
        let read = |op: &Op| op.f == "fetch" && op.complete_us != Some(from) && op.invoke_us != to;
        if asked().any(|op| op.outcome != Outcome::Ok || read(op)) {
            return None;
        }
        let acked = asked().find(|op| {
            op.f == "send"
                && op.invoke_us > from
                && op.complete_us.is_some_and(|done| done.saturating_add(session) < to)
        })?;
        Some(Violation::new(
            format!(
                "group {}: {} owned {} and left it unread from {} to {}, though it fetched its other partitions {} times and a record was there by {}",
                self.group.name,
                self.sync.member,
                partition_text(self.partition),
                at(from),
                at(to),
                others.len(),
                at(acked.complete_us.unwrap_or(to))
            ),
            [self.sync.op.id, first.id, last.id, acked.id],
        ))
    }

    fn troubled(&self, from: Micros, to: Micros) -> bool {
        self.history.faults.iter().any(|fault| {
            let over = fault.to_us.unwrap_or(Micros::MAX).saturating_add(slack(self.history));
            fault.from_us <= to && over >= from
        })
    }
}
