//! The store in files, over simulated files.

use std::time::Duration;

use runtime::Host;
use runtime::files::simulated::{SimFiles, Unsynced};
use state_machine::command::{Batch, LogLimits, Stamp, Write};
use state_machine::event::Event;
use state_machine::reply::Answer;
use state_machine::topics::command::{TopicCommand, TopicQuery};
use state_machine::topics::placement::Placement;

use super::*;
use crate::records::RecordStore;
use crate::records::testing::records;

const LEN: usize = 1_000;

fn apply(state: &mut State, store: &RecordStore, command: TopicCommand) {
    let mut events: Vec<Event> = Vec::new();
    let log_limits = LogLimits { segment_bytes: 3 * LEN as u32 };
    let stamp = Stamp { now_ms: 1, log_limits, ..Stamp::default() };
    state.begin(&Batch { stamp, ..Batch::default() });
    let write = Write { request_id: None, command: command.into() };
    state.apply(&write, Some(&mut events)).expect("not refused");
    events.iter().for_each(|event| store.follow(event).expect("kept"));
    store.flush().expect("written");
}

fn produce(state: &mut State, store: &RecordStore) {
    let command = TopicCommand::Produce {
        topic: "t".into(),
        placement: Placement::Partition(0),
        new_topic_partitions: 1,
        records: records(1, LEN),
    };
    apply(state, store, command);
}

/// A topic of so many batches, its store, and the files that it is in.
fn kept(batches: usize) -> (State, FileStore, SimFiles) {
    let (mut state, files) = (State::default(), SimFiles::new(1));
    let store = FileStore::open(Arc::new(files.clone()), &state).expect("an empty folder");
    for _ in 0..batches {
        produce(&mut state, &RecordStore::in_files(store.clone()));
    }
    (state, store, files)
}

/// How many batches a reader finds from an offset on.
fn read(state: &State, store: &FileStore, offset: Offset) -> io::Result<usize> {
    read_topic(state, store, "t", offset)
}

fn read_topic(state: &State, store: &FileStore, topic: &str, offset: Offset) -> io::Result<usize> {
    let (topic, max_messages) = (topic.into(), 100);
    let query = TopicQuery::Fetch { topic, partition: 0, offset, max_messages };
    let mut answered = state.query(&query.into());
    if let Ok(Answer::Reply(reply)) = &mut answered {
        RecordStore::in_files(store.clone()).fill(reply)?;
    }
    Ok(format!("{answered:?}").matches("StoredBatch {").count())
}

#[test]
fn a_batch_that_rots_is_an_error_for_who_reads_it_and_for_nobody_else() {
    let (state, store, files) = kept(5);
    assert_eq!(read(&state, &store, 0).expect("read"), 5);
    let first = files.tree().into_keys().next().expect("a segment");
    // A record, the epoch, the first offset: of the second batch.
    for (byte, expected) in [(1_900, "checksum"), (1_013, "epoch"), (1_007, "at offset")] {
        files.flip_bit(Path::new(&first), 8 * byte).expect("it is there");
        let error = read(&state, &store, 0).expect_err("rotten").to_string();
        assert!(error.contains(expected), "{error}");
        assert!(error.contains(&format!("{first} at or behind byte ")), "{error}");
        files.flip_bit(Path::new(&first), 8 * byte).expect("it is there");
    }
    files.flip_bit(Path::new(&first), 8 * 900).expect("it is there");
    assert_eq!(read(&state, &store, 3).expect("another segment"), 2);
    let file = files.open(Path::new(&first), Open::Write).expect("it is there");
    file.set_len(2_999).expect("cut");
    let error = read(&state, &store, 2).expect_err("cut").to_string();
    assert!(error.contains(&format!("{first} ends before byte 3000")), "{error}");
}

