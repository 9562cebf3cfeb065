//! Messages as Kafka record batches (magic 2) and back. The log holds nothing else, so what comes
//! in here can be read by a Kafka consumer. What a Kafka producer writes is told here where it is
//! JSON on one line, and not compressed.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use kafka_protocol::records::RecordBatchDecoder;
use serde::de::IgnoredAny;
use thiserror::Error;

use state_machine::ids::Offset;
use state_machine::topics::budget::escapes;
use state_machine::values::{Records, StoredBatch};

use crate::limits;

/// A record as JSON tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonRecord {
    /// Its offset.
    pub offset: Offset,
    /// Its key.
    pub key: Option<Arc<str>>,
    /// Its value: JSON text.
    pub value: String,
    /// When its batch was appended, in ms since 1970.
    pub timestamp: u64,
}

/// Bytes in the log that no listener has written.
#[derive(Debug, Error)]
#[error("the batch at offset {offset} cannot be read: {problem}")]
pub struct CorruptBatch {
    /// Where it stands.
    pub offset: Offset,
    /// What is wrong with it.
    pub problem: String,
}

/// What a batch of one record begins with (Kafka's `DefaultRecordBatch`): all that is the same for
/// each. No producer, no sequence, no leader epoch; offset and time are the log's to give.
const HEADER: [u8; 61] = {
    let mut header = [0; 61];
    let mut at = 0;
    while at < 4 {
        header[EPOCH + at] = 0xff;
        at += 1;
    }
    header[MAGIC] = 2;
    // Producer id, its epoch and the first sequence are -1.
    at = PRODUCER;
    while at < COUNT {
        header[at] = 0xff;
        at += 1;
    }
    header[COUNT + 3] = 1;
    header
};

/// Where the number of the bytes after it stands, in 4 bytes.
const LENGTH: usize = 8;
const EPOCH: usize = 12;
const MAGIC: usize = 16;
/// Where the CRC-32C of all bytes after it stands, in 4 bytes.
const CRC: usize = 17;
/// The attributes' last byte, with the bit that says that the time is that of the append. Of all
/// listeners only this one leaves it to the log.
const ATTRIBUTES_END: usize = 22;
const APPEND_TIME: u8 = 1 << 3;
const PRODUCER: usize = 43;
const COUNT: usize = 57;

/// Makes record batches. They share blocks of memory, so that nearly all cost no allocation, and a
/// copy of one none either.
#[derive(Debug)]
pub struct Encoder {
    block: BytesMut,
}

impl Default for Encoder {
    fn default() -> Self {
        Self { block: BytesMut::with_capacity(limits::RECORD_BLOCK) }
    }
}

impl Encoder {
    /// One record as a batch. Key and value have at most a few MiB.
    pub fn encode(&mut self, key: Option<&str>, value: &str) -> Records {
        // Attributes, and what it has over the batch's time and offset: 0. No headers at its end.
        let len = 3 + field_len(key) + field_len(Some(value)) + 1;
        self.block.reserve(HEADER.len() + varint_len(len) + len);
        self.block.extend_from_slice(&HEADER);
        self.varint(len);
        self.block.extend_from_slice(&[0; 3]);
        self.field(key);
        self.field(Some(value));
        self.block.extend_from_slice(&[0]);
        let mut batch = self.block.split();
        let after_length =
            u32::try_from(batch.len() - EPOCH).expect("a batch has a few MiB at most");
        batch[LENGTH..EPOCH].copy_from_slice(&after_length.to_be_bytes());
        let crc = crc32c::crc32c(&batch[CRC + 4..]);
        batch[CRC..CRC + 4].copy_from_slice(&crc.to_be_bytes());
        // A value is told as it stands.
        let escapes = key.map_or(0, escapes);
        let escapes = escapes.try_into().unwrap_or(u32::MAX);
        Records { count: 1, bytes: batch.freeze(), created: None, escapes }
    }

    fn field(&mut self, text: Option<&str>) {
        match text {
            Some(text) => {
                self.varint(text.len());
                self.block.extend_from_slice(text.as_bytes());
            }
            // The length -1.
            None => self.block.extend_from_slice(&[1]),
        }
    }

    /// Kafka's form of a signed number, of one that is not negative.
    fn varint(&mut self, number: usize) {
        let mut rest = number << 1;
        while rest > 0x7f {
            self.block.extend_from_slice(&[rest as u8 | 0x80]);
            rest >>= 7;
        }
        self.block.extend_from_slice(&[rest as u8]);
    }
}

fn varint_len(number: usize) -> usize {
    let bits = usize::BITS - (number << 1).leading_zeros();
    bits.max(1).div_ceil(7) as usize
}

fn field_len(text: Option<&str>) -> usize {
    text.map_or(1, |text| varint_len(text.len()) + text.len())
}

