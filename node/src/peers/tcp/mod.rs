//! Messages between nodes over TCP.
//!
//! A node connects to each of its peers twice: small messages never wait behind a snapshot or a
//! large append. Each connection carries messages one way, from the node that made it. This file
//! owns the queues of what is to be sent. `frames` is the form of what is said, `outbound` makes
//! connections and writes, `inbound` takes connections, judges who speaks, and reads.
//!
//! What the queue of a connection has no room for is lost, the oldest first. So is what was written
//! when a connection broke. Whoever uses a [`Transport`] lives with that.
//!
//! Nodes trust the network between them: a hello says who speaks, and nothing proves it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use runtime::Instant;
use runtime::net::Listener;
use state_machine::ids::NodeId;
use tokio::sync::Notify;

use super::message::Message;
use super::transport::{Inbox, Receiving, Transport};
use crate::cluster::addresses::{Addresses, name};
use crate::cluster::directory::{Directory, Endpoint};
use crate::cluster::incarnations::Incarnations;
use crate::limits;

mod frames;
mod inbound;
mod outbound;

use frames::{Hello, Use};

/// Who a node is among its peers.
#[derive(Debug, Clone)]
pub struct Own {
    /// The cluster's name.
    pub cluster: String,
    /// The node.
    pub node: NodeId,
    /// Its incarnation.
    pub incarnation: u64,
    /// Where its clients connect.
    pub endpoint: Endpoint,
}

/// See the [module](self). Clones are the same transport.
#[derive(Clone)]
pub struct TcpTransport(Arc<Shared>);

struct Shared {
    own: Own,
    /// A number that no other process has.
    process: u64,
    addresses: Addresses,
    directory: Directory,
    queues: BTreeMap<(NodeId, Use), Queue>,
    inbox: Inbox,
    /// Which incarnations of peers spoke.
    incarnations: Mutex<Incarnations>,
    /// Which process speaks for a peer now, and on how many connections.
    speaking: Mutex<BTreeMap<NodeId, Speaker>>,
}

/// A process that speaks for a peer.
#[derive(Debug, Clone, Copy)]
struct Speaker {
    incarnation: u64,
    process: u64,
    connections: usize,
}

/// What is to be sent on a connection.
#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    notify: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Frames, and when they came.
    frames: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a frame; how many older ones had to go for it.
    fn push(&self, frame: Vec<u8>) -> usize {
        let mut waiting = self.waiting();
        waiting.bytes += frame.len();
        waiting.frames.push_back((Instant::now(), frame));
        let mut lost = 0;
        while waiting.bytes > limits::PEER_QUEUE && waiting.frames.len() > 1 {
            let (_, oldest) = waiting.frames.pop_front().expect("there are two");
            waiting.bytes -= oldest.len();
            lost += 1;
        }
        drop(waiting);
        self.notify.notify_one();
        lost
    }

    /// Forgets what waits for too long to be of use.
    fn forget_old(&self) {
        let now = Instant::now();
        let mut waiting = self.waiting();
        while let Some((at, frame)) = waiting.frames.front()
            && now - *at > limits::PEER_STALE
        {
            waiting.bytes -= frame.len();
            waiting.frames.pop_front();
        }
    }

    /// Waits until there is something to send, and takes about as much as is written at a time.
    /// Cancelling it loses nothing.
    async fn take(&self) -> Vec<u8> {
        loop {
            let taken = self.take_now();
            if !taken.is_empty() {
                return taken;
            }
            self.notify.notified().await;
        }
    }

    fn take_now(&self) -> Vec<u8> {
        let mut waiting = self.waiting();
        let Some((_, mut taken)) = waiting.frames.pop_front() else { return Vec::new() };
        while taken.len() < limits::PEER_WRITE
            && let Some((_, frame)) = waiting.frames.pop_front()
        {
            taken.extend(frame);
        }
        waiting.bytes -= taken.len();
        taken
    }
}

impl TcpTransport {
    /// The transport of a node, which listens for its peers already, and begins to connect to them.
    /// It ends with the runtime. `heard`: which incarnations of peers earlier incarnations of this
    /// node had heard.
    pub fn start(
        own: Own,
        addresses: Addresses,
        directory: Directory,
        heard: &BTreeMap<NodeId, u64>,
        listener: Listener,
    ) -> Self {
        let peers: Vec<NodeId> = addresses.ids().filter(|id| *id != own.node).collect();
        let uses = [Use::Small, Use::Large];
        let queues = peers.iter().flat_map(|peer| uses.map(|usage| (*peer, usage)));
        let shared = Arc::new(Shared {
            process: runtime::random(),
            addresses,
            directory,
            queues: queues.map(|key| (key, Queue::default())).collect(),
            inbox: Inbox::default(),
            incarnations: Mutex::new(Incarnations::remembered(heard)),
            speaking: Mutex::default(),
            own,
        });
        for (peer, usage) in shared.queues.keys().copied() {
            // They end with the runtime: a node has its peers as long as it lives.
            let _task = runtime::spawn(outbound::keep_connected(shared.clone(), peer, usage));
        }
        let _task = runtime::spawn(inbound::accept(shared.clone(), listener));
        Self(shared)
    }
}

impl Shared {
    /// What this node says of itself to a peer.
    fn hello(&self, to: NodeId, usage: Use) -> Hello {
        let Own { cluster, node, incarnation, endpoint } = self.own.clone();
        Hello { cluster, from: node, incarnation, process: self.process, to, usage, endpoint }
    }
}

impl Transport for TcpTransport {
    fn send(&self, to: NodeId, message: &Message) {
        let peer = name(to);
        let frame = match frames::frame(message, message.about_bytes()) {
            Ok(frame) => frame,
            Err(problem) => {
                tracing::error!(peer, kind = message.kind(), %problem, "a message is not sent");
                return;
            }
        };
        let usage = if frame.len() > limits::PEER_SMALL { Use::Large } else { Use::Small };
        let Some(queue) = self.0.queues.get(&(to, usage)) else {
            tracing::error!(peer, "no node of that number");
            return;
        };
        let lost = queue.push(frame);
        if lost > 0 {
            tracing::debug!(peer, lost, "messages that found no room");
        }
    }

    fn receive(&self) -> Receiving<'_> {
        Box::pin(self.0.inbox.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_finds_no_room_is_lost_and_the_newest_is_kept() {
        let queue = Queue::default();
        let frame = |first: u8| {
            let mut frame = vec![0; limits::PEER_QUEUE / 2];
            frame[0] = first;
            frame
        };
        assert_eq!([queue.push(frame(1)), queue.push(frame(2)), queue.push(frame(3))], [0, 0, 1]);
        assert_eq!((queue.take().await[0], queue.take().await[0]), (2, 3));
        assert_eq!(queue.waiting().bytes, 0);
        assert_eq!(queue.push(vec![0; 2 * limits::PEER_QUEUE]), 0, "one always has room");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_old_when_a_connection_is_made_is_not_sent() {
        let within_a_clock = async {
            let queue = Queue::default();
            queue.push(vec![1]);
            runtime::sleep(limits::PEER_STALE * 2).await;
            queue.push(vec![2]);
            queue.forget_old();
            assert_eq!(queue.take().await, [2]);
        };
        runtime::Host::new(1, 0).scope(within_a_clock).await;
    }
}
