//! Fetch (1): batches of records, at once or when there are enough.
//!
//! Only the leader is read from. What is not there yet is waited for, up to the client's time:
//! whatever comes to one of the partitions has them all read again. Batches go out whole and as
//! they are stored. Sessions are not kept: each request names all its partitions.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use runtime::Instant;
use state_machine::ids::{TopicName, TopicPartition};
use state_machine::reply::Reply;
use state_machine::topics::command::{ReadFrom, TopicQuery};
use state_machine::topics::reply::{ReadPart, TopicDescription, TopicReply};
use tokio::sync::watch;
use wire::errors::{self, UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION};
use wire::kafka_protocol::messages as kafka;
use wire::kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest};
use wire::kafka_protocol::messages::fetch_response::{
    FetchResponse, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData,
};

use super::super::errors::{About, of_rejection};
use super::metadata::{Described, describe};
use super::{Context, LeaderHint, node_id, text, topic_id, wire_offset};
use crate::limits;

/// From here on topics have ids in place of names.
const IDS_FROM: i16 = 13;

/// From here on a node that does not lead says who does.
const LEADER_FROM: i16 = 12;

/// From here on it says where that is.
const ENDPOINTS_FROM: i16 = 16;

/// Only records of transactions that were committed.
const READ_COMMITTED: i8 = 1;

/// What is asked of one partition.
struct Wanted {
    /// Which topic of the request it belongs to.
    topic: usize,
    at: FetchPartition,
    /// Where to read, or why not.
    from: Result<ReadFrom, i16>,
}

pub(super) async fn answer(cx: &Context, asked: FetchRequest) -> FetchResponse {
    let session = match asked.session_epoch {
        // In full: without a session, or to begin one. An old session ends with it.
        -1 | 0 => errors::NONE,
        _ => errors::FETCH_SESSION_ID_NOT_FOUND,
    };
    if session != errors::NONE {
        return FetchResponse::default().with_error_code(session);
    }
    let wait = Duration::from_millis(u64::try_from(asked.max_wait_ms).unwrap_or(0));
    let deadline = Instant::now() + wait.min(limits::KAFKA_FETCH_WAIT);
    let min_bytes = usize::try_from(asked.min_bytes).unwrap_or(0);
    let max_bytes = u32::try_from(asked.max_bytes).unwrap_or(0).min(cx.broker.fetch_bytes());
    let names = names(cx, &asked).await;
    let first = wanted(cx, &asked, &names);
    let partitions = first.iter().filter_map(|wanted| wanted.from.as_ref().ok());
    let partitions: Vec<TopicPartition> = partitions
        .map(|from| TopicPartition { topic: from.topic.clone(), partition: from.partition })
        .collect();
    // What its own connection asked before comes before it.
    let mut is_current =
        cx.broker.leads() && cx.asker.is_idle() && cx.broker.handle.is_current().await;
    loop {
        // Before the read, so that nothing comes between.
        let waiting = cx.broker.handle.wait_for_records(partitions.clone());
        // Anew each time: this node may lead no more.
        let wanted = wanted(cx, &asked, &names);
        let mut held = cx.broker.settings.faults.as_ref().map(|faults| faults.held());
        let mut found = read(cx, &wanted, max_bytes, is_current).await;
        if let Some(held) = &mut held {
            withhold(&wanted, &mut found, &held.borrow_and_update());
        }
        let bytes: usize = found.iter().flatten().map(|part| part.bytes.len()).sum();
        let failed = found.iter().any(Result::is_err);
        let now = Instant::now();
        if failed || bytes >= min_bytes || partitions.is_empty() || now >= deadline {
            return told(cx, &asked, &wanted, found);
        }
        tokio::select! {
            biased;
            current = waiting.woken() => is_current |= current,
            () = changed(held.as_mut()) => {}
            () = runtime::sleep_until(deadline) => {}
        }
    }
}

