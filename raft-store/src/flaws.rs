//! Hooks for planted bugs. Each hook is named for what it changes, and usually changes nothing.
//!
//! The arena has to find the bugs of a node. To prove that it does, bugs are planted in the node
//! on purpose: see `planted::Flaw` for the list. They need the feature `flaws`, which only
//! the arena switches on. Without it the module `planted` is not compiled, and each hook is the
//! one line that production runs.
//!
//! A file of production calls at most one hook, and calls it in every build.

use state_machine::State;

use crate::raft::replica::Replica;
use crate::raft::types::{Applied, Proposal};
use crate::storage::disk::{Waiter, Write};

#[cfg(feature = "flaws")]
mod planted;
#[cfg(feature = "flaws")]
pub use planted::{Flaw, attach, has, preview, recall, remember};

/// Applies the batch of a proposal to the replica.
#[inline]
pub(crate) fn apply_batch(replica: &mut Replica, proposal: &Proposal, answer: bool) -> Applied {
    #[cfg(feature = "flaws")]
    if let Some(applied) = planted::apply_another_batch(replica, proposal, answer) {
        return applied;
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

/// What a disk is to write, and who waits until that is durable. `None`: nothing is written.
#[inline]
pub(crate) fn disk_write(write: Write, waiter: Waiter) -> Option<(Write, Waiter)> {
    #[cfg(feature = "flaws")]
    return planted::unreliable_write(write, waiter);
    #[cfg(not(feature = "flaws"))]
    Some((write, waiter))
}
