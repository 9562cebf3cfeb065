//! Partition logs: append-only lists of record batches.
//!
//! A log is a list of segments; all but the last are sealed and shared, so that a snapshot of the
//! state is a clone of pointers and not of records. This module owns offsets and the limits of one
//! read. It never looks into the records' bytes. Topics and keyed logs are both made of it.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::ids::{Millis, Offset};
use crate::values::{Records, StoredBatch};

/// A segment is sealed when its records reach this many bytes. Small enough that copying the last
/// one after a snapshot costs little, large enough that there are few.
const SEGMENT_BYTES: usize = 64 * 1024;

/// A pointer that a clone takes along counts as so many bytes that it copies: it has to be fetched
/// from somewhere, and is counted there.
pub(crate) const PART_BYTES: usize = 256;

/// A reply carries at most this many bytes of records (but always one batch).
pub const MAX_REPLY_BYTES: usize = 2 * 1024 * 1024;

/// One past a batch: where it ends, counted from the beginning of its segment, and when it came. A
/// batch of one small message takes about 70 bytes, so that what is kept beside it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Slot {
    records: u32,
    bytes: u32,
    /// In ms after the segment's first.
    time: u32,
}

/// A run of batches, their bytes side by side.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Segment {
    base_offset: Offset,
    /// Of the first batch.
    timestamp: Millis,
    slots: Vec<Slot>,
    bytes: Vec<u8>,
}

impl Segment {
    fn starting_at(base_offset: Offset, timestamp: Millis) -> Self {
        Self { base_offset, timestamp, ..Self::default() }
    }

    /// Appends a batch; `false` where it belongs into the next segment, and nothing was done.
    fn push(&mut self, records: &Records, timestamp: Millis) -> bool {
        let last = self.slots.last().copied().unwrap_or_default();
        let bytes = self.bytes.len() + records.bytes.len();
        let time = u32::try_from(timestamp - self.timestamp);
        let (Some(count), Ok(time)) = (last.records.checked_add(records.count), time) else {
            return false;
        };
        if bytes > SEGMENT_BYTES && !self.slots.is_empty() {
            return false;
        }
        self.bytes.extend_from_slice(&records.bytes);
        let bytes = u32::try_from(bytes).expect("a segment is a few MiB at most");
        self.slots.push(Slot { records: count, bytes, time });
        true
    }

    /// Where the batch before it ends.
    fn before(&self, i: usize) -> Slot {
        i.checked_sub(1).map_or(Slot::default(), |before| self.slots[before])
    }

    /// Where a batch's bytes are.
    fn range(&self, i: usize) -> std::ops::Range<usize> {
        self.before(i).bytes as usize..self.slots[i].bytes as usize
    }

    fn first_offset(&self, i: usize) -> Offset {
        self.base_offset + Offset::from(self.before(i).records)
    }

    fn end_offset(&self, i: usize) -> Offset {
        self.base_offset + Offset::from(self.slots[i].records)
    }

    fn batch(&self, i: usize) -> StoredBatch {
        StoredBatch {
            base_offset: self.first_offset(i),
            count: self.slots[i].records - self.before(i).records,
            timestamp: self.timestamp + Millis::from(self.slots[i].time),
            bytes: Bytes::copy_from_slice(&self.bytes[self.range(i)]),
        }
    }

    /// How many bytes of memory it holds, used or not.
    fn memory(&self) -> usize {
        size_of::<Self>() + self.slots.capacity() * size_of::<Slot>() + self.bytes.capacity()
    }
}

/// How much one reply may still carry.
#[derive(Debug, Clone, Copy)]
pub struct ReadBudget {
    bytes: usize,
    started: bool,
}

impl Default for ReadBudget {
    fn default() -> Self {
        Self { bytes: MAX_REPLY_BYTES, started: false }
    }
}

impl ReadBudget {
    /// Whether nothing more fits.
    pub fn is_used_up(&self) -> bool {
        self.bytes == 0
    }

