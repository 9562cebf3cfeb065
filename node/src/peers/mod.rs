//! Nodes among themselves: what they say ([`message`]), what carries it ([`transport`]), and
//! openraft's network over that ([`rpc`], [`snapshots`]); how long the way there and back takes
//! ([`round_trips`]).

pub mod message;
pub mod round_trips;
pub mod rpc;
pub mod snapshots;
pub mod transport;
