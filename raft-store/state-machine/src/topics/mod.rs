//! Topics: named sets of partitions, each a log of records with offsets from 0.
//!
//! This folder owns topics and their records: what is made, grown, removed, appended and read. A
//! change of a topic is told to the groups that read it; what they make of it is theirs to say.

use crate::rejection::Rejection;
use crate::reply::Outcome;
use crate::state::State;
use crate::transition::Transition;

mod append;
pub mod budget;
pub mod command;
pub mod config;
mod configure;
mod create;
mod delete;
mod describe;
pub mod event;
mod evolve;
mod fetch;
mod grow;
mod list;
pub mod partitions;
pub mod placement;
mod produce;
mod read;
pub mod reply;
pub mod sequences;
pub mod topic;
mod trim;

use crate::ids::{PartitionId, TopicName};
use command::{TopicCommand, TopicQuery};
use partitions::PartitionLog;
use topic::Topic;

pub(crate) fn decide(tx: &mut Transition<'_>, command: &TopicCommand) -> Outcome {
    match command {
        TopicCommand::Create { topic, partitions, config } => {
            create::create(tx, topic, *partitions, config)
        }
        TopicCommand::Grow { topic, partitions } => grow::grow(tx, topic, *partitions),
        TopicCommand::Configure { topic, changes, replace } => {
            configure::configure(tx, topic, changes, *replace)
        }
        TopicCommand::Delete { topic } => delete::delete(tx, topic),
        TopicCommand::Trim { topic, partition, before } => {
            trim::trim(tx, topic, *partition, *before)
        }
        TopicCommand::Retain(retention) => trim::retain(tx, retention),
        TopicCommand::Produce { topic, placement, new_topic_partitions, records } => {
            produce::produce(tx, topic, *placement, *new_topic_partitions, records)
        }
        TopicCommand::Append { topic, partition, sequence, records, keyless, max_bytes } => {
            let limits = append::Limits { keyless: *keyless, max_bytes: *max_bytes };
            append::append(tx, topic, *partition, sequence.as_ref(), records, limits)
        }
        TopicCommand::ForgetProducers { silent_ms } => append::forget_producers(tx, *silent_ms),
    }
}

pub(crate) fn query(state: &State, query: &TopicQuery) -> Outcome {
    match query {
        TopicQuery::List => list::list(state),
        TopicQuery::Fetch { topic, partition, offset, max_messages } => {
            fetch::fetch(state, topic, *partition, *offset, *max_messages)
        }
        TopicQuery::Describe { topics } => describe::describe(state, topics.as_deref()),
        TopicQuery::Read { partitions, max_bytes } => read::read(state, partitions, *max_bytes),
        TopicQuery::Offsets { partitions } => read::offsets(state, partitions),
    }
}

/// A partition of a topic that exists.
fn existing_partition<'a>(
    state: &'a State,
    topic: &TopicName,
    partition: PartitionId,
) -> Result<&'a PartitionLog, Rejection> {
    let found = existing(state, topic)?;
    found.partitions.get(partition as usize).ok_or_else(|| Rejection::UnknownPartition {
        topic: topic.clone(),
        partition,
        partitions: found.partition_count(),
    })
}

fn existing<'a>(state: &'a State, topic: &TopicName) -> Result<&'a Topic, Rejection> {
    state.topic(topic).ok_or_else(|| Rejection::UnknownTopic(topic.clone()))
}
