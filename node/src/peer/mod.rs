//! What nodes say to each other, and how it gets there.
//!
//! [`Message`] is the language; [`Transport`] carries it; [`network`] is openraft's network over any
//! transport. Today's only transport is Maelstrom's, over stdout ([`maelstrom`]); sockets would be one more
//! file. Messages may be lost, repeated, delayed and overtake each other.

use openraft::alias::{SnapshotMetaOf, VoteOf};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use raft_store::TypeConfig;
use serde::{Deserialize, Serialize};
use state_machine::command::Lane;
use state_machine::ids::NodeId;
use state_machine::reply::Outcome;

use crate::api::{Request, RequestId};

pub mod maelstrom;
pub mod network;

/// One message from node to node. An answer of either kind names the life of the node that asked: its next life
/// numbers its questions and requests from the beginning again, and must not take it for its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Message {
    /// A question of Raft's, answered under its number.
    Ask(u64, Ask),
    /// To that life, the answer to the question of that number; `Err` where the node could not answer.
    Answer(u64, u64, Result<Answer, String>),
    /// Requests of the sender's clients, for the leader.
    Forward(Forward),
    /// To that life, what became of such requests.
    Forwarded(u64, Vec<(RequestId, Handed)>),
}

impl Message {
    /// What kind it is, for people who read the network's journal.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Ask(_, Ask::Append(_)) => "raft_append",
            Self::Ask(_, Ask::Vote(_)) => "raft_vote",
            Self::Ask(_, Ask::PreVote(_)) => "raft_pre_vote",
            Self::Ask(_, Ask::Snapshot(_)) => "raft_snapshot",
            Self::Answer(.., Ok(Answer::Append(_))) => "raft_append_ok",
            Self::Answer(.., Ok(Answer::Vote(_))) => "raft_vote_ok",
            Self::Answer(.., Ok(Answer::Piece { .. } | Answer::Snapshot(_))) => "raft_snapshot_ok",
            Self::Answer(.., Err(_)) => "raft_error",
            Self::Forward(_) => "forward",
            Self::Forwarded(..) => "forward_ok",
        }
    }
}

/// Whether a body type is one of [`Message::kind`]'s.
pub fn is_kind(kind: &str) -> bool {
    kind.starts_with("raft_") || kind == "forward" || kind == "forward_ok"
}

/// A question of Raft's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Ask {
    /// Entries, or a heartbeat.
    Append(AppendEntriesRequest<TypeConfig>),
    /// A vote.
    Vote(VoteRequest<TypeConfig>),
    /// Whether a vote would be given.
    PreVote(VoteRequest<TypeConfig>),
    /// A piece of a snapshot.
    Snapshot(Piece),
}

/// One piece of a snapshot.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Piece {
    /// Which transfer of the sender's.
    pub transfer: u64,
    /// The leader's vote.
    pub vote: VoteOf<TypeConfig>,
    /// What the snapshot is of.
    pub meta: SnapshotMetaOf<TypeConfig>,
    /// Where the piece begins, in bytes.
    pub offset: u64,
    /// How many bytes the whole has.
    pub total: u64,
    /// The piece.
    #[serde(with = "serde_bytes_vec")]
    pub bytes: Vec<u8>,
}

/// The answer to a question of Raft's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Answer {
    /// To [`Ask::Append`].
    Append(AppendEntriesResponse<TypeConfig>),
    /// To [`Ask::Vote`] and [`Ask::PreVote`].
    Vote(VoteResponse<TypeConfig>),
    /// To [`Ask::Snapshot`], while pieces are missing: how many bytes have come.
    Piece {
        /// From the beginning without gaps.
        received: u64,
    },
    /// To the last piece.
    Snapshot(SnapshotResponse<TypeConfig>),
}

/// Requests on their way from the node that took them in to the leader.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Forward {
    /// For each lane, the lowest number of the sender's that is still open: what is below may be forgotten,
    /// and will never be sent again.
    pub floors: Floors,
    /// The requests.
    pub items: Vec<ForwardItem>,
}

/// The lowest open number of each lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Floors {
    /// Of [`Lane::Prompt`].
    pub prompt: u64,
    /// Of [`Lane::Waiting`].
    pub waiting: u64,
}

impl Default for Floors {
    fn default() -> Self {
        Self { prompt: 1, waiting: 1 }
    }
}

impl Floors {
    /// That of one lane.
    pub fn of(&self, lane: Lane) -> u64 {
        match lane {
            Lane::Prompt => self.prompt,
            Lane::Waiting => self.waiting,
        }
    }

    /// Whether a request is over.
    pub fn closed(&self, id: RequestId) -> bool {
        id.seq < self.of(id.lane)
    }

    /// The higher of two in each lane: messages overtake each other, floors never fall.
    pub fn max(self, other: Self) -> Self {
        Self { prompt: self.prompt.max(other.prompt), waiting: self.waiting.max(other.waiting) }
    }
}

/// One request on its way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ForwardItem {
    /// Its number at the sender's service; with the sender and its incarnation, its origin.
    pub id: RequestId,
    /// The request of the same client that has to be executed before it.
    pub after: Option<RequestId>,
    /// How many times it was sent before. A copy made by the network has the number of its original.
    pub attempt: u32,
    /// The request.
    pub request: Request,
}

/// What the leader hands back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Handed {
    /// The request is registered and waits for its group.
    Registered,
    /// The request is over.
    Done(Outcome),
}

/// Carries messages to peers. Sending never waits and may fail silently, as networks do.
pub trait Transport: Send + Sync + 'static {
    /// Sends a message, or drops it.
    fn send(&self, to: NodeId, message: &Message);
}

/// Bytes as bytes, not as a list of numbers.
mod serde_bytes_vec {
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        Ok(Bytes::deserialize(deserializer)?.into())
    }
}
