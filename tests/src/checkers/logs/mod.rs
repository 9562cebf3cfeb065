//! Partition logs: what was sent, what was read, and at which offsets.
//!
//! This module owns the reading of a history as logs ([`Logs`]), which the checkers beside it
//! share: Maelstrom's keys (`send` with `msg`, `poll` with `offsets`) and partitions of topics
//! (`send` with `message`, `fetch`, the records of thin `poll`s). It does not know what makes a log
//! right; each checker does.
//!
//! Values must be unique per key or topic to tell anything: a value that was sent more than once is
//! left out where the argument needs to know which send it came from. Only what an idempotent
//! producer sends again under the same sequence is one send ([`Sent`]). A topic that was deleted
//! and came again is another topic here ([`lives`](super::lives)). The properties are those of
//! Jepsen's Kafka checker, which Maelstrom's `kafka` workload uses, restated, plus what cohort
//! promises beyond it.

mod aborted_read;
mod dense_offsets;
mod duplicate;
mod inconsistent_offsets;
mod int_nonmonotonic_poll;
mod int_poll_skip;
mod later_write;
mod lost_write;
mod nonmonotonic_poll;
mod nonmonotonic_send;
mod phantom_record;
mod poll_skip;
pub mod positions;
mod stale_poll;
mod unseen;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use serde_json::Value;

pub use aborted_read::AbortedRead;
pub(crate) use dense_offsets::Appends;
pub use dense_offsets::DenseOffsets;
pub use duplicate::Duplicate;
pub use inconsistent_offsets::InconsistentOffsets;
pub use int_nonmonotonic_poll::IntNonmonotonicPoll;
pub use int_poll_skip::IntPollSkip;
pub use later_write::LaterWrite;
pub(crate) use lost_write::Covers;
pub use lost_write::LostWrite;
pub use nonmonotonic_poll::NonmonotonicPoll;
pub use nonmonotonic_send::NonmonotonicSend;
pub use phantom_record::PhantomRecord;
pub use poll_skip::PollSkip;
pub use stale_poll::StalePoll;
pub use unseen::Unseen;

use super::Checker;
use super::canonical::canonical;
use crate::history::{History, Micros, Op, Outcome};

/// The checkers of logs.
#[must_use]
pub fn all() -> Vec<&'static dyn Checker> {
    vec![
        &LostWrite,
        &Unseen,
        &Duplicate,
        &InconsistentOffsets,
        &AbortedRead,
        &PhantomRecord,
        &NonmonotonicPoll,
        &PollSkip,
        &IntNonmonotonicPoll,
        &IntPollSkip,
        &NonmonotonicSend,
        &StalePoll,
        &LaterWrite,
        &DenseOffsets,
    ]
}

/// Why a history without logs cannot be judged by the checkers of logs.
pub(crate) const NO_LOGS: &str = "no records were sent or read";

/// Where values are unique: a key of Maelstrom's, or a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Space {
    /// A key of Maelstrom's `kafka` workload.
    Key(String),
    /// A topic, with all its partitions.
    Topic(String),
}

/// Names one log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogId {
    /// The log of a key of Maelstrom's `kafka` workload.
    Key(String),
    /// A partition of a topic.
    Partition(String, i64),
}

impl LogId {
    /// The key or topic that the log belongs to.
    #[must_use]
    pub fn space(&self) -> Space {
        match self {
            Self::Key(key) => Space::Key(key.clone()),
            Self::Partition(topic, _) => Space::Topic(topic.clone()),
        }
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(f, "key {key}"),
            Self::Partition(topic, partition) => write!(f, "{topic}-{partition}"),
        }
    }
}

/// A message, by its canonical text; numbered so that equal ones are cheap to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(u32);

/// One `send`. Of an idempotent producer it is all sends of one message to one partition under one
/// sequence: the broker appends at most one of them.
#[derive(Debug)]
pub struct Sent<'h> {
    /// The operation; of several the first.
    pub op: &'h Op,
    /// How it ended: done if any was, refused if all were.
    pub outcome: Outcome,
    /// What was sent.
    pub value: ValueId,
    /// The log, where it is known: of a topic's record without an answer it may not be.
    pub log: Option<LogId>,
    /// The offset that was acknowledged.
    pub offset: Option<i64>,
}

