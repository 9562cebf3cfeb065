//! What the listener encodes, as the store of records gives it back: filled in, and still a record
//! batch to the listener and to Kafka.

use cohort::listeners::maelstrom::records::{Encoder, JsonRecord, decode};
use kafka_protocol::records::{RecordBatchDecoder, TimestampType};
use raft_store::records::RecordStore;
use state_machine::ids::LogId;
use state_machine::values::{Extent, Piece, Place, StoredBatch};

const MESSAGES: [(Option<&str>, &str); 4] =
    [(None, "1"), (Some(""), "null"), (Some("k"), r#"{"b": 1e2,"a":"\u00e9"}"#), (Some("h"), "[]")];

/// The messages from offset 7 on, one a millisecond, as they stand in a log.
fn stored() -> Vec<StoredBatch> {
    let (store, mut encoder) = (RecordStore::default(), Encoder::default());
    let mut place = Place { log: LogId(1), segment: 7, position: 0 };
    for ((key, value), at) in MESSAGES.iter().zip(7..) {
        let records = encoder.encode(*key, value);
        store.append(place, &records, at, at * 1_000).expect("a batch");
        place.position += u32::try_from(records.bytes.len()).expect("a short message");
    }
    let piece = Piece { segment: 7, first: 7, bytes: 0..place.position.into() };
    let extent = Extent { log: LogId(1), from: 7, to: 11, pieces: vec![piece] };
    store.read(&extent).expect("they are there")
}

#[test]
fn a_message_comes_back_as_it_was_sent_with_offset_and_time() {
    let records: Vec<JsonRecord> =
        stored().iter().flat_map(|batch| decode(batch, &(0..u64::MAX)).expect("a batch")).collect();
    let expected = MESSAGES.iter().zip(7..).map(|((key, value), at)| JsonRecord {
        offset: at,
        key: key.map(Into::into),
        value: (*value).to_owned(),
        timestamp: at * 1_000,
    });
    assert_eq!(records, expected.collect::<Vec<_>>());
}

#[test]
fn kafka_reads_offset_and_time_type_in_the_batch_itself() {
    for (batch, at) in stored().iter().zip(7..) {
        let set = RecordBatchDecoder::decode(&mut batch.bytes.clone()).expect("a batch");
        let read = set.records.iter().map(|record| (record.offset, record.timestamp_type));
        assert_eq!(read.collect::<Vec<_>>(), [(at, TimestampType::LogAppend)]);
    }
}
