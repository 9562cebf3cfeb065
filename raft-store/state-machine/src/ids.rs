//! The names and numbers of the domain, each a type of its own so that none can stand for another.
//!
//! Lengths are checked by the listener ([`MAX_NAME_LEN`]); here a name is any string.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::sync::Arc;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize};

/// The longest name of a group, topic, member or instance, in characters (Kafka's limit for
/// topics).
pub const MAX_NAME_LEN: usize = 249;

/// Reads a name where it stands: serde's own `Arc<str>` makes a `String` first.
struct NameVisitor;

impl Visitor<'_> for NameVisitor {
    type Value = Arc<str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Arc<str>, E> {
        Ok(text.into())
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(NameVisitor).map(Self)
            }
        }

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Default for $name {
            /// The empty name, which nothing has.
            fn default() -> Self {
                Self("".into())
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl From<Cow<'_, str>> for $name {
            fn from(text: Cow<'_, str>) -> Self {
                Self(text.into())
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    };
}

name! {
    /// A consumer group.
    GroupId
}
name! {
    /// A member of a group; for polling consumers the consumer's own name.
    MemberId
}
name! {
    /// The lasting identity of a static member (KIP-345).
    InstanceId
}
name! {
    /// A topic with partitions.
    TopicName
}
name! {
    /// A log of Maelstrom's `kafka` workload: one partition, in a namespace apart from topics.
    LogKey
}
name! {
    /// An assignor's name, or any name that classic members offer as their protocol.
    ProtocolName
}

/// A partition's number within its topic, from 0.
pub type PartitionId = u32;

/// A position in a partition, from 0. In JSON and in Kafka's wire format it has to fit an `i64`.
pub type Offset = u64;

/// The log of a topic's partition, or a keyed log. No two logs of a cluster ever have the same id:
/// a topic that is removed and made again has new logs.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct LogId(pub u64);

impl LogId {
    /// The id that is given out so many ids later.
    pub fn plus(self, ids: u64) -> Self {
        Self(self.0 + ids)
    }
}

/// An idempotent producer. No two of a cluster ever have the same id. On Kafka's wire it has to fit
/// an `i64`.
pub type ProducerId = u64;

/// Milliseconds since 1970 by the clock of the node that led when the command was proposed.
pub type Millis = u64;

/// A node of the Raft group: its place, from 1, in the sorted list of node names.
pub type NodeId = u64;

/// A group's generation: 0 before its first rebalance, then it only grows.
///
/// Signed as in Kafka's protocol, where clients send -1 for "none"; a group's own is never
/// negative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub i32);

impl Generation {
    /// The generation after this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A topic's partition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TopicPartition {
    /// The topic.
    pub topic: TopicName,
    /// The partition within it.
    pub partition: PartitionId,
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}
