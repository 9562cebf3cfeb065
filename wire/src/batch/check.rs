//! What is checked before a batch is appended.

use std::io::BufRead;

use super::error::{BatchError, RecordFault};
use super::header::{
    CONTROL, Codec, HEADER_SIZE, Header, KNOWN_ATTRIBUTES, LENGTH_FROM, LOG_APPEND_TIME, MAGIC_END,
    Producer, TRANSACTIONAL, crc_of,
};
use super::payload::{Limits, Visit, decompress, stream_error};
use super::record::{Fault, Stream};

/// What is known of a batch once it was checked: enough to append it without another look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    /// How many records it has, at least one.
    pub count: u32,
    /// The last record's offset, less the first one's: one less than `count`.
    pub last_offset_delta: u32,
    /// The timestamp that the records' own count from, in milliseconds; -1 is none.
    pub base_timestamp: i64,
    /// The greatest timestamp of a record, in milliseconds; -1 is none.
    pub max_timestamp: i64,
    /// Whether the header says another one. Kafka then writes the right one, as does
    /// [`set_max_timestamp`](super::set_max_timestamp).
    pub max_timestamp_differs: bool,
    /// Who wrote it, if it has a producer id.
    pub producer: Option<Producer>,
    /// Whether it is part of a transaction.
    pub is_transactional: bool,
    /// How its records are compressed.
    pub codec: Codec,
    /// Whether a record has no key.
    pub has_null_key: bool,
    /// Bytes of all keys and values, not compressed.
    pub text_len: u64,
}

/// Checks the bytes that a producer sent for a partition, in the order in which Kafka does.
pub fn check(bytes: &[u8], limits: &Limits) -> Result<Checked, BatchError> {
    let header = one_batch(bytes, limits)?;
    if header.base_offset() != 0 {
        return Err(BatchError::BaseOffset(header.base_offset()));
    }
    if bytes.len() > limits.max_batch {
        return Err(BatchError::TooLarge { size: bytes.len(), limit: limits.max_batch });
    }
    let expected = crc_of(bytes);
    if header.crc() != expected {
        return Err(BatchError::Crc { found: header.crc(), expected });
    }
    let (count, last_offset_delta) = (header.count(), header.last_offset_delta());
    if count <= 0 || last_offset_delta != count - 1 {
        return Err(BatchError::Count { count, last_offset_delta });
    }
    let codec = attributes(&header)?;
    let producer = producer(&header)?;
    let walk = Walk { header, limits, codec, payload: &bytes[HEADER_SIZE..] };
    let found = decompress(codec, walk.payload, limits, walk)?;
    Ok(Checked {
        count: count as u32,
        last_offset_delta: last_offset_delta as u32,
        base_timestamp: header.base_timestamp(),
        max_timestamp: found.max_timestamp,
        max_timestamp_differs: found.max_timestamp != header.max_timestamp(),
        producer,
        is_transactional: header.attributes() & TRANSACTIONAL != 0,
        codec,
        has_null_key: found.has_null_key,
        text_len: found.text_len,
    })
}

/// Which records have no key, of a batch that was checked: the first `most` of them.
pub fn keyless(bytes: &[u8], limits: &Limits, most: usize) -> Vec<u32> {
    let Some(header) = Header::of(bytes) else { return Vec::new() };
    let Ok(codec) = Codec::from_attributes(header.attributes()) else { return Vec::new() };
    let count = header.count() as u32;
    let walk = Keyless { count, most };
    decompress(codec, &bytes[HEADER_SIZE..], limits, walk).unwrap_or_default()
}

/// The walk that looks for records without a key.
struct Keyless {
    count: u32,
    most: usize,
}

impl Visit for Keyless {
    type Output = Vec<u32>;

    fn visit<R: BufRead>(self, stream: R) -> Result<Vec<u32>, BatchError> {
        let mut stream = Stream::new(stream);
        let mut found = Vec::new();
        for index in 0..self.count {
            if found.len() == self.most {
                break;
            }
            // It cannot fail: each record was read before.
            let Ok(record) = stream.record(|_, _| {}) else { break };
            if record.key.is_none() {
                found.push(index);
            }
        }
        Ok(found)
    }
}

