//! Idempotent producers: what was sent under which sequence, and where it stands in the log.
//!
//! A producer with an id counts its records to each partition; a retry names the same sequence, so
//! the broker can tell it from a new record. This module owns the reading of a history as sequences
//! ([`Producers`]), which the three predicates beside it share. It does not know what makes a
//! sequence right. A `send` that is refused because its sequence is out of order, or is known
//! already, is no record of its own.
//!
//! A sequence belongs to one producer, one epoch and one partition. The count of an epoch begins
//! anew, so epochs are not compared. Which record stands at an offset is known by its message, so a
//! message that was sent under several sequences, or also without one, tells nothing.

mod idempotent_duplicate;
mod idempotent_gap;
mod idempotent_reorder;

use std::collections::{BTreeMap, BTreeSet};

pub use idempotent_duplicate::IdempotentDuplicate;
pub use idempotent_gap::IdempotentGap;
pub use idempotent_reorder::IdempotentReorder;

use super::Checker;
use super::logs::{LogId, Logs, Sequence, ValueId};
use crate::history::Op;

/// The checkers of producers, P1 first.
#[must_use]
pub fn all() -> Vec<&'static dyn Checker> {
    vec![&IdempotentDuplicate, &IdempotentGap, &IdempotentReorder]
}

/// Why a history without sequences cannot be judged.
pub(crate) const NO_SEQUENCES: &str = "no idempotent producer sent anything";

/// How many numbers there are before the count begins anew.
const WRAP: i64 = 1 << 31;

/// One producer's records to one partition in one epoch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stream {
    /// The partition's log.
    pub log: LogId,
    /// The producer's id.
    pub producer: i64,
    /// Its epoch.
    pub epoch: i64,
}

impl std::fmt::Display for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: producer {} (epoch {})", self.log, self.producer, self.epoch)
    }
}

/// What became of one sequence.
#[derive(Debug)]
pub struct Numbered<'h> {
    /// The first `send` that named it.
    pub first: &'h Op,
    /// The offsets at which its record was seen, each with the first operation that showed it.
    pub offsets: BTreeMap<i64, u64>,
    /// Whether nothing that was seen in the log can be its record.
    pub unseen: bool,
}

impl Numbered<'_> {
    /// The lowest offset, with the operation that showed it.
    #[must_use]
    pub fn place(&self) -> Option<(i64, u64)> {
        self.offsets.first_key_value().map(|(offset, op)| (*offset, *op))
    }
}

/// The sequences of a history.
#[derive(Debug, Default)]
pub struct Producers<'h> {
    /// In each stream by the number of the sequence; after a wrap the count goes on.
    pub streams: BTreeMap<Stream, BTreeMap<i64, Numbered<'h>>>,
}

impl<'h> Producers<'h> {
    /// Reads the sequences of logs.
    #[must_use]
    pub fn of(logs: &Logs<'h>, ops: &'h [Op]) -> Self {
        let mut producers = Self::default();
        let mut values: BTreeMap<(Stream, i64), BTreeSet<ValueId>> = BTreeMap::new();
        for sent in &logs.sends {
            let Some(sequence) = Sequence::of(sent.op) else { continue };
            let (stream, number) = stream(sequence);
            values.entry((stream, number)).or_default().insert(sent.value);
        }
        for op in ops.iter().filter(|op| op.f == "send") {
            let Some((stream, number)) = Sequence::of(op).map(stream) else { continue };
            let offset = op.result.as_ref().and_then(|reply| reply.get("offset")?.as_i64());
            let numbered = producers.streams.entry(stream).or_default().entry(number);
            let numbered = numbered.or_insert_with(|| Numbered {
                first: op,
                offsets: BTreeMap::new(),
                unseen: true,
            });
            if let Some(offset) = offset.filter(|offset| *offset >= 0) {
                numbered.unseen = false;
                numbered.offsets.entry(offset).or_insert(op.id);
            }
        }
        for (stream, numbers) in &mut producers.streams {
            for (number, numbered) in numbers.iter_mut() {
                let values = values.get(&(stream.clone(), *number)).into_iter().flatten();
                for value in values {
                    numbered.look_for(logs, &stream.log, *value);
                }
            }
            unwrap(numbers);
        }
        producers
    }

    /// How many sequences were sent.
    #[must_use]
    pub fn count(&self) -> usize {
        self.streams.values().map(BTreeMap::len).sum()
    }
}

impl Numbered<'_> {
    /// Finds a message that was sent under this sequence in the log.
    fn look_for(&mut self, logs: &Logs<'_>, log: &LogId, value: ValueId) {
        let Some(places) = logs.logs.get(log).and_then(|log| log.places.get(&value)) else {
            return;
        };
        self.unseen = false;
        if logs.only_send(&log.space(), value).is_some() {
            for (offset, op) in places {
                self.offsets.entry(*offset).or_insert(*op);
            }
        }
    }
}

fn stream(sequence: Sequence) -> (Stream, i64) {
    let Sequence { topic, partition, producer, epoch, number } = sequence;
    (Stream { log: LogId::Partition(topic, partition), producer, epoch }, number)
}

/// Lets the count go on where it began anew: numbers of one run are close to each other.
fn unwrap(numbers: &mut BTreeMap<i64, Numbered<'_>>) {
    let ends = numbers.first_key_value().zip(numbers.last_key_value());
    if ends.is_some_and(|((first, _), (last, _))| last - first > WRAP / 2) {
        let high = numbers.split_off(&(WRAP / 2));
        let low = std::mem::replace(numbers, high);
        numbers.extend(low.into_iter().map(|(number, numbered)| (number + WRAP, numbered)));
    }
}

/// A sequence as its producer named it.
fn named(number: i64) -> i64 {
    number % WRAP
}
