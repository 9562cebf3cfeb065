//! A leader's snapshot that is ahead of the log.

use runtime::files::simulated::SimFiles;
use runtime::files::{Files, Open, write_all_at};

use super::run::{Run, Step, found, in_host, open, recover};

/// A node with entries 0 to 5, the last two not committed, to which a snapshot of entry 13 comes.
async fn install() -> Run {
    let mut run = Run::begin(SimFiles::new(3)).await.expect("an empty folder");
    for step in [Step::Append(6, 100), Step::Commit(2), Step::Sync, Step::Install(9)] {
        run.step(step).await.expect("nothing fails");
    }
    run
}

#[tokio::test(start_paused = true)]
async fn a_node_that_dies_before_the_log_was_purged_for_a_snapshot_starts_again() {
    // The snapshot is durable, and the purge that openraft asks for behind it is not.
    in_host(async {
        let mut run = install().await;
        run.killed();
        let mut storage = open(&run.files).await.expect("nothing is damaged");
        let before = found(&mut storage).await;
        assert_eq!(before.snapshot.map(|id| id.index()), Some(13));
        assert_eq!(before.log.last().map(|id| id.index()), Some(5), "the purge was not written");
        recover(&mut storage).await.expect("installed");
        storage.log.sync().await.expect("synced");
        let after = found(&mut storage).await;
        assert_eq!((after.log.last(), after.log.entries.len()), (after.snapshot, 0));
        run.killed();
        let mut storage = open(&run.files).await.expect("nothing is damaged");
        assert_eq!(found(&mut storage).await.log.purged, after.snapshot);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn entries_that_a_snapshot_contradicts_are_not_taken_for_committed() {
    // The mark says that entry 13 of the leader is committed. It says nothing of this node's own
    // entries 4 and 5, which another leader has proposed.
    in_host(async {
        let mut run = install().await;
        run.killed();
        let mut storage = open(&run.files).await.expect("nothing is damaged");
        let committed = found(&mut storage).await.log.committed;
        assert!(committed.is_none_or(|id| id.index() <= 3), "{committed:?}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_log_that_ends_before_a_checkpoint_of_this_node_is_damaged() {
    // All segments behind the first are gone, so the log ends in good order, too early.
    in_host(async {
        let mut run = Run::begin(SimFiles::new(3)).await.expect("an empty folder");
        for step in [Step::Append(4, 100), Step::Restart, Step::Append(4, 100), Step::Commit(0)] {
            run.step(step).await.expect("nothing fails");
        }
        run.step(Step::Snapshot).await.expect("nothing fails");
        run.killed();
        let files: &dyn Files = &run.files;
        let gone = std::path::Path::new("wal/0000000000000002.wal");
        files.remove(gone).expect("it is there");
        // The first one's note of the second was lost with a crash.
        let first = files.open("wal/0000000000000001.wal".as_ref(), Open::Write).expect("there");
        write_all_at(&*first, &[0; 16], 64).expect("written");
        let refused = open(&run.files).await.expect_err("entries are missing");
        let expected = "the checkpoint was taken at entry 7, and the log ends at entry 3";
        assert!(refused.to_string().contains(expected), "{refused}");
    })
    .await;
}
