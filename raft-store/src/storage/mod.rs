//! What a node starts with, and where it keeps what it must not forget.
//!
//! A node that is started gets a [`Storage`]: its log, its state, and a name for the incarnation
//! that begins. In production nothing outlives the process, so a [`Storage::default`] is empty. In
//! the simulator a [`Disk`] outlives it, and [`Disk::open`] gives what a crash left there.

pub(crate) mod disk;

pub use disk::Disk;

use crate::limits::INCARNATION_BITS;
use crate::raft::{MemoryLog, StateMachine};

/// What a node starts with: its log, its state, and where it keeps what it must not forget.
#[derive(Debug, Default)]
pub struct Storage {
    /// The log and the vote.
    pub log: MemoryLog,
    /// The replicated state.
    pub machine: StateMachine,
    /// What outlives the process, if anything does.
    disk: Option<Disk>,
}

impl Storage {
    /// The number of the incarnation that begins now.
    ///
    /// A process that has its predecessor's memory gets the next number after it. A process without
    /// memory gets a number that nobody else has.
    pub fn next_incarnation(&self) -> u64 {
        let fresh = || runtime::random() >> (u64::BITS - INCARNATION_BITS);
        match &self.disk {
            Some(disk) => disk.next_incarnation(fresh),
            None => fresh(),
        }
    }
}

impl Disk {
    /// What a process finds that is started on this disk. The process before it has ended, and what
    /// it had not synced is gone.
    pub fn open(&self) -> Storage {
        let (entries, snapshot) = self.recover();
        Storage {
            log: MemoryLog::on(self.clone(), entries),
            machine: StateMachine::on(self.clone(), snapshot),
            disk: Some(self.clone()),
        }
    }
}
