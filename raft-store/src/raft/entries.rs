//! What a node keeps of the Raft log: entries by index, the vote, the commit mark.
//!
//! Entries stand in one ring. They are appended at the end, truncated from the end (another leader
//! had others there) and purged from the front (a snapshot covers them).
//!
//! It is plain data. The log in memory is one of these; the simulated disk has another, which holds
//! what a crash leaves.

use std::collections::VecDeque;
use std::io;
use std::ops::{Bound, RangeBounds};

use openraft::EntryPayload;
use openraft::alias::{EntryOf, LogIdOf, VoteOf};
use openraft::entry::RaftEntry;

use crate::compaction::EntrySize;
use crate::limits::ENTRY_BYTES;
use crate::raft::types::TypeConfig;

/// See the [module](self).
#[derive(Debug, Clone, Default)]
pub(crate) struct Entries {
    /// The last vote, if this node has voted.
    pub(crate) vote: Option<VoteOf<TypeConfig>>,
    /// The last entry that is known to be raft-committed.
    pub(crate) committed: Option<LogIdOf<TypeConfig>>,
    /// The last entry that was dropped from the front.
    purged: Option<LogIdOf<TypeConfig>>,
    /// From the one after `purged` on, without gaps.
    entries: VecDeque<EntryOf<TypeConfig>>,
    /// About how many bytes the entries take.
    bytes: usize,
}

impl Entries {
    /// The index of the first entry, or of the next to come.
    pub(super) fn first(&self) -> u64 {
        self.entries
            .front()
            .map_or_else(|| self.purged.map_or(0, |id| id.index() + 1), |e| e.index())
    }

    /// The last entry that was ever appended and not truncated.
    pub(super) fn last_id(&self) -> Option<LogIdOf<TypeConfig>> {
        self.entries.back().map(RaftEntry::log_id).or(self.purged)
    }

    /// Appends the entry that comes next.
    ///
    /// # Errors
    /// Where it leaves a gap, or would take the place of another entry.
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

    /// The last entry that was dropped from the front.
    pub(super) fn purged(&self) -> Option<LogIdOf<TypeConfig>> {
        self.purged
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// About how many bytes the entries take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The size of each entry, from the last one back.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = EntrySize> {
        let sizes = self.entries.iter().rev();
        sizes.map(|entry| EntrySize { index: entry.index(), bytes: approximate_bytes(entry) })
    }

    /// The entries of a range of indexes, as far as they are there.
    pub(super) fn range<R: RangeBounds<u64>>(
        &self,
        range: &R,
    ) -> impl Iterator<Item = &EntryOf<TypeConfig>> {
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

/// About how many bytes an entry takes in memory.
pub(super) fn approximate_bytes(entry: &EntryOf<TypeConfig>) -> usize {
    match &entry.payload {
        EntryPayload::Normal(proposal) => proposal.approximate_bytes() + ENTRY_BYTES,
        EntryPayload::Blank | EntryPayload::Membership(_) => ENTRY_BYTES,
    }
}
