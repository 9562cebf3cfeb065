//! Commit marks: nobody waits for one, and it is not worth a write of its own.

use std::time::Duration;

use openraft::entry::RaftEntry;
use openraft::storage::RaftLogStorage;
use raft_store::limits::GROUP_BYTES;
use runtime::files::simulated::SimFiles;

use super::run::{entry, in_host, open};

/// More than the task of the log needs to write what it has been given.
const A_WHILE: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn commit_marks_go_with_what_is_synced_next_or_when_they_are_many() {
    in_host(async {
        let files = SimFiles::new(5);
        let mut log = open(&files).await.expect("an empty folder").log;
        log.sync().await.expect("the disk is well");
        files.record();
        let begun = files.recorded_len();
        let mark = entry(1, 1, 10).log_id();
        for _ in 0..100 {
            log.save_committed(Some(mark)).await.expect("kept");
        }
        runtime::sleep(A_WHILE).await;
        assert_eq!(files.recorded_len(), begun, "nobody has asked for them");
        log.sync().await.expect("the disk is well");
        let synced = files.recorded_len();
        assert!(synced > begun, "they go with what is synced");
        // A mark counts as some tens of bytes.
        for _ in 0..GROUP_BYTES / 16 {
            log.save_committed(Some(mark)).await.expect("kept");
        }
        runtime::sleep(A_WHILE).await;
        assert!(files.recorded_len() > synced, "what is held is bounded");
    })
    .await;
}
