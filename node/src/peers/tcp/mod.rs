//! Messages between nodes over TCP.
//!
//! A node connects to each of its peers twice: small messages never wait behind a snapshot or a
//! large append. Each connection carries messages one way, from the node that made it. This file
//! owns the queues of what is to be sent. `frames` is the form of what is said before messages
//! begin, `proof` who is believed, `seal` the form of messages' frames. `outbound` makes
//! connections and writes; `inbound` takes connections, judges who speaks, and reads.
//!
//! What the queue of a connection has no room for is lost, the oldest first. So is what was written
//! when a connection broke. Whoever uses a [`Transport`] lives with that.
//!
//! With the cluster's secret both ends of a connection prove that they have it, and nobody between
//! them can change, repeat or add a message. All can still be read on the way. Without a secret
//! nodes trust the network between them: a hello says who speaks, and nothing proves it.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use raft_store::codec;
use runtime::Instant;
use runtime::net::{Listener, Stream};
use state_machine::ids::NodeId;
use tokio::io::AsyncReadExt;
use tokio::sync::{Notify, watch};

use super::message::Message;
use super::transport::{Inbox, Receiving, Transport};
use crate::cluster::addresses::{Addresses, name};
use crate::cluster::directory::{Directory, Endpoint};
use crate::cluster::incarnations::Incarnations;
use crate::cluster::secret::Secret;
use crate::connections::Connections;
use crate::limits;

mod frames;
mod inbound;
mod outbound;
mod proof;
mod seal;
#[cfg(test)]
mod tests;

use frames::{BadFrame, Hello, Use};
use seal::Seal;

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
    /// What all nodes of the cluster know and nobody else, where there is such a thing.
    pub secret: Option<Secret>,
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
    /// What a peer says that has heard this node with another memory.
    forgotten: watch::Sender<Option<String>>,
    /// Those that others made.
    connections: Connections,
    /// Those of them that are peers'.
    greeted: Connections,
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
    /// Messages, and when they came. Frames are made of them when they are written: only then it is
    /// known which connection they go on.
    messages: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a message; how many older ones had to go for it.
    fn push(&self, message: Vec<u8>) -> usize {
        let mut waiting = self.waiting();
        waiting.bytes += message.len();
        waiting.messages.push_back((Instant::now(), message));
        let mut lost = 0;
        while waiting.bytes > limits::PEER_QUEUE && waiting.messages.len() > 1 {
            let (_, oldest) = waiting.messages.pop_front().expect("there are two");
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
        while let Some((at, message)) = waiting.messages.front()
            && now - *at > limits::PEER_STALE
        {
            waiting.bytes -= message.len();
            waiting.messages.pop_front();
        }
    }

    /// Waits until there is something to send, and takes about as much as is written at a time, in
    /// frames. Cancelling it loses nothing.
    async fn take(&self, seal: &mut Seal) -> Vec<u8> {
        loop {
            let taken = self.take_now();
            if !taken.is_empty() {
                let len = taken.iter().map(|message| seal.frame_len(message)).sum();
                let mut frames = Vec::with_capacity(len);
                taken.iter().for_each(|message| seal.put(message, &mut frames));
                return frames;
            }
            self.notify.notified().await;
        }
    }

    fn take_now(&self) -> Vec<Vec<u8>> {
        let mut waiting = self.waiting();
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while bytes < limits::PEER_WRITE
            && let Some((_, message)) = waiting.messages.pop_front()
        {
            bytes += message.len();
            taken.push(message);
        }
        waiting.bytes -= bytes;
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
            forgotten: watch::Sender::default(),
            connections: Connections::default(),
            greeted: Connections::default(),
            own,
        });
        for (peer, usage) in shared.queues.keys().copied() {
            // They end with the runtime: a node has its peers as long as it lives.
            let _task = runtime::spawn(outbound::keep_connected(shared.clone(), peer, usage));
        }
        let _task = runtime::spawn(inbound::accept(shared.clone(), listener));
        Self(shared)
    }

    /// The connections that others have made to this node.
    pub fn connections(&self) -> Connections {
        self.0.connections.clone()
    }

    /// Waits until a peer says that it has heard this node before, with a memory that the node does
    /// not have now; what it says. Such a peer never listens to the node again, so most wait for
    /// ever. Dropping the wait loses nothing.
    pub async fn forgotten(&self) -> String {
        let mut told = self.0.forgotten.subscribe();
        let told = told.wait_for(Option::is_some).await.ok().and_then(|told| told.clone());
        // The other end of what is waited for is held here.
        told.unwrap_or_default()
    }
}

impl Shared {
    /// How many connections of others may be open now.
    fn most_connections(&self) -> usize {
        let peers = self.addresses.ids().count().saturating_sub(1);
        let of_peers = self.greeted.open().min(limits::PEER_CONNECTIONS * peers);
        limits::PEER_STRANGERS + of_peers
    }

    /// What this node says of itself to a peer.
    fn hello(&self, to: NodeId, usage: Use) -> Hello {
        let Own { cluster, node, incarnation, endpoint, secret } = self.own.clone();
        let challenge = secret.map(|_| proof::challenge());
        let process = self.process;
        Hello { cluster, from: node, incarnation, process, to, usage, endpoint, challenge }
    }
}

/// Waits for what the other end says next before messages begin. `None`: the connection was closed.
async fn heard<E>(stream: &mut Stream, input: &mut BytesMut) -> Result<Option<Bytes>, E>
where
    E: From<io::Error> + From<BadFrame>,
{
    loop {
        if let Some(said) = frames::take_said(input)? {
            return Ok(Some(said));
        }
        if stream.read_buf(input).await? == 0 {
            return Ok(None);
        }
    }
}

impl Transport for TcpTransport {
    fn send(&self, to: NodeId, message: &Message) {
        let room = Vec::with_capacity(message.about_bytes());
        let body = codec::encode_behind(room, message);
        let usage = if body.len() > limits::PEER_SMALL { Use::Large } else { Use::Small };
        let (peer, kind, len) = (name(to), message.kind(), body.len());
        let Some(queue) = self.0.queues.get(&(to, usage)) else {
            tracing::error!(peer, "no node of that number");
            return;
        };
        if len > limits::PEER_FRAME {
            tracing::error!(peer, kind, len, "a message larger than a frame may be");
            return;
        }
        let lost = queue.push(body);
        if lost > 0 {
            tracing::debug!(peer, lost, "messages that found no room");
        }
    }

    fn receive(&self) -> Receiving<'_> {
        Box::pin(self.0.inbox.take())
    }
}
