//! The bytes of records.
//!
//! The replicated state decides where each batch stands ([`Place`]) and where the records of an
//! answer lie ([`Extent`]). This module keeps the bytes: it puts them where events say and reads
//! them where extents say. It decides nothing, so the bytes at a place are the same on every node.
//!
//! A segment holds Kafka's record batches back to back and nothing else (see [`batch`]). The store
//! is in memory (`memory`), or in the files of a data folder (`files`).

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use state_machine::State;
use state_machine::event::Event;
use state_machine::ids::{LogId, Millis, Offset};
use state_machine::keyed_logs::event::KeyedLogEvent;
use state_machine::reply::Reply;
use state_machine::topics::event::TopicEvent;
use state_machine::values::{Extent, Place, Records, StoredBatch};

pub mod batch;
pub(crate) mod files;
mod memory;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod unwritten;

use batch::Head;
use files::{FileStore, FrozenFiles, SegmentId, segments_of};
use memory::Log;

/// The records of all logs. Clones are the same store.
#[derive(Clone)]
pub struct RecordStore(Stored);

#[derive(Clone)]
enum Stored {
    Memory(Arc<Mutex<Logs>>),
    Files(FileStore),
}

/// The logs of a store in memory.
type Logs = BTreeMap<LogId, Log>;

/// A store as it was at one time. A copy is cheap: it shares what will not change any more.
#[derive(Clone)]
pub struct Frozen(FrozenPlace);

#[derive(Clone)]
enum FrozenPlace {
    Memory(Logs),
    Files(FrozenFiles),
}

impl Default for RecordStore {
    /// An empty store in memory.
    fn default() -> Self {
        Self(Stored::Memory(Arc::default()))
    }
}

impl Default for Frozen {
    /// No records.
    fn default() -> Self {
        Self(FrozenPlace::Memory(Logs::new()))
    }
}

