//! A topic is made.

use super::event::TopicEvent;
use crate::groups;
use crate::ids::TopicName;
use crate::rejection::Rejection;
use crate::reply::{Outcome, Reply};
use crate::transition::Transition;

pub(super) fn create(tx: &mut Transition<'_>, topic: &TopicName, partitions: u32) -> Outcome {
    if tx.state().topic(topic).is_some() {
        return Err(Rejection::TopicAlreadyExists(topic.clone()));
    }
    let first = tx.state().next_log();
    let logs = first..first.plus(partitions.into());
    tx.emit(TopicEvent::Created { topic: topic.clone(), partitions, logs });
    groups::topic_changed(tx, topic);
    Ok(Reply::Done)
}
