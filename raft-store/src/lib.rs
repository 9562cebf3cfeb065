//! How the replicated state is kept: openraft's storage traits over [`state_machine`](::state_machine), the log, snapshots,
//! the byte form of what is replicated, the runtime that all of it runs on, and what a simulator attaches to a node.
//!
//! The crate knows openraft and nothing of requests, doors or messages.

pub mod codec;
mod disk;
pub mod experiment;
pub mod log_store;
pub mod runtime;
mod state_machine;
mod types;

pub use self::state_machine::{Riders, StateMachine};
pub use disk::{Disk, Storage};
pub use log_store::MemoryLog;
pub use types::{Applied, Proposal, Raft, RoundId, TypeConfig};