fn lock(logs: &Mutex<Logs>) -> MutexGuard<'_, Logs> {
    logs.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RecordStore {
    /// A store in files.
    pub(crate) fn in_files(store: FileStore) -> Self {
        Self(Stored::Files(store))
    }

    /// The files that it is in, if it is.
    pub(crate) fn files(&self) -> Option<&FileStore> {
        match &self.0 {
            Stored::Memory(_) => None,
            Stored::Files(store) => Some(store),
        }
    }

    /// Does what an event says of records, if it says anything. What it appends is read from here,
    /// but is in its file only after a [`flush`](Self::flush).
    ///
    /// # Errors
    /// Those of [`append`](Self::append).
    pub fn follow(&self, event: &Event) -> io::Result<()> {
        match event {
            Event::Topic(TopicEvent::Appended { place, records, offset, timestamp, .. })
            | Event::KeyedLog(KeyedLogEvent::Appended {
                place, records, offset, timestamp, ..
            }) => self.append(*place, records, *offset, *timestamp),
            Event::Topic(TopicEvent::Deleted { logs, .. }) => {
                logs.iter().for_each(|log| self.remove(*log));
                Ok(())
            }
            Event::Topic(TopicEvent::Trimmed { log, segments, .. }) => {
                self.trim(*log, segments);
                Ok(())
            }
            Event::Topic(
                TopicEvent::Created { .. }
                | TopicEvent::Configured { .. }
                | TopicEvent::Grown { .. }
                | TopicEvent::ProducersForgotten { .. },
            )
            | Event::Producer(_)
            | Event::KeyedLog(KeyedLogEvent::Committed { .. })
            | Event::Register(_)
            | Event::Offset(_)
            | Event::Group { .. }
            | Event::CoordinatorChanged { .. }
            | Event::ClockAdvanced { .. } => Ok(()),
        }
    }

    /// Puts a batch where it stands, with its offset filled in, and its time of append unless its
    /// records bear their own times.
    ///
    /// # Errors
    /// Where the records are no batch, or not as many as they say. Where the place is not the end
    /// of what the store has of the log.
    pub fn append(
        &self,
        place: Place,
        records: &Records,
        base_offset: Offset,
        timestamp: Millis,
    ) -> io::Result<()> {
        let head = Head::read(&records.bytes)?;
        if head.len != records.bytes.len() || head.count != records.count {
            return Err(damaged("records are not the one batch that they should be"));
        }
        let appended = records.created.is_none().then_some(timestamp);
        match &self.0 {
            Stored::Memory(logs) => {
                let mut logs = lock(logs);
                let log = logs.entry(place.log).or_default();
                log.append(place, &records.bytes, base_offset, appended)
            }
            Stored::Files(store) => store.append(place, &records.bytes, base_offset, appended),
        }
    }

    /// Hands to the operating system what was appended, in as few writes as there are segments.
    ///
    /// # Errors
    /// What the operating system says. The node cannot go on then.
    pub fn flush(&self) -> io::Result<()> {
        match &self.0 {
            Stored::Memory(_) => Ok(()),
            Stored::Files(store) => store.flush(),
        }
    }

    /// The batches of an extent, without those that were removed since.
    ///
    /// # Errors
    /// Where the store does not have them as the extent says.
    pub fn read(&self, extent: &Extent) -> io::Result<Vec<StoredBatch>> {
        let mut batches = Vec::new();
        let offsets = extent.from..extent.to;
        let mut some_are_gone = false;
        match &self.0 {
            Stored::Memory(logs) => {
                let logs = lock(logs);
                let Some(log) = logs.get(&extent.log) else { return Ok(batches) };
                for piece in &extent.pieces {
                    if log.begins_after(piece.segment) {
                        some_are_gone = true;
                    } else {
                        log.read(piece, &offsets, &mut batches)?;
                    }
                }
            }
            Stored::Files(store) => {
                if !store.has(extent.log) {
                    return Ok(batches);
                }
                for piece in &extent.pieces {
                    if store.begins_after((extent.log, piece.segment)) {
                        some_are_gone = true;
                    } else {
                        store.read(extent.log, piece, &offsets, &mut batches)?;
                    }
                }
            }
        }
        let mut at = match batches.first() {
            Some(first) if some_are_gone => first.base_offset,
            None if some_are_gone => extent.to,
            _ => extent.from,
        };
        for batch in &batches {
            if batch.base_offset > at {
                return Err(damaged("a batch is missing"));
            }
            at = batch.base_offset + u64::from(batch.count);
        }
        if at < extent.to {
            return Err(damaged("the last batch is missing"));
        }
        Ok(batches)
    }

    /// Puts the records into a reply that says where they lie.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    pub fn fill(&self, reply: &mut Reply) -> io::Result<()> {
        reply.fill(|extent| self.read(extent))
    }

    /// Drops a log.
    pub fn remove(&self, log: LogId) {
        match &self.0 {
            Stored::Memory(logs) => _ = lock(logs).remove(&log),
            Stored::Files(store) => store.remove(log),
        }
    }

    /// Drops the first segments of a log, by their first offsets.
    pub fn trim(&self, log: LogId, segments: &[Offset]) {
        match &self.0 {
            Stored::Memory(logs) => {
                if let Some(log) = lock(logs).get_mut(&log) {
                    log.trim(segments);
                }
            }
            Stored::Files(store) => store.trim(log, segments),
        }
    }

    /// The store as it is now.
    pub fn freeze(&self) -> Frozen {
        Frozen(match &self.0 {
            Stored::Memory(logs) => FrozenPlace::Memory(lock(logs).clone()),
            Stored::Files(store) => FrozenPlace::Files(store.freeze()),
        })
    }

    /// The store in files, for a state whose segments were written into it. They stay as long as
    /// this is held.
    pub(crate) fn freeze_as_sent(&self, state: &State) -> Frozen {
        match &self.0 {
            Stored::Memory(_) => self.freeze(),
            Stored::Files(store) => Frozen(FrozenPlace::Files(store.freeze_as(state))),
        }
    }

    /// How many bytes, about, freezing it costs: copied at once, or with the changes after it.
    pub fn freeze_cost(&self) -> usize {
        match &self.0 {
            Stored::Memory(logs) => lock(logs).values().map(Log::clone_cost).sum(),
            Stored::Files(_) => 0,
        }
    }

    /// From now on the store has what a state names of another time's records, or another node's.
    ///
    /// # Errors
    /// Where they cannot be read or written. The node cannot go on then.
    pub fn replace(&self, state: &State, frozen: &Frozen) -> io::Result<()> {
        match (&self.0, &frozen.0) {
            (Stored::Memory(logs), FrozenPlace::Memory(frozen)) => *lock(logs) = frozen.clone(),
            (Stored::Memory(logs), FrozenPlace::Files(_)) => {
                let mut copied = Logs::new();
                for (id, len) in segments_of(state) {
                    let mut batches = Vec::new();
                    batch::split(frozen.read(id, 0..len)?, &mut batches)?;
                    let batches = batches.iter().map(|batch| (batch.base_offset, &batch.bytes[..]));
                    copied.entry(id.0).or_default().restore(id.1, batches);
                }
                *lock(logs) = copied;
            }
            (Stored::Files(store), FrozenPlace::Files(frozen)) if frozen.is_of(store) => {
                store.take_over(state);
            }
            (Stored::Files(store), _) => {
                let _kept = store.freeze_as(state);
                for (id, len) in segments_of(state) {
                    store.write(id, 0, &frozen.read(id, 0..len)?)?;
                }
                store.take_over(state);
            }
        }
        Ok(())
    }
}

impl Frozen {
    /// Some bytes of a segment.
    ///
    /// # Errors
    /// Where it has fewer, or they cannot be read.
    pub(crate) fn read(&self, id: SegmentId, range: Range<u64>) -> io::Result<Bytes> {
        let (log, base_offset) = id;
        match &self.0 {
            FrozenPlace::Memory(logs) => {
                let log = logs.get(&log).ok_or_else(|| damaged("a log is missing"))?;
                log.range(base_offset, &range)
            }
            FrozenPlace::Files(frozen) => frozen.read(id, range),
        }
    }

    /// Adds a segment at the end of a log in memory: the batches that it was taken apart into, each
    /// with its first offset.
    pub(crate) fn restore<'a>(
        &mut self,
        log: LogId,
        segment: Offset,
        batches: impl Iterator<Item = (Offset, &'a [u8])>,
    ) {
        if let FrozenPlace::Memory(logs) = &mut self.0 {
            logs.entry(log).or_default().restore(segment, batches);
        }
    }
}

impl fmt::Debug for RecordStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Stored::Memory(logs) => write!(f, "records of {} logs", lock(logs).len()),
            Stored::Files(store) => fmt::Debug::fmt(store, f),
        }
    }
}

impl fmt::Debug for Frozen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            FrozenPlace::Memory(logs) => write!(f, "records of {} logs", logs.len()),
            FrozenPlace::Files(frozen) => fmt::Debug::fmt(frozen, f),
        }
    }
}

/// The store is not as the state says.
fn damaged(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("records: {problem}"))
}
