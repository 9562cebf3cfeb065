//! Requests about Maelstrom's logs.

use state_machine::ids::{LogKey, Offset};
use state_machine::keyed_logs::command::{KeyedLogCommand, KeyedLogQuery};

use super::super::envelope::Fields;
use super::body::{Body, offset_number};
use super::{Decoded, LOG_COMMIT_OK, Result, command, query};

pub(super) fn commit_offsets(body: &Body<'_>) -> Result<Decoded> {
    command(LOG_COMMIT_OK, KeyedLogCommand::Commit { offsets: log_offsets(body)? })
}

pub(super) fn list_committed_offsets(body: &Body<'_>) -> Result<Decoded> {
    let keys: Vec<String> = Body::parse("keys", body.required("keys")?, "a list of strings")?;
    let keys = keys.into_iter().map(LogKey::from).collect();
    query("list_committed_offsets_ok", KeyedLogQuery::Committed { keys })
}

pub(super) fn log_offsets(body: &Body<'_>) -> Result<Vec<(LogKey, Offset)>> {
    let value = body.required("offsets")?;
    let fields: Fields<'_> = Body::parse("offsets", value, "an object of keys and offsets")?;
    let fields = fields.each().into_iter();
    fields.map(|(key, offset)| Ok((key.into(), offset_number("offsets", offset)?))).collect()
}
