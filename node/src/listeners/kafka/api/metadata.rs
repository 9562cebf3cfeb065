//! Metadata (3): which nodes there are, who leads, and which topics have how many partitions.
//!
//! One node leads all partitions. While nobody leads, the answer waits: clients handle that better
//! than an answer without a leader.

use std::collections::BTreeSet;

use state_machine::ids::{NodeId, TopicName};
use state_machine::reply::Reply;
use state_machine::topics::command::{TopicCommand, TopicQuery};
use state_machine::topics::reply::{TopicDescription, TopicReply};
use wire::errors;
use wire::kafka_protocol::messages::metadata_request::MetadataRequest;
use wire::kafka_protocol::messages::metadata_response::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};

use super::super::errors::About;
use super::{Context, is_topic_name, kafka_name, node_id, once, text, topic_id, topics};
use crate::service::api::{Failure, Rejection};
use crate::service::watching::Leadership;

/// All topics, as a client names or does not name them.
pub(super) type Described = Vec<(TopicName, Option<TopicDescription>)>;

pub(super) async fn answer(cx: &Context, asked: MetadataRequest) -> MetadataResponse {
    let everything = match &asked.topics {
        None => true,
        Some(topics) => topics.is_empty() && cx.version == 0,
    };
    let names_nothing = asked.topics.as_ref().is_some_and(Vec::is_empty) && !everything;
    let leadership =
        if names_nothing { cx.broker.leadership() } else { cx.broker.leadership_in_time().await };
    let reply = MetadataResponse::default()
        .with_brokers(
            cx.broker
                .up()
                .into_iter()
                .map(|(node, endpoint)| {
                    MetadataResponseBroker::default()
                        .with_node_id(node_id(node))
                        .with_host(text(&endpoint.host))
                        .with_port(endpoint.port.into())
                })
                .collect(),
        )
        .with_cluster_id(Some(text(&cx.broker.settings.cluster)))
        .with_controller_id(node_id(leadership.leader.unwrap_or(cx.broker.settings.node)))
        .with_cluster_authorized_operations(if asked.include_cluster_authorized_operations {
            CLUSTER_OPERATIONS
        } else {
            i32::MIN
        });
    if names_nothing {
        return reply;
    }
    let with_operations = asked.include_topic_authorized_operations;
    let topics = asked_for(cx, asked, everything).await;
    reply.with_topics(
        topics
            .into_iter()
            .map(|topic| {
                let operations = if with_operations { TOPIC_OPERATIONS } else { i32::MIN };
                told(cx, leadership, topic).with_topic_authorized_operations(operations)
            })
            .collect(),
    )
}

/// Read, write, create, delete, alter, describe, and both of configurations (Kafka's codes of
/// `AclOperation` as bits).
const TOPIC_OPERATIONS: i32 = 0b1101_1111_1000;
/// Create, alter, describe, of the cluster itself, both of configurations, idempotent writes.
pub(super) const CLUSTER_OPERATIONS: i32 = 0b1_1111_1010_0000;

/// What a client asked for and what there is of it.
enum Asked {
    There(TopicName, TopicDescription),
    Missing(TopicName, i16),
    /// An id that no topic has, or that could not be looked up.
    Id(uuid::Uuid, i16),
}

async fn asked_for(cx: &Context, asked: MetadataRequest, everything: bool) -> Vec<Asked> {
    let may_create = cx.version < 4 || asked.allow_auto_topic_creation;
    let by_id: BTreeSet<uuid::Uuid> = asked
        .topics
        .iter()
        .flatten()
        .map(|topic| topic.topic_id)
        .filter(|id| !id.is_nil())
        .collect();
    if everything || !by_id.is_empty() {
        let all = match describe(cx, None).await {
            Ok(all) => all,
            // What is asked of everything has no place for a code.
            Err(code) => return by_id.into_iter().map(|id| Asked::Id(id, code)).collect(),
        };
        let all = all.into_iter().filter_map(|(name, found)| Some((name, found?)));
        if everything {
            return all.map(|(name, found)| Asked::There(name, found)).collect();
        }
        let all: Vec<_> = all.collect();
        let with_id = |id: uuid::Uuid| {
            let found = all.iter().find(|(_, found)| topic_id(cx, found.first_log) == id);
            found.map_or(Asked::Id(id, errors::UNKNOWN_TOPIC_ID), |(name, found)| {
                Asked::There(name.clone(), found.clone())
            })
        };
        return by_id.into_iter().map(with_id).collect();
    }
    let names: BTreeSet<TopicName> = asked
        .topics
        .into_iter()
        .flatten()
        .filter_map(|topic| topic.name)
        .map(|name| TopicName::from(name.as_str()))
        .collect();
    let names: Vec<TopicName> = names.into_iter().collect();
    let mut found = match describe(cx, Some(names.clone())).await {
        Ok(found) => found,
        Err(code) => return names.into_iter().map(|name| Asked::Missing(name, code)).collect(),
    };
    if may_create && cx.broker.settings.auto_create_topics {
        create_missing(cx, &mut found).await;
    }
    let each = |(name, found): (TopicName, Option<TopicDescription>)| match found {
        Some(found) => Asked::There(name, found),
        None if is_topic_name(name.as_str()) => {
            Asked::Missing(name, errors::UNKNOWN_TOPIC_OR_PARTITION)
        }
        None => Asked::Missing(name, errors::INVALID_TOPIC_EXCEPTION),
    };
    found.into_iter().map(each).collect()
}

