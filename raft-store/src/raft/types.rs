//! The types that openraft is set up with: entries, answers, nodes.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use openraft::alias::SnapshotOf;
use openraft::impls::leader_id_std::LeaderId;
use runtime::PacedRuntime;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use state_machine::command::Batch;
use state_machine::event::Event;
use state_machine::ids::NodeId;
use state_machine::reply::{Answered, Decided};

use crate::checkpoint::Checkpoint;
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

/// A snapshot: the state with its records, and where in the log it was taken.
pub(crate) type Snapshot = SnapshotOf<TypeConfig, Arc<Checkpoint>>;

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
#[derive(Clone)]
pub struct Proposal(Arc<Inner>);

struct Inner {
    round: RoundId,
    approximate_bytes: usize,
    /// Encoded once, however many followers it is sent to.
    encoded: OnceLock<Bytes>,
    /// `None` once it is [packed](Proposal::pack).
    batch: Mutex<Option<Arc<Batch>>>,
}

impl PartialEq for Proposal {
    fn eq(&self, other: &Self) -> bool {
        self.0.round == other.0.round && self.batch() == other.batch()
    }
}

impl Eq for Proposal {}

impl Proposal {
    /// A round's batch.
    pub fn new(round: RoundId, mut batch: Batch) -> Self {
        // It may stay in the log for long.
        batch.writes.shrink_to_fit();
        Self::of(round, batch, OnceLock::new())
    }

    /// From its encoded form.
    ///
    /// # Errors
    /// Where the bytes are of another version or malformed.
    pub(crate) fn from_encoded(bytes: Bytes) -> Result<Self, codec::DecodeError> {
        let (round, batch): (RoundId, Batch) = codec::decode(&bytes)?;
        Ok(Self::of(round, batch, OnceLock::from(bytes)))
    }

    fn of(round: RoundId, batch: Batch, encoded: OnceLock<Bytes>) -> Self {
        let approximate_bytes = codec::approximate_bytes(&batch);
        let batch = Mutex::new(Some(Arc::new(batch)));
        Self(Arc::new(Inner { round, approximate_bytes, encoded, batch }))
    }

    /// Which round it is.
    pub fn round(&self) -> RoundId {
        self.0.round
    }

    fn held(&self) -> MutexGuard<'_, Option<Arc<Batch>>> {
        self.0.batch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its commands.
    pub fn batch(&self) -> Arc<Batch> {
        if let Some(batch) = &*self.held() {
            return batch.clone();
        }
        let (_, batch): (RoundId, Batch) =
            codec::decode(self.encoded()).expect("it was encoded, or decoded once before");
        Arc::new(batch)
    }

    /// Its encoded form.
    pub(crate) fn encoded(&self) -> &Bytes {
        self.0.encoded.get_or_init(|| {
            let held = self.held();
            let batch = held.as_deref().expect("it is packed only where it is encoded");
            // More than it takes, as what a command takes in memory is more.
            let room = Vec::with_capacity(self.0.approximate_bytes);
            let mut encoded = codec::encode_behind(room, &(self.0.round, batch));
            // What is saved has to be worth a copy.
            if encoded.capacity() - encoded.len() > encoded.len() / 4 {
                encoded.shrink_to_fit();
            }
            encoded.into()
        })
    }

    /// How many bytes its encoded form has.
    pub fn encoded_len(&self) -> usize {
        self.encoded().len()
    }

    /// Lets go of the commands where they are held in encoded form too, which takes a third of the
    /// memory. For who has applied it; it may still be sent to others.
    pub(crate) fn pack(&self) {
        if self.0.encoded.get().is_some() {
            *self.held() = None;
        }
    }

    /// About how many bytes it takes in the log before it is packed; always the same for a
    /// proposal.
    pub fn approximate_bytes(&self) -> usize {
        self.0.approximate_bytes
    }
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let batch = self.batch();
        write!(f, "{} writes at {}", batch.writes.len(), batch.stamp.now_ms)
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
        Self::from_encoded(Bytes::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// What applying an entry gave, for the leader that proposed it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Applied {
    /// One for each write, in order.
    pub outcomes: Vec<Decided>,
    /// One for each read that was batched with the entry, in order.
    pub answers: Vec<Answered>,
    /// What happened to groups, topics and the clock.
    pub events: Vec<Event>,
}
