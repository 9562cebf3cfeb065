//! From a body's fields to a request: names, types, ranges, defaults. Everything that is wrong with a
//! request on its own is found here, and named.

use std::borrow::Cow;
use std::str::FromStr;
use std::sync::Arc;

use serde::Deserialize;

use super::envelope::{Fields, Text};
use super::errors::BadRequest;
use super::json;
use super::records::Encoder;
use crate::config::{Bounds, Config};
use crate::limits;
use crate::listeners::maelstrom::calculators::{self, CalculatorError};
use crate::service::api::Request;
use state_machine::command::{Command, Query};
use state_machine::groups::classic::command::{ClassicCommand, JoinInfo, Protocol};
use state_machine::groups::command::{GroupCommand, GroupQuery};
use state_machine::groups::polling::command::{PollingCommand, Subscription};
use state_machine::ids::{
    Generation, GroupId, InstanceId, LogKey, MAX_NAME_LEN, MemberId, Offset, PartitionId, ProtocolName,
    TopicName,
};
use state_machine::keyed_logs::command::{KeyedLogCommand, KeyedLogQuery};
use state_machine::offsets::command::{Fence, OffsetCommand, OffsetCommit, OffsetQuery};
use state_machine::registers::command::{RegisterCommand, RegisterQuery};
use state_machine::registers::register::RegisterValue;
use state_machine::topics::command::{TopicCommand, TopicQuery};
use state_machine::topics::placement::{Placement, murmur2};
use state_machine::topics::topic::MAX_PARTITIONS;
use state_machine::values::{Records, TopicPartitions};

/// The topic where none is named.
const DEFAULT_TOPIC: &str = "default";
/// The strategies that the coordinator can run.
const STRATEGIES: [&str; 4] = ["range", "roundrobin", "sticky", "cooperative-sticky"];

const DEFAULT_SESSION_TIMEOUT_MS: i64 = 45_000;
const DEFAULT_REBALANCE_TIMEOUT_MS: i64 = 300_000;
const DEFAULT_POLL_MESSAGES: u32 = 10;
const DEFAULT_FETCH_MESSAGES: u32 = 1_000;

/// How the reply to a request is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyShape {
    /// The reply's type.
    pub ok: &'static str,
    /// The first offset asked for, where a reply's batches may begin before it.
    pub from: Offset,
}

impl ReplyShape {
    /// Whether it is the reply to a commit in Maelstrom's logs.
    pub fn is_log_commit(self) -> bool {
        self.ok == LOG_COMMIT_OK
    }
}

/// The reply to a commit in Maelstrom's logs.
const LOG_COMMIT_OK: &str = "commit_offsets_ok";

/// What a body asks for.
#[derive(Debug)]
pub enum Decoded {
    /// Its own text back.
    Echo(String),
    /// Nothing.
    Topology,
    /// What this node knows.
    Status,
    /// Something that has been reckoned already: a type and the reply's fields.
    Computed(&'static str, String),
    /// The service.
    Service(Request, ReplyShape),
}

type Result<T> = std::result::Result<T, BadRequest>;

fn invalid<T>(text: String) -> Result<T> {
    Err(BadRequest::Invalid(text))
}

/// At most 100 characters of a value, for an error's text.
fn shown(value: &str) -> String {
    match value.char_indices().nth(100) {
        Some((at, _)) => format!("{}…", &value[..at]),
        None => value.to_owned(),
    }
}

/// Reads one body's fields.
struct Body<'a>(&'a Fields<'a>);

impl<'a> Body<'a> {
    fn required(&self, name: &str) -> Result<&'a str> {
        self.0.get(name).ok_or_else(|| BadRequest::Invalid(format!("field `{name}` is missing")))
    }

