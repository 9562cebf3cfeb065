//! What a snapshot holds, and its byte form.
//!
//! A checkpoint is a state with the records of its logs. Its byte form is the state's, then the
//! bytes of each segment of each log, in the state's order and with nothing between them: the state
//! says how long each is. What is read is compared with what the state says, batch by batch.

use std::io;
use std::ops::Range;

use state_machine::ids::{LogId, Offset};
use state_machine::topics::partitions::Segment;
use state_machine::{State, invariants};

use crate::codec::{self, DecodeError};
use crate::records::Frozen;
use crate::records::batch::{self, Head};
use crate::records::files::segments_of;

/// What a checkpoint holds: see the head of this file. A clone is cheap.
#[derive(Debug, Clone, Default)]
pub struct Checkpoint {
    /// The state.
    pub state: State,
    /// The bytes of its records.
    pub records: Frozen,
}

impl Checkpoint {
    /// Encodes it.
    ///
    /// # Errors
    /// Where records cannot be read, or are not as they were written.
    pub fn encode(&self) -> io::Result<Vec<u8>> {
        let mut bytes = codec::encode(&self.state);
        for (id, len) in segments_of(&self.state) {
            let segment = self.records.read(id, 0..len)?;
            let mut batches = Vec::new();
            batch::follow(&segment, id.1)?;
            batch::split(segment.clone(), &mut batches)?;
            batches.iter().try_for_each(|found| batch::check(&found.bytes))?;
            bytes.extend_from_slice(&segment);
        }
        Ok(bytes)
    }

    /// Decodes it.
    ///
    /// # Errors
    /// Where the bytes are of another version, malformed or too many, or where the records are not
    /// as the state says.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (state, mut rest): (State, _) = codec::decode_first(bytes)?;
        if let Some(violation) = invariants::logs(&state).first() {
            return Err(DecodeError::Records(violation.to_string()));
        }
        let mut records = Frozen::default();
        for log in state.logs() {
            for (offsets, segment) in log.segments() {
                let len = usize::try_from(segment.byte_len()).unwrap_or(usize::MAX);
                let (bytes, after) = rest.split_at_checked(len).ok_or_else(|| {
                    DecodeError::Records(format!("the segment at {} is cut off", offsets.start))
                })?;
                rest = after;
                restore(&mut records, log.id(), offsets, segment, bytes)?;
            }
        }
        if rest.is_empty() {
            Ok(Self { state, records })
        } else {
            Err(DecodeError::Trailing(rest.len()))
        }
    }
}

