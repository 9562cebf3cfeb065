//! CreateTopics (19), DeleteTopics (20), CreatePartitions (37).
//!
//! A topic has as many replicas as the cluster has nodes.

use std::collections::{BTreeMap, BTreeSet};

use state_machine::ids::TopicName;
use state_machine::topics::command::TopicCommand;
use state_machine::topics::config::TopicConfig;
use state_machine::topics::topic::MAX_PARTITIONS;
use wire::errors;
use wire::kafka_protocol::messages::BrokerId;
use wire::kafka_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
};
use wire::kafka_protocol::messages::create_partitions_response::{
    CreatePartitionsResponse, CreatePartitionsTopicResult,
};
use wire::kafka_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use wire::kafka_protocol::messages::create_topics_response::{
    CreatableTopicResult, CreateTopicsResponse,
};
use wire::kafka_protocol::messages::delete_topics_request::{
    DeleteTopicState, DeleteTopicsRequest,
};
use wire::kafka_protocol::messages::delete_topics_response::{
    DeletableTopicResult, DeleteTopicsResponse,
};

use super::super::errors::About;
use super::metadata::describe;
use super::{Context, configs, is_topic_name, kafka_name, name_of, node_id, once, text, topic_id};
use crate::limits;

/// Why something is refused: a code, and what there is to say.
type Refused = (i16, String);

/// What was made: so many partitions, this configuration.
type Made = (u32, TopicConfig);

/// Asks for the default. By KIP-464 from version 4 on, but Kafka takes it in all, and kafkajs sends
/// it in version 3.
const DEFAULT: i32 = -1;

/// From here on the reply says why a topic is not deleted.
const DELETE_TEXT_FROM: i16 = 5;

/// From here on the reply says what was made.
const DETAILS_FROM: i16 = 5;

pub(super) async fn create(cx: &Context, asked: CreateTopicsRequest) -> CreateTopicsResponse {
    let mut times = BTreeMap::new();
    for topic in &asked.topics {
        *times.entry(topic.name.clone()).or_insert(0) += 1;
    }
    let partitions: usize = asked.topics.iter().map(|topic| partitions_of(cx, topic)).sum();
    let mut topics = asked.topics;
    once::by_key(&mut topics, |topic| topic.name.clone());
    let mut results: Vec<CreatableTopicResult> = Vec::with_capacity(topics.len());
    for topic in topics {
        let made = if partitions > limits::KAFKA_CREATED {
            let most = limits::KAFKA_CREATED;
            let problem =
                format!("{partitions} partitions in one request, expected at most {most}");
            Err((errors::POLICY_VIOLATION, problem))
        } else if times[&topic.name] > 1 {
            Err((errors::INVALID_REQUEST, "the request has the topic more than once".to_owned()))
        } else {
            create_one(cx, &topic, asked.validate_only).await
        };
        results.push(created(cx, topic, made, asked.validate_only).await);
    }
    CreateTopicsResponse::default().with_topics(results)
}

/// How many partitions a request asks for with a topic.
fn partitions_of(cx: &Context, asked: &CreatableTopic) -> usize {
    if !asked.assignments.is_empty() {
        return asked.assignments.len();
    }
    match usize::try_from(asked.num_partitions) {
        Ok(count) => count,
        Err(_) if asked.num_partitions == DEFAULT => cx.broker.settings.partitions as usize,
        Err(_) => 1,
    }
}

/// Makes a topic; the number of its partitions, and what it has of its own.
async fn create_one(cx: &Context, asked: &CreatableTopic, only: bool) -> Result<Made, Refused> {
    let refuse = |code, problem: &str| Err((code, problem.to_owned()));
    let name = asked.name.as_str();
    if !is_topic_name(name) {
        let problem =
            format!("topic name {name:?}, expected 1 to 249 of letters, digits, `.`, `_` and `-`");
        return Err((errors::INVALID_TOPIC_EXCEPTION, problem));
    }
    let nodes = i16::try_from(cx.broker.members().len()).unwrap_or(i16::MAX);
    let partitions = if asked.assignments.is_empty() {
        if !(1..=nodes).contains(&asked.replication_factor)
            && i32::from(asked.replication_factor) != DEFAULT
        {
            let problem =
                format!("replication factor {}, expected 1 to {nodes}", asked.replication_factor);
            return Err((errors::INVALID_REPLICATION_FACTOR, problem));
        }
        match u32::try_from(asked.num_partitions) {
            Ok(count) if count > 0 => count,
            _ if asked.num_partitions == DEFAULT => cx.broker.settings.partitions,
            _ => {
                let problem = format!("{} partitions, expected 1 or more", asked.num_partitions);
                return Err((errors::INVALID_PARTITIONS, problem));
            }
        }
    } else if asked.num_partitions != DEFAULT || i32::from(asked.replication_factor) != DEFAULT {
        let problem = "an assignment of replicas goes with no number of partitions or replicas";
        return refuse(errors::INVALID_REQUEST, problem);
    } else {
        assigned(cx, asked)?
    };
    let config = configs::of_request(&asked.configs)?;
    let topic = TopicName::from(name);
    collides(cx, &topic).await?;
    if only {
        let found = describe(cx, Some(vec![topic])).await.map_err(|code| (code, String::new()))?;
        return match found.first() {
            Some((_, Some(_))) => refuse(errors::TOPIC_ALREADY_EXISTS, "it exists"),
            _ => Ok((partitions, config)),
        };
    }
    let command = TopicCommand::Create { topic, partitions, config: config.clone() };
    match cx.asker.command(command).await {
        Ok(_) => Ok((partitions, config)),
        Err(failure) => Err((About::Partition.code(&failure), failure.to_string())),
    }
}

