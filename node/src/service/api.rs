//! The common language of listeners and service: what can be asked of a node, and what comes back.
//!
//! A listener decodes its wire format into a [`Request`] and encodes a [`Response`]; what is
//! replicated is spoken of in the state machine's own commands, queries and replies, so there is no
//! third set of types between.

use std::time::Duration;

use state_machine::command::{Command, Lane, Query, RequestId};
use state_machine::ids::{GroupId, MemberId, NodeId};
pub use state_machine::rejection::Rejection;
pub use state_machine::reply::Reply;
use thiserror::Error;

/// A request at the service of the node that took it in. Within a lane later ones have greater
/// numbers.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct RequestNumber {
    /// Which numbering.
    pub lane: Lane,
    /// From 1.
    pub seq: u64,
}

/// What a listener can ask of the service.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Request {
    /// Change the replicated state.
    Command(Command),
    /// Read it, linearizably.
    Query(Query),
}

impl Request {
    /// Whether the request waits for its group by design.
    pub fn lane(&self) -> Lane {
        match self {
            Self::Command(command) => command.lane(),
            Self::Query(_) => Lane::Immediate,
        }
    }

    /// Which member it proves alive, if it is not refused; `request_id` is the request's.
    pub fn heard_member(&self, request_id: Option<&RequestId>) -> Option<(GroupId, MemberId)> {
        match self {
            Self::Command(command) => command.heard_member(request_id),
            Self::Query(query) => {
                let sign = query.heartbeat()?;
                Some((sign.group.clone(), sign.member?.clone()))
            }
        }
    }

    /// About how many bytes it takes.
    pub fn approximate_bytes(&self) -> usize {
        match self {
            Self::Command(command) => raft_store::codec::command_bytes(command),
            Self::Query(query) => raft_store::codec::query_bytes(query),
        }
    }
}

/// How a request ended.
pub type Response = Result<Reply, Failure>;

/// Why a request has no reply.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Failure {
    /// The state machine refused it: it has changed nothing.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The service failed.
    #[error(transparent)]
    Service(#[from] ServiceError),
}

/// What goes wrong outside the state machine. Each says whether the request certainly took no
/// effect.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ServiceError {
    /// Definite: nothing was proposed before the deadline.
    #[error("no leader could take the request within {timeout_ms} ms: nothing was done")]
    NotAvailable {
        /// How long it was tried.
        timeout_ms: u64,
    },
    /// Definite: a read whose answer was lost, and later requests of its client were executed.
    #[error("the answer was lost, and a later request of the same client was executed")]
    Overtaken,
    /// Definite: there are too many requests under way.
    #[error("requests under way take {open} bytes, and {limit} are allowed: nothing was done")]
    Overloaded {
        /// What they take.
        open: usize,
        /// What they may take.
        limit: usize,
    },
    /// Definite: the disk is nearly full, and takes no records.
    #[error("the disk has {free} bytes left, and {floor} are kept free: nothing was done")]
    DiskFull {
        /// What is left.
        free: u64,
        /// What has to be.
        floor: u64,
    },
    /// Definite: a larger request cannot be sent to a peer in one line.
    #[error("the request takes {bytes} bytes, and {limit} are allowed")]
    TooLarge {
        /// What it takes.
        bytes: usize,
        /// What it may take.
        limit: usize,
    },
    /// Indefinite: it may have taken effect, or may do so later.
    #[error("no outcome was known within {timeout_ms} ms: the request may have taken effect")]
    TimedOut {
        /// How long it was tried.
        timeout_ms: u64,
    },
    /// Indefinite: the request waited for its group, and this node leads no more.
    #[error("this node leads no more: the request may have taken effect")]
    NotLeading,
    /// The listener closed while the request waited for its group.
    #[error("the input ended while the request waited for its group")]
    Closed,
}

impl ServiceError {
    /// Indefinite, after this time.
    pub fn timed_out(timeout: Duration) -> Self {
        Self::TimedOut { timeout_ms: ms(timeout) }
    }

    /// Definite, after this time.
    pub fn not_available(timeout: Duration) -> Self {
        Self::NotAvailable { timeout_ms: ms(timeout) }
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What became of a request.
#[derive(Debug)]
pub enum Completion {
    /// It no longer holds up its client's later requests: it is delayed, which means that it waits
    /// for its group, or it has found no leader for as long as other requests may take.
    Delayed,
    /// It is over.
    Done(Response),
}

/// What a node knows of the cluster, without asking anybody.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// Who leads, if known.
    pub leader: Option<NodeId>,
    /// The Raft term.
    pub term: u64,
    /// Index of the last entry in the log.
    pub last_log_index: Option<u64>,
    /// Index up to which entries are raft-committed.
    pub commit_index: Option<u64>,
    /// Index up to which entries are applied.
    pub applied_index: Option<u64>,
    /// Index up to which the last snapshot reaches.
    pub snapshot_index: Option<u64>,
    /// Who votes.
    pub voters: Vec<NodeId>,
}
