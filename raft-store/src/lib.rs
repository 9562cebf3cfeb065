//! How the replicated state is kept: openraft's storage traits over [`state_machine`], the log, snapshots, the byte
//! form of what is replicated, and what a simulator attaches to a node.
//!
//! The crate knows openraft and nothing of requests, listeners or messages. Two crates lie in its folder and do not depend
//! on it: `runtime` (clock, randomness, tasks) and `state-machine` (what is replicated).

pub mod codec;
pub mod experiment;
mod raft;
mod storage;

pub use raft::{Applied, BatchedReads, MemoryLog, Proposal, Raft, RoundId, StateMachine, TypeConfig};
pub use storage::{Disk, Storage};
