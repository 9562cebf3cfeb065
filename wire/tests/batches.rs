//! Record batches: each rule with a batch that breaks it, and each compression there and back.

use std::io::Write;

use bytes::Bytes;
use proptest::prelude::{any, prop, proptest};
use wire::batch::{BatchError, Codec, Limits, Producer, Record, RecordFault};
use wire::batch::{HEADER_SIZE, set_max_timestamp};
use wire::batch::{
    build, check, crc_of, keyless, records, seal, set_base_offset, set_leader_epoch,
};
use wire::errors;

const PRODUCER: Producer = Producer { id: 7, epoch: 1, base_sequence: 40 };

/// Records with and without keys, values and headers.
fn some() -> Vec<Record> {
    let text = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
    let twice = vec![("h".to_owned(), text("1")), ("h".to_owned(), None)];
    vec![
        Record { timestamp: 1000, key: text("k"), value: text("value"), ..Record::default() },
        Record { offset_delta: 1, timestamp: 990, value: text(""), ..Record::default() },
        Record { offset_delta: 2, timestamp: 1010, headers: twice, ..Record::default() },
        Record { offset_delta: 3, timestamp: 1010, key: text("key"), ..Record::default() },
    ]
}

/// The batch of [`some`].
fn batch() -> Vec<u8> {
    build(&some(), 1000, Some(PRODUCER)).to_vec()
}

/// The batch with another payload, under a right length and checksum.
fn with_payload(batch: &[u8], codec: u8, payload: &[u8]) -> Vec<u8> {
    let mut batch = [&batch[..HEADER_SIZE], payload].concat();
    let length = (batch.len() - 12) as i32;
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    batch[22] = batch[22] & !0b111 | codec;
    seal(&mut batch);
    batch
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("into memory");
    encoder.finish().expect("into memory")
}

fn snappy(bytes: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(bytes).expect("small enough")
}

fn xerial(bytes: &[u8]) -> Vec<u8> {
    let mut framed = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
    for chunk in bytes.chunks(32) {
        let block = snappy(chunk);
        framed.extend_from_slice(&(block.len() as u32).to_be_bytes());
        framed.extend_from_slice(&block);
    }
    framed
}

