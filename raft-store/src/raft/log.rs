//! The Raft log in memory.
//!
//! Entries stand in one ring by index; clones of the store are handles to the same log. By itself it is lost with the
//! process, and says so nowhere: the node's incarnation keeps a process that lost its memory from being taken for
//! the one that had it. Where it was opened from a [`Disk`], everything is written there too, and what
//! has to be durable waits until it is.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openraft::alias::{EntryOf, LogIdOf, VoteOf};
use openraft::entry::RaftEntry;
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{EntryPayload, OptionalSend, RaftLogReader};

use crate::raft::TypeConfig;
use crate::storage::{Disk, Write};

/// One read for replication gives at most about this many bytes of entries (but always one entry), so that
/// what is sent to a follower in one message stays small.
pub const MAX_READ_BYTES: usize = 1024 * 1024;

/// An entry without a proposal takes about this much.
const ENTRY_BYTES: usize = 64;

/// What a node keeps of its log.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log {
    pub(crate) vote: Option<VoteOf<TypeConfig>>,
    pub(crate) committed: Option<LogIdOf<TypeConfig>>,
    purged: Option<LogIdOf<TypeConfig>>,
    /// From the one after `purged` on, without gaps.
    entries: VecDeque<EntryOf<TypeConfig>>,
    /// About how many bytes the entries take.
    bytes: usize,
}

impl Log {
    /// The index of the first entry, or of the next to come.
    fn first(&self) -> u64 {
        self.entries.front().map_or_else(|| self.purged.map_or(0, |id| id.index() + 1), |e| e.index())
    }

    fn last_id(&self) -> Option<LogIdOf<TypeConfig>> {
        self.entries.back().map(RaftEntry::log_id).or(self.purged)
    }

    pub(crate) fn push(&mut self, entry: EntryOf<TypeConfig>) -> io::Result<()> {
        let next = self.first() + self.entries.len() as u64;
        if entry.index() != next && !(self.entries.is_empty() && self.purged.is_none()) {
            let problem = format!("entry {} was appended where {next} is next", entry.index());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
        self.bytes += approximate_bytes(&entry);
        self.entries.push_back(entry);
        Ok(())
    }

    /// Keeps what is below `index`.
    pub(crate) fn truncate_from(&mut self, index: u64) {
        let keep = usize::try_from(index.saturating_sub(self.first())).unwrap_or(usize::MAX);
        let dropped = self.entries.drain(keep.min(self.entries.len())..);
        self.bytes -= dropped.map(|entry| approximate_bytes(&entry)).sum::<usize>();
    }

    /// Drops what is up to `upto`.
    pub(crate) fn purge(&mut self, upto: LogIdOf<TypeConfig>) {
        while self.entries.front().is_some_and(|entry| entry.index() <= upto.index()) {
            let gone = self.entries.pop_front().map_or(0, |entry| approximate_bytes(&entry));
            self.bytes -= gone;
        }
        self.purged = self.purged.max(Some(upto));
    }

    fn range<R: RangeBounds<u64>>(&self, range: &R) -> impl Iterator<Item = &EntryOf<TypeConfig>> {
        let first = self.first();
        let len = self.entries.len() as u64;
        let start = match range.start_bound() {
            Bound::Included(i) => *i,
            Bound::Excluded(i) => i.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(i) => i.saturating_add(1),
            Bound::Excluded(i) => *i,
            Bound::Unbounded => u64::MAX,
        };
        let start = start.saturating_sub(first).min(len);
        let end = end.saturating_sub(first).clamp(start, len);
        self.entries.range(start as usize..end as usize)
    }
}

fn approximate_bytes(entry: &EntryOf<TypeConfig>) -> usize {
    match &entry.payload {
        EntryPayload::Normal(proposal) => proposal.approximate_bytes() + ENTRY_BYTES,
        EntryPayload::Blank | EntryPayload::Membership(_) => ENTRY_BYTES,
    }
}

/// A handle to a log in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryLog {
    log: Arc<Mutex<Log>>,
    disk: Option<Disk>,
}

impl MemoryLog {
    /// The log as it was found on a disk.
    pub(crate) fn on(disk: Disk, found: Log) -> Self {
        Self { log: Arc::new(Mutex::new(found)), disk: Some(disk) }
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// About how many bytes the entries take.
    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// About how many bytes the entries after `index` take.
    pub fn bytes_after(&self, index: u64) -> usize {
        self.lock().range(&(index.saturating_add(1)..)).map(approximate_bytes).sum()
    }

    /// Whether the entry of `index` is there.
    pub fn holds(&self, index: u64) -> bool {
        self.lock().range(&(index..=index)).next().is_some()
    }

    /// The index below which entries may go so that at most `entries` and about `bytes` are kept.
    pub fn index_to_keep(&self, entries: usize, bytes: usize) -> u64 {
        let log = self.lock();
        let mut left = bytes;
        let kept = log.entries.iter().rev().take(entries).take_while(|entry| {
            let fits = approximate_bytes(entry) <= left;
            left = left.saturating_sub(approximate_bytes(entry));
            fits
        });
        log.first() + (log.entries.len() - kept.count()) as u64
    }
}

impl RaftLogReader<TypeConfig> for MemoryLog {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<EntryOf<TypeConfig>>> {
        Ok(self.lock().range(&range).cloned().collect())
    }

    async fn read_vote(&mut self) -> io::Result<Option<VoteOf<TypeConfig>>> {
        Ok(self.lock().vote)
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> io::Result<Vec<EntryOf<TypeConfig>>> {
        let log = self.lock();
        let mut left = MAX_READ_BYTES;
        let mut found = Vec::new();
        for entry in log.range(&(start..end)) {
            let approximate_bytes = approximate_bytes(entry);
            if approximate_bytes > left && !found.is_empty() {
                break;
            }
            left = left.saturating_sub(approximate_bytes);
            found.push(entry.clone());
        }
        Ok(found)
    }
}

impl RaftLogStorage<TypeConfig> for MemoryLog {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let log = self.lock();
        Ok(LogState { last_purged_log_id: log.purged, last_log_id: log.last_id() })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &VoteOf<TypeConfig>) -> io::Result<()> {
        self.lock().vote = Some(*vote);
        match &self.disk {
            Some(disk) => disk.sync(Write::Vote(*vote)).await,
            None => Ok(()),
        }
    }

    async fn save_committed(&mut self, committed: Option<LogIdOf<TypeConfig>>) -> io::Result<()> {
        self.lock().committed = committed;
        if let Some(disk) = &self.disk {
            disk.write(Write::Committed(committed));
        }
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogIdOf<TypeConfig>>> {
        Ok(self.lock().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = EntryOf<TypeConfig>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let Some(disk) = &self.disk else {
            {
                let mut log = self.lock();
                for entry in entries {
                    log.push(entry)?;
                }
            }
            callback.io_completed(Ok(()));
            return Ok(());
        };
        let entries: Vec<_> = entries.into_iter().collect();
        {
            let mut log = self.lock();
            for entry in &entries {
                log.push(entry.clone())?;
            }
        }
        disk.append(entries, callback);
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogIdOf<TypeConfig>>) -> io::Result<()> {
        let from = last.map_or(0, |id| id.index() + 1);
        self.lock().truncate_from(from);
        if let Some(disk) = &self.disk {
            disk.write(Write::TruncateFrom(from));
        }
        Ok(())
    }

    async fn purge(&mut self, upto: LogIdOf<TypeConfig>) -> io::Result<()> {
        self.lock().purge(upto);
        if let Some(disk) = &self.disk {
            disk.write(Write::Purge(upto));
        }
        Ok(())
    }
}
