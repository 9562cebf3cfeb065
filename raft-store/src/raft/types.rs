//! The types that openraft is set up with: entries, answers, nodes.

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use openraft::alias::SnapshotOf;
use openraft::impls::leader_id_std::LeaderId;
use runtime::PacedRuntime;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use state_machine::State;
use state_machine::command::Batch;
use state_machine::event::Event;
use state_machine::ids::NodeId;
use state_machine::reply::{Answered, Decided};

use crate::codec;

openraft::declare_raft_types!(
    /// cohort's types. Leader ids are text-book Raft: one leader a term.
    pub TypeConfig:
        D = Proposal,
        R = Applied,
        NodeId = NodeId,
        Node = (),
        LeaderId = LeaderId<Self::Term, Self::NodeId>,
        AsyncRuntime = PacedRuntime,
);

/// A snapshot: the state, and where in the log it was taken.
pub(crate) type Snapshot = SnapshotOf<TypeConfig, Arc<State>>;

/// Which of a leader's rounds an entry is. The reads that are batched with the entry go by this
/// name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct RoundId {
    /// The incarnation of the node that proposed it.
    pub incarnation: u64,
    /// Its number there, from 1.
    pub number: u64,
}

/// An entry of the Raft log: a batch of commands. Clones share it.
#[derive(Clone, PartialEq, Eq)]
pub struct Proposal(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    round: RoundId,
    batch: Batch,
    approximate_bytes: usize,
    /// Encoded once, however many followers it is sent to.
    encoded: OnceLock<Bytes>,
}

impl PartialEq for Inner {
    fn eq(&self, other: &Self) -> bool {
        self.round == other.round && self.batch == other.batch
    }
}

impl Eq for Inner {}

impl Proposal {
    /// A round's batch.
    pub fn new(round: RoundId, batch: Batch) -> Self {
        let approximate_bytes = codec::approximate_bytes(&batch);
        Self(Arc::new(Inner { round, batch, approximate_bytes, encoded: OnceLock::new() }))
    }

    /// Which round it is.
    pub fn round(&self) -> RoundId {
        self.0.round
    }

    /// Its commands.
    pub fn batch(&self) -> &Batch {
        &self.0.batch
    }

    /// Its encoded form.
    fn encoded(&self) -> &Bytes {
        self.0.encoded.get_or_init(|| codec::encode(&(self.0.round, &self.0.batch)).into())
    }

    /// About how many bytes it takes in the log; always the same for a proposal.
    pub fn approximate_bytes(&self) -> usize {
        self.0.approximate_bytes
    }
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} writes at {}", self.0.batch.writes.len(), self.0.batch.stamp.now_ms)
    }
}

impl fmt::Debug for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Proposal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.encoded())
    }
}

impl<'de> Deserialize<'de> for Proposal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = Bytes::deserialize(deserializer)?;
        let (round, batch): (RoundId, Batch) = codec::decode(&bytes).map_err(D::Error::custom)?;
        let approximate_bytes = codec::approximate_bytes(&batch);
        Ok(Self(Arc::new(Inner { round, batch, approximate_bytes, encoded: OnceLock::new() })))
    }
}

/// What applying an entry gave, for the leader that proposed it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Applied {
    /// One for each write, in order.
    pub outcomes: Vec<Decided>,
    /// One for each read that was batched with the entry, in order.
    pub answers: Vec<Answered>,
    /// What happened to groups.
    pub events: Vec<Event>,
}
