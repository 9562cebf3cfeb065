//! What a crash leaves on the simulator's disk: what was synced, in the order in which it was
//! written.

use std::ops::Range;
use std::time::Duration;

use openraft::RaftLogReader;
use openraft::RaftSnapshotBuilder;
use openraft::alias::{LogIdOf, VoteOf};
use openraft::storage::{IOFlushed, RaftLogStorage, RaftStateMachine};
use openraft::testing::{blank_ent, log_id};
use openraft_rt::Oneshot;
use openraft_rt_tokio::TokioOneshot;
use raft_store::{Disk, MemoryLog, Storage, TypeConfig};
use runtime::Host;
use tokio::sync::oneshot::Receiver;
use tokio::time::sleep;

const SYNC: Duration = Duration::from_millis(10);

fn id(term: u64, index: u64) -> LogIdOf<TypeConfig> {
    log_id::<TypeConfig>(term, 1, index)
}

fn vote(term: u64) -> VoteOf<TypeConfig> {
    VoteOf::<TypeConfig>::new(term, 1)
}

/// Appends an entry for each index, and gives a receiver that ends when they are durable.
async fn append(
    log: &mut MemoryLog,
    term: u64,
    indexes: Range<u64>,
) -> Receiver<std::io::Result<()>> {
    let (sender, flushed) = TokioOneshot::channel();
    let entries: Vec<_> = indexes.map(|index| blank_ent::<TypeConfig>(term, 1, index)).collect();
    log.append(entries, IOFlushed::signal(sender)).await.expect("the log takes what comes next");
    flushed
}

async fn last(storage: &mut Storage) -> Option<LogIdOf<TypeConfig>> {
    storage.log.get_log_state().await.expect("memory can be read").last_log_id
}

#[tokio::test(start_paused = true)]
async fn entries_are_durable_once_they_are_acknowledged_and_not_before() {
    let disk = Disk::new(SYNC);
    let mut storage = disk.open();
    let mut flushed = append(&mut storage.log, 1, 0..3).await;
    assert_eq!(last(&mut storage).await, Some(id(1, 2)), "readable at once");
    sleep(SYNC / 2).await;
    assert!(flushed.try_recv().is_err(), "not acknowledged yet");
    // What is written while a sync is under way waits for the next.
    let mut later = append(&mut storage.log, 1, 3..5).await;
    (&mut flushed).await.expect("acknowledged").expect("synced");
    assert!(later.try_recv().is_err());
    let mut found = disk.open();
    assert_eq!(last(&mut found).await, Some(id(1, 2)));
    assert!(later.await.is_err(), "what was lost is never acknowledged");
    // The next process goes on from there.
    append(&mut found.log, 2, 3..4).await.await.expect("acknowledged").expect("synced");
    assert_eq!(last(&mut disk.open()).await, Some(id(2, 3)));
}

#[tokio::test(start_paused = true)]
async fn a_vote_is_durable_when_it_is_saved_with_all_that_was_written_before() {
    let disk = Disk::new(SYNC);
    let mut storage = disk.open();
    let flushed = append(&mut storage.log, 1, 0..3).await;
    storage.log.save_vote(&vote(7)).await.expect("synced");
    drop(flushed);
    let mut found = disk.open();
    assert_eq!(found.log.read_vote().await.expect("memory can be read"), Some(vote(7)));
    assert_eq!(last(&mut found).await, Some(id(1, 2)));
}

#[tokio::test(start_paused = true)]
async fn a_crash_leaves_a_beginning_of_what_was_written() {
    let disk = Disk::new(SYNC);
    let mut storage = disk.open();
    append(&mut storage.log, 1, 0..4).await.await.expect("acknowledged").expect("synced");
    // A conflict: another leader's entries take the place of the last two, and are committed.
    storage.log.truncate_after(Some(id(1, 1))).await.expect("truncated");
    let flushed = append(&mut storage.log, 2, 2..3).await;
    storage.log.save_committed(Some(id(2, 2))).await.expect("written");
    assert_eq!(last(&mut storage).await, Some(id(2, 2)));
    let mut found = disk.open();
    assert_eq!(last(&mut found).await, Some(id(1, 3)), "as if nothing of it had been");
    assert_eq!(
        found.log.read_committed().await.expect("memory can be read"),
        None,
        "no mark without its entry"
    );
    drop(flushed);
}

