//! What the nodes of a simulation do, written down while they do it.
//!
//! Owns the notes; what they mean for the state is worked out once, after the run, by
//! [`super::replay`]. Nothing in here changes what nodes do, so that a run with a watch and one
//! without are the same run.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use raft_store::observe::{AppliedEntry, Observer};
use raft_store::records::RecordStore;
use raft_store::{Checkpoint, Proposal, StateMachine, codec, flaws};
use serde::Serialize;
use state_machine::State;
use state_machine::command::{Batch, RequestId};
use state_machine::ids::{GroupId, LogId, MemberId, Offset};
use state_machine::reply::{Answer as Read, Reply};
use state_machine::topics::command::TopicQuery;
use state_machine::topics::reply::TopicReply;
use tokio::time::Instant;

use crate::checkers::state::StateTrace;
use crate::checkers::state::trace::{Answer, Applied, Heartbeat, Held, Leader, Served};
use crate::history::Micros;

/// The state is hashed after every so manieth entry, with the records of its logs: each hash reads
/// all of it.
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
    /// The states of each node's incarnations.
    incarnations: BTreeMap<usize, Vec<StateMachine>>,
    /// When each request that is not decided came to a leader, by the leader's place and the
    /// request.
    taken: BTreeMap<(usize, RequestId), Micros>,
}

impl Notes {
    /// Hashes the state in which an incarnation ended: the last entry that it applied, or the
    /// snapshot that it installed, may be none that is hashed.
    fn last_state(&mut self, node: &str, incarnation: u32, machine: &StateMachine) {
        let Some(index) = machine.applied().map(|id| id.index()) else { return };
        let state = hash_state(&machine.checkpoint());
        let mut rows = self.trace.applied.iter_mut().rev();
        let row = rows.find(|row| row.node == node && row.incarnation == incarnation);
        match row.filter(|row| row.index == index) {
            Some(row) => row.state = state.or(row.state),
            None => {
                // It came by a snapshot.
                let Some(entry) = self.entries.get(&index) else { return };
                let (term, entry) = (entry.term, entry.proposal.as_ref().map_or(0, hash));
                let node = node.to_owned();
                self.trace.applied.push(Applied { node, incarnation, index, term, entry, state });
            }
        }
    }

    /// The indexes after which some node's state was hashed.
    pub fn hashed(&self) -> BTreeSet<u64> {
        self.trace.applied.iter().filter(|row| row.state.is_some()).map(|row| row.index).collect()
    }
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

    /// For the next incarnation of a node, with its state.
    pub fn observer(&self, node: usize, machine: StateMachine) -> Arc<dyn Observer> {
        let mut notes = self.lock();
        let incarnations = notes.incarnations.entry(node).or_default();
        let incarnation = u32::try_from(incarnations.len()).unwrap_or(u32::MAX);
        incarnations.push(machine);
        let (watch, name, begins) = (self.clone(), name(node), Mutex::default());
        Arc::new(OneIncarnation { watch, node, name, incarnation, begins })
    }

    /// A node's process has ended, and its disk is about to lose what was not synced.
    pub fn ended(&self, node: usize) {
        let mut notes = self.lock();
        let machines = notes.incarnations.get_mut(&node);
        // An incarnation keeps its number.
        let last = machines.and_then(|machines| {
            let number = u32::try_from(machines.len().checked_sub(1)?).ok()?;
            let last = machines.last_mut()?;
            Some((number, std::mem::take(last)))
        });
        if let Some((incarnation, machine)) = last {
            notes.last_state(&name(node), incarnation, &machine);
        }
    }

    /// What was written down, and how each incarnation ended; the watch is over.
    pub fn into_notes(self) -> Notes {
        let mut notes = std::mem::take(&mut *self.lock());
        notes.trace.end_us = self.now_us();
        for (node, incarnations) in std::mem::take(&mut notes.incarnations) {
            for (incarnation, machine) in (0..).zip(incarnations) {
                notes.last_state(&name(node), incarnation, &machine);
            }
        }
        notes
    }

    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_us(&self) -> Micros {
        Micros::try_from(self.begun.elapsed().as_micros()).unwrap_or(Micros::MAX)
    }
}

/// A hash of a state and of every byte of its records. Nothing where the records cannot be read: a
/// node on such a disk ends, and says why.
pub(super) fn hash_state(checkpoint: &Checkpoint) -> Option<u64> {
    checkpoint.encode().ok().map(|bytes| hash_bytes(&bytes))
}

/// A hash of what a value is written as.
fn hash<T: Serialize + ?Sized>(value: &T) -> u64 {
    hash_bytes(&codec::encode(value))
}

