//! The cluster as one node sees it: who belongs to it ([`members`]), where they listen for each
//! other ([`addresses`]), which of them are up ([`directory`]), which incarnation of each peer it
//! listens to ([`incarnations`]), and what all of them know and nobody else ([`secret`]).
//!
//! It knows no Raft and no wire format.

pub mod addresses;
pub mod directory;
pub mod incarnations;
pub mod members;
pub mod secret;
