//! A group's committed offset of a partition, 0 where there is none.

use super::reply::OffsetReply;
use crate::ids::{GroupId, PartitionId, TopicName, TopicPartition};
use crate::reply::Outcome;
use crate::state::State;
use crate::values::{TopicPartitions, each};

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

/// Those of the partitions that are named, or all that there are.
pub(super) fn fetch_all(
    state: &State,
    group: &GroupId,
    partitions: Option<&TopicPartitions>,
) -> Outcome {
    let offsets = state.group(group).map(|group| &group.offsets);
    let found = match (partitions, offsets) {
        (Some(partitions), _) => each(partitions)
            .map(|at| {
                let committed = offsets.and_then(|all| all.get(&at.topic, at.partition));
                (at, committed.cloned())
            })
            .collect(),
        (None, Some(offsets)) => {
            let of_topic = offsets.iter().flat_map(|(topic, of_topic)| {
                of_topic.iter().map(|(partition, committed)| {
                    let at = TopicPartition { topic: topic.clone(), partition: *partition };
                    (at, Some(committed.clone()))
                })
            });
            of_topic.collect()
        }
        (None, None) => Vec::new(),
    };
    Ok(OffsetReply::CommittedAll(found).into())
}
