//! Messages between nodes as lines of Maelstrom's protocol.
//!
//! `{"src":"n1","dest":"n2","body":{"type":"raft_append","incarnation":7,"data":"…"}}`: the type is for
//! people, `data` is the message in the replicated form, in base64. Each carries the sender's incarnation.

use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use raft_store::codec::{self, DecodeError};
use state_machine::ids::NodeId;
use thiserror::Error;

use super::outbox::{Outbox, PEER_LIMIT};
use crate::cluster::members::Members;
use crate::peers::message::Message;
use crate::peers::transport::Transport;

/// No line that a node prints is longer.
pub const MAX_PRINTED_LINE: usize = 4 * 1024 * 1024;

/// The most bytes of a message, so that it and its base64 form stay below [`MAX_PRINTED_LINE`].
pub const MAX_MESSAGE: usize = (MAX_PRINTED_LINE - 4096) / 4 * 3;

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

/// Why what a peer sent was not understood.
#[derive(Debug, Error)]
pub enum NotUnderstood {
    /// `data` is not base64.
    #[error("data is not base64: {0}")]
    Base64(#[from] base64::DecodeError),
    /// `data` is no message.
    #[error("data is no message: {0}")]
    Data(#[from] DecodeError),
}

/// Decodes the `data` of a peer's line.
///
/// # Errors
/// Where it is no message.
pub fn decode(data: &str) -> Result<Message, NotUnderstood> {
    Ok(codec::decode(&BASE64.decode(data)?)?)
}
