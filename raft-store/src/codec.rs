//! The one place that turns replicated values into bytes and back: between nodes, and for
//! snapshots.
//!
//! The form is postcard's: compact, without field names, so both ends must be the same version. A
//! version byte comes first, and a reader of another version refuses it. Bytes that are not of the
//! form give an error, never a panic, and never an allocation beyond their own length.
//!
//! The functions `*_bytes` say about how large a value is, without encoding it. Bounds of memory
//! and of messages are checked with them.

use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;
use state_machine::command::{Batch, Command, Query};
use state_machine::keyed_logs::command::KeyedLogQuery;
use state_machine::keyed_logs::reply::KeyedLogReply;
use state_machine::offsets::command::OffsetCommand;
use state_machine::registers::command::RegisterCommand;
use state_machine::reply::{Outcome, Reply};
use state_machine::topics::reply::TopicReply;
use state_machine::values::Found;
use thiserror::Error;

use crate::limits::{
    BATCH_BYTES, COMMAND_BYTES, OUTCOME_BYTES, QUERY_BYTES, QUERY_KEY_BYTES, QUERY_OFFSET_BYTES,
};
use crate::records::batch::NoBatch;

/// The version of the form; raised with every change of a replicated type.
pub const VERSION: u8 = 9;

/// Why bytes could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// Written by another version.
    #[error("form version {0:?}, expected {VERSION}")]
    Version(Option<u8>),
    /// Not of the form.
    #[error("malformed: {0}")]
    Malformed(#[from] postcard::Error),
    /// Records that are not as the state says.
    #[error("records: {0}")]
    Records(String),
    /// More than was expected.
    #[error("{0} bytes too many")]
    Trailing(usize),
}

/// Encodes a value.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    encode_behind(Vec::new(), value)
}

/// Encodes a value behind what the buffer has. Who knows about how large it will be makes room for
/// it, and no byte is copied twice.
pub fn encode_behind<T: Serialize + ?Sized>(mut buffer: Vec<u8>, value: &T) -> Vec<u8> {
    buffer.push(VERSION);
    let encoded = postcard::serialize_with_flavor(value, Appended(buffer));
    encoded.expect("our types always serialize: no unsized sequences")
}

/// Where postcard writes to. Its own, over any `Extend`, goes byte by byte.
struct Appended(Vec<u8>);

impl Flavor for Appended {
    type Output = Vec<u8>;

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<Vec<u8>> {
        Ok(self.0)
    }
}

/// Decodes a value.
///
/// # Errors
/// Where the bytes are of another version, malformed, or too many.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let (value, rest) = decode_first(bytes)?;
    if rest.is_empty() { Ok(value) } else { Err(DecodeError::Trailing(rest.len())) }
}

/// Decodes a value and gives what stands behind it.
pub(crate) fn decode_first<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, &[u8]), DecodeError> {
    let Some((&VERSION, rest)) = bytes.split_first() else {
        return Err(DecodeError::Version(bytes.first().copied()));
    };
    Ok(postcard::take_from_bytes(rest)?)
}

impl From<NoBatch> for DecodeError {
    fn from(problem: NoBatch) -> Self {
        Self::Records(problem.to_string())
    }
}

/// About how many bytes a batch takes, without encoding it.
pub fn approximate_bytes(batch: &Batch) -> usize {
    batch.writes.iter().map(|write| command_bytes(&write.command)).sum::<usize>() + BATCH_BYTES
}

/// About how many bytes a command takes in memory, which is more than in a message.
pub fn command_bytes(command: &Command) -> usize {
    if let Some(records) = command.records() {
        return COMMAND_BYTES + records.bytes.len();
    }
    COMMAND_BYTES
        + match command {
            Command::Register(RegisterCommand::Write { key, value }) => {
                key.len() + value.text.len() + value.canonical.len()
            }
            Command::Register(RegisterCommand::Cas { key, from, to, .. }) => {
                key.len() + from.len() + to.text.len() + to.canonical.len()
            }
            Command::Offset(OffsetCommand::Commit { commit, fence }) => {
                let member = fence.as_ref().and_then(|fence| fence.member_id.as_ref());
                commit.group.as_str().len()
                    + commit.topic.as_str().len()
                    + commit.metadata.as_ref().map_or(0, |text| text.len())
                    + member.map_or(0, |id| id.as_str().len())
            }
            other => postcard::experimental::serialized_size(other).unwrap_or(COMMAND_BYTES),
        }
}

/// About how many bytes a query takes.
pub fn query_bytes(query: &Query) -> usize {
    let key_bytes = |key: &str| key.len() + QUERY_KEY_BYTES;
    QUERY_BYTES
        + match query {
            Query::KeyedLog(KeyedLogQuery::Poll { offsets }) => {
                offsets.iter().map(|(key, _)| key_bytes(key.as_str()) + QUERY_OFFSET_BYTES).sum()
            }
            Query::KeyedLog(KeyedLogQuery::Committed { keys }) => {
                keys.iter().map(|key| key_bytes(key.as_str())).sum()
            }
            _ => QUERY_BYTES,
        }
}

/// About how many bytes an outcome takes.
pub fn outcome_bytes(outcome: &Outcome) -> usize {
    let batches = |found: &Found| {
        found.batches.iter().map(|b| b.bytes.len() + OUTCOME_BYTES).sum::<usize>() + OUTCOME_BYTES
    };
    OUTCOME_BYTES
        + match outcome {
            Ok(
                Reply::Done
                | Reply::Topic(TopicReply::Appended { .. } | TopicReply::Produced { .. })
                | Reply::KeyedLog(KeyedLogReply::Appended { .. }),
            ) => 0,
            Ok(Reply::Topic(TopicReply::Fetched { found, .. })) => batches(found),
            Ok(Reply::Topic(TopicReply::Read(parts))) => {
                let found = |part| OUTCOME_BYTES + batches(part);
                parts.iter().flatten().map(|part| found(&part.found)).sum()
            }
            Ok(Reply::KeyedLog(KeyedLogReply::Messages(logs))) => {
                logs.iter().map(|(key, found)| key.as_str().len() + batches(found)).sum()
            }
            other => postcard::experimental::serialized_size(other).unwrap_or(OUTCOME_BYTES),
        }
}
