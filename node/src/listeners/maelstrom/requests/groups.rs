//! Requests about groups, and `poll`, which also serves Maelstrom's logs.

use state_machine::groups::classic::command::{
    Agreed, Assignments, ClassicCommand, JoinInfo, Protocol,
};
use state_machine::groups::command::{GroupCommand, GroupQuery};
use state_machine::groups::polling::command::{PollingCommand, Subscription};
use state_machine::ids::MemberId;
use state_machine::keyed_logs::command::KeyedLogQuery;
use state_machine::values::TopicPartitions;

use bytes::Bytes;

use super::super::envelope::Fields;
use super::body::{Body, DEFAULT_TOPIC, checked_name};
use super::keyed_logs::log_offsets;
use super::{Decoded, Result, command, invalid, query};
use crate::config::Config;

/// A member's session time-out where it names none, in ms.
const DEFAULT_SESSION_TIMEOUT_MS: i64 = 45_000;

/// A member's rebalance time-out where it names none, in ms.
const DEFAULT_REBALANCE_TIMEOUT_MS: i64 = 300_000;

/// So many messages are polled where no number is named.
const DEFAULT_POLL_MESSAGES: u32 = 10;

pub(super) fn poll(body: &Body<'_>) -> Result<Decoded> {
    let polling =
        body.0.get("group").or(body.0.get("group_id")).is_some() || body.consumer_field().is_some();
    match (body.0.get("offsets").is_some(), polling) {
        (true, false) => query("poll_ok", KeyedLogQuery::Poll { offsets: log_offsets(body)? }),
        (false, true) => {
            let (group, member) = (body.group()?, body.consumer()?);
            let max_messages = body.max_messages(DEFAULT_POLL_MESSAGES)?;
            command("poll_ok", PollingCommand::Poll { group, member, max_messages })
        }
        (true, true) => {
            invalid("fields `offsets` and `group`, `consumer` exclude each other".to_owned())
        }
        (false, false) => {
            invalid("expected either field `offsets` or fields `group` and `consumer`".to_owned())
        }
    }
}

pub(super) fn heartbeat(body: &Body<'_>) -> Result<Decoded> {
    let asked = match (body.consumer_field(), body.0.get("member_id").is_some()) {
        (Some(_), false) => {
            GroupQuery::PollingHeartbeat { group: body.group()?, member: body.consumer()? }
        }
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

pub(super) fn consumer_rebalance(body: &Body<'_>) -> Result<Decoded> {
    let declare = GroupCommand::Declare {
        group: body.group()?,
        topic: body.topic_or_default()?,
        consumers: Body::names("consumers", body.required("consumers")?)?,
        partitions: Body::partitions("partitions", body.required("partitions")?)?,
        strategy: body.strategy()?,
    };
    command("consumer_rebalance_ok", declare)
}

pub(super) fn unsubscribe(body: &Body<'_>) -> Result<Decoded> {
    let (group, member, permanent) = (body.group()?, body.consumer()?, body.flag("permanent")?);
    command("unsubscribe_ok", PollingCommand::Unsubscribe { group, member, permanent })
}

pub(super) fn sync_group(body: &Body<'_>) -> Result<Decoded> {
    let sync = ClassicCommand::Sync {
        group: body.group()?,
        member: body.member()?,
        instance_id: body.instance()?,
        generation: body.required_generation()?,
        agreed: Agreed::default(),
        assignments: body.optional("assignments", assignments)?.map(Assignments::Partitions),
    };
    command("sync_group_ok", sync)
}

pub(super) fn leave_group(body: &Body<'_>) -> Result<Decoded> {
    let (group, member, instance_id) = (body.group()?, body.member()?, body.instance()?);
    let permanent = body.flag("permanent")?;
    command("leave_group_ok", ClassicCommand::Leave { group, member, instance_id, permanent })
}

pub(super) fn describe_group(body: &Body<'_>) -> Result<Decoded> {
    query("describe_group_ok", GroupQuery::Describe { group: body.group()? })
}

pub(super) fn delete_group(body: &Body<'_>) -> Result<Decoded> {
    command("delete_group_ok", GroupCommand::Delete { group: body.group()? })
}

pub(super) fn subscribe(body: &Body<'_>, config: &Config) -> Result<PollingCommand> {
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

pub(super) fn join_group(body: &Body<'_>, config: &Config) -> Result<ClassicCommand> {
    // The first join has no id yet: `""`, as Kafka's clients send.
    let member: Option<String> =
        body.optional("member_id", |v| Body::parse("member_id", v, "a string"))?;
    let member =
        member.filter(|id| !id.is_empty()).map(|id| checked_name("member_id", &id)).transpose()?;
    let texts: Vec<&serde_json::value::RawValue> = Body::parse(
        "protocols",
        body.required("protocols")?,
        "a list of objects with `name` and `topics`",
    )?;
    Ok(ClassicCommand::Join {
        group: body.group()?,
        member: member.map(Into::into),
        // By the contract a first join is answered with the group.
        id_first: false,
        info: JoinInfo {
            instance_id: body.instance()?,
            session_timeout_ms: body.timeout("session_timeout_ms", config.session_timeout, None)?,
            rebalance_timeout_ms: body.timeout(
                "rebalance_timeout_ms",
                config.rebalance_timeout,
                None,
            )?,
            protocols: texts.iter().map(|text| protocol(text.get())).collect::<Result<_>>()?,
            client: None,
        },
    })
}

fn protocol(value: &str) -> Result<Protocol> {
    let fields: Fields<'_> =
        Body::parse("protocols", value, "a list of objects with `name` and `topics`")?;
    let body = Body(&fields);
    Ok(Protocol {
        name: Body::name("name", body.required("name")?)?.into(),
        topics: Body::names("topics", body.required("topics")?)?,
        owned: body
            .optional("owned", |value| Body::topic_partitions("owned", value))?
            .unwrap_or_default(),
        generation: body.generation()?,
        metadata: Bytes::new(),
    })
}

fn assignments(value: &str) -> Result<Vec<(MemberId, TopicPartitions)>> {
    let fields: Fields<'_> =
        Body::parse("assignments", value, "an object of members and their assignments")?;
    let mut assignments = Vec::new();
    for (member, assignment) in fields.each() {
        let member = checked_name("assignments", member)?.into();
        assignments.push((member, Body::topic_partitions("assignments", assignment)?));
    }
    assignments.sort();
    Ok(assignments)
}
