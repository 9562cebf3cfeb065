//! What administrators do to groups of any kind: remove them, and remove offsets, by hand or by age.

use super::event::GroupEvent;
use super::{Group, Membership, emit, existing};
use crate::apply::Transition;
use crate::event::Event;
use crate::ids::{GroupId, PartitionId, TopicName};
use crate::offsets::CommittedOffset;
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

/// Forgets offsets that were committed `retention_ms` ago or earlier, and empty groups that have nothing left
/// (Kafka's `offsets.retention.minutes`, KIP-211). A group without members counts from when it became empty,
/// one that is Stable keeps the offsets of the topics that it reads, and one that rebalances keeps all.
pub(crate) fn expire_offsets(tx: &mut Transition<'_>, retention_ms: u64) -> Outcome {
    let now_ms = tx.state().now_ms();
    let is_over = |since: u64| now_ms.saturating_sub(since) >= retention_ms;
    let mut removed = Vec::new();
    let mut emptied = Vec::new();
    for (id, group) in tx.state().groups() {
        let before = removed.len();
        for (topic, of_topic) in group.offsets.iter().filter(|(topic, _)| group.may_forget(topic)) {
            let since = |c: &CommittedOffset| match group.state() {
                GroupState::Empty => c.timestamp.max(group.emptied_ms),
                GroupState::PreparingRebalance
                | GroupState::CompletingRebalance
                | GroupState::Stable
                | GroupState::Dead => c.timestamp,
            };
            let old = of_topic.iter().filter(|(_, c)| is_over(since(c)));
            removed.extend(old.map(|(partition, _)| (id.clone(), topic.clone(), *partition)));
        }
        let kept = group.offset_count() - (removed.len() - before);
        if kept == 0 && group.state() == GroupState::Empty && is_over(group.emptied_ms) {
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

    /// Whether offsets of a topic may grow too old.
    fn may_forget(&self, topic: &TopicName) -> bool {
        match (&self.membership, self.state()) {
            (_, GroupState::Empty) => true,
            // Its consumers are not members: nobody says when they are done.
            (Membership::Declared(_), _) => false,
            (Membership::Polling(_) | Membership::Classic(_), GroupState::Stable) => {
                !self.subscribes_to(topic)
            }
            (Membership::Simple | Membership::Polling(_) | Membership::Classic(_), _) => false,
        }
    }
}
