//! Which batches of a producer a partition has: so that one that is sent again is not appended
//! again, and one that comes too early is refused (Kafka's idempotent producers, KIP-98).
//!
//! The rules are those of Kafka's `ProducerAppendInfo`. They are decided where batches are
//! appended, in the order of the log, so that they come to the same on every node. Of a producer
//! the last [`BATCHES`] batches are known, as many as its clients have under way.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::ids::{Millis, Offset, ProducerId};
use crate::rejection::Rejection;

/// So many batches of a producer are known (Kafka's `NUM_BATCHES_TO_RETAIN`).
pub const BATCHES: usize = 5;

/// What a batch says of its producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sequence {
    /// The producer.
    pub producer: ProducerId,
    /// Which incarnation of it, from 0.
    pub epoch: u16,
    /// The first record's number in its partition, from 0 to 2^31 - 1, after which comes 0.
    pub first: u32,
    /// The last record's number.
    pub last: u32,
}

/// What is known of the producers of a partition.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Producers(BTreeMap<ProducerId, Producer>);

/// What is known of one producer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Producer {
    epoch: u16,
    /// Its last batches, the oldest first; there is one at least.
    batches: VecDeque<Appended>,
    /// When the last one came.
    last_ms: Millis,
}

/// A batch that was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Appended {
    first: u32,
    last: u32,
    /// The first record's.
    offset: Offset,
}

/// What becomes of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admitted {
    /// It is to be appended.
    New,
    /// It was appended, at this offset.
    Before(Offset),
}

impl Producers {
    /// What becomes of a batch with this sequence.
    ///
    /// # Errors
    /// [`Rejection::ProducerFenced`], [`Rejection::OutOfSequence`].
    pub(super) fn admit(&self, sequence: &Sequence) -> Result<Admitted, Rejection> {
        // One that is not known may begin anywhere: what was known of it may have expired.
        let Some(known) = self.0.get(&sequence.producer) else { return Ok(Admitted::New) };
        if sequence.epoch < known.epoch {
            return Err(Rejection::ProducerFenced {
                producer: sequence.producer,
                given: sequence.epoch,
                current: known.epoch,
            });
        }
        let expected = if sequence.epoch > known.epoch {
            0
        } else {
            let is_that =
                |batch: &&Appended| (batch.first, batch.last) == (sequence.first, sequence.last);
            if let Some(before) = known.batches.iter().find(is_that) {
                return Ok(Admitted::Before(before.offset));
            }
            known.batches.back().map_or(0, |last| after(last.last))
        };
        if sequence.first == expected {
            return Ok(Admitted::New);
        }
        Err(Rejection::OutOfSequence {
            producer: sequence.producer,
            given: sequence.first,
            expected,
        })
    }

    /// A batch was appended.
    pub(super) fn appended(&mut self, sequence: &Sequence, offset: Offset, now_ms: Millis) {
        let Sequence { producer, epoch, first, last } = *sequence;
        let known = self.0.entry(producer).or_insert_with(|| Producer {
            epoch,
            batches: VecDeque::with_capacity(1),
            last_ms: now_ms,
        });
        if known.epoch != epoch {
            known.epoch = epoch;
            known.batches.clear();
        }
        if known.batches.len() == BATCHES {
            known.batches.pop_front();
        }
        known.batches.push_back(Appended { first, last, offset });
        known.last_ms = now_ms;
    }

    /// Which producers have been silent since a time.
    pub(super) fn silent_since(&self, before_ms: Millis) -> impl Iterator<Item = ProducerId> {
        let silent = self.0.iter().filter(move |(_, producer)| producer.last_ms < before_ms);
        silent.map(|(id, _)| *id)
    }

    /// A producer is forgotten.
    pub(super) fn forget(&mut self, producer: ProducerId) {
        self.0.remove(&producer);
    }

