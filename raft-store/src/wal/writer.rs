//! The task that writes groups, begins segments and recycles them.
//!
//! It takes all messages that wait, writes their records as one group, syncs, and tells those who
//! wait. Then it looks again. So one group is in flight at a time, and a torn group can only be the
//! last.
//!
//! A segment's file is filled with zeros before it is used, and is used again when nothing in it is
//! needed. Overwriting is what a disk syncs fastest: a file that grows has its length written with
//! every sync.
//!
//! **Errors are final.** When a write or a sync has failed, what is on the disk is not known, and
//! another sync would not tell. The task then answers everybody with the error, and writes nothing
//! more. The node stops ([`Wal::failure`]).

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use runtime::Instant;
use runtime::durations::{Durations, Measured};
use runtime::files::{self, File, Files, Lock, Open};
use tokio::sync::mpsc;

use super::format::{
    ALIGN, FORMAT, GROUP_HEAD_LEN, GroupHead, HEAD_LEN, Note, Record, SegmentHead,
};
use super::recovery::{FOLDER, Found, Recovered, new_path, segment_path, spare_path};
use super::replay::Scalars;
use crate::flaws;
use crate::limits::{GROUP_BYTES, SPARE_SEGMENTS, ZEROED_BYTES};

/// What a new segment is filled with, as often as it takes. Few, so that they stay in the
/// processor's cache: as many zeros as are wanted, made for each time, cost five times as much.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// Who waits for records to be durable.
pub(crate) type Waiter = Box<dyn FnOnce(io::Result<()>) + Send>;

/// Work on the folder.
type Work = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// What the task is asked for.
enum Message {
    /// Write these, and then tell who waits.
    Records(Vec<Record>, Option<Waiter>),
    /// Do this before writing what comes later.
    Work(Work),
    /// Write an empty group, where nothing vouches for the last one yet.
    Seal,
}

/// Records that have not been given to the task yet, and about how many bytes they have.
#[derive(Debug, Default)]
struct Held {
    records: Vec<Record>,
    bytes: usize,
}

/// How large the files of the log are, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalSizes {
    /// A segment has at most so many, unless a single group has more.
    pub segment: u64,
    /// A new segment is filled with zeros so many at a time.
    pub zeroed: u64,
}

impl Default for WalSizes {
    fn default() -> Self {
        Self { segment: crate::limits::WAL_SEGMENT_BYTES, zeroed: ZEROED_BYTES }
    }
}

/// A handle to the task. Clones are the same log.
#[derive(Clone)]
pub(crate) struct Wal {
    files: Arc<dyn Files>,
    syncs: Arc<Durations>,
    messages: mpsc::UnboundedSender<Message>,
    /// Records that nobody waits for. They go with whatever is asked for next: a commit mark is not
    /// worth a sync of its own, nor waking the task's thread.
    held: Arc<Mutex<Held>>,
    failure: Arc<OnceLock<String>>,
    /// Whoever can write holds it: the task, the node's log, and a checkpoint that is saved.
    _lock: Arc<dyn Lock>,
}

impl std::fmt::Debug for Wal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Wal {{ failure: {:?} }}", self.failure.get())
    }
}

impl Wal {
    /// Starts the task that goes on behind what was recovered, in a new segment. `lock` is the
    /// folder's: it is held as long as anybody has this log.
    ///
    /// # Errors
    /// Where there is no thread for it.
    pub(crate) fn start(
        files: Arc<dyn Files>,
        folder: u64,
        sizes: WalSizes,
        recovered: &Recovered,
        lock: Arc<dyn Lock>,
    ) -> io::Result<Self> {
        let (messages, received) = mpsc::unbounded_channel();
        let (failure, syncs) = (Arc::new(OnceLock::new()), Arc::<Durations>::default());
        let writer = Writer {
            files: files.clone(),
            syncs: syncs.clone(),
            folder,
            sizes,
            failure: failure.clone(),
            scalars: recovered.replay.scalars.clone(),
            older: recovered.segments.iter().copied().collect(),
            spares: recovered.spares.clone(),
            next_number: recovered.segments.last().map_or(1, |last| last.number + 1),
            seq: recovered.last_seq,
            segment: None,
            sealed: true,
            buffer: Vec::new(),
            _lock: lock.clone(),
        };
        files::spawn_disk_task("wal", writer.run(received))?;
        Ok(Self { files, syncs, messages, held: Arc::default(), failure, _lock: lock })
    }

