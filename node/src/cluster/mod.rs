//! The cluster as one node sees it: who belongs to it ([`members`]), where they listen for each
//! other ([`addresses`]), which of them are up ([`directory`]), and which incarnation of each peer
//! it listens to ([`incarnations`]).
//!
//! It knows no Raft and no wire format.

pub mod addresses;
pub mod directory;
pub mod incarnations;
pub mod members;