/// What one answered operation returned from one log. Empty if it asked for the log and got
/// nothing.
#[derive(Debug)]
pub struct Read<'h> {
    /// The operation.
    pub op: &'h Op,
    /// The offset asked for; a thin consumer asks for none.
    pub from: Option<i64>,
    /// Offsets and values in the order of the reply.
    pub records: Vec<(i64, ValueId)>,
    /// The log's end as told by a `fetch`.
    pub high_watermark: Option<i64>,
    /// Whether the reply may have ended because it was full, not because the log did.
    pub full: bool,
}

impl Read<'_> {
    /// The highest offset returned.
    #[must_use]
    pub fn last(&self) -> Option<i64> {
        self.records.iter().map(|record| record.0).max()
    }
}

/// One log: who wrote where, who read what.
#[derive(Debug, Default)]
pub struct Log<'h> {
    /// Answered sends with their offsets, in the order of invocation.
    pub acks: Vec<(i64, ValueId, &'h Op)>,
    /// Answered reads, in the order of invocation.
    pub reads: Vec<Read<'h>>,
    /// Which values were seen at an offset, each with the first operation that showed it.
    pub seen: BTreeMap<i64, BTreeMap<ValueId, u64>>,
    /// At which offsets a value was seen, each with the first operation that showed it.
    pub places: BTreeMap<ValueId, BTreeMap<i64, u64>>,
    /// The values that some read returned.
    pub read_values: BTreeSet<ValueId>,
    /// Answered sends that were not the first of their [`Sent`], by their `id`: the record may have
    /// been appended before they were invoked.
    pub retries: BTreeSet<u64>,
}

impl Log<'_> {
    /// The first offset of `from..to` at which a record is known to be.
    #[must_use]
    pub fn known_between(&self, from: i64, to: i64) -> Option<i64> {
        (from < to).then(|| self.seen.range(from..to).next().map(|(offset, _)| *offset)).flatten()
    }

    fn see(&mut self, offset: i64, value: ValueId, op: u64) {
        self.seen.entry(offset).or_default().entry(value).or_insert(op);
        self.places.entry(value).or_default().entry(offset).or_insert(op);
    }
}

/// A history read as logs.
#[derive(Debug, Default)]
pub struct Logs<'h> {
    /// Every log.
    pub logs: BTreeMap<LogId, Log<'h>>,
    /// Every send, in the order of invocation.
    pub sends: Vec<Sent<'h>>,
    /// Positions in `sends` by key or topic and value.
    senders: HashMap<(Space, ValueId), Vec<usize>>,
    /// Positions in `sends` by sequence and value.
    sequences: HashMap<(Sequence, ValueId), usize>,
    texts: Vec<String>,
}

/// A read that named its position and returned records.
#[derive(Debug, Clone, Copy)]
pub struct PlacedRead<'l, 'h> {
    /// The log.
    pub id: &'l LogId,
    /// Its contents.
    pub log: &'l Log<'h>,
    /// The read.
    pub read: &'l Read<'h>,
    /// The offset asked for.
    pub from: i64,
    /// The lowest offset returned.
    pub first: i64,
}

impl<'h> Logs<'h> {
    /// All reads that named their position and returned records.
    pub fn placed_reads(&self) -> impl Iterator<Item = PlacedRead<'_, 'h>> {
        self.logs.iter().flat_map(|(id, log)| {
            log.reads.iter().filter_map(move |read| {
                let first = read.records.iter().map(|record| record.0).min()?;
                Some(PlacedRead { id, log, read, from: read.from?, first })
            })
        })
    }
}

/// Gives equal texts the same number.
#[derive(Default)]
struct Interner {
    numbers: HashMap<String, ValueId>,
    texts: Vec<String>,
}

