//! A group's committed offset of a partition, 0 where there is none.

use super::reply::OffsetReply;
use crate::ids::{GroupId, PartitionId, TopicName};
use crate::reply::Outcome;
use crate::state::State;

pub(super) fn fetch(
    state: &State,
    group: &GroupId,
    topic: &TopicName,
    partition: PartitionId,
) -> Outcome {
    let committed = state.group(group).and_then(|group| group.offsets.get(topic, partition));
    let (offset, metadata) = committed.map_or((0, None), |c| (c.offset, c.metadata.clone()));
    Ok(OffsetReply::Committed { offset, metadata }.into())
}