/// That there is one batch, of a format that is known, and nothing else.
fn one_batch<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Header<'a>, BatchError> {
    if bytes.is_empty() {
        return Err(BatchError::Empty);
    }
    let left = bytes.len();
    let Some(front) = bytes.first_chunk::<MAGIC_END>() else {
        return Err(BatchError::Cut { needed: HEADER_SIZE as u64, left });
    };
    match front[16] as i8 {
        2 => {}
        magic @ (0 | 1) => return Err(BatchError::OldMagic(magic)),
        magic => return Err(BatchError::UnknownMagic(magic)),
    }
    let length = i32::from_be_bytes([front[8], front[9], front[10], front[11]]);
    let Some(size) = usize::try_from(length).ok().map(|length| LENGTH_FROM + length) else {
        return Err(BatchError::LengthTooShort(length));
    };
    if size < HEADER_SIZE {
        return Err(BatchError::LengthTooShort(length));
    }
    let header = match Header::of(bytes) {
        Some(header) if size <= left => header,
        _ => return Err(BatchError::Cut { needed: size as u64, left }),
    };
    if !limits.zstd && Codec::from_attributes(header.attributes()) == Ok(Codec::Zstd) {
        return Err(BatchError::ZstdTooEarly);
    }
    match left - size {
        0 => Ok(header),
        extra => Err(BatchError::NotOne { extra }),
    }
}

/// The compression, if no attribute is set that a producer must not set.
fn attributes(header: &Header<'_>) -> Result<Codec, BatchError> {
    let attributes = header.attributes();
    if attributes & CONTROL != 0 {
        return Err(BatchError::Control);
    }
    let codec = Codec::from_attributes(attributes).map_err(BatchError::UnknownCodec)?;
    if attributes & !KNOWN_ATTRIBUTES != 0 {
        return Err(BatchError::Attributes(attributes));
    }
    if attributes & LOG_APPEND_TIME != 0 {
        return Err(BatchError::LogAppendTime);
    }
    Ok(codec)
}

fn producer(header: &Header<'_>) -> Result<Option<Producer>, BatchError> {
    let (id, epoch) = (header.producer_id(), header.producer_epoch());
    let base_sequence = header.base_sequence();
    if id < 0 {
        return match header.attributes() & TRANSACTIONAL {
            0 => Ok(None),
            _ => Err(BatchError::Transactional(id)),
        };
    }
    if epoch < 0 || base_sequence < 0 {
        return Err(BatchError::Producer { id, epoch, base_sequence });
    }
    Ok(Some(Producer { id, epoch, base_sequence }))
}

/// The walk over the records of a batch.
#[derive(Clone, Copy)]
struct Walk<'a> {
    header: Header<'a>,
    limits: &'a Limits,
    codec: Codec,
    payload: &'a [u8],
}

/// What the records say together.
struct Found {
    max_timestamp: i64,
    has_null_key: bool,
    text_len: u64,
}

impl Walk<'_> {
    fn fault(&self, index: u32, fault: Fault) -> BatchError {
        match fault {
            Fault::Record(what) => BatchError::Record { index, what },
            Fault::Stream(error) => stream_error(self.codec, self.payload, &error),
        }
    }

    fn timestamp(&self, delta: i64) -> Result<i64, RecordFault> {
        let base = self.header.base_timestamp();
        let overflow = RecordFault::TimestampOverflow { base, delta };
        let found = base.checked_add(delta).ok_or(overflow)?;
        if found != -1 && !self.limits.timestamps.contains(&found) {
            let (least, most) = self.limits.timestamps.clone().into_inner();
            return Err(RecordFault::Timestamp { found, least, most });
        }
        Ok(found)
    }
}

impl Visit for Walk<'_> {
    type Output = Found;

    fn visit<R: BufRead>(self, stream: R) -> Result<Found, BatchError> {
        let mut stream = Stream::new(stream);
        let mut found = Found { max_timestamp: i64::MIN, has_null_key: false, text_len: 0 };
        let count = self.header.count() as u32;
        for index in 0..count {
            let broken = |what| BatchError::Record { index, what };
            let record = stream.record(|_, _| {}).map_err(|fault| self.fault(index, fault))?;
            if i64::from(record.offset_delta) != i64::from(index) {
                let found = record.offset_delta;
                return Err(broken(RecordFault::OffsetDelta { found, expected: index }));
            }
            if record.key.is_none() && self.limits.keys_needed {
                return Err(broken(RecordFault::NoKey));
            }
            let timestamp = self.timestamp(record.timestamp_delta).map_err(broken)?;
            found.max_timestamp = found.max_timestamp.max(timestamp);
            found.has_null_key |= record.key.is_none();
            for part in [record.key, record.value].into_iter().flatten() {
                found.text_len += part.end - part.start;
            }
        }
        match stream.is_at_end().map_err(|fault| self.fault(count, fault))? {
            true => Ok(found),
            false => Err(BatchError::Trailing { count }),
        }
    }
}
