//! Snapshots that are larger than a trace tells of.

use std::collections::BTreeSet;
use std::time::Duration;

use cohort::limits;
use cohort::service::api::Request;
use runtime::files::simulated::{SimFiles, Unsynced};
use state_machine::keyed_logs::command::KeyedLogCommand;
use state_machine::values::Records;
use wire::batch::{self, Record};

use super::script;

const MIB: u64 = 1024 * 1024;
const PAGE: u64 = 4096;

/// One record whose value has so many bytes.
fn records(len: usize) -> Records {
    let value = Some(vec![7; len].into());
    let record = Record { offset_delta: 0, timestamp: 1, key: None, value, headers: Vec::new() };
    let bytes = batch::build(&[record], 1, None);
    Records { count: 1, bytes, created: None, escapes: 0 }
}

/// How many bytes of records a crash would take, in whole pages.
fn unsynced_records(disk: &SimFiles) -> u64 {
    let page = |unsynced| match unsynced {
        Unsynced::Page { path, page, .. } if path.starts_with("records/") => Some((path, page)),
        _ => None,
    };
    let pages: BTreeSet<_> = disk.unsynced().into_iter().filter_map(page).collect();
    PAGE * pages.len() as u64
}

#[tokio::test(start_paused = true)]
async fn what_comes_of_a_snapshot_is_synced_each_8_mib() {
    let mut cluster = script::start("cluster nodes=3 flags=--snapshot-entries,24").await;
    script::act(&mut cluster, "cut n3").await;
    // More than 20 MiB of records go into one snapshot, and the log does not have them any more.
    for _ in 0..26 {
        let send = KeyedLogCommand::Send { key: "k".into(), records: records(MIB as usize) };
        cluster.ask(1, "c1", Request::Command(send.into())).await;
        cluster.run(Duration::from_millis(40)).await;
    }
    cluster.run(Duration::from_secs(1)).await;
    // A leader that has not had these entries on their way to n3 already.
    script::act(&mut cluster, "crash n1").await;
    script::act(&mut cluster, "restart n1").await;
    cluster.run(Duration::from_secs(3)).await;
    let leader = cluster.status(1).leader.expect("two of three choose one");
    let (snapshot, before) =
        (cluster.status(leader).snapshot_index, cluster.status(3).applied_index);
    assert!(snapshot >= Some(22) && before < Some(10), "{snapshot:?}, {before:?}");
    script::act(&mut cluster, "heal").await;
    let (mut most, mut syncs, mut last) = (0, 0, 0);
    for _ in 0..20_000 {
        cluster.run(Duration::from_millis(1)).await;
        if cluster.status(3).applied_index != before {
            break;
        }
        let now = unsynced_records(cluster.disk(3));
        syncs += u64::from(now < last);
        (most, last) = (most.max(now), now);
    }
    let after = cluster.status(3);
    assert_eq!(after.snapshot_index, snapshot, "it was installed");
    let chunk = limits::SNAPSHOT_CHUNK as u64;
    let at_most = limits::SNAPSHOT_SYNCED + chunk + PAGE;
    assert!(most <= at_most, "{most} bytes were not synced");
    assert!(most > limits::SNAPSHOT_SYNCED - 2 * chunk, "{most}: it need not be more often");
    // The third 8 MiB are whole with the last chunk, which is synced as it is installed.
    assert!(syncs >= 2, "{syncs} before its end");
}
