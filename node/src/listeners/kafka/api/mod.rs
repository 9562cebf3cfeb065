//! What each request means: one file an API, or a few that belong together.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use wire::kafka_protocol::messages::{self as kafka, RequestKind, ResponseKind};
use wire::kafka_protocol::protocol::StrBytes;
use wire::{errors, frame, versions};

use super::ask::Asker;
use super::connection::Closed;
use super::errors::About;
use super::{Broker, Endpoint};
use crate::service::api::Response;
use state_machine::ids::{NodeId, TopicName};

mod api_versions;
mod cluster;
mod config_names;
mod configs;
mod epochs;
mod fetch;
mod find_coordinator;
mod group_admin;
mod list_offsets;
mod members;
mod metadata;
mod offsets;
mod once;
mod produce;
mod producers;
mod records;
mod topics;

/// What an answer may need to know besides its request.
pub(super) struct Context {
    pub(super) broker: Arc<Broker>,
    pub(super) asker: Arc<Asker>,
    /// The request's version.
    pub(super) version: i16,
    /// What the client calls itself.
    pub(super) client_id: Arc<str>,
    /// Where it connects from.
    pub(super) host: Arc<str>,
    /// The code with which a test has it refused.
    pub(super) made_fail: Option<i16>,
}

/// Who leads, and where clients reach it.
struct LeaderHint {
    node: NodeId,
    epoch: i32,
    endpoint: Endpoint,
}

/// What a request comes to; `None`: no reply is owed.
type Answer = Result<Option<ResponseKind>, Closed>;

impl Context {
    /// The code with which this node refuses what only a leader may do; `None`: it leads. What a
    /// test has refused is refused here too.
    fn refusal(&self, about: About) -> Option<i16> {
        self.made_fail.or_else(|| (!self.broker.leads()).then(|| about.wrong_node()))
    }

    /// Where a node that does not lead sends its clients, if it knows.
    fn leader_hint(&self) -> Option<LeaderHint> {
        let now = self.broker.leadership();
        let node = now.leader.filter(|leader| *leader != self.broker.settings.node)?;
        let endpoint = self.broker.endpoint(node)?;
        Some(LeaderHint { node, epoch: self.epoch(), endpoint })
    }

    /// The epoch of all partitions' leader: the term.
    fn epoch(&self) -> i32 {
        i32::try_from(self.broker.leadership().term).unwrap_or(i32::MAX)
    }

    /// What a client that names another leader's epoch is told.
    fn fenced(&self, epoch: i32) -> Option<i16> {
        let current = self.epoch();
        match epoch {
            ..0 => None,
            epoch if epoch < current => Some(errors::FENCED_LEADER_EPOCH),
            epoch if epoch > current => Some(errors::UNKNOWN_LEADER_EPOCH),
            _ => None,
        }
    }
}

/// Whether only the leader has the answer to requests of this kind.
pub(super) fn is_for_the_leader(key: i16) -> bool {
    matches!(
        key,
        versions::PRODUCE
            | versions::FETCH
            | versions::LIST_OFFSETS
            | versions::OFFSET_FOR_LEADER_EPOCH
            | versions::DELETE_RECORDS
            | versions::JOIN_GROUP
            | versions::SYNC_GROUP
            | versions::HEARTBEAT
            | versions::LEAVE_GROUP
            | versions::OFFSET_COMMIT
            | versions::OFFSET_FETCH
            | versions::OFFSET_DELETE
            | versions::LIST_GROUPS
            | versions::DESCRIBE_GROUPS
            | versions::DELETE_GROUPS
    )
}

/// The reply to ApiVersions in a version that is not understood.
pub(super) fn unsupported_api_versions(correlation_id: i32) -> Result<Bytes, Closed> {
    let reply = ResponseKind::from(api_versions::unsupported());
    Ok(frame::encode(versions::API_VERSIONS, 0, correlation_id, &reply)?)
}

fn told<T>(reply: T) -> Answer
where
    ResponseKind: From<T>,
{
    Ok(Some(reply.into()))
}

