//! Positions are committed. One that would move back stays where it is, and is no error.

use super::event::KeyedLogEvent;
use crate::ids::{LogKey, Offset};
use crate::reply::{Outcome, Reply};
use crate::transition::Transition;

pub(super) fn commit(tx: &mut Transition<'_>, offsets: &[(LogKey, Offset)]) -> Outcome {
    for (key, offset) in offsets {
        if tx.state().log_committed(key).is_none_or(|committed| committed < *offset) {
            tx.emit(KeyedLogEvent::Committed { key: key.clone(), offset: *offset });
        }
    }
    Ok(Reply::Done)
}
