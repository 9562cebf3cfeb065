//! Reads the fields of one body. What is wrong with a field is said by its name, its value and what
//! was expected.

use std::borrow::Cow;
use std::str::FromStr;
use std::sync::Arc;

use serde::Deserialize;
use state_machine::ids::{
    Generation, GroupId, InstanceId, MAX_NAME_LEN, MemberId, Offset, PartitionId, ProtocolName,
    TopicName,
};
use state_machine::offsets::command::{Fence, OffsetCommit};
use state_machine::registers::register::RegisterValue;
use state_machine::topics::budget::escapes;
use state_machine::topics::topic::MAX_PARTITIONS;
use state_machine::values::TopicPartitions;

use super::super::envelope::{Fields, Text};
use super::super::errors::BadRequest;
use super::super::json;
use super::{Result, invalid};
use crate::config::Bounds;
use crate::limits;

/// The topic where none is named.
pub(super) const DEFAULT_TOPIC: &str = "default";

/// The strategies that the coordinator can run.
const STRATEGIES: [&str; 4] = ["range", "roundrobin", "sticky", "cooperative-sticky"];

/// At most 100 characters of a value, for an error's text.
pub(super) fn shown(value: &str) -> String {
    match value.char_indices().nth(100) {
        Some((at, _)) => format!("{}…", &value[..at]),
        None => value.to_owned(),
    }
}

/// Reads one body's fields.
pub(super) struct Body<'a>(pub(super) &'a Fields<'a>);

