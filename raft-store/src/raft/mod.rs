//! What openraft sees of cohort.
//!
//! openraft asks for three things: the `types` of what is replicated, a `log` that keeps entries,
//! and a state machine to apply them to (`applier`). The log keeps plain `Entries`, and the state
//! machine a plain `Replica`. Both do their work without openraft's traits.

pub(crate) mod applier;
pub(crate) mod convert;
pub(crate) mod entries;
pub(crate) mod log;
pub(crate) mod replica;
pub(crate) mod types;

pub use applier::StateMachine;
pub use log::RaftLog;
pub use replica::BatchedReads;
pub use types::{Applied, Proposal, RoundId, TypeConfig};

/// A Raft node of cohort.
pub type Raft = openraft::Raft<TypeConfig, StateMachine>;
