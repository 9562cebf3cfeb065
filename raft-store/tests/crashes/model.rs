//! What a folder has to hold, as plain values.

use std::collections::BTreeMap;

use openraft::alias::{EntryOf, LogIdOf, VoteOf};
use openraft::entry::RaftEntry;
use raft_store::TypeConfig;

pub type Entry = EntryOf<TypeConfig>;
pub type Id = LogIdOf<TypeConfig>;
pub type Vote = VoteOf<TypeConfig>;

/// Something that was written to the log. All of it is one sequence, and what survives is always a
/// beginning of it.
#[derive(Debug, Clone)]
pub enum Write {
    Vote(Vote),
    /// Entries that were appended at once survive at once.
    Append(Vec<Entry>),
    TruncateFrom(u64),
    Committed(Id),
    Purge(Id),
    /// An incarnation of the node 2 was heard.
    Heard(u64),
}

/// What a node has to remember, but for its snapshot.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Log {
    pub vote: Option<Vote>,
    pub entries: Vec<Entry>,
    pub committed: Option<Id>,
    pub purged: Option<Id>,
    pub heard: Option<u64>,
}

impl Log {
    pub fn take(&mut self, write: &Write) {
        match write {
            Write::Vote(vote) => self.vote = Some(*vote),
            Write::Append(entries) => self.entries.extend(entries.iter().cloned()),
            Write::TruncateFrom(index) => self.entries.retain(|entry| entry.index() < *index),
            Write::Committed(id) => self.committed = self.committed.max(Some(*id)),
            Write::Purge(id) => {
                self.entries.retain(|entry| entry.index() > id.index());
                self.purged = self.purged.max(Some(*id));
            }
            Write::Heard(incarnation) => self.heard = Some(*incarnation),
        }
    }

    pub fn last(&self) -> Option<Id> {
        self.entries.last().map(RaftEntry::log_id).or(self.purged)
    }

    pub fn next_index(&self) -> u64 {
        self.last().map_or(0, |id| id.index() + 1)
    }

    /// As it is compared: a commit mark that is ahead of the log says nothing of it, and what is
    /// purged is committed.
    fn compared(mut self) -> Self {
        let next = self.next_index();
        self.committed = self.committed.filter(|id| id.index() < next).max(self.purged);
        self
    }
}

/// A value that was written or saved, with the number of disk operations before it.
#[derive(Debug, Clone)]
struct Issued<T> {
    after: usize,
    value: T,
}

/// What was written when, and what was acknowledged when.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    /// What is certain: the log before all that follows.
    base: Log,
    writes: Vec<Issued<Write>>,
    /// After how many operations, so many writes were known to be durable.
    acknowledged: Vec<Issued<usize>>,
    base_snapshot: Option<Id>,
    snapshots: Vec<Issued<Id>>,
    saved: Vec<Issued<usize>>,
    now: Log,
}

/// What is found in a folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    pub log: Log,
    pub snapshot: Option<Id>,
}

fn count<T>(list: &[Issued<T>], operations: usize) -> usize {
    list.iter().take_while(|issued| issued.after < operations).count()
}

fn acknowledged(list: &[Issued<usize>], operations: usize) -> usize {
    let known = list.iter().filter(|issued| issued.after <= operations);
    known.map(|issued| issued.value).max().unwrap_or(0)
}

impl Timeline {
    /// The log as the node has it.
    pub fn now(&self) -> &Log {
        &self.now
    }

    /// The last snapshot that was saved.
    pub fn snapshot(&self) -> Option<Id> {
        self.snapshots.last().map(|saved| saved.value).or(self.base_snapshot)
    }

    /// Something is about to be written.
    pub fn write(&mut self, after: usize, value: Write) {
        self.now.take(&value);
        self.writes.push(Issued { after, value });
    }

    /// A snapshot is about to be saved.
    pub fn save(&mut self, after: usize, value: Id) {
        self.snapshots.push(Issued { after, value });
    }

    /// How many writes there are.
    pub fn written(&self) -> usize {
        self.writes.len()
    }

    /// The first so many writes are acknowledged.
    pub fn acknowledge(&mut self, after: usize, writes: usize) {
        self.acknowledged.push(Issued { after, value: writes });
    }

    /// All snapshots are acknowledged.
    pub fn acknowledge_snapshots(&mut self, after: usize) {
        self.saved.push(Issued { after, value: self.snapshots.len() });
    }

    /// Looks whether what was found after so many operations is what may be: the log after some
    /// number of writes that is not below the acknowledged one nor above the written one, and
    /// likewise a snapshot.
    pub fn check(&self, found: &Found, operations: usize) -> Result<(), String> {
        let least = acknowledged(&self.acknowledged, operations);
        let most = count(&self.writes, operations).max(least);
        let mut log = self.base.clone();
        self.writes[..least].iter().for_each(|write| log.take(&write.value));
        let now = found.log.clone().compared();
        let mut may = log.clone().compared() == now;
        for write in &self.writes[least..most] {
            log.take(&write.value);
            may = may || log.clone().compared() == now;
        }
        if !may {
            let Found { log, .. } = found;
            return Err(format!("no log of {least} to {most} writes is {log:?}"));
        }
        let least = acknowledged(&self.saved, operations);
        let most = count(&self.snapshots, operations).max(least);
        let before =
            least.checked_sub(1).map_or(self.base_snapshot, |i| Some(self.snapshots[i].value));
        let later = self.snapshots[least..most].iter().map(|saved| Some(saved.value));
        if [before].into_iter().chain(later).any(|may| may == found.snapshot) {
            return Ok(());
        }
        Err(format!("snapshot {:?} is none of number {least} to {most}", found.snapshot))
    }

    /// The same after whatever number of operations: no more will be recorded.
    #[must_use]
    pub fn over(mut self) -> Self {
        let lists = [&mut self.acknowledged, &mut self.saved];
        lists.into_iter().flatten().for_each(|issued| issued.after = 0);
        self.writes.iter_mut().for_each(|issued| issued.after = 0);
        self.snapshots.iter_mut().for_each(|issued| issued.after = 0);
        self
    }

    /// A start has found this: it is what counts from now on.
    pub fn rebase(&mut self, found: Found) {
        let Found { log, snapshot } = found;
        *self = Self { base: log.clone(), now: log, base_snapshot: snapshot, ..Self::default() };
    }
}

/// All entries that were ever raft-committed, or may become so, by index.
pub type Universe = BTreeMap<u64, Entry>;
