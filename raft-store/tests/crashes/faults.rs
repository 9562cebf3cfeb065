//! A disk that fails, or is full, while a node runs.

use std::io;
use std::time::Duration;

use runtime::files::simulated::SimFiles;

use super::run::{Run, Step, found, in_host};

/// All that a node does, in one life.
const SCRIPT: [Step; 19] = [
    Step::Vote,
    Step::Append(4, 300),
    Step::Send(2, 100),
    Step::Commit(3),
    Step::Truncate(2),
    Step::Send(3, 350),
    Step::Vote,
    Step::Append(4, 350),
    Step::Commit(2),
    Step::Snapshot,
    Step::Purge(1),
    Step::Append(12, 400),
    Step::Commit(0),
    Step::Snapshot,
    Step::Purge(0),
    Step::Install(5),
    Step::Append(9, 450),
    Step::Heard,
    Step::Sync,
];

/// Runs the script up to its first error.
async fn run_until_it_fails(run: &mut Run) -> Option<io::Error> {
    for step in SCRIPT {
        if let Err(error) = run.step(step).await {
            return Some(error);
        }
    }
    None
}

/// What was durable before an error is there after it: whatever the node is asked for then, when
/// its process is started again, and when the power fails.
async fn nothing_is_lost(mut run: Run, error: &io::Error, what: &str) {
    // Whoever waits is answered.
    tokio::time::sleep(Duration::from_secs(1)).await;
    run.answers();
    assert_eq!(run.unanswered(), 0, "{what}: an append waits for ever");
    if let Some(failure) = run.storage.log.failure().map(str::to_owned) {
        let names_it = ["wal", "identity", "checkpoint"].iter().any(|name| failure.contains(name));
        assert!(names_it, "{what}: {failure:?} names no file");
        let (before, refused) = (run.files.recorded_len(), run.refused);
        for step in [Step::Send(1, 100), Step::Vote, Step::Heard, Step::Seal, Step::Snapshot] {
            let told = run.step(step).await;
            let is_told = !matches!(step, Step::Vote | Step::Heard);
            assert!(is_told || told.is_err(), "{what}: {step:?} after a failure");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        run.answers();
        let told = (run.refused - refused, run.unanswered());
        assert_eq!(told, (1, 0), "{what}: an append was taken");
        let wrote = &run.files.recorded()[before..];
        let to_records =
            |operation: &str| operation.starts_with("Write") || operation.starts_with("Create");
        assert!(
            wrote.iter().all(|operation| to_records(&format!("{operation:?}"))),
            "{what}: after the failure {wrote:?}"
        );
    }
    let (files, journal_failed) = (run.files.clone(), run.files.names_failed());
    for seed in 0..6 {
        let mut again = run.on(files.fork());
        again.files.set_seed(seed);
        again.files.mend();
        again.files.record();
        // Where a folder's sync failed, the machine has to be started again, too.
        if seed % 2 == 0 || journal_failed {
            again.power_fails();
        } else {
            again.killed();
        }
        let started = again.start_again().await;
        started.unwrap_or_else(|problem| panic!("{what} ({error}), start {seed}: {problem}"));
        again.step(Step::Append(1, 100)).await.expect("the disk is well");
        again.power_fails();
        let started = again.start_again().await;
        started.unwrap_or_else(|problem| panic!("{what} ({error}), crash {seed}: {problem}"));
    }
}

/// Lets a disk fail in one place after the other, until a run meets none; returns in how many.
async fn in_every_place(first: u64, fail: impl Fn(&SimFiles, u64)) -> u64 {
    for place in first.. {
        let met = in_host(async {
            let files = SimFiles::new(place);
            fail(&files, place);
            let mut run = match Run::begin(files.clone()).await {
                Ok(run) => run,
                Err(_) => {
                    // Nobody was told of it. The machine is started again, on a disk that is well.
                    files.mend();
                    files.crash();
                    Run::begin(files).await.expect("begun anew");
                    return true;
                }
            };
            let Some(error) = run_until_it_fails(&mut run).await else { return false };
            nothing_is_lost(run, &error, &format!("place {place}")).await;
            true
        })
        .await;
        if !met {
            return place - first;
        }
    }
    unreachable!("a run has an end")
}

#[tokio::test(start_paused = true)]
async fn whichever_sync_fails_nothing_that_was_acknowledged_is_lost() {
    let failed = in_every_place(1, |files, nth| {
        files.slow_syncs(Duration::from_millis(1)..=Duration::from_millis(2));
        files.fail_sync(nth);
    })
    .await;
    println!("{failed} syncs failed, one at a time");
    assert!(failed > 40, "{failed} syncs");
}

#[tokio::test(start_paused = true)]
async fn wherever_the_disk_is_full_nothing_that_was_acknowledged_is_lost() {
    let full = in_every_place(0, |files, pages| files.set_capacity(4_096 * pages)).await;
    println!("{full} sizes of a full disk");
    assert!(full > 10, "{full} sizes");
}

#[tokio::test(start_paused = true)]
async fn short_writes_change_nothing() {
    let with = |short| async move {
        let files = SimFiles::new(4);
        files.short_writes(short);
        let mut run = Run::begin(files).await.expect("an empty folder");
        assert!(run_until_it_fails(&mut run).await.is_none(), "nothing fails");
        let operations = run.files.recorded_len();
        run.power_fails();
        run.start_again().await.expect("nothing is lost");
        (found(&mut run.storage).await, run.files.tree(), operations)
    };
    let (whole, whole_tree, operations) = in_host(with(false)).await;
    let (short, short_tree, more_operations) = in_host(with(true)).await;
    assert_eq!(short, whole);
    assert_eq!(short_tree, whole_tree, "to the byte");
    assert!(more_operations > operations, "writes were cut");
}
