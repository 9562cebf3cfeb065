//! Committed offsets as registers: who wrote and who saw which value.
//!
//! This module owns the reading of a history as committed offsets: of groups ([`Commits`]:
//! `commit`, `commit_offset`, `fetch_offset`, `describe_group` and `delete_offsets`; of a deleted
//! topic or group begins another [life](super::lives)) and of Maelstrom's keys ([`KeyCommits`]:
//! `commit_offsets`, `list_committed_offsets`). It answers which values a committed offset can have
//! had at a time ([`Register::possible`]), but does not decide what is an anomaly.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use super::clock::unknown;
use super::logs::{key_text, name, topic};
use super::wire::stale_since;
use crate::history::{History, Micros, Op, Outcome};

/// Names one committed offset.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot {
    /// The group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i64,
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "group {}, {}-{}", self.group, self.topic, self.partition)
    }
}

/// One operation that set a committed offset, or may have.
#[derive(Debug, Clone, Copy)]
pub struct Write<'h> {
    /// The operation; never one that failed.
    pub op: &'h Op,
    /// The offset; 0 for a deletion.
    pub value: i64,
    /// The member in whose name it was committed; none for an administrator's commit and for a
    /// deletion.
    pub by: Option<&'h str>,
}

/// One answer that told a committed offset.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'h> {
    /// The operation.
    pub op: &'h Op,
    /// The offset; 0 where nothing was committed.
    pub value: i64,
    /// Since when it may have been the committed one: the invocation, but for
    /// [stale reads](super::wire::stale_since).
    pub since: Micros,
}

/// The values that a register can have had in a span of time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Possible {
    /// Each value with the operations that may have left it there. The initial 0 has none.
    pub values: BTreeMap<i64, Vec<u64>>,
}

impl Possible {
    /// The operations behind all possible values.
    pub fn ops(&self) -> impl Iterator<Item = u64> + '_ {
        self.values.values().flatten().copied()
    }

    /// The values as people read them.
    #[must_use]
    pub fn text(&self) -> String {
        let values: Vec<String> = self.values.keys().map(i64::to_string).collect();
        values.join(" or ")
    }
}

/// The history of one committed offset.
#[derive(Debug, Default)]
pub struct Register<'h> {
    /// In the order of invocation.
    pub writes: Vec<Write<'h>>,
    /// In the order of invocation.
    pub reads: Vec<Seen<'h>>,
    index: Index<'h>,
}

/// Answers [`Register::possible`] without looking at every write.
#[derive(Debug, Default)]
struct Index<'h> {
    /// Acknowledged writes by completion.
    acked: Vec<(Micros, Write<'h>)>,
    /// Of the acknowledged writes up to each, the latest invocation.
    latest_invoke: Vec<Micros>,
    /// Writes whose outcome is unknown: they can act at any time after their invocation.
    open: Vec<Write<'h>>,
    /// The longest that an acknowledged write took.
    longest: Micros,
}

impl<'h> Register<'h> {
    /// The values that the register can have had at some instant from `from` to `to`.
    ///
    /// A value is impossible once a later write is certain: one that was invoked after the value's
    /// own write was acknowledged, and acknowledged before `from`. This is necessary for
    /// linearizability, and cheap; it is not sufficient (the checker `committed-offset` is).
    #[must_use]
    pub fn possible(&self, from: Micros, to: Micros) -> Possible {
        let mut possible = Possible::default();
        let before = self.index.acked.partition_point(|(complete, _)| *complete < from);
        let overwritten = before.checked_sub(1).map(|last| self.index.latest_invoke[last]);
        if overwritten.is_none() {
            possible.values.insert(0, Vec::new());
        }
        let first = overwritten
            .map_or(0, |at| self.index.acked.partition_point(|(complete, _)| *complete < at));
        let last = to.saturating_add(self.index.longest);
        let acked = self.index.acked[first..].iter().take_while(|(complete, _)| *complete <= last);
        for write in acked.map(|(_, write)| write).chain(&self.index.open) {
            if write.op.invoke_us <= to {
                possible.values.entry(write.value).or_default().push(write.op.id);
            }
        }
        possible
    }

