//! A node of cohort: listeners for clients, a service over Raft, messages to peers.
//!
//! The binary reads arguments and wires this to standard input and output; a simulator wires it to
//! a network of its own. Begin reading at [`listeners::maelstrom::stdio::run`].

pub mod cluster;
pub mod config;
pub mod connections;
pub mod dev;
mod flaws;
pub mod limits;
pub mod listeners;
pub mod peers;
pub mod serve;
pub mod service;
mod slots;