    fn parse<T: Deserialize<'a>>(name: &str, value: &'a str, expected: &str) -> Result<T> {
        serde_json::from_str(value).or_else(|_| Self::unexpected(name, value, expected))
    }

    fn unexpected<T>(name: &str, value: &str, expected: &str) -> Result<T> {
        invalid(format!("field `{name}` is {}, expected {expected}", shown(value)))
    }

    fn integer<T: TryFrom<i64> + PartialOrd + std::fmt::Display>(
        name: &str,
        value: &str,
        min: T,
        max: T,
    ) -> Result<T> {
        let number = i64::from_str(value).ok().and_then(|n| T::try_from(n).ok());
        number.filter(|n| *n >= min && *n <= max).ok_or_else(|| {
            BadRequest::Invalid(format!(
                "field `{name}` is {}, expected an integer from {min} to {max}",
                shown(value)
            ))
        })
    }

    fn optional<T>(&self, name: &str, read: impl FnOnce(&'a str) -> Result<T>) -> Result<Option<T>> {
        self.0.get(name).map(read).transpose()
    }

    fn text(name: &str, value: &'a str, expected: &str) -> Result<Cow<'a, str>> {
        Text::of(value).map_or_else(|| Self::unexpected(name, value, expected), |text| Ok(text.0))
    }

    fn string(&self, name: &str) -> Result<Cow<'a, str>> {
        Self::text(name, self.required(name)?, "a string")
    }

    fn name(field: &str, value: &'a str) -> Result<Cow<'a, str>> {
        let expected = "a string of 1 to 249 characters";
        let name = Self::text(field, value, expected)?;
        if name.is_empty() || name.chars().count() > MAX_NAME_LEN {
            return invalid(format!("field `{field}` is {}, expected {expected}", shown(value)));
        }
        Ok(name)
    }

    fn group(&self) -> Result<GroupId> {
        let field = if self.0.get("group").is_some() { "group" } else { "group_id" };
        let value =
            self.0.get(field).ok_or_else(|| BadRequest::Invalid("field `group` is missing".to_owned()))?;
        let name = Self::text(field, value, "a string of 1 to 249 characters")?;
        if name.is_empty() || name.chars().count() > MAX_NAME_LEN {
            let text =
                format!("field `{field}` is {}, expected a string of 1 to 249 characters", shown(value));
            return Err(BadRequest::InvalidGroupId(text));
        }
        Ok(name.into())
    }

    fn consumer_field(&self) -> Option<&'static str> {
        ["consumer", "consumer_id"].into_iter().find(|name| self.0.get(name).is_some())
    }

    fn consumer(&self) -> Result<MemberId> {
        let field = self.consumer_field().unwrap_or("consumer");
        Ok(Self::name(field, self.required(field)?)?.into())
    }

    fn member(&self) -> Result<MemberId> {
        Ok(Self::name("member_id", self.required("member_id")?)?.into())
    }

    fn instance(&self) -> Result<Option<InstanceId>> {
        self.optional("instance_id", |value| Ok(Self::name("instance_id", value)?.into()))
    }

    fn topic(&self) -> Result<TopicName> {
        Ok(Self::name("topic", self.required("topic")?)?.into())
    }

    fn topic_or_default(&self) -> Result<TopicName> {
        let topic = self.optional("topic", |value| Ok(Self::name("topic", value)?.into()))?;
        Ok(topic.unwrap_or_else(|| DEFAULT_TOPIC.into()))
    }

    fn partition(&self) -> Result<PartitionId> {
        partition_number("partition", self.required("partition")?)
    }

    fn offset(&self) -> Result<Offset> {
        offset_number("offset", self.required("offset")?)
    }

    fn generation(&self) -> Result<Option<Generation>> {
        self.optional("generation", |value| {
            Ok(Generation(Self::integer("generation", value, i32::MIN, i32::MAX)?))
        })
    }

    fn required_generation(&self) -> Result<Generation> {
        self.required("generation")?;
        Ok(self.generation()?.unwrap_or_default())
    }

    fn flag(&self, name: &str) -> Result<bool> {
        Ok(self.optional(name, |value| Self::parse(name, value, "true or false"))?.unwrap_or(false))
    }

    fn max_messages(&self, default: u32) -> Result<u32> {
        let read = |value| Self::integer("max_messages", value, 1, i64::from(i32::MAX));
        let given = self.optional("max_messages", read)?;
        Ok(given.and_then(|n| u32::try_from(n).ok()).unwrap_or(default))
    }

    fn partition_count(&self) -> Result<u32> {
        Self::integer("partitions", self.required("partitions")?, 1, MAX_PARTITIONS)
    }

    fn number(&self, name: &str) -> Result<f64> {
        let value = self.required(name)?;
        Self::parse(name, value, "a number")
    }

    fn count(&self, name: &str) -> Result<u32> {
        Self::integer(name, self.required(name)?, 0, u32::MAX)
    }

    fn timeout(&self, name: &str, bounds: Bounds, default: Option<i64>) -> Result<u32> {
        let given = self.optional(name, |value| Self::integer(name, value, i64::MIN, i64::MAX))?;
        let ms = match given.or(default) {
            Some(ms) => ms,
            None => return invalid(format!("field `{name}` is missing")),
        };
        let (min, max) = (bounds.min, bounds.max);
        u32::try_from(ms).ok().filter(|ms| (min..=max).contains(ms)).ok_or_else(|| {
            BadRequest::InvalidTimeout(format!("field `{name}` is {ms}, expected {min} to {max} ms"))
        })
    }

    fn strategy(&self) -> Result<ProtocolName> {
        let given: Option<String> = self.optional("strategy", |v| Self::parse("strategy", v, "a string"))?;
        let strategy = given.unwrap_or_else(|| "range".to_owned());
        if STRATEGIES.contains(&strategy.as_str()) {
            return Ok(strategy.into());
        }
        let expected = STRATEGIES.join(", ");
        Err(BadRequest::UnsupportedAssignor(format!(
            "unknown strategy `{}`; expected one of {expected}",
            shown(&strategy)
        )))
    }

    fn metadata(&self) -> Result<Option<Arc<str>>> {
        let metadata: Option<String> =
            self.optional("metadata", |v| Self::parse("metadata", v, "a string"))?;
        match metadata {
            Some(text) if text.chars().count() > limits::COMMIT_METADATA => {
                Err(BadRequest::MetadataTooLarge(format!(
                    "field `metadata` has {} characters, expected at most {}",
                    text.chars().count(),
                    limits::COMMIT_METADATA
                )))
            }
            other => Ok(other.map(Into::into)),
        }
    }

    fn commit(&self, topic: TopicName) -> Result<OffsetCommit> {
        Ok(OffsetCommit {
            group: self.group()?,
            topic,
            partition: self.partition()?,
            offset: self.offset()?,
            metadata: self.metadata()?,
        })
    }

    fn fence(&self) -> Result<Option<Fence>> {
        let member_id = self.optional("member_id", |value| Ok(Self::name("member_id", value)?.into()))?;
        let generation = self.generation()?;
        Ok((member_id.is_some() || generation.is_some()).then_some(Fence { member_id, generation }))
    }

    fn names<T: From<Cow<'a, str>> + Ord>(name: &str, value: &'a str) -> Result<Vec<T>> {
        let texts: Vec<&'a serde_json::value::RawValue> = Self::parse(name, value, "a list of names")?;
        let mut names =
            texts.iter().map(|text| Ok(Self::name(name, text.get())?.into())).collect::<Result<Vec<T>>>()?;
        names.sort();
        names.dedup();
        Ok(names)
    }

    fn partitions(name: &str, value: &'a str) -> Result<Vec<PartitionId>> {
        let texts: Vec<&'a serde_json::value::RawValue> = Self::parse(name, value, "a list of partitions")?;
        let mut numbers =
            texts.iter().map(|text| partition_number(name, text.get())).collect::<Result<Vec<_>>>()?;
        numbers.sort_unstable();
        numbers.dedup();
        Ok(numbers)
    }

    fn topic_partitions(name: &str, value: &'a str) -> Result<TopicPartitions> {
        let fields: Fields<'a> = Self::parse(name, value, "an object of topics and lists of partitions")?;
        let mut topics = Vec::new();
        for (topic, partitions) in fields.iter() {
            topics.push((checked_name(name, topic)?.into(), Self::partitions(name, partitions)?));
        }
        topics.sort();
        Ok(topics)
    }

    /// The text of a value that may be anything, `null` too.
    fn any(&self, name: &str) -> Result<&'a str> {
        self.0.get_any(name).ok_or_else(|| BadRequest::Invalid(format!("field `{name}` is missing")))
    }

    fn canonical(&self, name: &str) -> Result<Arc<str>> {
        let text = self.any(name)?;
        let problem = |e| BadRequest::Invalid(format!("field `{name}`: {e}"));
        check_size(name, text)?;
        Ok(json::canonical(text).map_err(problem)?.into())
    }

    fn register_value(&self, name: &str) -> Result<RegisterValue> {
        let canonical = self.canonical(name)?;
        let text = json::one_line(self.any(name)?);
        let text = if *text == *canonical { canonical.clone() } else { Arc::from(text) };
        Ok(RegisterValue { text, canonical })
    }

    /// Which of two fields a request has, by its name: one that is not `null` before one that is.
    fn either(&self, a: &'static str, b: &'static str) -> Result<&'static str> {
        match (self.0.get(a).is_some(), self.0.get(b).is_some()) {
            (true, false) => return Ok(a),
            (false, true) => return Ok(b),
            (true, true) => return invalid(format!("fields `{a}` and `{b}` exclude each other")),
            (false, false) => {}
        }
        match (self.0.get_any(a).is_some(), self.0.get_any(b).is_some()) {
            (true, false) => Ok(a),
            (false, true) => Ok(b),
            (true, true) | (false, false) => invalid(format!("expected either field `{a}` or field `{b}`")),
        }
    }
}