impl Interner {
    fn number(&mut self, value: &Value) -> ValueId {
        let text = canonical(value);
        if let Some(number) = self.numbers.get(&text) {
            return *number;
        }
        let number =
            ValueId(u32::try_from(self.texts.len()).expect("fewer than 2^32 distinct messages"));
        self.texts.push(text.clone());
        self.numbers.insert(text, number);
        number
    }
}

/// The protocol's default topic.
pub(crate) const DEFAULT_TOPIC: &str = "default";

/// The most messages a key that a `poll` returns.
const POLL_LIMIT: usize = 1_000;
/// A reply carries at most 2 MiB of records. Texts of half that size may be a full reply already,
/// because offsets, timestamps and escapes come on top.
const FULL_BYTES: usize = 1 << 20;

/// A field that names something; null counts as absent.
pub(crate) fn name<'a>(body: &'a Value, field: &str) -> Option<&'a str> {
    body.get(field).and_then(Value::as_str)
}

/// The topic that a request names, or the default one.
pub(crate) fn topic(body: &Value) -> &str {
    name(body, "topic").unwrap_or(DEFAULT_TOPIC)
}

impl<'h> Logs<'h> {
    /// Reads a history as logs.
    #[must_use]
    pub fn of(history: &'h History) -> Self {
        let mut logs = Self::default();
        let mut values = Interner::default();
        for op in &history.ops {
            match op.f.as_str() {
                "send" => logs.send(op, &mut values),
                "poll" if op.args.get("offsets").is_some() => logs.poll(op, &mut values),
                "poll" => logs.thin_poll(op, &mut values),
                "fetch" => logs.fetch(op, &mut values),
                _ => {}
            }
        }
        logs.texts = values.texts;
        logs
    }

