//! The logs of Maelstrom's `kafka` workload: one log a key, made by its first message.
//!
//! They stand apart from topics: a key is no topic, a log has one partition, and its committed
//! position belongs to no group.

use crate::reply::Outcome;
use crate::state::State;
use crate::transition::Transition;

pub mod command;
mod commit;
mod committed;
pub mod event;
pub mod logs;
mod poll;
pub mod reply;
mod send;

use command::{KeyedLogCommand, KeyedLogQuery};

pub(crate) fn decide(tx: &mut Transition<'_>, command: &KeyedLogCommand) -> Outcome {
    match command {
        KeyedLogCommand::Send { key, records } => send::send(tx, key, records),
        KeyedLogCommand::Commit { offsets } => commit::commit(tx, offsets),
    }
}

pub(crate) fn query(state: &State, query: &KeyedLogQuery) -> Outcome {
    match query {
        KeyedLogQuery::Poll { offsets } => poll::poll(state, offsets),
        KeyedLogQuery::Committed { keys } => committed::committed(state, keys),
    }
}
