//! Where the Raft log and the vote are kept. In memory today; a log on disk is one more file here.

mod memory;

pub use memory::MemoryLog;
