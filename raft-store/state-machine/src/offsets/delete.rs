//! Committed offsets of a topic that no member reads are removed. Those that do not exist are no
//! error, as in Kafka.

use super::event::OffsetEvent;
use crate::ids::{GroupId, PartitionId, TopicName};
use crate::rejection::Rejection;
use crate::reply::{Outcome, Reply};
use crate::transition::Transition;

pub(super) fn delete(
    tx: &mut Transition<'_>,
    id: &GroupId,
    topic: &TopicName,
    partitions: Option<&[PartitionId]>,
) -> Outcome {
    let group = tx.state().group(id).ok_or_else(|| Rejection::GroupNotFound(id.clone()))?;
    if group.subscribes_to(topic) {
        return Err(Rejection::GroupSubscribedToTopic { group: id.clone(), topic: topic.clone() });
    }
    let committed = group.offsets.of_topic(topic).map(|(partition, _)| partition);
    let removed: Vec<_> =
        committed.filter(|p| partitions.is_none_or(|asked| asked.contains(p))).collect();
    for partition in removed {
        tx.emit(OffsetEvent::Removed { group: id.clone(), topic: topic.clone(), partition });
    }
    Ok(Reply::Done)
}
