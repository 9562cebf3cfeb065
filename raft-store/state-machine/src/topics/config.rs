//! What a topic has of its own, where others have what the nodes' configuration says.
//!
//! This module owns the names that Kafka gives to configurations of topics, which values each
//! takes, and which of them have an effect here. What was set is kept as it was written, so that it
//! can be told again. It knows no node's configuration: who asks brings the default along.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::command::Retention;
use crate::ids::Millis;
use crate::rejection::Rejection;

/// A batch of records never has more bytes, whatever a topic's configuration says.
pub const MAX_BATCH_BYTES: u32 = 2 * 1024 * 1024;

/// A value has at most so many bytes.
const MAX_VALUE_LEN: usize = 4_096;

/// What the values of a configuration are.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// `false`: what it switches on is not served.
    False,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// 32 bits, within these bounds.
    Int(RangeInclusive<i32>),
    /// 64 bits, within these bounds.
    Long(RangeInclusive<i64>),
    /// A number from 0 to 1.
    Ratio,
    /// Any of these, separated by commas.
    SomeOf(&'static [&'static str]),
    /// Texts, separated by commas.
    Texts,
}

/// A configuration that a topic may have.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// Kafka's name.
    pub name: &'static str,
    /// Which values it takes.
    pub kind: Kind,
    /// What Kafka's brokers have where nobody sets it.
    pub default: &'static str,
}

const fn known(name: &'static str, kind: Kind, default: &'static str) -> Known {
    Known { name, kind, default }
}

const ANY_LONG: Kind = Kind::Long(0..=i64::MAX);
const FROM_NONE: Kind = Kind::Long(-1..=i64::MAX);
const LOCAL: Kind = Kind::Long(-2..=i64::MAX);
const FOREVER: &str = "9223372036854775807";

/// What a topic's batches may be compressed by, by name.
const COMPRESSIONS: &[&str] = &["producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"];

const CLEANUP_POLICY: &str = "cleanup.policy";
const MAX_MESSAGE_BYTES: &str = "max.message.bytes";
const TIMESTAMP_AHEAD: &str = "message.timestamp.after.max.ms";
const TIMESTAMP_TYPE: &str = "message.timestamp.type";
const LOG_APPEND_TIME: &str = "LogAppendTime";
const RETENTION_BYTES: &str = "retention.bytes";
const RETENTION_MS: &str = "retention.ms";
const SEGMENT_BYTES: &str = "segment.bytes";