    /// Takes `bytes` off the budget; refuses what goes over it, but never the first piece of a
    /// reply.
    fn take(&mut self, bytes: usize) -> bool {
        if bytes > self.bytes && self.started {
            self.bytes = 0;
            return false;
        }
        self.bytes = self.bytes.saturating_sub(bytes);
        self.started = true;
        true
    }
}

/// One partition: offsets dense from 0, timestamps that never fall.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PartitionLog {
    sealed: Vec<Arc<Segment>>,
    tail: Arc<Segment>,
    end: Offset,
    timestamp: Millis,
}

impl PartitionLog {
    /// The next offset to be written. Everything below it is replicated, so it is the high
    /// watermark too.
    pub fn end_offset(&self) -> Offset {
        self.end
    }

    /// The time that a batch appended at `now_ms` gets.
    pub fn timestamp_at(&self, now_ms: Millis) -> Millis {
        self.timestamp.max(now_ms)
    }

    /// How many bytes of records the log holds.
    pub fn byte_len(&self) -> usize {
        self.sealed.iter().chain([&self.tail]).map(|s| s.bytes.len()).sum()
    }

    /// How many bytes of memory the log holds, used or not, without what the allocator adds.
    pub fn memory(&self) -> usize {
        self.sealed.iter().chain([&self.tail]).map(|s| s.memory() + size_of::<Arc<Segment>>()).sum()
    }

    /// How many bytes, about, a clone of the log costs: copied at once, or with the next append.
    pub(crate) fn clone_cost(&self) -> usize {
        self.tail.memory() + PART_BYTES * (1 + self.sealed.len())
    }

    /// Appends at [`end_offset`](Self::end_offset).
    pub(crate) fn append(&mut self, records: &Records, timestamp: Millis) {
        debug_assert!(timestamp >= self.timestamp, "timestamps never fall");
        debug_assert!(records.count > 0, "a batch has records");
        if self.end == 0 {
            self.tail = Arc::new(Segment::starting_at(0, timestamp));
        }
        let tail = Arc::make_mut(&mut self.tail);
        if !tail.push(records, timestamp) {
            tail.slots.shrink_to_fit();
            tail.bytes.shrink_to_fit();
            let mut next = Segment::starting_at(self.end, timestamp);
            let taken = next.push(records, timestamp);
            debug_assert!(taken, "an empty segment takes any batch");
            self.sealed.push(std::mem::replace(&mut self.tail, Arc::new(next)));
        }
        self.end += u64::from(records.count);
        self.timestamp = timestamp;
    }

    /// The batches from the one that holds `offset` on, until `max_records` records or the budget
    /// is used. The first batch may begin before `offset`.
    pub fn read(
        &self,
        offset: Offset,
        max_records: u32,
        budget: &mut ReadBudget,
    ) -> Vec<StoredBatch> {
        let mut found = Vec::new();
        self.walk(offset, max_records, budget, |segment, i| found.push(segment.batch(i)));
        found
    }

    /// One past the last offset of what [`read`](Self::read) with the same arguments would give
    /// out, at most `max_records` from `offset`; `offset` itself if that is nothing. Copies no
    /// records.
    pub fn readable_to(&self, offset: Offset, max_records: u32, budget: &mut ReadBudget) -> Offset {
        let mut to = offset;
        let stop = offset.saturating_add(u64::from(max_records));
        self.walk(offset, max_records, budget, |segment, i| {
            to = segment.end_offset(i).min(stop);
        });
        to
    }

