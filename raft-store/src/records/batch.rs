//! Kafka's record batch (magic 2), as far as a store of records looks at it: its head.
//!
//! | bytes | what |
//! | --- | --- |
//! | 0..8 | offset of the first record; filled in here |
//! | 8..12 | how many bytes follow |
//! | 12..16 | epoch of the partition's leader; not used, and 0 |
//! | 16 | magic: 2 |
//! | 17..21 | CRC-32C of all that follows; filled in here with the time |
//! | 21..23 | attributes; bit 3, the time is that of the append, is set with the time |
//! | 23..27 | offset of the last record, counted from the first |
//! | 35..43 | time of the newest record; filled in here unless records bear their own times |
//! | 61.. | the records, which nobody looks at here |
//!
//! Batches stand back to back in a segment, so a run of them is what a Kafka consumer reads.

use std::io;
use std::ops::Range;

use bytes::Bytes;
use state_machine::ids::{Millis, Offset};
use state_machine::values::StoredBatch;
use thiserror::Error;

/// How many bytes come before the records.
pub const HEAD_BYTES: usize = 61;

const BASE_OFFSET: Range<usize> = 0..8;
const LENGTH: Range<usize> = 8..12;
const EPOCH: Range<usize> = 12..16;
const MAGIC: usize = 16;
const CRC: Range<usize> = 17..21;
const ATTRIBUTES: Range<usize> = 21..23;
const LAST_OFFSET: Range<usize> = 23..27;
const MAX_TIMESTAMP: Range<usize> = 35..43;

/// The bit of the attributes which says that the time is that of the append.
const LOG_APPEND_TIME: u8 = 1 << 3;

/// Why bytes are no batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoBatch {
    /// They end too early.
    #[error("a batch is cut off after {0} bytes")]
    CutOff(usize),
    /// Another form.
    #[error("a batch of magic {0}, expected 2")]
    Magic(u8),
    /// A length or a number that is none.
    #[error("a batch with a negative number of bytes or records")]
    Negative,
    /// Damaged.
    #[error("a batch whose checksum is wrong")]
    Checksum,
    /// Damaged where no checksum covers it: the epoch of the partition's leader.
    #[error("a batch of a leader's epoch {0}, expected 0")]
    Epoch(u32),
    /// Damaged where no checksum covers it: the first offset.
    #[error("a batch at offset {found}, expected {expected}")]
    Offset {
        /// What it says.
        found: Offset,
        /// What comes next.
        expected: Offset,
    },
}

impl From<NoBatch> for io::Error {
    fn from(problem: NoBatch) -> Self {
        Self::new(io::ErrorKind::InvalidData, problem)
    }
}

/// What a batch says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The first record's offset.
    pub base_offset: Offset,
    /// How many bytes the whole batch has.
    pub len: usize,
    /// How many records.
    pub count: u32,
    /// When it was appended, or the newest of its records' own times; 0 where they have none.
    pub timestamp: Millis,
}

fn array<const N: usize>(bytes: &[u8], at: Range<usize>) -> [u8; N] {
    bytes[at].try_into().expect("as many bytes as the field has")
}

impl Head {
    /// The head of the batch that the bytes begin with. All of the batch is there.
    ///
    /// # Errors
    /// Where they begin with no batch, or do not have all of it.
    pub fn read(bytes: &[u8]) -> Result<Self, NoBatch> {
        if bytes.len() < HEAD_BYTES {
            return Err(NoBatch::CutOff(bytes.len()));
        }
        if bytes[MAGIC] != 2 {
            return Err(NoBatch::Magic(bytes[MAGIC]));
        }
        let length = i32::from_be_bytes(array(bytes, LENGTH));
        let last_offset = i32::from_be_bytes(array(bytes, LAST_OFFSET));
        let (Ok(length), Ok(last_offset)) = (usize::try_from(length), u32::try_from(last_offset))
        else {
            return Err(NoBatch::Negative);
        };
        let len = LENGTH.end + length;
        if len < HEAD_BYTES || len > bytes.len() {
            return Err(NoBatch::CutOff(len.min(bytes.len())));
        }
        Ok(Self {
            base_offset: u64::from_be_bytes(array(bytes, BASE_OFFSET)),
            len,
            count: last_offset + 1,
            timestamp: u64::try_from(i64::from_be_bytes(array(bytes, MAX_TIMESTAMP))).unwrap_or(0),
        })
    }

