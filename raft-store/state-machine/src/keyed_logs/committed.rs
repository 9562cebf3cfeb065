//! Committed positions of several logs.

use super::reply::KeyedLogReply;
use crate::ids::LogKey;
use crate::reply::Outcome;
use crate::state::State;

pub(super) fn committed(state: &State, keys: &[LogKey]) -> Outcome {
    let committed = keys.iter().filter_map(|key| Some((key.clone(), state.log_committed(key)?)));
    Ok(KeyedLogReply::Committed(committed.collect()).into())
}
