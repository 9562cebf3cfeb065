//! Doors: where clients come in. Each owns its wire format and its table of error codes, and speaks
//! [`api`](crate::service::api) inwards. Doors know no Raft.

pub mod maelstrom;
