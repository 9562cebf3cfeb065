//! What administrators do to groups of any kind: remove them, and remove offsets, by hand or by age.

use super::event::GroupEvent;
use super::{Group, emit, existing};
use crate::apply::Transition;
use crate::event::Event;
use crate::ids::{GroupId, PartitionId, TopicName};
use crate::reply::{GroupState, Outcome, Rejection, Reply};

/// Removes a group that has no members.
pub(crate) fn delete_group(tx: &mut Transition<'_>, id: &GroupId) -> Outcome {
    if existing(tx.state(), id)?.has_members() {
        return Err(Rejection::NonEmptyGroup(id.clone()));
    }
    emit(tx, id, GroupEvent::Removed);
    Ok(Reply::Done)
}

/// Removes committed offsets of a topic that no member reads. Those that do not exist are no error, as in
/// Kafka.
pub(crate) fn delete_offsets(
    tx: &mut Transition<'_>,
    id: &GroupId,
    topic: &TopicName,
    partitions: Option<&[PartitionId]>,
) -> Outcome {
    let group = existing(tx.state(), id)?;
    if group.subscribes_to(topic) {
        return Err(Rejection::GroupSubscribedToTopic { group: id.clone(), topic: topic.clone() });
    }
    let committed = group.offsets.get(topic).into_iter().flat_map(|of_topic| of_topic.keys().copied());
    let removed: Vec<_> = committed.filter(|p| partitions.is_none_or(|asked| asked.contains(p))).collect();
    for partition in removed {
        tx.emit(Event::OffsetRemoved { group: id.clone(), topic: topic.clone(), partition });
    }
    Ok(Reply::Done)
}

/// Forgets the offsets of groups without members that were committed `retention_ms` ago or earlier, and the
/// groups that have nothing left.
pub(crate) fn expire_offsets(tx: &mut Transition<'_>, retention_ms: u64) -> Outcome {
    let now_ms = tx.state().now_ms();
    let is_over = |since: u64| now_ms.saturating_sub(since) >= retention_ms;
    let mut removed = Vec::new();
    let mut emptied = Vec::new();
    for (id, group) in tx.state().groups().filter(|(_, g)| g.state() == GroupState::Empty) {
        let old = group.offsets.iter().flat_map(|(topic, of_topic)| {
            let old = of_topic.iter().filter(|(_, c)| is_over(c.timestamp.max(group.emptied_ms)));
            old.map(|(partition, _)| (id.clone(), topic.clone(), *partition))
        });
        let before = removed.len();
        removed.extend(old);
        let kept = group.offset_count() - (removed.len() - before);
        if kept == 0 && is_over(group.emptied_ms) {
            emptied.push(id.clone());
        }
    }
    for (group, topic, partition) in removed {
        tx.emit(Event::OffsetRemoved { group, topic, partition });
    }
    for group in emptied {
        emit(tx, &group, GroupEvent::Removed);
    }
    Ok(Reply::Done)
}

impl Group {
    /// How many committed offsets it has.
    pub fn offset_count(&self) -> usize {
        self.offsets.values().map(|of_topic| of_topic.len()).sum()
    }
}
