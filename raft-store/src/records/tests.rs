//! The store, mostly in memory: what is put in comes out, whatever its sizes, and little more is
//! held.

use std::path::{Path, PathBuf};

use futures::FutureExt as _;
use runtime::files::simulated::SimFiles;
use runtime::files::{Entry, File, Files, Lock as FileLock, Open, Syncing};
use state_machine::values::Piece;

use super::files::FileStore;
use super::testing::{batch, records};
use super::*;
use crate::limits::WRITTEN_IN_TWO;

const LOG: LogId = LogId(3);

/// A log of batches that have so many records and bytes, the first so many in its first segment.
fn store(batches: &[(u32, usize)], first_segment: usize) -> RecordStore {
    let store = RecordStore::default();
    fill(&store, batches, &[first_segment]);
    store
}

/// Appends batches; a segment begins with each of these.
fn fill(store: &RecordStore, batches: &[(u32, usize)], segments: &[usize]) {
    let (mut place, mut offset) = (Place { log: LOG, segment: 0, position: 0 }, 0);
    for (i, (count, len)) in batches.iter().enumerate() {
        if segments.contains(&i) {
            place = Place { segment: offset, position: 0, ..place };
        }
        store.append(place, &records(*count, *len), offset, offset).expect("it fits");
        place.position += u32::try_from(*len).expect("small");
        offset += u64::from(*count);
    }
}

/// So many bytes of the first segment.
fn first_segment(frozen: &Frozen, len: usize) -> Bytes {
    frozen.read((LOG, 0), 0..len as u64).expect("they are there")
}

/// What a store in memory has.
fn logs(store: &RecordStore) -> Logs {
    match &store.0 {
        Stored::Memory(logs) => lock(logs).clone(),
        Stored::Files(_) => panic!("a store in files"),
    }
}

fn extent(offsets: std::ops::Range<u64>, pieces: &[(u64, std::ops::Range<u64>)]) -> Extent {
    let piece = |(segment, bytes): &(u64, std::ops::Range<u64>)| Piece {
        segment: *segment,
        first: *segment,
        bytes: bytes.clone(),
    };
    let (from, to) = (offsets.start, offsets.end);
    Extent { log: LOG, from, to, pieces: pieces.iter().map(piece).collect() }
}

#[test]
fn a_segment_is_what_its_batches_are_back_to_back() {
    let sizes = [(1, 100), (3, 40_000), (1, 70_000), (2, 900), (40, 64_000), (1, 61)];
    let store = store(&sizes, usize::MAX);
    let (mut expected, mut offset) = (Vec::new(), 0);
    for (count, len) in sizes {
        let mut bytes = batch(count, len);
        batch::fill_in(&mut bytes, offset, Some(offset));
        expected.extend(bytes);
        offset += u64::from(count);
    }
    assert_eq!(first_segment(&store.freeze(), expected.len()), expected);
}

#[test]
fn batches_with_times_of_their_own_are_the_same_in_memory_and_in_files_large_or_not() {
    let sizes = [WRITTEN_IN_TWO - 1, WRITTEN_IN_TWO, 100, 3 * WRITTEN_IN_TWO];
    let files = FileStore::open(Arc::new(SimFiles::new(1)), &State::default());
    let files = RecordStore::in_files(files.expect("an empty folder"));
    for store in [RecordStore::default(), files] {
        let (mut place, mut expected) =
            (Place { log: LOG, segment: 0, position: 0 }, Vec::<u8>::new());
        for (offset, len) in (0..).zip(sizes) {
            let sent = Records { created: Some(9), ..records(1, len) };
            store.append(place, &sent, offset, 77).expect("it fits");
            place.position += u32::try_from(len).expect("small");
            let mut bytes = sent.bytes.to_vec();
            batch::fill_in(&mut bytes, offset, None);
            expected.extend(bytes);
        }
        assert!(first_segment(&store.freeze(), expected.len()) == expected, "{store:?}");
    }
}