impl<'a> Body<'a> {
    pub(super) fn required(&self, name: &str) -> Result<&'a str> {
        self.0.get(name).ok_or_else(|| BadRequest::Invalid(format!("field `{name}` is missing")))
    }

    pub(super) fn parse<T: Deserialize<'a>>(
        name: &str,
        value: &'a str,
        expected: &str,
    ) -> Result<T> {
        serde_json::from_str(value).or_else(|_| Self::unexpected(name, value, expected))
    }

    pub(super) fn unexpected<T>(name: &str, value: &str, expected: &str) -> Result<T> {
        invalid(format!("field `{name}` is {}, expected {expected}", shown(value)))
    }

    pub(super) fn integer<T: TryFrom<i64> + PartialOrd + std::fmt::Display>(
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

    pub(super) fn optional<T>(
        &self,
        name: &str,
        read: impl FnOnce(&'a str) -> Result<T>,
    ) -> Result<Option<T>> {
        self.0.get(name).map(read).transpose()
    }

    pub(super) fn text(name: &str, value: &'a str, expected: &str) -> Result<Cow<'a, str>> {
        Text::of(value).map_or_else(|| Self::unexpected(name, value, expected), |text| Ok(text.0))
    }

    pub(super) fn string(&self, name: &str) -> Result<Cow<'a, str>> {
        Self::text(name, self.required(name)?, "a string")
    }

    pub(super) fn name(field: &str, value: &'a str) -> Result<Cow<'a, str>> {
        let expected = "a string of 1 to 249 characters";
        let name = Self::text(field, value, expected)?;
        if name.is_empty() || name.chars().count() > MAX_NAME_LEN {
            return invalid(format!("field `{field}` is {}, expected {expected}", shown(value)));
        }
        Ok(name)
    }

    pub(super) fn group(&self) -> Result<GroupId> {
        let field = if self.0.get("group").is_some() { "group" } else { "group_id" };
        let value = self
            .0
            .get(field)
            .ok_or_else(|| BadRequest::Invalid("field `group` is missing".to_owned()))?;
        let name = Self::text(field, value, "a string of 1 to 249 characters")?;
        if name.is_empty() || name.chars().count() > MAX_NAME_LEN {
            let text = format!(
                "field `{field}` is {}, expected a string of 1 to 249 characters",
                shown(value)
            );
            return Err(BadRequest::InvalidGroupId(text));
        }
        Ok(name.into())
    }

    pub(super) fn consumer_field(&self) -> Option<&'static str> {
        ["consumer", "consumer_id"].into_iter().find(|name| self.0.get(name).is_some())
    }

    pub(super) fn consumer(&self) -> Result<MemberId> {
        let field = self.consumer_field().unwrap_or("consumer");
        Ok(Self::name(field, self.required(field)?)?.into())
    }

    pub(super) fn member(&self) -> Result<MemberId> {
        Ok(Self::name("member_id", self.required("member_id")?)?.into())
    }

    pub(super) fn instance(&self) -> Result<Option<InstanceId>> {
        self.optional("instance_id", |value| Ok(Self::name("instance_id", value)?.into()))
    }

    pub(super) fn topic(&self) -> Result<TopicName> {
        Ok(Self::name("topic", self.required("topic")?)?.into())
    }

    pub(super) fn topic_or_default(&self) -> Result<TopicName> {
        let topic = self.optional("topic", |value| Ok(Self::name("topic", value)?.into()))?;
        Ok(topic.unwrap_or_else(|| DEFAULT_TOPIC.into()))
    }

    pub(super) fn partition(&self) -> Result<PartitionId> {
        partition_number("partition", self.required("partition")?)
    }

    pub(super) fn offset(&self) -> Result<Offset> {
        offset_number("offset", self.required("offset")?)
    }

    pub(super) fn generation(&self) -> Result<Option<Generation>> {
        self.optional("generation", |value| {
            Ok(Generation(Self::integer("generation", value, i32::MIN, i32::MAX)?))
        })
    }

    pub(super) fn required_generation(&self) -> Result<Generation> {
        self.required("generation")?;
        Ok(self.generation()?.unwrap_or_default())
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool> {
        Ok(self.optional(name, |value| Self::parse(name, value, "true or false"))?.unwrap_or(false))
    }

    pub(super) fn max_messages(&self, default: u32) -> Result<u32> {
        let read = |value| Self::integer("max_messages", value, 1, i64::from(i32::MAX));
        let given = self.optional("max_messages", read)?;
        Ok(given.and_then(|n| u32::try_from(n).ok()).unwrap_or(default))
    }

    pub(super) fn partition_count(&self) -> Result<u32> {
        Self::integer("partitions", self.required("partitions")?, 1, MAX_PARTITIONS)
    }

    pub(super) fn number(&self, name: &str) -> Result<f64> {
        let value = self.required(name)?;
        Self::parse(name, value, "a number")
    }

    pub(super) fn count(&self, name: &str) -> Result<u32> {
        Self::integer(name, self.required(name)?, 0, u32::MAX)
    }

    pub(super) fn timeout(&self, name: &str, bounds: Bounds, default: Option<i64>) -> Result<u32> {
        let given = self.optional(name, |value| Self::integer(name, value, i64::MIN, i64::MAX))?;
        let ms = match given.or(default) {
            Some(ms) => ms,
            None => return invalid(format!("field `{name}` is missing")),
        };
        let (min, max) = (bounds.min, bounds.max);
        u32::try_from(ms).ok().filter(|ms| (min..=max).contains(ms)).ok_or_else(|| {
            BadRequest::InvalidTimeout(format!(
                "field `{name}` is {ms}, expected {min} to {max} ms"
            ))
        })
    }

    pub(super) fn strategy(&self) -> Result<ProtocolName> {
        let given: Option<String> =
            self.optional("strategy", |v| Self::parse("strategy", v, "a string"))?;
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

    pub(super) fn metadata(&self) -> Result<Option<Arc<str>>> {
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

    pub(super) fn commit(&self, topic: TopicName) -> Result<OffsetCommit> {
        Ok(OffsetCommit {
            group: self.group()?,
            topic,
            partition: self.partition()?,
            offset: self.offset()?,
            leader_epoch: None,
            metadata: self.metadata()?,
        })
    }

    pub(super) fn fence(&self) -> Result<Option<Fence>> {
        let member_id =
            self.optional("member_id", |value| Ok(Self::name("member_id", value)?.into()))?;
        let generation = self.generation()?;
        Ok((member_id.is_some() || generation.is_some()).then_some(Fence { member_id, generation }))
    }

    pub(super) fn names<T: From<Cow<'a, str>> + Ord>(name: &str, value: &'a str) -> Result<Vec<T>> {
        let texts: Vec<&'a serde_json::value::RawValue> =
            Self::parse(name, value, "a list of names")?;
        let mut names = texts
            .iter()
            .map(|text| Ok(Self::name(name, text.get())?.into()))
            .collect::<Result<Vec<T>>>()?;
        names.sort();
        names.dedup();
        Ok(names)
    }

    pub(super) fn partitions(name: &str, value: &'a str) -> Result<Vec<PartitionId>> {
        let texts: Vec<&'a serde_json::value::RawValue> =
            Self::parse(name, value, "a list of partitions")?;
        let mut numbers = texts
            .iter()
            .map(|text| partition_number(name, text.get()))
            .collect::<Result<Vec<_>>>()?;
        numbers.sort_unstable();
        numbers.dedup();
        Ok(numbers)
    }

    pub(super) fn topic_partitions(name: &str, value: &'a str) -> Result<TopicPartitions> {
        let fields: Fields<'a> =
            Self::parse(name, value, "an object of topics and lists of partitions")?;
        let mut topics = Vec::new();
        for (topic, partitions) in fields.each() {
            topics.push((checked_name(name, topic)?.into(), Self::partitions(name, partitions)?));
        }
        topics.sort();
        Ok(topics)
    }

    /// The text of a value that may be anything, `null` too.
    pub(super) fn any(&self, name: &str) -> Result<&'a str> {
        self.0
            .get_any(name)
            .ok_or_else(|| BadRequest::Invalid(format!("field `{name}` is missing")))
    }

    pub(super) fn canonical(&self, name: &str) -> Result<Arc<str>> {
        let text = self.any(name)?;
        let problem = |e| BadRequest::Invalid(format!("field `{name}`: {e}"));
        check_value(name, text)?;
        Ok(json::canonical(text).map_err(problem)?.into())
    }

    pub(super) fn register_value(&self, name: &str) -> Result<RegisterValue> {
        let canonical = self.canonical(name)?;
        let text = json::one_line(self.any(name)?);
        let text = if *text == *canonical { canonical.clone() } else { Arc::from(text) };
        Ok(RegisterValue { text, canonical })
    }

    /// Which of two fields a request has, by its name: one that is not `null` before one that is.
    pub(super) fn either(&self, a: &'static str, b: &'static str) -> Result<&'static str> {
        match (self.0.get(a).is_some(), self.0.get(b).is_some()) {
            (true, false) => return Ok(a),
            (false, true) => return Ok(b),
            (true, true) => return invalid(format!("fields `{a}` and `{b}` exclude each other")),
            (false, false) => {}
        }
        match (self.0.get_any(a).is_some(), self.0.get_any(b).is_some()) {
            (true, false) => Ok(a),
            (false, true) => Ok(b),
            (true, true) | (false, false) => {
                invalid(format!("expected either field `{a}` or field `{b}`"))
            }
        }
    }
}

pub(super) fn checked_name(field: &str, name: &str) -> Result<String> {
    if name.is_empty() || name.chars().count() > MAX_NAME_LEN {
        return invalid(format!(
            "field `{field}` has the name {:?}, expected 1 to 249 characters",
            shown(name)
        ));
    }
    Ok(name.to_owned())
}

pub(super) fn partition_number(name: &str, value: &str) -> Result<PartitionId> {
    // Kafka's partitions are 32-bit signed.
    Body::integer(name, value, 0, i32::MAX as u32)
}

pub(super) fn offset_number(name: &str, value: &str) -> Result<Offset> {
    Body::integer(name, value, 0, i64::MAX).map(i64::unsigned_abs)
}

/// A key is told with its escapes, so these count.
pub(super) fn check_key(name: &str, key: &str) -> Result<()> {
    check_len(name, key.len() as u64 + escapes(key))
}

/// A value is told as it stands.
pub(super) fn check_value(name: &str, text: &str) -> Result<()> {
    check_len(name, text.len() as u64)
}

fn check_len(name: &str, len: u64) -> Result<()> {
    if len > limits::RECORD as u64 {
        return Err(BadRequest::MessageTooLarge(format!(
            "field `{name}` has {len} bytes as JSON, expected at most {}",
            limits::RECORD
        )));
    }
    Ok(())
}
