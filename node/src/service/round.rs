//! One round of a leader: what was waiting, as one Raft entry or one ReadIndex, and how it ended.

use std::pin::Pin;
use std::sync::Arc;

use openraft::errors::{ClientWriteError, LinearizableReadError, RaftError};
use openraft::raft::ReadPolicy;
use raft_store::{Applied, Proposal, Raft, StateMachine};
use state_machine::command::{Batch, Command, Query, RequestId};
use state_machine::ids::NodeId;

use super::api::{Request, RequestNumber};
use crate::{flaws, limits};

/// Whose request it is, and where its answer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyTo {
    /// This node's own clients'.
    Own(RequestNumber),
    /// A peer's clients', in that incarnation of the peer.
    Peer(NodeId, u64, RequestNumber),
    /// Nobody's: the coordinator's own doing.
    Internal,
}

/// A request in the leader's queue.
#[derive(Debug)]
pub struct Queued {
    /// Whose.
    pub reply_to: ReplyTo,
    /// Under which request id a command is applied.
    pub request_id: Option<RequestId>,
    /// Of a read: it is not executed after this command.
    pub overtaken_by: Option<RequestId>,
    /// What is asked.
    pub request: Request,
}

impl Queued {
    /// A command of the leader's own.
    pub fn internal(command: Command) -> Self {
        let request = Request::Command(command);
        Self { reply_to: ReplyTo::Internal, request_id: None, overtaken_by: None, request }
    }
}

/// How a round ended.
#[derive(Debug)]
pub enum RoundEnd {
    /// Its entry was applied here.
    Applied(Applied),
    /// Its reads may read now.
    MayRead,
    /// No quorum confirmed in time that this node leads: its reads wait for the next round.
    NotConfirmed,
    /// Its entry was taken out of the log by another leader; it may still come back by that one's
    /// doing.
    Discarded,
    /// Raft has stopped for good.
    Fatal(String),
}

/// Waits until a round has ended.
pub type End = Pin<Box<dyn Future<Output = RoundEnd> + Send>>;

/// A round under way.
pub struct Round {
    /// What was proposed; empty where there are only reads.
    pub batch: Arc<Batch>,
    /// Whose each of its writes is.
    pub writes: Vec<ReplyTo>,
    /// The reads, in order, and whose each is.
    pub reads: Vec<(ReplyTo, Query, Option<RequestId>)>,
    /// Its end.
    pub end: End,
}

impl Round {
    /// Begins a round. It proposes its writes; if it has none, it asks whether its reads may read.
    pub fn begin(
        raft: Raft,
        machine: &StateMachine,
        proposal: Option<Proposal>,
        writes: Vec<ReplyTo>,
        reads: Vec<(ReplyTo, Query, Option<RequestId>)>,
    ) -> Self {
        let end: End = match proposal.clone() {
            Some(proposal) => Box::pin(propose(raft, proposal)),
            None => Box::pin(read_index(raft)),
        };
        let end = flaws::round_end(machine, proposal.as_ref(), end);
        let batch = proposal.map(|proposal| proposal.batch()).unwrap_or_default();
        Self { batch, writes, reads, end }
    }
}

/// Proposes an entry until Raft takes it, and waits until it is applied here. Dropped by the
/// service when somebody else leads.
async fn propose(raft: Raft, proposal: Proposal) -> RoundEnd {
    loop {
        match raft.client_write(proposal.clone()).await {
            Ok(written) => return RoundEnd::Applied(written.data),
            // Not appended: the lease of a leader that has just been elected, or lost its quorum,
            // is over.
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_))) => {
                runtime::sleep(limits::ROUND_RETRY).await
            }
            Err(RaftError::APIError(ClientWriteError::LogEntryDiscarded(_))) => {
                return RoundEnd::Discarded;
            }
            Err(error) => return RoundEnd::Fatal(error.to_string()),
        }
    }
}

/// Waits until this node may read: it leads still, and has applied what was raft-committed when it
/// asked.
///
/// openraft confirms that by a heartbeat to a quorum, which it gives one heartbeat interval: at the
/// pace of Raft's clock one and a half round trips ([`round_trips`](crate::peers::round_trips)).
async fn read_index(raft: Raft) -> RoundEnd {
    loop {
        match raft.ensure_linearizable(ReadPolicy::ReadIndex).await {
            Ok(_) => return RoundEnd::MayRead,
            Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(_))) => {
                return RoundEnd::NotConfirmed;
            }
            Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(_))) => {
                runtime::sleep(limits::ROUND_RETRY).await
            }
            Err(error) => return RoundEnd::Fatal(error.to_string()),
        }
    }
}