#[tokio::test(start_paused = true)]
async fn a_process_begins_with_the_last_snapshot_and_nothing_applied() {
    let disk = Disk::new(SYNC);
    let mut storage = disk.open();
    append(&mut storage.log, 1, 0..4).await.await.expect("acknowledged").expect("synced");
    let entries = storage.log.try_get_log_entries(0..3).await.expect("they are there");
    let applied = futures::stream::iter(entries.into_iter().map(|entry| Ok((entry, None))));
    storage.machine.apply(applied).await.expect("applied");
    storage.machine.build_snapshot().await.expect("synced");
    storage.log.purge(id(1, 1)).await.expect("written");
    let mut unsynced = disk.open();
    assert_eq!(unsynced.log.get_log_state().await.expect("read").last_purged_log_id, None);
    let snapshot =
        unsynced.machine.get_current_snapshot().await.expect("read").expect("there is one");
    assert_eq!(snapshot.meta.last_log_id, Some(id(1, 2)));
    assert_eq!(unsynced.machine.applied(), None);
    unsynced.log.purge(id(1, 1)).await.expect("written");
    unsynced.log.save_vote(&vote(1)).await.expect("synced");
    assert_eq!(
        disk.open().log.get_log_state().await.expect("read").last_purged_log_id,
        Some(id(1, 1))
    );
}

#[tokio::test(start_paused = true)]
async fn a_sync_ends_with_its_machine() {
    let host = Host::new(1, 0);
    let disk = Disk::new(SYNC);
    let mut storage = disk.open();
    host.spawn(async move { append(&mut storage.log, 1, 0..3).await.await.is_ok() });
    sleep(SYNC / 2).await;
    host.kill();
    sleep(SYNC * 2).await;
    assert_eq!(last(&mut disk.open()).await, None);
    // The machine goes on with what its disk has.
    host.revive();
    let mut storage = disk.open();
    let appended = host.spawn(async move { append(&mut storage.log, 1, 0..1).await.await.is_ok() });
    assert!(appended.await.expect("the task ends"));
    assert_eq!(last(&mut disk.open()).await, Some(id(1, 0)));
}

#[tokio::test]
async fn incarnations_with_the_same_memory_are_numbered_one_after_the_other() {
    let disk = Disk::new(Duration::ZERO);
    let first = disk.open().next_incarnation();
    assert_eq!(disk.open().next_incarnation(), first + 1);
    assert_eq!(disk.open().next_incarnation(), first + 2);
    let strangers = [
        Disk::new(Duration::ZERO).open().next_incarnation(),
        Storage::default().next_incarnation(),
    ];
    assert!(
        strangers.iter().all(|other| other.abs_diff(first) > 1 << 16),
        "{strangers:?} are not of {first}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_log_begins_with_its_members_once_and_again_where_that_was_lost() {
    let members = || (1..=3).map(|node| (node, ())).collect();
    let disk = Disk::new(SYNC);
    let mut storage = disk.open();
    assert!(storage.log.begin(2, members()));
    assert!(!storage.log.begin(2, members()), "it has begun");
    assert_eq!(last(&mut storage).await, Some(id(0, 0)));
    let mut found = disk.open();
    assert!(found.log.begin(2, members()), "nothing of it was synced");
    found.log.save_vote(&vote(1)).await.expect("synced");
    let mut found = disk.open();
    assert!(!found.log.begin(2, members()), "what is synced later is synced after it");
    assert_eq!(last(&mut found).await, Some(id(0, 0)));
}
