//! From operations to requests: one operation each, in a version that every broker of today has.
//!
//! Pure. Knows which broker a request is for by its part ([`Route`]), not by an address.

use bytes::Bytes;
use serde_json::Value;
use uuid::Uuid;
use wire::batch::{self, Producer, Record};
use wire::consumer::{Assignment, Subscription, TopicPartitions};
use wire::kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions as Owned;
use wire::kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use wire::kafka_protocol::messages::create_topics_request::CreatableTopic;
use wire::kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use wire::kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use wire::kafka_protocol::messages::leave_group_request::MemberIdentity;
use wire::kafka_protocol::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsTopic,
};
use wire::kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use wire::kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use wire::kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use wire::kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use wire::kafka_protocol::messages::{
    BrokerId, ConsumerGroupHeartbeatRequest, CreatePartitionsRequest, CreateTopicsRequest,
    DescribeGroupsRequest, FetchRequest, GroupId, HeartbeatRequest, InitProducerIdRequest,
    JoinGroupRequest, LeaveGroupRequest, ListOffsetsRequest, MetadataRequest, OffsetCommitRequest,
    OffsetFetchRequest, ProduceRequest, RequestKind, SyncGroupRequest, TopicName,
};
use wire::kafka_protocol::protocol::StrBytes;
use wire::versions;

use super::understand::TopicNames;

/// How long a broker may take for one request, in milliseconds.
const TIMEOUT_MS: i32 = 4_000;
/// How long a fetch waits for records, in milliseconds.
const FETCH_WAIT_MS: i32 = 20;
/// More than all records of a page take.
const FETCH_BYTES: i32 = 8 << 20;

/// Whom a request is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// The leader of a partition.
    Leader(String, i32),
    /// The coordinator of a group.
    Coordinator(String),
    /// The controller.
    Controller,
    /// Whichever broker.
    Any,
}

/// A request, ready to be sent.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Whom it is for.
    pub route: Route,
    /// Its key.
    pub key: i16,
    /// Its version.
    pub version: i16,
    /// Its body.
    pub body: RequestKind,
}

/// The request of an operation. `now_ms` is the time that records get; `names` knows the ids of
/// topics, for requests that name none otherwise.
///
/// # Errors
/// What is wrong, where Kafka has no such request or a field is missing.
pub fn request(f: &str, args: &Value, now_ms: i64, names: &TopicNames) -> Result<Asked, String> {
    let fields = Fields { f, args };
    match f {
        "send" => produce(&fields, now_ms),
        "fetch" => fetch(&fields),
        "list_offsets" => list_offsets(&fields),
        "init_producer" => {
            let body = InitProducerIdRequest::default()
                .with_transactional_id(None)
                .with_transaction_timeout_ms(TIMEOUT_MS)
                .with_producer_id((-1).into())
                .with_producer_epoch(-1);
            Ok(asked(Route::Any, versions::INIT_PRODUCER_ID, 4, body))
        }
        "join_group" => join(&fields),
        "sync_group" => sync(&fields),
        "heartbeat" => heartbeat(&fields),
        "consumer_heartbeat" => consumer_heartbeat(&fields, names),
        "leave_group" => leave(&fields),
        "commit_offset" => commit(&fields),
        "fetch_offset" => fetch_offset(&fields),
        "describe_group" => {
            let group = fields.text("group")?;
            let body = DescribeGroupsRequest::default().with_groups(vec![group_id(&group)]);
            Ok(asked(Route::Coordinator(group), versions::DESCRIBE_GROUPS, 5, body))
        }
        "list_topics" => {
            let body = MetadataRequest::default().with_topics(None);
            Ok(asked(Route::Any, versions::METADATA, 9, body))
        }
        "create_topic" => create_topic(&fields),
        "create_partitions" => {
            let count = fields.number("partitions")?;
            let topic = CreatePartitionsTopic::default()
                .with_name(fields.topic()?)
                .with_count(count)
                .with_assignments(None);
            let body = CreatePartitionsRequest::default()
                .with_topics(vec![topic])
                .with_timeout_ms(TIMEOUT_MS);
            Ok(asked(Route::Controller, versions::CREATE_PARTITIONS, 2, body))
        }
        other => Err(format!("Kafka has no request for `{other}`")),
    }
}

