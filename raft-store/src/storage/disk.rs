//! A disk for the simulator. What a node has synced outlives its process; the rest is lost with it.
//!
//! Everything that a node has to keep goes here as one sequence of [`Write`]s: votes, entries,
//! truncations, purges, commit marks, snapshots. A sync takes a while and covers what was written
//! when it began; the next sync covers what came meanwhile. So what is durable is always a
//! beginning of the sequence, as in one file that is only appended to. There is no commit mark
//! without its entries, and no purge without the snapshot that covers it.
//!
//! The disk itself is in memory, and keeps values rather than bytes. Production has none yet. The
//! disk knows nothing of who reads it: [`Storage`](super::Storage) puts log and state on it.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use openraft::alias::{EntryOf, LogIdOf, VoteOf};
use openraft::storage::IOFlushed;
use tokio::sync::oneshot;

use crate::flaws;
use crate::raft::entries::Entries;
use crate::raft::types::{Snapshot, TypeConfig};

/// Something to keep. A later write may undo an earlier one.
#[derive(Debug)]
pub(crate) enum Write {
    /// The node's vote.
    Vote(VoteOf<TypeConfig>),
    /// The last entry that is known to be raft-committed.
    Committed(Option<LogIdOf<TypeConfig>>),
    /// Entries at the end of the log.
    Append(Vec<EntryOf<TypeConfig>>),
    /// The log ends before this index.
    TruncateFrom(u64),
    /// The log begins after this entry.
    Purge(LogIdOf<TypeConfig>),
    /// The last snapshot.
    Snapshot(Snapshot),
}

/// Who waits for a write to be durable.
pub(crate) enum Waiter {
    /// Nobody.
    Nobody,
    /// openraft, for entries that it appended.
    Append(IOFlushed<TypeConfig>),
    /// A call that returns when the write is durable.
    Call(oneshot::Sender<io::Result<()>>),
}

impl Waiter {
    /// The wait is over.
    pub(crate) fn complete(self, synced: io::Result<()>) {
        match self {
            Self::Nobody => {}
            Self::Append(callback) => callback.io_completed(synced),
            // The caller does not wait any more if its task has ended.
            Self::Call(sender) => drop(sender.send(synced)),
        }
    }
}

/// What a crash leaves.
#[derive(Debug, Default)]
struct Durable {
    log: Entries,
    snapshot: Option<Snapshot>,
    incarnation: Option<u64>,
}

impl Durable {
    fn take(&mut self, write: Write) -> io::Result<()> {
        match write {
            Write::Vote(vote) => self.log.vote = Some(vote),
            Write::Committed(committed) => self.log.committed = committed,
            Write::Append(entries) => {
                return entries.into_iter().try_for_each(|entry| self.log.push(entry));
            }
            Write::TruncateFrom(index) => self.log.truncate_from(index),
            Write::Purge(upto) => self.log.purge(upto),
            Write::Snapshot(snapshot) => self.snapshot = Some(snapshot),
        }
        Ok(())
    }
}

struct Inner {
    sync_takes: Duration,
    durable: Durable,
    /// Written but not synced, in order.
    unsynced: VecDeque<(Write, Waiter)>,
    syncing: bool,
}

/// A simulated disk. Clones are the same disk.
#[derive(Clone)]
pub struct Disk(Arc<Mutex<Inner>>);

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let inner = self.lock();
        write!(
            f,
            "Disk {{ sync_takes: {:?}, unsynced: {} }}",
            inner.sync_takes,
            inner.unsynced.len()
        )
    }
}

impl Disk {
    /// An empty disk. If a sync takes no time, everything is durable as soon as it is written.
    pub fn new(sync_takes: Duration) -> Self {
        let (durable, unsynced) = (Durable::default(), VecDeque::new());
        Self(Arc::new(Mutex::new(Inner { sync_takes, durable, unsynced, syncing: false })))
    }

    /// Drops what was not synced. Gives the log and the snapshot that are left.
    pub(super) fn recover(&self) -> (Entries, Option<Snapshot>) {
        let mut inner = self.lock();
        inner.unsynced.clear();
        inner.syncing = false;
        (inner.durable.log.clone(), inner.durable.snapshot.clone())
    }

    /// The number after the last incarnation's, or `first` if there was none. It is durable at
    /// once.
    pub(super) fn next_incarnation(&self, first: impl FnOnce() -> u64) -> u64 {
        let mut inner = self.lock();
        let incarnation = inner.durable.incarnation.map_or_else(first, |last| last + 1);
        inner.durable.incarnation = Some(incarnation);
        incarnation
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes. It will be durable before anything that is written later.
    pub(crate) fn write(&self, write: Write) {
        self.put(write, Waiter::Nobody);
    }

    /// Writes entries. `callback` is called when they are durable.
    pub(crate) fn append(
        &self,
        entries: Vec<EntryOf<TypeConfig>>,
        callback: IOFlushed<TypeConfig>,
    ) {
        self.put(Write::Append(entries), Waiter::Append(callback));
    }

    /// Writes, and waits until it is durable.
    pub(crate) async fn sync(&self, write: Write) -> io::Result<()> {
        let (sender, synced) = oneshot::channel();
        self.put(write, Waiter::Call(sender));
        synced
            .await
            .unwrap_or_else(|_| Err(io::Error::other("the disk was opened by another process")))
    }

    fn put(&self, write: Write, waiter: Waiter) {
        let Some((write, waiter)) = flaws::disk_write(write, waiter) else { return };
        {
            let mut inner = self.lock();
            if inner.sync_takes.is_zero() {
                let synced = inner.durable.take(write);
                drop(inner);
                return waiter.complete(synced);
            }
            inner.unsynced.push_back((write, waiter));
            if std::mem::replace(&mut inner.syncing, true) {
                return;
            }
        }
        let disk = self.clone();
        // It ends when everything is synced, or with its machine.
        let _task = runtime::spawn(async move { disk.sync_all().await });
    }

    async fn sync_all(self) {
        loop {
            let (written, takes) = {
                let mut inner = self.lock();
                inner.syncing = !inner.unsynced.is_empty();
                (inner.unsynced.len(), inner.sync_takes)
            };
            if written == 0 {
                return;
            }
            runtime::sleep(takes).await;
            self.settle(written);
        }
    }

    /// The first so many writes are durable.
    fn settle(&self, written: usize) {
        let completed: Vec<_> = {
            let mut inner = self.lock();
            let Inner { durable, unsynced, .. } = &mut *inner;
            let synced = unsynced.drain(..written.min(unsynced.len()));
            synced.map(|(write, waiter)| (durable.take(write), waiter)).collect()
        };
        // Without the lock, because a waiter may write at once.
        completed.into_iter().for_each(|(synced, waiter)| waiter.complete(synced));
    }
}
