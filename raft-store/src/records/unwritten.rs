//! Bytes at the ends of segments that are not in their files yet.
//!
//! An entry of the Raft log brings many small batches. Those of one segment stand side by side, so
//! they are gathered here and written at once. This module knows no files.

use std::collections::BTreeMap;

use super::files::SegmentId;
use crate::limits::WRITTEN_AT_ONCE;

/// Some bytes of a segment.
#[derive(Debug)]
pub(super) struct Tail {
    /// Where in the segment they stand.
    pub(super) position: u64,
    /// The bytes.
    pub(super) bytes: Vec<u8>,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    tails: BTreeMap<SegmentId, Tail>,
}

impl Unwritten {
    /// Whether so many bytes more of a segment can be gathered. If not, write what is here first.
    pub(super) fn has_room(&self, segment: SegmentId, more: usize) -> bool {
        self.tails.get(&segment).is_none_or(|tail| tail.bytes.len() + more <= WRITTEN_AT_ONCE)
    }

    /// Gathers bytes that stand at a position, which is where those before them end. They may be
    /// changed until they are taken.
    pub(super) fn add(&mut self, segment: SegmentId, position: u64, bytes: &[u8]) -> &mut [u8] {
        let new = || Tail { position, bytes: Vec::with_capacity(bytes.len()) };
        let tail = self.tails.entry(segment).or_insert_with(new);
        let begin = tail.bytes.len();
        debug_assert_eq!(tail.position + begin as u64, position, "side by side");
        tail.bytes.extend_from_slice(bytes);
        &mut tail.bytes[begin..]
    }

    /// Takes what is here of a segment, to write it.
    pub(super) fn take(&mut self, segment: SegmentId) -> Option<Tail> {
        self.tails.remove(&segment)
    }

    /// Takes what is here of some segment, to write it.
    pub(super) fn take_any(&mut self) -> Option<(SegmentId, Tail)> {
        self.tails.pop_first()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use runtime::files::simulated::SimFiles;
    use state_machine::State;
    use state_machine::ids::LogId;
    use state_machine::values::{Extent, Piece, Place, Records};

    use crate::limits::{WRITTEN_AT_ONCE, WRITTEN_IN_TWO};
    use crate::records::RecordStore;
    use crate::records::files::FileStore;
    use crate::records::testing::records;

    /// A store, its disk, and where each log's next batch stands.
    struct Store {
        records: RecordStore,
        disk: SimFiles,
        ends: [u32; 2],
        next: [u64; 2],
    }

    impl Store {
        fn new() -> Self {
            let disk = SimFiles::new(1);
            let files = FileStore::open(Arc::new(disk.clone()), &State::default());
            let records = RecordStore::in_files(files.expect("an empty folder"));
            Self { records, disk, ends: [0; 2], next: [0; 2] }
        }

        fn append(&mut self, log: usize, bytes: usize) {
            let place = Place { log: LogId(log as u64), segment: 0, position: self.ends[log] };
            let appended = self.records.append(place, &records(1, bytes), self.next[log], 7);
            appended.expect("it stands at the end");
            self.ends[log] += bytes as u32;
            self.next[log] += 1;
        }

        /// How many operations the disk has seen since, of what is done.
        fn operations(&mut self, does: impl FnOnce(&mut Self)) -> usize {
            let before = self.disk.recorded_len();
            does(self);
            self.disk.recorded_len() - before
        }

        fn read(&self, log: usize) -> usize {
            let piece = Piece { segment: 0, first: 0, bytes: 0..self.ends[log].into() };
            let (from, to) = (0, self.next[log]);
            let extent = Extent { log: LogId(log as u64), from, to, pieces: vec![piece] };
            self.records.read(&extent).expect("read").len()
        }
    }

    #[test]
    fn the_batches_of_an_entry_are_written_once_a_segment_and_read_before_that() {
        let mut store = Store::new();
        (0..2).for_each(|log| store.append(log, 100));
        store.records.flush().expect("written");
        store.disk.record();
        let appends = |store: &mut Store| (0..10).for_each(|i| store.append(i % 2, 100 + i));
        assert_eq!(store.operations(appends), 0);
        assert_eq!(store.operations(|store| store.records.flush().expect("written")), 2);
        assert_eq!(store.operations(|store| store.records.flush().expect("written")), 0);
        store.append(0, 100);
        assert_eq!(store.operations(|store| assert_eq!(store.read(0), 7)), 1, "read as written");
        assert_eq!(store.read(1), 6);
    }

    #[test]
    fn what_is_gathered_is_bounded_and_large_batches_go_behind_the_small_before_them() {
        let mut store = Store::new();
        store.append(0, 100);
        store.records.flush().expect("written");
        store.disk.record();
        let count = WRITTEN_AT_ONCE / 10_000;
        let many = |store: &mut Store| (0..=count).for_each(|_| store.append(0, 10_000));
        assert_eq!(store.operations(many), 1, "a batch did not fit");
        let place = Place { log: LogId(0), segment: 0, position: store.ends[0] };
        let large = Records { created: Some(7), ..records(1, WRITTEN_IN_TWO) };
        let append = |store: &mut Store| {
            store.records.append(place, &large, store.next[0], 7).expect("it stands at the end");
        };
        assert_eq!(store.operations(append), 3, "what was gathered; head and records");
        assert_eq!(store.operations(|store| store.records.flush().expect("written")), 0);
        assert_eq!(store.read(0), count + 2);
    }
}