fn asked(route: Route, key: i16, version: i16, body: impl Into<RequestKind>) -> Asked {
    Asked { route, key, version, body: body.into() }
}

/// The fields of an operation.
struct Fields<'a> {
    f: &'a str,
    args: &'a Value,
}

impl Fields<'_> {
    fn missing(&self, field: &str, expected: &str) -> String {
        format!("`{}` has {} as `{field}`, expected {expected}", self.f, self.args[field])
    }

    fn text(&self, field: &str) -> Result<String, String> {
        let text = self.args[field].as_str().map(str::to_owned);
        text.ok_or_else(|| self.missing(field, "a string"))
    }

    /// Empty where it is missing.
    fn text_or_empty(&self, field: &str) -> StrBytes {
        StrBytes::from_string(self.args[field].as_str().unwrap_or_default().to_owned())
    }

    fn optional(&self, field: &str) -> Option<StrBytes> {
        self.args[field].as_str().map(|text| StrBytes::from_string(text.to_owned()))
    }

    fn long(&self, field: &str) -> Result<i64, String> {
        self.args[field].as_i64().ok_or_else(|| self.missing(field, "an integer"))
    }

    fn number(&self, field: &str) -> Result<i32, String> {
        let number = self.args[field].as_i64().and_then(|number| i32::try_from(number).ok());
        number.ok_or_else(|| self.missing(field, "an integer of 32 bits"))
    }

    fn number_or(&self, field: &str, default: i32) -> Result<i32, String> {
        if self.args[field].is_null() { Ok(default) } else { self.number(field) }
    }

    fn topic(&self) -> Result<TopicName, String> {
        self.text("topic").map(|topic| topic_name(&topic))
    }

    fn leader(&self) -> Result<Route, String> {
        Ok(Route::Leader(self.text("topic")?, self.number("partition")?))
    }

    fn coordinator(&self) -> Result<(Route, GroupId), String> {
        let group = self.text("group")?;
        let id = group_id(&group);
        Ok((Route::Coordinator(group), id))
    }
}

fn topic_name(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_owned()))
}

fn group_id(group: &str) -> GroupId {
    GroupId(StrBytes::from_string(group.to_owned()))
}

/// What a record's key or value is in bytes: a string as UTF-8, else its JSON.
fn blob(value: &Value) -> Option<Bytes> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(Bytes::from(text.clone())),
        other => Some(Bytes::from(other.to_string())),
    }
}

fn produce(fields: &Fields<'_>, now_ms: i64) -> Result<Asked, String> {
    let record = Record {
        offset_delta: 0,
        timestamp: now_ms,
        key: blob(&fields.args["key"]),
        value: blob(&fields.args["message"]),
        headers: Vec::new(),
    };
    let producer = match fields.args["producer_id"].as_i64() {
        None => None,
        Some(id) => Some(Producer {
            id,
            epoch: i16::try_from(fields.number("producer_epoch")?)
                .map_err(|_| fields.missing("producer_epoch", "an integer of 16 bits"))?,
            base_sequence: fields.number("sequence")?,
        }),
    };
    let data = PartitionProduceData::default()
        .with_index(fields.number("partition")?)
        .with_records(Some(batch::build(&[record], now_ms, producer)));
    let topic =
        TopicProduceData::default().with_name(fields.topic()?).with_partition_data(vec![data]);
    let body = ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(TIMEOUT_MS)
        .with_topic_data(vec![topic]);
    Ok(asked(fields.leader()?, versions::PRODUCE, 9, body))
}

fn fetch(fields: &Fields<'_>) -> Result<Asked, String> {
    let partition = FetchPartition::default()
        .with_partition(fields.number("partition")?)
        .with_current_leader_epoch(-1)
        .with_fetch_offset(fields.long("offset")?)
        .with_last_fetched_epoch(-1)
        .with_log_start_offset(-1)
        .with_partition_max_bytes(FETCH_BYTES);
    let topic = FetchTopic::default().with_topic(fields.topic()?).with_partitions(vec![partition]);
    let body = FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(FETCH_WAIT_MS)
        .with_min_bytes(1)
        .with_max_bytes(FETCH_BYTES)
        .with_session_epoch(-1)
        .with_topics(vec![topic]);
    Ok(asked(fields.leader()?, versions::FETCH, 12, body))
}

