//! ListOffsets (2): where a partition begins and ends, and the first record from a time on.

use std::collections::BTreeMap;

use state_machine::ids::{Millis, Offset};
use state_machine::reply::Reply;
use state_machine::topics::command::{OffsetAt, TopicQuery};
use state_machine::topics::reply::{OffsetsFound, TopicReply};
use state_machine::values::Found;
use wire::batch;
use wire::errors;
use wire::kafka_protocol::messages::list_offsets_request::ListOffsetsRequest;
use wire::kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};

use super::super::errors::{About, of_rejection};
use super::{Context, name_of, wire_offset};

/// What a client looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Looked {
    /// The end.
    Latest,
    /// The beginning.
    Earliest,
    /// The record with the greatest time.
    Newest,
    /// What only a broker with tiers has.
    Nothing,
    /// The first record of this time or later.
    Since(Millis),
}

impl Looked {
    fn new(timestamp: i64, version: i16) -> Result<Self, i16> {
        match timestamp {
            -1 => Ok(Self::Latest),
            -2 => Ok(Self::Earliest),
            -3 if version >= 7 => Ok(Self::Newest),
            -4 if version >= 8 => Ok(Self::Earliest),
            -5 if version >= 9 => Ok(Self::Nothing),
            _ => u64::try_from(timestamp).map(Self::Since).map_err(|_| errors::UNSUPPORTED_VERSION),
        }
    }
}

/// What was found: an offset and its time, -1 where there is none.
type Told = Result<(i64, i64), i16>;

pub(super) async fn answer(cx: &Context, asked: ListOffsetsRequest) -> ListOffsetsResponse {
    let refusal = cx.refusal(About::Partition);
    let mut topics = Vec::with_capacity(asked.topics.len());
    for topic in asked.topics {
        let mut seen = BTreeMap::<i32, u32>::new();
        for partition in &topic.partitions {
            *seen.entry(partition.partition_index).or_default() += 1;
        }
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in topic.partitions {
            let index = partition.partition_index;
            if partitions
                .iter()
                .any(|told: &ListOffsetsPartitionResponse| told.partition_index == index)
            {
                continue;
            }
            let found = match (refusal, cx.fenced(partition.current_leader_epoch)) {
                _ if seen[&index] > 1 => Err(errors::INVALID_REQUEST),
                (Some(code), _) | (None, Some(code)) => Err(code),
                (None, None) => match Looked::new(partition.timestamp, cx.version) {
                    Ok(looked) => look(cx, &name_of(&topic.name), index, looked).await,
                    Err(code) => Err(code),
                },
            };
            partitions.push(told(cx, index, found));
        }
        if partitions.is_empty() {
            continue;
        }
        topics.push(
            ListOffsetsTopicResponse::default().with_name(topic.name).with_partitions(partitions),
        );
    }
    ListOffsetsResponse::default().with_topics(topics)
}

async fn look(
    cx: &Context,
    topic: &state_machine::ids::TopicName,
    index: i32,
    looked: Looked,
) -> Told {
    let partition = u32::try_from(index).map_err(|_| errors::UNKNOWN_TOPIC_OR_PARTITION)?;
    let at = |since| OffsetAt { topic: topic.clone(), partition, since };
    let mut since = match looked {
        Looked::Since(time) => Some((time, 0)),
        _ => None,
    };
    loop {
        let found = ask(cx, at(since)).await?;
        match looked {
            Looked::Latest => return Ok((wire_offset(found.end), -1)),
            Looked::Earliest => return Ok((wire_offset(found.start), -1)),
            Looked::Nothing => return Ok((-1, -1)),
            Looked::Newest if since.is_none() => match found.newest {
                Some(newest) => since = Some((newest, 0)),
                None => return Ok((-1, -1)),
            },
            Looked::Newest | Looked::Since(_) => {
                let (Some(within), Some((time, _))) = (found.within, since) else {
                    return Ok((-1, -1));
                };
                let offsets = within.offsets();
                if let Some(first) = first_since(&within, time)? {
                    return Ok(first);
                }
                since = Some((time, offsets.end));
            }
        }
    }
}

async fn ask(cx: &Context, at: OffsetAt) -> Result<OffsetsFound, i16> {
    match cx.asker.query(TopicQuery::Offsets { partitions: vec![at] }).await {
        Ok(Reply::Topic(TopicReply::Offsets(found))) => match found.into_iter().next() {
            Some(Ok(found)) => Ok(found),
            Some(Err(rejection)) => Err(of_rejection(&rejection)),
            None => Err(errors::UNKNOWN_SERVER_ERROR),
        },
        Ok(_) => Err(errors::UNKNOWN_SERVER_ERROR),
        Err(failure) => Err(About::Partition.code(&failure)),
    }
}

/// The first record of this time or later, with its time.
fn first_since(within: &Found, time: Millis) -> Result<Option<(i64, i64)>, i16> {
    let least = i64::try_from(time).unwrap_or(i64::MAX);
    let offsets = within.offsets();
    for stored in &within.batches {
        let records = batch::records(&stored.bytes, &batch::Limits::default())
            .map_err(|_| errors::UNKNOWN_SERVER_ERROR)?;
        for record in records {
            let offset: Offset = stored.base_offset + u64::from(record.offset_delta);
            if record.timestamp >= least && offsets.contains(&offset) {
                return Ok(Some((wire_offset(offset), record.timestamp)));
            }
        }
    }
    Ok(None)
}

fn told(cx: &Context, index: i32, found: Told) -> ListOffsetsPartitionResponse {
    let reply = ListOffsetsPartitionResponse::default().with_partition_index(index);
    match found {
        Ok((offset, timestamp)) => {
            let reply = reply.with_offset(offset).with_timestamp(timestamp);
            if cx.version >= 4 && offset >= 0 { reply.with_leader_epoch(cx.epoch()) } else { reply }
        }
        Err(code) => reply.with_error_code(code).with_offset(-1).with_timestamp(-1),
    }
}
