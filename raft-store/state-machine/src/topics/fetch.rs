//! Records of one partition, from an offset on.

use super::existing;
use super::partitions::ReadBudget;
use super::reply::TopicReply;
use crate::ids::{Offset, PartitionId, TopicName};
use crate::rejection::Rejection;
use crate::reply::Outcome;
use crate::state::State;

pub(super) fn fetch(
    state: &State,
    topic: &TopicName,
    partition: PartitionId,
    offset: Offset,
    max_messages: u32,
) -> Outcome {
    let found = existing(state, topic)?;
    let Some(log) = found.partitions.get(partition as usize) else {
        let partitions = found.partition_count();
        return Err(Rejection::UnknownPartition { topic: topic.clone(), partition, partitions });
    };
    let batches = log.read(offset, max_messages, &mut ReadBudget::default());
    Ok(TopicReply::Fetched { batches, high_watermark: log.end_offset() }.into())
}
