//! What a node knows of the cluster, without asking anybody.

use std::sync::OnceLock;

use openraft_rt::watch::WatchReceiver;
use raft_store::{Raft, RaftLog, StateMachine};
use runtime::durations::Measured;
use state_machine::ids::NodeId;

use super::api::Status;

/// Where the status comes from.
pub(super) struct StatusSource {
    nodes: Vec<NodeId>,
    machine: StateMachine,
    log: RaftLog,
    /// Not there before Raft runs.
    raft: OnceLock<Raft>,
}

impl std::fmt::Debug for StatusSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StatusSource {{ nodes: {:?} }}", self.nodes)
    }
}

impl StatusSource {
    pub(super) fn new(nodes: Vec<NodeId>, machine: StateMachine, log: RaftLog) -> Self {
        Self { nodes, machine, log, raft: OnceLock::new() }
    }

    /// Raft runs from now on.
    pub(super) fn started(&self, raft: Raft) {
        // It starts once.
        let _first = self.raft.set(raft);
    }

    /// How long syncs of the log took, if it is on a disk.
    pub(super) fn syncs(&self) -> Option<Measured> {
        self.log.syncs()
    }

    /// The status at this moment.
    pub(super) fn now(&self) -> Status {
        let Some(raft) = self.raft.get() else {
            return Status { voters: self.nodes.clone(), ..Status::default() };
        };
        let metrics = raft.metrics().borrow_watched().clone();
        Status {
            leader: metrics.current_leader,
            term: metrics.current_term,
            last_log_index: metrics.last_log_index,
            commit_index: metrics.local_committed.map(|id| id.index()),
            applied_index: self.machine.applied().map(|id| id.index()),
            snapshot_index: self.machine.snapshot_index(),
            voters: metrics.membership_config.membership().voter_ids().collect(),
        }
    }
}
