//! Old offsets are forgotten, and empty groups that have nothing left (Kafka's
//! `offsets.retention.minutes`, KIP-211).
//!
//! An offset is old when it was committed as long ago as the retention says. A group without
//! members counts from when it became empty. One that is Stable keeps the offsets of the topics
//! that it reads. One that rebalances keeps all.

use super::committed::CommittedOffset;
use super::event::OffsetEvent;
use crate::groups::event::GroupEvent;
use crate::groups::group::{Group, GroupState, Membership};
use crate::ids::TopicName;
use crate::reply::{Outcome, Reply};
use crate::transition::Transition;

pub(super) fn expire(tx: &mut Transition<'_>, retention_ms: u64) -> Outcome {
    let now_ms = tx.state().now_ms();
    let is_over = |since: u64| now_ms.saturating_sub(since) >= retention_ms;
    let mut removed = Vec::new();
    let mut emptied = Vec::new();
    for (id, group) in tx.state().groups() {
        let before = removed.len();
        for (topic, of_topic) in group.offsets.iter().filter(|(topic, _)| may_forget(group, topic))
        {
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
        let kept = group.offsets.count() - (removed.len() - before);
        let is_empty = group.state() == GroupState::Empty && !group.expects_members();
        if kept == 0 && is_empty && is_over(group.emptied_ms) {
            emptied.push(id.clone());
        }
    }
    for (group, topic, partition) in removed {
        tx.emit(OffsetEvent::Removed { group, topic, partition });
    }
    for group in emptied {
        tx.emit_group(&group, GroupEvent::Removed);
    }
    Ok(Reply::Done)
}

/// Whether offsets of a topic may grow too old.
fn may_forget(group: &Group, topic: &TopicName) -> bool {
    match (&group.membership, group.state()) {
        (_, GroupState::Empty) => true,
        // Its consumers are not members: nobody says when they are done.
        (Membership::Declared(_), _) => false,
        (_, GroupState::Stable) => !group.subscribes_to(topic),
        (
            _,
            GroupState::PreparingRebalance | GroupState::CompletingRebalance | GroupState::Dead,
        ) => false,
    }
}
