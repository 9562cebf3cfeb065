//! What cohort replicates: topics and their records, groups, committed offsets, registers, and the
//! requests that were applied, as one pure state machine.
//!
//! The crate is a function. A state and a batch of commands go in; a new state, outcomes and events
//! come out. It knows no clock, no randomness, no input or output, no Raft and no wire format. Time
//! and ids come in as data ([`command::Stamp`], [`command::RequestId`]). It does not depend on
//! `raft-store`, whose folder it stands in: the store depends on it.
//!
//! Each domain has a folder: [`topics`], [`keyed_logs`], [`registers`], [`offsets`], [`groups`].
//! There stand its commands and queries (`command.rs`), its events (`event.rs`), its replies
//! (`reply.rs`), its part of the state, and one file a decision. The files of this folder put the
//! domains together, with one arm a domain. Begin reading at [`apply`].
//!
//! Types lie below decisions: a file that defines a replicated type imports no file that decides.
//! So [`state`] can be read without knowing any decision.

pub mod apply;
pub mod command;
pub mod dedup;
pub mod effort;
pub mod event;
pub mod groups;
pub mod ids;
pub mod invariants;
pub mod keyed_logs;
pub mod liveness;
pub mod offsets;
pub mod producers;
pub mod registers;
pub mod rejection;
pub mod reply;
pub mod state;
pub mod topics;
mod transition;
pub mod values;

pub use state::State;
