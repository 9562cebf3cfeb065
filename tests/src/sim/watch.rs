//! What the nodes of a simulation do, written down while they do it.
//!
//! Owns the notes; what they mean for the state is worked out once, after the run, by [`super::replay`]. Nothing in here
//! changes what nodes do, so that a run with a watch and one without are the same run.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use raft_store::experiment::{AppliedEntry, Witness};
use raft_store::{Proposal, codec, runtime};
use serde::Serialize;
use state_machine::State;
use state_machine::command::{Batch, Origin};
use state_machine::ids::{GroupId, MemberId};
use tokio::time::Instant;

use crate::checkers::state::StateTrace;
use crate::checkers::state::trace::{Answer, Applied, Leader, Served, SignOfLife};
use crate::history::Micros;

/// The state is hashed after every so manieth entry: each hash reads all of it.
const HASHED: u64 = 32;

/// An entry of the log, as the first node that applied it did.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// The term in which it was proposed.
    pub term: u64,
    /// What it says; `None` for Raft's own.
    pub proposal: Option<Proposal>,
    /// What the state machine was given instead, because of a flaw.
    pub given: Option<Batch>,
}

/// Everything that was written down.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// The facts that need no replay.
    pub trace: StateTrace,
    /// The log.
    pub entries: BTreeMap<u64, Entry>,
    /// How often each node has been started.
    lives: BTreeMap<usize, u32>,
    /// When each request that is not decided came to a leader, by the leader's place and the request.
    taken: BTreeMap<(usize, Origin), Micros>,
}

/// Watches all nodes of a simulation. Clones are the same watch.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    notes: Arc<Mutex<Notes>>,
    begun: Instant,
}

impl Watch {
    /// A watch that begins now.
    pub fn new() -> Self {
        Self { notes: Arc::default(), begun: Instant::now() }
    }

    /// For the next life of a node.
    pub fn witness(&self, node: usize) -> Arc<dyn Witness> {
        let mut notes = self.lock();
        let lives = notes.lives.entry(node).or_default();
        let life = *lives;
        *lives += 1;
        Arc::new(OneLife { watch: self.clone(), node, name: format!("n{}", node + 1), life })
    }

    /// What was written down; the watch is over.
    pub fn into_notes(self) -> Notes {
        let mut notes = std::mem::take(&mut *self.lock());
        notes.trace.end_us = self.now_us();
        notes
    }

    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_us(&self) -> Micros {
        Micros::try_from(self.begun.elapsed().as_micros()).unwrap_or(Micros::MAX)
    }
}

/// A hash of what a value is written as.
pub(super) fn hash<T: Serialize + ?Sized>(value: &T) -> u64 {
    // Fixed keys: the same in every process.
    let mut hasher = DefaultHasher::new();
    codec::encode(value).hash(&mut hasher);
    hasher.finish()
}

/// Whether the state after an entry is hashed.
pub(super) fn is_hashed(index: u64) -> bool {
    index.is_multiple_of(HASHED)
}

#[derive(Debug)]
struct OneLife {
    watch: Watch,
    node: usize,
    name: String,
    life: u32,
}

impl OneLife {
    /// The node's own clock.
    fn clock_us(&self) -> Micros {
        runtime::wall_ms() * 1_000
    }
}

impl Witness for OneLife {
    fn applied(&self, entry: &AppliedEntry<'_>, state: &State) {
        let mut notes = self.watch.lock();
        notes.trace.applied.push(Applied {
            node: self.name.clone(),
            incarnation: self.life,
            index: entry.index,
            term: entry.term,
            entry: entry.proposal.map_or(0, hash),
            state: is_hashed(entry.index).then(|| hash(state)),
        });
        notes.entries.entry(entry.index).or_insert_with(|| Entry {
            term: entry.term,
            proposal: entry.proposal.cloned(),
            given: entry.given.cloned(),
        });
    }

    fn leads(&self, term: u64) {
        let leader =
            Leader { node: self.name.clone(), term, at_us: self.watch.now_us(), clock_us: self.clock_us() };
        self.watch.lock().trace.leaders.push(leader);
    }

    fn took(&self, origin: &Origin) {
        let now_us = self.watch.now_us();
        self.watch.lock().taken.insert((self.node, *origin), now_us);
    }

    fn decided(&self, origin: &Origin, term: u64) {
        let complete_us = self.watch.now_us();
        let mut notes = self.watch.lock();
        if let Some(invoke_us) = notes.taken.remove(&(self.node, *origin)) {
            notes.trace.answers.push(Answer { node: self.name.clone(), term, invoke_us, complete_us });
        }
    }

    fn heard(&self, group: &GroupId, member: &MemberId) {
        let sign = SignOfLife {
            group: group.to_string(),
            member: member.to_string(),
            leader: self.name.clone(),
            at_us: self.watch.now_us(),
            clock_us: self.clock_us(),
        };
        self.watch.lock().trace.lives.push(sign);
    }

    fn served(&self, group: &GroupId, member: &MemberId, applied: u64) {
        let served =
            Served { group: group.to_string(), member: member.to_string(), node: self.name.clone(), applied };
        self.watch.lock().trace.served.push(served);
    }
}
