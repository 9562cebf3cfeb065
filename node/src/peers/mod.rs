//! Nodes among themselves: what they say ([`message`]), what carries it ([`transport`]), and openraft's network over
//! that ([`rpc`], [`snapshots`]).

pub mod message;
pub mod rpc;
pub mod snapshots;
pub mod transport;
