//! Produce: batches that are good, and batches that are not.

use bytes::Bytes;
use wire::kafka_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest};
use wire::versions::{METADATA, PRODUCE};

use super::super::play::{Header, Play};
use super::batches::{compressed, with, with_a_wrong_checksum, with_attributes, with_payload};
use super::requests::{all, batch, make, metadata, produce, produce_to, text};

fn data(index: i32, records: Option<Bytes>) -> PartitionProduceData {
    PartitionProduceData::default().with_index(index).with_records(records)
}

pub fn good(play: &mut Play) {
    make(play, "into", 2);
    play.each("good", PRODUCE, all(PRODUCE), |_| produce("into", 0, batch(&["a", "b", "c"])));
    play.each("acks 1", PRODUCE, [3, 11], |_| produce("into", 1, batch(&["d"])).with_acks(1));
    play.each("no topics", PRODUCE, [3, 9], |_| produce_to(Vec::new()));
    play.each("no partitions", PRODUCE, [3, 9], |_| produce_to(vec![("into", Vec::new())]));
    let both = vec![data(0, Some(batch(&["e"]))), data(1, Some(batch(&["f", "g"])))];
    play.ask("two partitions", PRODUCE, 9, produce_to(vec![("into", both)]));
    let mixed = vec![
        ("into", vec![data(0, Some(batch(&["h"]))), data(7, Some(batch(&["i"])))]),
        ("unknown", vec![data(0, Some(batch(&["j"])))]),
    ];
    play.ask("good and unknown", PRODUCE, 9, produce_to(mixed));
    let twice = vec![data(0, Some(batch(&["k"]))), data(0, Some(batch(&["l"])))];
    play.ask("a partition twice", PRODUCE, 9, produce_to(vec![("into", twice)]));
    play.tell("acks 0", PRODUCE, 9, produce("into", 0, batch(&["m"])).with_acks(0));
    let unknown = produce("unknown", 0, batch(&["n"])).with_acks(0);
    play.tell("acks 0, unknown topic", PRODUCE, 9, unknown);
    let wrong = produce("into", 0, with_a_wrong_checksum()).with_acks(0);
    play.tell("acks 0, wrong checksum", PRODUCE, 9, wrong);
    play.tell("acks 0, no topics", PRODUCE, 9, produce_to(Vec::new()).with_acks(0));
    play.ask("where it is at last", PRODUCE, 9, produce("into", 0, batch(&["o"])));
    play.ask("timeout 0", PRODUCE, 9, produce("into", 0, batch(&["p"])).with_timeout_ms(0));
    play.ask("timeout -1", PRODUCE, 9, produce("into", 0, batch(&["q"])).with_timeout_ms(-1));
    play.ask("made by nobody", METADATA, 9, metadata(&["unknown"]));
}

pub fn refused(play: &mut Play) {
    make(play, "refused", 1);
    let good = || batch(&["a"]);
    for acks in [2, -2, i16::MAX] {
        let request = |_| produce("refused", 0, good()).with_acks(acks);
        play.each(&format!("acks {acks}"), PRODUCE, [3, 9], request);
    }
    play.ask("acks 2, unknown topic", PRODUCE, 9, produce("unknown", 0, good()).with_acks(2));
    play.each("unknown topic", PRODUCE, [3, 7, 8, 10, 11], |_| produce("unknown", 0, good()));
    for partition in [1, -1, i32::MAX] {
        let request = produce("refused", partition, good());
        play.ask(&format!("partition {partition}"), PRODUCE, 9, request);
    }
    for name in ["", "a b", ".."] {
        play.ask(&format!("name `{name}`"), PRODUCE, 9, produce(name, 0, good()));
    }
    play.each("no bytes", PRODUCE, [3, 9], |_| produce("refused", 0, Bytes::new()));
    // Null in place of bytes is not asked for: Kafka 4.4 never answers that.
    play.each("wrong checksum", PRODUCE, [3, 7, 8, 11], |_| {
        produce("refused", 0, with_a_wrong_checksum())
    });
    for (what, records) in wrong_headers().into_iter().chain(wrong_records()) {
        play.ask(what, PRODUCE, 9, produce("refused", 0, records));
    }
    let large = "x".repeat(1_048_588);
    play.each("too large", PRODUCE, [3, 9], |_| produce("refused", 0, batch(&[&large])));
    for version in 0..=2 {
        // acks, time-out, no topics.
        let body = [0, 1, 0, 0, 0, 100, 0, 0, 0, 0];
        play.raw("old", PRODUCE, version, Header::Old, &body);
    }
    let transactional = |_| -> ProduceRequest {
        produce("refused", 0, good()).with_transactional_id(Some(text("t").into()))
    };
    play.each("a transactional id alone", PRODUCE, [3, 9, 11], transactional);
    play.each("in a transaction", PRODUCE, [9, 11], |_| {
        let mut batch = with_attributes(1 << 4).to_vec();
        batch[43..51].copy_from_slice(&7_i64.to_be_bytes());
        batch[51..57].fill(0);
        wire::batch::seal(&mut batch);
        produce("refused", 0, batch.into()).with_transactional_id(Some(text("t").into()))
    });
    // Whatever was taken above shows in the offset.
    play.ask("at last", PRODUCE, 9, produce("refused", 0, good()));
}