fn lz4(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
    encoder.write_all(bytes).expect("into memory");
    encoder.finish().expect("into memory")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

type Compress = fn(&[u8]) -> Vec<u8>;
const CODECS: [(u8, Codec, Compress); 6] = [
    (0, Codec::None, |bytes| bytes.to_vec()),
    (1, Codec::Gzip, gzip),
    (2, Codec::Snappy, snappy),
    (2, Codec::Snappy, xerial),
    (3, Codec::Lz4, lz4),
    (4, Codec::Zstd, zstd),
];

#[test]
fn a_batch_tells_what_is_in_it() {
    for (number, codec, compress) in CODECS {
        let plain = batch();
        let batch = with_payload(&plain, number, &compress(&plain[HEADER_SIZE..]));
        let found = check(&batch, &Limits::default()).expect("a good batch");
        assert_eq!((found.count, found.last_offset_delta), (4, 3));
        assert_eq!((found.base_timestamp, found.max_timestamp), (1000, 1010));
        assert_eq!((found.codec, found.producer), (codec, Some(PRODUCER)));
        assert_eq!((found.has_null_key, found.text_len), (true, 1 + 5 + 3));
        assert!(!found.is_transactional && !found.max_timestamp_differs);
        assert_eq!(records(&batch, &Limits::default()), Ok(some()), "{codec:?}");
    }
}

#[test]
fn a_broker_writes_offset_and_epoch_without_touching_the_checksum() {
    let mut batch = batch();
    set_base_offset(&mut batch, 1 << 40);
    set_leader_epoch(&mut batch, 9);
    assert_eq!(batch[..8], (1u64 << 40).to_be_bytes());
    assert_eq!(batch[12..16], [0, 0, 0, 9]);
    assert_eq!(batch[17..21], crc_of(&batch).to_be_bytes());
    assert_eq!(records(&batch, &Limits::default()), Ok(some()));
    set_base_offset(&mut batch, 0);
    assert!(check(&batch, &Limits::default()).is_ok());
}

#[test]
fn a_wrong_greatest_timestamp_is_told_and_can_be_mended() {
    let mut batch = batch();
    set_max_timestamp(&mut batch, 5);
    let found = check(&batch, &Limits::default()).expect("a good batch");
    assert_eq!((found.max_timestamp, found.max_timestamp_differs), (1010, true));
    set_max_timestamp(&mut batch, found.max_timestamp);
    let found = check(&batch, &Limits::default()).expect("a good batch");
    assert_eq!((found.max_timestamp, found.max_timestamp_differs), (1010, false));
}

#[test]
fn the_time_of_the_append_counts_for_readers() {
    let mut batch = batch();
    batch[22] |= 1 << 3;
    set_max_timestamp(&mut batch, 77);
    let times: Vec<i64> = records(&batch, &Limits::default())
        .expect("a good batch")
        .iter()
        .map(|record| record.timestamp)
        .collect();
    assert_eq!(times, [77; 4]);
}

#[test]
fn no_timestamp_is_within_every_limit() {
    let record = Record { timestamp: -1, ..Record::default() };
    let batch = build(&[record], -1, None);
    let limits = Limits { timestamps: 1000..=2000, ..Limits::default() };
    let found = check(&batch, &limits).expect("a good batch");
    assert_eq!((found.base_timestamp, found.max_timestamp, found.producer), (-1, -1, None));
}

/// A change to a good batch, the error, and its code.
type Case = (&'static str, fn(&mut Vec<u8>), BatchError, i16);

/// Changes and gives the checksum anew.
macro_rules! sealed {
    ($batch:ident => $change:expr) => {
        |$batch: &mut Vec<u8>| {
            $change;
            seal($batch);
        }
    };
}

fn header_cases() -> Vec<Case> {
    use BatchError as E;
    let size = batch().len();
    let count = |count, last_offset_delta| E::Count { count, last_offset_delta };
    vec![
        ("nothing", Vec::clear, E::Empty, 87),
        ("16 bytes", |b| b.truncate(16), E::Cut { needed: 61, left: 16 }, 87),
        ("60 bytes", |b| b.truncate(60), E::Cut { needed: size as u64, left: 60 }, 87),
        ("cut", |b| _ = b.pop(), E::Cut { needed: size as u64, left: size - 1 }, 87),
        ("magic 0", |b| b[16] = 0, E::OldMagic(0), 87),
        ("magic 1", |b| b[16] = 1, E::OldMagic(1), 87),
        ("magic 3", |b| b[16] = 3, E::UnknownMagic(3), 2),
        ("magic -1", |b| b[16] = 0xff, E::UnknownMagic(-1), 2),
        ("short", |b| b[8..12].copy_from_slice(&[0, 0, 0, 48]), E::LengthTooShort(48), 2),
        ("negative", |b| b[8] = 0x80, E::LengthTooShort(-2_147_483_648 + size as i32 - 12), 2),
        ("two batches", |b| b.extend(batch()), E::NotOne { extra: size }, 87),
        ("a byte more", |b| b.push(0), E::NotOne { extra: 1 }, 87),
        ("base offset", |b| b[7] = 5, E::BaseOffset(5), 87),
        ("control", sealed!(b => b[22] |= 1 << 5), E::Control, 87),
        ("codec 5", sealed!(b => b[22] |= 5), E::UnknownCodec(5), 87),
        ("codec 7", sealed!(b => b[22] |= 7), E::UnknownCodec(7), 87),
        ("delete horizon", sealed!(b => b[22] |= 1 << 6), E::Attributes(64), 87),
        ("unknown attribute", sealed!(b => b[21] |= 1), E::Attributes(256), 87),
        ("append time", sealed!(b => b[22] |= 1 << 3), E::LogAppendTime, 32),
        ("no records", sealed!(b => b[60] = 0), count(0, 3), 87),
        ("count too small", sealed!(b => b[60] = 3), count(3, 3), 87),
        ("delta too small", sealed!(b => b[26] = 2), count(4, 2), 87),
        ("negative count", sealed!(b => b[57] = 0x80), count(i32::MIN + 4, 3), 87),
        (
            "negative delta",
            sealed!(b => { b[23..27].copy_from_slice(&[0xff; 4]); b[60] = 0; }),
            count(0, -1),
            87,
        ),
        (
            "no epoch",
            sealed!(b => b[51] = 0x80),
            E::Producer { id: 7, epoch: i16::MIN + 1, base_sequence: 40 },
            87,
        ),
        (
            "no sequence",
            sealed!(b => b[53..57].copy_from_slice(&[0xff; 4])),
            E::Producer { id: 7, epoch: 1, base_sequence: -1 },
            87,
        ),
        (
            "transaction of nobody",
            sealed!(b => { b[22] |= 1 << 4; b[43..51].copy_from_slice(&[0xff; 8]); }),
            E::Transactional(-1),
            53,
        ),
    ]
}

#[test]
fn each_rule_of_the_header_refuses_a_batch_that_breaks_it() {
    for (name, change, expected, code) in header_cases() {
        let mut changed = batch();
        change(&mut changed);
        let found = check(&changed, &Limits::default()).expect_err(name);
        assert_eq!(found, expected, "{name}");
        assert_eq!((found.code(), found.record()), (code, None), "{name}");
    }
}

#[test]
fn a_wrong_checksum_is_told_with_the_right_one() {
    for at in (17..21).chain(21..batch().len()) {
        let mut changed = batch();
        changed[at] ^= 0x10;
        let found = check(&changed, &Limits::default()).expect_err("a changed byte");
        assert_eq!(found.code(), errors::CORRUPT_MESSAGE, "{at}: {found}");
        assert!(matches!(found, BatchError::Crc { .. }), "{at}: {found}");
    }
}

#[test]
fn earlier_rules_come_first() {
    // Everything is wrong; each mended rule uncovers the next one.
    let mut all = batch();
    all[16] = 3;
    all[7] = 1;
    all[22] |= 1 << 5;
    all[60] = 9;
    let limits = Limits { max_batch: 62, ..Limits::default() };
    let code = |batch: &[u8], limits: &Limits| check(batch, limits).expect_err("wrong");
    assert_eq!(code(&all, &limits), BatchError::UnknownMagic(3));
    all[16] = 2;
    assert_eq!(code(&all, &limits), BatchError::BaseOffset(1));
    all[7] = 0;
    let size = all.len();
    assert_eq!(code(&all, &limits), BatchError::TooLarge { size, limit: 62 });
    let limits = Limits::default();
    assert!(matches!(code(&all, &limits), BatchError::Crc { .. }));
    seal(&mut all);
    assert!(matches!(code(&all, &limits), BatchError::Count { .. }));
    all[60] = 4;
    seal(&mut all);
    assert_eq!(code(&all, &limits), BatchError::Control);
}

#[test]
fn limits_are_the_callers() {
    let batch = batch();
    let size = batch.len();
    let just = Limits { max_batch: size, timestamps: 990..=1010, ..Limits::default() };
    assert!(check(&batch, &just).is_ok());
    let refused = |limits: Limits| {
        let error = check(&batch, &limits).expect_err("a limit");
        (error.code(), error.record(), error)
    };
    let (code, _, error) = refused(Limits { max_batch: size - 1, ..Limits::default() });
    assert_eq!(code, errors::MESSAGE_TOO_LARGE);
    assert_eq!(error, BatchError::TooLarge { size, limit: size - 1 });
    let (code, record, _) = refused(Limits { timestamps: 0..=1009, ..Limits::default() });
    assert_eq!((code, record), (errors::INVALID_TIMESTAMP, Some(2)));
    let (code, record, error) = refused(Limits { timestamps: 991..=9999, ..Limits::default() });
    assert_eq!((code, record), (errors::INVALID_TIMESTAMP, Some(1)));
    assert_eq!(error.to_string(), "record 1: timestamp 990, expected 991 to 9999, or -1");
    let (code, record, _) = refused(Limits { keys_needed: true, ..Limits::default() });
    assert_eq!((code, record), (errors::INVALID_RECORD, Some(1)));
    assert_eq!(keyless(&batch, &Limits::default(), 9), [1, 2]);
    assert_eq!(keyless(&batch, &Limits::default(), 1), [1]);
    let squeezed = with_payload(&batch, 4, &zstd(&batch[HEADER_SIZE..]));
    assert_eq!(keyless(&squeezed, &Limits::default(), 9), [1, 2]);
    let old = Limits { zstd: false, ..Limits::default() };
    assert!(check(&batch, &old).is_ok());
    let code = check(&squeezed, &old).expect_err("zstd in an old version").code();
    assert_eq!(code, errors::UNSUPPORTED_COMPRESSION_TYPE);
}

/// What is wrong with the only record of a batch with this payload.
fn only_record(payload: &[u8]) -> BatchError {
    let one = build(&[Record::default()], 0, None);
    for (number, codec, compress) in CODECS {
        let error = check(&with_payload(&one, number, &compress(payload)), &Limits::default());
        let plain = check(&with_payload(&one, 0, payload), &Limits::default());
        assert_eq!(error, plain, "{codec:?} {payload:?}");
    }
    check(&with_payload(&one, 0, payload), &Limits::default()).expect_err("a broken record")
}

#[test]
fn each_rule_of_a_record_refuses_one_that_breaks_it() {
    use RecordFault as F;
    let negative = |field, length, least| F::Negative { field, length, least };
    // Length 6: attributes, timestamp, offset, key, value, headers.
    let cases: [(&[u8], RecordFault); 14] = [
        (&[12, 0, 0, 2, 1, 1, 0], F::OffsetDelta { found: 1, expected: 0 }),
        (&[12, 0, 0, 1, 1, 1, 0], F::OffsetDelta { found: -1, expected: 0 }),
        (&[14, 0, 0, 0, 1, 1, 0], F::Length { used: 6, length: 7 }),
        (&[10, 0, 0, 0, 1, 1, 0], F::Length { used: 6, length: 5 }),
        (&[12, 0, 0, 0, 1, 40, 0], F::Length { used: 25, length: 6 }),
        (&[0, 0, 0, 0, 1, 1, 0], F::Length { used: 1, length: 0 }),
        (&[1], negative("length", -1, 0)),
        (&[12, 0, 0, 0, 3, 1, 0], negative("key length", -2, -1)),
        (&[12, 0, 0, 0, 1, 5, 0], negative("value length", -3, -1)),
        (&[12, 0, 0, 0, 1, 1, 1], negative("header count", -1, 0)),
        (&[14, 0, 0, 0, 1, 1, 2, 1], negative("header key length", -1, 0)),
        (&[16, 0, 0, 0, 1, 1, 2, 0, 3], negative("header value length", -2, -1)),
        (&[12, 0, 0, 0, 1, 1], F::Cut),
        (&[0x80, 0x80, 0x80, 0x80, 0x80, 0], F::Varint(32)),
    ];
    for (payload, what) in cases {
        let error = only_record(payload);
        assert_eq!(error, BatchError::Record { index: 0, what }, "{payload:?}");
        assert_eq!((error.code(), error.record()), (errors::INVALID_RECORD, Some(0)));
    }
    let trailing = only_record(&[12, 0, 0, 0, 1, 1, 0, 0]);
    assert_eq!((trailing.code(), trailing), (87, BatchError::Trailing { count: 1 }));
}

#[test]
fn a_timestamp_that_overflows_is_refused() {
    let records = [Record { timestamp: i64::MAX, ..Record::default() }];
    let mut batch = build(&records, i64::MAX - 1, None).to_vec();
    batch[27..35].copy_from_slice(&i64::MAX.to_be_bytes());
    seal(&mut batch);
    let what = RecordFault::TimestampOverflow { base: i64::MAX, delta: 1 };
    let expected = Err(BatchError::Record { index: 0, what });
    assert_eq!(check(&batch, &Limits::default()), expected);
}

#[test]
fn what_does_not_decompress_is_refused() {
    let plain = batch();
    for (number, codec, compress) in CODECS.into_iter().skip(1) {
        let good = compress(&plain[HEADER_SIZE..]);
        let more = [&good[..], b"more"].concat();
        for bad in [b"".to_vec(), b"nonsense, no compression".to_vec(), more] {
            let error = check(&with_payload(&plain, number, &bad), &Limits::default());
            let error = error.expect_err("a bad payload");
            assert_eq!(error.code(), errors::INVALID_RECORD, "{codec:?} {error}");
        }
        for end in 0..good.len() {
            let cut = check(&with_payload(&plain, number, &good[..end]), &Limits::default());
            assert!(cut.is_err(), "{codec:?} cut at {end}");
        }
    }
}

/// What the tools of the formats' authors wrote (`gzip` 1.12, `lz4` 1.9.4, `zstd` 1.5.4), from the
/// records in `payloads/plain`.
const FOREIGN: [(u8, &str, &[u8]); 5] = [
    (1, "gzip -9", include_bytes!("payloads/gzip.cli")),
    (3, "lz4 -B4 -BD", include_bytes!("payloads/lz4.linked")),
    (3, "lz4 -BI --content-size -BX", include_bytes!("payloads/lz4.independent")),
    (4, "zstd -19 of a stream", include_bytes!("payloads/zstd.streamed")),
    (4, "zstd -1 --no-check", include_bytes!("payloads/zstd.sized")),
];

/// A batch of the 64 records in `payloads/plain`, compressed to this payload.
fn foreign(codec: u8, payload: &[u8]) -> Vec<u8> {
    let many = vec![Record { timestamp: 500, ..Record::default() }; 64];
    with_payload(&build(&many, 500, None), codec, payload)
}

#[test]
fn what_other_compressors_write_is_read() {
    let plain = foreign(0, include_bytes!("payloads/plain"));
    let limits = Limits::default();
    let expected = records(&plain, &limits).expect("a good batch");
    assert_eq!(expected[63].key.as_deref(), Some(&b"key-3"[..]));
    assert_eq!(expected[63].headers.len(), 1);
    for (codec, how, payload) in FOREIGN {
        let batch = foreign(codec, payload);
        let found = check(&batch, &limits).unwrap_or_else(|error| panic!("{how}: {error}"));
        let of_plain = check(&plain, &limits).expect("a good batch");
        assert_eq!((found.text_len, found.max_timestamp), (of_plain.text_len, 1130), "{how}");
        assert_eq!(records(&batch, &limits).as_ref(), Ok(&expected), "{how}");
    }
    // `zstd --ultra -22 --long=27` of a stream: a window of 128 MiB, which no default allows.
    let long = foreign(4, include_bytes!("payloads/zstd.long"));
    assert!(matches!(check(&long, &limits), Err(BatchError::Payload { .. })));
    let wide = Limits { max_window: 128 << 20, ..limits };
    assert_eq!(records(&long, &wide).as_ref(), Ok(&expected));
}

#[test]
fn blocks_of_lz4_may_refer_to_blocks_before_them() {
    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
    let value: Vec<u8> = (0..300_000u32).map(|at| (at % 7919 * at % 251) as u8).collect();
    let plain = build(&[Record { value: Some(value.into()), ..Record::default() }], 0, None);
    for mode in [BlockMode::Linked, BlockMode::Independent] {
        let info = FrameInfo::new().block_mode(mode).block_size(BlockSize::Max64KB);
        let info = info.block_checksums(true).content_checksum(true);
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(&plain[HEADER_SIZE..]).expect("into memory");
        let batch = with_payload(&plain, 3, &encoder.finish().expect("into memory"));
        let found = check(&batch, &Limits::default()).expect("a good batch");
        assert_eq!(found.text_len, 300_000);
        assert_eq!(records(&batch, &Limits::default()), records(&plain, &Limits::default()));
    }
}

#[test]
fn bombs_are_stopped() {
    let record = Record { value: Some(vec![0; 40 << 20].into()), ..Record::default() };
    let plain = build(&[record], 0, None);
    for (number, codec, compress) in CODECS.into_iter().skip(1) {
        // Chunks of 32 bytes do not compress much: no bomb.
        let payload = compress(&plain[HEADER_SIZE..]);
        let bomb = with_payload(&plain, number, &payload);
        let by_ratio = Limits { max_batch: usize::MAX, ..Limits::default() };
        let by_size = Limits { max_records_size: 1 << 20, ..by_ratio.clone() };
        let wide = Limits { max_ratio: u64::MAX, ..by_ratio.clone() };
        assert!(check(&bomb, &wide).is_ok(), "{codec:?}");
        for limits in [by_size, by_ratio] {
            let by_ratio = (payload.len() as u64 * 64).max(16 << 20);
            let expected = by_ratio.min(limits.max_records_size);
            if expected > 40 << 20 {
                continue;
            }
            let error = check(&bomb, &limits).expect_err("a bomb");
            assert_eq!(
                error,
                BatchError::Bomb { limit: expected, compressed: payload.len() },
                "{codec:?}"
            );
            assert_eq!(error.code(), errors::MESSAGE_TOO_LARGE);
            assert_eq!(records(&bomb, &limits), Err(error), "{codec:?}");
        }
    }
}

#[test]
fn records_that_shrink_a_thousandfold_are_no_bomb() {
    let zeros = |offset_delta| Record {
        offset_delta,
        value: Some(vec![0; 1 << 20].into()),
        ..Record::default()
    };
    let plain = build(&[zeros(0), zeros(1), zeros(2)], 0, None);
    for (number, codec, compress) in CODECS.into_iter().skip(1) {
        let batch = with_payload(&plain, number, &compress(&plain[HEADER_SIZE..]));
        let limits = Limits { max_batch: usize::MAX, ..Limits::default() };
        let found = check(&batch, &limits).map(|found| found.text_len);
        assert_eq!(found, Ok(3 << 20), "{codec:?}");
    }
}

#[test]
fn a_zstd_window_is_limited() {
    let plain = batch();
    // A frame whose header asks for a window of 16 MiB, with an empty last block.
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 14 << 3, 0x01, 0x00, 0x00];
    let error = check(&with_payload(&plain, 4, &frame), &Limits::default());
    let text = error.expect_err("a large window").to_string();
    assert!(text.starts_with("zstd does not decompress: ") && text.contains("8388608"), "{text}");
}

#[test]
fn readers_take_stored_batches_with_gaps() {
    let mut gaps = some();
    gaps.remove(1);
    let mut batch = build(&gaps, 1000, None).to_vec();
    batch[26] = 3;
    seal(&mut batch);
    set_base_offset(&mut batch, 12);
    assert_eq!(records(&batch, &Limits::default()), Ok(gaps));
    batch[26] = 2;
    let what = RecordFault::OffsetDelta { found: 3, expected: 2 };
    let expected = Err(BatchError::Record { index: 2, what });
    assert_eq!(records(&batch, &Limits::default()), expected);
}

fn any_record() -> impl proptest::strategy::Strategy<Value = Record> {
    use proptest::strategy::Strategy;
    let blob = || prop::option::of(prop::collection::vec(any::<u8>(), 0..50));
    let headers = prop::collection::vec((".{0,5}", blob()), 0..3);
    (any::<i32>(), blob(), blob(), headers).prop_map(|(timestamp, key, value, headers)| Record {
        offset_delta: 0,
        timestamp: timestamp.into(),
        key: key.map(Bytes::from),
        value: value.map(Bytes::from),
        headers: headers.into_iter().map(|(key, value)| (key, value.map(Bytes::from))).collect(),
    })
}

proptest! {
    #[test]
    fn any_records_come_back(
        mut written in prop::collection::vec(any_record(), 1..30),
        base in any::<i32>(),
    ) {
        for (record, at) in written.iter_mut().zip(0..) {
            record.offset_delta = at;
        }
        let plain = build(&written, base.into(), None);
        for (number, codec, compress) in CODECS {
            let batch = with_payload(&plain, number, &compress(&plain[HEADER_SIZE..]));
            let found = check(&batch, &Limits::default()).expect("a good batch");
            let size = |part: &Option<Bytes>| part.as_ref().map_or(0, |part| part.len() as u64);
            let text: u64 = written.iter().map(|r| size(&r.key) + size(&r.value)).sum();
            assert_eq!((found.codec, found.text_len), (codec, text));
            let greatest = written.iter().map(|record| record.timestamp).max();
            assert_eq!(Some(found.max_timestamp), greatest);
            assert_eq!(found.has_null_key, written.iter().any(|record| record.key.is_none()));
            assert_eq!(records(&batch, &Limits::default()).as_ref(), Ok(&written));
        }
    }

    #[test]
    fn any_bytes_make_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = check(&bytes, &Limits::default());
        let _ = records(&bytes, &Limits::default());
    }

    #[test]
    fn any_payload_makes_no_panic(
        payload in prop::collection::vec(any::<u8>(), 0..200),
        codec in 0u8..8,
    ) {
        let batch = with_payload(&batch(), codec, &payload);
        let _ = check(&batch, &Limits::default());
        let _ = records(&batch, &Limits::default());
    }

    #[test]
    fn changed_foreign_payloads_make_no_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        for (codec, _, payload) in FOREIGN {
            let mut payload = payload.to_vec();
            for (at, byte) in &changes {
                let at = at.index(payload.len());
                payload[at] = *byte;
            }
            let _ = check(&foreign(codec, &payload), &Limits::default());
        }
    }

    #[test]
    fn changed_payloads_make_no_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        size in 0usize..5000,
    ) {
        let value: Vec<u8> = (0..size).map(|at| (at * at / 7) as u8).collect();
        let records_of = [Record { value: Some(value.into()), ..Record::default() }];
        let plain = build(&records_of, 0, None);
        for (number, _, compress) in CODECS {
            let mut payload = compress(&plain[HEADER_SIZE..]);
            for (at, byte) in &changes {
                let at = at.index(payload.len());
                payload[at] = *byte;
            }
            let batch = with_payload(&plain, number, &payload);
            let _ = check(&batch, &Limits::default());
            let _ = records(&batch, &Limits::default());
        }
    }
}
