//! Where thin consumers must go on reading, as far as a history tells.
//!
//! A thin `poll` names no offset: the coordinator keeps each member's position. It begins at the
//! committed offset whenever a partition is newly assigned, when the member subscribes again, and
//! after a change of leader (which no history shows); else it goes on behind the last record
//! returned. This module follows each consumer's requests and says of each of its reads where it
//! began, and where it could have begun lawfully. What to make of a difference is up to
//! `nonmonotonic-poll`, `poll-skip`, `stale-poll` and `commit-reassign-gap`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{LogId, Logs, name, topic};
use crate::checkers::clock::{late_until, unknown};
use crate::checkers::offsets::{Commits, Possible, consumer, group};
use crate::history::{History, Micros, Op, Outcome};

/// What a thin `poll` read from one partition, and what it could have read.
#[derive(Debug)]
pub struct ThinRead<'h> {
    /// The poll.
    pub op: &'h Op,
    /// The group.
    pub group: &'h str,
    /// The consumer.
    pub consumer: &'h str,
    /// The partition.
    pub log: LogId,
    /// The first offset returned.
    pub first: Option<i64>,
    /// The offset behind the last record that this consumer got, with the poll that returned it,
    /// where nothing is known to have moved the position since.
    pub expected: Option<(i64, &'h Op)>,
    /// The committed offsets at which the position can have begun since.
    pub committed: Possible,
    /// Whether an unanswered request of this consumer may have moved the position since.
    pub haunted: bool,
    /// Whether the consumer held a static seat, whose position passes from one name to another:
    /// then neither `expected` nor `committed` tells where the read had to begin.
    pub seated: bool,
    /// The offset at which the poll found the end of the partition, where that is certain.
    pub end: Option<i64>,
}

/// What is known of a consumer's position in one partition.
#[derive(Debug, Clone, Copy)]
struct Position<'h> {
    /// Behind the last record, and the poll that returned it.
    next: Option<(i64, &'h Op)>,
    /// The earliest time at which the position can have been set to the committed offset.
    since: Micros,
}

/// Follows the thin consumers of a history, in the order of groups, consumers and time.
#[must_use]
pub fn thin_reads<'h>(history: &'h History, logs: &Logs<'h>) -> Vec<ThinRead<'h>> {
    let mut consumers: BTreeMap<(&str, &str), Vec<&'h Op>> = BTreeMap::new();
    let mut seated = BTreeSet::new();
    for op in &history.ops {
        let (Some(group), Some(consumer)) = (group(&op.args), consumer(&op.args)) else { continue };
        if matches!(op.f.as_str(), "subscribe" | "poll" | "heartbeat" | "unsubscribe") {
            consumers.entry((group, consumer)).or_default().push(op);
        }
        if name(&op.args, "instance_id").is_some() {
            seated.insert((group, consumer));
        }
    }
    let commits = Commits::of(history);
    let mut reads = Vec::new();
    for ((group, consumer), ops) in consumers {
        let seated = seated.contains(&(group, consumer));
        Consumer { history, commits: &commits, logs, group, consumer, seated }
            .follow(&ops, &mut reads);
    }
    reads
}

struct Consumer<'a, 'h> {
    history: &'h History,
    commits: &'a Commits<'h>,
    logs: &'a Logs<'h>,
    group: &'h str,
    consumer: &'h str,
    seated: bool,
}

