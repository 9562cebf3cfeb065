//! Records in files: one file a segment.
//!
//! A byte at a place of a segment is a function of the Raft log. To write it again writes the same.
//! So a replay needs no comparing and no cutting, bytes that come from another node fit wherever
//! they are, and what stands in a file behind the length that the state gives the segment says
//! nothing.
//!
//! Bytes are written to the operating system's cache when an entry is applied, and synced by
//! checkpoints: until then the write-ahead log has them. What comes of another node's snapshot is
//! in no log, and is synced on its way. The batches that one entry puts into
//! a segment stand side by side and are written together. A file is removed when no checkpoint
//! names it any more, neither the one on the disk nor one that somebody still reads.
//!
//! The store keeps a bounded number of files open.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use runtime::files::{self, File, Files, Kind, Open};
use state_machine::State;
use state_machine::ids::{LogId, Millis, Offset};
use state_machine::values::{Piece, Place, StoredBatch};
use tokio::sync::Mutex as AsyncMutex;

use super::batch::{self, Head, NoBatch};
use super::damaged;
use super::unwritten::{Tail, Unwritten};
use crate::flaws;
use crate::limits::{CHECKED_AT_START, CHECKED_PIECE, OPEN_SEGMENTS, WRITTEN_IN_TWO};

/// The folder of the segments in a data folder.
pub(crate) const FOLDER: &str = "records";

const SUFFIX: &str = ".seg";

/// A segment: its log, and its first offset.
pub(crate) type SegmentId = (LogId, Offset);

/// The file of a segment.
pub(crate) fn path((log, base_offset): SegmentId) -> PathBuf {
    Path::new(FOLDER).join(format!("{:020}-{base_offset:020}{SUFFIX}", log.0))
}

/// The segment of a file's name.
fn segment_of(name: &str) -> Option<SegmentId> {
    let (log, base_offset) = name.strip_suffix(SUFFIX)?.split_once('-')?;
    let number = |digits: &str| if digits.len() == 20 { digits.parse().ok() } else { None };
    Some((LogId(number(log)?), number(base_offset)?))
}

/// The segments of a state, and how long each is.
pub(crate) fn segments_of(state: &State) -> impl Iterator<Item = (SegmentId, u64)> {
    state.logs().flat_map(|log| {
        let id = log.id();
        log.segments().map(move |(offsets, segment)| ((id, offsets.start), segment.byte_len()))
    })
}

/// A file that is open, and when it was used last.
#[derive(Debug)]
struct Opened {
    file: Arc<dyn File>,
    used: u64,
}

#[derive(Debug, Default)]
struct Inner {
    /// How long each segment is, as far as this node has applied the log.
    lens: BTreeMap<LogId, BTreeMap<Offset, u64>>,
    /// Segments that have a file.
    exist: BTreeSet<SegmentId>,
    opened: BTreeMap<SegmentId, Opened>,
    uses: u64,
    /// Written since the last checkpoint.
    dirty: BTreeSet<SegmentId>,
    /// Whether files may have been made since the folder was synced.
    made: bool,
    /// What checkpoints that are in use name.
    pinned: Vec<Weak<BTreeSet<SegmentId>>>,
}

impl Inner {
    /// Whether the log as this node has applied it has a segment.
    fn needs(&self, (log, base): &SegmentId) -> bool {
        self.lens.get(log).is_some_and(|segments| segments.contains_key(base))
    }
}

/// A store of records in files. Clones are the same store.
#[derive(Debug, Clone)]
pub(crate) struct FileStore {
    files: Arc<dyn Files>,
    inner: Arc<Mutex<Inner>>,
    /// What the entry that is being applied has put into each segment. Who reads has it written
    /// first. It is locked before `inner`.
    unwritten: Arc<Mutex<Unwritten>>,
    /// Held by who syncs: another one's answer is for what this one has taken up, too.
    syncing: Arc<AsyncMutex<()>>,
}