pub fn compressions(play: &mut Play) {
    make(play, "compressed", 1);
    for (codec, name) in [(1, "gzip"), (2, "snappy"), (3, "lz4"), (4, "zstd")] {
        play.each(name, PRODUCE, [3, 6, 7, 9, 11], |_| {
            produce("compressed", 0, compressed(codec, &["a", "b"]))
        });
        let lies = |at: usize, bytes: &[u8]| {
            let mut batch = compressed(codec, &["a", "b"]).to_vec();
            batch[at..at + bytes.len()].copy_from_slice(bytes);
            wire::batch::seal(&mut batch);
            produce("compressed", 0, batch.into())
        };
        let great = lies(57, &3_i32.to_be_bytes());
        play.ask(&format!("{name} with a count that is too great"), PRODUCE, 9, great);
        let cut = compressed(codec, &["a", "b"]);
        let cut = with_payload(&cut, codec, &cut[61..cut.len() - 5]);
        play.ask(&format!("{name} that is cut"), PRODUCE, 9, produce("compressed", 0, cut));
    }
    let mut wrong_time = compressed(1, &["a"]).to_vec();
    wrong_time[35..43].copy_from_slice(&5_i64.to_be_bytes());
    wire::batch::seal(&mut wrong_time);
    let request = produce("compressed", 0, wrong_time.into());
    play.ask("a greatest time that is wrong", PRODUCE, 9, request);
}

/// Batches whose headers lie.
fn wrong_headers() -> Vec<(&'static str, Bytes)> {
    vec![
        ("base offset 5", with(0, &5_i64.to_be_bytes())),
        ("base offset -1", with(0, &(-1_i64).to_be_bytes())),
        ("length 0", with(8, &[0; 4])),
        ("length 48", with(8, &48_i32.to_be_bytes())),
        ("a negative length", with(8, &[0xff; 4])),
        ("a length beyond its bytes", with(8, &500_i32.to_be_bytes())),
        ("magic 0", with(16, &[0])),
        ("magic 1", with(16, &[1])),
        ("magic 3", with(16, &[3])),
        ("magic -1", with(16, &[0xff])),
        ("the control bit", with_attributes(1 << 5)),
        ("the transactional bit", with_attributes(1 << 4)),
        ("the append time bit", with_attributes(1 << 3)),
        ("an unknown bit", with_attributes(1 << 8)),
        ("the delete horizon bit", with_attributes(1 << 6)),
        ("codec 5", with_attributes(5)),
        ("codec 7", with_attributes(7)),
        ("a last offset that is too great", with(23, &5_i32.to_be_bytes())),
        ("a last offset that is too small", with(23, &0_i32.to_be_bytes())),
        ("a negative last offset", with(23, &(-1_i32).to_be_bytes())),
        ("a count that is too great", with(57, &9_i32.to_be_bytes())),
        ("a count that is too small", with(57, &1_i32.to_be_bytes())),
        ("a count and a last offset of 3", {
            let mut lies = with(23, &2_i32.to_be_bytes()).to_vec();
            lies[57..61].copy_from_slice(&3_i32.to_be_bytes());
            wire::batch::seal(&mut lies);
            lies.into()
        }),
        ("a count of 0", with(57, &0_i32.to_be_bytes())),
        ("a negative count", with(57, &(-1_i32).to_be_bytes())),
    ]
}

/// Batches with other records, more than one, or half of one.
fn wrong_records() -> Vec<(&'static str, Bytes)> {
    let good = || batch(&["a"]);
    let two = [&good()[..], &good()[..]].concat();
    vec![
        ("no records", with_payload(&good(), 0, &[])),
        ("a time far in the future", with(27, &4_102_444_800_000_i64.to_be_bytes())),
        ("a producer without a sequence", with(43, &7_i64.to_be_bytes())),
        ("a producer without an epoch", {
            let mut lies = with(43, &7_i64.to_be_bytes()).to_vec();
            lies[53..57].copy_from_slice(&0_i32.to_be_bytes());
            wire::batch::seal(&mut lies);
            lies.into()
        }),
        ("two batches", two.into()),
        ("a byte behind it", [&good()[..], &[0]].concat().into()),
        ("half a header behind it", [&good()[..], &good()[..30]].concat().into()),
        ("half a header", good().slice(..30)),
        ("gzip that is none", with_payload(&good(), 1, b"no gzip at all")),
        ("snappy that is none", with_payload(&good(), 2, b"\xff\xff\xff\xff\xff\xff\xff")),
        ("lz4 that is none", with_payload(&good(), 3, b"no lz4 at all")),
        ("zstd that is none", with_payload(&good(), 4, b"no zstd at all")),
        ("records that are garbage", with_payload(&good(), 0, &[0xff; 20])),
        ("a record that is cut", {
            let whole = good();
            with_payload(&whole, 0, &whole[61..whole.len() - 2])
        }),
    ]
}
