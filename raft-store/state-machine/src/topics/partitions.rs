//! Partition logs: where each batch of records stands.
//!
//! A log is a list of segments. A segment is a run of batches, their bytes side by side. The bytes
//! are not here: a log decides at which byte of which segment a batch stands, and who keeps the
//! bytes puts them there. So the same bytes stand at the same place on every node.
//!
//! What is here is the index. *Marks* cut a segment into blocks of at most [`MARK_BYTES`], or of a
//! single batch. They are enough to say which bytes to read for an offset, and how much of a log
//! fits a reply ([`budget`](super::budget)). This module owns offsets and segments. It never looks
//! into the records' bytes. Topics and keyed logs are both made of it.

use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::budget::{ReadBudget, Size};
use super::command::Retention;
use crate::command::LogLimits;
use crate::ids::{LogId, Millis, Offset};
use crate::values::{Extent, Piece, Place, Records};

/// A block of a segment has at most this many bytes, or a single batch.
pub const MARK_BYTES: u32 = 64 * 1024;

/// A pointer that a clone takes along counts as so many bytes that it copies: it has to be fetched
/// from somewhere, and is counted there.
pub const PART_BYTES: usize = 256;

/// Where a block begins within its segment. The first block of a segment has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    /// So many records come before it.
    records: u32,
    /// At this byte.
    position: u32,
    /// The newest of them has this time.
    newest: Millis,
}

/// A run of batches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    base_offset: Offset,
    bytes: u64,
    max_timestamp: Millis,
    /// The bytes of its largest batch.
    largest: u64,
    /// By how much its records are longer as text ([`Records::escapes`]).
    escapes: u64,
    marks: Vec<Mark>,
}

/// A run of batches between two marks.
struct Block {
    /// Its first offset.
    first: Offset,
    /// One past its last offset.
    end: Offset,
    /// Where it lies in its segment.
    bytes: Range<u64>,
}

impl Segment {
    fn starting_at(base_offset: Offset) -> Self {
        Self { base_offset, bytes: 0, max_timestamp: 0, largest: 0, escapes: 0, marks: Vec::new() }
    }

    /// How many bytes it has.
    pub fn byte_len(&self) -> u64 {
        self.bytes
    }

    /// The time of its newest record.
    pub fn max_timestamp(&self) -> Millis {
        self.max_timestamp
    }

    /// How many bytes its largest batch has.
    pub fn largest_batch(&self) -> u64 {
        self.largest
    }

    /// Where its blocks begin: how many records and how many bytes come before each.
    pub fn block_starts(&self) -> impl Iterator<Item = (u64, u64)> {
        let marks = self.marks.iter().map(|mark| (mark.records.into(), mark.position.into()));
        [(0, 0)].into_iter().chain(marks)
    }

    fn push(&mut self, records_before: u32, position: u32, records: &Records, timestamp: Millis) {
        let at = Mark { records: records_before, position, newest: self.max_timestamp };
        let bytes = records.bytes.len() as u64;
        debug_assert_eq!(self.bytes, u64::from(at.position), "batches stand side by side");
        let begun = self.marks.last().map_or(0, |mark| mark.position);
        let in_block = at.position - begun;
        if in_block > 0 && u64::from(in_block) + bytes > u64::from(MARK_BYTES) {
            self.marks.push(at);
        }
        self.bytes += bytes;
        self.largest = self.largest.max(bytes);
        self.escapes += u64::from(records.escapes);
        self.max_timestamp = self.max_timestamp.max(timestamp);
    }

    /// The block of the offset `from`, or a later one before which no record in the segment has
    /// this time or a later one.
    fn block_at(&self, time: Millis, from: Offset, end: Offset) -> Option<Block> {
        let older = self.marks.partition_point(|mark| mark.newest < time);
        let before = self.marks.partition_point(|mark| self.offset_of(mark) <= from);
        self.blocks_from(older.max(before), end).next()
    }

    /// The first offset behind a mark.
    fn offset_of(&self, mark: &Mark) -> Offset {
        self.base_offset + Offset::from(mark.records)
    }