impl<'h> Consumer<'_, 'h> {
    fn follow(&self, ops: &[&'h Op], reads: &mut Vec<ThinRead<'h>>) {
        let mut positions: BTreeMap<LogId, Position<'h>> = BTreeMap::new();
        // The earliest time at which what is known of no partition can have begun.
        let mut unowned_since: Option<Micros> = None;
        // Unanswered requests, and until when they may act.
        let mut ghosts: Vec<(&'h Op, Micros)> = Vec::new();
        let mut last: Option<&'h Op> = None;
        for op in ops {
            // Requests under way at once have no order of their own, so nothing is known after
            // them.
            let overlapping =
                last.is_some_and(|last| last.complete_us.is_none_or(|done| done > op.invoke_us));
            if overlapping && !last.is_some_and(unknown) {
                for position in positions.values_mut() {
                    position.next = None;
                }
            }
            if unknown(op) {
                ghosts.push((op, late_until(self.history, op)));
                for position in positions.values_mut() {
                    position.next = None;
                }
            } else if op.outcome == Outcome::Ok {
                if op.f == "subscribe" {
                    // A restart: positions go back to the committed offsets.
                    positions.clear();
                    unowned_since = Some(op.invoke_us);
                }
                let since = unowned_since.unwrap_or(0);
                self.reply(op, since, &ghosts, overlapping, &mut positions, reads);
                unowned_since = Some(op.invoke_us);
            }
            last = Some(op);
        }
    }

    fn reply(
        &self,
        op: &'h Op,
        since: Micros,
        ghosts: &[(&'h Op, Micros)],
        overlapping: bool,
        positions: &mut BTreeMap<LogId, Position<'h>>,
        reads: &mut Vec<ThinRead<'h>>,
    ) {
        let (Some(reply), Some(complete)) = (op.result.as_ref(), op.complete_us) else { return };
        let assigned = assignment(reply);
        // What is not assigned any more begins at the committed offset when it comes back.
        positions.retain(|log, _| assigned.contains(log));
        for log in &assigned {
            positions.entry(log.clone()).or_insert(Position { next: None, since });
        }
        if op.f != "poll" {
            return;
        }
        for log in assigned {
            let LogId::Partition(topic, partition) = &log else { continue };
            let position = positions[&log];
            // The window in which the position can have been set from the committed offset, by an
            // assignment or a change of leader. A ghost `subscribe` can do that too, but only by
            // then as well.
            let from = position.next.map_or(position.since, |(_, poll)| poll.invoke_us);
            let register = self.commits.register(self.group, topic, *partition);
            let committed = register
                .map_or_else(nothing_committed, |register| register.possible(from, complete));
            let haunted = ghosts.iter().any(|(_, until)| *until >= from);
            let returned = self.returned(op, &log);
            let ends = returned.iter().copied().min().zip(returned.iter().copied().max());
            let mut read = ThinRead {
                op,
                group: self.group,
                consumer: self.consumer,
                log: log.clone(),
                first: ends.map(|(first, _)| first),
                expected: position.next.filter(|_| !overlapping && !self.seated),
                committed,
                haunted: haunted || overlapping || self.seated,
                seated: self.seated,
                end: None,
            };
            read.end = found_end(&read, reply);
            reads.push(read);
            if let Some((_, last)) = ends {
                let next =
                    Position { next: Some((last.saturating_add(1), op)), since: op.invoke_us };
                positions.insert(log, next);
            }
        }
    }

    fn returned(&self, op: &Op, log: &LogId) -> Vec<i64> {
        let reads = self.logs.logs.get(log).map_or(&[][..], |log| log.reads.as_slice());
        // Reads are in the order of `id`, for operations are.
        let at = reads.partition_point(|read| read.op.id < op.id);
        let of_op = reads[at..].iter().take_while(|read| read.op.id == op.id);
        of_op.flat_map(|read| read.records.iter().map(|record| record.0)).collect()
    }
}

fn nothing_committed() -> Possible {
    Possible { values: BTreeMap::from([(0, Vec::new())]) }
}

/// Where a poll that returned nothing must have looked for a record, at the latest: its group was
/// stable, and its position is known. A poll that returned something may have left this partition
/// for the next one.
fn found_end(read: &ThinRead<'_>, reply: &Value) -> Option<i64> {
    let nothing = reply.get("records").and_then(Value::as_array).is_some_and(Vec::is_empty);
    let stable = reply.get("state").and_then(Value::as_str) == Some("Stable");
    let (next, _) = read.expected.filter(|_| nothing && stable && !read.haunted)?;
    // Its position may have gone to a committed offset in between; the highest of these is where it
    // may have looked.
    read.committed.values.keys().copied().chain([next]).max()
}

/// The partitions that a reply assigns to the consumer.
fn assignment(reply: &Value) -> BTreeSet<LogId> {
    let topics = reply.get("assignment").and_then(Value::as_object);
    let pairs = topics.into_iter().flatten().flat_map(|(topic, partitions)| {
        let partitions = partitions.as_array().map_or(&[][..], Vec::as_slice);
        partitions.iter().filter_map(|p| Some(LogId::Partition(topic.clone(), p.as_i64()?)))
    });
    let by_records =
        reply.get("records").and_then(Value::as_array).into_iter().flatten().filter_map(|record| {
            Some(LogId::Partition(topic(record).to_owned(), record.get("partition")?.as_i64()?))
        });
    pairs.chain(by_records).collect()
}