/// All that there are, by name (Kafka's `TopicConfig`). Those of [`TopicConfig`]'s methods have an
/// effect. The others are kept and told, and nothing else.
pub const KNOWN: &[Known] = &[
    known(CLEANUP_POLICY, Kind::SomeOf(&["compact", "delete"]), "delete"),
    known("compression.gzip.level", Kind::Int(-1..=9), "-1"),
    known("compression.lz4.level", Kind::Int(1..=17), "9"),
    // Batches stay as their producers made them, whatever it says.
    known("compression.type", Kind::OneOf(COMPRESSIONS), "producer"),
    known("compression.zstd.level", Kind::Int(-131_072..=22), "3"),
    known("delete.retention.ms", ANY_LONG, "86400000"),
    known("errors.deadletterqueue.group.enable", Kind::Boolean, "false"),
    known("file.delete.delay.ms", ANY_LONG, "60000"),
    known("flush.messages", Kind::Long(1..=i64::MAX), FOREVER),
    known("flush.ms", ANY_LONG, FOREVER),
    known("follower.replication.throttled.replicas", Kind::Texts, ""),
    known("index.interval.bytes", Kind::Int(0..=i32::MAX), "4096"),
    known("leader.replication.throttled.replicas", Kind::Texts, ""),
    known("local.retention.bytes", LOCAL, "-2"),
    known("local.retention.ms", LOCAL, "-2"),
    known("max.compaction.lag.ms", Kind::Long(1..=i64::MAX), FOREVER),
    known("max.decompressed.message.bytes", Kind::Int(0..=i32::MAX), "2147483639"),
    known(MAX_MESSAGE_BYTES, Kind::Int(0..=MAX_BATCH_BYTES as i32), "1048588"),
    known(TIMESTAMP_AHEAD, ANY_LONG, "3600000"),
    known("message.timestamp.before.max.ms", ANY_LONG, FOREVER),
    known(TIMESTAMP_TYPE, Kind::OneOf(&["CreateTime", LOG_APPEND_TIME]), "CreateTime"),
    known("min.cleanable.dirty.ratio", Kind::Ratio, "0.5"),
    known("min.compaction.lag.ms", ANY_LONG, "0"),
    known("min.insync.replicas", Kind::Int(1..=i32::MAX), "1"),
    known("preallocate", Kind::Boolean, "false"),
    known("remote.copy.lag.bytes", FROM_NONE, "-1"),
    known("remote.copy.lag.ms", FROM_NONE, "0"),
    known("remote.log.copy.disable", Kind::Boolean, "false"),
    known("remote.log.delete.on.disable", Kind::Boolean, "false"),
    // Nothing is moved to another tier.
    known("remote.storage.enable", Kind::False, "false"),
    known(RETENTION_BYTES, FROM_NONE, "-1"),
    known(RETENTION_MS, FROM_NONE, "604800000"),
    // Smaller segments would have more files than records.
    known(SEGMENT_BYTES, Kind::Int(1_024..=i32::MAX), "1073741824"),
    known("segment.index.bytes", Kind::Int(4..=i32::MAX), "10485760"),
    known("segment.jitter.ms", ANY_LONG, "0"),
    known("segment.ms", Kind::Long(1..=i64::MAX), "604800000"),
    known("unclean.leader.election.enable", Kind::Boolean, "false"),
];

impl Kind {
    /// Whether it takes several values, to which one can be added.
    pub fn is_list(&self) -> bool {
        matches!(self, Self::SomeOf(_) | Self::Texts)
    }

    fn takes(&self, value: &str) -> bool {
        let within = |value: &str| match self {
            Self::Boolean => ["true", "false"].iter().any(|it| it.eq_ignore_ascii_case(value)),
            Self::False => value.eq_ignore_ascii_case("false"),
            Self::OneOf(values) => values.contains(&value),
            Self::Int(bounds) => value.parse().is_ok_and(|number| bounds.contains(&number)),
            Self::Long(bounds) => value.parse().is_ok_and(|number| bounds.contains(&number)),
            Self::Ratio => value.parse().is_ok_and(|number| (0.0..=1.0).contains(&number)),
            Self::SomeOf(values) => items(value).all(|item| values.contains(&item)),
            Self::Texts => true,
        };
        value.len() <= MAX_VALUE_LEN && within(value.trim())
    }

    /// What it takes, in words.
    fn expected(&self) -> String {
        match self {
            Self::Boolean => "true or false".to_owned(),
            Self::False => "false".to_owned(),
            Self::OneOf(values) => values.join(" or "),
            Self::Int(bounds) => format!("a number from {} to {}", bounds.start(), bounds.end()),
            Self::Long(bounds) => format!("a number from {} to {}", bounds.start(), bounds.end()),
            Self::Ratio => "a number from 0 to 1".to_owned(),
            Self::SomeOf(values) => format!("a list of {}", values.join(", ")),
            Self::Texts => format!("a list of at most {MAX_VALUE_LEN} bytes"),
        }
    }
}

/// The items of a list.
fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// The configuration with a name, if there is one.
pub fn by_name(name: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.name == name)
}

/// How a configuration changes (Kafka's `AlterConfigOp`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// From now on the topic has this value.
    Set(Arc<str>),
    /// From now on it has what the nodes' configuration says.
    Unset,
    /// These items are in the list, after those that are in it.
    Add(Arc<str>),
    /// These items are not in the list.
    Remove(Arc<str>),
}

/// What one topic has of its own, by name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TopicConfig(BTreeMap<Arc<str>, Arc<str>>);

