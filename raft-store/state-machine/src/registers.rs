//! Registers of Maelstrom's `lin-kv` workload. Keys and values are compared by their canonical text.

use std::sync::Arc;

use crate::apply::Transition;
use crate::command::RegisterValue;
use crate::event::Event;
use crate::reply::{Outcome, Rejection, Reply};
use crate::state::State;

pub(crate) fn read(state: &State, key: &Arc<str>) -> Outcome {
    match state.register(key) {
        Some(value) => Ok(Reply::Register(value.text.clone())),
        None => Err(Rejection::KeyNotFound(key.clone())),
    }
}

pub(crate) fn write(tx: &mut Transition<'_>, key: &Arc<str>, value: &RegisterValue) -> Outcome {
    tx.emit(Event::RegisterWritten { key: key.clone(), value: value.clone() });
    Ok(Reply::Done)
}

pub(crate) fn cas(
    tx: &mut Transition<'_>,
    key: &Arc<str>,
    from: &Arc<str>,
    to: &RegisterValue,
    create_if_not_exists: bool,
) -> Outcome {
    match tx.state().register(key) {
        None if create_if_not_exists => {}
        None => return Err(Rejection::KeyNotFound(key.clone())),
        Some(found) if found.canonical != *from => {
            let (key, expected, found) = (key.clone(), from.clone(), found.canonical.clone());
            return Err(Rejection::PreconditionFailed { key, expected, found });
        }
        Some(_) => {}
    }
    write(tx, key, to)
}
