//! openraft's view of the state machine: entries come in, answers go out, snapshots are cheap clones.
//!
//! It owns the replicated state and where in the log it stands. It decides nothing: that is
//! [`state_machine`]'s. Reads that ride on a proposal of this node are answered between the writes around
//! which they came in, so that they see exactly what a client would expect them to see.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::{Stream, TryStreamExt};
use openraft::alias::{LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf};
use openraft::entry::RaftEntry;
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};
use state_machine::State;
use state_machine::command::{Batch, Query};
use state_machine::event::Event;

use crate::experiment::{self, AppliedEntry};
use crate::raft::{Applied, Proposal, RoundId, TypeConfig};
use crate::storage::{Disk, Snapshot, Write};

/// Reads that ride on a proposal: how many writes come before each.
pub type BatchedReads = Vec<(usize, Query)>;

#[derive(Debug, Default)]
struct Machine {
    state: State,
    applied: Option<LogIdOf<TypeConfig>>,
    membership: StoredMembershipOf<TypeConfig>,
    snapshot: Option<Snapshot>,
    batched_reads: BTreeMap<RoundId, BatchedReads>,
    /// Where snapshots are kept too, if anywhere.
    disk: Option<Disk>,
}

/// A handle to the replicated state of one node. Clones are the same state.
#[derive(Debug, Clone, Default)]
pub struct StateMachine(Arc<Mutex<Machine>>);

impl StateMachine {
    /// A state machine that has applied nothing and knows this snapshot: openraft installs it, and applies
    /// what comes after it in the log.
    pub(crate) fn on(disk: Disk, snapshot: Option<Snapshot>) -> Self {
        Self(Arc::new(Mutex::new(Machine { snapshot, disk: Some(disk), ..Machine::default() })))
    }

    /// Keeps a snapshot. On a disk, what it covers may be purged or acknowledged once this returns.
    async fn keep(&self, snapshot: Snapshot) -> io::Result<()> {
        let disk = {
            let mut machine = self.lock();
            machine.snapshot = Some(snapshot.clone());
            machine.disk.clone()
        };
        match disk {
            Some(disk) => disk.sync(Write::Snapshot(snapshot)).await,
            None => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Machine> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the state as far as this node has applied it. For a linearizable read, make sure first that it
    /// has applied enough.
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

    /// Registers the reads of a round before it is proposed. They are answered when, and only when, its entry
    /// is applied here.
    pub fn batch_reads(&self, round: RoundId, batched_reads: BatchedReads) {
        self.lock().batched_reads.insert(round, batched_reads);
    }

    /// What a proposal of this node would give if it were applied next. Changes nothing but that the proposal's
    /// batched_reads are answered. For [`Flaw::AcknowledgedBeforeCommit`](experiment::Flaw::AcknowledgedBeforeCommit).
    pub fn preview(&self, proposal: &Proposal) -> Applied {
        let mut machine = self.lock();
        let batched_reads = machine.batched_reads.remove_entry(&proposal.round());
        let state = machine.state.clone();
        let mut copy =
            Machine { state, batched_reads: batched_reads.into_iter().collect(), ..Machine::default() };
        copy.apply(proposal.round(), proposal.batch(), true)
    }

    /// Forgets the reads of a round that will not be waited for.
    pub fn forget_batched_reads(&self) {
        self.lock().batched_reads.clear();
    }
}

impl Machine {
    fn apply(&mut self, round: RoundId, batch: &Batch, answer: bool) -> Applied {
        self.state.begin(batch);
        let mut applied = Applied::default();
        if !answer {
            for write in &batch.writes {
                // Nobody waits here: refusals are the same on the node that answers.
                let _outcome = self.state.apply(write, None);
            }
            return applied;
        }
        let batched_reads = self.batched_reads.remove(&round).unwrap_or_default();
        let mut batched_reads = batched_reads.into_iter().peekable();
        applied.outcomes.reserve(batch.writes.len());
        for (i, write) in batch.writes.iter().enumerate() {
            while let Some((_, query)) = batched_reads.next_if(|(after, _)| *after <= i) {
                applied.answers.push(self.state.query(&query));
            }
            let events = applied.events.len();
            let mut outcome = self.state.apply(write, Some(&mut applied.events));
            // Only what concerns groups is waited for; records would be held twice.
            let fresh = applied.events.split_off(events);
            applied.events.extend(fresh.into_iter().filter(|event| matches!(event, Event::Group { .. })));
            self.state.fill(&mut outcome);
            applied.outcomes.push(outcome);
        }
        applied.answers.extend(batched_reads.map(|(_, query)| self.state.query(&query)));
        applied
    }

    /// Applies a proposal, or what a flaw makes of it.
    fn apply_entry(&mut self, id: LogIdOf<TypeConfig>, proposal: Option<&Proposal>, answer: bool) -> Applied {
        let mut applied = Applied::default();
        let mut given = None;
        if let Some(proposal) = proposal {
            given = experiment::broken_batch(&self.state, proposal.batch());
            let batch = given.as_ref().unwrap_or(proposal.batch());
            applied = self.apply(proposal.round(), batch, answer);
            for write in experiment::broken_writes_after(&self.state, proposal.batch()) {
                let events = if answer { Some(&mut applied.events) } else { None };
                applied.outcomes.push(self.state.apply(&write, events));
                given.get_or_insert_with(|| proposal.batch().clone()).writes.push(write);
            }
        }
        experiment::tell(|witness| {
            let (index, term) = (id.index(), id.committed_leader_id().term);
            witness.applied(&AppliedEntry { index, term, proposal, given: given.as_ref() }, &self.state);
        });
        applied
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = Arc<State>;
    type SnapshotBuilder = Self;

    async fn applied_state(
        &mut self,
    ) -> io::Result<(Option<LogIdOf<TypeConfig>>, StoredMembershipOf<TypeConfig>)> {
        let machine = self.lock();
        Ok((machine.applied, machine.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            let applied = {
                let mut machine = self.lock();
                let id = entry.log_id();
                machine.applied = Some(id);
                match entry.payload {
                    EntryPayload::Blank => machine.apply_entry(id, None, false),
                    EntryPayload::Membership(membership) => {
                        machine.membership = StoredMembershipOf::<TypeConfig>::new(Some(id), membership);
                        machine.apply_entry(id, None, false)
                    }
                    EntryPayload::Normal(proposal) => {
                        machine.apply_entry(id, Some(&proposal), responder.is_some())
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
            let mut machine = self.lock();
            machine.state = experiment::broken_snapshot(&snapshot).unwrap_or_else(|| State::clone(&snapshot));
            machine.applied = meta.last_log_id;
            machine.membership = meta.last_membership.clone();
        }
        self.keep(Snapshot { meta: meta.clone(), snapshot }).await
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<SnapshotOf<TypeConfig, Arc<State>>>> {
        Ok(self.lock().snapshot.clone())
    }
}

impl RaftSnapshotBuilder<TypeConfig> for StateMachine {
    type SnapshotData = Arc<State>;

    async fn build_snapshot(&mut self) -> io::Result<SnapshotOf<TypeConfig, Arc<State>>> {
        let snapshot = {
            let machine = self.lock();
            let meta = SnapshotMetaOf::<TypeConfig> {
                last_log_id: machine.applied,
                last_membership: machine.membership.clone(),
            };
            Snapshot { meta, snapshot: Arc::new(machine.state.clone()) }
        };
        self.keep(snapshot.clone()).await?;
        Ok(snapshot)
    }
}
