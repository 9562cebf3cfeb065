//! Where the Raft log and the vote are kept. In memory today; a log on disk is one more file here.

mod memory;

pub(crate) use memory::Log;
pub use memory::MemoryLog;
