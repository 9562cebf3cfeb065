//! Topics: named sets of partitions, each a log of records with offsets from 0.
//!
//! This folder owns topics and their records: what is made, grown, removed, appended and read. A
//! change of a topic is told to the groups that read it; what they make of it is theirs to say.

use crate::rejection::Rejection;
use crate::reply::Outcome;
use crate::state::State;
use crate::transition::Transition;

pub mod command;
mod create;
mod delete;
pub mod event;
mod evolve;
mod fetch;
mod grow;
mod list;
pub mod partitions;
pub mod placement;
mod produce;
pub mod reply;
pub mod topic;

use crate::ids::TopicName;
use command::{TopicCommand, TopicQuery};
use topic::Topic;

pub(crate) fn decide(tx: &mut Transition<'_>, command: &TopicCommand) -> Outcome {
    match command {
        TopicCommand::Create { topic, partitions } => create::create(tx, topic, *partitions),
        TopicCommand::Grow { topic, partitions } => grow::grow(tx, topic, *partitions),
        TopicCommand::Delete { topic } => delete::delete(tx, topic),
        TopicCommand::Produce { topic, placement, new_topic_partitions, records } => {
            produce::produce(tx, topic, *placement, *new_topic_partitions, records)
        }
    }
}

pub(crate) fn query(state: &State, query: &TopicQuery) -> Outcome {
    match query {
        TopicQuery::List => list::list(state),
        TopicQuery::Fetch { topic, partition, offset, max_messages } => {
            fetch::fetch(state, topic, *partition, *offset, *max_messages)
        }
    }
}

fn existing<'a>(state: &'a State, topic: &TopicName) -> Result<&'a Topic, Rejection> {
    state.topic(topic).ok_or_else(|| Rejection::UnknownTopic(topic.clone()))
}