impl TopicConfig {
    /// What it has of its own.
    ///
    /// # Errors
    /// A name that is not [`KNOWN`], a value that it does not take.
    pub fn of<'a>(set: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, Rejection> {
        let mut config = Self::default();
        for (name, value) in set {
            config.change(name, &Change::Set(value.into()))?;
        }
        Ok(config)
    }

    /// Changes one.
    ///
    /// # Errors
    /// A name that is not [`KNOWN`], a value that it does not take, something to add to what is no
    /// list.
    pub fn change(&mut self, name: &str, change: &Change) -> Result<(), Rejection> {
        let known = match by_name(name) {
            Some(known) => known,
            // Kafka takes away what nobody has.
            None if *change == Change::Unset => return Ok(()),
            None => return Err(Rejection::UnknownConfig(name.into())),
        };
        let value: Arc<str> = match change {
            Change::Set(value) => value.clone(),
            Change::Unset => {
                self.0.remove(name);
                return Ok(());
            }
            Change::Add(added) | Change::Remove(added) if !known.kind.is_list() => {
                return Err(Rejection::InvalidConfig {
                    name: name.into(),
                    value: added.clone(),
                    expected: "a value to set: it is no list".into(),
                });
            }
            Change::Add(added) => {
                let mut list: Vec<&str> = items(self.value(known)).collect();
                for item in items(added) {
                    if !list.contains(&item) {
                        list.push(item);
                    }
                }
                list.join(",").into()
            }
            Change::Remove(removed) => {
                let goes = |item: &&str| items(removed).any(|other| other == *item);
                let list = items(self.value(known)).filter(|item| !goes(item));
                list.collect::<Vec<_>>().join(",").into()
            }
        };
        check(known, &value)?;
        self.0.insert(name.into(), value);
        Ok(())
    }

    fn value<'a>(&'a self, known: &'a Known) -> &'a str {
        self.get(known.name).unwrap_or(known.default)
    }

    /// What was set under a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| &**value)
    }

    /// All that was set, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// How long and how much is kept. A topic whose policy does not have `delete` keeps everything.
    pub fn retention(&self, otherwise: Retention) -> Retention {
        if self.get(CLEANUP_POLICY).is_some_and(|policy| items(policy).all(|it| it != "delete")) {
            return Retention::default();
        }
        // Negative numbers: no limit.
        let limit = |name, otherwise| match self.get(name) {
            None => otherwise,
            Some(value) => value.trim().parse().ok(),
        };
        Retention {
            ms: limit(RETENTION_MS, otherwise.ms),
            bytes: limit(RETENTION_BYTES, otherwise.bytes),
        }
    }

    /// How many bytes a segment has at most.
    pub fn segment_bytes(&self, otherwise: u32) -> u32 {
        self.number(SEGMENT_BYTES).unwrap_or(otherwise)
    }

    /// How many bytes a batch of records has at most.
    pub fn max_batch_bytes(&self, otherwise: u32) -> u32 {
        self.number(MAX_MESSAGE_BYTES).unwrap_or(otherwise)
    }

    /// Whether each record needs a key, since the topic is to be compacted.
    pub fn needs_keys(&self) -> bool {
        self.get(CLEANUP_POLICY).is_some_and(|policy| items(policy).any(|it| it == "compact"))
    }

    /// Whether records bear the time at which they were appended, whatever their producer gave them.
    pub fn bears_append_time(&self) -> bool {
        self.get(TIMESTAMP_TYPE).is_some_and(|kind| kind.trim() == LOG_APPEND_TIME)
    }

    /// How far ahead of the clock the times of records may be, in ms.
    pub fn ahead_ms(&self) -> Millis {
        self.number(TIMESTAMP_AHEAD).unwrap_or(3_600_000)
    }

    fn number<N: FromStr>(&self, name: &str) -> Option<N> {
        self.get(name)?.trim().parse().ok()
    }

    /// How many bytes it has.
    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + value.len()).sum()
    }

    /// Whether every value is one that is taken.
    ///
    /// # Errors
    /// The first that is not.
    pub(crate) fn check(&self) -> Result<(), Rejection> {
        self.iter().try_for_each(|(name, value)| {
            let known = by_name(name).ok_or_else(|| Rejection::UnknownConfig(name.into()))?;
            check(known, value)
        })
    }
}