#[test]
fn a_read_gives_the_batches_that_have_the_offsets_and_no_others() {
    let store = store(&[(2, 30_000); 20], 10);
    let all = [(0, 0..300_000), (20, 0..300_000)];
    for from in 0..40 {
        for to in from + 1..=40 {
            let found = store.read(&extent(from..to, &all)).expect("they are there");
            let offsets: Vec<_> = found.iter().map(|batch| batch.base_offset).collect();
            let expected: Vec<_> = (from / 2..to.div_ceil(2)).map(|i| i * 2).collect();
            assert_eq!(offsets, expected, "{from}..{to}");
            assert!(found.iter().all(|b| b.bytes.len() == 30_000 && b.count == 2));
            assert!(found.iter().all(|b| b.timestamp == b.base_offset));
        }
    }
    let part = store.read(&extent(5..7, &[(0, 60_000..120_000)])).expect("they are there");
    assert_eq!(part.iter().map(|batch| batch.base_offset).collect::<Vec<_>>(), [4, 6]);
}

#[test]
fn small_batches_are_found_wherever_they_lie() {
    let store = store(&[(3, 70); 3_000], 2_000);
    for from in (0..9_000).step_by(7) {
        let extent = extent(from..(from + 5).min(9_000), &[(0, 0..140_000), (6_000, 0..70_000)]);
        let found = store.read(&extent).expect("they are there");
        assert_eq!(found.first().map(|batch| batch.base_offset), Some(from / 3 * 3));
        assert_eq!(found.last().map(|batch| batch.base_offset), Some((extent.to - 1) / 3 * 3));
    }
}

#[test]
fn what_is_sealed_is_read_without_a_copy() {
    let store = store(&[(1, 1_000); 100], usize::MAX);
    let read = || store.read(&extent(3..9, &[(0, 0..65_000)])).expect("they are there");
    assert_eq!(read()[2].bytes.as_ptr(), read()[2].bytes.as_ptr());
}

#[test]
fn a_log_that_was_removed_has_nothing_to_read() {
    let store = store(&[(1, 100); 3], usize::MAX);
    store.remove(LOG);
    let found = store.read(&extent(0..3, &[(0, 0..300)])).expect("no error");
    assert!(found.is_empty());
}

#[test]
fn what_was_trimmed_since_is_left_out() {
    let files = FileStore::open(Arc::new(SimFiles::new(1)), &State::default()).expect("empty");
    for store in [RecordStore::default(), RecordStore::in_files(files)] {
        fill(&store, &[(1, 100); 7], &[3, 6]);
        let frozen = store.freeze();
        store.trim(LOG, &[0, 3]);
        let read = |offsets, pieces: &[_]| {
            let found = store.read(&extent(offsets, pieces)).expect("no error");
            found.iter().map(|batch| batch.base_offset).collect::<Vec<_>>()
        };
        assert_eq!(read(1..7, &[(0, 100..300), (3, 0..300), (6, 0..100)]), [6]);
        assert_eq!(read(1..5, &[(0, 100..300), (3, 0..200)]), [0; 0]);
        assert!(frozen.read((LOG, 3), 0..300).is_ok(), "whoever froze it has it");
        store.trim(LOG, &[6]);
        assert_eq!(read(6..7, &[(6, 0..100)]), [0; 0]);
        let place = Place { log: LOG, segment: 7, position: 0 };
        store.append(place, &records(1, 100), 7, 7).expect("a log goes on where it ended");
        assert_eq!(read(6..8, &[(6, 0..100), (7, 0..100)]), [7]);
    }
}

/// A disk on which, whenever records are written, somebody saves a checkpoint that names nothing.
#[derive(Debug)]
struct Busy(SimFiles, Arc<Mutex<Option<FileStore>>>);

#[derive(Debug)]
struct BusyFile(Arc<dyn File>, Arc<Mutex<Option<FileStore>>>);

impl Files for Busy {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(BusyFile(self.0.open(path, how)?, self.1.clone())))
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.0.create_dir(path)
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        self.0.list(folder)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.remove(path)
    }
    fn sync_dir(&self, _: &Path) -> Syncing {
        Box::pin(async { Ok(()) })
    }
    fn sync_files(&self, _: Vec<PathBuf>) -> Syncing {
        Box::pin(async { Ok(()) })
    }
    fn free(&self) -> io::Result<u64> {
        self.0.free()
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn FileLock>> {
        self.0.lock(path)
    }
}

impl File for BusyFile {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(into, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let store = lock_store(&self.1);
        if let Some(store) = store {
            let nothing = State::default();
            let removed = store.remove_unused(&nothing);
            removed.now_or_never().expect("nothing waits here")?;
        }
        self.0.write_at(bytes, offset)
    }
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
    fn sync(&self) -> Syncing {
        self.0.sync()
    }
}

