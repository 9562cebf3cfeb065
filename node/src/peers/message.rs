//! What nodes say to each other.
//!
//! Messages may be lost, repeated and delayed, and they may overtake each other.

use openraft::EntryPayload;
use openraft::alias::{EntryOf, SnapshotMetaOf, VoteOf};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use raft_store::TypeConfig;
use serde::{Deserialize, Serialize};
use state_machine::command::Lane;
use state_machine::reply::Outcome;

use crate::service::api::{Request, RequestNumber};

/// One message from node to node. An answer of either kind names the incarnation of the node that
/// asked: its next one numbers its questions and requests from the beginning again, and must not
/// take it for its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Message {
    /// A request of Raft's, answered under its number.
    Request(u64, RpcRequest),
    /// To that incarnation, the answer to the question of that number; `Err` where the node could
    /// not answer.
    Response(u64, u64, Result<RpcResponse, String>),
    /// Requests of the sender's clients, for the leader.
    Forward(Forward),
    /// To that incarnation, what became of such requests.
    ForwardReplies(u64, Vec<(RequestNumber, ForwardReply)>),
}

impl Message {
    /// About how many bytes it takes encoded, where those are many.
    pub fn about_bytes(&self) -> usize {
        match self {
            Self::Request(_, RpcRequest::Append(_, append)) => bytes_of(append),
            Self::Request(_, RpcRequest::Snapshot(chunk)) => chunk.bytes.len(),
            Self::Forward(forward) => {
                forward.items.iter().map(|item| item.request.approximate_bytes()).sum()
            }
            Self::Request(..) | Self::Response(..) | Self::ForwardReplies(..) => 0,
        }
    }

    /// What kind it is, for people who read the network's journal.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Request(_, RpcRequest::Append(..)) => "raft_append",
            Self::Request(_, RpcRequest::Vote(_)) => "raft_vote",
            Self::Request(_, RpcRequest::PreVote(_)) => "raft_pre_vote",
            Self::Request(_, RpcRequest::Snapshot(_)) => "raft_snapshot",
            Self::Request(_, RpcRequest::Probe(_)) => "raft_probe",
            Self::Request(_, RpcRequest::Release(_)) => "raft_release",
            Self::Request(_, RpcRequest::Transfer(_)) => "raft_transfer",
            Self::Response(.., Ok(RpcResponse::Transfer(_))) => "raft_transfer_ok",
            Self::Response(.., Ok(RpcResponse::Probe)) => "raft_probe_ok",
            Self::Response(.., Ok(RpcResponse::Append(_))) => "raft_append_ok",
            Self::Response(.., Ok(RpcResponse::Vote(_))) => "raft_vote_ok",
            Self::Response(
                ..,
                Ok(RpcResponse::ChunkReceived { .. } | RpcResponse::Snapshot(_)),
            ) => "raft_snapshot_ok",
            Self::Response(.., Err(_)) => "raft_error",
            Self::Forward(_) => "forward",
            Self::ForwardReplies(..) => "forward_ok",
        }
    }
}

/// About how many bytes an append takes encoded.
pub(super) fn bytes_of(append: &AppendEntriesRequest<TypeConfig>) -> usize {
    let beside = 64;
    let of_entry = |entry: &EntryOf<TypeConfig>| match &entry.payload {
        EntryPayload::Normal(proposal) => beside + proposal.encoded_len(),
        EntryPayload::Blank | EntryPayload::Membership(_) => beside,
    };
    beside + append.entries.iter().map(of_entry).sum::<usize>()
}

/// Whether a body type is one of [`Message::kind`]'s.
pub fn is_kind(kind: &str) -> bool {
    kind.starts_with("raft_") || kind == "forward" || kind == "forward_ok"
}

