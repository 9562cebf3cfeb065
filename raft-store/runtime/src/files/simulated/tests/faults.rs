//! What goes wrong where it is asked for.

use std::collections::BTreeSet;

use super::*;

#[test]
fn after_a_sync_that_failed_the_next_one_succeeds_and_the_bytes_are_lost() {
    let files = SimFiles::new(1);
    let file = create_durable(&files, "log", &[b'a'; 2 * PAGE]);
    write_all_at(&*file, &[b'b'; PAGE], 0).expect("there is room");
    files.fail_sync(2);
    let other = create(&files, "other", b"");
    block_on(other.sync()).expect("the first one does not fail");
    let error = block_on(file.sync()).expect_err("the second one fails");
    assert!(error.to_string().contains("log: Input/output error"), "{error}");
    // It is still read, and nothing waits for a sync.
    assert_eq!(read_all(&*file).expect("it can be read")[0], b'b');
    block_on(file.sync()).expect("there is nothing to do, as far as the system knows");
    assert_eq!(files.unsynced().len(), 1, "the name of the other file");
    assert_eq!(files.durable_tree()["log"][0], b'a');
    files.crash();
    assert_eq!(read(&files, "log"), Some(vec![b'a'; 2 * PAGE]));
}

#[test]
fn a_file_that_grew_before_a_sync_that_failed_has_zeros_after_the_next_one() {
    let files = SimFiles::new(1);
    let file = create_durable(&files, "log", b"");
    write_all_at(&*file, b"one", 0).expect("there is room");
    files.fail_sync(1);
    block_on(file.sync()).expect_err("it fails");
    block_on(file.sync()).expect("there is nothing to do, as far as the system knows");
    assert_eq!(files.durable_tree()["log"], b"\0\0\0");
    // Written again, the page is durable again.
    write_all_at(&*file, b"T", 3).expect("there is room");
    block_on(file.sync()).expect("nothing fails");
    assert_eq!(files.durable_tree()["log"], b"oneT");
}

#[test]
fn names_are_lost_with_the_sync_of_their_folder() {
    let files = SimFiles::new(1);
    files.create_dir(Path::new("inbox")).expect("a new name");
    create_durable(&files, "inbox/segment", b"records");
    sync_names(&files, "inbox");
    create(&files, "new", b"");
    rename(&files, "inbox/segment", "segment");
    files.fail_sync(1);
    block_on(files.sync_dir(Path::new(""))).expect_err("it fails");
    sync_names(&files, "");
    sync_names(&files, "inbox");
    assert_eq!(paths(&files), ["new", "segment"]);
    // The file that moved has its old name: it is not lost between two folders.
    files.crash();
    assert_eq!(paths(&files), ["inbox/segment"]);
}

#[test]
fn a_full_disk_takes_what_finds_room_and_overwrites_what_it_has() {
    let files = SimFiles::new(1);
    files.set_capacity(3 * PAGE as u64);
    assert_eq!(files.free().expect("it is told"), 3 * PAGE as u64);
    let log = create(&files, "log", &[1; PAGE + 1]);
    assert_eq!(files.free().expect("it is told"), PAGE as u64);
    // A part finds room; then nothing more does.
    let written = log.write_at(&[2; 3 * PAGE], PAGE as u64).expect("a part");
    assert_eq!(written, 2 * PAGE);
    let error = log.write_at(&[2; 10], 3 * PAGE as u64).expect_err("no room");
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert_eq!(files.free().expect("it is told"), 0);
    write_all_at(&*log, &[3; 3 * PAGE], 0).expect("over what it has");
    // Names and lengths need no room.
    let other = files.open(Path::new("other"), Open::Create).expect("a new name");
    other.set_len(100).expect("zeros need no room");
    assert!(other.write_at(b"x", 0).is_err());
    // What is cut off or removed is room again, once nobody has it open.
    log.set_len(PAGE as u64).expect("it is there");
    write_all_at(&*other, b"x", 0).expect("there is room");
    remove(&files, "log");
    assert_eq!(files.free().expect("it is told"), PAGE as u64);
    drop(log);
    assert_eq!(files.free().expect("it is told"), 2 * PAGE as u64);
}

#[test]
fn a_short_write_takes_a_part_and_all_of_it_is_written_in_the_end() {
    let files = SimFiles::new(1);
    files.short_writes(true);
    let file = create(&files, "log", b"");
    let written: BTreeSet<_> =
        (0..100).map(|_| file.write_at(b"abcd", 0).expect("there is room")).collect();
    assert_eq!(written, [1, 2, 3, 4].into());
    let bytes: Vec<u8> = (0..u8::MAX).cycle().take(10_000).collect();
    write_all_at(&*file, &bytes, 0).expect("there is room");
    assert_eq!(files.tree()["log"], bytes);
}

#[test]
fn a_bit_that_flips_is_wrong_in_what_is_read_and_in_what_is_durable() {
    let files = SimFiles::new(1);
    let file = create_durable(&files, "log", &[0; PAGE + 3]);
    write_all_at(&*file, &[0], PAGE as u64 + 1).expect("there is room");
    files.flip_bit(Path::new("log"), 8 * (PAGE as u64 + 2) + 3).expect("it is there");
    let mut flipped = vec![0; PAGE + 3];
    flipped[PAGE + 2] = 8;
    // Whatever a crash takes.
    for crashed in crashes(&files) {
        assert_eq!(crashed.tree()["log"], flipped);
    }
    assert_eq!(read_all(&*file).expect("it can be read"), flipped);
    let beyond = files.flip_bit(Path::new("log"), 8 * (PAGE as u64 + 3)).expect_err("no such bit");
    assert_eq!(beyond.kind(), io::ErrorKind::InvalidInput);
    let none = files.flip_bit(Path::new("none"), 0).expect_err("no such file");
    assert_eq!(none.kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_file_that_cannot_be_read_stays_so_under_any_name_and_over_a_crash() {
    let files = SimFiles::new(1);
    let file = create_durable(&files, "segment", b"records");
    files.fail_read(Path::new("segment")).expect("it is there");
    assert!(read_all(&*file).expect_err("damaged").to_string().contains("Input/output error"));
    write_all_at(&*file, b"R", 0).expect("it can be written");
    rename(&files, "segment", "damaged");
    sync_names(&files, "");
    files.crash();
    assert!(read_all(&*open(&files, "damaged")).is_err());
    // Another file under its name is another file.
    let again = create(&files, "segment", b"records");
    assert_eq!(read_all(&*again).expect("it can be read"), b"records");
    files.fail_read(Path::new("none")).expect_err("no such file");
}

/// A segment that is filled with zeros ahead, 64 MiB at a time in each of many nodes.
#[test]
fn zeros_share_their_page() {
    let files = SimFiles::new(1);
    let file = create(&files, "log", &vec![0; 64 << 20]);
    block_on(file.sync()).expect("nothing fails");
    let disk = files.lock_disk();
    let node = disk.find(Path::new("log")).expect("it is there");
    let contents = disk.file(node).expect("a file").durable();
    assert!(Arc::ptr_eq(&contents.page(0), &contents.page(16_383)));
    assert_eq!(contents.allocated(), 16_384);
}
