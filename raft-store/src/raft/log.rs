//! The Raft log, as openraft sees it.
//!
//! Clones are handles to the same log. All of it that was not dropped is in memory, to be read
//! again for followers. By itself it is lost with the process, and nothing in it says so: the
//! node's incarnation keeps a process that lost its memory from being taken for the one that had
//! it. A log that was opened from a data folder is written to a write-ahead log too, and what has
//! to be durable waits until it is.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openraft::alias::{EntryOf, LogIdOf, VoteOf};
use openraft::entry::RaftEntry;
use openraft::impls::leader_id_std::LeaderId;
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::vote::{RaftLeaderId, RaftVote};
use openraft::{EntryPayload, OptionalSend, RaftLogReader};
use runtime::durations::Measured;
use state_machine::ids::NodeId;

use crate::compaction::{Compaction, Policy, Position};
use crate::flaws;
use crate::limits::MAX_READ_BYTES;
use crate::raft::StateMachine;
use crate::raft::convert;
use crate::raft::entries::{Entries, approximate_bytes};
use crate::raft::types::TypeConfig;
use crate::wal::format::Record;
use crate::wal::writer::Wal;

/// A handle to a node's log.
#[derive(Debug, Clone, Default)]
pub struct RaftLog {
    log: Arc<Mutex<Entries>>,
    /// Where it is kept, if it outlives the process.
    wal: Option<Wal>,
}

impl RaftLog {
    /// The log as it was found.
    pub(crate) fn on(wal: Wal, found: Entries) -> Self {
        Self { log: Arc::new(Mutex::new(found)), wal: Some(wal) }
    }

    fn write(&self, records: impl FnOnce() -> Vec<Record>) {
        if let Some(wal) = &self.wal {
            wal.write(records());
        }
    }

    /// Whether it outlives the process.
    pub fn is_kept(&self) -> bool {
        self.wal.is_some()
    }

    /// Waits until all that was written is durable, if anything is kept.
    ///
    /// # Errors
    /// Where it cannot be written. The node has to stop.
    pub async fn sync(&self) -> io::Result<()> {
        match &self.wal {
            Some(wal) => wal.sync(Vec::new()).await,
            None => Ok(()),
        }
    }

    /// Waits until the records that a state machine has are durable, and all that was written to the
    /// log before, if anything is kept.
    ///
    /// # Errors
    /// Where they cannot be written. The node has to stop.
    pub async fn sync_records(&self, machine: &StateMachine) -> io::Result<()> {
        if let (Some(wal), Some(records)) = (&self.wal, machine.records().files().cloned()) {
            wal.first_do(async move { records.sync().await });
        }
        self.sync().await
    }

    /// Keeps in mind that an incarnation of a peer was heard, and waits until that is durable.
    ///
    /// # Errors
    /// Where it cannot be written. The node has to stop.
    pub async fn heard(&self, node: NodeId, incarnation: u64) -> io::Result<()> {
        match &self.wal {
            Some(wal) => wal.sync(vec![Record::Heard { node, incarnation }]).await,
            None => Ok(()),
        }
    }

    /// Lets the last group be vouched for. Call it when the node has been idle for a moment.
    pub fn seal(&self) {
        if let Some(wal) = &self.wal {
            wal.seal();
        }
    }

    /// How many bytes the disk has left, where there is one.
    pub fn free(&self) -> Option<io::Result<u64>> {
        self.wal.as_ref().map(Wal::free)
    }

    /// How long syncs of the log took, if it is on a disk.
    pub fn syncs(&self) -> Option<Measured> {
        Some(self.wal.as_ref()?.syncs())
    }

    /// Why nothing is kept any more, if that is so. The node has to stop.
    pub fn failure(&self) -> Option<&str> {
        self.wal.as_ref()?.failure()
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes an empty log one that begins with these members, as it does on all other nodes of
    /// them. Returns whether it was empty: a node that has voted or has entries has begun before.
    ///
    /// This is what [`openraft::Raft::initialize`] writes, but without standing for election at
    /// once.
    pub fn begin(&self, me: NodeId, members: BTreeMap<NodeId, ()>) -> bool {
        let leader = LeaderId::new(0, me);
        let vote = VoteOf::<TypeConfig>::from_leader_id(leader, true);
        let id = LogIdOf::<TypeConfig>::new(leader.to_committed(), 0);
        let entry = EntryOf::<TypeConfig>::new(id, EntryPayload::Membership(members.into()));
        {
            let mut log = self.lock();
            if log.vote.is_some() || log.last_id().is_some() {
                return false;
            }
            log.vote = Some(vote);
            if log.push(entry.clone()).is_err() {
                return false;
            }
        }
        // Whatever is synced later is synced after these.
        self.write(|| vec![Record::Vote(convert::vote(&vote)), convert::entry(&entry)]);
        true
    }

    /// About how many bytes the entries take.
    pub fn bytes(&self) -> usize {
        self.lock().bytes()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the policy does with this log, as a node at `position` has it.
    pub fn compact(&self, policy: &Policy, position: Position) -> Compaction {
        let log = self.lock();
        policy.decide(position, log.first(), log.newest_first())
    }
}

/// What is written of what the log was told.
fn kept(record: Record) -> Vec<Record> {
    flaws::records(vec![record])
}

impl RaftLogReader<TypeConfig> for RaftLog {
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

impl RaftLogStorage<TypeConfig> for RaftLog {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let log = self.lock();
        Ok(LogState { last_purged_log_id: log.purged(), last_log_id: log.last_id() })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &VoteOf<TypeConfig>) -> io::Result<()> {
        self.lock().vote = Some(*vote);
        match &self.wal {
            Some(wal) => wal.sync(kept(Record::Vote(convert::vote(vote)))).await,
            None => Ok(()),
        }
    }

    async fn save_committed(&mut self, committed: Option<LogIdOf<TypeConfig>>) -> io::Result<()> {
        self.lock().committed = committed;
        self.write(|| committed.map(convert::log_id).map(Record::Committed).into_iter().collect());
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
        let mut records = Vec::new();
        {
            let mut log = self.lock();
            for entry in entries {
                if self.wal.is_some() {
                    records.push(convert::entry(&entry));
                }
                log.push(entry)?;
            }
        }
        match &self.wal {
            Some(wal) => {
                wal.write_then(records, Box::new(|synced| callback.io_completed(synced)));
            }
            None => callback.io_completed(Ok(())),
        }
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogIdOf<TypeConfig>>) -> io::Result<()> {
        let from = last.map_or(0, |id| id.index() + 1);
        self.lock().truncate_from(from);
        self.write(|| kept(Record::TruncateFrom(from)));
        Ok(())
    }

    async fn purge(&mut self, upto: LogIdOf<TypeConfig>) -> io::Result<()> {
        self.lock().purge(upto);
        self.write(|| vec![Record::Purged(convert::log_id(upto))]);
        Ok(())
    }
}
