//! What carries messages between nodes.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

use state_machine::ids::NodeId;
use tokio::sync::Notify;

use super::message::Message;

/// A message that has come.
#[derive(Debug)]
pub struct Received {
    /// The peer that sent it.
    pub from: NodeId,
    /// The incarnation of that peer.
    pub incarnation: u64,
    /// What it says.
    pub message: Message,
}

/// A wait for messages. Dropping it loses none.
pub type Receiving<'a> = Pin<Box<dyn Future<Output = Vec<Received>> + Send + 'a>>;

/// Carries messages to peers and from them. Messages may be lost, repeated and delayed, and may
/// overtake each other, as on any network.
pub trait Transport: Send + Sync + 'static {
    /// Sends a message, or drops it. Never waits.
    fn send(&self, to: NodeId, message: &Message);

    /// Waits until messages have come, and takes them all, in the order in which they came.
    fn receive(&self) -> Receiving<'_>;
}

/// Messages that have come and were not taken yet: what a transport's receiving end fills.
#[derive(Debug, Default)]
pub struct Inbox {
    received: Mutex<Vec<Received>>,
    notify: Notify,
}

impl Inbox {
    /// A message has come.
    pub fn deliver(&self, received: Received) {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).push(received);
        self.notify.notify_one();
    }

    /// Waits until messages have come, and takes them all. Dropping the wait loses none.
    pub async fn take(&self) -> Vec<Received> {
        loop {
            let received =
                std::mem::take(&mut *self.received.lock().unwrap_or_else(PoisonError::into_inner));
            if !received.is_empty() {
                return received;
            }
            self.notify.notified().await;
        }
    }
}

/// The transport of a node without peers.
#[derive(Debug, Clone, Copy)]
pub struct Nobody;

impl Transport for Nobody {
    fn send(&self, _to: NodeId, _message: &Message) {}

    fn receive(&self) -> Receiving<'_> {
        Box::pin(std::future::pending())
    }
}
