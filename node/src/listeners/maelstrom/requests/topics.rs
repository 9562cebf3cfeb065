//! Requests about topics and their records, and `send`, which also serves Maelstrom's logs.

use state_machine::command::Command;
use state_machine::keyed_logs::command::KeyedLogCommand;
use state_machine::topics::command::{TopicCommand, TopicQuery};
use state_machine::topics::placement::{Placement, murmur2};
use state_machine::topics::sequences::Sequence;
use state_machine::values::Records;

use super::super::json;
use super::super::records::Encoder;
use super::body::{Body, check_key, check_value, partition_number};
use super::{Decoded, ReplyShape, Result, command, shape};
use crate::config::Config;
use crate::service::api::Request;

/// So many messages are fetched where no number is named.
const DEFAULT_FETCH_MESSAGES: u32 = 1_000;

pub(super) fn send(body: &Body<'_>, config: &Config, encoder: &mut Encoder) -> Result<Decoded> {
    let request: Command = if body.either("msg", "message")? == "msg" {
        let key = body.string("key")?;
        check_key("key", &key)?;
        KeyedLogCommand::Send {
            key: key.into(),
            records: message(encoder, None, "msg", body.any("msg")?)?,
        }
        .into()
    } else {
        let key: Option<String> =
            body.optional("key", |v| Body::parse("key", v, "a string or null"))?;
        let partition = body.optional("partition", |v| partition_number("partition", v))?;
        let placement = match (&key, partition) {
            (_, Some(partition)) => Placement::Partition(partition),
            (Some(key), None) => Placement::Key(murmur2(key.as_bytes())),
            (None, None) => Placement::Next,
        };
        let records = message(encoder, key.as_deref(), "message", body.any("message")?)?;
        if let Some(sequence) = sequence(body)? {
            return append(body, sequence, records, key.is_none());
        }
        let new_topic_partitions = config.default_partitions;
        TopicCommand::Produce {
            topic: body.topic_or_default()?,
            placement,
            new_topic_partitions,
            records,
        }
        .into()
    };
    command("send_ok", request)
}

/// What an idempotent producer says of its record, if one sends it.
fn sequence(body: &Body<'_>) -> Result<Option<Sequence>> {
    let names = ["producer_id", "producer_epoch", "sequence"];
    if names.iter().all(|name| body.0.get(name).is_none()) {
        return Ok(None);
    }
    let [id, epoch, first] = names;
    let id: i64 = Body::integer(id, body.required(id)?, 0, i64::MAX)?;
    let epoch = Body::integer(epoch, body.required(epoch)?, 0, i16::MAX as u16)?;
    let first = Body::integer(first, body.required(first)?, 0, i32::MAX as u32)?;
    Ok(Some(Sequence::new(id.unsigned_abs(), epoch, first, 1)))
}

/// Appends the record of an idempotent producer. Its numbers count in one partition, so it names
/// that, and the topic is there already.
fn append(body: &Body<'_>, sequence: Sequence, records: Records, keyless: bool) -> Result<Decoded> {
    let (topic, partition) = (body.topic_or_default()?, body.partition()?);
    let (sequence, max_bytes) = (Some(sequence), u32::MAX);
    let append = TopicCommand::Append { topic, partition, sequence, records, keyless, max_bytes };
    let shape = ReplyShape { ok: "send_ok", partition: Some(partition) };
    Ok(Decoded::Service(Request::Command(append.into()), shape))
}

pub(super) fn create_topic(body: &Body<'_>) -> Result<Decoded> {
    let (topic, partitions) = (body.topic()?, body.partition_count()?);
    command("create_topic_ok", TopicCommand::create(topic, partitions))
}

pub(super) fn create_partitions(body: &Body<'_>) -> Result<Decoded> {
    let (topic, partitions) = (body.topic()?, body.partition_count()?);
    command("create_partitions_ok", TopicCommand::Grow { topic, partitions })
}

pub(super) fn delete_topic(body: &Body<'_>) -> Result<Decoded> {
    command("delete_topic_ok", TopicCommand::Delete { topic: body.topic()? })
}

pub(super) fn delete_records(body: &Body<'_>) -> Result<Decoded> {
    let (topic, partition, before) = (body.topic()?, body.partition()?, body.offset()?);
    command("delete_records_ok", TopicCommand::Trim { topic, partition, before })
}

pub(super) fn fetch(body: &Body<'_>) -> Result<Decoded> {
    let (topic, partition, offset) = (body.topic()?, body.partition()?, body.offset()?);
    let max_messages = body.max_messages(DEFAULT_FETCH_MESSAGES)?;
    let fetch = TopicQuery::Fetch { topic, partition, offset, max_messages };
    Ok(Decoded::Service(Request::Query(fetch.into()), shape("fetch_ok")))
}

fn message(encoder: &mut Encoder, key: Option<&str>, name: &str, text: &str) -> Result<Records> {
    check_value(name, text)?;
    if let Some(key) = key {
        check_key("key", key)?;
    }
    Ok(encoder.encode(key, &json::one_line(text)))
}
