//! Requests about committed offsets.

use state_machine::offsets::command::{OffsetCommand, OffsetQuery};

use super::body::Body;
use super::{Decoded, Result, command, query};

pub(super) fn commit_offset(body: &Body<'_>) -> Result<Decoded> {
    let commit = body.commit(body.topic()?)?;
    command("commit_offset_ok", OffsetCommand::Commit { commit, fence: body.fence()? })
}

pub(super) fn fetch_offset(body: &Body<'_>) -> Result<Decoded> {
    let (group, topic, partition) = (body.group()?, body.topic()?, body.partition()?);
    query("fetch_offset_ok", OffsetQuery::Fetch { group, topic, partition })
}

pub(super) fn commit(body: &Body<'_>) -> Result<Decoded> {
    let commit = body.commit(body.topic_or_default()?)?;
    let commit = if body.consumer_field().is_some() {
        OffsetCommand::PollingCommit {
            commit,
            member: body.consumer()?,
            generation: body.generation()?,
        }
    } else {
        OffsetCommand::Commit { commit, fence: body.fence()? }
    };
    command("commit_ok", commit)
}

pub(super) fn delete_offsets(body: &Body<'_>) -> Result<Decoded> {
    let (group, topic) = (body.group()?, body.topic()?);
    let partitions = body.optional("partitions", |value| Body::partitions("partitions", value))?;
    command("delete_offsets_ok", OffsetCommand::Delete { group, topic, partitions })
}
