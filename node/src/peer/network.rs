//! openraft's network over any [`Transport`]: questions with numbers, answers by number, and a deadline for
//! each.
//!
//! openraft does not end a call by itself, so every call here ends: with the answer, or after its time. A
//! late answer finds no one waiting and is dropped. Snapshots go in pieces, each with a deadline and retries
//! of its own, so that they get through however large they are and however much is lost.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use openraft::alias::{SnapshotMetaOf, SnapshotOf, VoteOf};
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{AsyncRuntime, OptionalSend, RPCTypes, RaftNetworkFactory, RaftNetworkV2};
use raft_store::runtime::{self, Runtime};
use raft_store::{Raft, TypeConfig, codec};
use state_machine::State;
use state_machine::ids::NodeId;
use tokio::sync::oneshot;

use super::{Answer, Ask, Message, Piece, Transport};

/// A piece of a snapshot has at most this many bytes.
const PIECE_BYTES: usize = 1024 * 1024;

/// A transfer is given up after so many pieces in a row without an answer.
const PIECE_ATTEMPTS: u32 = 8;

/// How long calls may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// An append with entries.
    pub append: Duration,
    /// A piece of a snapshot.
    pub piece: Duration,
}

type Waiting = BTreeMap<u64, oneshot::Sender<Result<Answer, String>>>;

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
    incoming: Mutex<Option<Incoming>>,
}

/// A snapshot that is coming in.
struct Incoming {
    from: NodeId,
    transfer: u64,
    bytes: Vec<u8>,
}

impl Clone for Peers {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Takes the call out of the book when its future ends or is dropped.
struct Call<'a>(&'a Peers, u64);

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.calls().waiting.remove(&self.1);
    }
}

