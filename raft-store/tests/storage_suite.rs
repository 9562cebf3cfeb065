//! openraft's own suites: for the storage adapters, and for the runtime.

use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use raft_store::{Disk, MemoryLog, StateMachine, Storage, TypeConfig};
use runtime::{PacedRuntime, Runtime};

struct Builder;

/// The same on a disk whose syncs take so long.
struct OnDisk(std::time::Duration);

impl StoreBuilder<TypeConfig, MemoryLog, StateMachine, ()> for OnDisk {
    async fn build(&self) -> Result<((), MemoryLog, StateMachine), StorageError<TypeConfig>> {
        let Storage { log, machine, .. } = Disk::new(self.0).open();
        Ok(((), log, machine))
    }
}

impl StoreBuilder<TypeConfig, MemoryLog, StateMachine, ()> for Builder {
    async fn build(&self) -> Result<((), MemoryLog, StateMachine), StorageError<TypeConfig>> {
        Ok(((), MemoryLog::default(), StateMachine::default()))
    }
}

#[tokio::test]
async fn the_memory_store_passes_openrafts_storage_suite() {
    Suite::test_all(Builder).await.expect("the suite passes");
}

#[tokio::test]
async fn the_store_on_a_disk_passes_openrafts_storage_suite() {
    for sync_ms in [0, 1] {
        let disk = OnDisk(std::time::Duration::from_millis(sync_ms));
        Suite::test_all(disk).await.expect("the suite passes");
    }
}

#[test]
fn the_runtime_passes_openrafts_runtime_suite() {
    openraft_rt::testing::Suite::<Runtime>::test_all();
    openraft_rt::testing::Suite::<PacedRuntime>::test_all();
}
