//! Listeners: where clients come in.
//!
//! Each owns a wire format and its table of error codes. It is given the
//! [configuration](crate::config::Config) and a [`Handle`](crate::service::handle::Handle) of the
//! service, opens a connection there, and owes its clients their replies in order ([`ordered`]).
//! Listeners know no Raft.

pub mod admin;
pub mod kafka;
pub mod maelstrom;
pub mod ordered;
