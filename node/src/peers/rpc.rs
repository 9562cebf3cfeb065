//! openraft's network over any [`Transport`]: requests with numbers, responses by number, and a
//! time-out for each.
//!
//! openraft does not end a call by itself, so every call here ends: with the response, or after its
//! time. A late response finds no one waiting and is dropped, but for the time that it took
//! ([`RoundTrips`]). All time-outs here are times of Raft's clock, so they follow the round trips
//! that were measured; what is configured is the least. How snapshots travel is in
//! [`snapshots`].
//!
//! The module does not answer requests: what a peer asks goes to the service, which knows Raft.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::Stream;
use openraft::alias::{SnapshotOf, VoteOf};
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{
    NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable,
};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{AsyncRuntime, OptionalSend, RPCTypes, RaftNetworkFactory, RaftNetworkV2};
use raft_store::{Checkpoint, Storage, TypeConfig};
use runtime::{Instant, Pace, PacedInstant, PacedRuntime};
use state_machine::ids::NodeId;
use tokio::sync::oneshot;

use super::appends::{self, Appended, Held};
use super::campaigns::Campaigns;
use super::commits;
use super::listening::Listening;
use super::message::{self, Message, RpcRequest, RpcResponse};
use super::patience;
use super::quorum::{Quorum, Standing};
use super::round_trips::RoundTrips;
use super::snapshots;
use super::transport::{Received, Transport};
use crate::{flaws, limits};

/// So many questions that were not answered are remembered, to know how long a late answer took.
const UNANSWERED: usize = 1_024;

/// A peer that does not answer at the start is probed so often.
const PROBES: u32 = 8;

/// After the first probe that was not answered so long goes by, after each later one as much
/// longer.
const PROBE_AFTER: Duration = Duration::from_millis(500);

/// A node that checks whether round trips have become longer looks so often whether a quorum has
/// answered, to ask again.
const CHECK_EVERY: Duration = Duration::from_millis(100);

/// It asks again after so many looks in any case: questions get lost. Not sooner: where round trips
/// are long, many lines would make them longer.
const LOOKS: u32 = 10;

/// An append that has to wait for a quorum looks so often in a heartbeat interval whether one
/// answers.
const LOOKS_AGAIN: u32 = 6;

/// How long calls may take, by Raft's clock.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// An append with entries.
    pub append: Duration,
    /// A chunk of a snapshot.
    pub chunk: Duration,
    /// Between heartbeats.
    pub heartbeat: Duration,
}

/// By number, whom a question went to and who waits for the answer.
type Waiting = BTreeMap<u64, (NodeId, oneshot::Sender<Result<RpcResponse, String>>)>;

#[derive(Debug)]
struct Calls {
    next: u64,
    waiting: Waiting,
    /// Which incarnation of each peer was heard last.
    heard: BTreeMap<NodeId, u64>,
    /// Peers of which another incarnation has spoken, and the last question that was asked then.
    gone: Vec<(NodeId, u64)>,
    /// Whom questions went to that have not been answered, and when.
    unanswered: BTreeMap<u64, (NodeId, Instant)>,
    trips: RoundTrips,
    /// A rise of the pace is being checked.
    checking: bool,
    quorum: Quorum,
    campaigns: Campaigns,
    /// This node leads with that vote, no quorum answers it, and it asks whether one does again.
    calling: Option<VoteOf<TypeConfig>>,
}

/// A node's line to its peers. Clones are the same line.
pub struct Peers(Arc<Inner>);