    /// Writes records, with what is asked for next at the latest. They will be durable before
    /// anything that is written later.
    pub(crate) fn write(&self, records: Vec<Record>) {
        let mut held = self.held();
        held.bytes += about_bytes(&records);
        held.records.extend(records);
        if held.bytes >= GROUP_BYTES {
            let Held { records, .. } = std::mem::take(&mut *held);
            self.tell(Message::Records(records, None));
        }
    }

    /// Writes records, and tells `waiter` when they are durable or never will be.
    pub(crate) fn write_then(&self, records: Vec<Record>, waiter: Waiter) {
        self.send(Message::Records(records, Some(waiter)));
    }

    /// Writes records, and waits until they are durable, with all that was written before.
    ///
    /// # Errors
    /// Where they cannot be written. The log writes nothing more then.
    pub(crate) async fn sync(&self, records: Vec<Record>) -> io::Result<()> {
        let (sender, synced) = tokio::sync::oneshot::channel();
        // The caller does not wait any more if its task has ended.
        self.write_then(records, Box::new(move |result| drop(sender.send(result))));
        synced.await.unwrap_or_else(|_| Err(io::Error::other("the task of the log has ended")))
    }

    /// Does some work on the folder before what is written later.
    pub(crate) fn first_do(&self, work: impl Future<Output = io::Result<()>> + Send + 'static) {
        self.send(Message::Work(Box::pin(work)));
    }

    /// Lets the last group be vouched for, if it is not. Call it when the log has been idle for a
    /// moment.
    pub(crate) fn seal(&self) {
        self.send(Message::Seal);
    }

    /// How many bytes the disk has left.
    ///
    /// # Errors
    /// What the operating system says.
    pub(crate) fn free(&self) -> io::Result<u64> {
        self.files.free()
    }

    /// How long syncs of groups took.
    pub(crate) fn syncs(&self) -> Measured {
        self.syncs.measured()
    }

    /// Why the log writes nothing more, if it does not.
    pub(crate) fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the task for something, behind what is held. All handles send in one order: that of
    /// their calls.
    fn send(&self, message: Message) {
        let mut held = self.held();
        let Held { mut records, .. } = std::mem::take(&mut *held);
        let message = match message {
            Message::Records(more, waiter) => {
                records.extend(more);
                Message::Records(records, waiter)
            }
            message if records.is_empty() => message,
            message => {
                self.tell(Message::Records(records, None));
                message
            }
        };
        self.tell(message);
    }

    fn tell(&self, message: Message) {
        // The task ends only with the process, or with a simulated one.
        let _over = self.messages.send(message);
    }
}

/// The segment that is written to.
struct Segment {
    file: Arc<dyn File>,
    path: PathBuf,
    number: u64,
    salt: u64,
    /// Where the next group goes.
    end: u64,
    /// How long the file is.
    len: u64,
    last_index: Option<u64>,
}

struct Writer {
    files: Arc<dyn Files>,
    syncs: Arc<Durations>,
    folder: u64,
    sizes: WalSizes,
    failure: Arc<OnceLock<String>>,
    /// As of the last record that was written.
    scalars: Scalars,
    /// Segments that are written to no more, oldest first.
    older: VecDeque<Found>,
    /// Files to use again.
    spares: Vec<u64>,
    next_number: u64,
    /// The number of the last group, which is durable.
    seq: u64,
    segment: Option<Segment>,
    /// Whether the last group is empty.
    sealed: bool,
    /// The group that is written.
    buffer: Vec<u8>,
    _lock: Arc<dyn Lock>,
}

impl Writer {
    async fn run(mut self, mut messages: mpsc::UnboundedReceiver<Message>) {
        while let Some(first) = messages.recv().await {
            if self.failure.get().is_some() {
                self.refuse(first);
                continue;
            }
            match first {
                Message::Work(work) => self.work(work).await,
                Message::Seal if self.sealed => {}
                Message::Seal => self.group(Vec::new(), Vec::new(), &mut messages).await,
                Message::Records(records, waiter) => {
                    self.group(records, waiter.into_iter().collect(), &mut messages).await;
                }
            }
        }
    }

    async fn work(&mut self, work: Work) {
        if let Err(error) = work.await {
            self.fail(&error);
        }
    }