/// The segments of a store as a state names them. Their files stay as long as this is held.
#[derive(Debug, Clone)]
pub(crate) struct FrozenFiles {
    store: FileStore,
    /// What it holds to.
    _segments: Arc<BTreeSet<SegmentId>>,
}

impl FileStore {
    /// The store of a data folder, as a checkpoint names its segments. Writes nothing.
    ///
    /// # Errors
    /// Where a segment is missing or shorter than the checkpoint says, or the folder holds
    /// something else.
    pub(crate) fn open(files: Arc<dyn Files>, state: &State) -> io::Result<Self> {
        let mut inner = Inner::default();
        let listed = match files.list(Path::new(FOLDER)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            listed => listed?,
        };
        for entry in listed {
            let segment = segment_of(&entry.name).filter(|_| entry.kind == Kind::File);
            let segment = segment.ok_or_else(|| {
                damaged(&format!("{FOLDER}/{} is no segment of cohort's", entry.name))
            })?;
            inner.exist.insert(segment);
        }
        // A process that was killed may have made them, and synced no folder.
        inner.made = !inner.exist.is_empty();
        let (inner, unwritten) = (Arc::new(Mutex::new(inner)), Arc::default());
        let store = Self { files, inner, unwritten, syncing: Arc::default() };
        let mut checked = 0;
        for (segment, expected) in segments_of(state) {
            let name = path(segment);
            if !store.lock().exist.contains(&segment) {
                return Err(damaged(&format!("{} is missing", name.display())));
            }
            let len = store.files.open(&name, Open::Read)?.len()?;
            if len < expected {
                return Err(damaged(&format!(
                    "{} has {len} bytes, and the checkpoint names {expected}",
                    name.display()
                )));
            }
            // The rest is checked when it is read.
            if checked + expected <= CHECKED_AT_START {
                checked += expected;
                store.check(segment, expected)?;
            }
        }
        store.take_over(state);
        Ok(store)
    }

