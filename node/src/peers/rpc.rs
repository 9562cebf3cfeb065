//! openraft's network over any [`Transport`]: requests with numbers, responses by number, and a time-out for each.
//!
//! openraft does not end a call by itself, so every call here ends: with the response, or after its time. A
//! late response finds no one waiting and is dropped. How snapshots travel is in [`snapshots`](super::snapshots).
//!
//! The module does not answer requests: what a peer asks goes to the service, which knows Raft.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use openraft::alias::{SnapshotOf, VoteOf};
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{AsyncRuntime, OptionalSend, RPCTypes, RaftNetworkFactory, RaftNetworkV2};
use raft_store::TypeConfig;
use runtime::Runtime;
use state_machine::State;
use state_machine::ids::NodeId;
use tokio::sync::oneshot;

use super::message::{Message, RpcRequest, RpcResponse};
use super::snapshots;
use super::transport::{Received, Transport};
use crate::cluster::incarnations::Incarnations;

/// How long calls may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// An append with entries.
    pub append: Duration,
    /// A chunk of a snapshot.
    pub chunk: Duration,
}

type Waiting = BTreeMap<u64, oneshot::Sender<Result<RpcResponse, String>>>;

#[derive(Debug, Default)]
struct Calls {
    next: u64,
    waiting: Waiting,
}

/// A node's line to its peers. Clones are the same line.
pub struct Peers(Arc<Inner>);

struct Inner {
    me: NodeId,
    transport: Box<dyn Transport>,
    timeouts: Timeouts,
    calls: Mutex<Calls>,
    listened_to: Mutex<Listened>,
}

/// Which incarnations of peers are listened to, and how many messages of others were skipped.
#[derive(Default)]
struct Listened {
    incarnations: Incarnations,
    skipped: u64,
}

impl Clone for Peers {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Forgets the call when its future ends or is dropped.
struct Call<'a>(&'a Peers, u64);

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.calls().waiting.remove(&self.1);
    }
}

impl Peers {
    /// The line of node `me`.
    pub fn new(me: NodeId, transport: Box<dyn Transport>, timeouts: Timeouts) -> Self {
        let (calls, listened_to) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Inner { me, transport, timeouts, calls, listened_to }))
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.0.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a message, or loses it.
    pub fn send(&self, to: NodeId, message: &Message) {
        self.0.transport.send(to, message);
    }

    /// Waits for messages, and gives those of incarnations that this node listens to. Dropping the wait loses none.
    pub async fn receive(&self) -> Vec<Received> {
        loop {
            let mut received = self.0.transport.receive().await;
            let mut listened = self.0.listened_to.lock().unwrap_or_else(PoisonError::into_inner);
            received.retain(|Received { from, incarnation, .. }| {
                let Err(ignored) = listened.incarnations.hear(*from, *incarnation) else { return true };
                listened.skipped += 1;
                tracing::warn!(skipped = listened.skipped, %ignored, "a peer's message");
                false
            });
            drop(listened);
            if !received.is_empty() {
                return received;
            }
        }
    }

    async fn request(
        &self,
        to: NodeId,
        request: RpcRequest,
        timeout: Duration,
    ) -> Option<Result<RpcResponse, String>> {
        let (sender, receiver) = oneshot::channel();
        let call = {
            let mut calls = self.calls();
            calls.next += 1;
            let number = calls.next;
            calls.waiting.insert(number, sender);
            Call(self, number)
        };
        self.send(to, &Message::Request(call.1, request));
        Runtime::timeout(timeout, receiver).await.ok()?.ok()
    }

    /// A response has come.
    pub fn respond(&self, number: u64, response: Result<RpcResponse, String>) {
        let waiting = self.calls().waiting.remove(&number);
        // A late response, or a second copy, has nobody waiting for it.
        if let Some(sender) = waiting
            && sender.send(response).is_err()
        {
            tracing::trace!(number, "the caller gave up");
        }
    }
}

/// Makes openraft's clients.
#[derive(Clone)]
pub struct Network(pub Peers);

/// openraft's client of one peer.
pub struct Client {
    peers: Peers,
    to: NodeId,
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Client;

    async fn new_client(&mut self, target: NodeId, _node: &()) -> Client {
        Client { peers: self.0.clone(), to: target }
    }
}

impl Client {
    /// How long a chunk of a snapshot may take.
    pub(super) fn chunk_timeout(&self) -> Duration {
        self.peers.0.timeouts.chunk
    }

    /// Sends a request to this client's peer and waits for the response; `None` when none came in time.
    pub(super) async fn request(
        &self,
        request: RpcRequest,
        timeout: Duration,
    ) -> Option<Result<RpcResponse, String>> {
        self.peers.request(self.to, request, timeout).await
    }

    pub(super) fn timeout(&self, action: RPCTypes, timeout: Duration) -> Timeout<TypeConfig> {
        Timeout { action, id: self.peers.0.me, target: self.to, timeout }
    }

    async fn call<T>(
        &self,
        action: RPCTypes,
        request: RpcRequest,
        timeout: Duration,
        expected: impl FnOnce(RpcResponse) -> Option<T>,
    ) -> Result<T, RPCError<TypeConfig>> {
        match self.request(request, timeout).await {
            None => Err(RPCError::Timeout(self.timeout(action, timeout))),
            Some(Err(problem)) => Err(RPCError::Unreachable(Unreachable::from_string(problem))),
            Some(Ok(answer)) => expected(answer).ok_or_else(|| {
                RPCError::Network(NetworkError::from_string("the answer is to another question"))
            }),
        }
    }
}

impl RaftNetworkV2<TypeConfig> for Client {
    type SnapshotData = Arc<State>;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        // openraft gives an append no more than a heartbeat's interval, which no round trip of 100 ms meets.
        let timeout = option.soft_ttl().max(self.peers.0.timeouts.append);
        let answer = |answer| if let RpcResponse::Append(response) = answer { Some(response) } else { None };
        self.call(RPCTypes::AppendEntries, RpcRequest::Append(request), timeout, answer).await
    }

    async fn vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let answer = |answer| if let RpcResponse::Vote(response) = answer { Some(response) } else { None };
        self.call(RPCTypes::Vote, RpcRequest::Vote(request), option.soft_ttl(), answer).await
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let answer = |answer| if let RpcResponse::Vote(response) = answer { Some(response) } else { None };
        self.call(RPCTypes::Vote, RpcRequest::PreVote(request), option.soft_ttl(), answer).await
    }

    async fn full_snapshot(
        &mut self,
        vote: VoteOf<TypeConfig>,
        snapshot: SnapshotOf<TypeConfig, Arc<State>>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let SnapshotOf::<TypeConfig, _> { meta, snapshot: state } = snapshot;
        let send = snapshots::send(self, vote, meta, state);
        tokio::select! {
            biased;
            closed = cancel => Err(StreamingError::Closed(closed)),
            sent = send => sent,
        }
    }
}
