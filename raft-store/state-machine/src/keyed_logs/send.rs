//! A message is appended to the log of its key.

use super::event::KeyedLogEvent;
use super::reply::KeyedLogReply;
use crate::ids::LogKey;
use crate::reply::Outcome;
use crate::transition::Transition;
use crate::values::Records;

pub(super) fn send(tx: &mut Transition<'_>, key: &LogKey, records: &Records) -> Outcome {
    let now_ms = tx.state().now_ms();
    let (offset, timestamp) =
        tx.state().log(key).map_or((0, now_ms), |log| (log.end_offset(), log.timestamp_at(now_ms)));
    tx.emit(KeyedLogEvent::Appended {
        key: key.clone(),
        records: records.clone(),
        offset,
        timestamp,
    });
    Ok(KeyedLogReply::Appended { offset }.into())
}