    /// How many are known.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is wrong with it, for a log that ends at an offset.
    pub(crate) fn violation(&self, end: Offset) -> Option<String> {
        let broken = |(id, producer): (&ProducerId, &Producer)| {
            let batches = &producer.batches;
            let problem = if batches.is_empty() || batches.len() > BATCHES {
                "has an impossible number of batches"
            } else if batches.iter().any(|batch| batch.offset >= end) {
                "has a batch beyond the end"
            } else if batches
                .iter()
                .zip(batches.iter().skip(1))
                .any(|(one, next)| after(one.last) != next.first || one.offset >= next.offset)
            {
                "has batches that do not follow on each other"
            } else {
                return None;
            };
            Some(format!("producer {id} {problem}"))
        };
        self.0.iter().find_map(broken)
    }
}

/// The number after one.
fn after(number: u32) -> u32 {
    if number >= i32::MAX as u32 { 0 } else { number + 1 }
}

impl Sequence {
    /// That of a batch of so many records, whose first one has a number.
    pub fn new(producer: ProducerId, epoch: u16, first: u32, count: u32) -> Self {
        let span = u64::from(i32::MAX as u32) + 1;
        let last = (u64::from(first) + u64::from(count.saturating_sub(1))) % span;
        Self { producer, epoch, first, last: u32::try_from(last).expect("below 2^31") }
    }
}

#[cfg(test)]
mod tests {
    use super::{Admitted, Producers, Sequence};
    use crate::rejection::Rejection;

    fn sequence(epoch: u16, first: u32, count: u32) -> Sequence {
        Sequence::new(7, epoch, first, count)
    }

    /// Appends a batch if it is admitted; the next offset is its sequence times ten.
    fn send(producers: &mut Producers, sequence: &Sequence) -> Result<Admitted, Rejection> {
        let admitted = producers.admit(sequence)?;
        if admitted == Admitted::New {
            let offset = 10 * u64::from(sequence.epoch) * 1_000 + 10 * u64::from(sequence.first);
            producers.appended(sequence, offset, 1);
        }
        assert_eq!(producers.violation(u64::MAX), None);
        Ok(admitted)
    }

    #[test]
    fn batches_follow_on_each_other_and_repeats_are_known() {
        let mut producers = Producers::default();
        for first in [0, 3, 6, 9, 12, 15] {
            assert_eq!(send(&mut producers, &sequence(0, first, 3)), Ok(Admitted::New), "{first}");
        }
        for first in [3, 6, 9, 12, 15] {
            let again = send(&mut producers, &sequence(0, first, 3));
            assert_eq!(again, Ok(Admitted::Before(10 * u64::from(first))));
        }
        for (first, count) in [(0, 3), (16, 3), (19, 3), (15, 2), (14, 3)] {
            let refused = send(&mut producers, &sequence(0, first, count));
            assert!(matches!(refused, Err(Rejection::OutOfSequence { expected: 18, .. })));
        }
    }

    #[test]
    fn a_later_epoch_begins_at_0_and_fences_the_earlier() {
        let mut producers = Producers::default();
        assert_eq!(send(&mut producers, &sequence(1, 5, 1)), Ok(Admitted::New), "not known before");
        let refused = send(&mut producers, &sequence(2, 6, 1));
        assert!(matches!(refused, Err(Rejection::OutOfSequence { expected: 0, .. })));
        assert_eq!(send(&mut producers, &sequence(2, 0, 4)), Ok(Admitted::New));
        let refused = send(&mut producers, &sequence(1, 6, 1));
        assert!(matches!(refused, Err(Rejection::ProducerFenced { given: 1, current: 2, .. })));
    }

    #[test]
    fn numbers_begin_anew_after_the_greatest() {
        let most = i32::MAX as u32;
        assert_eq!(sequence(0, most - 1, 4).last, 1);
        let mut producers = Producers::default();
        assert_eq!(send(&mut producers, &sequence(0, most - 1, 2)), Ok(Admitted::New));
        let mut wrapped = producers.clone();
        assert_eq!(wrapped.admit(&sequence(0, 0, 1)), Ok(Admitted::New));
        wrapped.forget(7);
        assert!(wrapped.is_empty());
    }
}