    /// Writes one group: these records, and those that wait already.
    async fn group(
        &mut self,
        mut records: Vec<Record>,
        mut waiters: Vec<Waiter>,
        messages: &mut mpsc::UnboundedReceiver<Message>,
    ) {
        let mut bytes = about_bytes(&records);
        let mut work = None;
        while bytes < GROUP_BYTES && work.is_none() {
            match messages.try_recv() {
                Ok(Message::Records(more, waiter)) => {
                    bytes += about_bytes(&more);
                    records.extend(more);
                    waiters.extend(waiter);
                }
                Ok(Message::Seal) => {}
                Ok(Message::Work(later)) => work = Some(later),
                Err(_) => break,
            }
        }
        let written = self.commit(&records).await;
        if let Err(error) = &written {
            self.fail(error);
        }
        waiters.into_iter().for_each(|waiter| waiter(self.result()));
        if let (Some(work), Ok(())) = (work, self.result()) {
            self.work(work).await;
        }
    }

    /// Writes a group and syncs it.
    async fn commit(&mut self, records: &[Record]) -> io::Result<()> {
        self.encode(&[], records);
        let in_segment = |segment: &Segment, len: u64| {
            segment.end == HEAD_LEN || segment.end + len <= self.sizes.segment
        };
        let fits = |writer: &Self| {
            let len = GroupHead::group_len(writer.buffer.len() - GROUP_HEAD_LEN);
            writer.segment.as_ref().is_some_and(|segment| in_segment(segment, len))
        };
        if !fits(self) {
            self.begin_segment().await?;
            // From here on nothing before this segment is needed for what is not entries.
            let scalars = self.scalars.records();
            self.encode(&scalars, records);
        }
        let seq = self.seq + 1;
        let zeroed = self.sizes.zeroed;
        let segment = self.segment.as_mut().expect("it has begun");
        let body = &self.buffer[GROUP_HEAD_LEN..];
        let head = GroupHead {
            body_len: u32::try_from(body.len()).map_err(io::Error::other)?,
            seq,
            synced: flaws::synced(self.seq),
            incarnation: self.scalars.incarnation.unwrap_or_default(),
            body_crc: crc32c::crc32c(body),
        };
        self.buffer[..GROUP_HEAD_LEN].copy_from_slice(&head.encode(segment.salt));
        self.buffer.resize(self.buffer.len().next_multiple_of(ALIGN as usize), 0);
        segment.make_room(self.buffer.len() as u64, zeroed).map_err(|e| segment.named(e))?;
        files::write_all_at(&*segment.file, &self.buffer, segment.end)
            .map_err(|e| segment.named(e))?;
        let begun = Instant::now();
        segment.file.sync().await.map_err(|e| segment.named(e))?;
        self.syncs.add(Instant::now() - begun);
        segment.end += self.buffer.len() as u64;
        let indexes = records.iter().filter_map(|record| match record {
            Record::Entry(id, _) => Some(id.index),
            _ => None,
        });
        segment.last_index = segment.last_index.max(indexes.max());
        (self.seq, self.sealed) = (seq, records.is_empty());
        if self.sealed {
            let sealed = Note { synced: seq, has_next: false };
            write_note(&*segment.file, &segment.path, sealed)?;
        }
        records.iter().for_each(|record| self.scalars.take(record));
        if records.iter().any(|record| matches!(record, Record::Purged(_))) {
            self.recycle().await?;
        }
        if self.buffer.capacity() > 2 * GROUP_BYTES {
            self.buffer = Vec::new();
        }
        Ok(())
    }

    /// Puts records into the buffer, behind room for a head.
    fn encode(&mut self, first: &[Record], records: &[Record]) {
        self.buffer.clear();
        self.buffer.resize(GROUP_HEAD_LEN, 0);
        for record in first.iter().chain(records) {
            record.encode(&mut self.buffer);
        }
    }

