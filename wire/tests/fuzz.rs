//! Fuzz targets: whatever bytes come, nothing panics, and what is taken holds what it promises.
//!
//! `cargo test` runs each on its corpus (`tests/__fuzz__`), and for a second on inputs that are
//! drawn.
//! `cargo bolero test -p wire frames` (or `batches`), with the command `cargo-bolero` installed and
//! a nightly toolchain, goes on for ever and keeps what it finds in the corpus.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use wire::batch::{self, Limits, Producer, Record};
use wire::frame::{self, decode};
use wire::samples;
use wire::versions::ALL;

/// What a connection does with the bytes of one frame.
fn take_frame(bytes: &[u8]) {
    let Ok(head) = frame::head(Bytes::copy_from_slice(bytes)) else { return };
    let (key, version, correlation_id) = (head.key, head.version, head.correlation_id);
    let Ok(request) = decode(head) else { return };
    // What was understood can be said, and is understood again.
    let said = frame::request(key, version, correlation_id, Some("fuzz"), &request);
    let said = said.expect("what was understood can be written");
    let head = frame::head(said.slice(4..)).expect("its own head");
    assert_eq!(decode(head).expect("its own body"), request);
}

/// What Produce does with the bytes of one batch. The checksum would refuse nearly all: it is made
/// right first, as anybody can.
fn take_batch(bytes: &[u8]) {
    let limits = Limits { max_batch: 1 << 20, ..Limits::default() };
    let mut bytes = bytes.to_vec();
    if bytes.len() >= 61 {
        batch::seal(&mut bytes);
    }
    let Ok(checked) = batch::check(&bytes, &limits) else { return };
    let records = batch::records(&bytes, &limits).expect("what was checked can be read");
    assert_eq!(records.len(), checked.count as usize);
    let newest = records.iter().map(|record| record.timestamp).max();
    assert_eq!(newest, Some(checked.max_timestamp));
    for (at, record) in (0..).zip(&records) {
        assert_eq!(record.offset_delta, at, "offsets are dense");
    }
}

#[test]
fn frames() {
    bolero::check!().for_each(take_frame);
}

#[test]
fn batches() {
    bolero::check!().for_each(take_batch);
}

/// Where a target's corpus lies.
fn corpus(target: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/__fuzz__").join(target).join("corpus")
}

/// A good frame of each request in its newest version.
fn good_frames() -> Vec<(String, Vec<u8>)> {
    let frame = |api: &wire::versions::Api| {
        let body = samples::body(api.key, api.max, 2, 0).expect("in the table").bytes;
        let mut frame = [api.key.to_be_bytes(), api.max.to_be_bytes()].concat();
        frame.extend([0, 0, 0, 7, 0, 1, b'c']);
        if samples::is_flexible(api.key, api.max) == Some(true) {
            frame.push(0);
        }
        frame.extend(body);
        (api.name.to_owned(), frame)
    };
    ALL.iter().map(frame).collect()
}

/// Good batches: of one record and of three, of a producer.
fn good_batches() -> Vec<(String, Vec<u8>)> {
    let record = |offset_delta| Record {
        offset_delta,
        timestamp: 1_000 + i64::from(offset_delta),
        key: Some(Bytes::from_static(b"key")),
        value: Some(Bytes::from_static(b"value")),
        headers: vec![("name".to_owned(), Some(Bytes::from_static(b"header")))],
    };
    let producer = Some(Producer { id: 5, epoch: 1, base_sequence: 9 });
    let one = batch::build(&[record(0)], 1_000, None);
    let three = batch::build(&[record(0), record(1), record(2)], 1_000, producer);
    vec![("one".to_owned(), one.to_vec()), ("three".to_owned(), three.to_vec())]
}

/// Every good one is in the corpus, so that a fuzzer begins from what is understood.
/// `UPDATE_CORPUS=1` writes them.
#[test]
fn the_corpus_has_what_is_good() {
    for (target, good) in [("frames", good_frames()), ("batches", good_batches())] {
        let folder = corpus(target);
        for (name, bytes) in good {
            if std::env::var_os("UPDATE_CORPUS").is_some() {
                fs::create_dir_all(&folder).expect("a folder");
                fs::write(folder.join(&name), &bytes).expect("a file");
            }
            let kept = fs::read(folder.join(&name));
            assert_eq!(kept.ok().as_deref(), Some(&bytes[..]), "{target}: {name}");
        }
        for entry in fs::read_dir(&folder).expect("a folder") {
            let bytes = fs::read(entry.expect("an entry").path()).expect("a file");
            match target {
                "frames" => take_frame(&bytes),
                _ => take_batch(&bytes),
            }
        }
    }
}
