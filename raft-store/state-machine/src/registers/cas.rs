//! Writes a register if it has the expected value.

use std::sync::Arc;

use super::register::RegisterValue;
use super::write::write;
use crate::rejection::Rejection;
use crate::reply::Outcome;
use crate::transition::Transition;

pub(super) fn cas(
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