    /// The blocks from the one on that holds `from`, or from the first where the segment begins
    /// later. The segment ends before the offset `end`.
    fn blocks(&self, from: Offset, end: Offset) -> impl Iterator<Item = Block> {
        let first = self.marks.partition_point(|mark| self.offset_of(mark) <= from);
        self.blocks_from(first, end)
    }

    /// The blocks from a number on.
    fn blocks_from(&self, first: usize, end: Offset) -> impl Iterator<Item = Block> {
        (first..=self.marks.len()).map(move |i| {
            let begun = i.checked_sub(1).map(|before| self.marks[before]);
            let first = begun.map_or(self.base_offset, |mark| self.offset_of(&mark));
            let begin = begun.map_or(0, |mark| mark.position);
            let (end, until) = match self.marks.get(i) {
                Some(next) => (self.offset_of(next), u64::from(next.position)),
                None => (end, self.bytes),
            };
            Block { first, end, bytes: u64::from(begin)..until }
        })
    }

    /// How many bytes of memory it holds, used or not.
    fn memory(&self) -> usize {
        size_of::<Self>() + self.marks.capacity() * size_of::<Mark>()
    }

    /// What is wrong with a segment that ends before the offset `end`.
    fn violation(&self, end: Offset) -> Option<String> {
        let zero = Mark { records: 0, position: 0, newest: 0 };
        let marks = || [&zero].into_iter().chain(&self.marks);
        let rises = |(before, mark): (&Mark, &Mark)| {
            before.records < mark.records
                && before.position < mark.position
                && before.newest <= mark.newest
                && mark.newest <= self.max_timestamp
        };
        let last = marks().next_back().unwrap_or(&zero);
        let records = end.checked_sub(self.base_offset);
        let problem = if records.is_none_or(|records| records <= last.records.into()) {
            "has no records at its end"
        } else if self.bytes <= last.position.into() {
            "has no bytes at its end"
        } else if self.largest == 0 || self.largest > self.bytes {
            "has no batch that could be its largest"
        } else if !marks().zip(&self.marks).all(rises) {
            "has marks that do not rise"
        } else {
            return None;
        };
        Some(format!("the segment at {} {problem}", self.base_offset))
    }
}

/// One partition: offsets dense from 0, times of append that never fall.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionLog {
    id: LogId,
    /// By offset. All but the last are sealed. They are shared, so that a clone is cheap.
    segments: Vec<Arc<Segment>>,
    /// Records before it are gone. It lies in the first segment, or at the end where there is none.
    start: Offset,
    end: Offset,
    /// The last time of an append that a batch bears.
    timestamp: Millis,
    /// Some records bear their own times.
    created: bool,
}

impl PartitionLog {
    /// An empty log.
    pub(crate) fn new(id: LogId) -> Self {
        Self { id, segments: Vec::new(), start: 0, end: 0, timestamp: 0, created: false }
    }

    /// Its id.
    pub fn id(&self) -> LogId {
        self.id
    }

    /// The first offset that can be read, or the end of an empty log (Kafka's log start offset).
    pub fn start_offset(&self) -> Offset {
        self.start
    }

    /// The next offset to be written. Everything below it is replicated, so it is the high
    /// watermark too.
    pub fn end_offset(&self) -> Offset {
        self.end
    }

    /// Its segments in order, with the offsets of each. The first may have some that are gone.
    pub fn segments(&self) -> impl Iterator<Item = (Range<Offset>, &Segment)> {
        let ends = self.segments.iter().skip(1).map(|next| next.base_offset).chain([self.end]);
        self.segments.iter().zip(ends).map(|(segment, end)| (segment.base_offset..end, &**segment))
    }

    /// How many bytes of records it has.
    pub fn byte_len(&self) -> u64 {
        self.segments().map(|(_, segment)| segment.byte_len()).sum()
    }

    /// The time that a batch appended at `now_ms` gets.
    pub fn timestamp_at(&self, now_ms: Millis) -> Millis {
        self.timestamp.max(now_ms)
    }

    /// How many bytes, about, a clone of the log costs: copied at once, or with the next append.
    pub(crate) fn clone_cost(&self) -> usize {
        let last = self.segments.last().map_or(0, |last| last.memory());
        last + PART_BYTES * (1 + self.segments.len())
    }