/// The number of partitions of an assignment, which has to name each once, from 0.
fn assigned(cx: &Context, asked: &CreatableTopic) -> Result<u32, Refused> {
    let mut indexes: Vec<i32> = asked.assignments.iter().map(|a| a.partition_index).collect();
    indexes.sort_unstable();
    let is_whole = indexes.iter().zip(0..).all(|(index, expected)| *index == expected);
    if is_whole && asked.assignments.iter().all(|a| are_nodes(cx, &a.broker_ids)) {
        Ok(u32::try_from(indexes.len()).unwrap_or(u32::MAX))
    } else {
        let problem = "an assignment has to name each partition from 0 once, with its replicas";
        Err((errors::INVALID_REPLICA_ASSIGNMENT, problem.to_owned()))
    }
}

/// Whether there is at least one, each is a node of the cluster, and none is named twice.
fn are_nodes(cx: &Context, brokers: &[BrokerId]) -> bool {
    let is_node = |id: &BrokerId| cx.broker.members().iter().any(|node| node_id(*node) == *id);
    let distinct: BTreeSet<i32> = brokers.iter().map(|id| id.0).collect();
    !brokers.is_empty() && distinct.len() == brokers.len() && brokers.iter().all(is_node)
}

/// A topic's name as metrics have it, in which `.` counts as `_`.
pub(super) fn plain(name: &TopicName) -> String {
    name.as_str().replace('.', "_")
}

/// Refuses a name that differs from another topic's in dots and underscores alone: names of metrics
/// have one for the other.
async fn collides(cx: &Context, topic: &TopicName) -> Result<(), Refused> {
    let own = plain(topic);
    if !own.contains('_') {
        return Ok(());
    }
    let all = describe(cx, None).await.map_err(|code| (code, String::new()))?;
    match all.iter().find(|(other, _)| other != topic && plain(other) == own) {
        None => Ok(()),
        Some((other, _)) => {
            let problem = format!("topic `{topic}` is too much like `{other}`: `.` counts as `_`");
            Err((errors::INVALID_TOPIC_EXCEPTION, problem))
        }
    }
}

async fn created(
    cx: &Context,
    asked: CreatableTopic,
    made: Result<Made, Refused>,
    only: bool,
) -> CreatableTopicResult {
    let name = name_of(&asked.name);
    let result = CreatableTopicResult::default().with_name(asked.name).with_error_message(None);
    let (partitions, config) = match made {
        Ok(made) => made,
        Err((code, problem)) => {
            let result = result.with_error_code(code).with_error_message(Some(text(&problem)));
            return if cx.version >= DETAILS_FROM {
                let none = Some(Vec::new());
                result.with_num_partitions(-1).with_replication_factor(-1).with_configs(none)
            } else {
                result
            };
        }
    };
    let result = if cx.version >= 7 && !only {
        let found = describe(cx, Some(vec![name])).await.unwrap_or_default();
        let found = found.first().and_then(|(_, found)| found.as_ref());
        found.map_or(result.clone(), |found| result.with_topic_id(topic_id(cx, found.first_log)))
    } else {
        result
    };
    if cx.version < DETAILS_FROM {
        return result;
    }
    let replicas = i16::try_from(cx.broker.members().len()).unwrap_or(i16::MAX);
    result
        .with_num_partitions(i32::try_from(partitions).unwrap_or(i32::MAX))
        .with_replication_factor(replicas)
        .with_configs(Some(configs::of_new_topic(cx, &config)))
}