#[test]
fn a_start_refuses_a_segment_that_is_not_as_the_checkpoint_names_it() {
    let (state, _, files) = kept(5);
    let segments: Vec<String> = files.tree().into_keys().collect();
    let open = |files: &SimFiles| FileStore::open(Arc::new(files.clone()), &state);
    let refused = |files: &SimFiles| open(files).expect_err("refused").to_string();
    open(&files).expect("as it was left");
    let rotten = files.fork();
    rotten.flip_bit(Path::new(&segments[1]), 8 * 1_100).expect("it is there");
    let said = refused(&rotten);
    assert!(said.contains(&segments[1]) && said.contains("at byte 1000"), "{said}");
    let cut = files.fork();
    let file = cut.open(Path::new(&segments[0]), Open::Write).expect("it is there");
    file.set_len(2_999).expect("cut");
    assert!(refused(&cut).contains("2999 bytes, and the checkpoint names 3000"));
    let gone = files.fork();
    gone.remove(Path::new(&segments[0])).expect("it is there");
    assert!(refused(&gone).contains("is missing"));
    let foreign = files.fork();
    foreign.open(Path::new("records/notes"), Open::Create).expect("a new name");
    assert!(refused(&foreign).contains("records/notes"));
    // What stands behind the length that the checkpoint names says nothing.
    let longer = files.fork();
    let file = longer.open(Path::new(&segments[1]), Open::Write).expect("it is there");
    files::write_all_at(&*file, b"left by a life that was lost", 2_000).expect("written");
    open(&longer).expect("no part of the checkpoint");
}

#[tokio::test]
async fn a_file_goes_when_neither_the_disk_nor_a_reader_names_it() {
    let (mut state, store, files) = kept(5);
    let old = state.clone();
    let frozen = store.freeze();
    let delete = TopicCommand::Delete { topic: "t".into() };
    apply(&mut state, &RecordStore::in_files(store.clone()), delete);
    let names = || files.tree().len();
    store.remove_unused(&old).await.expect("removed");
    assert_eq!(names(), 2, "the checkpoint on the disk has them");
    store.remove_unused(&state).await.expect("removed");
    assert_eq!(names(), 2, "a checkpoint that is being sent has them");
    drop(frozen);
    store.remove_unused(&state).await.expect("removed");
    assert_eq!(names(), 0);
}

#[tokio::test(start_paused = true)]
async fn regression_a_sync_ends_after_another_one_that_has_taken_up_what_it_is_for() {
    let (_, store, files) = kept(5);
    files.slow_syncs(Duration::from_millis(20)..=Duration::from_millis(20));
    let pages = || {
        let is_page = |unsynced: &Unsynced| matches!(unsynced, Unsynced::Page { .. });
        files.unsynced().iter().filter(|unsynced| is_page(unsynced)).count()
    };
    assert_ne!(pages(), 0);
    let second = async {
        store.sync().await.expect("the disk is well");
        pages()
    };
    let both = futures::future::join(store.sync(), second);
    let (first, left) = Host::new(1, 0).scope(both).await;
    first.expect("the disk is well");
    assert_eq!(left, 0, "a checkpoint that is written now names what is not on the disk");
}

#[tokio::test(start_paused = true)]
async fn regression_a_sync_after_one_that_failed_does_not_find_nothing_to_do() {
    let (_, store, files) = kept(5);
    files.fail_sync(1);
    let both = futures::future::join(store.sync(), store.sync());
    let (first, second) = Host::new(1, 0).scope(both).await;
    first.expect_err("the disk failed");
    let is_page = |unsynced: &Unsynced| matches!(unsynced, Unsynced::Page { .. });
    let is_durable = !files.unsynced().iter().any(is_page);
    assert!(second.is_err() || is_durable, "a checkpoint would name what is not on the disk");
}

#[tokio::test]
async fn only_so_many_files_are_open_and_those_that_are_not_synced_among_them() {
    let (mut state, store, _) = kept(1);
    for topic in 0..OPEN_SEGMENTS + 10 {
        let command = TopicCommand::Produce {
            topic: format!("t{topic}").as_str().into(),
            placement: Placement::Partition(0),
            new_topic_partitions: 1,
            records: records(1, LEN),
        };
        apply(&mut state, &RecordStore::in_files(store.clone()), command);
    }
    assert_eq!(store.lock().opened.len(), OPEN_SEGMENTS);
    store.sync().await.expect("nothing fails");
    produce(&mut state, &RecordStore::in_files(store.clone()));
    let written = store.lock().dirty.clone();
    for topic in 0..OPEN_SEGMENTS + 10 {
        read_topic(&state, &store, &format!("t{topic}"), 0).expect("opened again");
    }
    assert!(written.iter().all(|segment| store.lock().opened.contains_key(segment)));
    assert_eq!(read(&state, &store, 0).expect("opened again"), 2);
}
