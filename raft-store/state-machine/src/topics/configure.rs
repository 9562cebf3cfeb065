//! The configuration of a topic changes: all that was asked for, or nothing.

use std::sync::Arc;

use super::config::{Change, TopicConfig};
use super::event::TopicEvent;
use super::existing;
use crate::ids::TopicName;
use crate::reply::{Outcome, Reply};
use crate::transition::Transition;

pub(super) fn configure(
    tx: &mut Transition<'_>,
    topic: &TopicName,
    changes: &[(Arc<str>, Change)],
    replace: bool,
) -> Outcome {
    let current = &existing(tx.state(), topic)?.config;
    let mut config = if replace { TopicConfig::default() } else { current.clone() };
    for (name, change) in changes {
        config.change(name, change)?;
    }
    if config != *current {
        tx.emit(TopicEvent::Configured { topic: topic.clone(), config });
    }
    Ok(Reply::Done)
}
