//! A topic is made.

use super::config::TopicConfig;
use super::event::TopicEvent;
use crate::groups;
use crate::ids::TopicName;
use crate::rejection::Rejection;
use crate::reply::{Outcome, Reply};
use crate::transition::Transition;

pub(super) fn create(
    tx: &mut Transition<'_>,
    topic: &TopicName,
    partitions: u32,
    config: &TopicConfig,
) -> Outcome {
    if tx.state().topic(topic).is_some() {
        return Err(Rejection::TopicAlreadyExists(topic.clone()));
    }
    config.check()?;
    let first = tx.state().next_log();
    let logs = first..first.plus(partitions.into());
    let (topic_name, config) = (topic.clone(), config.clone());
    tx.emit(TopicEvent::Created { topic: topic_name, partitions, logs, config });
    groups::topic_changed(tx, topic);
    Ok(Reply::Done)
}