    /// One past the last record's offset.
    pub fn end_offset(&self) -> Offset {
        self.base_offset.saturating_add(self.count.into())
    }
}

/// Gives a batch its offset, and its time of append unless its records bear their own times.
///
/// # Panics
/// Where the bytes are fewer than a head has: they are a whole batch, which [`Head::read`] says.
pub fn fill_in(batch: &mut [u8], base_offset: Offset, appended: Option<Millis>) {
    // No checksum covers these two.
    batch[BASE_OFFSET].copy_from_slice(&base_offset.to_be_bytes());
    batch[EPOCH].fill(0);
    let Some(timestamp) = appended else { return };
    // The last byte has the lowest bits.
    batch[ATTRIBUTES.end - 1] |= LOG_APPEND_TIME;
    batch[MAX_TIMESTAMP].copy_from_slice(&timestamp.to_be_bytes());
    let crc = crc32c::crc32c(&batch[CRC.end..]);
    batch[CRC].copy_from_slice(&crc.to_be_bytes());
}

/// Whether a batch is as it was filled in, but for its offset: its checksum is right.
///
/// # Errors
/// Where it is not.
pub fn check(batch: &[u8]) -> Result<(), NoBatch> {
    let head = batch.get(CRC).zip(batch.get(CRC.end..));
    let right = head.is_some_and(|(crc, rest)| crc == crc32c::crc32c(rest).to_be_bytes());
    if !right {
        return Err(NoBatch::Checksum);
    }
    match u32::from_be_bytes(array(batch, EPOCH)) {
        0 => Ok(()),
        epoch => Err(NoBatch::Epoch(epoch)),
    }
}

/// Where, in bytes that begin and end with whole batches, those lie that have records of these
/// offsets.
///
/// # Errors
/// Where the bytes are no batches.
pub fn select(bytes: &[u8], offsets: &Range<Offset>) -> Result<Range<usize>, NoBatch> {
    let mut selected = 0..0;
    let mut at = 0;
    while at < bytes.len() {
        let head = Head::read(&bytes[at..])?;
        if head.base_offset >= offsets.end {
            break;
        }
        at += head.len;
        if head.end_offset() <= offsets.start {
            selected.start = at;
        }
        selected.end = at;
    }
    Ok(selected)
}

/// Whether the batches of bytes follow on each other, the first one beginning at this offset.
///
/// # Errors
/// Where one begins elsewhere, or the bytes are no batches.
pub fn follow(mut bytes: &[u8], mut next: Offset) -> Result<(), NoBatch> {
    while !bytes.is_empty() {
        let head = Head::read(bytes)?;
        if head.base_offset != next {
            return Err(NoBatch::Offset { found: head.base_offset, expected: next });
        }
        (bytes, next) = (&bytes[head.len..], head.end_offset());
    }
    Ok(())
}

