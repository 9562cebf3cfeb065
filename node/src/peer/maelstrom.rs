//! Messages between nodes as lines of Maelstrom's protocol.
//!
//! `{"src":"n1","dest":"n2","body":{"type":"raft_append","incarnation":7,"data":"…"}}`: the type is for
//! people, `data` is the message in the replicated form, in base64. Each carries the sender's incarnation.
//!
//! **The rule of lives.** A process that begins without memory draws its incarnation at random; one that is started
//! on what its predecessor had synced takes the next number
//! ([`Storage::begin_life`](raft_store::Storage::begin_life)). Whoever has heard one life of a node takes a number
//! a little above it for a later life of the same memory, and goes on with that one. Any other number it
//! ignores: a process that lost its memory must not vote or acknowledge in the name of the one that had it, and
//! what an earlier life said comes too late. So a node may come back with its memory as often as it likes, and
//! without it never. (Which lives a node has heard is not part of its memory: who comes back listens to
//! whoever speaks first. A disk in production would have to keep that beside the vote.)

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use raft_store::codec::{self, DecodeError};
use state_machine::ids::NodeId;
use thiserror::Error;

use super::{Message, Transport};
use crate::outbox::{Outbox, PEER_LIMIT};

/// No line that a node prints is longer.
pub const MAX_PRINTED_LINE: usize = 4 * 1024 * 1024;

/// The most bytes of a message, so that it and its base64 form stay below [`MAX_PRINTED_LINE`].
pub const MAX_MESSAGE: usize = (MAX_PRINTED_LINE - 4096) / 4 * 3;

/// Who is in the cluster: names and numbers, and which of them this node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Members {
    names: Vec<String>,
    me: NodeId,
}

impl Members {
    /// From `init`: a node's own name and everyone's. Numbers go by the sorted names, so that all nodes give
    /// the same ones. `None` where the own name is not among them.
    pub fn new(me: &str, names: impl IntoIterator<Item = String>) -> Option<Self> {
        let mut names: Vec<String> = names.into_iter().collect();
        names.sort();
        names.dedup();
        let at = names.binary_search_by(|name| name.as_str().cmp(me)).ok()?;
        Some(Self { names, me: at as NodeId + 1 })
    }

    /// This node.
    pub fn me(&self) -> NodeId {
        self.me
    }

    /// This node's name.
    pub fn my_name(&self) -> &str {
        &self.names[self.me as usize - 1]
    }

    /// All nodes, in the order of their names.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        1..=self.names.len() as NodeId
    }

    /// How many nodes there are.
    pub fn count(&self) -> usize {
        self.names.len()
    }

    /// A node's name.
    pub fn name(&self, id: NodeId) -> Option<&str> {
        self.names.get(usize::try_from(id).ok()?.checked_sub(1)?).map(String::as_str)
    }

    /// A peer's number; `None` for this node and for strangers.
    pub fn peer(&self, name: &str) -> Option<NodeId> {
        let at = self.names.binary_search_by(|n| n.as_str().cmp(name)).ok()?;
        let id = at as NodeId + 1;
        (id != self.me).then_some(id)
    }
}

/// Peers over stdout.
#[derive(Debug)]
pub struct StdoutTransport {
    members: Members,
    incarnation: u64,
    outbox: Outbox,
    sent: AtomicU64,
    dropped: AtomicU64,
}

impl StdoutTransport {
    /// A transport of the node that `members` names, in its life `incarnation`.
    pub fn new(members: Members, incarnation: u64, outbox: Outbox) -> Self {
        Self { members, incarnation, outbox, sent: AtomicU64::new(0), dropped: AtomicU64::new(0) }
    }

    /// How many messages were sent, and how many dropped because nobody reads.
    pub fn counts(&self) -> (u64, u64) {
        (self.sent.load(Ordering::Relaxed), self.dropped.load(Ordering::Relaxed))
    }
}

impl Transport for StdoutTransport {
    fn send(&self, to: NodeId, message: &Message) {
        let Some(name) = self.members.name(to) else {
            tracing::error!(to, "no node of that number");
            return;
        };
        if self.outbox.backlog() > PEER_LIMIT {
            let dropped = self.dropped.fetch_add(1, Ordering::Relaxed) + 1;
            tracing::debug!(to = name, kind = message.kind(), dropped, "nobody reads what this node prints");
            return;
        }
        let line = encode(self.members.my_name(), name, self.incarnation, message);
        if line.len() > MAX_PRINTED_LINE {
            tracing::error!(
                to = name,
                kind = message.kind(),
                len = line.len(),
                "a message longer than a line may be"
            );
            return;
        }
        self.sent.fetch_add(1, Ordering::Relaxed);
        self.outbox.push(&line);
    }
}