/// Waits until a test holds or releases partitions.
async fn changed(held: Option<&mut watch::Receiver<BTreeSet<TopicPartition>>>) {
    if let Some(held) = held
        && held.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

/// Takes out what a test holds.
fn withhold(wanted: &[Wanted], found: &mut [Result<Part, i16>], held: &BTreeSet<TopicPartition>) {
    if held.is_empty() {
        return;
    }
    for (wanted, found) in wanted.iter().zip(found) {
        if let (Ok(from), Ok(part)) = (&wanted.from, found) {
            let at = TopicPartition { topic: from.topic.clone(), partition: from.partition };
            if held.contains(&at) {
                part.bytes = Bytes::new();
            }
        }
    }
}

/// The names of the topics, in the order of the request.
async fn names(cx: &Context, asked: &FetchRequest) -> Vec<Result<TopicName, i16>> {
    if cx.version < IDS_FROM {
        let name = |topic: &kafka::fetch_request::FetchTopic| super::name_of(&topic.topic);
        return asked.topics.iter().map(|topic| Ok(name(topic))).collect();
    }
    if asked.topics.is_empty() {
        return Vec::new();
    }
    let named = |all: Described| -> Vec<Result<TopicName, i16>> {
        let id = |found: TopicDescription| topic_id(cx, found.first_log);
        let by_id: BTreeMap<uuid::Uuid, TopicName> =
            all.into_iter().filter_map(|(name, found)| Some((id(found?), name))).collect();
        let name = |topic: &kafka::fetch_request::FetchTopic| {
            by_id.get(&topic.topic_id).cloned().ok_or(errors::UNKNOWN_TOPIC_ID)
        };
        asked.topics.iter().map(name).collect()
    };
    // An id has one name for ever, so what is known here is right. Only a topic that is not known
    // has to be asked for; one that is gone has no records.
    let every = TopicQuery::Describe { topics: None };
    if let Some(Ok(Reply::Topic(TopicReply::Described(all)))) =
        cx.broker.handle.answer_from_applied(every)
    {
        let names = named(all);
        if names.iter().all(Result::is_ok) {
            return names;
        }
    }
    match describe(cx, None).await {
        Ok(all) => named(all),
        Err(code) => asked.topics.iter().map(|_| Err(code)).collect(),
    }
}

fn wanted(cx: &Context, asked: &FetchRequest, names: &[Result<TopicName, i16>]) -> Vec<Wanted> {
    let refusal = cx.refusal(About::Partition);
    let mut wanted = Vec::new();
    for (topic, of_topic) in asked.topics.iter().enumerate() {
        for at in &of_topic.partitions {
            let from = match (&names[topic], refusal, cx.fenced(at.current_leader_epoch)) {
                (_, Some(code), _) | (Ok(_), None, Some(code)) => Err(code),
                (Err(code), None, _) => Err(*code),
                // Nothing was ever appended in an epoch that is to come.
                (Ok(_), None, None) if at.last_fetched_epoch > cx.epoch() => {
                    Err(errors::OFFSET_OUT_OF_RANGE)
                }
                (Ok(name), None, None) => from(name, at),
            };
            wanted.push(Wanted { topic, at: at.clone(), from });
        }
    }
    wanted
}

fn from(topic: &TopicName, at: &FetchPartition) -> Result<ReadFrom, i16> {
    let partition = u32::try_from(at.partition).map_err(|_| errors::UNKNOWN_TOPIC_OR_PARTITION)?;
    let offset = u64::try_from(at.fetch_offset).map_err(|_| errors::OFFSET_OUT_OF_RANGE)?;
    let max_bytes = u32::try_from(at.partition_max_bytes).unwrap_or(0);
    Ok(ReadFrom { topic: topic.clone(), partition, offset, max_bytes })
}

/// What was found of a partition.
struct Part {
    bytes: Bytes,
    start: u64,
    high_watermark: u64,
}

/// Reads what is asked for, in its order. `is_current`: from what this node has applied.
async fn read(
    cx: &Context,
    wanted: &[Wanted],
    max_bytes: u32,
    is_current: bool,
) -> Vec<Result<Part, i16>> {
    let partitions: Vec<ReadFrom> =
        wanted.iter().filter_map(|wanted| wanted.from.as_ref().ok()).cloned().collect();
    let mut found = if partitions.is_empty() {
        Ok(Vec::new())
    } else {
        let query = TopicQuery::Read { partitions, max_bytes };
        let applied = || cx.broker.handle.answer_from_applied(query.clone());
        let answer = match is_current.then(applied).flatten() {
            Some(answer) => answer,
            None => cx.asker.query(query).await,
        };
        match answer {
            Ok(Reply::Topic(TopicReply::Read(parts))) => Ok(parts),
            Ok(_) => Err(errors::UNKNOWN_SERVER_ERROR),
            Err(failure) => Err(About::Partition.code(&failure)),
        }
    }
    .map(Vec::into_iter);
    let mut left = max_bytes as usize;
    let mut is_first = true;
    let mut parts = Vec::with_capacity(wanted.len());
    for wanted in wanted {
        let part = match (&wanted.from, &mut found) {
            (Err(code), _) => Err(*code),
            (_, Err(code)) => Err(*code),
            (Ok(from), Ok(found)) => match found.next() {
                Some(Ok(part)) => Ok(cut(&part, from, &mut left, &mut is_first)),
                Some(Err(rejection)) => Err(of_rejection(&rejection)),
                None => Err(errors::UNKNOWN_SERVER_ERROR),
            },
        };
        parts.push(part);
    }
    parts
}

/// Whole batches, as many as fit. The first one of a reply always does.
fn cut(part: &ReadPart, from: &ReadFrom, left: &mut usize, is_first: &mut bool) -> Part {
    let most = (*left).min(from.max_bytes as usize);
    let mut taken = Vec::new();
    let mut len = 0;
    for batch in &part.found.batches {
        if len + batch.bytes.len() > most && !(*is_first && taken.is_empty()) {
            break;
        }
        len += batch.bytes.len();
        taken.push(&batch.bytes);
    }
    *is_first &= taken.is_empty();
    *left = left.saturating_sub(len);
    let bytes = match &taken[..] {
        [] => Bytes::new(),
        [one] => (*one).clone(),
        many => {
            let mut bytes = BytesMut::with_capacity(len);
            many.iter().for_each(|batch| bytes.extend_from_slice(batch));
            bytes.freeze()
        }
    };
    Part { bytes, start: part.start, high_watermark: part.high_watermark }
}

fn told(
    cx: &Context,
    asked: &FetchRequest,
    wanted: &[Wanted],
    found: Vec<Result<Part, i16>>,
) -> FetchResponse {
    // Clients that know these fields need not ask for metadata.
    let hint = cx.leader_hint().filter(|_| cx.version >= LEADER_FROM);
    let mut topics: Vec<FetchableTopicResponse> = asked
        .topics
        .iter()
        .map(|topic| {
            FetchableTopicResponse::default()
                .with_topic(topic.topic.clone())
                .with_topic_id(topic.topic_id)
        })
        .collect();
    for (wanted, part) in wanted.iter().zip(found) {
        // Nobody has aborted any; who reads uncommitted records too is not told even that, unless
        // there is no such partition.
        let is_told = asked.isolation_level == READ_COMMITTED
            || matches!(part, Err(UNKNOWN_TOPIC_OR_PARTITION | UNKNOWN_TOPIC_ID));
        let data = PartitionData::default()
            .with_partition_index(wanted.at.partition)
            .with_aborted_transactions(is_told.then(Vec::new))
            .with_preferred_read_replica((-1).into());
        let data = match part {
            Ok(part) => data
                .with_high_watermark(wire_offset(part.high_watermark))
                .with_last_stable_offset(wire_offset(part.high_watermark))
                .with_log_start_offset(wire_offset(part.start))
                .with_records(Some(part.bytes)),
            Err(code) => {
                let data = match hint.as_ref().filter(|_| code == errors::NOT_LEADER_OR_FOLLOWER) {
                    Some(LeaderHint { node, epoch, .. }) => data.with_current_leader(
                        LeaderIdAndEpoch::default()
                            .with_leader_id(node_id(*node))
                            .with_leader_epoch(*epoch),
                    ),
                    None => data,
                };
                data.with_error_code(code)
                    .with_high_watermark(-1)
                    .with_last_stable_offset(-1)
                    .with_log_start_offset(-1)
                    .with_records(Some(Bytes::new()))
            }
        };
        topics[wanted.topic].partitions.push(data);
    }
    topics.retain(|topic| !topic.partitions.is_empty());
    let of_hint = |hint: LeaderHint| {
        NodeEndpoint::default()
            .with_node_id(node_id(hint.node))
            .with_host(text(&hint.endpoint.host))
            .with_port(hint.endpoint.port.into())
    };
    let nodes = hint.filter(|_| cx.version >= ENDPOINTS_FROM).map(of_hint);
    FetchResponse::default().with_responses(topics).with_node_endpoints(nodes.into_iter().collect())
}
