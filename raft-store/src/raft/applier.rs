//! openraft's view of the state machine: entries come in, answers go out, snapshots are cheap
//! clones.
//!
//! The work is the [`Replica`]'s. This module hands entries to it one by one and sends the answers
//! to who waits for them. A snapshot is a clone of the state that shares most of its memory. It is
//! encoded only when a follower needs it.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::{Stream, TryStreamExt};
use openraft::alias::{LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf};
use openraft::entry::RaftEntry;
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};
use state_machine::State;

use crate::flaws;
use crate::raft::replica::{BatchedReads, Replica};
use crate::raft::types::{RoundId, Snapshot, TypeConfig};
use crate::storage::disk::{Disk, Write};

/// A handle to the replicated state of one node. Clones are the same state.
#[derive(Debug, Clone, Default)]
pub struct StateMachine {
    replica: Arc<Mutex<Replica>>,
    /// Where snapshots are kept too, if anywhere.
    disk: Option<Disk>,
}

impl StateMachine {
    /// A state machine that has applied nothing and knows this snapshot. openraft installs it, and
    /// applies what comes after it in the log.
    pub(crate) fn on(disk: Disk, snapshot: Option<Snapshot>) -> Self {
        let replica = Replica { snapshot, ..Replica::default() };
        Self { replica: Arc::new(Mutex::new(replica)), disk: Some(disk) }
    }

    /// Keeps a snapshot. Where there is a disk, the snapshot is durable when this returns.
    async fn keep(&self, snapshot: Snapshot) -> io::Result<()> {
        self.lock().snapshot = Some(snapshot.clone());
        match &self.disk {
            Some(disk) => disk.sync(Write::Snapshot(snapshot)).await,
            None => Ok(()),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Replica> {
        self.replica.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the state as far as this node has applied it. For a linearizable read, make sure first
    /// that it has applied enough.
    pub fn read<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.lock().state)
    }

    /// The last entry that this node has applied.
    pub fn applied(&self) -> Option<LogIdOf<TypeConfig>> {
        self.lock().applied
    }

    /// Index up to which the last snapshot reaches.
    pub fn snapshot_index(&self) -> Option<u64> {
        self.lock().snapshot.as_ref()?.meta.last_log_id.map(|id| id.index())
    }

    /// Registers the reads of a round before it is proposed. They are answered when, and only when,
    /// its entry is applied here.
    pub fn batch_reads(&self, round: RoundId, batched_reads: BatchedReads) {
        self.lock().batched_reads.insert(round, batched_reads);
    }

    /// Forgets all registered reads: nobody waits for them any more.
    pub fn forget_batched_reads(&self) {
        self.lock().batched_reads.clear();
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = Arc<State>;
    type SnapshotBuilder = Self;

    async fn applied_state(
        &mut self,
    ) -> io::Result<(Option<LogIdOf<TypeConfig>>, StoredMembershipOf<TypeConfig>)> {
        let replica = self.lock();
        Ok((replica.applied, replica.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            let applied = {
                let mut replica = self.lock();
                let id = entry.log_id();
                replica.applied = Some(id);
                match entry.payload {
                    EntryPayload::Blank => replica.apply_entry(id, None, false),
                    EntryPayload::Membership(membership) => {
                        replica.membership =
                            StoredMembershipOf::<TypeConfig>::new(Some(id), membership);
                        replica.apply_entry(id, None, false)
                    }
                    EntryPayload::Normal(proposal) => {
                        let applied = replica.apply_entry(id, Some(&proposal), responder.is_some());
                        proposal.pack();
                        applied
                    }
                }
            };
            if let Some(responder) = responder {
                responder.send(applied);
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMetaOf<TypeConfig>,
        snapshot: Arc<State>,
    ) -> io::Result<()> {
        {
            let mut replica = self.lock();
            replica.state = flaws::state_of_snapshot(&snapshot);
            replica.applied = meta.last_log_id;
            replica.membership = meta.last_membership.clone();
        }
        self.keep(Snapshot { meta: meta.clone(), snapshot }).await
    }

    async fn get_current_snapshot(
        &mut self,
    ) -> io::Result<Option<SnapshotOf<TypeConfig, Arc<State>>>> {
        Ok(self.lock().snapshot.clone())
    }
}

impl RaftSnapshotBuilder<TypeConfig> for StateMachine {
    type SnapshotData = Arc<State>;

    async fn build_snapshot(&mut self) -> io::Result<SnapshotOf<TypeConfig, Arc<State>>> {
        let snapshot = {
            let replica = self.lock();
            let meta = SnapshotMetaOf::<TypeConfig> {
                last_log_id: replica.applied,
                last_membership: replica.membership.clone(),
            };
            Snapshot { meta, snapshot: Arc::new(replica.state.clone()) }
        };
        self.keep(snapshot.clone()).await?;
        Ok(snapshot)
    }
}
