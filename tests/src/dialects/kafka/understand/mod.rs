//! From a request of Kafka's and the answer to it to the operations that they tell of.
//!
//! | module | owns |
//! | --- | --- |
//! | `records` | Produce, Fetch, ListOffsets, InitProducerId |
//! | `groups` | JoinGroup, SyncGroup, Heartbeat, LeaveGroup, DescribeGroups, DeleteGroups |
//! | `members` | ConsumerGroupHeartbeat |
//! | `offsets` | OffsetCommit, OffsetFetch, OffsetDelete |
//! | `topics` | Metadata, CreateTopics, CreatePartitions, DeleteTopics |
//! | `errors` | what an error says about whether the request took effect |
//! | `names` | which topic has which id |
//!
//! Each request becomes parts, one for each operation. A part has its answer where there is an
//! answer to the request. So the form of an operation stands in one place, answered or not.
//!
//! Other requests tell of no operation. Neither does what cannot be read: a topic with an id that
//! nobody named yet, and batches of old formats or in disorder. [`TopicNames::untold`] counts it.
//! The module knows no connection, no time, and nothing of what is right.

mod errors;
mod groups;
mod members;
mod names;
mod offsets;
mod records;
#[cfg(test)]
mod tests;
mod topics;

use serde_json::{Map, Value};
use wire::kafka_protocol::messages::{RequestKind, ResponseKind};

use super::Told;
use crate::dialects::Answer;

pub use names::TopicNames;

/// One operation of a request, with its answer if there is one.
#[derive(Debug, Clone, PartialEq)]
struct Part {
    f: &'static str,
    args: Value,
    answer: Option<Answer>,
}

impl Part {
    fn new(f: &'static str, args: Map<String, Value>, answer: Option<Answer>) -> Self {
        Self { f, args: Value::Object(args), answer }
    }
}

/// The operations that a request and its answer, both in that version, tell of.
///
/// What the answer leaves out, though it was asked for, may or may not have taken effect. It gets
/// code 0 and no name.
pub fn understand(
    names: &mut TopicNames,
    request: &RequestKind,
    reply: &ResponseKind,
    version: i16,
) -> Vec<Told> {
    names.learn(reply);
    let told = |part: Part| {
        let left_out = Answer::Error { code: 0, error: None };
        Told { f: part.f, args: part.args, answer: part.answer.unwrap_or(left_out) }
    };
    parts(names, request, Some((reply, version))).into_iter().map(told).collect()
}

/// The operations that a request tells of, whose answer never came: names and fields.
pub fn asked(names: &mut TopicNames, request: &RequestKind) -> Vec<(&'static str, Value)> {
    parts(names, request, None).into_iter().map(|part| (part.f, part.args)).collect()
}

/// An answer with the version of both.
type Reply<'a> = Option<(&'a ResponseKind, i16)>;

fn parts(names: &mut TopicNames, request: &RequestKind, reply: Reply<'_>) -> Vec<Part> {
    /// The answer's body, if it answers this kind of request.
    macro_rules! answer {
        ($name:ident) => {
            match reply {
                Some((ResponseKind::$name(reply), _)) => Some(reply),
                _ => None,
            }
        };
    }
    match request {
        RequestKind::Produce(asked) => records::produce(names, asked, answer!(Produce)),
        RequestKind::Fetch(asked) => records::fetch(names, asked, answer!(Fetch)),
        RequestKind::ListOffsets(asked) => records::list_offsets(asked, answer!(ListOffsets)),
        RequestKind::InitProducerId(asked) => {
            records::init_producer(asked, answer!(InitProducerId))
        }
        RequestKind::JoinGroup(asked) => groups::join(asked, answer!(JoinGroup)),
        RequestKind::SyncGroup(asked) => groups::sync(asked, answer!(SyncGroup)),
        RequestKind::Heartbeat(asked) => groups::heartbeat(asked, answer!(Heartbeat)),
        RequestKind::ConsumerGroupHeartbeat(asked) => {
            members::heartbeat(names, asked, answer!(ConsumerGroupHeartbeat))
        }
        RequestKind::LeaveGroup(asked) => groups::leave(asked, answer!(LeaveGroup)),
        RequestKind::DescribeGroups(asked) => groups::describe(asked, answer!(DescribeGroups)),
        RequestKind::DeleteGroups(asked) => groups::delete(asked, answer!(DeleteGroups)),
        RequestKind::OffsetCommit(asked) => offsets::commit(asked, answer!(OffsetCommit)),
        RequestKind::OffsetFetch(asked) => offsets::fetch(asked, answer!(OffsetFetch)),
        RequestKind::OffsetDelete(asked) => offsets::delete(asked, answer!(OffsetDelete)),
        RequestKind::Metadata(asked) => {
            let version = reply.map(|(_, version)| version);
            topics::list(asked, answer!(Metadata), version)
        }
        RequestKind::CreateTopics(asked) => topics::create(asked, answer!(CreateTopics)),
        RequestKind::CreatePartitions(asked) => {
            topics::create_partitions(asked, answer!(CreatePartitions))
        }
        RequestKind::DeleteTopics(asked) => topics::delete(names, asked, answer!(DeleteTopics)),
        _ => Vec::new(),
    }
}

/// The fields of an operation, by name; null ones are left out.
fn fields<const N: usize>(all: [(&str, Value); N]) -> Map<String, Value> {
    let given = all.into_iter().filter(|(_, value)| !value.is_null());
    given.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A name as a field; an empty one is none.
fn name(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { Value::from(text) }
}

/// A number as a field; below 0 it is none.
fn number(number: impl Into<i64>) -> Value {
    let number = number.into();
    if number < 0 { Value::Null } else { Value::from(number) }
}
