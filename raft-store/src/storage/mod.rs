//! What a node starts with, and where it keeps what it must not forget.
//!
//! A node that is started gets a [`Storage`]: its log, its state, and a name for the incarnation
//! that begins. [`Storage::default`] is empty, and nothing in it outlives the process.
//! [`Storage::open`] finds what an earlier incarnation left in a data folder ([`folder`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use runtime::files::Files;
use state_machine::ids::NodeId;

pub(crate) mod checkpoint_file;
pub(crate) mod folder;
pub(crate) mod identity;
mod inspect;

pub use checkpoint_file::BadCheckpoint;
pub use folder::OpenError;
pub use identity::{BadIdentity, Identity};
pub use inspect::{Inspected, inspect};

use crate::limits::INCARNATION_BITS;
use crate::raft::{RaftLog, StateMachine};
use crate::wal::writer::WalSizes;

/// What a node starts with: its log, its state, and where it keeps what it must not forget.
#[derive(Debug)]
pub struct Storage {
    /// The log and the vote.
    pub log: RaftLog,
    /// The replicated state.
    pub machine: StateMachine,
    incarnation: u64,
    heard: BTreeMap<NodeId, u64>,
    /// What outlives the process, if anything does.
    folder: Option<folder::Folder>,
}

impl Default for Storage {
    /// Memory alone. The incarnation has a number that nobody else has.
    fn default() -> Self {
        Self::in_memory(StateMachine::default())
    }
}

impl Storage {
    /// As [`default`](Self::default), with a state machine that must not have been used.
    pub fn in_memory(machine: StateMachine) -> Self {
        Self {
            log: RaftLog::default(),
            machine,
            incarnation: runtime::random() >> (u64::BITS - INCARNATION_BITS),
            heard: BTreeMap::new(),
            folder: None,
        }
    }

    /// What is in a data folder. It is made if it is missing. `machine` gets the state; it must not
    /// have been used.
    ///
    /// # Errors
    /// Where the folder is refused: another process has it, it is no folder of cohort's, it is
    /// damaged, or a later version wrote it. Nothing was written to it then.
    pub async fn open(
        files: Arc<dyn Files>,
        machine: StateMachine,
        sizes: WalSizes,
    ) -> Result<Self, OpenError> {
        folder::open(files, machine, sizes, folder::Copies::Refused).await
    }

    /// The same for a folder that was moved, or copied from one that is gone for good: a node must
    /// never run twice.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub async fn open_moved(
        files: Arc<dyn Files>,
        machine: StateMachine,
        sizes: WalSizes,
    ) -> Result<Self, OpenError> {
        folder::open(files, machine, sizes, folder::Copies::Accepted).await
    }

    /// Makes the folder this node's, or looks whether it is. Nothing is kept before.
    ///
    /// # Errors
    /// Where the folder is another node's or another cluster's.
    pub fn belong_to(&mut self, node: &str, members: &[String]) -> Result<(), OpenError> {
        match &mut self.folder {
            Some(folder) => folder.belong_to(node, members, None, self.incarnation),
            None => Ok(()),
        }
    }

    /// The same for a cluster that has a name.
    ///
    /// # Errors
    /// Those of [`belong_to`](Self::belong_to); and where the folder is of a cluster of another
    /// name.
    pub fn belong_to_cluster(
        &mut self,
        node: &str,
        members: &[String],
        cluster: &str,
    ) -> Result<(), OpenError> {
        match &mut self.folder {
            Some(folder) => folder.belong_to(node, members, Some(cluster), self.incarnation),
            None => Ok(()),
        }
    }

    /// The name of the cluster that the folder belongs to, where it was told.
    pub fn cluster(&self) -> Option<&str> {
        self.folder.as_ref()?.cluster()
    }

    /// The number of the incarnation that begins now.
    ///
    /// A process that has its predecessor's memory has the next number after it. A process without
    /// memory has a number that nobody else has.
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// A number that no other data folder has, once the folder [belongs](Self::belong_to) to a node.
    /// `None`: nothing outlives the process.
    pub fn folder_id(&self) -> Option<u64> {
        self.folder.as_ref()?.id()
    }

    /// The last incarnation of each peer that earlier incarnations of this node had heard.
    pub fn heard(&self) -> &BTreeMap<NodeId, u64> {
        &self.heard
    }
}
