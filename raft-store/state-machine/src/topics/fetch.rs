//! Records of one partition, from an offset on.

use super::budget::ReadBudget;
use super::existing_partition;
use super::reply::TopicReply;
use crate::ids::{Offset, PartitionId, TopicName};
use crate::reply::Outcome;
use crate::state::State;

pub(super) fn fetch(
    state: &State,
    topic: &TopicName,
    partition: PartitionId,
    offset: Offset,
    max_messages: u32,
) -> Outcome {
    let log = existing_partition(state, topic, partition)?;
    let found = log.read(offset, max_messages, &mut ReadBudget::default()).into();
    Ok(TopicReply::Fetched { found, high_watermark: log.end_offset() }.into())
}
