//! What a crash takes, and what it leaves.

use std::collections::BTreeSet;

use super::*;

/// Which byte each page is full of.
fn pages_of(bytes: &[u8]) -> String {
    let full_of = |page: &[u8]| {
        assert!(page.iter().all(|byte| *byte == page[0]), "a torn page");
        if page[0] == 0 { '0' } else { char::from(page[0]) }
    };
    bytes.chunks(PAGE).map(full_of).collect()
}

fn set<const N: usize>(states: [&str; N]) -> BTreeSet<String> {
    states.map(str::to_owned).into()
}

#[test]
fn any_part_of_the_pages_that_are_not_synced_survives() {
    let mut found = BTreeSet::new();
    for seed in 0..100 {
        let files = SimFiles::new(seed);
        let file = create_durable(&files, "log", &[b'a'; 3 * PAGE]);
        write_all_at(&*file, &[b'b'; 3 * PAGE], 0).expect("there is room");
        assert_eq!(pages_of(&files.tree()["log"]), "bbb");
        assert_eq!(pages_of(&files.durable_tree()["log"]), "aaa");
        files.crash();
        assert_eq!(files.unsynced(), []);
        assert_eq!(files.tree(), files.durable_tree());
        found.insert(pages_of(&files.tree()["log"]));
    }
    assert_eq!(found, set(["aaa", "aab", "aba", "abb", "baa", "bab", "bba", "bbb"]));
}

#[test]
fn an_older_state_of_a_page_may_be_the_one_that_survives() {
    let files = SimFiles::new(1);
    let file = create_durable(&files, "vote", &[b'a'; PAGE]);
    for vote in [b'b', b'c'] {
        write_all_at(&*file, &[vote; PAGE], 0).expect("there is room");
    }
    let found: BTreeSet<_> =
        crashes(&files).iter().map(|files| pages_of(&files.tree()["vote"])).collect();
    assert_eq!(found, set(["a", "b", "c"]));
    // Not all of many are told apart, but the last one always is.
    for vote in b'd'..=b'z' {
        write_all_at(&*file, &[vote; PAGE], 0).expect("there is room");
    }
    let states = files.unsynced().len();
    assert_eq!(states, 4);
    files.crash_keeping(&mut |_| true);
    assert_eq!(pages_of(&files.tree()["vote"]), "z");
}

#[test]
fn a_sync_makes_durable_the_state_that_it_began_with_however_often_the_page_is_written_on() {
    let files = SimFiles::new(1);
    let file = create_durable(&files, "vote", &[b'a'; PAGE]);
    write_all_at(&*file, &[b'b'; PAGE], 0).expect("there is room");
    let syncing = file.sync();
    for vote in b'c'..=b'z' {
        write_all_at(&*file, &[vote; PAGE], 0).expect("there is room");
    }
    block_on(syncing).expect("nothing fails");
    assert_eq!(pages_of(&files.durable_tree()["vote"]), "b");
}

#[test]
fn a_file_that_grew_may_be_shorter_or_have_zeros() {
    let files = SimFiles::new(1);
    let file = create_durable(&files, "log", &[b'a'; PAGE]);
    write_all_at(&*file, &[b'b'; 2 * PAGE], PAGE as u64).expect("there is room");
    let found: BTreeSet<_> =
        crashes(&files).iter().map(|files| pages_of(&files.tree()["log"])).collect();
    assert_eq!(found, set(["a", "a00", "ab0", "a0b", "abb"]));
    // What was beyond the end is gone for good.
    files.crash_keeping(&mut |unsynced| !matches!(unsynced, Unsynced::Length { .. }));
    let file = open(&files, "log");
    file.set_len(3 * PAGE as u64).expect("there is room");
    assert_eq!(pages_of(&files.tree()["log"]), "a00");
}

#[test]
fn what_is_appended_to_a_page_survives_with_its_length_and_not_without() {
    let files = SimFiles::new(1);
    let file = create_durable(&files, "log", b"one");
    write_all_at(&*file, b"two", 3).expect("there is room");
    let found: BTreeSet<_> =
        crashes(&files).iter().map(|files| files.tree()["log"].clone()).collect();
    assert_eq!(found, [b"one".to_vec(), b"one\0\0\0".to_vec(), b"onetwo".to_vec()].into());
}

