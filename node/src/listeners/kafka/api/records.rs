//! DeleteRecords (21): the beginning of a partition moves on.

use state_machine::ids::TopicName;
use state_machine::reply::Reply;
use state_machine::topics::command::{OffsetAt, TopicCommand, TopicQuery};
use state_machine::topics::reply::TopicReply;
use wire::errors;
use wire::kafka_protocol::messages::delete_records_request::DeleteRecordsRequest;
use wire::kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsResponse, DeleteRecordsTopicResult,
};

use super::super::errors::{About, of_rejection};
use super::{Context, name_of, wire_offset};

pub(super) async fn delete(cx: &Context, asked: DeleteRecordsRequest) -> DeleteRecordsResponse {
    let refusal = cx.refusal(About::Partition);
    let mut topics = Vec::with_capacity(asked.topics.len());
    for topic in asked.topics {
        let name = name_of(&topic.name);
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in topic.partitions {
            let trimmed = match refusal {
                Some(code) => Err(code),
                None => trim(cx, &name, partition.partition_index, partition.offset).await,
            };
            let result = DeleteRecordsPartitionResult::default()
                .with_partition_index(partition.partition_index);
            partitions.push(match trimmed {
                Ok(start) => result.with_low_watermark(start),
                Err(code) => result.with_error_code(code).with_low_watermark(-1),
            });
        }
        if partitions.is_empty() {
            continue;
        }
        topics.push(
            DeleteRecordsTopicResult::default().with_name(topic.name).with_partitions(partitions),
        );
    }
    DeleteRecordsResponse::default().with_topics(topics)
}

/// Trims a partition; where it begins then. -1 is its end.
async fn trim(cx: &Context, topic: &TopicName, index: i32, offset: i64) -> Result<i64, i16> {
    let partition = u32::try_from(index).map_err(|_| errors::UNKNOWN_TOPIC_OR_PARTITION)?;
    let before = match offset {
        -1 => bounds(cx, topic, partition).await?.1,
        offset => u64::try_from(offset).map_err(|_| errors::OFFSET_OUT_OF_RANGE)?,
    };
    let trim = TopicCommand::Trim { topic: topic.clone(), partition, before };
    cx.asker.command(trim).await.map_err(|failure| About::Partition.code(&failure))?;
    Ok(wire_offset(bounds(cx, topic, partition).await?.0))
}

/// Where a partition begins and ends.
async fn bounds(cx: &Context, topic: &TopicName, partition: u32) -> Result<(u64, u64), i16> {
    let at = OffsetAt { topic: topic.clone(), partition, since: None };
    match cx.asker.query(TopicQuery::Offsets { partitions: vec![at] }).await {
        Ok(Reply::Topic(TopicReply::Offsets(found))) => match found.into_iter().next() {
            Some(Ok(found)) => Ok((found.start, found.end)),
            Some(Err(rejection)) => Err(of_rejection(&rejection)),
            None => Err(errors::UNKNOWN_SERVER_ERROR),
        },
        Ok(_) => Err(errors::UNKNOWN_SERVER_ERROR),
        Err(failure) => Err(About::Partition.code(&failure)),
    }
}
