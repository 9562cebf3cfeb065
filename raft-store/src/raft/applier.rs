//! openraft's view of the state machine: entries come in, answers go out, snapshots are cheap
//! clones.
//!
//! The work is the [`Replica`]'s. This module hands entries to it one by one and sends the answers
//! to who waits for them. A snapshot is a clone of the state that shares most of its memory. It is
//! encoded only when a follower needs it.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use futures::{Stream, TryStreamExt};
use openraft::alias::{LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf};
use openraft::entry::RaftEntry;
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};
use runtime::Instant;
use state_machine::State;
use state_machine::command::Query;
use state_machine::reply::Answered;

use crate::checkpoint::Checkpoint;
use crate::raft::replica::{BatchedReads, Replica};
use crate::raft::types::{RoundId, Snapshot, TypeConfig};
use crate::records::RecordStore;
use crate::storage::checkpoint_file::Checkpoints;
use crate::{flaws, limits};

/// A handle to the replicated state of one node. Clones are the same state.
#[derive(Debug, Clone, Default)]
pub struct StateMachine {
    replica: Arc<Mutex<Replica>>,
    /// Where snapshots are kept too, if anywhere.
    checkpoints: Arc<OnceLock<Checkpoints>>,
}

impl StateMachine {
    /// Keeps snapshots and records there from now on, and knows this one. Nothing was applied yet:
    /// openraft installs the snapshot, and applies what comes after it in the log.
    pub(crate) fn keep_on(
        &self,
        checkpoints: Checkpoints,
        records: RecordStore,
        snapshot: Option<Snapshot>,
    ) {
        debug_assert!(self.applied().is_none(), "the state machine is new");
        let _already = self.checkpoints.set(checkpoints);
        let mut replica = self.lock();
        (replica.records, replica.snapshot) = (records, snapshot);
    }

    /// Keeps a snapshot. Where there is a data folder, it is durable when this returns.
    async fn keep(&self, snapshot: Snapshot) -> io::Result<()> {
        let known = self.snapshot_index() == snapshot.meta.last_log_id.map(|id| id.index());
        let checkpoints = self.checkpoints.get().filter(|_| !known);
        if let Some(checkpoints) = checkpoints {
            checkpoints.save(snapshot.clone()).await?;
        }
        self.replace_snapshot(&snapshot);
        match checkpoints {
            Some(checkpoints) => checkpoints.tidy(snapshot).await,
            None => Ok(()),
        }
    }

    /// Lets go of the snapshot before.
    fn replace_snapshot(&self, snapshot: &Snapshot) {
        let mut replica = self.lock();
        let of = |snapshot: &Snapshot| snapshot.meta.last_log_id.map(|id| id.index());
        // A leader's may have come meanwhile, which is newer.
        if replica.snapshot.as_ref().is_none_or(|last| of(last) <= of(snapshot)) {
            replica.snapshot = Some(snapshot.clone());
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

    /// Answers reads from the state as far as this node has applied it, as [`read`](Self::read)
    /// does, with the records that they ask for.
    ///
    /// # Errors
    /// Where records cannot be read. The node cannot go on then.
    pub fn answer<'a>(
        &self,
        queries: impl IntoIterator<Item = &'a Query>,
    ) -> io::Result<Vec<Answered>> {
        let replica = self.lock();
        queries.into_iter().map(|query| replica.answer(query)).collect()
    }

    /// The state with its records as far as this node has applied them. Costs what
    /// [`checkpoint_cost`](Self::checkpoint_cost) says.
    pub fn checkpoint(&self) -> Checkpoint {
        self.lock().checkpoint()
    }

    /// Where its records are.
    pub(crate) fn records(&self) -> RecordStore {
        self.lock().records.clone()
    }

    /// Whether there are files of records on the disk that go with the next checkpoint.
    pub fn has_unneeded_files(&self) -> bool {
        let records = self.records();
        records.files().is_some_and(|files| files.has_unneeded())
    }

    /// How many bytes, about, a checkpoint costs: copied at once, or with the changes after it.
    pub fn checkpoint_cost(&self) -> usize {
        let replica = self.lock();
        replica.state.clone_cost() + replica.records.freeze_cost()
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
    type SnapshotData = Arc<Checkpoint>;
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
        let mut since = Instant::now();
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
            }?;
            if let Some(responder) = responder {
                responder.send(applied);
            }
            // Who is behind has many entries to apply, and has to hear and to answer meanwhile.
            if Instant::now() - since > limits::UNINTERRUPTED {
                tokio::task::yield_now().await;
                since = Instant::now();
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
        snapshot: Arc<Checkpoint>,
    ) -> io::Result<()> {
        {
            let mut replica = self.lock();
            replica.state = flaws::state_of_snapshot(&snapshot.state);
            replica.records.replace(&snapshot.state, &snapshot.records)?;
            replica.applied = meta.last_log_id;
            replica.membership = meta.last_membership.clone();
        }
        self.keep(Snapshot { meta: meta.clone(), snapshot }).await
    }

    async fn get_current_snapshot(
        &mut self,
    ) -> io::Result<Option<SnapshotOf<TypeConfig, Arc<Checkpoint>>>> {
        Ok(self.lock().snapshot.clone())
    }
}

impl RaftSnapshotBuilder<TypeConfig> for StateMachine {
    type SnapshotData = Arc<Checkpoint>;

    async fn build_snapshot(&mut self) -> io::Result<SnapshotOf<TypeConfig, Arc<Checkpoint>>> {
        let snapshot = {
            let replica = self.lock();
            let meta = SnapshotMetaOf::<TypeConfig> {
                last_log_id: replica.applied,
                last_membership: replica.membership.clone(),
            };
            Snapshot { meta, snapshot: Arc::new(replica.checkpoint()) }
        };
        self.keep(snapshot.clone()).await?;
        Ok(snapshot)
    }
}

#[cfg(test)]
mod tests {
    use state_machine::command::{Batch, Write};
    use state_machine::keyed_logs::command::{KeyedLogCommand, KeyedLogQuery};

    use super::*;
    use crate::records::testing::records;

    #[tokio::test]
    async fn a_node_that_installs_a_snapshot_has_its_records() {
        let send = |key: &str| {
            let command = KeyedLogCommand::Send { key: key.into(), records: records(2, 70) };
            Write { request_id: None, command: command.into() }
        };
        let batch = |writes| Batch { writes, ..Batch::default() };
        let apply = |machine: &StateMachine, writes| {
            let applied = machine.lock().apply_batch(RoundId::default(), &batch(writes), false);
            applied.expect("applied");
        };
        let (mut ahead, mut behind) = (StateMachine::default(), StateMachine::default());
        apply(&ahead, vec![send("a"), send("b"), send("a")]);
        apply(&behind, vec![send("other")]);
        let snapshot = ahead.build_snapshot().await.expect("taken");
        apply(&ahead, vec![send("a")]);
        behind.install_snapshot(&snapshot.meta, snapshot.snapshot).await.expect("installed");
        let poll = KeyedLogQuery::Poll { offsets: vec![("a".into(), 3), ("other".into(), 0)] };
        let polled = |machine: &StateMachine| machine.answer([&poll.clone().into()]);
        assert_ne!(polled(&ahead).expect("read"), polled(&behind).expect("read"));
        apply(&behind, vec![send("a")]);
        assert_eq!(polled(&ahead).expect("read"), polled(&behind).expect("read"));
        let encoded = |machine: &StateMachine| machine.checkpoint().encode().expect("in memory");
        assert_eq!(encoded(&ahead), encoded(&behind));
    }
}
