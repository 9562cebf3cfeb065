//! Kafka's requests and answers as operations of a history.
//!
//! A request may be several operations: a commit of five partitions is five. The table in
//! `docs/checkers.md`, "Kafka's requests as operations", is the form of them all, in a run of the
//! stage `wire` and in what `arena watch` writes. Names and fields are those of the JSON protocol
//! where it has them, so that a checker judges both.

pub mod understand;

use serde_json::Value;

use super::Answer;

/// One operation, as its request and the answer to it tell of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// Which: the first column of that table.
    pub f: &'static str,
    /// The request's fields.
    pub args: Value,
    /// How it was answered.
    pub answer: Answer,
}
