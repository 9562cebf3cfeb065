//! How operations become bytes, and replies become answers: one file for each protocol.

pub mod json;
