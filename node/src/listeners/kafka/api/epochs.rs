//! OffsetForLeaderEpoch (23): where the records of a leader's epoch end. What is committed is never
//! cut off again, so every epoch up to the leader's own ends at the end of the log.

use state_machine::reply::Reply;
use state_machine::topics::command::{OffsetAt, TopicQuery};
use state_machine::topics::reply::TopicReply;
use wire::errors;
use wire::kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition,
};
use wire::kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult,
};

use super::super::errors::{About, of_rejection};
use super::{Context, name_of, wire_offset};

pub(super) async fn answer(
    cx: &Context,
    asked: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let mut topics = Vec::with_capacity(asked.topics.len());
    for topic in asked.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let end = end(cx, &name_of(&topic.topic), partition).await;
            let told = EpochEndOffset::default().with_partition(partition.partition);
            partitions.push(match end {
                Ok(Some((epoch, end))) => told.with_leader_epoch(epoch).with_end_offset(end),
                Ok(None) => told.with_leader_epoch(-1).with_end_offset(-1),
                Err(code) => told.with_error_code(code).with_leader_epoch(-1).with_end_offset(-1),
            });
        }
        topics.push(
            OffsetForLeaderTopicResult::default()
                .with_topic(topic.topic)
                .with_partitions(partitions),
        );
    }
    OffsetForLeaderEpochResponse::default().with_topics(topics)
}

async fn end(
    cx: &Context,
    topic: &state_machine::ids::TopicName,
    asked: &OffsetForLeaderPartition,
) -> Result<Option<(i32, i64)>, i16> {
    if let Some(code) =
        cx.refusal(About::Partition).or_else(|| cx.fenced(asked.current_leader_epoch))
    {
        return Err(code);
    }
    let partition =
        u32::try_from(asked.partition).map_err(|_| errors::UNKNOWN_TOPIC_OR_PARTITION)?;
    let at = OffsetAt { topic: topic.clone(), partition, since: None };
    let found = match cx.asker.query(TopicQuery::Offsets { partitions: vec![at] }).await {
        Ok(Reply::Topic(TopicReply::Offsets(found))) => found.into_iter().next(),
        Ok(_) => None,
        Err(failure) => return Err(About::Partition.code(&failure)),
    };
    match found {
        Some(Ok(_)) if asked.leader_epoch < 0 || asked.leader_epoch > cx.epoch() => Ok(None),
        Some(Ok(found)) => Ok(Some((asked.leader_epoch, wire_offset(found.end)))),
        Some(Err(rejection)) => Err(of_rejection(&rejection)),
        None => Err(errors::UNKNOWN_SERVER_ERROR),
    }
}
