//! What a node knows without asking anybody: of the cluster, and of what it has applied.

use std::sync::{Arc, OnceLock};

use openraft_rt::watch::WatchReceiver;
use raft_store::{Raft, RaftLog, StateMachine};
use runtime::durations::Measured;
use state_machine::command::Query;
use state_machine::ids::NodeId;
use state_machine::reply::Answer;

use super::api::{Response, Status};
use super::confirming::Confirming;

/// Where the status comes from.
pub(super) struct StatusSource {
    nodes: Vec<NodeId>,
    machine: StateMachine,
    log: RaftLog,
    /// Not there before Raft runs.
    raft: OnceLock<Raft>,
    confirming: Arc<Confirming>,
}

impl std::fmt::Debug for StatusSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StatusSource {{ nodes: {:?} }}", self.nodes)
    }
}

impl StatusSource {
    pub(super) fn new(nodes: Vec<NodeId>, machine: StateMachine, log: RaftLog) -> Self {
        let (raft, confirming) = (OnceLock::new(), Arc::default());
        Self { nodes, machine, log, raft, confirming }
    }

    /// Raft runs from now on.
    pub(super) fn started(&self, raft: Raft) {
        // It starts once.
        let _first = self.raft.set(raft);
    }

    /// Waits until it is known whether all that was acknowledged before is applied here. `false`:
    /// nobody can say.
    pub(super) async fn is_current(&self) -> bool {
        match self.raft.get() {
            // Without peers nobody else acknowledges anything.
            Some(_) if self.nodes.len() == 1 => true,
            Some(raft) => self.confirming.confirm(raft).await,
            None => false,
        }
    }

    /// The answer to a read, from what is applied. `None`: only the service can answer it, or says
    /// why nobody can.
    pub(super) fn answer(&self, query: &Query) -> Option<Response> {
        let answers = self.machine.answer([query]).ok()?;
        match answers.into_iter().next()? {
            Ok(Answer::Reply(reply)) => Some(Ok(reply)),
            Ok(Answer::NeedsCommand(_)) => None,
            Err(refused) => Some(Err(refused.into())),
        }
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