/// A question of Raft's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum RpcRequest {
    /// How long the leader's round trips are, in milliseconds
    /// ([`round_trips`](super::round_trips)); and entries, or a heartbeat.
    Append(u32, AppendEntriesRequest<TypeConfig>),
    /// A vote.
    Vote(VoteRequest<TypeConfig>),
    /// Whether a vote would be given.
    PreVote(VoteRequest<TypeConfig>),
    /// A chunk of a snapshot.
    Snapshot(SnapshotChunk),
    /// How long a round trip takes; from a leader, with what it tells of its own, in milliseconds.
    Probe(Option<u32>),
    /// A leader of that vote is not answered by a quorum: its followers need not wait for its lease
    /// ([`quorum`](super::quorum)).
    Release(VoteOf<TypeConfig>),
    /// The leader ends, and one of its followers is to lead.
    Transfer(TransferLeaderRequest<TypeConfig>),
}

/// One chunk of a snapshot.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SnapshotChunk {
    /// Which transfer of the sender's.
    pub transfer: u64,
    /// The leader's vote.
    pub vote: VoteOf<TypeConfig>,
    /// What the snapshot is of.
    pub meta: SnapshotMetaOf<TypeConfig>,
    /// Where the chunk begins, in bytes.
    pub offset: u64,
    /// How many bytes the state has, which comes first.
    pub state_len: u64,
    /// How many bytes the whole has.
    pub total: u64,
    /// The chunk.
    #[serde(with = "serde_bytes_vec")]
    pub bytes: Vec<u8>,
}

/// The answer to a question of Raft's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum RpcResponse {
    /// To [`RpcRequest::Append`].
    Append(AppendEntriesResponse<TypeConfig>),
    /// To [`RpcRequest::Vote`] and [`RpcRequest::PreVote`].
    Vote(VoteResponse<TypeConfig>),
    /// To [`RpcRequest::Snapshot`], while pieces are missing: how many bytes have come.
    ChunkReceived {
        /// From the beginning without gaps.
        received: u64,
    },
    /// To the last chunk.
    Snapshot(SnapshotResponse<TypeConfig>),
    /// To [`RpcRequest::Probe`] and [`RpcRequest::Release`].
    Probe,
    /// To [`RpcRequest::Transfer`].
    Transfer(TransferLeaderResponse<TypeConfig>),
}

/// Requests on their way from the node that took them in to the leader.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Forward {
    /// For each lane, the lowest number of the sender's that is still open: what is below may be
    /// forgotten, and will never be sent again.
    pub acknowledged: AcknowledgedBelow,
    /// The requests.
    pub items: Vec<ForwardItem>,
}

/// The lowest open number of each lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcknowledgedBelow {
    /// Of [`Lane::Immediate`].
    pub immediate: u64,
    /// Of [`Lane::Delayed`].
    pub delayed: u64,
}

impl Default for AcknowledgedBelow {
    fn default() -> Self {
        Self { immediate: 1, delayed: 1 }
    }
}

impl AcknowledgedBelow {
    /// That of one lane.
    pub fn of(&self, lane: Lane) -> u64 {
        match lane {
            Lane::Immediate => self.immediate,
            Lane::Delayed => self.delayed,
        }
    }

    /// Whether a request is over.
    pub fn closed(&self, id: RequestNumber) -> bool {
        id.seq < self.of(id.lane)
    }

    /// The higher of two in each lane: messages overtake each other, acknowledged never fall.
    pub fn max(self, other: Self) -> Self {
        Self {
            immediate: self.immediate.max(other.immediate),
            delayed: self.delayed.max(other.delayed),
        }
    }
}

/// One request on its way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ForwardItem {
    /// Its number at the sender's service; with the sender and its incarnation, its request id.
    pub id: RequestNumber,
    /// The request of the same client that has to be executed before it.
    pub after: Option<RequestNumber>,
    /// How many times it was sent before. A copy made by the network has the number of its
    /// original.
    pub attempt: u32,
    /// Of a read: the first later command of the same client that may have been executed already.
    /// After that the read is not executed any more.
    pub overtaken_by: Option<RequestNumber>,
    /// The request.
    pub request: Request,
}

/// What the leader hands back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum ForwardReply {
    /// The request is registered and waits for its group.
    Delayed,
    /// The request is over.
    Done(Outcome),
    /// A read: what it found is not known any more, and a later command of its client was executed.
    Overtaken,
}

/// Bytes as bytes, not as a list of numbers.
mod serde_bytes_vec {
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        Ok(Bytes::deserialize(deserializer)?.into())
    }
}
