//! Messages of several logs, from an offset in each.

use super::reply::KeyedLogReply;
use crate::ids::{LogKey, Offset};
use crate::reply::Outcome;
use crate::state::State;
use crate::topics::partitions::ReadBudget;

/// A poll gives at most this many messages a log.
const MAX_MESSAGES: u32 = 1_000;

pub(super) fn poll(state: &State, offsets: &[(LogKey, Offset)]) -> Outcome {
    let mut budget = ReadBudget::default();
    let messages = offsets.iter().filter_map(|(key, offset)| {
        let found = state.log(key)?.read(*offset, MAX_MESSAGES, &mut budget);
        (!found.is_empty()).then(|| (key.clone(), found))
    });
    Ok(KeyedLogReply::Messages(messages.collect()).into())
}
