//! A register's value.

use std::sync::Arc;

use super::reply::RegisterReply;
use crate::rejection::Rejection;
use crate::reply::Outcome;
use crate::state::State;

pub(super) fn read(state: &State, key: &Arc<str>) -> Outcome {
    match state.register(key) {
        Some(value) => Ok(RegisterReply::Value(value.text.clone()).into()),
        None => Err(Rejection::KeyNotFound(key.clone())),
    }
}