impl Peers {
    /// The line of node `me`.
    pub fn new(me: NodeId, transport: Box<dyn Transport>, timeouts: Timeouts) -> Self {
        let (calls, incoming) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Inner { me, transport, timeouts, calls, incoming }))
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.0.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn incoming(&self) -> MutexGuard<'_, Option<Incoming>> {
        self.0.incoming.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a message, or loses it.
    pub fn send(&self, to: NodeId, message: &Message) {
        self.0.transport.send(to, message);
    }

    /// Asks and waits for the answer; `None` when none came in time.
    async fn ask(&self, to: NodeId, ask: Ask, timeout: Duration) -> Option<Result<Answer, String>> {
        let (sender, receiver) = oneshot::channel();
        let call = {
            let mut calls = self.calls();
            calls.next += 1;
            let number = calls.next;
            calls.waiting.insert(number, sender);
            Call(self, number)
        };
        self.send(to, &Message::Ask(call.1, ask));
        Runtime::timeout(timeout, receiver).await.ok()?.ok()
    }

    /// An answer has come.
    pub fn answered(&self, number: u64, answer: Result<Answer, String>) {
        let waiting = self.calls().waiting.remove(&number);
        // A late answer, or a second copy, has nobody waiting for it.
        if let Some(sender) = waiting
            && sender.send(answer).is_err()
        {
            tracing::trace!(number, "the asker gave up");
        }
    }

    /// Answers the question that a peer asked in its life `life`. Runs until Raft has answered: call it in a task
    /// of its own.
    pub async fn answer(self, raft: Raft, from: NodeId, life: u64, number: u64, ask: Ask) {
        let answer = match ask {
            Ask::Append(request) => {
                raft.append_entries(request).await.map(Answer::Append).map_err(|e| e.to_string())
            }
            Ask::Vote(request) => raft.vote(request).await.map(Answer::Vote).map_err(|e| e.to_string()),
            Ask::PreVote(request) => {
                raft.pre_vote(request).await.map(Answer::Vote).map_err(|e| e.to_string())
            }
            Ask::Snapshot(piece) => self.take_piece(&raft, from, piece).await,
        };
        self.send(from, &Message::Answer(life, number, answer));
    }

    async fn take_piece(&self, raft: &Raft, from: NodeId, piece: Piece) -> Result<Answer, String> {
        let whole = {
            let mut incoming = self.incoming();
            let begun = incoming.as_ref().is_some_and(|i| i.from == from && i.transfer == piece.transfer);
            if !begun {
                if piece.offset != 0 {
                    return Ok(Answer::Piece { received: 0 });
                }
                *incoming = Some(Incoming { from, transfer: piece.transfer, bytes: Vec::new() });
            }
            let transfer = incoming.as_mut().expect("a transfer has begun");
            if piece.offset == transfer.bytes.len() as u64 {
                transfer.bytes.extend_from_slice(&piece.bytes);
            }
            let received = transfer.bytes.len() as u64;
            if received < piece.total {
                return Ok(Answer::Piece { received });
            }
            incoming.take().expect("the transfer is here").bytes
        };
        let state = runtime::blocking(move || codec::decode::<State>(&whole)).await;
        let state = state.map_err(|e| e.to_string())?.map_err(|e| format!("snapshot: {e}"))?;
        let snapshot = SnapshotOf::<TypeConfig, _> { meta: piece.meta, snapshot: Arc::new(state) };
        let response = raft.install_full_snapshot(piece.vote, snapshot).await;
        response.map(Answer::Snapshot).map_err(|e| e.to_string())
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
    fn timeout(&self, action: RPCTypes, timeout: Duration) -> Timeout<TypeConfig> {
        Timeout { action, id: self.peers.0.me, target: self.to, timeout }
    }

    async fn call<T>(
        &self,
        action: RPCTypes,
        ask: Ask,
        timeout: Duration,
        expected: impl FnOnce(Answer) -> Option<T>,
    ) -> Result<T, RPCError<TypeConfig>> {
        match self.peers.ask(self.to, ask, timeout).await {
            None => Err(RPCError::Timeout(self.timeout(action, timeout))),
            Some(Err(problem)) => Err(RPCError::Unreachable(Unreachable::from_string(problem))),
            Some(Ok(answer)) => expected(answer).ok_or_else(|| {
                RPCError::Network(NetworkError::from_string("the answer is to another question"))
            }),
        }
    }

    async fn send_snapshot(
        &self,
        vote: VoteOf<TypeConfig>,
        meta: SnapshotMetaOf<TypeConfig>,
        bytes: Vec<u8>,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let transfer = runtime::random();
        let total = bytes.len() as u64;
        let (mut offset, mut failures) = (0_usize, 0);
        loop {
            let end = bytes.len().min(offset + PIECE_BYTES);
            let (offset_u64, piece) = (offset as u64, bytes[offset..end].to_vec());
            let piece = Piece { transfer, vote, meta: meta.clone(), offset: offset_u64, total, bytes: piece };
            // The last piece is answered when the whole is installed, which takes its time.
            let patience = self.peers.0.timeouts.piece * if end == bytes.len() { 5 } else { 1 };
            match self.peers.ask(self.to, Ask::Snapshot(piece), patience).await {
                Some(Ok(Answer::Snapshot(response))) => return Ok(response),
                // Where the other end has got to is where to go on, be it back at the beginning.
                Some(Ok(Answer::Piece { received })) if received <= total => {
                    failures = if received > offset_u64 { 0 } else { failures + 1 };
                    offset = usize::try_from(received).unwrap_or(0);
                }
                Some(Ok(_)) => failures += 1,
                Some(Err(problem)) => {
                    return Err(StreamingError::Unreachable(Unreachable::from_string(problem)));
                }
                None => failures += 1,
            }
            if failures >= PIECE_ATTEMPTS {
                return Err(StreamingError::Timeout(self.timeout(RPCTypes::InstallSnapshot, patience)));
            }
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
        let answer = |answer| if let Answer::Append(response) = answer { Some(response) } else { None };
        self.call(RPCTypes::AppendEntries, Ask::Append(request), timeout, answer).await
    }

    async fn vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let answer = |answer| if let Answer::Vote(response) = answer { Some(response) } else { None };
        self.call(RPCTypes::Vote, Ask::Vote(request), option.soft_ttl(), answer).await
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let answer = |answer| if let Answer::Vote(response) = answer { Some(response) } else { None };
        self.call(RPCTypes::Vote, Ask::PreVote(request), option.soft_ttl(), answer).await
    }

    async fn full_snapshot(
        &mut self,
        vote: VoteOf<TypeConfig>,
        snapshot: SnapshotOf<TypeConfig, Arc<State>>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let SnapshotOf::<TypeConfig, _> { meta, snapshot: state } = snapshot;
        let send = async {
            let bytes = runtime::blocking(move || codec::encode(&*state)).await;
            let unreachable =
                |e: std::io::Error| StreamingError::Unreachable(Unreachable::from_string(e.to_string()));
            self.send_snapshot(vote, meta, bytes.map_err(unreachable)?).await
        };
        tokio::select! {
            biased;
            closed = cancel => Err(StreamingError::Closed(closed)),
            sent = send => sent,
        }
    }
}
