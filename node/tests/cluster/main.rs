//! Three real nodes, end to end: catching up by snapshot, order through a follower, lost memory,
//! and groups whose members speak to every node.

mod catch_up;
mod groups;
mod network;
