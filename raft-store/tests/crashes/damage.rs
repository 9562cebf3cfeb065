//! Folders in which something has changed that nobody wrote: no effect, or a refusal.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use raft_store::{Storage, WalSizes, inspect};
use runtime::files::simulated::SimFiles;
use runtime::files::{Files, Open, write_all_at};
use state_machine::keyed_logs::command::KeyedLogQuery;

use super::model::{Found, Universe};
use super::run::{Run, Step, found, in_host, open_with, replay_upto, states_agree};

/// Files so small that every bit of them can be turned.
const SMALL: WalSizes = WalSizes { segment: 6 * 1024, zeroed: 512 };

/// What stands in a segment's head, in bytes. The rest of the 4,096 is never read.
const HEAD_USED: u64 = 60;

/// A folder that was used, and what it holds.
struct Used {
    files: SimFiles,
    found: Found,
    universe: Universe,
}

/// Three lives of a node: votes, entries, a checkpoint, a conflict. The last group is vouched for,
/// as that of an idle node is.
async fn used(seed: u64) -> Used {
    let files = SimFiles::new(9);
    let mut run = Run::begin_with(files, SMALL, seed).await.expect("an empty folder");
    let script = [
        Step::Vote,
        Step::Append(4, 80),
        Step::Commit(1),
        Step::Snapshot,
        Step::Purge(1),
        Step::Append(2, 70),
        Step::Restart,
        Step::Truncate(1),
        Step::Append(2, 90),
        Step::Heard,
        Step::Commit(1),
        Step::Sync,
        Step::Restart,
        // The last segment has groups that the last one vouches for.
        Step::Vote,
        Step::Append(1, 60),
        Step::Append(1, 50),
        Step::Seal,
        Step::Sync,
    ];
    for step in script {
        run.step(step).await.expect("nothing fails");
    }
    let found = found(&mut run.storage).await;
    run.killed();
    let Run { files, universe, .. } = run;
    Used { files, found, universe }
}

/// What a changed folder is found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    /// The same as before.
    NoEffect,
    /// A start refuses it.
    Refused,
    /// A start takes it, and whoever reads the records gets an error.
    Unreadable,
    /// It is what it was before its last groups were written.
    Earlier,
}

/// Opens a changed folder. Panics where it holds something else than it should.
async fn judge(files: &SimFiles, used: &Used, what: &str) -> Verdict {
    let as_files: Arc<dyn Files> = Arc::new(files.fork());
    let inspected = inspect(&as_files, true);
    let mut storage: Storage = match open_with(files, SMALL).await {
        Ok(storage) => storage,
        Err(refused) => {
            let told = inspected.refused.unwrap_or_else(|| panic!("{what}: inspect takes it"));
            assert_eq!(told.to_string(), refused.to_string(), "{what}");
            return Verdict::Refused;
        }
    };
    assert!(inspected.refused.is_none(), "{what}: inspect refuses it: {:?}", inspected.refused);
    let now = found(&mut storage).await;
    if now != used.found {
        let entries = |found: &Found| found.log.entries.clone();
        let (now, before) = (entries(&now), entries(&used.found));
        assert!(before.starts_with(&now), "{what}: other entries");
        return Verdict::Earlier;
    }
    let agree = states_agree(&mut storage, &now, &used.universe).await;
    let query =
        KeyedLogQuery::Poll { offsets: ["even", "odd", "all"].map(|k| (k.into(), 0)).into() };
    let query = query.into();
    let Ok(answers) = storage.machine.answer([&query]) else { return Verdict::Unreadable };
    let expected = replay_upto(&used.universe, &now).await.answer([&query]).expect("in memory");
    assert!(answers == expected, "{what}: other records");
    agree.unwrap_or_else(|problem| panic!("{what}: {problem}"));
    Verdict::NoEffect
}

/// How often each verdict was given.
type Counts = BTreeMap<Verdict, u64>;

fn write_file(files: &SimFiles, path: &str, bytes: &[u8]) {
    let path = Path::new(path);
    let file = match files.open(path, Open::Write) {
        Ok(file) => file,
        Err(_) => files.open(path, Open::Create).expect("a new name"),
    };
    file.set_len(0).expect("cut");
    write_all_at(&*file, bytes, 0).expect("written");
}