    /// Begins the next segment, in the file of one that is not needed or in a new one. It has its
    /// name when it has its head, so a segment without a head is damage.
    async fn begin_segment(&mut self) -> io::Result<()> {
        if let Some(full) = self.segment.take() {
            let Segment { number, last_index, end, .. } = full;
            self.older.push_back(Found { number, last_index, end });
        }
        let number = self.next_number;
        let (from, how) = match self.spares.pop() {
            Some(spare) => (spare_path(spare), Open::Write),
            None => (new_path(number), Open::Create),
        };
        let path = segment_path(number);
        let named = |error: io::Error| named(&path, error);
        let file = self.files.open(&from, how).map_err(named)?;
        let (len, salt) = (file.len().map_err(named)?, runtime::random());
        let mut segment = Segment {
            file,
            path: path.clone(),
            number,
            salt,
            end: HEAD_LEN,
            len,
            last_index: None,
        };
        segment.make_room(1, self.sizes.zeroed.min(self.sizes.segment)).map_err(named)?;
        let head = SegmentHead {
            format: FORMAT,
            folder: self.folder,
            number,
            salt,
            first_seq: self.seq + 1,
            len: segment.len,
        };
        files::write_all_at(&*segment.file, &head.encode(), 0).map_err(named)?;
        segment.file.sync().await.map_err(named)?;
        self.files.rename(&from, &path).map_err(named)?;
        self.files.sync_dir(Path::new(FOLDER)).await.map_err(named)?;
        self.next_number = number + 1;
        self.segment = Some(segment);
        self.note_next()
    }

    /// Notes in the segment before the last that there is one after it.
    fn note_next(&self) -> io::Result<()> {
        let Some(before) = self.older.back() else { return Ok(()) };
        let path = segment_path(before.number);
        let file = self.files.open(&path, Open::Write).map_err(|error| named(&path, error))?;
        write_note(&*file, &path, Note { synced: self.seq, has_next: true })
    }

    /// Lets go of segments in which nothing is needed. The purge mark that says so is durable.
    async fn recycle(&mut self) -> io::Result<()> {
        let Some(purged) = self.scalars.purged else { return Ok(()) };
        let mut gone = false;
        while let Some(oldest) = self.older.front() {
            if oldest.last_index.is_some_and(|last| last > purged.index) {
                break;
            }
            let (number, path) = (oldest.number, segment_path(oldest.number));
            if self.spares.len() < SPARE_SEGMENTS {
                let renamed = self.files.rename(&path, &spare_path(number));
                renamed.map_err(|error| named(&path, error))?;
                self.spares.push(number);
            } else {
                self.files.remove(&path).map_err(|error| named(&path, error))?;
            }
            self.older.pop_front();
            gone = true;
        }
        if gone {
            // Before the file gets another head, its old name has to be gone.
            let synced = self.files.sync_dir(Path::new(FOLDER)).await;
            synced.map_err(|error| named(Path::new(FOLDER), error))?;
        }
        Ok(())
    }

    fn fail(&mut self, error: &io::Error) {
        // The first error is the reason.
        let _first = self.failure.set(error.to_string());
    }

    fn result(&self) -> io::Result<()> {
        match self.failure.get() {
            Some(failure) => Err(io::Error::other(failure.clone())),
            None => Ok(()),
        }
    }

    fn refuse(&self, message: Message) {
        if let Message::Records(_, Some(waiter)) = message {
            waiter(self.result());
        }
    }
}

impl Segment {
    /// Fills the file with zeros as far as the next group goes, and some more.
    fn make_room(&mut self, group_len: u64, zeroed: u64) -> io::Result<()> {
        let end = self.end + group_len;
        if end <= self.len {
            return Ok(());
        }
        let zeroed = zeroed.max(1);
        let len = end.next_multiple_of(zeroed);
        while self.len < len {
            let piece = (len - self.len).min(zeroed).min(ZEROS.len() as u64);
            files::write_all_at(&*self.file, &ZEROS[..piece as usize], self.len)?;
            self.len += piece;
        }
        Ok(())
    }

    fn named(&self, error: io::Error) -> io::Error {
        named(&self.path, error)
    }
}

/// Writes a note into a segment.
fn write_note(file: &dyn File, path: &Path, note: Note) -> io::Result<()> {
    files::write_all_at(file, &note.encode(), Note::AT).map_err(|error| named(path, error))
}

/// The error with the file that it is about.
fn named(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// About how many bytes records take in a group.
fn about_bytes(records: &[Record]) -> usize {
    use super::format::Payload;
    let of = |record: &Record| match record {
        Record::Entry(_, Payload::Batch(batch)) => batch.len() + 32,
        _ => 32,
    };
    records.iter().map(of).sum()
}
