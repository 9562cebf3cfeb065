//! Keyed logs as they are kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::event::KeyedLogEvent;
use crate::ids::{LogKey, Offset};
use crate::topics::partitions::{PART_BYTES, PartitionLog};

/// All keyed logs and their committed positions. A position may be committed where there is no log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct KeyedLogs {
    logs: BTreeMap<LogKey, PartitionLog>,
    committed: BTreeMap<LogKey, Offset>,
}

impl KeyedLogs {
    /// A log.
    pub fn log(&self, key: &LogKey) -> Option<&PartitionLog> {
        self.logs.get(key)
    }

    /// All logs by key.
    pub(crate) fn logs(&self) -> impl Iterator<Item = &PartitionLog> {
        self.logs.values()
    }

    /// A log's committed position.
    pub fn committed(&self, key: &LogKey) -> Option<Offset> {
        self.committed.get(key).copied()
    }

    /// How many bytes, about, a clone costs.
    pub(crate) fn clone_cost(&self) -> usize {
        let logs: usize = self.logs.values().map(PartitionLog::clone_cost).sum();
        logs + PART_BYTES * self.committed.len()
    }

    /// Makes a fact true.
    pub(crate) fn evolve(&mut self, event: &KeyedLogEvent) {
        match event {
            KeyedLogEvent::Appended { key, records, place, offset, timestamp } => {
                let append = |log: &mut PartitionLog| {
                    debug_assert_eq!(log.end_offset(), *offset, "offsets are dense");
                    log.append(*place, records, *timestamp);
                };
                match self.logs.get_mut(key) {
                    Some(log) => append(log),
                    None => {
                        let log = PartitionLog::new(place.log);
                        append(self.logs.entry(key.clone()).or_insert(log));
                    }
                }
            }
            KeyedLogEvent::Committed { key, offset } => {
                self.committed.insert(key.clone(), *offset);
            }
        }
    }
}
