//! Hooks for planted bugs of the service. Each hook is named for what it changes, and usually
//! changes nothing.
//!
//! What planted bugs are for, [`raft_store`]'s module of the same name says. They need the feature
//! `flaws`, which only the arena switches on. Without it the module `planted` is not compiled, and
//! each hook is the one line that production runs.
//!
//! A file of production calls at most one hook, and calls it in every build.

use raft_store::{Proposal, StateMachine};
use state_machine::command::Query;

use crate::service::api::RequestNumber;
use crate::service::round::End;

#[cfg(feature = "flaws")]
mod planted;

/// The deadlines that a leader keeps. A planted bug wraps them.
#[cfg(not(feature = "flaws"))]
pub(crate) use crate::service::deadlines::Deadlines;
#[cfg(feature = "flaws")]
pub(crate) use planted::Deadlines;

/// What `cohort --version` says. A build that can have planted bugs says so.
#[cfg(not(feature = "flaws"))]
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
#[cfg(feature = "flaws")]
pub(crate) use planted::VERSION;

/// How a round ends. `proposal` is what the round proposes, or `None` if it has reads alone.
#[inline]
pub(crate) fn round_end(machine: &StateMachine, proposal: Option<&Proposal>, end: End) -> End {
    #[cfg(feature = "flaws")]
    return planted::round_end(machine, proposal, end);
    #[cfg(not(feature = "flaws"))]
    {
        _ = (machine, proposal);
        end
    }
}

/// After which command of its client a read is not executed any more.
#[inline]
pub(crate) fn overtaken_by(later: Option<RequestNumber>) -> Option<RequestNumber> {
    #[cfg(feature = "flaws")]
    return planted::overtaken_by(later);
    #[cfg(not(feature = "flaws"))]
    later
}

/// How many bytes of what a follower's reads found are remembered.
#[inline]
pub(crate) fn remembered_reads(bytes: usize) -> usize {
    #[cfg(feature = "flaws")]
    return planted::remembered_reads(bytes);
    #[cfg(not(feature = "flaws"))]
    bytes
}

/// Whether a leader goes on sending, where it is known whether a quorum answers it.
#[inline]
pub(crate) fn is_heard(heard: bool) -> bool {
    #[cfg(feature = "flaws")]
    return planted::is_heard(heard);
    #[cfg(not(feature = "flaws"))]
    heard
}

/// Kafka's error code for a batch that was refused.
#[inline]
pub(crate) fn refused_batch(code: i16) -> i16 {
    #[cfg(feature = "flaws")]
    return planted::refused_batch(code);
    #[cfg(not(feature = "flaws"))]
    code
}

/// From where a query reads, in a node that has proposed this many rounds.
#[inline]
pub(crate) fn read_position(query: Query, rounds: u64) -> Query {
    #[cfg(feature = "flaws")]
    return planted::read_position(query, rounds);
    #[cfg(not(feature = "flaws"))]
    {
        _ = rounds;
        query
    }
}
