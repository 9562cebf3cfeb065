//! A disk for the simulator: what a node has synced outlives its process, what it has not is lost with it.
//!
//! Everything that a node has to keep goes here as one sequence of [`Write`]s: vote, entries, truncations, purges,
//! commit marks, snapshots. A sync takes a while and covers what was written when it began; the next one covers
//! what came meanwhile. So what is durable is always a beginning of the sequence, as it would be in one file that is
//! only appended to: no commit mark without its entries, no purge without the snapshot that covers it.
//!
//! It is in memory itself. Production has none yet ([`Storage::default`]); one would be of this form.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use openraft::alias::{EntryOf, LogIdOf, SnapshotOf, VoteOf};
use openraft::storage::IOFlushed;
use state_machine::State;
use tokio::sync::oneshot;

use crate::experiment::{self, Flaw};
use crate::raft::StateMachine;
use crate::raft::TypeConfig;
use crate::raft::{Log, MemoryLog};

pub(crate) type Snapshot = SnapshotOf<TypeConfig, Arc<State>>;

/// What a node begins with, and where it keeps what it must not forget.
#[derive(Debug, Default)]
pub struct Storage {
    /// The log and the vote.
    pub log: MemoryLog,
    /// The replicated state.
    pub machine: StateMachine,
    disk: Option<Disk>,
}

impl Storage {
    /// The number of the life that begins now. A process that has its predecessor's memory has the next number
    /// after it; one without memory has a number that nobody else has.
    pub fn next_incarnation(&self) -> u64 {
        // As many bits as every reader of JSON keeps.
        let fresh = || runtime::random() >> 11;
        let Some(disk) = &self.disk else { return fresh() };
        let mut inner = disk.lock();
        let life = inner.durable.life.map_or_else(fresh, |life| life + 1);
        inner.durable.life = Some(life);
        life
    }
}

/// Something to keep.
#[derive(Debug)]
pub(crate) enum Write {
    Vote(VoteOf<TypeConfig>),
    Committed(Option<LogIdOf<TypeConfig>>),
    Append(Vec<EntryOf<TypeConfig>>),
    TruncateFrom(u64),
    Purge(LogIdOf<TypeConfig>),
    Snapshot(Snapshot),
}

/// Who waits for a write to be durable.
enum Waiter {
    Nobody,
    Append(IOFlushed<TypeConfig>),
    Call(oneshot::Sender<io::Result<()>>),
}

impl Waiter {
    fn tell(self, synced: io::Result<()>) {
        match self {
            Self::Nobody => {}
            Self::Append(callback) => callback.io_completed(synced),
            // Whoever called does not wait any more where its task has ended.
            Self::Call(sender) => drop(sender.send(synced)),
        }
    }
}

/// What a crash leaves.
#[derive(Debug, Default)]
struct Durable {
    log: Log,
    snapshot: Option<Snapshot>,
    life: Option<u64>,
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
        write!(f, "Disk {{ sync_takes: {:?}, unsynced: {} }}", inner.sync_takes, inner.unsynced.len())
    }
}

impl Disk {
    /// An empty disk. Where a sync takes no time, everything is durable as soon as it is written.
    pub fn new(sync_takes: Duration) -> Self {
        let (durable, unsynced) = (Durable::default(), VecDeque::new());
        Self(Arc::new(Mutex::new(Inner { sync_takes, durable, unsynced, syncing: false })))
    }

    /// What a process finds that is started on this disk. The process before it has ended; what it had not synced
    /// is gone.
    pub fn open(&self) -> Storage {
        let mut inner = self.lock();
        inner.unsynced.clear();
        inner.syncing = false;
        Storage {
            log: MemoryLog::on(self.clone(), inner.durable.log.clone()),
            machine: StateMachine::on(self.clone(), inner.durable.snapshot.clone()),
            disk: Some(self.clone()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes; it will be durable before anything that is written later.
    pub(crate) fn write(&self, write: Write) {
        self.put(write, Waiter::Nobody);
    }

    /// Writes entries; `callback` is told when they are durable.
    pub(crate) fn append(&self, entries: Vec<EntryOf<TypeConfig>>, callback: IOFlushed<TypeConfig>) {
        self.put(Write::Append(entries), Waiter::Append(callback));
    }

    /// Writes, and waits until it is durable.
    pub(crate) async fn sync(&self, write: Write) -> io::Result<()> {
        let (sender, synced) = oneshot::channel();
        self.put(write, Waiter::Call(sender));
        synced.await.unwrap_or_else(|_| Err(io::Error::other("the disk was opened by another process")))
    }

    fn put(&self, write: Write, mut waiter: Waiter) {
        if experiment::has(Flaw::VoteForgotten) && matches!(write, Write::Vote(_)) {
            return waiter.tell(Ok(()));
        }
        if experiment::has(Flaw::AcknowledgedBeforeSync) {
            std::mem::replace(&mut waiter, Waiter::Nobody).tell(Ok(()));
        }
        {
            let mut inner = self.lock();
            if inner.sync_takes.is_zero() {
                let synced = inner.durable.take(write);
                drop(inner);
                return waiter.tell(synced);
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
        let told: Vec<_> = {
            let mut inner = self.lock();
            let Inner { durable, unsynced, .. } = &mut *inner;
            let synced = unsynced.drain(..written.min(unsynced.len()));
            synced.map(|(write, waiter)| (durable.take(write), waiter)).collect()
        };
        // Without the lock: who is told may write.
        told.into_iter().for_each(|(synced, waiter)| waiter.tell(synced));
    }
}
