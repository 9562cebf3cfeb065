//! A checkpoint on its way to another node, as a run of bytes.
//!
//! First comes the state, then each segment of each log in the state's order, with nothing between
//! them ([`Checkpoint`]). The sender reads what it sends when it sends it, so a transfer takes
//! little memory however large the records are ([`Outgoing`]). The receiver knows from the state
//! what will come. Where it keeps records in files, it puts the bytes where they belong, and it
//! skips what it has already ([`Arriving`]): a byte at a place of a segment is the same on every
//! node.
//!
//! The module knows no messages.

use std::io;
use std::ops::Range;

use state_machine::{State, invariants};
use thiserror::Error;

use crate::checkpoint::Checkpoint;
use crate::codec::{self, DecodeError};
use crate::raft::StateMachine;
use crate::records::files::{SegmentId, segments_of};
use crate::records::{Frozen, RecordStore};

/// A segment, and where it lies in the run of bytes.
#[derive(Debug, Clone)]
struct Part {
    segment: SegmentId,
    bytes: Range<u64>,
}

/// Where the segments of a state lie, and where the run of bytes ends.
fn layout(state: &State, state_len: u64) -> (Vec<Part>, u64) {
    let mut end = state_len;
    let part = |(segment, len): (SegmentId, u64)| {
        let begin = end;
        end += len;
        Part { segment, bytes: begin..end }
    };
    let parts = segments_of(state).map(part).collect();
    (parts, end)
}

/// The part that a place lies in, or the one after it.
fn part_at(parts: &[Part], at: u64) -> Option<&Part> {
    parts.get(parts.partition_point(|part| part.bytes.end <= at))
}

/// A checkpoint that is sent.
#[derive(Debug)]
pub struct Outgoing {
    checkpoint: Checkpoint,
    state: Vec<u8>,
    parts: Vec<Part>,
    total: u64,
}

impl Outgoing {
    /// What is sent of a checkpoint.
    pub fn new(checkpoint: Checkpoint) -> Self {
        let state = codec::encode(&checkpoint.state);
        let (parts, total) = layout(&checkpoint.state, state.len() as u64);
        Self { checkpoint, state, parts, total }
    }

    /// How many bytes the state has.
    pub fn state_len(&self) -> u64 {
        self.state.len() as u64
    }

    /// How many bytes there are.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The bytes from a place on, at most so many.
    ///
    /// # Errors
    /// Where records cannot be read.
    pub fn read(&self, from: u64, most: usize) -> io::Result<Vec<u8>> {
        let (mut at, end) = (from, self.total.min(from.saturating_add(most as u64)));
        let mut bytes = Vec::with_capacity(end.saturating_sub(from) as usize);
        if at < end && at < self.state_len() {
            let until = end.min(self.state_len());
            bytes.extend_from_slice(&self.state[at as usize..until as usize]);
            at = until;
        }
        while at < end
            && let Some(part) = part_at(&self.parts, at)
        {
            let range = at - part.bytes.start..end.min(part.bytes.end) - part.bytes.start;
            at = part.bytes.start + range.end;
            bytes.extend_from_slice(&self.checkpoint.records.read(part.segment, range)?);
        }
        Ok(bytes)
    }
}