    /// Whether anything was sent or read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.logs.is_empty() && self.sends.is_empty()
    }

    /// A message as people read it; long ones are cut.
    #[must_use]
    pub fn text(&self, value: ValueId) -> String {
        const SHOWN: usize = 40;
        let text = &self.texts[value.0 as usize];
        if text.chars().count() <= SHOWN {
            text.clone()
        } else {
            text.chars().take(SHOWN).chain("…".chars()).collect()
        }
    }

    /// The sends of a value to a key or topic.
    pub fn sends_of(&self, space: &Space, value: ValueId) -> impl Iterator<Item = &Sent<'h>> {
        let positions = self.senders.get(&(space.clone(), value)).map_or(&[][..], Vec::as_slice);
        positions.iter().map(|position| &self.sends[*position])
    }

    /// The one send of a value; `None` if there was none or more than one, so that nothing follows
    /// from the value.
    #[must_use]
    pub fn only_send(&self, space: &Space, value: ValueId) -> Option<&Sent<'h>> {
        let mut sends = self.sends_of(space, value);
        let first = sends.next()?;
        sends.next().is_none().then_some(first)
    }

    /// Whether a log has records that no send of the history accounts for, so that counting sends
    /// is of no use.
    #[must_use]
    pub fn has_strangers(&self, id: &LogId) -> bool {
        let space = id.space();
        let Some(log) = self.logs.get(id) else { return false };
        log.read_values.iter().any(|value| self.sends_of(&space, *value).next().is_none())
    }

    fn send(&mut self, op: &'h Op, values: &mut Interner) {
        let reply = op.result.as_ref().filter(|_| op.outcome == Outcome::Ok);
        let offset = reply.and_then(|reply| reply.get("offset")).and_then(Value::as_i64);
        let (space, message, log) = if let Some(message) = op.args.get("message") {
            let topic = topic(&op.args);
            let partition =
                reply.and_then(|reply| reply.get("partition")).or(op.args.get("partition"));
            let log =
                partition.and_then(Value::as_i64).map(|p| LogId::Partition(topic.to_owned(), p));
            (Space::Topic(topic.to_owned()), message, log)
        } else {
            let (Some(key), Some(message)) = (op.args.get("key"), op.args.get("msg")) else {
                return;
            };
            let key = key_text(key);
            (Space::Key(key.clone()), message, Some(LogId::Key(key)))
        };
        let value = values.number(message);
        let sequence = Sequence::of(op);
        // Kafka tells -1 where it does not know the offset of a sequence any more.
        let offset = offset.filter(|offset| *offset >= 0 || sequence.is_none());
        let senders = self.senders.entry((space, value)).or_default();
        let next = self.sends.len();
        let first = sequence.and_then(|sequence| match self.sequences.entry((sequence, value)) {
            Entry::Occupied(known) => Some(*known.get()),
            Entry::Vacant(new) => {
                new.insert(next);
                None
            }
        });
        if let (Some(offset), Some(id)) = (offset, &log) {
            let log = self.logs.entry(id.clone()).or_default();
            log.acks.push((offset, value, op));
            log.see(offset, value, op.id);
            if first.is_some() {
                log.retries.insert(op.id);
            }
        }
        match first.map(|position| &mut self.sends[position]) {
            Some(sent) => {
                sent.outcome = together(sent.outcome, ended(op));
                sent.offset = sent.offset.or(offset);
                sent.log = sent.log.take().or(log);
            }
            None => {
                senders.push(self.sends.len());
                self.sends.push(Sent { op, outcome: ended(op), value, log, offset });
            }
        }
    }

    fn poll(&mut self, op: &'h Op, values: &mut Interner) {
        let Some(reply) = op.result.as_ref().filter(|_| op.outcome == Outcome::Ok) else { return };
        let none = serde_json::Map::new();
        let asked = op.args.get("offsets").and_then(Value::as_object).unwrap_or(&none);
        let returned = reply.get("msgs").and_then(Value::as_object).unwrap_or(&none);
        let bytes: usize = returned.values().map(size).sum();
        // Keys that were not asked for count too: what they show is part of the logs all the same.
        let keys: BTreeSet<&String> = asked.keys().chain(returned.keys()).collect();
        for key in keys {
            let pairs = returned.get(key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let records = pairs.iter().filter_map(|pair| {
                let offset = pair.get(0)?.as_i64()?;
                Some((offset, values.number(pair.get(1)?)))
            });
            let read = Read {
                op,
                from: asked.get(key).and_then(Value::as_i64),
                records: records.collect(),
                high_watermark: None,
                full: pairs.len() >= POLL_LIMIT || bytes >= FULL_BYTES,
            };
            self.read(LogId::Key(key.clone()), read);
        }
    }

    fn fetch(&mut self, op: &'h Op, values: &mut Interner) {
        let Some(reply) = op.result.as_ref().filter(|_| op.outcome == Outcome::Ok) else { return };
        let Some(partition) = op.args.get("partition").and_then(Value::as_i64) else { return };
        let topic = topic(&op.args);
        let records = reply.get("records").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let read = Read {
            op,
            from: op.args.get("offset").and_then(Value::as_i64),
            records: records.iter().filter_map(|record| offset_and_value(record, values)).collect(),
            high_watermark: reply.get("high_watermark").and_then(Value::as_i64),
            // How much a `fetch` returns at most is not part of the protocol, so any non-empty
            // reply may be full.
            full: !records.is_empty(),
        };
        self.read(LogId::Partition(topic.to_owned(), partition), read);
    }

    fn thin_poll(&mut self, op: &'h Op, values: &mut Interner) {
        let Some(reply) = op.result.as_ref().filter(|_| op.outcome == Outcome::Ok) else { return };
        let records = reply.get("records").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let limit = op.args.get("max_messages").and_then(Value::as_u64).unwrap_or(10);
        let bytes: usize = records.iter().map(size).sum();
        let full = records.len() as u64 >= limit || bytes >= FULL_BYTES;
        let mut by_log: BTreeMap<LogId, Vec<(i64, ValueId)>> = BTreeMap::new();
        for record in records {
            let Some(partition) = record.get("partition").and_then(Value::as_i64) else { continue };
            let topic = topic(record);
            if let Some(pair) = offset_and_value(record, values) {
                by_log.entry(LogId::Partition(topic.to_owned(), partition)).or_default().push(pair);
            }
        }
        for (log, records) in by_log {
            self.read(log, Read { op, from: None, records, high_watermark: None, full });
        }
    }

    fn read(&mut self, id: LogId, read: Read<'h>) {
        let log = self.logs.entry(id).or_default();
        for (offset, value) in &read.records {
            log.see(*offset, *value, read.op.id);
            log.read_values.insert(*value);
        }
        log.reads.push(read);
    }
}