pub(super) async fn delete(cx: &Context, asked: DeleteTopicsRequest) -> DeleteTopicsResponse {
    let by_name = asked.topic_names.into_iter();
    let by_name = by_name.map(|name| DeleteTopicState::default().with_name(Some(name)));
    let topics: Vec<_> = by_name.chain(asked.topics).collect();
    let mut names = BTreeMap::new();
    for name in topics.iter().filter_map(|topic| topic.name.as_ref()) {
        *names.entry(name.clone()).or_insert(0) += 1;
    }
    let mut responses: Vec<DeletableTopicResult> = Vec::with_capacity(topics.len());
    for topic in topics {
        let is_told = |told: &DeletableTopicResult| told.name.is_some() && told.name == topic.name;
        if responses.iter().any(is_told) {
            continue;
        }
        let times = topic.name.as_ref().map_or(1, |name| names[name]);
        let result = if times > 1 {
            DeletableTopicResult::default()
                .with_name(topic.name)
                .with_error_code(errors::INVALID_REQUEST)
        } else {
            delete_one(cx, topic).await
        };
        responses.push(match errors::name(result.error_code) {
            Some(problem)
                if cx.version >= DELETE_TEXT_FROM && result.error_code != errors::NONE =>
            {
                result.with_error_message(Some(text(problem)))
            }
            _ => result,
        });
    }
    DeleteTopicsResponse::default().with_responses(responses)
}

async fn delete_one(cx: &Context, asked: DeleteTopicState) -> DeletableTopicResult {
    let result = DeletableTopicResult::default();
    let names = match (&asked.name, asked.topic_id.is_nil()) {
        (Some(name), true) => Some(vec![name_of(name)]),
        (None, false) => None,
        _ => {
            return result
                .with_name(asked.name)
                .with_topic_id(asked.topic_id)
                .with_error_code(errors::INVALID_REQUEST);
        }
    };
    let found = match describe(cx, names).await {
        Ok(found) => found.into_iter().filter_map(|(name, found)| Some((name, found?))),
        Err(code) => {
            return result
                .with_name(asked.name)
                .with_topic_id(asked.topic_id)
                .with_error_code(code);
        }
    };
    let mut found = found
        .map(|(name, found)| (name, topic_id(cx, found.first_log)))
        .filter(|(_, id)| asked.topic_id.is_nil() || *id == asked.topic_id);
    let Some((name, id)) = found.next() else {
        let code = if asked.topic_id.is_nil() {
            errors::UNKNOWN_TOPIC_OR_PARTITION
        } else {
            errors::UNKNOWN_TOPIC_ID
        };
        return result.with_name(asked.name).with_topic_id(asked.topic_id).with_error_code(code);
    };
    let result = result.with_name(Some(kafka_name(&name))).with_topic_id(id);
    match cx.asker.command(TopicCommand::Delete { topic: name }).await {
        Ok(_) => result,
        Err(failure) => result.with_error_code(About::Partition.code(&failure)),
    }
}

pub(super) async fn grow(cx: &Context, asked: CreatePartitionsRequest) -> CreatePartitionsResponse {
    let mut times = BTreeMap::new();
    for topic in &asked.topics {
        *times.entry(topic.name.clone()).or_insert(0) += 1;
    }
    let mut results: Vec<CreatePartitionsTopicResult> = Vec::with_capacity(asked.topics.len());
    for topic in asked.topics {
        if results.iter().any(|told| told.name == topic.name) {
            continue;
        }
        let grown = if times[&topic.name] > 1 {
            Err((errors::INVALID_REQUEST, "the request has the topic more than once".to_owned()))
        } else {
            grow_one(cx, &topic, asked.validate_only).await
        };
        let result = CreatePartitionsTopicResult::default().with_name(topic.name);
        results.push(match grown {
            Ok(()) => result,
            Err((code, problem)) => {
                result.with_error_code(code).with_error_message(Some(text(&problem)))
            }
        });
    }
    CreatePartitionsResponse::default().with_results(results)
}

async fn grow_one(cx: &Context, asked: &CreatePartitionsTopic, only: bool) -> Result<(), Refused> {
    let name = name_of(&asked.name);
    let found = describe(cx, Some(vec![name.clone()])).await;
    let found = found.map_err(|code| (code, String::new()))?;
    let Some((_, Some(found))) = found.first() else {
        let problem = format!("topic `{name}` does not exist");
        return Err((errors::UNKNOWN_TOPIC_OR_PARTITION, problem));
    };
    let current = found.partitions;
    let count = u32::try_from(asked.count).unwrap_or(0);
    if count <= current || count > MAX_PARTITIONS {
        let problem = format!(
            "topic `{name}` has {current} partitions, {} is no greater number up to \
             {MAX_PARTITIONS}",
            asked.count
        );
        return Err((errors::INVALID_PARTITIONS, problem));
    }
    let added = (count - current) as usize;
    let is_wrong = |given: &Vec<CreatePartitionsAssignment>| {
        given.len() != added || !given.iter().all(|a| are_nodes(cx, &a.broker_ids))
    };
    if asked.assignments.as_ref().is_some_and(is_wrong) {
        let problem = format!(
            "{added} partitions are new: an assignment has to name as many, with their replicas"
        );
        return Err((errors::INVALID_REPLICA_ASSIGNMENT, problem));
    }
    if only {
        return Ok(());
    }
    match cx.asker.command(TopicCommand::Grow { topic: name, partitions: count }).await {
        Ok(_) => Ok(()),
        Err(failure) => Err((About::Partition.code(&failure), failure.to_string())),
    }
}
