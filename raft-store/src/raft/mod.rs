//! What openraft sees of cohort: the types of its log, the log itself, and the state machine that entries are applied to.

mod applier;
mod log;
mod types;

pub use applier::{BatchedReads, StateMachine};
pub(crate) use log::Log;
pub use log::MemoryLog;
pub use types::{Applied, Proposal, Raft, RoundId, TypeConfig};