/// Names one record of an idempotent producer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i64,
    /// The producer's id.
    pub producer: i64,
    /// Its epoch: with each begins another count.
    pub epoch: i64,
    /// Counts its records to that partition, from 0; after 2^31 - 1 comes 0.
    pub number: i64,
}

impl Sequence {
    /// What a `send` names.
    #[must_use]
    pub fn of(op: &Op) -> Option<Self> {
        let number =
            |field: &str| op.args.get(field).and_then(Value::as_i64).filter(|number| *number >= 0);
        Some(Self {
            topic: topic(&op.args).to_owned(),
            partition: number("partition")?,
            producer: number("producer_id")?,
            epoch: number("producer_epoch")?,
            number: number("sequence")?,
        })
    }
}

/// How a send ended. A broker that says that it knows the sequence may have appended it before.
fn ended(op: &Op) -> Outcome {
    match op.error.as_deref() {
        Some("DUPLICATE_SEQUENCE_NUMBER") => Outcome::Info,
        _ => op.outcome,
    }
}

/// How several sends of one record ended.
fn together(one: Outcome, other: Outcome) -> Outcome {
    match (one, other) {
        (Outcome::Ok, _) | (_, Outcome::Ok) => Outcome::Ok,
        (Outcome::Fail, Outcome::Fail) => Outcome::Fail,
        _ => Outcome::Info,
    }
}

fn offset_and_value(record: &Value, values: &mut Interner) -> Option<(i64, ValueId)> {
    let offset = record.get("offset")?.as_i64()?;
    Some((offset, values.number(record.get("message")?)))
}

/// Keys of Maelstrom are strings; a number is its text, as in the JSON object of a `poll`.
pub(crate) fn key_text(key: &Value) -> String {
    key.as_str().map_or_else(|| canonical(key), str::to_owned)
}

/// About how many bytes a JSON value is as text.
fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => 2 + items.iter().map(|item| 1 + size(item)).sum::<usize>(),
        Value::Object(fields) => {
            2 + fields.iter().map(|(key, item)| 4 + key.len() + size(item)).sum::<usize>()
        }
    }
}

/// Topics that were deleted, or may have been.
pub(crate) fn deleted_topics(history: &History) -> BTreeSet<&str> {
    let deletions =
        history.ops.iter().filter(|op| op.f == "delete_topic" && op.outcome != Outcome::Fail);
    deletions.filter_map(|op| name(&op.args, "topic")).collect()
}

/// The highest offset acknowledged before each of the given instants, with the operation that shows
/// it.
///
/// `instants` come with any payload and are answered in the order of their time: one pass over
/// both.
pub(crate) fn acked_before<'h, T>(
    log: &Log<'h>,
    mut instants: Vec<(Micros, T)>,
    mut each: impl FnMut(T, (i64, ValueId, &'h Op)),
) {
    let mut acks: Vec<_> = log
        .acks
        .iter()
        .filter_map(|ack| ack.2.complete_us.map(|complete| (complete, *ack)))
        .collect();
    acks.sort_by_key(|(complete, ack)| (*complete, ack.2.id));
    instants.sort_by_key(|(time, _)| *time);
    let mut acks = acks.into_iter().peekable();
    let mut highest: Option<(i64, ValueId, &'h Op)> = None;
    for (time, payload) in instants {
        // Equal times are concurrent: the clock cannot tell which came first.
        while let Some((_, ack)) = acks.next_if(|(complete, _)| *complete < time) {
            if highest.is_none_or(|best| ack.0 > best.0) {
                highest = Some(ack);
            }
        }
        if let Some(highest) = highest {
            each(payload, highest);
        }
    }
}
