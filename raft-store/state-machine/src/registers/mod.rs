//! Registers of Maelstrom's `lin-kv` workload: one value a key, written whole or by
//! compare-and-set.

use crate::reply::Outcome;
use crate::state::State;
use crate::transition::Transition;

mod cas;
pub mod command;
pub mod event;
mod read;
pub mod register;
pub mod reply;
mod write;

use command::{RegisterCommand, RegisterQuery};

pub(crate) fn decide(tx: &mut Transition<'_>, command: &RegisterCommand) -> Outcome {
    match command {
        RegisterCommand::Write { key, value } => write::write(tx, key, value),
        RegisterCommand::Cas { key, from, to, create_if_not_exists } => {
            cas::cas(tx, key, from, to, *create_if_not_exists)
        }
    }
}

pub(crate) fn query(state: &State, query: &RegisterQuery) -> Outcome {
    match query {
        RegisterQuery::Read { key } => read::read(state, key),
    }
}
