//! A message is appended to the log of its key.

use super::event::KeyedLogEvent;
use super::reply::KeyedLogReply;
use crate::ids::LogKey;
use crate::reply::Outcome;
use crate::topics::partitions::PartitionLog;
use crate::transition::Transition;
use crate::values::Records;

pub(super) fn send(tx: &mut Transition<'_>, key: &LogKey, records: &Records) -> Outcome {
    let state = tx.state();
    let made = PartitionLog::new(state.next_log());
    let log = state.log(key).unwrap_or(&made);
    let (offset, timestamp) = (log.end_offset(), log.timestamp_at(state.now_ms()));
    let place = log.place(records, state.log_limits());
    tx.emit(KeyedLogEvent::Appended {
        key: key.clone(),
        records: records.clone(),
        place,
        offset,
        timestamp,
    });
    Ok(KeyedLogReply::Appended { offset }.into())
}
