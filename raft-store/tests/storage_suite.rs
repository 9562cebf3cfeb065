//! openraft's own suites: for the storage adapters, and for the runtime.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use raft_store::{RaftLog, StateMachine, Storage, TypeConfig, WalSizes};
use runtime::files::Files;
use runtime::files::os::OsFiles;
use runtime::files::simulated::SimFiles;
use runtime::{PacedRuntime, Runtime};

struct InMemory;

impl StoreBuilder<TypeConfig, RaftLog, StateMachine, ()> for InMemory {
    async fn build(&self) -> Result<((), RaftLog, StateMachine), StorageError<TypeConfig>> {
        Ok(((), RaftLog::default(), StateMachine::default()))
    }
}

/// A data folder, anew for each test.
struct InFolder<F>(F);

impl<F: Fn() -> Arc<dyn Files> + Send + Sync> StoreBuilder<TypeConfig, RaftLog, StateMachine, ()>
    for InFolder<F>
{
    async fn build(&self) -> Result<((), RaftLog, StateMachine), StorageError<TypeConfig>> {
        // So small that the suite fills segments.
        let sizes = WalSizes { segment: 16 * 1024, zeroed: 4 * 1024 };
        let opened = Storage::open((self.0)(), StateMachine::default(), sizes).await;
        let mut storage = opened.expect("an empty folder");
        storage.belong_to("n1", &["n1".to_owned()]).expect("nobody's folder");
        Ok(((), storage.log, storage.machine))
    }
}

#[tokio::test]
async fn the_memory_store_passes_openrafts_storage_suite() {
    Suite::test_all(InMemory).await.expect("the suite passes");
}

#[tokio::test]
async fn a_simulated_folder_passes_openrafts_storage_suite() {
    Suite::test_all(InFolder(|| Arc::new(SimFiles::new(7)) as Arc<dyn Files>))
        .await
        .expect("the suite passes");
}

/// A folder for the tests of this process, which is removed in the end.
struct Folders(PathBuf, AtomicU64);

impl Drop for Folders {
    fn drop(&mut self) {
        // What is left is in the system's folder for temporary files.
        let _removed = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn a_folder_passes_openrafts_storage_suite() {
    let root = std::env::temp_dir().join(format!("cohort-storage-suite-{}", std::process::id()));
    let folders = Folders(root, AtomicU64::new(0));
    let next = || {
        let number = folders.1.fetch_add(1, Ordering::Relaxed);
        Arc::new(OsFiles::new(folders.0.join(number.to_string()))) as Arc<dyn Files>
    };
    Suite::test_all(InFolder(next)).await.expect("the suite passes");
}

#[test]
fn the_runtime_passes_openrafts_runtime_suite() {
    openraft_rt::testing::Suite::<Runtime>::test_all();
    openraft_rt::testing::Suite::<PacedRuntime>::test_all();
}
