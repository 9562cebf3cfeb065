//! How the replicated state is kept: openraft's storage traits over [`state_machine`].
//!
//! Two crates lie in this folder and do not depend on this one: `runtime/` (clock, randomness,
//! tasks, simulated machines) and `state-machine/` (what is replicated). This crate builds on
//! both.
//!
//! | module | what it owns |
//! | --- | --- |
//! | `raft` | what openraft sees: the types of the log, the log, the state machine |
//! | `storage` | what a node starts with, and the simulated disk |
//! | [`codec`] | the byte form of what is replicated |
//! | [`compaction`] | when the log is cut short |
//! | [`limits`] | every bound of this crate |
//! | [`observe`] | who is told what a node does |
//! | `flaws` | hooks for planted bugs, which exist only with the feature `flaws` |
//!
//! The crate knows openraft. It does not know requests, listeners or messages.

pub mod codec;
pub mod compaction;
#[cfg(feature = "flaws")]
pub mod flaws;
#[cfg(not(feature = "flaws"))]
mod flaws;
pub mod limits;
pub mod observe;
mod raft;
mod storage;

pub use raft::{
    Applied, BatchedReads, MemoryLog, Proposal, Raft, RoundId, StateMachine, TypeConfig,
};
pub use storage::{Disk, Storage};