fn hash_bytes(bytes: &[u8]) -> u64 {
    // Fixed keys: the same in every process.
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

fn name(node: usize) -> String {
    format!("n{}", node + 1)
}

#[derive(Debug)]
struct OneIncarnation {
    watch: Watch,
    node: usize,
    name: String,
    incarnation: u32,
    /// Where logs began when it was last looked.
    begins: Mutex<BTreeMap<LogId, Offset>>,
}

/// The first offset that can be read from this one on, where reading does not fail.
fn first_left(state: &State, records: &RecordStore, fetch: TopicQuery) -> Option<Option<Offset>> {
    let Ok(Read::Reply(mut reply)) = state.query(&fetch.into()) else { return None };
    records.fill(&mut reply).ok()?;
    let Reply::Topic(TopicReply::Fetched { found, .. }) = reply else { return None };
    Some(found.batches.first().map(|batch| batch.base_offset))
}

impl OneIncarnation {
    /// What is left of the partitions of topics whose beginning is another than when it was last
    /// looked.
    fn held(&self, index: u64, state: &State, records: &RecordStore) -> Vec<Held> {
        let mut begins = self.begins.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held = Vec::new();
        for (topic, found) in state.topics() {
            for (partition, log) in (0..).zip(&found.partitions) {
                let offset = log.start_offset();
                if begins.insert(log.id(), offset).unwrap_or(0) == offset {
                    continue;
                }
                let fetch =
                    TopicQuery::Fetch { topic: topic.clone(), partition, offset, max_messages: 1 };
                held.extend(first_left(state, records, fetch).map(|first| Held {
                    node: self.name.clone(),
                    incarnation: self.incarnation,
                    index,
                    topic: topic.to_string(),
                    partition: i64::from(partition),
                    start: offset,
                    end: log.end_offset(),
                    first,
                }));
            }
        }
        held
    }

    /// The node's own clock.
    fn clock_us(&self) -> Micros {
        runtime::wall_ms() * 1_000
    }
}

impl Observer for OneIncarnation {
    fn applied(&self, entry: &AppliedEntry<'_>, state: &State, records: &RecordStore) {
        let checkpoint = || Checkpoint { state: state.clone(), records: records.freeze() };
        let given = flaws::recall::<Batch>();
        let held = self.held(entry.index, state, records);
        let mut notes = self.watch.lock();
        notes.trace.held.extend(held);
        notes.trace.applied.push(Applied {
            node: self.name.clone(),
            incarnation: self.incarnation,
            index: entry.index,
            term: entry.term,
            entry: entry.proposal.map_or(0, hash),
            state: entry.index.is_multiple_of(HASHED).then(|| hash_state(&checkpoint())).flatten(),
        });
        notes.entries.entry(entry.index).or_insert_with(|| Entry {
            term: entry.term,
            proposal: entry.proposal.cloned(),
            given,
        });
    }

    fn leads(&self, term: u64) {
        let leader = Leader {
            node: self.name.clone(),
            term,
            at_us: self.watch.now_us(),
            clock_us: self.clock_us(),
        };
        let mut notes = self.watch.lock();
        notes.trace.leaders.push(leader);
        // What it took in when it led before, somebody else may have decided.
        notes.taken.retain(|(node, _), _| *node != self.node);
    }

    fn took(&self, request_id: &RequestId) {
        let now_us = self.watch.now_us();
        // A join that waits is taken in again when it is asked for again: it has been here since
        // the first time.
        self.watch.lock().taken.entry((self.node, *request_id)).or_insert(now_us);
    }

    fn decided(&self, request_id: &RequestId, term: u64) {
        let complete_us = self.watch.now_us();
        let mut notes = self.watch.lock();
        if let Some(invoke_us) = notes.taken.remove(&(self.node, *request_id)) {
            notes.trace.answers.push(Answer {
                node: self.name.clone(),
                term,
                invoke_us,
                complete_us,
            });
        }
    }

    fn heard(&self, group: &GroupId, member: &MemberId) {
        let sign = Heartbeat {
            group: group.to_string(),
            member: member.to_string(),
            leader: self.name.clone(),
            at_us: self.watch.now_us(),
            clock_us: self.clock_us(),
        };
        self.watch.lock().trace.lives.push(sign);
    }

    fn served(&self, group: &GroupId, member: &MemberId, applied: u64) {
        let served = Served {
            group: group.to_string(),
            member: member.to_string(),
            node: self.name.clone(),
            applied,
        };
        self.watch.lock().trace.served.push(served);
    }
}