/// Answers a request.
pub(super) async fn answer(cx: &Context, request: RequestKind) -> Answer {
    match request {
        RequestKind::ApiVersions(asked) => told(api_versions::answer(cx, &asked)),
        RequestKind::Metadata(asked) => told(metadata::answer(cx, asked).await),
        RequestKind::Produce(asked) => {
            Ok(produce::answer(cx, asked).await?.map(ResponseKind::from))
        }
        RequestKind::Fetch(asked) => told(fetch::answer(cx, asked).await),
        RequestKind::ListOffsets(asked) => told(list_offsets::answer(cx, asked).await),
        RequestKind::OffsetForLeaderEpoch(asked) => told(epochs::answer(cx, asked).await),
        RequestKind::FindCoordinator(asked) => told(find_coordinator::answer(cx, asked).await),
        RequestKind::JoinGroup(asked) => told(members::join(cx, asked).await),
        RequestKind::SyncGroup(asked) => told(members::sync(cx, asked).await),
        RequestKind::Heartbeat(asked) => told(members::heartbeat(cx, asked).await),
        RequestKind::LeaveGroup(asked) => told(members::leave(cx, asked).await),
        RequestKind::OffsetCommit(asked) => told(offsets::commit(cx, asked).await),
        RequestKind::OffsetFetch(asked) => told(offsets::fetch(cx, asked).await),
        RequestKind::OffsetDelete(asked) => told(offsets::delete(cx, asked).await),
        RequestKind::ListGroups(asked) => told(group_admin::list(cx, asked).await),
        RequestKind::DescribeGroups(asked) => told(group_admin::describe(cx, asked).await),
        RequestKind::DeleteGroups(asked) => told(group_admin::delete(cx, asked).await),
        RequestKind::CreateTopics(asked) => told(topics::create(cx, asked).await),
        RequestKind::DeleteTopics(asked) => told(topics::delete(cx, asked).await),
        RequestKind::CreatePartitions(asked) => told(topics::grow(cx, asked).await),
        RequestKind::DeleteRecords(asked) => told(records::delete(cx, asked).await),
        RequestKind::InitProducerId(asked) => told(producers::init(cx, &asked).await),
        RequestKind::DescribeConfigs(asked) => told(configs::describe(cx, asked).await),
        RequestKind::AlterConfigs(asked) => told(configs::replace(cx, asked).await),
        RequestKind::IncrementalAlterConfigs(asked) => told(configs::change(cx, asked).await),
        RequestKind::DescribeCluster(asked) => told(cluster::describe(cx, &asked)),
        RequestKind::DescribeLogDirs(asked) => told(cluster::log_dirs(cx, asked).await),
        RequestKind::ListPartitionReassignments(_) => told(cluster::reassignments()),
        RequestKind::DescribeAcls(_) => told(cluster::acls()),
        _ => Err(Closed::Refused("a request that is not served")),
    }
}

/// Text for a reply.
fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn name_of(topic: &kafka::TopicName) -> TopicName {
    TopicName::from(topic.as_str())
}

fn kafka_name(topic: &TopicName) -> kafka::TopicName {
    text(topic.as_str()).into()
}

/// An offset on the wire.
fn wire_offset(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}

/// The id of a topic: no other topic of the cluster ever has the same, as its first log is no other
/// topic's. The first half tells clusters apart.
fn topic_id(cx: &Context, first_log: state_machine::ids::LogId) -> uuid::Uuid {
    let cluster = crc32c::crc32c(cx.broker.settings.cluster.as_bytes());
    uuid::Uuid::from_u64_pair(u64::from(cluster) << 32 | 0x4000, first_log.0 + 1)
}

/// Waits for several answers.
async fn all(asked: Vec<impl Future<Output = Response>>) -> Vec<Response> {
    futures::future::join_all(asked).await
}

/// A name as Kafka allows it.
fn is_topic_name(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !name.is_empty()
        && name.len() <= state_machine::ids::MAX_NAME_LEN
        && !matches!(name, "." | "..")
        && name.bytes().all(legal)
}

fn node_id(node: NodeId) -> kafka::BrokerId {
    i32::try_from(node).unwrap_or(i32::MAX).into()
}
