//! What happened in a run: every operation with its invocation and its completion, and every fault.
//!
//! A history is a file of JSON objects, one a line: first a [`Header`], then [`Op`]s and [`Fault`]s
//! in the order of their completion or end. It is all that a history checker sees, whether the
//! arena recorded it or somebody else did. This module owns the form and its reading and writing;
//! it knows nothing of workloads, stages or properties.

use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Microseconds since the start of the run, on the arena's own clock (virtual in the simulator).
pub type Micros = u64;

/// First line of a history: what was run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Version of this form; 1.
    pub arena: u32,
    /// `kafka`, `lin-kv`, `offsets`, `groups` or `classic`.
    pub workload: String,
    /// `real` or `sim`.
    pub stage: String,
    /// Names of the nodes, in order.
    pub nodes: Vec<String>,
    /// The seed that drew schedules and operations.
    pub seed: u64,
    /// When the faults had ended and the final phase (recovery, drain of all logs) began.
    #[serde(default)]
    pub heal_us: Option<Micros>,
    /// What a checker may need of the workload's set-up, such as `session_timeout_ms`, `strategy`.
    #[serde(default)]
    pub config: Value,
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It took effect, and `result` is its reply.
    Ok,
    /// It certainly took no effect.
    Fail,
    /// It may have taken effect, or may do so at any later time (no reply, or an indefinite error).
    Info,
}

/// One operation of one client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Op {
    /// Unique in the history, in the order of invocation.
    pub id: u64,
    /// The logical process (a client; after `info` a client goes on as a new process).
    pub process: String,
    /// The node that it was sent to.
    pub node: String,
    /// The request's `type` in the JSON protocol: `send`, `poll`, `cas`, `join_group`, …
    pub f: String,
    /// The request's body without `type` and `msg_id`.
    pub args: Value,
    /// When it was sent.
    pub invoke_us: Micros,
    /// When its reply came or it was given up; `None` if the run ended first.
    pub complete_us: Option<Micros>,
    /// How it ended.
    pub outcome: Outcome,
    /// The reply's body without `type`, `in_reply_to` and `msg_id`, where `outcome` is `ok`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// The error's code, where the reply was an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u32>,
    /// Kafka's name of the error, where the reply was an error (`ILLEGAL_GENERATION`, …).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Op {
    /// Whether no node was asked: it is what an application says, or what was done to it.
    #[must_use]
    pub fn is_said(&self) -> bool {
        self.f.starts_with("app_")
    }

    /// Whether somebody decided: it was done, or refused for what the state says (no such key,
    /// another value). A node can refuse what it does not understand by itself.
    #[must_use]
    pub fn is_decided(&self) -> bool {
        self.outcome == Outcome::Ok
            || self.outcome == Outcome::Fail && matches!(self.code, Some(20..=22))
    }
}

/// One fault, from its beginning to its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// The nemesis: `partition`, `pause`, `kill`, …
    pub fault: String,
    /// What it did to whom, for people.
    pub detail: String,
    /// When it began.
    pub from_us: Micros,
    /// When it ended; `None` if it lasted.
    pub to_us: Option<Micros>,
}

/// A line of a history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Line {
    /// The first line.
    Header(Header),
    /// An operation.
    Op(Op),
    /// A fault.
    Fault(Fault),
}

/// A whole history in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// What was run.
    pub header: Header,
    /// In the order of their `id`.
    pub ops: Vec<Op>,
    /// In the order of their beginning.
    pub faults: Vec<Fault>,
}

/// Why a history could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file could not be read.
    #[error("cannot read the history: {0}")]
    Io(#[from] io::Error),
    /// A line is neither header, operation nor fault.
    #[error("line {line}: {source}; expected a header, an operation or a fault: {text:.200}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What the JSON reader said.
        source: serde_json::Error,
        /// The line.
        text: String,
    },
    /// There is no header, or more than one.
    #[error("expected exactly one header line (an object with `arena` and `workload`), found {0}")]
    Headers(usize),
}

impl History {
    /// Reads a history.
    ///
    /// # Errors
    /// Where the input ends early, a line has another form, or there is not exactly one header.
    pub fn read(input: impl BufRead) -> Result<Self, ReadError> {
        let (mut headers, mut ops, mut faults) = (Vec::new(), Vec::new(), Vec::new());
        for (i, text) in input.lines().enumerate() {
            let text = text?;
            if text.trim().is_empty() {
                continue;
            }
            match serde_json::from_str(&text) {
                Ok(Line::Header(header)) => headers.push(header),
                Ok(Line::Op(op)) => ops.push(op),
                Ok(Line::Fault(fault)) => faults.push(fault),
                Err(source) => return Err(ReadError::Line { line: i + 1, source, text }),
            }
        }
        let count = headers.len();
        let Some(header) = headers.pop().filter(|_| count == 1) else {
            return Err(ReadError::Headers(count));
        };
        ops.sort_by_key(|op: &Op| op.id);
        faults.sort_by_key(|fault: &Fault| fault.from_us);
        Ok(Self { header, ops, faults })
    }

    /// Writes the history, header first.
    ///
    /// # Errors
    /// Where the output cannot be written.
    pub fn write(&self, mut output: impl Write) -> io::Result<()> {
        let mut line = |value: String| writeln!(output, "{value}");
        line(serde_json::to_string(&self.header)?)?;
        for op in &self.ops {
            line(serde_json::to_string(op)?)?;
        }
        for fault in &self.faults {
            line(serde_json::to_string(fault)?)?;
        }
        Ok(())
    }
}