    /// Looks whether a segment has batches of so many bytes, one after the other, as they were
    /// written.
    ///
    /// # Errors
    /// Where it does not: which file, and where in it.
    pub(crate) fn check(&self, segment: SegmentId, len: u64) -> io::Result<()> {
        // To read alone: a folder is looked into that may not be written to.
        let file = self.files.open(&path(segment), Open::Read)?;
        let (mut at, mut next, mut most) = (0, segment.1, CHECKED_PIECE);
        while at < len {
            let piece = most.min(usize::try_from(len - at).unwrap_or(usize::MAX));
            let mut bytes = vec![0; piece];
            files::read_exact_at(&*file, &mut bytes, at)?;
            let bad = |at: u64, problem: &dyn std::fmt::Display| {
                damaged(&format!("{} at byte {at}: {problem}", path(segment).display()))
            };
            let mut begin = 0;
            while begin < piece {
                let head = match Head::read(&bytes[begin..]) {
                    Ok(head) => head,
                    // The batch goes on behind the piece.
                    Err(NoBatch::CutOff(_)) if begin > 0 => break,
                    Err(NoBatch::CutOff(_)) if (piece as u64) < len - at => break,
                    Err(problem) => return Err(bad(at, &problem)),
                };
                let here = at + begin as u64;
                batch::check(&bytes[begin..begin + head.len])
                    .map_err(|problem| bad(here, &problem))?;
                if head.base_offset != next {
                    let (found, expected) = (head.base_offset, next);
                    return Err(bad(here, &NoBatch::Offset { found, expected }));
                }
                (begin, next) = (begin + head.len, head.end_offset());
            }
            // Where nothing was whole, the next piece is larger.
            most = if begin == 0 { piece.saturating_mul(2) } else { CHECKED_PIECE };
            at += begin as u64;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The segments are as long as a state says, from now on.
    pub(super) fn take_over(&self, state: &State) {
        let mut lens: BTreeMap<LogId, BTreeMap<Offset, u64>> = BTreeMap::new();
        for log in state.logs() {
            // One of which all is gone has been there all the same.
            lens.entry(log.id()).or_default();
        }
        for ((log, base_offset), len) in segments_of(state) {
            lens.entry(log).or_default().insert(base_offset, len);
        }
        self.lock().lens = lens;
    }

    /// The file of a segment; it is made where there is none and `make` says so.
    fn file(&self, segment: SegmentId, make: bool) -> io::Result<Arc<dyn File>> {
        let mut inner = self.lock();
        inner.uses += 1;
        let used = inner.uses;
        if let Some(opened) = inner.opened.get_mut(&segment) {
            opened.used = used;
            return Ok(opened.file.clone());
        }
        let name = path(segment);
        let file = if inner.exist.contains(&segment) {
            self.files.open(&name, Open::Write)?
        } else if make {
            if inner.exist.is_empty() {
                self.files.create_dir(Path::new(FOLDER))?;
            }
            let file = self.files.open(&name, Open::Create)?;
            inner.exist.insert(segment);
            inner.made = true;
            file
        } else {
            return Err(damaged(&format!("{} is missing", name.display())));
        };
        if inner.opened.len() >= OPEN_SEGMENTS {
            // What is not synced stays open: who opens a file again may not be told what failed.
            let age = |(segment, opened): &(&SegmentId, &Opened)| {
                (inner.dirty.contains(*segment), opened.used)
            };
            let oldest = inner.opened.iter().min_by_key(age).map(|(segment, _)| *segment);
            if let Some(oldest) = oldest {
                inner.opened.remove(&oldest);
            }
        }
        inner.opened.insert(segment, Opened { file: file.clone(), used });
        Ok(file)
    }

    /// Writes bytes of a segment where they stand. They may have been written before.
    ///
    /// # Errors
    /// What the operating system says.
    pub(crate) fn write(&self, segment: SegmentId, position: u64, bytes: &[u8]) -> io::Result<()> {
        let file = self.file(segment, true)?;
        files::write_all_at(&*file, bytes, position)?;
        self.lock().dirty.insert(segment);
        Ok(())
    }

    /// Appends a batch, which is whole, and fills it in. [`flush`](Self::flush) it once the entry
    /// that brings it is applied.
    ///
    /// # Errors
    /// Where it does not stand where its log ends; what the operating system says.
    pub(super) fn append(
        &self,
        place: Place,
        bytes: &[u8],
        base_offset: Offset,
        appended: Option<Millis>,
    ) -> io::Result<()> {
        let position = u64::from(place.position);
        {
            let mut inner = self.lock();
            let log = inner.lens.entry(place.log).or_default();
            let end = log.last_key_value().map(|(base, len)| (*base, *len));
            let begins = position == 0 && end.is_none_or(|(base, _)| base < place.segment);
            if !begins && end != Some((place.segment, position)) {
                return Err(damaged("a batch does not stand where its log ends"));
            }
            // Before its file is made: a checkpoint that is saved meanwhile removes what nobody has.
            log.insert(place.segment, position + bytes.len() as u64);
        }
        let segment = (place.log, place.segment);
        let mut unwritten = self.lock_unwritten();
        let in_two = appended.is_none() && bytes.len() >= WRITTEN_IN_TWO;
        if in_two || !unwritten.has_room(segment, bytes.len()) {
            unwritten.take(segment).map_or(Ok(()), |tail| self.write_tail(segment, &tail))?;
        }
        if in_two {
            // All that is filled in then is in the head.
            let (head, records) = bytes.split_at(batch::HEAD_BYTES);
            let mut head = head.to_vec();
            batch::fill_in(&mut head, base_offset, appended);
            self.write(segment, position, &head)?;
            return self.write(segment, position + head.len() as u64, records);
        }
        batch::fill_in(unwritten.add(segment, position, bytes), base_offset, appended);
        Ok(())
    }

    fn lock_unwritten(&self) -> MutexGuard<'_, Unwritten> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what was appended and is not in its file yet.
    ///
    /// # Errors
    /// What the operating system says.
    pub(crate) fn flush(&self) -> io::Result<()> {
        let mut unwritten = self.lock_unwritten();
        while let Some((segment, tail)) = unwritten.take_any() {
            self.write_tail(segment, &tail)?;
        }
        Ok(())
    }

    fn write_tail(&self, segment: SegmentId, tail: &Tail) -> io::Result<()> {
        self.write(segment, tail.position, &tail.bytes)
    }

    /// Reads the batches that have records of these offsets and lie in a piece of a log.
    pub(super) fn read(
        &self,
        log: LogId,
        piece: &Piece,
        offsets: &Range<Offset>,
        batches: &mut Vec<StoredBatch>,
    ) -> io::Result<()> {
        let len = self.lock().lens.get(&log).and_then(|log| log.get(&piece.segment).copied());
        if piece.bytes.start > piece.bytes.end || len.is_none_or(|len| piece.bytes.end > len) {
            return Err(damaged("a segment is shorter than what is read of it"));
        }
        let segment = (log, piece.segment);
        let bytes = self.read_range(segment, piece.bytes.clone())?;
        // Whoever has to repair the disk has to know where.
        let bad = |at: usize, problem: io::Error| {
            let (name, at) = (path(segment), piece.bytes.start + at as u64);
            let problem = format!("{} at or behind byte {at}: {problem}", name.display());
            io::Error::new(io::ErrorKind::InvalidData, problem)
        };
        // A disk may give back something else than was written. No checksum covers offsets.
        batch::follow(&bytes, piece.first).map_err(|problem| bad(0, problem.into()))?;
        let selected = batch::select(&bytes, offsets).map_err(|problem| bad(0, problem.into()))?;
        let (first, mut at) = (batches.len(), selected.start);
        batch::split(bytes.slice(selected), batches).map_err(|problem| bad(at, problem.into()))?;
        for found in &batches[first..] {
            batch::check(&found.bytes).map_err(|problem| bad(at, problem.into()))?;
            at += found.bytes.len();
        }
        Ok(())
    }

    fn read_range(&self, segment: SegmentId, range: Range<u64>) -> io::Result<Bytes> {
        let len = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
        self.flush()?;
        let mut bytes = vec![0; len];
        let file = self.file(segment, false)?;
        let read = files::read_exact_at(&*file, &mut bytes, range.start);
        read.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                let name = path(segment);
                damaged(&format!("{} ends before byte {}", name.display(), range.end))
            }
            _ => error,
        })?;
        Ok(bytes.into())
    }

    /// Whether there is such a log.
    pub(super) fn has(&self, log: LogId) -> bool {
        self.lock().lens.contains_key(&log)
    }

    /// Forgets a log. Its files stay until no checkpoint names them.
    pub(super) fn remove(&self, log: LogId) {
        self.lock().lens.remove(&log);
    }

    /// Forgets the first segments of a log. Their files stay until no checkpoint names them.
    pub(super) fn trim(&self, log: LogId, segments: &[Offset]) {
        if let Some(log) = self.lock().lens.get_mut(&log) {
            log.retain(|base, _| segments.binary_search(base).is_err());
        }
    }

    /// Whether a segment was dropped since.
    pub(super) fn begins_after(&self, (log, segment): SegmentId) -> bool {
        let inner = self.lock();
        let log = inner.lens.get(&log);
        log.is_some_and(|log| log.keys().next().is_none_or(|first| segment < *first))
    }

    /// The segments as they are now.
    pub(super) fn freeze(&self) -> FrozenFiles {
        let of_log = |(log, segments): (&LogId, &BTreeMap<Offset, u64>)| {
            segments.keys().map(|base| (*log, *base)).collect::<Vec<_>>()
        };
        let segments = self.lock().lens.iter().flat_map(of_log).collect();
        self.pin(segments)
    }

    /// The segments that a state names.
    pub(super) fn freeze_as(&self, state: &State) -> FrozenFiles {
        self.pin(segments_of(state).map(|(segment, _)| segment).collect())
    }

    fn pin(&self, segments: BTreeSet<SegmentId>) -> FrozenFiles {
        let segments = Arc::new(segments);
        let mut inner = self.lock();
        inner.pinned.retain(|pinned| pinned.strong_count() > 0);
        inner.pinned.push(Arc::downgrade(&segments));
        FrozenFiles { store: self.clone(), _segments: segments }
    }

    /// Makes durable what was appended and written before. Both a checkpoint and what arrives of a
    /// snapshot ask for it, on threads of their own.
    ///
    /// # Errors
    /// What the operating system says. The node has to stop.
    pub(crate) async fn sync(&self) -> io::Result<()> {
        let _alone = self.syncing.lock().await;
        self.flush()?;
        let (dirty, made) = {
            let mut inner = self.lock();
            (std::mem::take(&mut inner.dirty), std::mem::take(&mut inner.made))
        };
        // Who was removed since is not needed.
        let needed = |segment: &&SegmentId| self.lock().exist.contains(segment);
        let paths: Vec<PathBuf> = dirty.iter().filter(needed).map(|of| path(*of)).collect();
        let synced = match self.files.sync_files(paths).await {
            Ok(()) if made => self.files.sync_dir(Path::new(FOLDER)).await,
            synced => synced,
        };
        if synced.is_err() {
            // Who comes next must not be told that there was nothing to do.
            let mut inner = self.lock();
            inner.dirty.extend(dirty);
            inner.made |= made;
        }
        synced
    }

    /// Removes the files that nobody needs: neither the checkpoint on the disk, whose state this
    /// is, nor one that is read, nor the log as it is now.
    ///
    /// # Errors
    /// What the operating system says.
    pub(crate) async fn remove_unused(&self, durable: &State) -> io::Result<()> {
        // Files go while nobody else can look: who makes one again finds it gone.
        let gone: Vec<SegmentId> = {
            let mut inner = self.lock();
            let mut needed: BTreeSet<SegmentId> =
                segments_of(durable).map(|(segment, _)| segment).collect();
            for pinned in inner.pinned.iter().filter_map(Weak::upgrade) {
                needed.extend(pinned.iter().copied());
            }
            let unused = |segment: &&SegmentId| !needed.contains(segment) && !inner.needs(segment);
            let gone: Vec<SegmentId> = inner.exist.iter().filter(unused).copied().collect();
            for segment in &gone {
                inner.exist.remove(segment);
                inner.opened.remove(segment);
                inner.dirty.remove(segment);
                self.files.remove(&path(*segment))?;
            }
            gone
        };
        if gone.is_empty() { Ok(()) } else { self.files.sync_dir(Path::new(FOLDER)).await }
    }

    /// Whether there are files that no log needs any more. The next checkpoint removes them.
    pub(crate) fn has_unneeded(&self) -> bool {
        let inner = self.lock();
        !inner.exist.iter().all(|segment| inner.needs(segment))
    }

    /// How many bytes of a segment are here, as far as this node has applied the log.
    pub(crate) fn held(&self, segment: SegmentId) -> u64 {
        let (log, base) = segment;
        let by_state = self.lock().lens.get(&log).and_then(|log| log.get(&base)).copied();
        let in_file = || self.files.open(&path(segment), Open::Read).and_then(|file| file.len());
        flaws::held(by_state.unwrap_or(0), || in_file().unwrap_or(0))
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
}

impl FrozenFiles {
    /// Some bytes of a segment.
    ///
    /// # Errors
    /// What the operating system says.
    pub(super) fn read(&self, segment: SegmentId, range: Range<u64>) -> io::Result<Bytes> {
        self.store.read_range(segment, range)
    }

    /// Whether it is of that store.
    pub(super) fn is_of(&self, store: &FileStore) -> bool {
        self.store.is(store)
    }
}

#[cfg(test)]
mod tests;