    /// The last write that was certainly done by `time`, as far as one can tell: the acknowledged
    /// one that was invoked last.
    #[must_use]
    pub fn last_acked(&self, time: Micros) -> Option<Write<'h>> {
        let done = self.index.acked.iter().take_while(|(complete, _)| *complete < time);
        done.map(|(_, write)| *write).max_by_key(|write| (write.op.invoke_us, write.op.id))
    }

    fn index(&mut self) {
        let (open, acked): (Vec<_>, Vec<_>) =
            self.writes.iter().copied().partition(|write| unknown(write.op));
        let mut acked: Vec<_> =
            acked.into_iter().filter_map(|write| Some((write.op.complete_us?, write))).collect();
        acked.sort_by_key(|(complete, write)| (*complete, write.op.id));
        let latest = acked.iter().scan(0, |latest, (_, write)| {
            *latest = write.op.invoke_us.max(*latest);
            Some(*latest)
        });
        let latest_invoke = latest.collect();
        let longest = acked
            .iter()
            .map(|(complete, write)| complete.saturating_sub(write.op.invoke_us))
            .max()
            .unwrap_or(0);
        self.index = Index { acked, latest_invoke, open, longest };
    }
}

/// The committed offsets of all groups.
#[derive(Debug, Default)]
pub struct Commits<'h> {
    /// Every register that the history writes or reads.
    pub registers: BTreeMap<Slot, Register<'h>>,
}

impl<'h> Commits<'h> {
    /// Reads a history as committed offsets.
    #[must_use]
    pub fn of(history: &'h History) -> Self {
        let mut commits = Self::default();
        for op in &history.ops {
            commits.operation(op, history);
        }
        // A deletion may leave the partitions open, so all registers must be known first.
        for op in history.ops.iter().filter(|op| op.outcome != Outcome::Fail) {
            for (slot, register) in &mut commits.registers {
                if deletes(op, slot) {
                    register.writes.push(Write { op, value: 0, by: None });
                }
            }
        }
        for register in commits.registers.values_mut() {
            register.writes.sort_by_key(|write| (write.op.invoke_us, write.op.id));
            register.reads.sort_by_key(|seen| (seen.op.invoke_us, seen.op.id));
            register.index();
        }
        commits
    }

    /// The register of a partition of a group; an untouched one if nobody ever committed.
    #[must_use]
    pub fn register(&self, group: &str, topic: &str, partition: i64) -> Option<&Register<'h>> {
        self.registers.get(&Slot { group: group.to_owned(), topic: topic.to_owned(), partition })
    }

    fn operation(&mut self, op: &'h Op, history: &History) {
        let slot = |partition: i64| Slot {
            group: group(&op.args).unwrap_or_default().to_owned(),
            topic: topic(&op.args).to_owned(),
            partition,
        };
        let partition = op.args.get("partition").and_then(Value::as_i64);
        let reply = op.result.as_ref().filter(|_| op.outcome == Outcome::Ok);
        match (op.f.as_str(), partition) {
            ("commit" | "commit_offset", Some(partition)) if op.outcome != Outcome::Fail => {
                let Some(value) = op.args.get("offset").and_then(Value::as_i64) else { return };
                let by = consumer(&op.args).or_else(|| name(&op.args, "member_id"));
                self.registers.entry(slot(partition)).or_default().writes.push(Write {
                    op,
                    value,
                    by,
                });
            }
            ("fetch_offset", Some(partition)) => {
                let Some(value) = reply.and_then(|reply| reply.get("offset")) else { return };
                // Some coordinators say null or -1 where nothing was committed; -1 is kept, for it
                // is a value nobody wrote and this protocol does not know it.
                let value = if value.is_null() { Some(0) } else { value.as_i64() };
                let Some(value) = value else { return };
                self.registers.entry(slot(partition)).or_default().reads.push(Seen {
                    op,
                    value,
                    since: stale_since(history, op),
                });
            }
            ("describe_group", _) => {
                let lines = reply.and_then(|reply| reply.get("offsets")).and_then(Value::as_array);
                for line in lines.into_iter().flatten() {
                    let Some(partition) = line.get("partition").and_then(Value::as_i64) else {
                        continue;
                    };
                    let Some(committed) = line.get("committed") else { continue };
                    let value = if committed.is_null() { Some(0) } else { committed.as_i64() };
                    let Some(value) = value else { continue };
                    let slot = Slot { topic: topic(line).to_owned(), ..slot(partition) };
                    self.registers.entry(slot).or_default().reads.push(Seen {
                        op,
                        value,
                        since: stale_since(history, op),
                    });
                }
            }
            _ => {}
        }
    }
}

