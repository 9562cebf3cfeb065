//! All topics, with how many partitions each has.

use super::reply::TopicReply;
use crate::reply::Outcome;
use crate::state::State;

pub(super) fn list(state: &State) -> Outcome {
    let topics = state.topics().map(|(name, topic)| (name.clone(), topic.partition_count()));
    Ok(TopicReply::Listed(topics.collect()).into())
}
