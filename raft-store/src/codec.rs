//! The one place that turns replicated values into bytes and back: between nodes, and for snapshots.
//!
//! The form is postcard's: compact, without field names, so both ends must be the same version. It is
//! wrapped by a version byte, which a reader of another version refuses. Bytes that are not of the form give
//! an error, never a panic, and never an allocation beyond their own length.

use serde::Serialize;
use serde::de::DeserializeOwned;
use state_machine::command::{Batch, Command, Query, Write};
use state_machine::reply::{Outcome, Reply, StoredBatch};
use thiserror::Error;

/// The version of the form; raised with every change of a replicated type.
const VERSION: u8 = 1;

/// Why bytes could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// Written by another version.
    #[error("form version {0:?}, expected {VERSION}")]
    Version(Option<u8>),
    /// Not of the form.
    #[error("malformed: {0}")]
    Malformed(#[from] postcard::Error),
    /// More than was expected.
    #[error("{0} bytes too many")]
    Trailing(usize),
}

/// Encodes a value.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    postcard::to_extend(value, vec![VERSION]).expect("our types always serialize: no unsized sequences")
}

/// Decodes a value.
///
/// # Errors
/// Where the bytes are of another version, malformed, or too many.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let Some((&VERSION, rest)) = bytes.split_first() else {
        return Err(DecodeError::Version(bytes.first().copied()));
    };
    let (value, rest) = postcard::take_from_bytes(rest)?;
    if rest.is_empty() { Ok(value) } else { Err(DecodeError::Trailing(rest.len())) }
}

/// About how many bytes a batch takes, without encoding it.
pub fn approximate_bytes(batch: &Batch) -> usize {
    batch.writes.iter().map(|write| command_bytes(&write.command)).sum::<usize>() + 64
}

/// About how many bytes a command takes in memory, which is more than in a message.
pub fn command_bytes(command: &Command) -> usize {
    // In memory a small command takes mostly what its own type and the allocator take.
    const BASE: usize = size_of::<Write>() + 96;
    BASE + match command {
        Command::LogSend { records, .. } | Command::Produce { records, .. } => records.bytes.len(),
        Command::RegisterWrite { key, value } => key.len() + value.text.len() + value.canonical.len(),
        Command::RegisterCas { key, from, to, .. } => {
            key.len() + from.len() + to.text.len() + to.canonical.len()
        }
        other => postcard::experimental::serialized_size(other).unwrap_or(BASE),
    }
}

/// About how many bytes a query takes.
pub fn query_bytes(query: &Query) -> usize {
    const BASE: usize = 48;
    BASE + match query {
        Query::LogPoll { offsets } => offsets.iter().map(|(key, _)| key.as_str().len() + 16).sum(),
        Query::LogCommitted { keys } => keys.iter().map(|key| key.as_str().len() + 8).sum(),
        _ => BASE,
    }
}

/// About how many bytes an outcome takes.
pub fn outcome_bytes(outcome: &Outcome) -> usize {
    const BASE: usize = 32;
    let batches = |batches: &[StoredBatch]| batches.iter().map(|b| b.bytes.len() + BASE).sum::<usize>();
    BASE + match outcome {
        Ok(Reply::Done | Reply::Appended { .. }) => 0,
        Ok(Reply::Fetched { batches: found, .. }) => batches(found),
        Ok(Reply::LogMessages(logs)) => {
            logs.iter().map(|(key, found)| key.as_str().len() + batches(found)).sum()
        }
        other => postcard::experimental::serialized_size(other).unwrap_or(BASE),
    }
}