fn encode(src: &str, dest: &str, incarnation: u64, message: &Message) -> Vec<u8> {
    let data = codec::encode(message);
    let mut line = Vec::with_capacity(data.len() / 3 * 4 + 128 + src.len() + dest.len());
    line.extend_from_slice(b"{\"src\":");
    quote(src, &mut line);
    line.extend_from_slice(b",\"dest\":");
    quote(dest, &mut line);
    line.extend_from_slice(b",\"body\":{\"type\":");
    quote(message.kind(), &mut line);
    line.extend_from_slice(format!(",\"incarnation\":{incarnation},\"data\":\"").as_bytes());
    let start = line.len();
    line.resize(start + data.len().div_ceil(3) * 4, 0);
    let len = BASE64.encode_slice(&data, &mut line[start..]).expect("there is room for base64");
    line.truncate(start + len);
    line.extend_from_slice(b"\"}}\n");
    line
}

fn quote(text: &str, line: &mut Vec<u8>) {
    serde_json::to_writer(line, text).expect("a string is valid JSON, and a Vec takes it");
}

/// A later life of the same memory has an incarnation at most so much higher than the last one that was heard. A
/// random number meets that by chance once in 2^37 times.
const LATER_LIVES: u64 = 1 << 16;

/// Why a peer's message was not understood.
#[derive(Debug, Error)]
pub enum PeerError {
    /// `data` is not base64.
    #[error("data is not base64: {0}")]
    Base64(#[from] base64::DecodeError),
    /// `data` is no message.
    #[error("data is no message: {0}")]
    Data(#[from] DecodeError),
    /// It is from an earlier life of that node, or from one without the memory of the life that was heard.
    #[error(
        "from incarnation {found} of node {node}, but {known} was heard before, and this is not its heir"
    )]
    Incarnation {
        /// The node.
        node: NodeId,
        /// The last life that was heard.
        known: u64,
        /// This one's.
        found: u64,
    },
}

/// Which life of each peer this node has heard.
#[derive(Debug, Default)]
pub struct Lives(BTreeMap<NodeId, u64>);

impl Lives {
    /// Decodes what a peer sent.
    ///
    /// # Errors
    /// Where it is no message, or from neither the life of the peer that was heard last nor a later one with the
    /// same memory.
    pub fn decode(&mut self, from: NodeId, incarnation: u64, data: &str) -> Result<Message, PeerError> {
        let heir = |known: u64| incarnation.checked_sub(known).is_some_and(|later| later <= LATER_LIVES);
        if let Some(&known) = self.0.get(&from).filter(|known| !heir(**known)) {
            return Err(PeerError::Incarnation { node: from, known, found: incarnation });
        }
        let message = codec::decode(&BASE64.decode(data)?)?;
        // Only who says something sensible is remembered, or a forged line could lock the node out.
        self.0.insert(from, incarnation);
        Ok(message)
    }

    /// The life of a peer that was heard last, if any.
    pub fn of(&self, peer: NodeId) -> Option<u64> {
        self.0.get(&peer).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a peer might say.
    fn data() -> String {
        BASE64.encode(codec::encode(&Message::Forwarded(1, Vec::new())))
    }

    #[test]
    fn a_later_life_with_the_same_memory_is_heard_and_silences_the_earlier() {
        let (mut lives, data) = (Lives::default(), data());
        assert!(lives.decode(2, 1_000, &data).is_ok());
        assert!(lives.decode(2, 1_003, &data).is_ok(), "two lives passed unheard");
        let refused = lives.decode(2, 1_000, &data);
        assert!(matches!(refused, Err(PeerError::Incarnation { node: 2, known: 1_003, found: 1_000 })));
        assert_eq!(lives.of(2), Some(1_003));
        assert!(lives.decode(3, 7, &data).is_ok(), "each node has lives of its own");
    }

    #[test]
    fn a_life_without_the_memory_of_the_one_before_is_ignored() {
        let (mut lives, data) = (Lives::default(), data());
        assert!(lives.decode(2, 1 << 40, &data).is_ok());
        for found in [0, 1 << 39, (1 << 40) - 1, (1 << 40) + LATER_LIVES + 1, u64::MAX] {
            assert!(lives.decode(2, found, &data).is_err(), "{found}");
        }
        assert_eq!(lives.of(2), Some(1 << 40));
    }

    #[test]
    fn nonsense_does_not_change_who_is_heard() {
        let (mut lives, data) = (Lives::default(), data());
        assert!(lives.decode(2, 5, "no base64 !").is_err());
        assert_eq!(lives.of(2), None);
        assert!(lives.decode(2, 5, &data).is_ok());
        assert!(lives.decode(2, 6, "AAAA").is_err());
        assert_eq!(lives.of(2), Some(5));
    }
}
