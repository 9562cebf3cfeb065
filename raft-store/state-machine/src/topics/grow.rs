//! A topic gets more partitions. The number that it has already is no error.

use super::event::TopicEvent;
use super::existing;
use crate::groups;
use crate::ids::TopicName;
use crate::rejection::Rejection;
use crate::reply::{Outcome, Reply};
use crate::transition::Transition;

pub(super) fn grow(tx: &mut Transition<'_>, topic: &TopicName, partitions: u32) -> Outcome {
    let current = existing(tx.state(), topic)?.partition_count();
    if partitions < current {
        return Err(Rejection::TopicCannotShrink {
            topic: topic.clone(),
            current,
            asked: partitions,
        });
    }
    if partitions > current {
        let first = tx.state().next_log();
        let logs = first..first.plus((partitions - current).into());
        tx.emit(TopicEvent::Grown { topic: topic.clone(), partitions, logs });
        groups::topic_changed(tx, topic);
    }
    Ok(Reply::Done)
}
