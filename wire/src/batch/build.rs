//! A batch of records, for tests and clients.

use bytes::{BufMut, Bytes, BytesMut};

use super::header::{HEADER_SIZE, LENGTH_FROM, Producer, seal};
use super::read::Record;

/// A batch of these records, not compressed, as a producer sends it: with base offset 0.
///
/// The records' offset deltas are written as they are, so that a test can build what is wrong; a
/// batch that [`check`](super::check) takes counts them from 0.
///
/// # Panics
///
/// If the batch would have 2 GiB or more.
pub fn build(records: &[Record], base_timestamp: i64, producer: Option<Producer>) -> Bytes {
    let mut batch = BytesMut::zeroed(HEADER_SIZE);
    for record in records {
        put_record(&mut batch, record, base_timestamp);
    }
    let length = i32::try_from(batch.len() - LENGTH_FROM).expect("a batch below 2 GiB");
    let max_timestamp = records.iter().map(|record| record.timestamp).max().unwrap_or(-1);
    let none = Producer { id: -1, epoch: -1, base_sequence: -1 };
    let producer = producer.unwrap_or(none);
    let mut header = &mut batch[..HEADER_SIZE];
    header.put_i64(0);
    header.put_i32(length);
    header.put_i32(-1);
    header.put_i8(2);
    header.put_u32(0);
    header.put_i16(0);
    header.put_i32(records.len() as i32 - 1);
    header.put_i64(base_timestamp);
    header.put_i64(max_timestamp);
    header.put_i64(producer.id);
    header.put_i16(producer.epoch);
    header.put_i32(producer.base_sequence);
    header.put_i32(records.len() as i32);
    seal(&mut batch);
    batch.freeze()
}

fn put_record(batch: &mut BytesMut, record: &Record, base_timestamp: i64) {
    let mut body = Vec::new();
    body.push(0);
    put_varlong(&mut body, record.timestamp.wrapping_sub(base_timestamp));
    put_varlong(&mut body, i64::from(record.offset_delta));
    put_blob(&mut body, record.key.as_deref());
    put_blob(&mut body, record.value.as_deref());
    put_varlong(&mut body, record.headers.len() as i64);
    for (key, value) in &record.headers {
        put_blob(&mut body, Some(key.as_bytes()));
        put_blob(&mut body, value.as_deref());
    }
    let mut length = Vec::new();
    put_varlong(&mut length, body.len() as i64);
    batch.put_slice(&length);
    batch.put_slice(&body);
}

fn put_blob(into: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => put_varlong(into, -1),
        Some(bytes) => {
            put_varlong(into, bytes.len() as i64);
            into.extend_from_slice(bytes);
        }
    }
}

/// Zigzag, seven bits a byte; a number of 32 bits has the same form.
fn put_varlong(into: &mut Vec<u8>, value: i64) {
    let mut left = (value << 1) as u64 ^ (value >> 63) as u64;
    while left >= 0x80 {
        into.push(left as u8 | 0x80);
        left >>= 7;
    }
    into.push(left as u8);
}