/// Adds a segment whose bytes are as the state says.
fn restore(
    records: &mut Frozen,
    log: LogId,
    offsets: Range<Offset>,
    segment: &Segment,
    bytes: &[u8],
) -> Result<(), DecodeError> {
    let unlike =
        |what: &str| Err(DecodeError::Records(format!("the segment at {} {what}", offsets.start)));
    let mut block_starts = segment.block_starts().peekable();
    let (mut next, mut at, mut largest, mut timestamp) = (offsets.start, 0, 0, 0);
    let mut batches = Vec::new();
    while at < bytes.len() {
        let head = Head::read(&bytes[at..])?;
        let whole = &bytes[at..at + head.len];
        batch::check(whole)?;
        if head.base_offset != next {
            return unlike("has a gap");
        }
        block_starts.next_if_eq(&(next - offsets.start, at as u64));
        batches.push((head.base_offset, whole));
        (next, at) = (head.end_offset(), at + head.len);
        timestamp = timestamp.max(head.timestamp);
        largest = largest.max(head.len as u64);
    }
    if next != offsets.end {
        return unlike("ends elsewhere");
    }
    if block_starts.peek().is_some() {
        return unlike("has other blocks");
    }
    if (largest, timestamp) != (segment.largest_batch(), segment.max_timestamp()) {
        return unlike("has other batches");
    }
    records.restore(log, offsets.start, batches.into_iter());
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use state_machine::command::{Batch, Command, LogLimits, Stamp, Write};
    use state_machine::keyed_logs::command::KeyedLogCommand;
    use state_machine::topics::command::TopicCommand;
    use state_machine::topics::placement::Placement;

    use super::*;
    use crate::records::RecordStore;
    use crate::records::testing::records;

    /// A topic of three partitions and a keyed log, some with several segments and blocks.
    fn checkpoint() -> Checkpoint {
        let (mut state, store) = (State::default(), RecordStore::default());
        let produce = |partition, count, len| TopicCommand::Produce {
            topic: "t".into(),
            placement: Placement::Partition(partition),
            new_topic_partitions: 3,
            records: records(count, len),
        };
        let mut commands: Vec<Command> = (0..40).map(|i| produce(0, i + 1, 9_000).into()).collect();
        commands.push(produce(2, 1, 70).into());
        let send = KeyedLogCommand::Send { key: "k".into(), records: records(1, 80) };
        commands.push(send.into());
        let log_limits = LogLimits { segment_bytes: 200_000 };
        for (now_ms, command) in (1_000..).zip(commands) {
            let stamp = Stamp { now_ms, log_limits, ..Stamp::default() };
            state.begin(&Batch { stamp, ..Batch::default() });
            let mut events = Vec::new();
            let decided = state.apply(&Write { request_id: None, command }, Some(&mut events));
            decided.expect("not refused");
            events.iter().for_each(|event| store.follow(event).expect("kept"));
        }
        Checkpoint { state, records: store.freeze() }
    }

    #[test]
    fn what_is_encoded_is_decoded_to_the_byte() {
        let checkpoint = checkpoint();
        let bytes = checkpoint.encode().expect("in memory");
        let decoded = Checkpoint::decode(&bytes).expect("a checkpoint");
        assert_eq!(decoded.state, checkpoint.state);
        assert_eq!(decoded.encode().expect("in memory"), bytes);
        let segments: Vec<_> = decoded.state.logs().map(|log| log.segments().count()).collect();
        assert_eq!(segments, [2, 0, 1, 1]);
        // The next batch goes where it would have gone.
        let store = RecordStore::default();
        store.replace(&decoded.state, &decoded.records).expect("in memory");
        let place = state_machine::values::Place {
            log: decoded.state.logs().nth(3).expect("the keyed log").id(),
            segment: 0,
            position: 80,
        };
        store.append(place, &records(1, 70), 1, 2_000).expect("it fits");
    }

    #[test]
    fn bytes_that_are_no_checkpoint_are_an_error() {
        let checkpoint = checkpoint();
        let state = codec::encode(&checkpoint.state).len();
        let bytes = checkpoint.encode().expect("in memory");
        assert!(bytes.len() > state + 40 * 9_000);
        for cut in (0..state).chain((state..bytes.len()).step_by(1_000)).chain([bytes.len() - 1]) {
            assert!(Checkpoint::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(Checkpoint::decode(&longer).is_err());
        // Whatever is changed in the state: no panic. Of the records all is seen but the epoch,
        // which is of no use here.
        for at in 0..state {
            let mut changed = bytes.clone();
            changed[at] ^= 0x15;
            if let Ok(decoded) = Checkpoint::decode(&changed) {
                assert!(decoded.encode().expect("in memory").len() >= bytes.len() - state);
            }
        }
        for at in (0..40 * 9_000).filter(|at| at % 9_000 < 100 && !(12..16).contains(&(at % 9_000)))
        {
            let mut changed = bytes.clone();
            changed[state + at] ^= 0x15;
            assert!(Checkpoint::decode(&changed).is_err(), "changed at {at}");
        }
    }

    #[test]
    fn another_checkpoints_records_are_an_error() {
        let checkpoint = checkpoint();
        let state = codec::encode(&checkpoint.state).len();
        let mut bytes = checkpoint.encode().expect("in memory");
        // Two batches change places.
        let (first, second) = bytes[state..state + 18_000].split_at_mut(9_000);
        first.swap_with_slice(second);
        let problem = Checkpoint::decode(&bytes).expect_err("a gap");
        assert!(matches!(problem, DecodeError::Records(_)), "{problem}");
        let empty = Checkpoint { state: State::default(), records: checkpoint.records };
        assert_eq!(
            Bytes::from(empty.encode().expect("in memory")),
            Bytes::from(Checkpoint::default().encode().expect("in memory"))
        );
    }
}