fn check(known: &Known, value: &str) -> Result<(), Rejection> {
    if known.kind.takes(value) {
        return Ok(());
    }
    let shown: String = value.chars().take(MAX_VALUE_LEN / 16).collect();
    Err(Rejection::InvalidConfig {
        name: known.name.into(),
        value: shown.into(),
        expected: known.kind.expected().into(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::command::Retention;
    use super::{Change, KNOWN, TopicConfig};

    #[test]
    fn every_default_is_a_value_that_is_taken() {
        let names: Vec<_> = KNOWN.iter().map(|known| known.name).collect();
        assert!(names.is_sorted(), "they are told in this order");
        for known in KNOWN {
            let config = TopicConfig::of([(known.name, known.default)]);
            assert_eq!(config.expect("a good value").get(known.name), Some(known.default));
        }
    }

    #[test]
    fn what_is_refused_is_named() {
        for (name, value, expected) in [
            ("retention", "1", "`retention`"),
            ("retention.ms", "-2", "from -1 to"),
            ("retention.ms", "1 day", "1 day"),
            ("max.message.bytes", "2097153", "from 0 to 2097152"),
            ("segment.bytes", "100", "from 1024"),
            ("cleanup.policy", "delete,never", "compact, delete"),
            ("compression.type", "bzip2", "producer or"),
            ("remote.storage.enable", "true", "false"),
            ("min.cleanable.dirty.ratio", "1.5", "from 0 to 1"),
            ("preallocate", "yes", "true or false"),
        ] {
            let refused = TopicConfig::of([(name, value)]).expect_err("a wrong value").to_string();
            assert!(refused.contains(expected), "{name}={value}: {refused}");
        }
        let long = "x".repeat(5_000);
        let refused = TopicConfig::of([("leader.replication.throttled.replicas", &*long)]);
        assert!(refused.is_err(), "values have a limit");
    }

    #[test]
    fn lists_begin_with_the_default() {
        let mut config = TopicConfig::default();
        let mut change = |change: Change| {
            config
                .change("cleanup.policy", &change)
                .map(|()| config.get("cleanup.policy").map(str::to_owned))
        };
        let list = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(change(Change::Add("compact".into())), list("delete,compact"));
        assert_eq!(change(Change::Add("compact, delete".into())), list("delete,compact"));
        assert_eq!(change(Change::Remove("delete".into())), list("compact"));
        assert_eq!(change(Change::Remove("compact".into())), list(""));
        assert!(change(Change::Add("tier".into())).is_err());
        assert_eq!(change(Change::Unset), Ok(None));
        let refused = config.change("retention.ms", &Change::Add("1".into()));
        assert!(refused.expect_err("no list").to_string().contains("it is no list"));
    }

    #[test]
    fn what_is_not_set_is_the_nodes() {
        let nodes = Retention { ms: Some(5), bytes: Some(7) };
        let of = |set: &[(&str, &str)]| TopicConfig::of(set.iter().copied()).expect("good values");
        assert_eq!(of(&[]).retention(nodes), nodes);
        let own = of(&[("retention.ms", "-1"), ("retention.bytes", "9")]);
        assert_eq!(own.retention(nodes), Retention { ms: None, bytes: Some(9) });
        for (policy, expected) in [
            ("compact", Retention::default()),
            ("", Retention::default()),
            ("compact,delete", nodes),
        ] {
            assert_eq!(of(&[("cleanup.policy", policy)]).retention(nodes), expected, "{policy}");
        }
        assert_eq!(of(&[]).segment_bytes(3), 3);
        assert_eq!(of(&[("segment.bytes", "2048")]).segment_bytes(3), 2_048);
        assert_eq!(of(&[("max.message.bytes", "100")]).max_batch_bytes(3), 100);
    }
}