    fn walk(
        &self,
        offset: Offset,
        max_records: u32,
        budget: &mut ReadBudget,
        mut visit: impl FnMut(&Segment, usize),
    ) {
        if offset >= self.end || max_records == 0 {
            return;
        }
        let stop = offset.saturating_add(u64::from(max_records));
        // Segments are in the order of their first offset; the one before the first that begins
        // later holds it.
        let first = self.sealed.partition_point(|s| s.base_offset <= offset).saturating_sub(1);
        for segment in self.sealed[first..].iter().chain([&self.tail]) {
            let ends = |slot: &Slot| segment.base_offset + Offset::from(slot.records);
            let skip = segment.slots.partition_point(|slot| ends(slot) <= offset);
            for i in skip..segment.slots.len() {
                if segment.first_offset(i) >= stop || !budget.take(segment.range(i).len()) {
                    return;
                }
                visit(segment, i);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{PartitionLog, ReadBudget};
    use crate::values::{Records, StoredBatch};

    fn log(batches: &[(u32, usize)]) -> PartitionLog {
        let mut log = PartitionLog::default();
        for (i, (count, len)) in batches.iter().enumerate() {
            log.append(&Records { count: *count, bytes: vec![i as u8; *len].into() }, i as u64);
        }
        log
    }

    #[test]
    fn a_read_from_any_offset_is_contiguous_across_segments() {
        let log = log(&[(1, 30_000); 20]);
        assert!(log.sealed.len() > 5, "the log has several segments");
        for from in 0..20 {
            let found = log.read(from, 7, &mut ReadBudget::default());
            let offsets: Vec<_> = found.iter().map(|b| b.base_offset).collect();
            assert_eq!(offsets, (from..(from + 7).min(20)).collect::<Vec<_>>());
            assert!(found.iter().all(|b| b.bytes[..] == vec![b.base_offset as u8; 30_000][..]));
        }
        assert!(log.read(20, 7, &mut ReadBudget::default()).is_empty());
    }

    #[test]
    fn a_read_inside_a_batch_gives_the_whole_batch() {
        let log = log(&[(10, 10), (5, 10)]);
        let found = log.read(7, 3, &mut ReadBudget::default());
        assert_eq!(found.iter().map(|b| (b.base_offset, b.count)).collect::<Vec<_>>(), [(0, 10)]);
        let found = log.read(7, 4, &mut ReadBudget::default());
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn a_reply_has_a_budget_of_bytes_but_always_one_batch() {
        let log = log(&[(1, 3 << 20), (1, 1), (1, 1)]);
        assert_eq!(log.read(0, 10, &mut ReadBudget::default()).len(), 1);
        assert_eq!(log.read(1, 10, &mut ReadBudget::default()).len(), 2);
    }

    #[test]
    fn a_small_message_takes_little_more_than_its_bytes() {
        const BATCH: usize = 73;
        let log = log(&[(1, BATCH); 100_000]);
        let each = log.memory() / 100_000;
        assert!(each < BATCH + 16, "{each} bytes");
    }

    #[test]
    fn what_a_segment_cannot_count_begins_the_next() {
        let mut log = PartitionLog::default();
        let records = |count| Records { count, bytes: vec![1].into() };
        let late = 1 + u64::from(u32::MAX);
        for (count, timestamp) in [(7, 0), (u32::MAX, 0), (1, 0), (2, late), (3, 3 * late)] {
            log.append(&records(count), timestamp);
        }
        let found = log.read(0, u32::MAX, &mut ReadBudget::default());
        let (first, second) = (7, 7 + u64::from(u32::MAX));
        let of = |b: &StoredBatch| (b.base_offset, b.count, b.timestamp);
        assert_eq!(found.iter().map(of).collect::<Vec<_>>(), [(0, 7, 0), (first, u32::MAX, 0)]);
        let found = log.read(second, 9, &mut ReadBudget::default());
        let expected = [(second, 1, 0), (second + 1, 2, late), (second + 3, 3, 3 * late)];
        assert_eq!(found.iter().map(of).collect::<Vec<_>>(), expected);
        assert_eq!(log.sealed.len(), 4);
    }

    #[test]
    fn a_clone_shares_sealed_segments() {
        let mut log = log(&[(1, 40_000); 10]);
        let before = log.clone();
        log.append(&Records { count: 1, bytes: vec![1].into() }, 100);
        assert_eq!(before.end_offset(), 10);
        assert!(std::sync::Arc::ptr_eq(&before.sealed[0], &log.sealed[0]));
    }
}