fn list_offsets(fields: &Fields<'_>) -> Result<Asked, String> {
    let partition = ListOffsetsPartition::default()
        .with_partition_index(fields.number("partition")?)
        .with_current_leader_epoch(-1)
        .with_timestamp(fields.long("timestamp")?);
    let topic =
        ListOffsetsTopic::default().with_name(fields.topic()?).with_partitions(vec![partition]);
    let body = ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![topic]);
    Ok(asked(fields.leader()?, versions::LIST_OFFSETS, 6, body))
}

/// `{topic: [partition, …]}` in the form of the wire.
fn topic_partitions(value: &Value) -> Vec<TopicPartitions> {
    let topics = value.as_object().into_iter().flatten();
    topics
        .map(|(topic, partitions)| TopicPartitions {
            topic: topic.clone(),
            partitions: partitions
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|partition| i32::try_from(partition.as_i64()?).ok())
                .collect(),
        })
        .collect()
}

fn protocol(value: &Value) -> JoinGroupRequestProtocol {
    let topics = value["topics"].as_array().into_iter().flatten();
    let generation = value["generation"].as_i64().and_then(|number| i32::try_from(number).ok());
    let subscription = Subscription {
        version: 2,
        topics: topics.filter_map(|topic| topic.as_str().map(str::to_owned)).collect(),
        owned: topic_partitions(&value["owned"]),
        generation: generation.unwrap_or(-1),
        ..Subscription::default()
    };
    let name = value["name"].as_str().unwrap_or_default().to_owned();
    JoinGroupRequestProtocol::default()
        .with_name(StrBytes::from_string(name))
        .with_metadata(subscription.encode())
}

fn join(fields: &Fields<'_>) -> Result<Asked, String> {
    let (route, group) = fields.coordinator()?;
    let protocols = fields.args["protocols"].as_array().into_iter().flatten();
    let body = JoinGroupRequest::default()
        .with_group_id(group)
        .with_session_timeout_ms(fields.number("session_timeout_ms")?)
        .with_rebalance_timeout_ms(fields.number("rebalance_timeout_ms")?)
        .with_member_id(fields.text_or_empty("member_id"))
        .with_group_instance_id(fields.optional("instance_id"))
        .with_protocol_type(StrBytes::from_static_str("consumer"))
        .with_protocols(protocols.map(protocol).collect());
    Ok(asked(route, versions::JOIN_GROUP, 7, body))
}

fn sync(fields: &Fields<'_>) -> Result<Asked, String> {
    let (route, group) = fields.coordinator()?;
    let assignments = fields.args["assignments"].as_object().into_iter().flatten();
    let assignments = assignments.map(|(member, assignment)| {
        let assignment =
            Assignment { partitions: topic_partitions(assignment), ..Assignment::default() };
        SyncGroupRequestAssignment::default()
            .with_member_id(StrBytes::from_string(member.clone()))
            .with_assignment(assignment.encode())
    });
    let body = SyncGroupRequest::default()
        .with_group_id(group)
        .with_generation_id(fields.number("generation")?)
        .with_member_id(fields.text_or_empty("member_id"))
        .with_group_instance_id(fields.optional("instance_id"))
        .with_assignments(assignments.collect());
    // Version 4 has no names of protocols, which the operation does not have either.
    Ok(asked(route, versions::SYNC_GROUP, 4, body))
}

fn heartbeat(fields: &Fields<'_>) -> Result<Asked, String> {
    let (route, group) = fields.coordinator()?;
    let body = HeartbeatRequest::default()
        .with_group_id(group)
        .with_generation_id(fields.number("generation")?)
        .with_member_id(fields.text_or_empty("member_id"))
        .with_group_instance_id(fields.optional("instance_id"));
    Ok(asked(route, versions::HEARTBEAT, 4, body))
}

/// A heartbeat of KIP-848. Version 1 is the first to have expressions.
fn consumer_heartbeat(fields: &Fields<'_>, names: &TopicNames) -> Result<Asked, String> {
    let (route, group) = fields.coordinator()?;
    let topics = fields.args["topics"].as_array().map(|topics| {
        topics.iter().filter_map(|topic| topic.as_str().map(topic_name)).collect::<Vec<_>>()
    });
    let owned = match &fields.args["owned"] {
        Value::Null => None,
        owned => Some(owned_by_id(owned, names)?),
    };
    let regex = fields.optional("regex");
    let version = i16::from(regex.is_some());
    let body = ConsumerGroupHeartbeatRequest::default()
        .with_group_id(group)
        .with_member_id(fields.text_or_empty("member_id"))
        .with_member_epoch(fields.number("member_epoch")?)
        .with_instance_id(fields.optional("instance_id"))
        .with_rebalance_timeout_ms(fields.number_or("rebalance_timeout_ms", -1)?)
        .with_subscribed_topic_names(topics)
        .with_subscribed_topic_regex(regex)
        .with_server_assignor(fields.optional("assignor"))
        .with_topic_partitions(owned);
    Ok(asked(route, versions::CONSUMER_GROUP_HEARTBEAT, version, body))
}