/// The records of a batch that have these offsets.
///
/// # Errors
/// Where the bytes are no record batch, or hold no JSON text.
pub fn decode(
    batch: &StoredBatch,
    offsets: &Range<Offset>,
) -> Result<Vec<JsonRecord>, CorruptBatch> {
    let corrupt = |problem: String| CorruptBatch { offset: batch.base_offset, problem };
    let set =
        RecordBatchDecoder::decode(&mut batch.bytes.clone()).map_err(|e| corrupt(e.to_string()))?;
    let text =
        |bytes: &Bytes| String::from_utf8(bytes.to_vec()).map_err(|e| corrupt(e.to_string()));
    // What this listener did not write may be anything.
    let is_own = batch.bytes.get(ATTRIBUTES_END).is_some_and(|byte| byte & APPEND_TIME != 0);
    let json = |value: String| {
        let fits = |value: &str| {
            !value.contains(['\n', '\r']) && serde_json::from_str::<IgnoredAny>(value).is_ok()
        };
        if is_own || fits(&value) {
            Ok(value)
        } else {
            Err(corrupt("a value is not JSON on one line".to_owned()))
        }
    };
    let mut records = Vec::with_capacity(set.records.len());
    for (record, offset) in
        set.records.iter().zip(batch.base_offset..).filter(|(_, offset)| offsets.contains(offset))
    {
        records.push(JsonRecord {
            offset,
            key: record.key.as_ref().map(text).transpose()?.map(Arc::from),
            value: json(record.value.as_ref().map_or(Ok("null".to_owned()), text)?)?,
            timestamp: batch.timestamp,
        });
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};
    use kafka_protocol::indexmap::IndexMap;
    use kafka_protocol::records::{
        Compression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE,
        Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
    };
    use proptest::prelude::*;

    use super::{CRC, Encoder, decode};
    use state_machine::values::StoredBatch;

    /// As Kafka's own crate writes it.
    fn by_kafka(key: Option<&str>, value: &str) -> Bytes {
        let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        let record = Record {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
            producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
            timestamp_type: TimestampType::Creation,
            offset: 0,
            sequence: NO_SEQUENCE,
            timestamp: 0,
            key: key.map(bytes),
            value: Some(bytes(value)),
            headers: IndexMap::new(),
        };
        let mut batch = BytesMut::new();
        let options = RecordEncodeOptions { version: 2, compression: Compression::None };
        RecordBatchEncoder::encode(&mut batch, [&record], &options).expect("it can be encoded");
        batch.freeze()
    }

    proptest! {
        #[test]
        fn a_batch_is_to_the_byte_what_kafkas_encoder_makes(
            messages in prop::collection::vec((prop::option::of(".{0,200}"), ".{0,200}"), 1..20),
        ) {
            let mut encoder = Encoder::default();
            let batches: Vec<_> =
                messages.iter().map(|(key, value)| encoder.encode(key.as_deref(), value)).collect();
            for ((key, value), batch) in messages.iter().zip(batches) {
                prop_assert_eq!(batch.bytes, by_kafka(key.as_deref(), value));
            }
        }
    }

    #[test]
    fn escapes_are_counted_as_json_writes_them() {
        let all: String = (0..0x300).filter_map(char::from_u32).collect();
        for key in ["", "a", "\"", "\\", "\u{0}", "\u{1f}\u{20}\u{7f}\u{80}", "\n\r\t", &all] {
            let json = serde_json::to_string(key).expect("text");
            let escapes = Encoder::default().encode(Some(key), "\"\\u0001\"").escapes;
            assert_eq!(escapes as usize, json.len() - 2 - key.len(), "{json}");
        }
    }

    #[test]
    fn lengths_around_the_bounds_of_a_varint_and_of_a_block() {
        let mut encoder = Encoder::default();
        for len in [0, 1, 50, 57, 58, 63, 64, 65, 8_180, 8_191, 8_192, 65_536, 1 << 20] {
            let value = "v".repeat(len);
            for key in [None, Some(""), Some(&value[..len.min(8_192)])] {
                assert_eq!(encoder.encode(key, &value).bytes, by_kafka(key, &value), "{len}");
            }
        }
    }

    #[test]
    fn a_message_comes_back_as_it_was_sent() {
        for (key, value) in [
            (None, "1"),
            (Some(""), "null"),
            (Some("k"), r#"{"b": 1e2,"a":"\u00e9"}"#),
            (Some("h\u{e9}"), "[]"),
        ] {
            let records = Encoder::default().encode(key, value);
            assert_eq!(records.bytes[16], 2, "the magic of a record batch");
            let batch =
                StoredBatch { base_offset: 7, count: 1, timestamp: 9, bytes: records.bytes };
            let found = decode(&batch, &(7..9)).expect("it can be decoded");
            assert_eq!(found.len(), 1);
            assert_eq!((found[0].offset, found[0].timestamp), (7, 9));
            assert_eq!((found[0].key.as_deref(), found[0].value.as_str()), (key, value));
            assert!(decode(&batch, &(8..9)).expect("it can be decoded").is_empty());
            assert!(decode(&batch, &(0..7)).expect("it can be decoded").is_empty());
        }
    }

    #[test]
    fn what_others_wrote_is_told_only_where_it_is_json_on_one_line() {
        let told = |value: &str, is_own: bool| {
            let mut bytes = by_kafka(None, value).to_vec();
            bytes[super::ATTRIBUTES_END] |= if is_own { super::APPEND_TIME } else { 0 };
            let crc = crc32c::crc32c(&bytes[CRC + 4..]);
            bytes[CRC..CRC + 4].copy_from_slice(&crc.to_be_bytes());
            let batch = StoredBatch { base_offset: 0, count: 1, timestamp: 0, bytes: bytes.into() };
            decode(&batch, &(0..1)).is_ok()
        };
        assert!(told("{\"a\":[1]}", false) && told("1", false));
        for value in ["text", "", "1}}", "[1,\n2]", "{\"a\":\r1}"] {
            assert!(!told(value, false), "{value}");
        }
        assert!(told("[1, 2]", true), "its own are not looked at again");
    }

    #[test]
    fn bytes_that_are_no_batch_are_an_error() {
        let good = Encoder::default().encode(None, "1").bytes;
        for cut in 0..good.len() {
            let batch =
                StoredBatch { base_offset: 0, count: 1, timestamp: 0, bytes: good.slice(..cut) };
            assert!(decode(&batch, &(0..1)).is_err() || cut == 0, "cut at {cut}");
        }
    }
}