fn checked_name(field: &str, name: &str) -> Result<String> {
    if name.is_empty() || name.chars().count() > MAX_NAME_LEN {
        return invalid(format!(
            "field `{field}` has the name {:?}, expected 1 to 249 characters",
            shown(name)
        ));
    }
    Ok(name.to_owned())
}

fn partition_number(name: &str, value: &str) -> Result<PartitionId> {
    // Kafka's partitions are 32-bit signed.
    Body::integer(name, value, 0, i32::MAX as u32)
}

fn offset_number(name: &str, value: &str) -> Result<Offset> {
    Body::integer(name, value, 0, i64::MAX).map(i64::unsigned_abs)
}

fn check_size(name: &str, text: &str) -> Result<()> {
    if text.len() > limits::RECORD {
        let len = text.len();
        return Err(BadRequest::MessageTooLarge(format!(
            "field `{name}` has {len} bytes, expected at most {}",
            limits::RECORD
        )));
    }
    Ok(())
}

fn message(encoder: &mut Encoder, key: Option<&str>, name: &str, text: &str) -> Result<Records> {
    check_size(name, text)?;
    if let Some(key) = key {
        check_size("key", key)?;
    }
    Ok(encoder.encode(key, &json::one_line(text)))
}

fn log_offsets(body: &Body<'_>) -> Result<Vec<(LogKey, Offset)>> {
    let value = body.required("offsets")?;
    let fields: Fields<'_> = Body::parse("offsets", value, "an object of keys and offsets")?;
    fields.iter().map(|(key, offset)| Ok((key.into(), offset_number("offsets", offset)?))).collect()
}

