//! When a sync is over, and what it covers.

use std::time::Duration;

use futures::FutureExt;

use super::*;
use crate::files::spawn_disk_task;
use crate::{Host, Instant};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_sync_that_takes_no_time_is_over_at_once() {
    let files = SimFiles::new(1);
    let file = create(&files, "log", b"one");
    file.sync().now_or_never().expect("at once").expect("nothing fails");
    files.sync_dir(Path::new("")).now_or_never().expect("at once").expect("nothing fails");
    assert_eq!(files.durable_tree(), files.tree());
}

#[tokio::test(start_paused = true)]
async fn a_sync_takes_time_of_its_hosts_clock_within_the_range() {
    let host = Host::new(1, 0);
    // Its clock runs twice as fast as the simulator's.
    host.set_clock(2_000_000, Duration::ZERO);
    let files = SimFiles::new(1);
    let file = create(&files, "log", b"one");
    let range = 2 * SECOND..=4 * SECOND;
    files.slow_syncs(range.clone());
    let took = host.scope(async {
        let mut took = Vec::new();
        for _ in 0..20 {
            let begun = Instant::now();
            file.sync().await.expect("nothing fails");
            took.push(Instant::now() - begun);
        }
        took
    });
    let took = took.await;
    // tokio rounds up to a millisecond.
    let slack = Duration::from_millis(2);
    assert!(took.iter().all(|took| *took >= 2 * SECOND && *took <= 4 * SECOND + slack), "{took:?}");
    assert!(took.iter().any(|took| *took > 3 * SECOND), "{took:?}");
    assert!(took.iter().any(|took| *took < 3 * SECOND), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_sync_covers_what_was_written_before_it_began() {
    let host = Host::new(1, 0);
    let files = SimFiles::new(1);
    files.slow_syncs(SECOND..=SECOND);
    let file = create(&files, "log", b"one");
    let syncs = async {
        let both = futures::future::join(file.sync(), files.sync_dir(Path::new("")));
        write_all_at(&*file, b"two", 3).expect("there is room");
        create(&files, "late", b"");
        tokio::time::sleep(SECOND / 2).await;
        assert_eq!(files.durable_tree(), BTreeMap::new());
        let (contents, names) = both.await;
        contents.and(names).expect("nothing fails");
    };
    host.scope(syncs).await;
    assert_eq!(files.durable_tree(), [("log".to_owned(), b"one".to_vec())].into());
    // The other changes wait for another sync.
    host.scope(async { file.sync().await.expect("nothing fails") }).await;
    assert_eq!(files.durable_tree()["log"], b"onetwo");
}

#[tokio::test(start_paused = true)]
async fn of_a_sync_that_a_crash_cuts_nothing_is_sure() {
    let mut found = std::collections::BTreeSet::new();
    for seed in 0..50 {
        let host = Host::new(seed, 0);
        let files = SimFiles::new(seed);
        create_durable(&files, "log", b"old");
        files.slow_syncs(SECOND..=SECOND);
        let task = files.clone();
        let syncing = host.spawn(async move {
            let file = open(&task, "log");
            write_all_at(&*file, b"new", 0).expect("there is room");
            file.sync().await.expect("nobody sees its end");
            unreachable!("the host is dead by then");
        });
        tokio::time::sleep(SECOND / 2).await;
        host.kill();
        assert!(syncing.await.expect_err("it was killed").is_cancelled());
        assert_eq!(files.durable_tree()["log"], b"old");
        assert_eq!(files.unsynced().len(), 1);
        files.crash();
        found.insert(read(&files, "log"));
    }
    assert_eq!(found, [Some(b"old".to_vec()), Some(b"new".to_vec())].into());
}

/// A task that was killed may be dropped only after the crash.
#[tokio::test(start_paused = true)]
async fn a_sync_of_an_earlier_life_makes_nothing_durable() {
    let host = Host::new(1, 0);
    let files = SimFiles::new(1);
    let file = create_durable(&files, "log", b"old");
    files.slow_syncs(SECOND..=SECOND);
    write_all_at(&*file, b"new", 0).expect("there is room");
    let mut syncing = Box::pin(host.scope(file.sync()));
    assert!((&mut syncing).now_or_never().is_none());
    files.crash_keeping(&mut |_| false);
    write_all_at(&*open(&files, "log"), b"NEW", 0).expect("there is room");
    let ended = syncing.await.expect_err("it is another life");
    assert_eq!(ended.kind(), io::ErrorKind::StaleNetworkFileHandle);
    assert_eq!(files.durable_tree()["log"], b"old");
}

#[tokio::test(start_paused = true)]
async fn a_disk_task_of_a_host_takes_its_time_and_ends_with_it() {
    let host = Host::new(1, 0);
    let files = SimFiles::new(1);
    files.slow_syncs(SECOND..=SECOND);
    create_durable_in(&host, &files).await;
    let task = files.clone();
    host.scope(async {
        spawn_disk_task("disk", async move {
            for byte in 0_u8.. {
                let file = open(&task, "log");
                write_all_at(&*file, &[byte], u64::from(byte)).expect("there is room");
                file.sync().await.expect("nothing fails");
            }
        })
        .expect("no thread is needed");
    })
    .await;
    tokio::time::sleep(SECOND * 7 / 2).await;
    host.kill();
    tokio::time::sleep(SECOND * 10).await;
    assert_eq!(files.durable_tree()["log"], [0, 1, 2]);
    assert_eq!(files.tree()["log"], [0, 1, 2, 3]);
}

async fn create_durable_in(host: &Host, files: &SimFiles) {
    create(files, "log", b"");
    host.scope(files.sync_dir(Path::new(""))).await.expect("nothing fails");
}

#[tokio::test(start_paused = true)]
async fn many_files_are_synced_together_in_the_time_of_one() {
    let host = Host::new(1, 0);
    let files = SimFiles::new(1);
    let names: Vec<String> = (0..50).map(|number| format!("{number:02}")).collect();
    for name in &names {
        create(&files, name, name.as_bytes());
    }
    files.slow_syncs(SECOND..=SECOND);
    let took = host.scope(async {
        let begun = Instant::now();
        let paths = names.iter().map(PathBuf::from).collect();
        files.sync_files(paths).await.expect("nothing fails");
        files.sync_dir(Path::new("")).await.expect("nothing fails");
        Instant::now() - begun
    });
    let took = took.await;
    assert!(took <= 2 * SECOND + Duration::from_millis(2), "{took:?}");
    assert_eq!(files.durable_tree(), files.tree());
    assert!(files.unsynced().is_empty());
}
