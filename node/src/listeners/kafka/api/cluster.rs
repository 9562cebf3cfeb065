//! DescribeCluster (60), DescribeLogDirs (35), ListPartitionReassignments (46), DescribeAcls (29):
//! what tools ask of a cluster.

use state_machine::ids::TopicName;
use state_machine::rejection::Rejection;
use state_machine::reply::Reply;
use state_machine::topics::command::{OffsetAt, TopicQuery};
use state_machine::topics::reply::{OffsetsFound, TopicReply};
use wire::errors;
use wire::kafka_protocol::messages::ListPartitionReassignmentsResponse;
use wire::kafka_protocol::messages::describe_acls_response::DescribeAclsResponse;
use wire::kafka_protocol::messages::describe_cluster_request::DescribeClusterRequest;
use wire::kafka_protocol::messages::describe_cluster_response::{
    DescribeClusterBroker, DescribeClusterResponse,
};
use wire::kafka_protocol::messages::describe_log_dirs_request::DescribeLogDirsRequest;
use wire::kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResponse, DescribeLogDirsResult, DescribeLogDirsTopic,
};

use super::super::errors::About;
use super::metadata::{CLUSTER_OPERATIONS, describe as describe_topics};
use super::{Context, kafka_name, name_of, node_id, text};

/// The folder in which a node has its records, as clients are told it.
pub(super) const LOG_DIR: &str = "records";

/// The kind of endpoints that there are: brokers.
const BROKERS: i8 = 1;
/// The kind of endpoints that only controllers have.
const CONTROLLERS: i8 = 2;

pub(super) fn describe(cx: &Context, asked: &DescribeClusterRequest) -> DescribeClusterResponse {
    let settings = &cx.broker.settings;
    let reply = DescribeClusterResponse::default().with_endpoint_type(BROKERS);
    if asked.endpoint_type != BROKERS {
        let code = if asked.endpoint_type == CONTROLLERS {
            errors::MISMATCHED_ENDPOINT_TYPE
        } else {
            errors::UNSUPPORTED_ENDPOINT_TYPE
        };
        let problem = format!("endpoint type {}, expected {BROKERS}", asked.endpoint_type);
        return reply.with_error_code(code).with_error_message(Some(text(&problem)));
    }
    let with_operations = asked.include_cluster_authorized_operations;
    let operations = if with_operations { CLUSTER_OPERATIONS } else { i32::MIN };
    let broker = |(node, endpoint): (state_machine::ids::NodeId, super::Endpoint)| {
        DescribeClusterBroker::default()
            .with_broker_id(node_id(node))
            .with_host(text(&endpoint.host))
            .with_port(endpoint.port.into())
    };
    let leader = cx.broker.leadership().leader.unwrap_or(settings.node);
    reply
        .with_cluster_id(text(&settings.cluster))
        .with_controller_id(node_id(leader))
        .with_brokers(cx.broker.up().into_iter().map(broker).collect())
        .with_cluster_authorized_operations(operations)
}

pub(super) async fn log_dirs(
    cx: &Context,
    asked: DescribeLogDirsRequest,
) -> DescribeLogDirsResponse {
    let reply = DescribeLogDirsResponse::default();
    let names = asked.topics.as_ref().map(|t| t.iter().map(|t| name_of(&t.topic)).collect());
    let found = match describe_topics(cx, names).await {
        Ok(found) => found,
        Err(code) => return reply.with_error_code(code),
    };
    let wanted = |topic: &TopicName, partition: u32| {
        asked.topics.as_ref().is_none_or(|topics| {
            topics.iter().any(|t| {
                t.topic.as_str() == topic.as_str()
                    && t.partitions.iter().any(|index| u32::try_from(*index) == Ok(partition))
            })
        })
    };
    let mut topics = Vec::new();
    for (topic, found) in found {
        let Some(found) = found else { continue };
        let partitions: Vec<u32> =
            (0..found.partitions).filter(|partition| wanted(&topic, *partition)).collect();
        if partitions.is_empty() {
            continue;
        }
        let told = match sizes(cx, &topic, &partitions).await {
            Ok(told) => told,
            Err(code) => return reply.with_error_code(code),
        };
        topics.push(
            DescribeLogDirsTopic::default().with_name(kafka_name(&topic)).with_partitions(told),
        );
    }
    let result = DescribeLogDirsResult::default()
        .with_log_dir(text(LOG_DIR))
        .with_topics(topics)
        .with_total_bytes(-1)
        .with_usable_bytes(-1);
    reply.with_results(vec![result])
}

async fn sizes(
    cx: &Context,
    topic: &TopicName,
    partitions: &[u32],
) -> Result<Vec<DescribeLogDirsPartition>, i16> {
    let at =
        |partition: &u32| OffsetAt { topic: topic.clone(), partition: *partition, since: None };
    let query = TopicQuery::Offsets { partitions: partitions.iter().map(at).collect() };
    let found = match cx.asker.query(query).await {
        Ok(Reply::Topic(TopicReply::Offsets(found))) => found,
        Ok(_) => return Err(errors::UNKNOWN_SERVER_ERROR),
        Err(failure) => return Err(About::Partition.code(&failure)),
    };
    // One that was removed meanwhile has no size.
    let told = |(partition, found): (&u32, Result<OffsetsFound, Rejection>)| {
        let index = i32::try_from(*partition).unwrap_or(i32::MAX);
        let size = super::wire_offset(found.ok()?.bytes);
        let told = DescribeLogDirsPartition::default().with_partition_index(index);
        Some(told.with_partition_size(size))
    };
    Ok(partitions.iter().zip(found).filter_map(told).collect())
}

pub(super) fn reassignments() -> ListPartitionReassignmentsResponse {
    ListPartitionReassignmentsResponse::default().with_error_message(None)
}

pub(super) fn acls() -> DescribeAclsResponse {
    DescribeAclsResponse::default()
        .with_error_code(errors::SECURITY_DISABLED)
        .with_error_message(Some(text("no authorizer: everybody may do everything")))
}