struct Inner {
    me: NodeId,
    /// All other nodes.
    others: Vec<NodeId>,
    transport: Box<dyn Transport>,
    timeouts: Timeouts,
    calls: Mutex<Calls>,
    listening: Arc<Listening>,
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
    /// The line of node `me` to all others. `storage` says which incarnations of them were heard.
    pub fn new(
        me: NodeId,
        others: Vec<NodeId>,
        transport: Box<dyn Transport>,
        timeouts: Timeouts,
        storage: &Storage,
    ) -> Self {
        let trips = RoundTrips::new(others.len(), timeouts.heartbeat);
        runtime::set_pace(trips.pace());
        let (waiting, unanswered) = (Waiting::new(), BTreeMap::new());
        let quorum = Quorum::new(others.len(), timeouts.heartbeat);
        let (checking, calling) = (false, None);
        let calls = Calls {
            next: 0,
            waiting,
            heard: BTreeMap::new(),
            gone: Vec::new(),
            unanswered,
            trips,
            checking,
            quorum,
            campaigns: Campaigns::default(),
            calling,
        };
        let (calls, listening) = (Mutex::new(calls), Arc::new(Listening::new(storage)));
        let inner = Inner { me, others, transport, timeouts, calls, listening };
        Self(Arc::new(inner))
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.0.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a message, or loses it.
    pub fn send(&self, to: NodeId, message: &Message) {
        self.0.transport.send(to, message);
    }

    /// Waits for messages, and gives those of incarnations that this node listens to. Dropping the
    /// wait loses none.
    pub async fn receive(&self) -> Vec<Received> {
        self.end_calls_to_the_gone();
        let received = self.0.listening.receive(&*self.0.transport).await;
        let mut calls = self.calls();
        for Received { from, incarnation, .. } in &received {
            let before = calls.heard.insert(*from, *incarnation);
            if before.is_some_and(|before| before != *incarnation) {
                let asked = calls.next;
                calls.gone.push((*from, asked));
            }
        }
        drop(calls);
        received
    }

    /// What an earlier incarnation of a peer was asked nobody answers any more. Call it when the
    /// answers have been looked at that came with the first words of the next one: that may have
    /// been asked before it was heard.
    fn end_calls_to_the_gone(&self) {
        let mut calls = self.calls();
        for (peer, asked) in std::mem::take(&mut calls.gone) {
            // Who waits learns it as the other end of its channel goes.
            calls.waiting.retain(|number, (to, _)| *to != peer || *number > asked);
        }
    }

    async fn request(
        &self,
        to: NodeId,
        request: RpcRequest,
        most: impl Fn() -> Duration + Send + Sync,
    ) -> Option<Result<RpcResponse, String>> {
        let (sender, receiver) = oneshot::channel();
        let call = Call(self, self.number(to, &request));
        self.calls().waiting.insert(call.1, (to, sender));
        self.send(to, &Message::Request(call.1, request));
        patience::in_time(receiver, most, self.0.timeouts.heartbeat).await?.ok()
    }

    /// A number for a question, and a note of when it was asked.
    fn number(&self, to: NodeId, ask: &RpcRequest) -> u64 {
        let mut calls = self.calls();
        calls.next += 1;
        let number = calls.next;
        // A piece of a snapshot takes as long as it is.
        if !matches!(ask, RpcRequest::Snapshot(_)) {
            calls.unanswered.insert(number, (to, Instant::now()));
            while calls.unanswered.len() > UNANSWERED {
                calls.unanswered.pop_first();
            }
        }
        number
    }

    /// Finds out how long round trips take, to all that answer.
    pub fn probe(&self) {
        for peer in self.0.others.iter().copied() {
            let line = self.clone();
            // It ends by itself, at the latest when it was asked often enough.
            let _task = runtime::spawn(async move {
                for attempt in 1..=PROBES {
                    line.ask(peer, None);
                    // Of the node's own time: Raft's is slow as long as nothing is known.
                    runtime::sleep(PROBE_AFTER * attempt).await;
                    if line.calls().trips.of(peer).is_some() {
                        return;
                    }
                }
            });
        }
    }

    /// Asks a peer for nothing but an answer, and tells it this node's round trip where there is
    /// one to tell. It has nobody waiting for it: how long it took is what matters.
    fn ask(&self, peer: NodeId, told: Option<u32>) {
        self.ask_alone(peer, RpcRequest::Probe(told));
    }

    /// Asks what nobody waits for the answer of.
    fn ask_alone(&self, peer: NodeId, ask: RpcRequest) {
        let number = self.number(peer, &ask);
        self.send(peer, &Message::Request(number, ask));
    }

    /// Whether a leader of that vote may send an append: a quorum answers it. If none does, it
    /// waits for that, at most so long, and its peers are called.
    async fn may_append(&self, vote: VoteOf<TypeConfig>, timeout: Duration) -> bool {
        let until = PacedInstant::now() + timeout;
        loop {
            if flaws::is_heard(self.standing() == Standing::Heard) {
                return true;
            }
            self.call_quorum(vote);
            if PacedInstant::now() >= until {
                return false;
            }
            PacedRuntime::sleep(self.0.timeouts.heartbeat / LOOKS_AGAIN).await;
        }
    }

    fn standing(&self) -> Standing {
        self.calls().quorum.look(PacedInstant::now())
    }

    /// Calls all peers once every heartbeat interval, until a quorum answers.
    fn call_quorum(&self, vote: VoteOf<TypeConfig>) {
        if self.calls().calling.replace(vote).is_some() {
            return;
        }
        let line = self.clone();
        // It ends by itself when a quorum answers, or somebody else leads.
        let _task = runtime::spawn(async move {
            tracing::debug!("no quorum answers");
            while let Some(vote) = line.leads_with() {
                let call = match line.standing() {
                    Standing::Heard => break,
                    Standing::Quiet => RpcRequest::Probe(None),
                    Standing::Released => RpcRequest::Release(vote),
                };
                line.0.others.iter().for_each(|peer| line.ask_alone(*peer, call.clone()));
                PacedRuntime::sleep(line.0.timeouts.heartbeat).await;
            }
            line.calls().calling = None;
        });
    }

    /// The vote with which this node leads, where it calls its peers.
    fn leads_with(&self) -> Option<VoteOf<TypeConfig>> {
        let calls = self.calls();
        calls.calling.filter(|_| calls.trips.leads())
    }

    /// Asks all peers again and again, as soon as a quorum has answered, until it is known whether
    /// round trips are as long as they seem.
    fn check(&self) {
        let line = self.clone();
        // It ends by itself when a quorum has answered often enough, or a leader told.
        let _task = runtime::spawn(async move {
            while let Some(before) = line.in_doubt() {
                line.0.others.iter().for_each(|peer| line.ask(*peer, None));
                for _ in 0..LOOKS {
                    // Of the node's own time: Raft's is what is in doubt.
                    runtime::sleep(CHECK_EVERY).await;
                    if line.calls().trips.in_doubt() != Some(before) {
                        break;
                    }
                }
            }
        });
    }

    /// How often a quorum has answered since the pace rose, as long as that is to be checked.
    fn in_doubt(&self) -> Option<usize> {
        let mut calls = self.calls();
        let times = calls.trips.in_doubt();
        calls.checking = times.is_some();
        times
    }

    /// What a round trip is known to be has changed.
    fn measured(&self, change: impl FnOnce(&mut RoundTrips)) {
        let (pace, news, check) = {
            let mut calls = self.calls();
            change(&mut calls.trips);
            let check = calls.trips.in_doubt().is_some() && !calls.checking;
            calls.checking |= check;
            (calls.trips.pace(), calls.trips.news(), check)
        };
        if check {
            self.check();
        }
        if pace != runtime::pace() {
            tracing::debug!(?pace, "raft's clock");
            runtime::set_pace(pace);
        }
        let Some(news) = news else { return };
        self.0.others.iter().for_each(|peer| self.ask(*peer, Some(millis(news))));
    }

    /// A leader told how long its round trips are.
    pub fn told(&self, round_trip_ms: u32) {
        self.measured(|trips| trips.hear(Duration::from_millis(round_trip_ms.into())));
    }

    /// This node has promised a candidate its vote.
    pub fn promised_vote(&self, to: NodeId) {
        let mut calls = self.calls();
        let round_trip = calls.trips.round_trip();
        calls.campaigns.promise(self.0.me, to, Instant::now(), round_trip);
    }

    /// Whether this node stands for election, now that openraft wants it to.
    fn stands(&self) -> bool {
        let mut calls = self.calls();
        let round_trip = calls.trips.round_trip();
        calls.campaigns.stand(Instant::now(), round_trip)
    }

    /// How long an append to a peer may take: to a peer farther away than a quorum, longer than to
    /// others.
    fn append_timeout(&self, to: NodeId) -> Duration {
        let farther = self.calls().trips.beyond_quorum(to);
        self.0.timeouts.append * farther
    }

    /// A response has come.
    pub fn respond(&self, number: u64, response: Result<RpcResponse, String>) {
        let (waiting, asked) = {
            let mut calls = self.calls();
            (calls.waiting.remove(&number), calls.unanswered.remove(&number))
        };
        if let Some((peer, at)) = asked {
            let now = Instant::now();
            self.calls().quorum.answer(peer, PacedInstant::now());
            self.measured(|trips| trips.observe(peer, now - at, now));
        }
        // A late response, or a second copy, has nobody waiting for it.
        if let Some((_, sender)) = waiting
            && sender.send(response).is_err()
        {
            tracing::trace!(number, "the caller gave up");
        }
    }
}

/// In milliseconds, rounded up.
fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros().div_ceil(1_000)).unwrap_or(u32::MAX)
}

