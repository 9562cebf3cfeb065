//! Messages between nodes as lines of Maelstrom's protocol.
//!
//! `{"src":"n1","dest":"n2","body":{"type":"raft_append","incarnation":7,"data":"…"}}`: the type is
//! for people, `data` is the message in the replicated form, in base64. Each carries the sender's
//! incarnation.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64_simd::STANDARD_NO_PAD as BASE64;
use raft_store::codec::{self, DecodeError};
use state_machine::ids::NodeId;
use thiserror::Error;

use super::outbox::Outbox;
use crate::cluster::members::Members;
use crate::limits;
use crate::peers::message::Message;
use crate::peers::transport::{Inbox, Received, Receiving, Transport};

/// A transport over Maelstrom's pipe. What peers send comes in with the clients' lines; the
/// listener leaves it here. Clones are the same transport.
#[derive(Debug, Clone)]
pub struct LinesTransport(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    members: Members,
    incarnation: u64,
    outbox: Outbox,
    dropped: AtomicU64,
    inbox: Inbox,
}

impl LinesTransport {
    /// A transport of the node that `members` names, in its incarnation `incarnation`.
    pub fn new(members: Members, incarnation: u64, outbox: Outbox) -> Self {
        let (dropped, inbox) = (AtomicU64::new(0), Inbox::default());
        Self(Arc::new(Inner { members, incarnation, outbox, dropped, inbox }))
    }

    /// A peer's message has come.
    pub fn deliver(&self, received: Received) {
        // Lines have bounds of their own.
        self.0.inbox.deliver(received, 0);
    }
}

impl Transport for LinesTransport {
    fn send(&self, to: NodeId, message: &Message) {
        let inner = &self.0;
        let Some(name) = inner.members.name(to) else {
            tracing::error!(to, "no node of that number");
            return;
        };
        if inner.outbox.backlog() > limits::OUTPUT_TO_PEERS {
            let dropped = inner.dropped.fetch_add(1, Ordering::Relaxed) + 1;
            tracing::debug!(
                to = name,
                kind = message.kind(),
                dropped,
                "nobody reads what this node prints"
            );
            return;
        }
        let line = encode(inner.members.my_name(), name, inner.incarnation, message);
        if line.len() > limits::PRINTED_LINE {
            let (kind, len) = (message.kind(), line.len());
            tracing::error!(to = name, kind, len, "a message longer than a line may be");
            return;
        }
        inner.outbox.push(&line);
    }

    fn receive(&self) -> Receiving<'_> {
        Box::pin(self.0.inbox.take())
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
    BASE64.encode_append(&data, &mut line);
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
    Base64(#[from] base64_simd::Error),
    /// `data` is no message.
    #[error("data is no message: {0}")]
    Data(#[from] DecodeError),
}

/// Decodes the `data` of a peer's line.
///
/// # Errors
/// Where it is no message.
pub fn decode(data: &str) -> Result<Message, NotUnderstood> {
    Ok(codec::decode(&BASE64.decode_to_vec(data)?)?)
}
