//! Nodes among themselves: what they say ([`message`]), what carries it ([`transport`], and over
//! sockets [`tcp`]), and openraft's network over that ([`rpc`], [`snapshots`]); whom a node listens
//! to (`listening`); how long the way there and back takes ([`round_trips`]), and whether a quorum
//! answers ([`quorum`]); which news of commits need a message of their own (`commits`), and how
//! long calls wait (`patience`); who stands for election while another does ([`campaigns`]).

pub mod appends;
mod campaigns;
mod commits;
mod listening;
pub mod message;
mod patience;
pub mod quorum;
pub mod round_trips;
pub mod rpc;
pub mod snapshots;
pub mod tcp;
pub mod transport;