fn owned_by_id(owned: &Value, names: &TopicNames) -> Result<Vec<Owned>, String> {
    let by_id = topic_partitions(owned).into_iter().map(|of_topic| {
        let id = names.id(&of_topic.topic);
        let id = id.ok_or_else(|| format!("the id of topic `{}` is not known", of_topic.topic))?;
        Ok(Owned::default()
            .with_topic_id(Uuid::from_bytes(id))
            .with_partitions(of_topic.partitions))
    });
    by_id.collect()
}

fn leave(fields: &Fields<'_>) -> Result<Asked, String> {
    let (route, group) = fields.coordinator()?;
    let member = MemberIdentity::default()
        .with_member_id(fields.text_or_empty("member_id"))
        .with_group_instance_id(fields.optional("instance_id"));
    let body = LeaveGroupRequest::default().with_group_id(group).with_members(vec![member]);
    Ok(asked(route, versions::LEAVE_GROUP, 4, body))
}

fn commit(fields: &Fields<'_>) -> Result<Asked, String> {
    let (route, group) = fields.coordinator()?;
    let partition = OffsetCommitRequestPartition::default()
        .with_partition_index(fields.number("partition")?)
        .with_committed_offset(fields.long("offset")?)
        .with_committed_leader_epoch(-1)
        .with_committed_metadata(Some(fields.text_or_empty("metadata")));
    let topic = OffsetCommitRequestTopic::default()
        .with_name(fields.topic()?)
        .with_partitions(vec![partition]);
    // Whoever names an epoch is of a group of KIP-848, which version 9 is the first to serve.
    let (epoch, version) = match &fields.args["member_epoch"] {
        Value::Null => (fields.number_or("generation", -1)?, 8),
        _ => (fields.number("member_epoch")?, 9),
    };
    let body = OffsetCommitRequest::default()
        .with_group_id(group)
        .with_generation_id_or_member_epoch(epoch)
        .with_member_id(fields.text_or_empty("member_id"))
        .with_group_instance_id(fields.optional("instance_id"))
        .with_topics(vec![topic]);
    Ok(asked(route, versions::OFFSET_COMMIT, version, body))
}

fn fetch_offset(fields: &Fields<'_>) -> Result<Asked, String> {
    let (route, group) = fields.coordinator()?;
    if !fields.args["member_epoch"].is_null() {
        let topic = OffsetFetchRequestTopics::default()
            .with_name(fields.topic()?)
            .with_partition_indexes(vec![fields.number("partition")?]);
        let of_group = OffsetFetchRequestGroup::default()
            .with_group_id(group)
            .with_member_id(fields.optional("member_id"))
            .with_member_epoch(fields.number("member_epoch")?)
            .with_topics(Some(vec![topic]));
        let body = OffsetFetchRequest::default().with_groups(vec![of_group]);
        return Ok(asked(route, versions::OFFSET_FETCH, 9, body));
    }
    let topic = OffsetFetchRequestTopic::default()
        .with_name(fields.topic()?)
        .with_partition_indexes(vec![fields.number("partition")?]);
    let body = OffsetFetchRequest::default().with_group_id(group).with_topics(Some(vec![topic]));
    Ok(asked(route, versions::OFFSET_FETCH, 7, body))
}

fn create_topic(fields: &Fields<'_>) -> Result<Asked, String> {
    let topic = CreatableTopic::default()
        .with_name(fields.topic()?)
        .with_num_partitions(fields.number("partitions")?)
        .with_replication_factor(i16::try_from(fields.number_or("replicas", -1)?).unwrap_or(-1));
    let body = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(TIMEOUT_MS);
    Ok(asked(Route::Controller, versions::CREATE_TOPICS, 5, body))
}