    /// Where the next batch goes if it is this one: into the last segment, or into a new one where
    /// that one is full or cannot count further.
    pub(crate) fn place(&self, records: &Records, limits: LogLimits) -> Place {
        let next = Place { log: self.id, segment: self.end, position: 0 };
        let Some(last) = self.segments.last() else { return next };
        let bytes = last.bytes.saturating_add(records.bytes.len() as u64);
        let counted = u32::try_from(self.end - last.base_offset);
        match (u32::try_from(last.bytes), counted) {
            (Ok(position), Ok(_)) if bytes <= limits.segment_bytes.into() => {
                Place { segment: last.base_offset, position, ..next }
            }
            _ => next,
        }
    }

    /// Appends at [`end_offset`](Self::end_offset), where [`place`](Self::place) says.
    pub(crate) fn append(&mut self, place: Place, records: &Records, timestamp: Millis) {
        debug_assert!(timestamp >= self.timestamp, "timestamps never fall");
        debug_assert!(records.count > 0, "a batch has records");
        debug_assert_eq!(place.log, self.id, "the place is in this log");
        if place.segment == self.end {
            if let Some(sealed) = self.segments.last_mut() {
                Arc::make_mut(sealed).marks.shrink_to_fit();
            }
            self.segments.push(Arc::new(Segment::starting_at(self.end)));
        }
        let last = self.segments.last_mut().expect("a place is in the last segment or a new one");
        let before = u32::try_from(self.end - place.segment).expect("a new segment begins before");
        let time = records.created.unwrap_or(timestamp);
        Arc::make_mut(last).push(before, place.position, records, time);
        self.end += u64::from(records.count);
        self.created |= records.created.is_some();
        self.timestamp = records.created.map_or(timestamp, |_| self.timestamp);
    }

    /// Where the log begins if it is kept so, where that is later than it does.
    pub(crate) fn retained_from(&self, retention: &Retention, now_ms: Millis) -> Option<Offset> {
        let (mut start, mut bytes) = (self.start, self.byte_len());
        for (offsets, segment) in self.segments() {
            let is_old = |ms| segment.max_timestamp.saturating_add(ms) < now_ms;
            let left = bytes - segment.bytes;
            let is_too_much = |most| offsets.end < self.end && left >= most;
            if !retention.ms.is_some_and(is_old) && !retention.bytes.is_some_and(is_too_much) {
                break;
            }
            (start, bytes) = (offsets.end, left);
        }
        (start > self.start).then_some(start)
    }

    /// The segments, by their first offset, that have nothing from an offset on.
    pub(crate) fn segments_before(&self, start: Offset) -> impl Iterator<Item = Offset> {
        let gone = self.segments().take_while(move |(offsets, _)| offsets.end <= start);
        gone.map(|(offsets, _)| offsets.start)
    }

    /// Records before an offset go, which is not before the [start](Self::start_offset).
    pub(crate) fn trim(&mut self, start: Offset) {
        debug_assert!(self.start <= start && start <= self.end, "a log begins within it");
        let gone = self.segments_before(start).count();
        self.segments.drain(..gone);
        self.start = start;
    }

    /// What to read from `offset` on, or from where the log begins if that is later: at most
    /// `max_records`, and no more than the budget has left. Where it ends by the budget, that is at
    /// a mark.
    pub fn read(&self, offset: Offset, max_records: u32, budget: &mut ReadBudget) -> Extent {
        let offset = offset.max(self.start);
        let mut extent = Extent { log: self.id, from: offset, to: offset, pieces: Vec::new() };
        if offset >= self.end || max_records == 0 {
            return extent;
        }
        let stop = offset.saturating_add(max_records.into()).min(self.end);
        // Segments are in the order of their first offset; the one before the first that begins
        // later holds it.
        let later = self.segments.partition_point(|segment| segment.base_offset <= offset);
        for i in later.saturating_sub(1)..self.segments.len() {
            let segment = &self.segments[i];
            let end = self.segments.get(i + 1).map_or(self.end, |next| next.base_offset);
            for Block { first, end, bytes } in segment.blocks(offset, end) {
                let to = end.min(stop);
                // So many records are in as many batches at most.
                let records = to - extent.to;
                let most = records.saturating_mul(segment.largest);
                let bytes_at_most = most.min(bytes.end - bytes.start);
                let size = Size { records, bytes: bytes_at_most, escapes: segment.escapes };
                if !budget.take(size) {
                    return extent;
                }
                extent.add(segment.base_offset, first, bytes);
                extent.to = to;
                if to == stop {
                    return extent;
                }
            }
        }
        extent
    }