#[test]
fn a_cut_that_is_not_synced_may_not_have_happened() {
    let files = SimFiles::new(1);
    let file = create_durable(&files, "log", &[b'a'; 2 * PAGE]);
    file.set_len(PAGE as u64).expect("there is room");
    let found: BTreeSet<_> =
        crashes(&files).iter().map(|files| pages_of(&files.tree()["log"])).collect();
    assert_eq!(found, set(["aa", "a"]));
    // Written anew after that, the old bytes are behind the new ones where the cut is lost.
    write_all_at(&*file, &[b'b'; PAGE], PAGE as u64).expect("there is room");
    write_all_at(&*file, &[b'c'; PAGE], 0).expect("there is room");
    let found: BTreeSet<_> =
        crashes(&files).iter().map(|files| pages_of(&files.tree()["log"])).collect();
    assert_eq!(found, set(["a", "c", "a0", "c0", "aa", "ca", "ab", "cb"]));
    block_on(file.sync()).expect("nothing fails");
    assert_eq!(pages_of(&files.durable_tree()["log"]), "cb");
}

#[test]
fn a_page_may_be_torn_at_its_sectors_where_that_is_asked_for() {
    let mut torn = BTreeSet::new();
    for seed in 0..200 {
        let files = SimFiles::new(seed);
        files.torn_pages(true);
        let file = create_durable(&files, "log", &[b'a'; PAGE]);
        write_all_at(&*file, &[b'b'; PAGE], 0).expect("there is room");
        files.crash();
        let bytes = files.tree().remove("log").expect("it is there");
        let sectors = bytes.chunks(contents::SECTOR).map(|sector| {
            assert!(sector.iter().all(|byte| *byte == sector[0]), "a torn sector");
            char::from(sector[0])
        });
        torn.insert(sectors.collect::<String>());
    }
    assert!(torn.len() > 20 && torn.contains("aaaaaaaa") && torn.contains("bbbbbbbb"), "{torn:?}");
}

#[test]
fn a_long_write_may_have_a_part_of_its_length_where_pages_may_be_torn() {
    let mut lengths = BTreeSet::new();
    for seed in 0..200 {
        let files = SimFiles::new(seed);
        files.torn_pages(true);
        let file = create_durable(&files, "log", b"head");
        write_all_at(&*file, &[b'b'; 3 * PAGE], 4).expect("there is room");
        files.crash();
        lengths.insert(files.tree()["log"].len());
    }
    assert_eq!(lengths, [4, PAGE, 2 * PAGE, 3 * PAGE, 3 * PAGE + 4].into());
}

#[test]
fn a_name_is_durable_when_its_folder_was_synced_and_each_folder_above_it() {
    let files = SimFiles::new(1);
    files.create_dir(Path::new("data/topic")).expect("a new name");
    let file = create(&files, "data/topic/segment", b"records");
    let is_durable = |files: &SimFiles| files.durable_tree().contains_key("data/topic/segment");
    block_on(file.sync()).expect("nothing fails");
    for folder in ["data/topic", "data"] {
        sync_names(&files, folder);
        assert!(!is_durable(&files), "{folder}");
    }
    sync_names(&files, "");
    assert!(is_durable(&files));
    files.crash();
    assert_eq!(files.tree(), [("data/topic/segment".to_owned(), b"records".to_vec())].into());
}

#[test]
fn a_rename_may_survive_without_the_content_that_it_renamed() {
    let files = SimFiles::new(1);
    create_durable(&files, "checkpoint", b"old");
    create(&files, "checkpoint.tmp", b"new");
    rename(&files, "checkpoint.tmp", "checkpoint");
    sync_names(&files, "");
    let found: BTreeSet<_> =
        crashes(&files).iter().map(|files| files.tree()["checkpoint"].clone()).collect();
    assert_eq!(found, [b"".to_vec(), b"\0\0\0".to_vec(), b"new".to_vec()].into());
    // Synced before, it is the old or the new one.
    let files = SimFiles::new(1);
    create_durable(&files, "checkpoint", b"old");
    let new = create(&files, "checkpoint.tmp", b"new");
    block_on(new.sync()).expect("nothing fails");
    rename(&files, "checkpoint.tmp", "checkpoint");
    let found: BTreeSet<_> =
        crashes(&files).iter().map(|files| files.tree()["checkpoint"].clone()).collect();
    assert_eq!(found, [b"old".to_vec(), b"new".to_vec()].into());
}

#[test]
fn of_what_was_done_to_a_folders_names_a_beginning_survives() {
    let mut found = BTreeSet::new();
    for seed in 0..100 {
        let files = SimFiles::new(seed);
        create_durable(&files, "a", b"");
        create(&files, "b", b"");
        remove(&files, "a");
        rename(&files, "b", "c");
        let naming = |place, naming| Unsynced::Naming { folder: String::new(), place, naming };
        let expected = [
            naming(0, Naming::Create { name: "b".to_owned() }),
            naming(1, Naming::Remove { name: "a".to_owned() }),
            naming(2, Naming::Rename { from: "b".to_owned(), to: "c".to_owned() }),
        ];
        assert_eq!(files.unsynced(), expected);
        files.crash();
        found.insert(paths(&files).concat());
    }
    assert_eq!(found, set(["a", "ab", "b", "c"]));
}

