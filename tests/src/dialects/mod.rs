//! How operations become bytes, and replies become answers: one file for each protocol.
//!
//! A history has one form, whatever the protocol was ([`crate::history`]). So each dialect owns the
//! two ways between that form and its own.

pub mod json;
pub mod kafka;

use serde_json::Value;

/// How a request was answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Done; the reply's own fields.
    Ok(Value),
    /// Refused.
    Error {
        /// Maelstrom's code.
        code: u32,
        /// Kafka's name, where the node gives one.
        error: Option<String>,
    },
}