/// Whether an operation deletes a committed offset.
fn deletes(op: &Op, slot: &Slot) -> bool {
    let this_group = || group(&op.args) == Some(slot.group.as_str());
    let this_topic = || topic(&op.args) == slot.topic;
    match op.f.as_str() {
        "delete_offsets" => {
            let partitions = op.args.get("partitions").and_then(Value::as_array);
            this_group()
                && this_topic()
                && partitions
                    .is_none_or(|list| list.iter().any(|p| p.as_i64() == Some(slot.partition)))
        }
        _ => false,
    }
}

/// The group that a request names.
pub(crate) fn group(body: &Value) -> Option<&str> {
    name(body, "group").or_else(|| name(body, "group_id"))
}

/// The thin consumer that a request names.
pub(crate) fn consumer(body: &Value) -> Option<&str> {
    name(body, "consumer").or_else(|| name(body, "consumer_id"))
}

/// The committed offset of one key of Maelstrom's `kafka` workload: it never moves back.
#[derive(Debug, Default)]
pub struct KeyRegister<'h> {
    /// Commits, not those that failed, in the order of invocation.
    pub writes: Vec<Write<'h>>,
    /// What `list_committed_offsets` told; `None` where the key was left out.
    pub reads: Vec<(&'h Op, Option<i64>)>,
}

/// The committed offsets of Maelstrom's keys.
#[derive(Debug, Default)]
pub struct KeyCommits<'h> {
    /// Every key that was committed or asked for.
    pub keys: BTreeMap<String, KeyRegister<'h>>,
}

impl<'h> KeyCommits<'h> {
    /// Reads a history as committed offsets of keys.
    #[must_use]
    pub fn of(history: &'h History) -> Self {
        let mut commits = Self::default();
        for op in &history.ops {
            let reply = op.result.as_ref().filter(|_| op.outcome == Outcome::Ok);
            match op.f.as_str() {
                "commit_offsets" if op.outcome != Outcome::Fail => {
                    let offsets = op.args.get("offsets").and_then(Value::as_object);
                    for (key, value) in offsets.into_iter().flatten() {
                        let Some(value) = value.as_i64() else { continue };
                        commits.keys.entry(key.clone()).or_default().writes.push(Write {
                            op,
                            value,
                            by: None,
                        });
                    }
                }
                "list_committed_offsets" => {
                    let Some(reply) = reply else { continue };
                    let asked = op.args.get("keys").and_then(Value::as_array);
                    let asked: BTreeSet<String> =
                        asked.into_iter().flatten().map(key_text).collect();
                    for key in asked {
                        let told = reply
                            .get("offsets")
                            .and_then(|offsets| offsets.get(&key))
                            .and_then(Value::as_i64);
                        commits.keys.entry(key).or_default().reads.push((op, told));
                    }
                }
                _ => {}
            }
        }
        commits
    }
}