/// Makes the topics that are not there, and looks for them again.
async fn create_missing(cx: &Context, found: &mut Described) {
    let mut candidates: Vec<TopicName> = found
        .iter()
        .filter(|(name, found)| found.is_none() && is_topic_name(name.as_str()))
        .map(|(name, _)| name.clone())
        .collect();
    // Of two that are too much alike one is made.
    once::by_key(&mut candidates, topics::plain);
    if candidates.iter().any(|topic| topics::plain(topic).contains('_')) {
        let Ok(all) = describe(cx, None).await else { return };
        let taken: BTreeSet<String> = all.iter().map(|(name, _)| topics::plain(name)).collect();
        candidates.retain(|topic| !taken.contains(&topics::plain(topic)));
    }
    let missing = candidates;
    if missing.is_empty() {
        return;
    }
    let partitions = cx.broker.settings.partitions;
    let create =
        |topic: &TopicName| cx.asker.command(TopicCommand::create(topic.clone(), partitions));
    let created = super::all(missing.iter().map(create).collect()).await;
    let is_there = |response: &Result<Reply, Failure>| {
        matches!(response, Ok(_) | Err(Failure::Rejected(Rejection::TopicAlreadyExists(_))))
    };
    if created.iter().any(is_there)
        && let Ok(again) = describe(cx, Some(missing)).await
    {
        for (name, description) in again {
            if let Some(place) = found.iter_mut().find(|(other, _)| *other == name) {
                place.1 = description;
            }
        }
    }
}

/// Looks topics up; an error code where that failed.
pub(super) async fn describe(
    cx: &Context,
    topics: Option<Vec<TopicName>>,
) -> Result<Described, i16> {
    match cx.asker.query(TopicQuery::Describe { topics }).await {
        Ok(Reply::Topic(TopicReply::Described(found))) => Ok(found),
        Ok(_) => Err(errors::UNKNOWN_SERVER_ERROR),
        Err(Failure::Service(_)) => Err(errors::LEADER_NOT_AVAILABLE),
        Err(failure) => Err(About::Partition.code(&failure)),
    }
}

fn told(cx: &Context, leadership: Leadership, asked: Asked) -> MetadataResponseTopic {
    let topic = MetadataResponseTopic::default();
    match asked {
        Asked::Id(id, code) => topic.with_error_code(code).with_name(None).with_topic_id(id),
        Asked::Missing(name, code) => {
            topic.with_error_code(code).with_name(Some(kafka_name(&name)))
        }
        Asked::There(name, found) => topic
            .with_name(Some(kafka_name(&name)))
            .with_topic_id(topic_id(cx, found.first_log))
            .with_partitions(partitions(cx, leadership, found.partitions)),
    }
}

fn partitions(cx: &Context, leadership: Leadership, count: u32) -> Vec<MetadataResponsePartition> {
    let mut nodes = cx.broker.members().to_vec();
    // The preferred leader comes first.
    nodes.sort_by_key(|node| (Some(*node) != leadership.leader, *node));
    let replicas: Vec<_> = nodes.iter().copied().map(node_id).collect();
    let is_up = cx.broker.up();
    let (up, down): (Vec<NodeId>, _) = nodes.into_iter().partition(|node| is_up.contains_key(node));
    let up: Vec<_> = up.into_iter().map(node_id).collect();
    let down: Vec<_> = down.into_iter().map(node_id).collect();
    let code = leadership.leader.map_or(errors::LEADER_NOT_AVAILABLE, |_| errors::NONE);
    let leader = leadership.leader.map_or((-1).into(), node_id);
    let epoch = i32::try_from(leadership.term).unwrap_or(i32::MAX);
    let partition = |index: u32| {
        MetadataResponsePartition::default()
            .with_error_code(code)
            .with_partition_index(i32::try_from(index).unwrap_or(i32::MAX))
            .with_leader_id(leader)
            .with_leader_epoch(epoch)
            .with_replica_nodes(replicas.clone())
            .with_isr_nodes(up.clone())
            .with_offline_replicas(down.clone())
    };
    (0..count).map(partition).collect()
}
