//! A topic is removed, with its records and with what groups committed of it.

use super::event::TopicEvent;
use super::existing;
use super::partitions::PartitionLog;
use crate::groups;
use crate::ids::TopicName;
use crate::offsets::event::OffsetEvent;
use crate::reply::{Outcome, Reply};
use crate::transition::Transition;

pub(super) fn delete(tx: &mut Transition<'_>, topic: &TopicName) -> Outcome {
    let logs = existing(tx.state(), topic)?.partitions.iter().map(PartitionLog::id).collect();
    for (group, partition) in tx.state().commits_of_topic(topic) {
        tx.emit(OffsetEvent::Removed { group, topic: topic.clone(), partition });
    }
    tx.emit(TopicEvent::Deleted { topic: topic.clone(), logs });
    groups::topic_changed(tx, topic);
    Ok(Reply::Done)
}
