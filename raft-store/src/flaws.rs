//! Hooks for planted bugs. Each hook is named for what it changes, and usually changes nothing.
//!
//! The arena has to find the bugs of a node. To prove that it does, bugs are planted in the node
//! on purpose: see `planted::Flaw` for the list. They need the feature `flaws`, which only
//! the arena switches on. Without it the module `planted` is not compiled, and each hook is the
//! one line that production runs.
//!
//! A file of production calls at most one hook, and calls it in every build.

use std::io;

use state_machine::State;

use crate::raft::replica::Replica;
use crate::raft::types::{Applied, Proposal};
use crate::wal::format::{LogId, Record};

#[cfg(feature = "flaws")]
mod planted;
#[cfg(feature = "flaws")]
mod planted_files;
#[cfg(feature = "flaws")]
mod planted_offsets;
#[cfg(feature = "flaws")]
mod planted_records;
#[cfg(feature = "flaws")]
pub use planted::{Flaw, attach, has, preview, recall, remember};
#[cfg(feature = "flaws")]
pub use planted_files::files;

/// Applies the batch of a proposal to the replica.
#[inline]
pub(crate) fn apply_batch(
    replica: &mut Replica,
    proposal: &Proposal,
    answer: bool,
) -> io::Result<Applied> {
    #[cfg(feature = "flaws")]
    if let Some(applied) = planted::apply_another_batch(replica, proposal, answer)? {
        return Ok(applied);
    }
    replica.apply_batch(proposal.round(), &proposal.batch(), answer)
}

/// The state that a node takes over from a snapshot.
#[inline]
pub(crate) fn state_of_snapshot(snapshot: &State) -> State {
    #[cfg(feature = "flaws")]
    if let Some(state) = planted::without_a_group(snapshot) {
        return state;
    }
    snapshot.clone()
}

/// What a group of the write-ahead log says is durable; `durable` is.
#[inline]
pub(crate) fn synced(durable: u64) -> u64 {
    #[cfg(feature = "flaws")]
    if planted::has(Flaw::SyncedTooHigh) {
        return durable + 1;
    }
    durable
}

/// What is written of a vote, or of a truncation.
#[inline]
pub(crate) fn records(records: Vec<Record>) -> Vec<Record> {
    #[cfg(feature = "flaws")]
    return records.into_iter().filter(|record| !planted::forgets(record)).collect();
    #[cfg(not(feature = "flaws"))]
    records
}

/// How many bytes of a segment are here: so many by the state, and so many in its file.
#[inline]
pub(crate) fn held(by_state: u64, in_file: impl FnOnce() -> u64) -> u64 {
    #[cfg(feature = "flaws")]
    if planted::has(Flaw::LongerSegmentsBelieved) {
        return in_file();
    }
    _ = in_file;
    by_state
}

/// What is written before a checkpoint that was taken at this entry: that it is raft-committed.
#[inline]
pub(crate) fn before_checkpoint(taken_at: Option<LogId>) -> Vec<Record> {
    #[cfg(feature = "flaws")]
    if planted::has(Flaw::PurgedTooEarly) {
        return taken_at.map(Record::Purged).into_iter().collect();
    }
    taken_at.map(Record::Committed).into_iter().collect()
}
