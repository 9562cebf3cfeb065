//! A node of cohort: doors for clients, a service over Raft, messages to peers.
//!
//! The binary reads arguments and wires this to standard input and output; a simulator wires it to a
//! network of its own. Begin reading at [`node::run`].

pub mod api;
pub mod config;
mod coordinator;
pub mod deadlines;
pub mod door;
pub mod node;
mod open;
pub mod outbox;
pub mod peer;
pub mod planning;
mod round;
mod service;
mod streams;
mod window;
