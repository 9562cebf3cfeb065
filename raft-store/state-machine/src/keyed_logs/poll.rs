//! Messages of several logs, from an offset in each.

use super::reply::KeyedLogReply;
use crate::ids::{LogKey, Offset};
use crate::reply::Outcome;
use crate::state::State;
use crate::topics::budget::{ReadBudget, text_len};

/// A poll gives at most this many messages a log.
const MAX_MESSAGES: u32 = 1_000;

/// A log as text has so many bytes besides its key and its messages.
const LOG_TEXT: u64 = 8;

pub(super) fn poll(state: &State, offsets: &[(LogKey, Offset)]) -> Outcome {
    let mut budget = ReadBudget::default();
    let messages = offsets.iter().filter_map(|(key, offset)| {
        let log = state.log(key)?;
        if *offset >= log.end_offset() || !budget.tell(text_len(key.as_str()) + LOG_TEXT) {
            return None;
        }
        let extent = log.read(*offset, MAX_MESSAGES, &mut budget);
        (!extent.is_empty()).then(|| (key.clone(), extent.into()))
    });
    Ok(KeyedLogReply::Messages(messages.collect()).into())
}