#[tokio::test(start_paused = true)]
async fn a_flipped_bit_has_no_effect_or_is_refused() {
    let used = in_host(used(1)).await;
    let mut counts = Counts::new();
    for (path, bytes) in used.files.tree() {
        let len = bytes.len() as u64;
        let in_padding = |byte: u64| path.ends_with(".wal") && (HEAD_USED..4_096).contains(&byte);
        // One bit of each byte of padding, and every bit of everything else.
        let bits = (0..8 * len).filter(|bit| !in_padding(bit / 8) || bit % 8 == bit / 8 % 8);
        for bit in bits {
            let disk = used.files.fork();
            disk.flip_bit(Path::new(&path), bit).expect("the file is there");
            let verdict = in_host(judge(&disk, &used, &format!("{path}, bit {bit}"))).await;
            assert_ne!(verdict, Verdict::Earlier, "{path}, bit {bit}");
            assert!(
                verdict < Verdict::Unreadable || path.starts_with("records/"),
                "{path}, bit {bit}"
            );
            *counts.entry(verdict).or_default() += 1;
        }
    }
    println!("flipped bits: {counts:?}");
    assert!(counts[&Verdict::Refused] > 10_000, "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_file_that_was_cut_is_refused() {
    let used = in_host(used(1)).await;
    let tree = used.files.tree();
    let mut counts = Counts::new();
    for (path, bytes) in &tree {
        for len in 0..bytes.len() {
            let disk = used.files.fork();
            let file = disk.open(Path::new(path), Open::Write).expect("it is there");
            file.set_len(len as u64).expect("cut");
            let verdict = in_host(judge(&disk, &used, &format!("{path} cut to {len}"))).await;
            assert!(verdict <= Verdict::Refused, "{path} cut to {len}");
            *counts.entry(verdict).or_default() += 1;
        }
    }
    println!("cut files: {counts:?}");
    assert!(counts[&Verdict::Refused] > 5_000, "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn files_that_change_places_are_refused() {
    let used = in_host(used(1)).await;
    let tree = used.files.tree();
    let names: Vec<&String> =
        tree.keys().filter(|path| *path != "LOCK" && !path.starts_with("records/")).collect();
    assert!(names.iter().filter(|path| path.ends_with(".wal")).count() > 2, "{names:?}");
    for one in &names {
        for other in names.iter().filter(|other| other > &one) {
            let disk = used.files.fork();
            write_file(&disk, one, &tree[*other]);
            write_file(&disk, other, &tree[*one]);
            let verdict = in_host(judge(&disk, &used, &format!("{one} and {other}"))).await;
            assert_eq!(verdict, Verdict::Refused, "{one} and {other}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_of_another_folder_is_refused() {
    let used = in_host(used(1)).await;
    // The same run with another folder's name.
    let other = in_host(self::used(1_000)).await.files.tree();
    for (path, bytes) in other.iter().filter(|(path, _)| {
        *path != "LOCK" && !path.starts_with("records/") && !path.ends_with(".spare")
    }) {
        let disk = used.files.fork();
        write_file(&disk, path, bytes);
        let verdict = in_host(judge(&disk, &used, path)).await;
        assert_eq!(verdict, Verdict::Refused, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_gone_is_refused() {
    let used = in_host(used(1)).await;
    let tree = used.files.tree();
    for path in tree.keys().filter(|path| *path != "LOCK") {
        let disk = used.files.fork();
        disk.remove(Path::new(path)).expect("it is there");
        let verdict = in_host(judge(&disk, &used, &format!("{path} is gone"))).await;
        let expected = if path.ends_with(".spare") { Verdict::NoEffect } else { Verdict::Refused };
        assert_eq!(verdict, expected, "{path}");
    }
}

/// The end of a log whose process was killed before an idle moment: nothing vouches for its last
/// group.
#[tokio::test(start_paused = true)]
async fn regression_the_end_of_a_log_that_hands_took_away_is_missed() {
    let used = in_host(async {
        let mut run = Run::begin_with(SimFiles::new(9), SMALL, 1).await.expect("an empty folder");
        for step in [Step::Vote, Step::Append(4, 80), Step::Restart, Step::Append(1, 60)] {
            run.step(step).await.expect("nothing fails");
        }
        run.step(Step::Sync).await.expect("nothing fails");
        let found = found(&mut run.storage).await;
        run.killed();
        let Run { files, universe, .. } = run;
        Used { files, found, universe }
    })
    .await;
    let tree = used.files.tree();
    let last = tree.keys().rfind(|path| path.ends_with(".wal")).expect("a segment");
    let disk = used.files.fork();
    disk.remove(Path::new(last)).expect("it is there");
    assert_eq!(in_host(judge(&disk, &used, "gone")).await, Verdict::Refused);
    // A file has its length from the beginning, so a cut is seen at any place.
    let begins_with = (4_096 + SMALL.zeroed) as usize;
    for len in (0..begins_with).step_by(8) {
        let disk = used.files.fork();
        write_file(&disk, last, &tree[last][..len]);
        assert_eq!(in_host(judge(&disk, &used, "cut")).await, Verdict::Refused, "{len}");
    }
}

#[tokio::test(start_paused = true)]
async fn regression_records_that_cannot_be_read_now_are_not_called_lost() {
    in_host(async {
        let used = used(1).await;
        let files = used.files.fork();
        let is_segment = |path: &&String| path.starts_with("records/");
        let tree = files.tree();
        let segment = tree.keys().find(is_segment).expect("the checkpoint has some");
        files.fail_read(Path::new(segment)).expect("it is there");
        assert_eq!(judge(&files, &used, "a segment that cannot be read").await, Verdict::Refused);
        let as_files: Arc<dyn Files> = Arc::new(files);
        let refused = inspect(&as_files, false).refused.expect("it cannot be read").to_string();
        assert!(refused.contains(segment), "{refused}");
        assert!(!refused.contains("cannot be used any more"), "{refused}");
    })
    .await;
}
