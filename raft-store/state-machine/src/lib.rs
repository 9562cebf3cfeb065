//! What cohort replicates: topics and their records, groups, committed offsets, registers, and the requests
//! already applied, as one pure state machine.
//!
//! The crate is a function from (state, batch of commands) to (state, outcomes, events). It deliberately
//! knows no clock, no randomness, no input or output, no Raft, no wire format: time and ids come in as data
//! ([`command::Stamp`], [`command::RequestId`]). Begin reading at [`apply`].

pub mod apply;
pub mod command;
pub mod dedup;
pub mod event;
pub mod groups;
pub mod ids;
pub mod invariants;
pub mod liveness;
pub mod offsets;
pub mod partitions;
mod registers;
pub mod reply;
pub mod state;
pub mod topics;

pub use state::State;
