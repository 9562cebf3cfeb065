//! The cluster as one node sees it: who belongs to it ([`members`]), and which incarnation of each
//! peer it listens to ([`incarnations`]).
//!
//! Pure. It knows no Raft and no wire format.

pub mod incarnations;
pub mod members;