    /// The newest time of its records.
    pub fn newest(&self) -> Option<Millis> {
        self.segments().map(|(_, segment)| segment.max_timestamp).max()
    }

    /// Where to look for the first record from an offset on that has this time or a later one: a
    /// block that may have it, and before which none has it. `None`: there is none.
    pub fn find(&self, time: Millis, from: Offset) -> Option<Extent> {
        let from = from.max(self.start);
        let mut later = self
            .segments()
            .filter(|(offsets, segment)| offsets.end > from && segment.max_timestamp >= time);
        let (offsets, segment) = later.next()?;
        let Block { first, end, bytes } = segment.block_at(time, from, offsets.end)?;
        let from = first.max(from);
        let pieces = vec![Piece { segment: segment.base_offset, first, bytes }];
        Some(Extent { log: self.id, from, to: end, pieces })
    }

    /// What is wrong with it.
    pub(crate) fn violation(&self) -> Option<String> {
        let first = self.segments().next().map_or(self.end..self.end + 1, |(offsets, _)| offsets);
        if !first.contains(&self.start) {
            return Some("it does not begin in its first segment".to_owned());
        }
        let last = self.segments.last();
        if !self.created && last.is_some_and(|last| last.max_timestamp != self.timestamp) {
            return Some("its last segment ends at another time".to_owned());
        }
        if !self.created
            && self.segments.windows(2).any(|pair| pair[0].max_timestamp > pair[1].max_timestamp)
        {
            return Some("time goes back in it".to_owned());
        }
        self.segments().find_map(|(offsets, segment)| segment.violation(offsets.end))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::budget::{MAX_REPLY_BYTES, ReadBudget};
    use super::super::command::Retention;
    use super::{MARK_BYTES, PartitionLog};
    use crate::command::LogLimits;
    use crate::ids::LogId;
    use crate::values::{Extent, Place, Records};

    /// Where a batch stands: its place, its first offset, how many records and bytes it has.
    #[derive(Debug, Clone, Copy)]
    struct Batch {
        place: Place,
        base_offset: u64,
        count: u32,
        len: usize,
    }

    impl Batch {
        fn end_offset(&self) -> u64 {
            self.base_offset + u64::from(self.count)
        }

        /// Whether it lies in the bytes that an extent names.
        fn is_in(&self, extent: &Extent) -> bool {
            let (begin, end) = (u64::from(self.place.position), self.len as u64);
            extent.pieces.iter().any(|piece| {
                piece.segment == self.place.segment
                    && piece.bytes.start <= begin
                    && begin + end <= piece.bytes.end
            })
        }
    }

    struct Log {
        log: PartitionLog,
        batches: Vec<Batch>,
        limits: LogLimits,
    }

    impl Log {
        /// A log of batches that have so many records and bytes.
        fn of(batches: &[(u32, usize)], segment_bytes: u32) -> Self {
            let limits = LogLimits { segment_bytes };
            let mut log = Self { log: PartitionLog::new(LogId(7)), batches: Vec::new(), limits };
            for (count, len) in batches {
                log.append(*count, *len);
            }
            log
        }

        fn append(&mut self, count: u32, len: usize) {
            let records =
                Records { count, bytes: Bytes::from(vec![0; len]), created: None, escapes: 0 };
            let place = self.log.place(&records, self.limits);
            let base_offset = self.log.end_offset();
            self.batches.push(Batch { place, base_offset, count, len });
            self.log.append(place, &records, base_offset);
            assert_eq!(self.log.violation(), None);
        }

        /// Reads, and gives the batches that the extent wants. They are all in its bytes.
        fn read(&self, from: u64, max: u32, budget: &mut ReadBudget) -> (Extent, Vec<Batch>) {
            let extent = self.log.read(from, max, budget);
            let wanted =
                |batch: &&Batch| batch.end_offset() > extent.from && batch.base_offset < extent.to;
            let batches: Vec<Batch> = self.batches.iter().filter(wanted).copied().collect();
            for batch in &batches {
                assert!(batch.is_in(&extent), "{batch:?} is not in {extent:?}");
            }
            (extent, batches)
        }

        fn offsets(&self, from: u64, max: u32) -> Vec<u64> {
            let (_, batches) = self.read(from, max, &mut ReadBudget::default());
            batches.iter().map(|batch| batch.base_offset).collect()
        }
    }

    const LARGE: u32 = 64 << 20;

    #[test]
    fn a_read_from_any_offset_is_contiguous_across_blocks_and_segments() {
        let log = Log::of(&[(1, 30_000); 20], 150_000);
        assert_eq!(log.log.segments.len(), 4, "the log has several segments");
        assert_eq!(log.log.segments[0].marks.len(), 2, "and a segment several blocks");
        for from in 0..20 {
            assert_eq!(log.offsets(from, 7), (from..(from + 7).min(20)).collect::<Vec<_>>());
        }
        assert!(log.log.read(20, 7, &mut ReadBudget::default()).is_empty());
        assert!(log.log.read(0, 0, &mut ReadBudget::default()).is_empty());
    }

    #[test]
    fn a_read_inside_a_batch_gives_the_whole_batch() {
        let log = Log::of(&[(10, 10), (5, 10)], LARGE);
        assert_eq!(log.offsets(7, 3), [0]);
        assert_eq!(log.offsets(7, 4), [0, 10]);
    }

    #[test]
    fn a_reply_has_a_budget_of_bytes_but_always_one_batch() {
        let log = Log::of(&[(1, 3 << 20), (1, 1), (1, 1)], LARGE);
        assert_eq!(log.offsets(0, 10), [0]);
        assert_eq!(log.offsets(1, 10), [1, 2]);
        let log = Log::of(&[(1, 60_000), (1, 3 << 20), (1, 1)], LARGE);
        assert_eq!(log.offsets(0, 10), [0], "a large batch is a block of its own");
    }

    #[test]
    fn what_is_read_never_has_more_bytes_than_the_budget_and_never_nothing() {
        let sizes = [(1, 100), (3, 40_000), (1, 70_000), (2, 900), (40, 64_000), (1, 1_500_000)];
        let all: Vec<_> = sizes.iter().cycle().take(120).copied().collect();
        for segment_bytes in [1, 200_000, 3_000_000, LARGE] {
            let log = Log::of(&all, segment_bytes);
            for from in 0..log.log.end_offset() {
                let (extent, batches) = log.read(from, u32::MAX, &mut ReadBudget::default());
                let bytes: usize = batches.iter().map(|batch| batch.len).sum();
                assert!(bytes <= MAX_REPLY_BYTES || batches.len() == 1, "{bytes} bytes");
                assert!(extent.to > from);
            }
        }
    }

    #[test]
    fn few_small_messages_of_many_logs_fit_one_reply() {
        let log = Log::of(&[(1, 100); 5_000], LARGE);
        let mut budget = ReadBudget::default();
        for _ in 0..1_000 {
            assert_eq!(log.read(4_990, 10, &mut budget).1.len(), 10);
        }
        assert!(!budget.is_used_up(), "what is not asked for does not count");
    }

    #[test]
    fn a_segment_takes_what_fits_but_always_one_batch() {
        let log = Log::of(&[(1, 60), (1, 40), (1, 1), (1, 500), (2, 99), (1, 1)], 100);
        let places: Vec<_> =
            log.batches.iter().map(|batch| (batch.place.segment, batch.place.position)).collect();
        assert_eq!(places, [(0, 0), (0, 60), (2, 0), (3, 0), (4, 0), (4, 99)]);
        assert_eq!(log.log.byte_len(), 701);
    }

    #[test]
    fn what_a_segment_cannot_count_begins_the_next() {
        let log = Log::of(&[(7, 1), (u32::MAX, 1), (1, 1), (2, 1)], LARGE);
        let second = 7 + u64::from(u32::MAX);
        let segments: Vec<_> = log.batches.iter().map(|batch| batch.place.segment).collect();
        assert_eq!(segments, [0, 0, second, second]);
        assert_eq!(log.offsets(0, u32::MAX), [0, 7]);
        assert_eq!(log.offsets(second, 9), [second, second + 1]);
    }

    #[test]
    fn marks_are_few() {
        let log = Log::of(&[(1, 73); 100_000], LARGE);
        let blocks = 73 * 100_000 / MARK_BYTES as usize + 1;
        assert_eq!(log.log.segments[0].marks.len(), blocks - 1);
    }

    #[test]
    fn a_log_that_was_trimmed_begins_later_and_goes_on_where_it_ended() {
        let mut log = Log::of(&[(2, 40_000); 10], 100_000);
        let segments = |log: &Log| log.log.segments().map(|(o, _)| o.start).collect::<Vec<_>>();
        assert_eq!(segments(&log), [0, 4, 8, 12, 16]);
        log.log.trim(9);
        assert_eq!((log.log.violation(), segments(&log)), (None, vec![8, 12, 16]));
        let (extent, batches) = log.read(3, 2, &mut ReadBudget::default());
        assert_eq!((extent.from, extent.to), (9, 11), "a read begins where the log does");
        assert_eq!(batches.len(), 2, "and 9 is the second record of its batch");
        log.log.trim(20);
        assert_eq!((log.log.violation(), log.log.byte_len()), (None, 0));
        log.append(3, 500);
        assert_eq!((segments(&log), log.log.end_offset()), (vec![20], 23));
        assert_eq!(log.offsets(0, 9), [20]);
    }

    #[test]
    fn retention_drops_whole_segments_the_oldest_first() {
        // Times are base offsets: 0 to 18.
        let log = Log::of(&[(2, 40_000); 10], 100_000).log;
        let from = |ms, bytes, now_ms| log.retained_from(&Retention { ms, bytes }, now_ms);
        assert_eq!(from(None, None, 1 << 40), None);
        for (ms, now_ms, start) in
            [(5, 7, None), (5, 8, Some(4)), (5, 12, Some(8)), (0, 18, Some(16)), (0, 19, Some(20))]
        {
            assert_eq!(from(Some(ms), None, now_ms), start, "at {now_ms}");
        }
        for (bytes, start) in [
            (400_000, None),
            (320_001, None),
            (320_000, Some(4)),
            (80_000, Some(16)),
            (0, Some(16)),
        ] {
            assert_eq!(from(None, Some(bytes), 0), start, "{bytes} bytes");
        }
        assert_eq!(from(Some(5), Some(240_000), 8), Some(8), "either will do");
    }

    #[test]
    fn a_clone_shares_segments() {
        let mut log = Log::of(&[(1, 40_000); 10], 100_000);
        let before = log.log.clone();
        log.append(1, 1);
        assert_eq!(before.end_offset(), 10);
        assert_eq!(before.byte_len(), 400_000);
        assert!(std::sync::Arc::ptr_eq(&before.segments[0], &log.log.segments[0]));
    }

    #[test]
    fn a_log_that_nobody_could_have_made_is_told() {
        let good = Log::of(&[(2, 40_000); 10], 200_000).log;
        let broken: &[fn(&mut PartitionLog)] = &[
            |log| log.end = 3,
            |log| log.segments.clear(),
            |log| log.segments.swap(0, 1),
            |log| drop(log.segments.remove(0)),
            |log| log.timestamp += 1,
            |log| std::sync::Arc::make_mut(&mut log.segments[0]).bytes = 80_000,
            |log| std::sync::Arc::make_mut(&mut log.segments[0]).largest = 0,
            |log| std::sync::Arc::make_mut(&mut log.segments[0]).marks.swap(0, 1),
            |log| std::sync::Arc::make_mut(&mut log.segments[0]).max_timestamp = 100,
        ];
        for (i, breaks) in broken.iter().enumerate() {
            let mut log = good.clone();
            breaks(&mut log);
            assert!(log.violation().is_some(), "case {i}: {log:?}");
        }
    }
}
