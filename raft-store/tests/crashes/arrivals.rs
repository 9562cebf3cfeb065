//! Records of a snapshot that has not come whole yet.

use raft_store::Storage;
use raft_store::transfer::{Arrived, Arriving, Outgoing};
use runtime::files::simulated::{SimFiles, Unsynced};

use super::run::{Run, Step, in_host, leader, open};

/// A node to which about a half of a leader's snapshot has come. It is held on to as long as what
/// has come of it is.
async fn with_a_half(files: &SimFiles) -> (Storage, Arriving) {
    let storage = open(files).await.expect("an empty folder");
    let leader = leader(40, 1_000).await;
    let outgoing = Outgoing::new(leader.checkpoint());
    let mut arriving = Arriving::new(&storage.machine, outgoing.state_len(), outgoing.total());
    let half = outgoing.state_len() + (outgoing.total() - outgoing.state_len()) / 2;
    let sent = outgoing.read(0, usize::try_from(half).expect("small")).expect("in memory");
    let arrived = arriving.take(0, &sent).expect("taken");
    assert!(matches!(arrived, Arrived::Part(at) if at == half), "{arrived:?}");
    (storage, arriving)
}

/// What a crash may take of the files of records, and of their names.
fn unsynced(files: &SimFiles) -> Vec<Unsynced> {
    let of_records = |unsynced: &Unsynced| match unsynced {
        Unsynced::Page { path, .. } | Unsynced::Length { path, .. } => path.starts_with("records/"),
        Unsynced::Naming { folder, .. } => folder == "records",
    };
    files.unsynced().into_iter().filter(of_records).collect()
}

#[tokio::test(start_paused = true)]
async fn what_has_come_of_a_snapshot_is_durable_once_it_was_synced() {
    in_host(async {
        let files = SimFiles::new(5);
        let (storage, _arriving) = with_a_half(&files).await;
        let pages = |unsynced: &Vec<Unsynced>| {
            unsynced.iter().filter(|unsynced| matches!(unsynced, Unsynced::Page { .. })).count()
        };
        let before = unsynced(&files);
        assert!(pages(&before) >= 4 && before.len() > pages(&before), "{before:?}");
        storage.log.sync_records(&storage.machine).await.expect("the disk is well");
        // The name of their folder is made durable by the checkpoint that names them.
        assert_eq!(unsynced(&files), []);
        assert_eq!(storage.log.failure(), None);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_node_ends_where_what_has_come_of_a_snapshot_cannot_be_synced() {
    in_host(async {
        // The first sync is of the records: the write-ahead log has nothing to write before.
        let files = SimFiles::new(5);
        let (storage, _arriving) = with_a_half(&files).await;
        files.fail_sync(1);
        let error = storage.log.sync_records(&storage.machine).await.expect_err("it failed");
        let failure = storage.log.failure().expect("the node is told to end").to_owned();
        assert!(failure.contains("records/"), "{failure:?} names no file");
        assert_eq!(error.to_string(), failure, "who waits is told why");
        storage.log.sync().await.expect_err("nothing is written any more");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_dies_with_half_a_snapshot_starts_with_what_it_had_before() {
    let mut run = Run::begin(SimFiles::new(5)).await.expect("an empty folder");
    run.step(Step::Append(4, 100)).await.expect("nothing fails");
    run.killed();
    let files = run.files.clone();
    in_host(async {
        let (storage, _arriving) = with_a_half(&files).await;
        storage.log.sync_records(&storage.machine).await.expect("the disk is well");
    })
    .await;
    run.power_fails();
    run.start_again().await.expect("nothing is lost");
}
