//! The way of lines from node to node.

pub mod net;
