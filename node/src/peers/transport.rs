//! What carries messages between nodes.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

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
    waiting: Mutex<Waiting>,
    notify: Notify,
    /// What waited was taken.
    taken: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    received: Vec<Received>,
    bytes: usize,
}

impl Inbox {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A message has come, which took so many bytes.
    pub fn deliver(&self, received: Received, bytes: usize) {
        let mut waiting = self.waiting();
        waiting.received.push(received);
        waiting.bytes += bytes;
        drop(waiting);
        self.notify.notify_one();
    }

    /// Waits until the messages that wait take no more than so many bytes.
    pub async fn has_room(&self, most: usize) {
        loop {
            let taken = self.taken.notified();
            if self.waiting().bytes <= most {
                return;
            }
            taken.await;
        }
    }

    /// Waits until messages have come, and takes them all. Dropping the wait loses none.
    pub async fn take(&self) -> Vec<Received> {
        loop {
            let Waiting { received, .. } = std::mem::take(&mut *self.waiting());
            if !received.is_empty() {
                self.taken.notify_waiters();
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