fn lock_store(store: &Mutex<Option<FileStore>>) -> Option<FileStore> {
    store.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// A checkpoint removed the file of a segment that had just been begun: its batch went into a file
/// without a name, and the next one found no file, or one that could not be made.
#[test]
fn regression_a_segment_that_begins_while_a_checkpoint_is_saved_keeps_its_file() {
    let shared = Arc::default();
    let files = Arc::new(Busy(SimFiles::new(1), Arc::clone(&shared)));
    let store = FileStore::open(files, &State::default()).expect("an empty folder");
    *shared.lock().unwrap_or_else(PoisonError::into_inner) = Some(store.clone());
    let store = RecordStore::in_files(store);
    fill(&store, &[(1, 100); 7], &[3, 6]);
    let all = extent(0..7, &[(0, 0..300), (3, 0..300), (6, 0..100)]);
    assert_eq!(store.read(&all).expect("they are there").len(), 7);
}

#[test]
fn what_is_not_as_the_state_says_is_an_error() {
    let store = store(&[(1, 100); 6], 3);
    let read = |offsets, pieces: &[_]| store.read(&extent(offsets, pieces));
    assert!(read(0..6, &[(0, 0..300), (3, 0..300)]).is_ok());
    assert!(read(0..1, &[(0, 0..301)]).is_err(), "longer than the segment");
    assert!(read(0..1, &[(1, 0..100)]).is_err(), "no such segment");
    assert!(read(0..1, &[(0, 50..300)]).is_err(), "not where a batch begins");
    assert!(read(0..4, &[(0, 0..300)]).is_err(), "not all of it");
    assert!(read(0..2, &[(0, 100..300)]).is_err(), "not its beginning");
    assert!(read(0..2, &[]).is_err(), "nothing of it");
    let append = |segment, position, records: &Records| {
        store.append(Place { log: LOG, segment, position }, records, 6, 6)
    };
    assert!(append(3, 299, &records(1, 100)).is_err(), "over another batch");
    assert!(append(3, 301, &records(1, 100)).is_err(), "behind a gap");
    assert!(append(0, 300, &records(1, 100)).is_err(), "in a segment that is sealed");
    assert!(append(3, 300, &Records { count: 2, ..records(1, 100) }).is_err(), "another count");
    assert!(
        append(3, 300, &Records { count: 1, bytes: "no batch".into(), created: None, escapes: 0 })
            .is_err()
    );
    let two = [batch(1, 70), batch(1, 70)].concat();
    assert!(
        append(3, 300, &Records { count: 1, bytes: two.into(), created: None, escapes: 0 })
            .is_err(),
        "two batches"
    );
    assert!(append(3, 300, &records(1, 100)).is_ok());
}

#[test]
fn a_frozen_copy_stays_as_it_was_and_shares_what_is_sealed() {
    let store = store(&[(1, 40_000); 10], usize::MAX);
    let frozen = store.freeze();
    let before = first_segment(&frozen, 400_000);
    let place = Place { log: LOG, segment: 0, position: 400_000 };
    store.append(place, &records(1, 100), 10, 10).expect("it fits");
    assert_eq!(first_segment(&frozen, 400_000), before);
    assert!(frozen.read((LOG, 0), 0..400_001).is_err(), "not what came later");
    let first = |logs: &Logs| {
        let mut batches = Vec::new();
        let piece = Piece { segment: 0, first: 0, bytes: 0..40_000 };
        logs[&LOG].read(&piece, &(0..1), &mut batches).expect("it is there");
        batches[0].bytes.as_ptr()
    };
    let FrozenPlace::Memory(kept) = &frozen.0 else { panic!("a copy of files") };
    assert_eq!(first(kept), first(&logs(&store)));
    store.replace(&State::default(), &frozen).expect("in memory");
    assert_eq!(first_segment(&store.freeze(), 400_000), before);
    store.append(place, &records(1, 100), 10, 10).expect("it fits again");
}

#[test]
fn a_small_message_takes_little_more_than_its_bytes() {
    const BATCH: usize = 73;
    let store = store(&[(1, BATCH); 100_000], usize::MAX);
    let each = logs(&store)[&LOG].memory() / 100_000;
    assert!(each < BATCH + 16, "{each} bytes");
}
