//! Messages as Kafka record batches (magic 2) and back. The log holds nothing else, so what comes in here
//! could be read by a Kafka consumer, and what a Kafka producer writes could be read here.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, Record,
    RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use thiserror::Error;

use state_machine::ids::Offset;
use state_machine::values::{Records, StoredBatch};

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

/// One record as a batch. Offset and time are the log's to give.
///
/// # Errors
/// What the encoder says; no key and value that fit memory make it fail.
pub fn encode(key: Option<&str>, value: &str) -> Result<Records, String> {
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
    let mut batch = BytesMut::with_capacity(96 + value.len() + key.map_or(0, str::len));
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    RecordBatchEncoder::encode(&mut batch, [&record], &options).map_err(|e| e.to_string())?;
    Ok(Records { count: 1, bytes: batch.freeze() })
}

/// The records of a batch, from `from` on.
///
/// # Errors
/// Where the bytes are no record batch, or hold no JSON text.
pub fn decode(batch: &StoredBatch, from: Offset) -> Result<Vec<JsonRecord>, CorruptBatch> {
    let corrupt = |problem: String| CorruptBatch { offset: batch.base_offset, problem };
    let set = RecordBatchDecoder::decode(&mut batch.bytes.clone()).map_err(|e| corrupt(e.to_string()))?;
    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).map_err(|e| corrupt(e.to_string()));
    let mut records = Vec::with_capacity(set.records.len());
    for (record, offset) in set.records.iter().zip(batch.base_offset..).filter(|(_, offset)| *offset >= from)
    {
        records.push(JsonRecord {
            offset,
            key: record.key.as_ref().map(text).transpose()?.map(Arc::from),
            value: record.value.as_ref().map_or(Ok("null".to_owned()), text)?,
            timestamp: batch.timestamp,
        });
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};
    use state_machine::values::StoredBatch;

    #[test]
    fn a_message_comes_back_as_it_was_sent() {
        for (key, value) in [
            (None, "1"),
            (Some(""), "null"),
            (Some("k"), r#"{"b": 1e2,"a":"\u00e9"}"#),
            (Some("h\u{e9}"), "[]"),
        ] {
            let records = encode(key, value).expect("it can be encoded");
            assert_eq!(records.bytes[16], 2, "the magic of a record batch");
            let batch = StoredBatch { base_offset: 7, count: 1, timestamp: 9, bytes: records.bytes };
            let found = decode(&batch, 7).expect("it can be decoded");
            assert_eq!(found.len(), 1);
            assert_eq!((found[0].offset, found[0].timestamp), (7, 9));
            assert_eq!((found[0].key.as_deref(), found[0].value.as_str()), (key, value));
            assert!(decode(&batch, 8).expect("it can be decoded").is_empty());
        }
    }

    #[test]
    fn bytes_that_are_no_batch_are_an_error() {
        let good = encode(None, "1").expect("it can be encoded").bytes;
        for cut in 0..good.len() {
            let batch = StoredBatch { base_offset: 0, count: 1, timestamp: 0, bytes: good.slice(..cut) };
            assert!(decode(&batch, 0).is_err() || cut == 0, "cut at {cut}");
        }
    }
}
