//! The records of a batch, for readers.

use std::io::BufRead;
use std::ops::Range;

use bytes::Bytes;

use super::error::BatchError;
use super::header::{Codec, HEADER_SIZE, Header, LENGTH_FROM, LOG_APPEND_TIME};
use super::payload::{Limits, Visit, decompress, stream_error};
use super::record::{Fault, Raw, Stream};

/// A record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// Its offset, less the batch's base offset.
    pub offset_delta: u32,
    /// When it was created, or appended if the batch says so, in milliseconds; -1 is none.
    pub timestamp: i64,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value; none is a tombstone.
    pub value: Option<Bytes>,
    /// Its headers, in order. A key may occur more than once. A key that is not UTF-8 has U+FFFD
    /// where it is not.
    pub headers: Vec<(String, Option<Bytes>)>,
}

/// The records of a batch, of whatever compression.
///
/// The batch may be one that is stored: with a base offset, and with records missing after a
/// compaction. What follows it is ignored. The checksum is not looked at, and of the limits only
/// those against bombs count. What is allocated can be 30 times the decompressed bytes, when they
/// are all empty headers: a reader with less memory lowers [`Limits::max_records_size`].
pub fn records(batch: &[u8], limits: &Limits) -> Result<Vec<Record>, BatchError> {
    let left = batch.len();
    let cut = |needed| BatchError::Cut { needed, left };
    let header = Header::of(batch).ok_or(cut(HEADER_SIZE as u64))?;
    if batch[16] != 2 {
        return Err(BatchError::UnknownMagic(batch[16] as i8));
    }
    let length = i32::from_be_bytes([batch[8], batch[9], batch[10], batch[11]]);
    let size = usize::try_from(length).unwrap_or(0) + LENGTH_FROM;
    if size < HEADER_SIZE {
        return Err(BatchError::LengthTooShort(length));
    }
    let payload = batch.get(HEADER_SIZE..size).ok_or(cut(size as u64))?;
    let codec = Codec::from_attributes(header.attributes()).map_err(BatchError::UnknownCodec)?;
    let bytes = decompress(codec, payload, limits, Collect { codec, payload })?;
    split(&header, Bytes::from(bytes))
}

/// Takes the whole stream.
struct Collect<'a> {
    codec: Codec,
    payload: &'a [u8],
}

impl Visit for Collect<'_> {
    type Output = Vec<u8>;

    fn visit<R: BufRead>(self, mut stream: R) -> Result<Vec<u8>, BatchError> {
        let mut bytes = Vec::new();
        match stream.read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => Err(stream_error(self.codec, self.payload, &error)),
        }
    }
}

/// The records that the decompressed bytes are.
fn split(header: &Header<'_>, bytes: Bytes) -> Result<Vec<Record>, BatchError> {
    let (count, last_offset_delta) = (header.count(), header.last_offset_delta());
    let wrong = BatchError::Count { count, last_offset_delta };
    let count = u32::try_from(count).map_err(|_| wrong)?;
    let mut stream = Stream::new(&bytes[..]);
    let mut records = Vec::new();
    for index in 0..count {
        let mut headers = Vec::new();
        let on_header = |key, value: Option<Range<u64>>| {
            let key = String::from_utf8_lossy(&part(&bytes, key)).into_owned();
            headers.push((key, value.map(|value| part(&bytes, value))));
        };
        let raw = match stream.record(on_header) {
            Ok(raw) => raw,
            Err(Fault::Record(what)) => return Err(BatchError::Record { index, what }),
            Err(Fault::Stream(error)) => unreachable!("bytes in memory failed: {error}"),
        };
        records.push(record(header, index, &bytes, raw, headers)?);
    }
    match stream.into_inner().is_empty() {
        true => Ok(records),
        false => Err(BatchError::Trailing { count }),
    }
}

fn record(
    header: &Header<'_>,
    index: u32,
    bytes: &Bytes,
    raw: Raw,
    headers: Vec<(String, Option<Bytes>)>,
) -> Result<Record, BatchError> {
    use super::error::RecordFault::{OffsetDelta, TimestampOverflow};
    let broken = |what| BatchError::Record { index, what };
    let found = raw.offset_delta;
    let offset_delta = u32::try_from(found)
        .ok()
        .filter(|delta| i64::from(*delta) <= i64::from(header.last_offset_delta()))
        .ok_or(broken(OffsetDelta { found, expected: index }))?;
    let (base, delta) = (header.base_timestamp(), raw.timestamp_delta);
    let timestamp = match header.attributes() & LOG_APPEND_TIME {
        0 => base.checked_add(delta).ok_or(broken(TimestampOverflow { base, delta }))?,
        _ => header.max_timestamp(),
    };
    let key = raw.key.map(|key| part(bytes, key));
    let value = raw.value.map(|value| part(bytes, value));
    Ok(Record { offset_delta, timestamp, key, value, headers })
}

/// A part of bytes that are in memory.
fn part(bytes: &Bytes, range: Range<u64>) -> Bytes {
    bytes.slice(range.start as usize..range.end as usize)
}
