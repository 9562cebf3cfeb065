//! How the replicated state is kept: openraft's storage traits over [`state_machine`].
//!
//! Two crates lie in this folder and do not depend on this one: `runtime/` (clock, randomness,
//! tasks, simulated machines) and `state-machine/` (what is replicated). This crate builds on
//! both.
//!
//! | module | what it owns |
//! | --- | --- |
//! | `raft` | what openraft sees: the types of the log, the log, the state machine |
//! | `storage` | what a node starts with, and its data folder |
//! | [`transfer`] | a checkpoint on its way to another node |
//! | `wal` | the write-ahead log |
//! | [`records`] | the bytes of records, which the state knows only by their places |
//! | `checkpoint` | what a snapshot holds: a state with its records |
//! | [`codec`] | the byte form of what is replicated |
//! | [`compaction`] | when the log is cut short |
//! | [`limits`] | every bound of this crate |
//! | [`observe`] | who is told what a node does |
//! | `flaws` | hooks for planted bugs, which exist only with the feature `flaws` |
//!
//! The crate knows openraft. It does not know requests, listeners or messages.

mod checkpoint;
pub mod codec;
pub mod compaction;
#[cfg(feature = "flaws")]
pub mod flaws;
#[cfg(not(feature = "flaws"))]
mod flaws;
pub mod limits;
pub mod observe;
mod raft;
pub mod records;
mod storage;
pub mod transfer;
mod wal;

pub use checkpoint::Checkpoint;
pub use raft::{Applied, BatchedReads, Proposal, Raft, RaftLog, RoundId, StateMachine, TypeConfig};
pub use storage::{BadCheckpoint, BadIdentity, Identity, Inspected, OpenError, Storage, inspect};
pub use wal::writer::WalSizes;