/// Makes openraft's clients.
#[derive(Clone)]
pub struct Network(pub Peers);

/// The answers to a stream of appends, in its order.
type Appends<'s> = Result<BoxStream<'s, Appended>, RPCError<TypeConfig>>;

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

    /// Sends a request to this client's peer and waits for the response; `None` when none came in
    /// the time that `most` says, then.
    pub(super) async fn request(
        &self,
        request: RpcRequest,
        most: impl Fn() -> Duration + Send + Sync,
    ) -> Option<Result<RpcResponse, String>> {
        self.peers.request(self.to, request, most).await
    }

    pub(super) fn timeout(&self, action: RPCTypes, timeout: Duration) -> Timeout<TypeConfig> {
        Timeout { action, id: self.peers.0.me, target: self.to, timeout }
    }

    async fn call<T>(
        &self,
        action: RPCTypes,
        request: RpcRequest,
        most: impl Fn() -> Duration + Send + Sync,
        expected: impl FnOnce(RpcResponse) -> Option<T>,
    ) -> Result<T, RPCError<TypeConfig>> {
        match self.request(request, &most).await {
            None => Err(RPCError::Timeout(self.timeout(action, most()))),
            Some(Err(problem)) => Err(RPCError::Unreachable(Unreachable::from_string(problem))),
            Some(Ok(answer)) => expected(answer).ok_or_else(|| {
                RPCError::Network(NetworkError::from_string("the answer is to another question"))
            }),
        }
    }

    async fn append(
        &self,
        request: AppendEntriesRequest<TypeConfig>,
        option: &RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        // openraft gives an append no more than a heartbeat's interval.
        let (least, sent) = (option.soft_ttl(), limits::sent_within(message::bytes_of(&request)));
        let timeout = least.max(self.peers.append_timeout(self.to));
        // Bytes take their time by the node's own clock, whatever Raft's pace.
        let most = || {
            let sent = sent * Pace::NORMAL.thousandths() / runtime::pace().thousandths();
            least.max(self.peers.append_timeout(self.to)) + sent
        };
        let mut round_trip = Duration::ZERO;
        self.peers.measured(|trips| round_trip = trips.lead());
        if !self.peers.may_append(request.vote, timeout).await {
            return Err(RPCError::Timeout(self.timeout(RPCTypes::AppendEntries, timeout)));
        }
        let answer =
            |answer| if let RpcResponse::Append(response) = answer { Some(response) } else { None };
        self.call(
            RPCTypes::AppendEntries,
            RpcRequest::Append(millis(round_trip), request),
            most,
            answer,
        )
        .await
    }
}