/// Takes bytes apart into their batches. No byte is copied.
///
/// # Errors
/// Where the bytes are no batches.
pub fn split(mut bytes: Bytes, batches: &mut Vec<StoredBatch>) -> Result<(), NoBatch> {
    while !bytes.is_empty() {
        let Head { base_offset, len, count, timestamp } = Head::read(&bytes)?;
        let bytes = bytes.split_to(len);
        batches.push(StoredBatch { base_offset, count, timestamp, bytes });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::testing::batch;

    #[test]
    fn a_batch_says_what_was_filled_in() {
        let mut bytes = batch(3, 100);
        assert_eq!(check(&bytes), Err(NoBatch::Checksum), "nobody has filled it in");
        fill_in(&mut bytes, 7, Some(9));
        assert_eq!(check(&bytes), Ok(()));
        let head = Head::read(&bytes).expect("a batch");
        assert_eq!(head, Head { base_offset: 7, len: 100, count: 3, timestamp: 9 });
        assert_eq!(bytes[ATTRIBUTES], [0, LOG_APPEND_TIME]);
        let before = bytes.clone();
        fill_in(&mut bytes, 7, Some(9));
        assert_eq!(bytes, before, "once is as good as twice");
        bytes[HEAD_BYTES] ^= 1;
        assert_eq!(check(&bytes), Err(NoBatch::Checksum));
    }

    #[test]
    fn records_with_times_of_their_own_keep_them() {
        let mut bytes = batch(3, 100);
        fill_in(&mut bytes, 7, Some(9));
        bytes[ATTRIBUTES].fill(0);
        let crc = crc32c::crc32c(&bytes[CRC.end..]);
        bytes[CRC].copy_from_slice(&crc.to_be_bytes());
        fill_in(&mut bytes, 70, None);
        assert_eq!((check(&bytes), bytes[ATTRIBUTES].iter().sum::<u8>()), (Ok(()), 0));
        let head = Head::read(&bytes).expect("a batch");
        assert_eq!((head.base_offset, head.timestamp), (70, 9));
        bytes[MAX_TIMESTAMP].fill(0xff);
        assert_eq!(Head::read(&bytes).expect("a batch").timestamp, 0, "none at all");
    }

    #[test]
    fn what_no_checksum_covers_is_looked_at_too() {
        let mut bytes = batch(3, 100);
        fill_in(&mut bytes, 7, Some(9));
        for byte in EPOCH {
            let mut bytes = bytes.clone();
            bytes[byte] ^= 4;
            assert!(matches!(check(&bytes), Err(NoBatch::Epoch(_))), "byte {byte}");
        }
        let mut next = batch(1, 80);
        fill_in(&mut next, 10, Some(9));
        bytes.extend(next);
        assert_eq!(follow(&bytes, 7), Ok(()));
        for byte in BASE_OFFSET.chain(BASE_OFFSET.map(|byte| 100 + byte)) {
            let mut bytes = bytes.clone();
            bytes[byte] ^= 4;
            assert!(matches!(follow(&bytes, 7), Err(NoBatch::Offset { .. })), "byte {byte}");
        }
    }

    #[test]
    fn bytes_that_are_no_batch_are_told() {
        let mut good = batch(1, 80);
        fill_in(&mut good, 7, Some(9));
        assert_eq!(Head::read(&[]), Err(NoBatch::CutOff(0)));
        for cut in 0..good.len() {
            assert!(Head::read(&good[..cut]).is_err(), "cut at {cut}");
            assert!(check(&good[..cut]).is_err(), "cut at {cut}");
        }
        let with = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            Head::read(&bytes)
        };
        assert_eq!(with(MAGIC, 1), Err(NoBatch::Magic(1)));
        assert_eq!(with(LENGTH.start, 0x80), Err(NoBatch::Negative));
        assert_eq!(with(LAST_OFFSET.start, 0x80), Err(NoBatch::Negative));
        assert_eq!(with(LENGTH.end - 1, 3), Err(NoBatch::CutOff(15)), "shorter than its head");
    }

    #[test]
    fn batches_are_selected_by_offset_and_split() {
        let mut bytes = Vec::new();
        for (base_offset, count) in [(10, 2), (12, 1), (13, 5), (18, 1)] {
            let mut one = batch(count, 90);
            fill_in(&mut one, base_offset, Some(base_offset));
            bytes.extend(one);
        }
        let of = |offsets: Range<u64>| {
            let selected = select(&bytes, &offsets).expect("batches");
            let mut batches = Vec::new();
            split(Bytes::copy_from_slice(&bytes[selected]), &mut batches).expect("batches");
            batches.iter().map(|batch| batch.base_offset).collect::<Vec<_>>()
        };
        assert_eq!(of(10..19), [10, 12, 13, 18]);
        assert_eq!(of(11..13), [10, 12]);
        assert_eq!(of(14..15), [13]);
        assert_eq!(of(17..100), [13, 18]);
        assert!(of(19..30).is_empty() && of(0..10).is_empty());
    }
}