fn planning(reckoned: std::result::Result<(&'static str, String), CalculatorError>) -> Result<Decoded> {
    match reckoned {
        Ok((ok, fields)) => Ok(Decoded::Computed(ok, fields)),
        Err(error) => invalid(error.to_string()),
    }
}

fn protocol(value: &str) -> Result<Protocol> {
    let fields: Fields<'_> = Body::parse("protocols", value, "a list of objects with `name` and `topics`")?;
    let body = Body(&fields);
    Ok(Protocol {
        name: Body::name("name", body.required("name")?)?.into(),
        topics: Body::names("topics", body.required("topics")?)?,
        owned: body.optional("owned", |value| Body::topic_partitions("owned", value))?.unwrap_or_default(),
        generation: body.generation()?,
    })
}

fn assignments(value: &str) -> Result<Vec<(MemberId, TopicPartitions)>> {
    let fields: Fields<'_> = Body::parse("assignments", value, "an object of members and their assignments")?;
    let mut assignments = Vec::new();
    for (member, assignment) in fields.iter() {
        let member = checked_name("assignments", member)?.into();
        assignments.push((member, Body::topic_partitions("assignments", assignment)?));
    }
    assignments.sort();
    Ok(assignments)
}

fn form(ok: &'static str) -> ReplyShape {
    ReplyShape { ok, from: 0 }
}

fn command(ok: &'static str, command: impl Into<Command>) -> Result<Decoded> {
    Ok(Decoded::Service(Request::Command(command.into()), form(ok)))
}

fn query(ok: &'static str, query: impl Into<Query>) -> Result<Decoded> {
    Ok(Decoded::Service(Request::Query(query.into()), form(ok)))
}

/// Reads the body of a request of type `kind`; its records are made by `encoder`.
///
/// # Errors
/// What is wrong with it, by field, value and what was expected.
pub fn decode(kind: &str, fields: &Fields<'_>, config: &Config, encoder: &mut Encoder) -> Result<Decoded> {
    let body = &Body(fields);
    match kind {
        "echo" => Ok(Decoded::Echo(json::one_line(body.any("echo")?).into_owned())),
        "topology" => Ok(Decoded::Topology),
        "cluster_status" => Ok(Decoded::Status),
        "send" => send(body, config, encoder),
        "poll" => poll(body),
        "commit_offsets" => command(LOG_COMMIT_OK, KeyedLogCommand::Commit { offsets: log_offsets(body)? }),
        "list_committed_offsets" => {
            let keys: Vec<String> = Body::parse("keys", body.required("keys")?, "a list of strings")?;
            let keys = keys.into_iter().map(LogKey::from).collect();
            query("list_committed_offsets_ok", KeyedLogQuery::Committed { keys })
        }
        "create_topic" => {
            let (topic, partitions) = (body.topic()?, body.partition_count()?);
            command("create_topic_ok", TopicCommand::Create { topic, partitions })
        }
        "create_partitions" => {
            let (topic, partitions) = (body.topic()?, body.partition_count()?);
            command("create_partitions_ok", TopicCommand::Grow { topic, partitions })
        }
        "delete_topic" => command("delete_topic_ok", TopicCommand::Delete { topic: body.topic()? }),
        "list_topics" => query("list_topics_ok", TopicQuery::List),
        "fetch" => {
            let (topic, partition, offset) = (body.topic()?, body.partition()?, body.offset()?);
            let max_messages = body.max_messages(DEFAULT_FETCH_MESSAGES)?;
            let fetch = TopicQuery::Fetch { topic, partition, offset, max_messages };
            Ok(Decoded::Service(
                Request::Query(fetch.into()),
                ReplyShape { from: offset, ..form("fetch_ok") },
            ))
        }
        "commit_offset" => {
            let commit = body.commit(body.topic()?)?;
            command("commit_offset_ok", OffsetCommand::Commit { commit, fence: body.fence()? })
        }
        "fetch_offset" => {
            let (group, topic, partition) = (body.group()?, body.topic()?, body.partition()?);
            query("fetch_offset_ok", OffsetQuery::Fetch { group, topic, partition })
        }
        "consumer_rebalance" => {
            let declare = GroupCommand::Declare {
                group: body.group()?,
                topic: body.topic_or_default()?,
                consumers: Body::names("consumers", body.required("consumers")?)?,
                partitions: Body::partitions("partitions", body.required("partitions")?)?,
                strategy: body.strategy()?,
            };
            command("consumer_rebalance_ok", declare)
        }
        "subscribe" => command("subscribe_ok", subscribe(body, config)?),
        "heartbeat" => heartbeat(body),
        "commit" => {
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
        "unsubscribe" => {
            let (group, member, permanent) = (body.group()?, body.consumer()?, body.flag("permanent")?);
            command("unsubscribe_ok", PollingCommand::Unsubscribe { group, member, permanent })
        }
        "join_group" => command("join_group_ok", join_group(body, config)?),
        "sync_group" => {
            let sync = ClassicCommand::Sync {
                group: body.group()?,
                member: body.member()?,
                instance_id: body.instance()?,
                generation: body.required_generation()?,
                assignments: body.optional("assignments", assignments)?,
            };
            command("sync_group_ok", sync)
        }
        "leave_group" => {
            let (group, member, instance_id) = (body.group()?, body.member()?, body.instance()?);
            let permanent = body.flag("permanent")?;
            command("leave_group_ok", ClassicCommand::Leave { group, member, instance_id, permanent })
        }
        "list_groups" => query("list_groups_ok", GroupQuery::List),
        "describe_group" => query("describe_group_ok", GroupQuery::Describe { group: body.group()? }),
        "delete_group" => command("delete_group_ok", GroupCommand::Delete { group: body.group()? }),
        "delete_offsets" => {
            let (group, topic) = (body.group()?, body.topic()?);
            let partitions = body.optional("partitions", |value| Body::partitions("partitions", value))?;
            command("delete_offsets_ok", OffsetCommand::Delete { group, topic, partitions })
        }
        "calculate_session_timeout" => {
            let safety_margin = body.0.get("safety_margin").is_some().then(|| body.number("safety_margin"));
            let timeout = calculators::session_timeout_ms(
                body.number("processing_time_ms")?,
                body.count("num_partitions")?,
                safety_margin.transpose()?.unwrap_or(2.0),
            );
            planning(
                timeout.map(|ms| ("calculate_session_timeout_ok", format!("\"session_timeout_ms\":{ms}"))),
            )
        }
        "estimate_consumer_throughput" => {
            let throughput = calculators::throughput(
                body.count("max_poll_records")?,
                body.number("processing_time_per_record_ms")?,
                body.count("num_consumers")?,
                body.count("num_partitions")?,
            );
            let fields = |t: calculators::Throughput| {
                format!(
                    "\"records_per_sec_per_consumer\":{:?},\"total_records_per_sec\":{:?},\
                     \"partitions_per_consumer\":{:?},\"recommended_consumers\":{}",
                    t.records_per_sec_per_consumer,
                    t.total_records_per_sec,
                    t.partitions_per_consumer,
                    t.recommended_consumers
                )
            };
            planning(throughput.map(|t| ("estimate_consumer_throughput_ok", fields(t))))
        }
        "read" => query("read_ok", RegisterQuery::Read { key: body.canonical("key")? }),
        "write" => {
            let (key, value) = (body.canonical("key")?, body.register_value("value")?);
            command("write_ok", RegisterCommand::Write { key, value })
        }
        "cas" => {
            let cas = RegisterCommand::Cas {
                key: body.canonical("key")?,
                from: body.canonical("from")?,
                to: body.register_value("to")?,
                create_if_not_exists: body.flag("create_if_not_exists")?,
            };
            command("cas_ok", cas)
        }
        unknown => Err(BadRequest::UnknownType(shown(unknown))),
    }
}

fn send(body: &Body<'_>, config: &Config, encoder: &mut Encoder) -> Result<Decoded> {
    let request: Command = if body.either("msg", "message")? == "msg" {
        let key = body.string("key")?;
        check_size("key", &key)?;
        KeyedLogCommand::Send { key: key.into(), records: message(encoder, None, "msg", body.any("msg")?)? }
            .into()
    } else {
        let key: Option<String> = body.optional("key", |v| Body::parse("key", v, "a string or null"))?;
        let partition = body.optional("partition", |v| partition_number("partition", v))?;
        let placement = match (&key, partition) {
            (_, Some(partition)) => Placement::Partition(partition),
            (Some(key), None) => Placement::Key(murmur2(key.as_bytes())),
            (None, None) => Placement::Next,
        };
        let records = message(encoder, key.as_deref(), "message", body.any("message")?)?;
        let new_topic_partitions = config.default_partitions;
        TopicCommand::Produce { topic: body.topic_or_default()?, placement, new_topic_partitions, records }
            .into()
    };
    command("send_ok", request)
}

fn poll(body: &Body<'_>) -> Result<Decoded> {
    let thin = body.0.get("group").or(body.0.get("group_id")).is_some() || body.consumer_field().is_some();
    match (body.0.get("offsets").is_some(), thin) {
        (true, false) => query("poll_ok", KeyedLogQuery::Poll { offsets: log_offsets(body)? }),
        (false, true) => {
            let (group, member) = (body.group()?, body.consumer()?);
            let max_messages = body.max_messages(DEFAULT_POLL_MESSAGES)?;
            command("poll_ok", PollingCommand::Poll { group, member, max_messages })
        }
        (true, true) => invalid("fields `offsets` and `group`, `consumer` exclude each other".to_owned()),
        (false, false) => {
            invalid("expected either field `offsets` or fields `group` and `consumer`".to_owned())
        }
    }
}

fn heartbeat(body: &Body<'_>) -> Result<Decoded> {
    let asked = match (body.consumer_field(), body.0.get("member_id").is_some()) {
        (Some(_), false) => GroupQuery::PollingHeartbeat { group: body.group()?, member: body.consumer()? },
        (None, true) => GroupQuery::ClassicHeartbeat {
            group: body.group()?,
            member: body.member()?,
            instance_id: body.instance()?,
            generation: body.required_generation()?,
        },
        (Some(_), true) => {
            return invalid("fields `consumer` and `member_id` exclude each other".to_owned());
        }
        (None, false) => {
            return invalid("expected either field `consumer` or field `member_id`".to_owned());
        }
    };
    query("heartbeat_ok", asked)
}

fn subscribe(body: &Body<'_>, config: &Config) -> Result<PollingCommand> {
    let topics = body.optional("topics", |value| Body::names("topics", value))?;
    Ok(PollingCommand::Subscribe {
        group: body.group()?,
        member: body.consumer()?,
        subscription: Subscription {
            topics: topics.unwrap_or_else(|| vec![DEFAULT_TOPIC.into()]),
            strategy: body.strategy()?,
            instance_id: body.instance()?,
            session_timeout_ms: body.timeout(
                "session_timeout_ms",
                config.session_timeout,
                Some(DEFAULT_SESSION_TIMEOUT_MS),
            )?,
            rebalance_timeout_ms: body.timeout(
                "rebalance_timeout_ms",
                config.rebalance_timeout,
                Some(DEFAULT_REBALANCE_TIMEOUT_MS),
            )?,
        },
    })
}

fn join_group(body: &Body<'_>, config: &Config) -> Result<ClassicCommand> {
    // The first join has no id yet: `""`, as Kafka's clients send.
    let member: Option<String> = body.optional("member_id", |v| Body::parse("member_id", v, "a string"))?;
    let member = member.filter(|id| !id.is_empty()).map(|id| checked_name("member_id", &id)).transpose()?;
    let texts: Vec<&serde_json::value::RawValue> =
        Body::parse("protocols", body.required("protocols")?, "a list of objects with `name` and `topics`")?;
    Ok(ClassicCommand::Join {
        group: body.group()?,
        member: member.map(Into::into),
        info: JoinInfo {
            instance_id: body.instance()?,
            session_timeout_ms: body.timeout("session_timeout_ms", config.session_timeout, None)?,
            rebalance_timeout_ms: body.timeout("rebalance_timeout_ms", config.rebalance_timeout, None)?,
            protocols: texts.iter().map(|text| protocol(text.get())).collect::<Result<_>>()?,
        },
    })
}