impl RaftNetworkV2<TypeConfig> for Client {
    type SnapshotData = Arc<Checkpoint>;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.append(request, &option).await
    }

    fn stream_append<'s, S>(&'s mut self, input: S, option: RPCOption) -> BoxFuture<'s, Appends<'s>>
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + OptionalSend + Unpin + 'static,
    {
        let held = Held::default();
        let input = commits::without_overtaken(input, limits::COMMIT_WAIT, held.clone());
        let client: &Self = self;
        let answers = appends::answers(Box::pin(input), held, move |request, alone| {
            let (option, asked) = (option.clone(), appends::Asked::new(&request, alone));
            async move { asked.told(client.append(request, &option).await) }
        });
        Box::pin(async move { Ok(Box::pin(answers) as BoxStream<'s, _>) })
    }

    async fn vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let answer =
            |answer| if let RpcResponse::Vote(response) = answer { Some(response) } else { None };
        // openraft itself ends it at its hard limit.
        self.call(RPCTypes::Vote, RpcRequest::Vote(request), || option.hard_ttl(), answer).await
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let answer =
            |answer| if let RpcResponse::Vote(response) = answer { Some(response) } else { None };
        let gives_way =
            || RPCError::Network(NetworkError::from_string("another node stands for election"));
        if !self.peers.stands() {
            return Err(gives_way());
        }
        self.peers.measured(RoundTrips::ask_for_pre_vote);
        let ask = RpcRequest::PreVote(request);
        let answer = self.call(RPCTypes::Vote, ask, || option.hard_ttl(), answer).await?;
        let goes_on = self.peers.calls().campaigns.goes_on();
        if goes_on { Ok(answer) } else { Err(gives_way()) }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RPCError<TypeConfig>> {
        let answer =
            |answer| if let RpcResponse::Transfer(given) = answer { Some(given) } else { None };
        let ask = RpcRequest::Transfer(request);
        self.call(RPCTypes::TransferLeader, ask, || option.hard_ttl(), answer).await
    }

    async fn full_snapshot(
        &mut self,
        vote: VoteOf<TypeConfig>,
        snapshot: SnapshotOf<TypeConfig, Arc<Checkpoint>>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let SnapshotOf::<TypeConfig, _> { meta, snapshot: checkpoint } = snapshot;
        let send = snapshots::send(self, vote, meta, checkpoint);
        tokio::select! {
            biased;
            closed = cancel => Err(StreamingError::Closed(closed)),
            sent = send => sent,
        }
    }
}

#[cfg(test)]
mod tests;
