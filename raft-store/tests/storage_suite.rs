//! openraft's own suites: for the storage adapters, and for the runtime.

use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use raft_store::runtime::Runtime;
use raft_store::{MemoryLog, StateMachine, TypeConfig};

struct Builder;

impl StoreBuilder<TypeConfig, MemoryLog, StateMachine, ()> for Builder {
    async fn build(&self) -> Result<((), MemoryLog, StateMachine), StorageError<TypeConfig>> {
        Ok(((), MemoryLog::default(), StateMachine::default()))
    }
}

#[tokio::test]
async fn the_memory_store_passes_openrafts_storage_suite() {
    Suite::test_all(Builder).await.expect("the suite passes");
}

#[test]
fn the_runtime_passes_openrafts_runtime_suite() {
    openraft_rt::testing::Suite::<Runtime>::test_all();
}