#[test]
fn folders_lose_their_names_each_by_itself() {
    let mut found = BTreeSet::new();
    for seed in 0..200 {
        let files = SimFiles::new(seed);
        for folder in ["x", "y"] {
            files.create_dir(Path::new(folder)).expect("a new name");
        }
        sync_names(&files, "");
        create(&files, "x/1", b"");
        create(&files, "y/2", b"");
        files.crash();
        found.insert(paths(&files).concat());
    }
    assert_eq!(found, set(["", "x/1", "y/2", "x/1y/2"]));
}

#[test]
fn a_file_that_moves_to_another_folder_has_one_name_or_two_but_not_none() {
    let files = SimFiles::new(1);
    files.create_dir(Path::new("inbox")).expect("a new name");
    files.create_dir(Path::new("data")).expect("a new name");
    create_durable(&files, "inbox/segment", b"records");
    sync_names(&files, "inbox");
    rename(&files, "inbox/segment", "data/segment");
    let found: BTreeSet<_> = crashes(&files).iter().map(|files| paths(files).join(" ")).collect();
    assert_eq!(found, set(["inbox/segment", "data/segment inbox/segment", "data/segment"]));
    // The sync of one folder makes both halves durable: the file is never lost.
    sync_names(&files, "inbox");
    assert_eq!(files.durable_tree(), [("data/segment".to_owned(), b"records".to_vec())].into());
}

#[test]
fn a_file_that_was_removed_may_come_back_until_its_folder_is_synced() {
    let files = SimFiles::new(1);
    let file = create_durable(&files, "segment", b"records");
    write_all_at(&*file, b"R", 0).expect("there is room");
    remove(&files, "segment");
    // Who has it open can still use it.
    write_all_at(&*file, b"!", 7).expect("there is room");
    assert_eq!(read_all(&*file).expect("it is open"), b"Records!");
    assert_eq!(files.tree(), BTreeMap::new());
    let found: BTreeSet<_> = crashes(&files).iter().map(|files| read(files, "segment")).collect();
    // Of 7 bytes or 8, with the old first one or the new.
    let states: [&[u8]; 5] = [b"records", b"records\0", b"Records", b"Records\0", b"Records!"];
    let expected = states.map(|bytes| Some(bytes.to_vec())).into_iter().chain([None]).collect();
    assert_eq!(found, expected);
    sync_names(&files, "");
    assert_eq!((files.durable_tree(), files.unsynced()), (BTreeMap::new(), Vec::new()));
}

#[test]
fn handles_are_stale_and_locks_are_free_after_a_crash_and_a_restart() {
    for end in [SimFiles::crash, SimFiles::restart] {
        let files = SimFiles::new(1);
        let file = create_durable(&files, "log", b"one");
        let lock = files.lock(Path::new("lock")).expect("nobody has it");
        let syncing = file.sync();
        end(&files);
        let kinds = [
            file.read_at(&mut [0], 0).expect_err("stale").kind(),
            file.write_at(b"x", 0).expect_err("stale").kind(),
            file.len().expect_err("stale").kind(),
            file.set_len(0).expect_err("stale").kind(),
            block_on(syncing).expect_err("stale").kind(),
            block_on(file.sync()).expect_err("stale").kind(),
        ];
        assert_eq!(kinds, [io::ErrorKind::StaleNetworkFileHandle; 6]);
        let locked = files.lock(Path::new("lock")).expect("nobody has it any more");
        // What is left of the last life does not free it.
        drop((lock, file));
        let again = files.lock(Path::new("lock")).expect_err("it is taken").kind();
        assert_eq!(again, io::ErrorKind::WouldBlock);
        drop(locked);
        assert_eq!(read_all(&*open(&files, "log")).expect("it can be read"), b"one");
    }
}

#[test]
fn a_restart_takes_nothing_and_makes_nothing_durable() {
    let files = SimFiles::new(1);
    let file = create_durable(&files, "log", b"one");
    write_all_at(&*file, b"two", 3).expect("there is room");
    create(&files, "new", b"new");
    let (tree, unsynced) = (files.tree(), files.unsynced());
    assert_eq!(unsynced.len(), 5);
    files.restart();
    assert_eq!((files.tree(), files.unsynced()), (tree, unsynced));
    assert_eq!(files.durable_tree(), [("log".to_owned(), b"one".to_vec())].into());
    // A sync of the next life covers what the last one wrote.
    block_on(open(&files, "log").sync()).expect("nothing fails");
    assert_eq!(files.durable_tree()["log"], b"onetwo");
}
