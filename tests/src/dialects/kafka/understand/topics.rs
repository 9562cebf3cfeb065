//! Metadata, CreateTopics, CreatePartitions, DeleteTopics.

use serde_json::{Map, Value};
use wire::errors;
use wire::kafka_protocol::messages::create_topics_request::CreatableTopic;
use wire::kafka_protocol::messages::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse,
    DeleteTopicsRequest, DeleteTopicsResponse, MetadataRequest, MetadataResponse,
};

use super::errors::{answer, done};
use super::{Part, TopicNames, fields, number};

/// Only a Metadata of all topics says which there are: null, and in version 0 an empty list.
pub(super) fn list(
    asked: &MetadataRequest,
    reply: Option<&MetadataResponse>,
    version: Option<i16>,
) -> Vec<Part> {
    let all = match &asked.topics {
        None => true,
        Some(topics) => topics.is_empty() && version == Some(0),
    };
    if !all {
        return Vec::new();
    }
    let answer = reply.map(|reply| {
        let named = reply.topics.iter().filter(|topic| topic.error_code == errors::NONE);
        let topics: Map<String, Value> = named
            .filter_map(|topic| {
                Some((topic.name.as_ref()?.to_string(), topic.partitions.len().into()))
            })
            .collect();
        answer("list_topics", reply.error_code, || fields([("topics", topics.into())]))
    });
    vec![Part::new("list_topics", Map::new(), answer)]
}

/// How many partitions a new topic is to have; below 0 the broker decides.
fn count(topic: &CreatableTopic) -> Value {
    match topic.assignments.len() {
        0 => number(topic.num_partitions),
        placed => placed.into(),
    }
}

/// What is only to be looked at changes nothing, and is not told.
pub(super) fn create(
    asked: &CreateTopicsRequest,
    reply: Option<&CreateTopicsResponse>,
) -> Vec<Part> {
    let topics = asked.topics.iter().filter(|_| !asked.validate_only);
    let parts = topics.map(|topic| {
        let told = reply.and_then(|reply| reply.topics.iter().find(|told| told.name == topic.name));
        // The answer tells what the broker decided, from version 5 on.
        let decided = told.map_or(Value::Null, |told| match told.num_partitions {
            1.. => told.num_partitions.into(),
            _ => Value::Null,
        });
        let partitions = Some(count(topic)).filter(|count| !count.is_null()).unwrap_or(decided);
        let args = fields([("topic", topic.name.as_str().into()), ("partitions", partitions)]);
        let answer = told.map(|told| done("create_topic", told.error_code));
        Part::new("create_topic", args, answer)
    });
    parts.collect()
}

pub(super) fn create_partitions(
    asked: &CreatePartitionsRequest,
    reply: Option<&CreatePartitionsResponse>,
) -> Vec<Part> {
    let topics = asked.topics.iter().filter(|_| !asked.validate_only);
    let parts = topics.map(|topic| {
        let told =
            reply.and_then(|reply| reply.results.iter().find(|told| told.name == topic.name));
        let args =
            fields([("topic", topic.name.as_str().into()), ("partitions", topic.count.into())]);
        let answer = told.map(|told| done("create_partitions", told.error_code));
        Part::new("create_partitions", args, answer)
    });
    parts.collect()
}

pub(super) fn delete(
    names: &mut TopicNames,
    asked: &DeleteTopicsRequest,
    reply: Option<&DeleteTopicsResponse>,
) -> Vec<Part> {
    let told = |is: &dyn Fn(&str, [u8; 16]) -> bool| {
        let told = reply?.responses.iter().find(|told| {
            is(told.name.as_ref().map_or("", |name| name.as_str()), told.topic_id.into_bytes())
        })?;
        Some((told.name.as_ref().map(|name| name.to_string()), told.error_code))
    };
    let part = |topic: String, code: Option<i16>| {
        let args = fields([("topic", topic.into())]);
        Part::new("delete_topic", args, code.map(|code| done("delete_topic", code)))
    };
    let mut parts = Vec::new();
    // From version 6 on a topic has a name or an id; before, all have names.
    for name in &asked.topic_names {
        let told = told(&|other, _| other == name.as_str());
        parts.push(part(name.to_string(), told.map(|told| told.1)));
    }
    for state in &asked.topics {
        let (name, id) = (state.name.as_ref(), state.topic_id.into_bytes());
        let told = match name {
            Some(name) => told(&|other, _| other == name.as_str()),
            None => told(&|_, other| other == id),
        };
        let own = names.resolve(name.map_or("", |name| name.as_str()), id);
        // The answer names what was deleted by its id.
        match own.or_else(|| told.as_ref().and_then(|told| told.0.clone())) {
            Some(topic) => parts.push(part(topic, told.map(|told| told.1))),
            None => names.leave_out(1),
        }
    }
    parts
}