/// Why a checkpoint cannot be taken in.
#[derive(Debug, Error)]
pub enum ArrivalError {
    /// It is of another version or malformed.
    #[error("snapshot: {0}")]
    Malformed(#[from] DecodeError),
    /// It cannot be written.
    #[error("snapshot: {0}")]
    Io(#[from] io::Error),
    /// The sender says something else than the state.
    #[error("snapshot: its sender says {told} bytes, and its state {found}")]
    Length {
        /// How many bytes there are as the sender says.
        told: u64,
        /// How many there are by the state.
        found: u64,
    },
}

/// What has come of a checkpoint.
#[derive(Debug)]
pub enum Arrived {
    /// So many bytes, from the beginning without gaps. What is sent next begins there.
    Part(u64),
    /// All of it.
    Whole(Box<Checkpoint>),
}

/// A state that has come, and where its records will.
#[derive(Debug)]
struct Known {
    state: State,
    parts: Vec<Part>,
    /// Holds on to what has come of them.
    records: Frozen,
}

/// A checkpoint that is taken in.
#[derive(Debug)]
pub struct Arriving {
    store: RecordStore,
    state_len: u64,
    total: u64,
    /// The next byte to come.
    at: u64,
    /// All bytes where records are in memory, the state's where they are in files.
    bytes: Vec<u8>,
    /// The state, where it has come and records are in files.
    known: Option<Known>,
}

impl Arriving {
    /// A checkpoint that has so many bytes, and so many of its state, for a node's state machine.
    pub fn new(machine: &StateMachine, state_len: u64, total: u64) -> Self {
        let store = machine.records();
        Self { store, state_len, total, at: 0, bytes: Vec::new(), known: None }
    }

    /// Takes bytes in. Those that do not continue what has come are passed over.
    ///
    /// # Errors
    /// Where the checkpoint cannot be taken in. It has to be sent anew.
    pub fn take(&mut self, from: u64, bytes: &[u8]) -> Result<Arrived, ArrivalError> {
        if from == self.at {
            match self.store.files() {
                None => {
                    self.bytes.extend_from_slice(bytes);
                    self.at += bytes.len() as u64;
                }
                Some(_) => self.put(bytes)?,
            }
        }
        if self.at < self.total {
            return Ok(Arrived::Part(self.at));
        }
        match self.known.take() {
            Some(Known { state, records, .. }) => {
                Ok(Arrived::Whole(Box::new(Checkpoint { state, records })))
            }
            None => {
                let whole = Checkpoint::decode(&std::mem::take(&mut self.bytes))?;
                Ok(Arrived::Whole(Box::new(whole)))
            }
        }
    }

    /// Puts bytes where they belong, and looks what has to come next.
    fn put(&mut self, mut bytes: &[u8]) -> Result<(), ArrivalError> {
        if self.at < self.state_len {
            let missing = usize::try_from(self.state_len - self.at).unwrap_or(usize::MAX);
            let (state, rest) = bytes.split_at(missing.min(bytes.len()));
            self.bytes.extend_from_slice(state);
            self.at += state.len() as u64;
            bytes = rest;
        }
        if self.at < self.state_len {
            return Ok(());
        }
        if self.known.is_none() {
            self.know()?;
        }
        let (Some(Known { parts, .. }), Some(store)) = (&self.known, self.store.files()) else {
            return Ok(());
        };
        while let Some(part) = part_at(parts, self.at) {
            // What this node has already need not come, and is not written over: the sender's disk
            // may have rotted.
            let held = store.held(part.segment).min(part.bytes.end - part.bytes.start);
            let missing_from = part.bytes.start + held;
            if self.at < missing_from {
                let passed = usize::try_from(missing_from - self.at).unwrap_or(usize::MAX);
                bytes = bytes.get(passed..).unwrap_or_default();
                self.at = missing_from;
                continue;
            }
            if bytes.is_empty() {
                break;
            }
            let left = usize::try_from(part.bytes.end - self.at).unwrap_or(usize::MAX);
            let (here, rest) = bytes.split_at(left.min(bytes.len()));
            store.write(part.segment, self.at - part.bytes.start, here)?;
            self.at += here.len() as u64;
            bytes = rest;
            if self.at == part.bytes.end {
                store.check(part.segment, part.bytes.end - part.bytes.start)?;
            }
        }
        Ok(())
    }

    /// The state has come.
    fn know(&mut self) -> Result<(), ArrivalError> {
        let state: State = codec::decode(&std::mem::take(&mut self.bytes))?;
        if let Some(violation) = invariants::logs(&state).first() {
            return Err(DecodeError::Records(violation.to_string()).into());
        }
        let (parts, found) = layout(&state, self.state_len);
        if found != self.total {
            return Err(ArrivalError::Length { told: self.total, found });
        }
        let records = self.store.freeze_as_sent(&state);
        self.known = Some(Known { state, parts, records });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use runtime::files::simulated::SimFiles;
    use state_machine::command::{Batch, LogLimits, Stamp, Write};
    use state_machine::keyed_logs::command::KeyedLogCommand;

    use super::*;
    use crate::raft::RoundId;
    use crate::records::files::FileStore;
    use crate::records::testing::records;

    /// A node in memory.
    fn in_memory() -> StateMachine {
        StateMachine::default()
    }

    /// A node whose records are in files.
    fn in_files(files: &SimFiles) -> StateMachine {
        let machine = StateMachine::default();
        let store = FileStore::open(Arc::new(files.clone()), &State::default());
        machine.lock().records = RecordStore::in_files(store.expect("an empty folder"));
        machine
    }

    /// Applies so many messages to each of two logs, in segments of three batches.
    fn apply(machine: &StateMachine, rounds: std::ops::Range<u64>) {
        for round in rounds {
            let send = |key: &str| {
                let command = KeyedLogCommand::Send { key: key.into(), records: records(1, 1_000) };
                Write { request_id: None, command: command.into() }
            };
            let log_limits = LogLimits { segment_bytes: 3_000 };
            let stamp = Stamp { now_ms: round, log_limits, ..Stamp::default() };
            let batch =
                Batch { stamp, acknowledged: Vec::new(), writes: vec![send("a"), send("b")] };
            let round = RoundId { incarnation: 1, number: round };
            machine.lock().apply_batch(round, &batch, false).expect("applied");
        }
    }

    /// Sends all of it in chunks; returns what arrived, and how many bytes were sent.
    fn send(
        outgoing: &Outgoing,
        to: &StateMachine,
        chunk: usize,
        damage: impl Fn(u64, &mut Vec<u8>),
    ) -> Result<(Checkpoint, u64), ArrivalError> {
        let mut arriving = Arriving::new(to, outgoing.state_len(), outgoing.total());
        let (mut from, mut sent) = (0, 0);
        loop {
            let mut bytes = outgoing.read(from, chunk).expect("read");
            sent += bytes.len() as u64;
            damage(from, &mut bytes);
            match arriving.take(from, &bytes)? {
                Arrived::Part(next) => from = next,
                Arrived::Whole(checkpoint) => return Ok((*checkpoint, sent)),
            }
        }
    }

    #[test]
    fn a_checkpoint_arrives_whole_in_chunks_of_any_size_wherever_records_are() {
        let (memory, disk) = (in_memory(), in_files(&SimFiles::new(1)));
        for leader in [&memory, &disk] {
            apply(leader, 0..20);
            let outgoing = Outgoing::new(leader.checkpoint());
            let expected = leader.checkpoint().encode().expect("read");
            assert_eq!(outgoing.total(), expected.len() as u64);
            for chunk in [1, 7, 999, 5_000, 1 << 20] {
                for follower in [in_memory(), in_files(&SimFiles::new(2))] {
                    let (whole, sent) =
                        send(&outgoing, &follower, chunk, |_, _| {}).expect("taken");
                    assert_eq!(whole.encode().expect("read"), expected, "chunks of {chunk}");
                    assert_eq!(sent, outgoing.total());
                }
            }
        }
    }

    #[test]
    fn segments_that_a_node_has_are_not_sent_again() {
        let (leader, follower) = (in_files(&SimFiles::new(1)), in_files(&SimFiles::new(2)));
        apply(&leader, 0..20);
        apply(&follower, 0..10);
        let outgoing = Outgoing::new(leader.checkpoint());
        let (whole, sent) = send(&outgoing, &follower, 1_000, |_, _| {}).expect("taken");
        let expected = leader.checkpoint().encode().expect("read");
        assert_eq!(whole.encode().expect("read"), expected);
        // Of each log it has three segments of three batches, and one batch of the fourth.
        assert!(sent <= outgoing.total() - 2 * 10_000 + 2_000, "{sent} of {}", outgoing.total());
    }

    #[test]
    fn a_disk_that_rots_does_not_spread() {
        let leader = in_memory();
        apply(&leader, 0..20);
        let outgoing = Outgoing::new(leader.checkpoint());
        let rotten = outgoing.state_len() + 4_500;
        for follower in [in_memory(), in_files(&SimFiles::new(2))] {
            let taken = send(&outgoing, &follower, 1_000, |from, bytes| {
                if let Some(byte) =
                    rotten.checked_sub(from).and_then(|at| bytes.get_mut(at as usize))
                {
                    *byte ^= 1;
                }
            });
            assert!(taken.is_err(), "a batch whose checksum is wrong was taken");
        }
        // What a node has stays as it is, even where the sender's is rotten.
        let follower = in_files(&SimFiles::new(2));
        apply(&follower, 0..10);
        let before = follower.checkpoint().encode().expect("read");
        let taken = send(&outgoing, &follower, 1_000, |_, bytes| bytes[0] ^= 1);
        assert!(taken.is_err(), "the state is malformed, or a batch is");
        let (_, sent) = send(&outgoing, &follower, 1_000, |from, bytes| {
            if from < outgoing.state_len() + 1_000 && from + 1_000 > outgoing.state_len() {
                // Of the first segment, which it has.
                *bytes.last_mut().expect("a whole chunk") ^= 1;
            }
        })
        .expect("taken");
        assert!(sent < outgoing.total());
        assert_eq!(follower.checkpoint().encode().expect("read"), before);
    }

    #[test]
    fn a_chunk_that_comes_twice_or_too_early_is_passed_over() {
        let (leader, follower) = (in_memory(), in_files(&SimFiles::new(2)));
        apply(&leader, 0..5);
        let outgoing = Outgoing::new(leader.checkpoint());
        let mut arriving = Arriving::new(&follower, outgoing.state_len(), outgoing.total());
        let first = outgoing.read(0, 100).expect("read");
        for (from, bytes) in [(50, &first), (0, &first), (0, &first), (200, &first)] {
            let arrived = arriving.take(from, bytes).expect("taken or passed over");
            let expected = if from == 50 { 0 } else { 100 };
            assert!(matches!(arrived, Arrived::Part(at) if at == expected), "{from}: {arrived:?}");
        }
    }

    #[test]
    fn a_sender_that_says_another_length_than_the_state_is_refused() {
        let (leader, follower) = (in_memory(), in_files(&SimFiles::new(2)));
        apply(&leader, 0..5);
        let outgoing = Outgoing::new(leader.checkpoint());
        let mut arriving = Arriving::new(&follower, outgoing.state_len(), outgoing.total() + 1);
        let all = outgoing.read(0, 1 << 20).expect("read");
        assert!(matches!(arriving.take(0, &all), Err(ArrivalError::Length { .. })));
    }
}
