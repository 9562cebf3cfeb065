//! What a folder promises, one by one: what was synced is there, in the order in which it was
//! written.

use std::time::Duration;

use openraft::RaftLogReader;
use openraft::storage::{RaftLogStorage, RaftStateMachine};
use runtime::files::simulated::SimFiles;
use tokio::time::sleep;

use super::run::{Run, Step, found, in_host, open};

const SYNC: Duration = Duration::from_millis(10);

/// A node on a disk whose syncs take their time.
async fn begin(seed: u64) -> Run {
    let run = Run::begin(SimFiles::new(seed)).await.expect("an empty folder");
    run.files.slow_syncs(SYNC..=SYNC);
    run
}

/// What a crash leaves that takes everything it may.
async fn after_a_crash(run: &Run) -> super::model::Log {
    let disk = run.files.fork();
    disk.slow_syncs(Duration::ZERO..=Duration::ZERO);
    disk.crash_keeping(&mut |_| false);
    let mut storage = open(&disk).await.expect("its own folder");
    found(&mut storage).await.log
}

#[tokio::test(start_paused = true)]
async fn entries_are_durable_once_they_are_acknowledged_and_not_before() {
    in_host(async {
        let mut run = begin(1).await;
        run.step(Step::Send(3, 100)).await.expect("written");
        assert_eq!(found(&mut run.storage).await.log.entries.len(), 3, "readable at once");
        // The first segment is begun: its contents, its name, and then the group.
        sleep(SYNC / 2).await;
        run.answers();
        assert_eq!(run.unanswered(), 1, "not acknowledged yet");
        // What is written while a sync is under way waits for the next.
        run.step(Step::Send(2, 100)).await.expect("written");
        while run.unanswered() == 2 {
            sleep(SYNC / 4).await;
            run.answers();
        }
        assert_eq!(after_a_crash(&run).await.entries.len(), 3);
        run.step(Step::Sync).await.expect("synced");
        assert_eq!(after_a_crash(&run).await.entries.len(), 5);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_vote_is_durable_when_it_is_saved_with_all_that_was_written_before() {
    in_host(async {
        let mut run = begin(2).await;
        run.step(Step::Send(3, 100)).await.expect("written");
        run.step(Step::Vote).await.expect("synced");
        let left = after_a_crash(&run).await;
        assert_eq!((left.vote, left.entries.len()), (run.timeline.now().vote, 3));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_leaves_a_beginning_of_what_was_written() {
    in_host(async {
        let mut run = begin(3).await;
        run.step(Step::Append(4, 100)).await.expect("synced");
        let before = after_a_crash(&run).await;
        // A conflict: another leader's entries take the place of the last two, and are committed.
        for step in [Step::Truncate(2), Step::Send(1, 100), Step::Commit(0)] {
            run.step(step).await.expect("written");
        }
        assert_eq!(found(&mut run.storage).await.log.entries.len(), 3);
        let left = after_a_crash(&run).await;
        assert_eq!(left, before, "as if nothing of it had been, nor a mark without its entry");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_process_begins_with_the_last_snapshot_and_nothing_applied() {
    in_host(async {
        let mut run = begin(4).await;
        for step in [Step::Append(4, 100), Step::Commit(1), Step::Snapshot, Step::Purge(1)] {
            run.step(step).await.expect("written");
        }
        assert_eq!(after_a_crash(&run).await.purged, None, "the purge is not synced");
        run.killed();
        let mut storage = open(&run.files).await.expect("its own folder");
        let snapshot = storage.machine.get_current_snapshot().await.expect("read");
        let taken = snapshot.expect("there is one").meta.last_log_id;
        assert_eq!(taken.map(|id| id.index()), Some(2));
        assert_eq!(storage.machine.applied(), None);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_makes_files_durable_that_an_earlier_process_has_made() {
    in_host(async {
        let mut run = begin(8).await;
        for step in [Step::Append(6, 100), Step::Commit(0), Step::Sync] {
            run.step(step).await.expect("synced");
        }
        // A process applies the entries, which makes files of records, and is killed. Nobody has
        // synced the names of the files.
        run.step(Step::Apply).await.expect("applied");
        run.killed();
        run.start_again().await.expect("nothing is lost");
        for step in [Step::Append(1, 100), Step::Commit(0), Step::Snapshot] {
            run.step(step).await.expect("synced");
        }
        run.loses_all_it_may();
        run.start_again().await.expect("the checkpoint has its records");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_sync_ends_with_its_machine() {
    in_host(async {
        let mut run = begin(5).await;
        run.step(Step::Send(3, 100)).await.expect("written");
        sleep(SYNC / 2).await;
        run.loses_all_it_may();
        sleep(SYNC * 9).await;
        run.answers();
        assert_eq!(run.unanswered(), 1, "nobody was told");
        // The machine goes on with what its disk has.
        run.start_again().await.expect("nothing is lost");
        assert_eq!(found(&mut run.storage).await.log.entries.len(), 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn incarnations_with_the_same_memory_are_numbered_one_after_the_other() {
    in_host(async {
        let files = SimFiles::new(6);
        let first = open(&files).await.expect("an empty folder").incarnation();
        for later in 1..4 {
            files.crash();
            let storage = open(&files).await.expect("its own folder");
            assert_eq!(storage.incarnation(), first + later);
        }
        let stranger = open(&SimFiles::new(6)).await.expect("an empty folder").incarnation();
        assert!(stranger.abs_diff(first) > 1 << 16, "{stranger} is not of {first}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_log_begins_with_its_members_once_and_again_where_that_was_lost() {
    in_host(async {
        let members = || (1..=3).map(|node| (node, ())).collect();
        let run = begin(7).await;
        let log = &run.storage.log;
        assert!(log.begin(2, members()));
        assert!(!log.begin(2, members()), "it has begun");
        let disk = run.files.fork();
        disk.crash_keeping(&mut |_| false);
        let mut storage = open(&disk).await.expect("its own folder");
        assert!(storage.log.begin(2, members()), "nothing of it was synced");
        let vote = super::model::Vote::new(1, 1);
        storage.log.save_vote(&vote).await.expect("synced");
        disk.crash_keeping(&mut |_| false);
        let mut storage = open(&disk).await.expect("its own folder");
        assert!(!storage.log.begin(2, members()), "what is synced later is synced after it");
        assert_eq!(storage.log.read_vote().await.expect("in memory"), Some(vote));
    })
    .await;
}
