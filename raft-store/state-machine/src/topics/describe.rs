//! What there is to know about topics.

use super::reply::{TopicDescription, TopicReply};
use super::topic::Topic;
use crate::ids::TopicName;
use crate::reply::Outcome;
use crate::state::State;

pub(super) fn describe(state: &State, topics: Option<&[TopicName]>) -> Outcome {
    let described = |topic: &Topic| TopicDescription {
        partitions: topic.partition_count(),
        first_log: topic.partitions[0].id(),
        config: topic.config.clone(),
    };
    let found = match topics {
        None => {
            state.topics().map(|(name, topic)| (name.clone(), Some(described(topic)))).collect()
        }
        Some(names) => {
            names.iter().map(|name| (name.clone(), state.topic(name).map(described))).collect()
        }
    };
    Ok(TopicReply::Described(found).into())
}
