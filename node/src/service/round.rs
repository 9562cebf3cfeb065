//! One round of a leader: what was waiting, as one Raft entry or one ReadIndex, and how it ended.

use std::pin::Pin;
use std::time::Duration;

use openraft::errors::{ClientWriteError, LinearizableReadError, RaftError};
use openraft::raft::ReadPolicy;
use raft_store::experiment::{self, Flaw};
use raft_store::{Applied, Proposal, Raft, StateMachine};
use state_machine::command::{Command, Query, RequestId};
use state_machine::ids::NodeId;

use super::api::{Request, RequestNumber};
use crate::limits;

/// Whose request it is, and where its answer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyTo {
    /// This node's own clients'.
    Own(RequestNumber),
    /// A peer's clients', in that life of the peer.
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
    /// What is asked.
    pub request: Request,
}

impl Queued {
    /// A command of the leader's own.
    pub fn internal(command: Command) -> Self {
        Self { reply_to: ReplyTo::Internal, request_id: None, request: Request::Command(command) }
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
    /// Its entry was taken out of the log by another leader; it may still come back by that one's doing.
    Discarded,
    /// Raft has stopped for good.
    Fatal(String),
}

/// A round under way.
pub struct Round {
    /// The writes, in order, and what they were; empty where there are only reads.
    pub proposal: Option<Proposal>,
    /// Whose each write is.
    pub writes: Vec<ReplyTo>,
    /// The reads, in order, and whose each is.
    pub reads: Vec<(ReplyTo, Query, Option<RequestId>)>,
    /// Its end.
    pub end: Pin<Box<dyn Future<Output = RoundEnd> + Send>>,
}

/// Proposes an entry until Raft takes it, and waits until it is applied here. Dropped by the service when
/// somebody else leads.
pub async fn propose(raft: Raft, proposal: Proposal) -> RoundEnd {
    loop {
        match raft.client_write(proposal.clone()).await {
            Ok(written) => return RoundEnd::Applied(written.data),
            // Not appended: the lease of a leader that has just been elected, or lost its quorum, is over.
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

/// How long [`Flaw::AcknowledgedBeforeCommit`] waits for a quorum.
const IMPATIENCE: Duration = Duration::from_millis(50);

/// As [`propose`], but where a quorum takes its time, its word is not waited for.
pub async fn propose_impatiently(raft: Raft, machine: StateMachine, proposal: Proposal) -> RoundEnd {
    tokio::select! {
        biased;
        end = propose(raft, proposal.clone()) => end,
        () = runtime::sleep(IMPATIENCE) => RoundEnd::Applied(machine.preview(&proposal)),
    }
}

/// Waits until this node may read: it leads still, and has applied what was raft-committed when it asked.
///
/// openraft confirms that by a heartbeat, which it gives no more than a heartbeat's interval; where round
/// trips are longer, reads are answered only with a round that has writes.
pub async fn read_index(raft: Raft) -> RoundEnd {
    if experiment::has(Flaw::StaleRead) {
        return RoundEnd::MayRead;
    }
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
