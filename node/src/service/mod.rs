//! What a node does with requests: read, propose, or pass on. The only caller of openraft.
//!
//! The service owns the open requests of its own clients (this file), the rounds by which it leads and what followers
//! pass on to it ([`leading`]), and the length of its log ([`house`]). It knows no wire format and prints nothing.
//!
//! **Rounds.** A leader has one round under way. What comes meanwhile waits and goes with the next, so
//! batches grow with the load and the order of requests is the order of the log. A round with writes is one
//! Raft entry; reads ride on it, answered between the writes around which they came, once the entry is
//! raft-committed. A round of reads alone is one ReadIndex. Either way a read sees everything that was
//! acknowledged before it came.
//!
//! **At most once.** Every command carries its request id; a node that does not hear the outcome asks again, the
//! same or the next leader, and the replicated state answers what it has applied already.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use openraft::alias::WatchReceiverOf;
use openraft::errors::{InitializeError, RaftError};
use openraft::metrics::RaftServerMetrics;
use openraft_rt::watch::WatchReceiver;
use raft_store::experiment;
use raft_store::{MemoryLog, Raft, StateMachine, Storage, TypeConfig};
use runtime::Instant;
use state_machine::State;
use state_machine::command::{Command, Lane, RequestId};
use state_machine::ids::{GroupId, MemberId, NodeId};
use state_machine::reply::Reply;

use crate::config::Config;
use crate::peers::message::{Forward, ForwardItem, ForwardReply, Message};
use crate::peers::rpc::{Network, Peers};
use crate::peers::snapshots::Incoming;
use crate::service::api::{Completion, Failure, Request, RequestNumber, Response, ServiceError};
use crate::service::in_flight::{InFlight, Progress};
use crate::service::round::{Queued, ReplyTo, RoundEnd};
use crate::service::rpc_server::RpcServer;

pub mod api;
pub(crate) mod coordinator;
pub mod deadlines;
pub(crate) mod forwarded;
mod housekeeping;
pub(crate) mod in_flight;
mod leader;
mod round;
mod rpc_server;
pub(crate) mod slots;

use leader::Leader;

/// One message to the leader carries at most about so many bytes of requests (but always one).
const FORWARD_BYTES: usize = 1024 * 1024;

/// A request takes at most so many bytes: it has to fit one line to a peer, with room to spare.
const MAX_REQUEST: usize = 11 * 256 * 1024;

/// An answer that comes so long after its deadline is worse than none: Maelstrom's client has gone 1 s
/// after our deadline, and a line to it would silence the node.
const TOO_LATE: Duration = Duration::from_millis(800);

/// How often the log's size is looked at.
const HOUSEKEEPING: Duration = Duration::from_millis(100);

/// How long a registered join or sync is left alone before the leader is asked again.
const REGISTERED_RETRY: Duration = Duration::from_secs(2);

/// A sync of a member that this node does not know yet has this on top of the usual time, in ms.
const DEFAULT_REBALANCE_TIMEOUT_MS: u32 = 300_000;

/// So many members that joined here are remembered; then they are forgotten, which costs a late sync its
/// exact deadline.
const MAX_JOINED: usize = 10_000;

/// Who leads, as this node knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Nobody that it knows of.
    Leaderless,
    /// A peer.
    Follower {
        /// Who.
        leader: NodeId,
        /// In which term.
        term: u64,
    },
    /// This node.
    Leader {
        /// In which term.
        term: u64,
    },
}

/// See the [module](self).
pub struct Service {
    config: Arc<Config>,
    me: NodeId,
    nodes: Vec<NodeId>,
    incarnation: u64,
    peers: Peers,
    incoming_snapshot: Arc<Mutex<Incoming>>,
    machine: StateMachine,
    log: MemoryLog,
    raft: Option<Running>,
    role: Role,
    open: InFlight,
    /// Open requests that have not been sent anywhere, in order.
    unsent: VecDeque<RequestNumber>,
    /// Rebalance time-outs, in ms, of members that joined through this node: how long their syncs may take,
    /// also where the replicated state here is behind.
    joined: BTreeMap<(GroupId, MemberId), u32>,
    completions: Vec<(RequestNumber, Completion)>,
    lead: Leader,
    next_housekeeping: Instant,
    /// The applied index at which a snapshot was last asked for.
    snapshot_asked_at: u64,
    failure: Option<String>,
}

type Metrics = WatchReceiverOf<TypeConfig, RaftServerMetrics<TypeConfig>>;

/// A Raft that runs.
struct Running {
    raft: Raft,
    metrics: Metrics,
}

/// What [`Service::wait`] saw.
#[derive(Debug)]
pub enum Woken {
    /// The round under way ended.
    Round(RoundEnd),
    /// Raft's leader or state changed, or a deadline passed.
    Tick,
}

impl Service {
    /// A service of node `me` of `nodes`, in its life `incarnation`, with what it remembers.
    pub fn new(
        config: Arc<Config>,
        me: NodeId,
        nodes: Vec<NodeId>,
        incarnation: u64,
        storage: &Storage,
        peers: Peers,
    ) -> Self {
        let lead = Leader::new(&config);
        Self {
            config,
            me,
            nodes,
            incarnation,
            peers,
            incoming_snapshot: Arc::default(),
            machine: storage.machine.clone(),
            log: storage.log.clone(),
            raft: None,
            role: Role::Leaderless,
            open: InFlight::default(),
            unsent: VecDeque::new(),
            joined: BTreeMap::new(),
            completions: Vec::new(),
            lead,
            next_housekeeping: Instant::now(),
            snapshot_asked_at: 0,
            failure: None,
        }
    }

    /// Starts Raft. A node without peers elects itself at once.
    ///
    /// # Errors
    /// Where Raft cannot start, which no input can cause.
    pub async fn start(&mut self) -> Result<(), String> {
        let raft_config = housekeeping::raft_config(&self.config).validate().map_err(|e| e.to_string())?;
        let network = Network(self.peers.clone());
        let (log, machine) = (self.log.clone(), self.machine.clone());
        let raft = Raft::new(self.me, Arc::new(raft_config), network, log, machine)
            .await
            .map_err(|e| e.to_string())?;
        // All nodes do this with the same members; only the first does anything.
        let members: BTreeMap<NodeId, ()> = self.nodes.iter().map(|id| (*id, ())).collect();
        match raft.initialize(members).await {
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => {}
            Err(error) => return Err(error.to_string()),
        }
        let metrics = raft.server_metrics();
        self.raft = Some(Running { raft, metrics });
        self.look_who_leads();
        Ok(())
    }

    /// Whether Raft runs.
    pub fn started(&self) -> bool {
        self.raft.is_some()
    }

    /// Whether the node is the whole cluster.
    pub fn alone(&self) -> bool {
        self.nodes.len() == 1
    }

    /// Why the service cannot go on, if it cannot.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// How many bytes the open requests take.
    pub fn open_bytes(&self) -> usize {
        self.open.bytes()
    }

    /// Whether no request is open.
    pub fn is_idle(&self) -> bool {
        self.open.is_empty()
    }

    /// The replicated state as far as this node has applied it, which may be behind.
    pub fn peek<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        self.machine.read(read)
    }

    /// Takes a request in. `after` is the same client's request before it, if that is still open and has to
    /// be executed first.
    ///
    /// # Errors
    /// Where the node has too many requests under way, or the request is too large: nothing was done.
    pub fn submit(
        &mut self,
        request: Request,
        after: Option<RequestNumber>,
        now: Instant,
    ) -> Result<RequestNumber, ServiceError> {
        let (approximate_bytes, open) = (request.approximate_bytes(), self.open.bytes());
        if approximate_bytes > MAX_REQUEST {
            return Err(ServiceError::TooLarge { approximate_bytes, limit: MAX_REQUEST });
        }
        let timeout = self.timeout_of(&request);
        if open + approximate_bytes > self.config.max_open {
            let limit = self.config.max_open;
            return Err(match request {
                // See `give_up`.
                Request::Command(Command::LogCommit { .. }) => ServiceError::timed_out(timeout),
                Request::Command(_) | Request::Query(_) => ServiceError::Overloaded { open, limit },
            });
        }
        let id = self.open.insert(request, after, now, timeout);
        self.unsent.push_back(id);
        Ok(id)
    }

    /// A join or a sync waits for others, so it has their time on top of the usual.
    fn timeout_of(&self, request: &Request) -> Duration {
        let group_time_ms = match request {
            Request::Command(Command::JoinGroup { rebalance_timeout_ms, .. }) => *rebalance_timeout_ms,
            Request::Command(Command::SyncGroup { group, member, .. }) => {
                // What the member said when it joined: here, or, as far as this node knows, elsewhere.
                let here = self.joined.get(&(group.clone(), member.clone())).copied();
                let elsewhere = || {
                    self.peek(|state| {
                        Some(
                            state
                                .group(group)?
                                .membership
                                .classic()?
                                .members
                                .get(member)?
                                .rebalance_timeout_ms,
                        )
                    })
                };
                here.or_else(elsewhere).unwrap_or(DEFAULT_REBALANCE_TIMEOUT_MS)
            }
            Request::Command(_) | Request::Query(_) => 0,
        };
        self.config.request_timeout + Duration::from_millis(group_time_ms.into())
    }

    /// What became of requests since the last call.
    pub fn completions(&mut self) -> Vec<(RequestNumber, Completion)> {
        std::mem::take(&mut self.completions)
    }

    /// A message of a peer, in a life that was checked.
    pub fn on_message(&mut self, from: NodeId, incarnation: u64, message: Message) {
        match message {
            // What a life before this one asked was lost with it.
            Message::Response(life, ..) | Message::ForwardReplies(life, _) if life != self.incarnation => {}
            Message::Response(_, number, answer) => self.peers.respond(number, answer),
            Message::Request(number, ask) => {
                if let Some(running) = &self.raft {
                    let server = RpcServer {
                        raft: running.raft.clone(),
                        peers: self.peers.clone(),
                        incoming: self.incoming_snapshot.clone(),
                    };
                    // It ends by itself, when Raft has answered.
                    let _task = runtime::spawn(server.serve(from, incarnation, number, ask));
                }
            }
            Message::Forward(forward) => self.on_forward(from, incarnation, forward),
            Message::ForwardReplies(_, forward_replies) => {
                for (id, forward_replies) in forward_replies {
                    match forward_replies {
                        ForwardReply::Delayed => self.registered(id),
                        ForwardReply::Done(outcome) => self.finish(id, outcome.map_err(Failure::from)),
                    }
                }
            }
        }
    }

    /// Waits until there is something to do. Cancelling it loses nothing.
    pub async fn wait(&mut self) -> Woken {
        let wake_at = self.next_event();
        let metrics = async {
            let ended = match &mut self.raft {
                Some(running) => running.metrics.changed().await.is_err(),
                None => true,
            };
            if ended {
                // Housekeeping will find out why.
                std::future::pending::<()>().await;
            }
        };
        let round = async {
            match &mut self.lead.round {
                Some(round) => round.end.as_mut().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            end = round => Woken::Round(end),
            () = metrics => Woken::Tick,
            () = runtime::sleep_until(wake_at) => Woken::Tick,
        }
    }

    fn next_event(&self) -> Instant {
        let open = self.open.next_event();
        // What is due goes with the next round: while one is under way, its end is what to wait for.
        let coordinator = self.lead.coordinator.next_event().filter(|_| self.lead.round.is_none());
        open.into_iter().chain(coordinator).fold(self.next_housekeeping, Instant::min)
    }

    /// Does what there is to do: deadlines, roles, rounds, forwards. Call it after every input and wake-up.
    pub fn advance(&mut self, woken: Option<Woken>, now: Instant) {
        self.expire_overdue(now);
        if let Some(Woken::Round(end)) = woken {
            self.end_round(end, now);
        }
        self.look_who_leads();
        self.send_unsent(now);
        if matches!(self.role, Role::Leader { .. }) {
            self.begin_round(now);
        }
        self.send_replies();
        if now >= self.next_housekeeping {
            self.next_housekeeping = now + HOUSEKEEPING;
            self.keep_log_short();
        }
    }

    /// Answers what is over. Call it before anything that could answer: after a stop of the process an answer
    /// and the deadline before it come at once, and the deadline is first.
    pub fn expire_overdue(&mut self, now: Instant) {
        for id in self.open.expired(now) {
            self.expire(id, now);
        }
    }

    fn look_who_leads(&mut self) {
        let Some(running) = &mut self.raft else { return };
        let (leader, term, vote_committed) = {
            let metrics = running.metrics.borrow_and_update();
            (metrics.current_leader, metrics.vote.leader_id().term, metrics.state)
        };
        let role = match leader {
            Some(leader) if leader == self.me && vote_committed.is_leader() => Role::Leader { term },
            Some(leader) if leader != self.me => Role::Follower { leader, term },
            _ => Role::Leaderless,
        };
        if role != self.role {
            self.change_role(role);
        }
    }

    fn change_role(&mut self, role: Role) {
        tracing::info!(from = ?self.role, to = ?role, "role");
        if matches!(self.role, Role::Leader { .. }) {
            self.machine.forget_batched_reads();
            self.lead.stop();
        }
        self.role = role;
        // Whoever leads now is asked anew, in the old order and under the old origins.
        self.unsent = self.open.in_order().into();
        for id in &self.unsent {
            self.open.set_progress(*id, Progress::Unsent);
        }
        if let Role::Leader { term } = role {
            experiment::tell(|witness| witness.leads(term));
            let request = Request::Command(Command::NewCoordinator { node: self.me });
            self.lead.queue.push_back(Queued { reply_to: ReplyTo::Internal, request_id: None, request });
        }
    }

    /// Sends what has not been sent, and again what is due, to whoever leads.
    fn send_unsent(&mut self, now: Instant) {
        match self.role {
            Role::Leaderless => {}
            Role::Leader { .. } => {
                while let Some(id) = self.unsent.pop_front() {
                    let alone = self.alone();
                    let Some(entry) = self.open.get_mut(id) else { continue };
                    // Without peers nobody else will ever lead, so there is no need to keep a copy.
                    let request = if alone { entry.request.take() } else { entry.request.clone() };
                    let Some(request) = request else { continue };
                    entry.progress = Progress::Queued;
                    let request_id = RequestId {
                        node: self.me,
                        incarnation: self.incarnation,
                        lane: id.lane,
                        seq: id.seq,
                    };
                    experiment::tell(|witness| witness.took(&request_id));
                    self.lead.queue.push_back(Queued {
                        reply_to: ReplyTo::Own(id),
                        request_id: Some(request_id),
                        request,
                    });
                }
            }
            Role::Follower { leader, .. } => {
                let due = self.open.due(now);
                let ids: Vec<_> = due.into_iter().chain(std::mem::take(&mut self.unsent)).collect();
                self.forward(leader, &ids, now);
            }
        }
    }

    fn forward(&mut self, leader: NodeId, ids: &[RequestNumber], now: Instant) {
        let (mut items, mut bytes) = (Vec::new(), 0);
        for id in ids {
            let Some(entry) = self.open.get(*id) else { continue };
            let Some(request) = entry.request.clone() else { continue };
            let attempt = if let Progress::Sent { attempt, .. } = entry.progress { attempt + 1 } else { 0 };
            let after = entry.after.filter(|before| self.open.get(*before).is_some());
            let approximate_bytes = request.approximate_bytes();
            if bytes + approximate_bytes > FORWARD_BYTES && !items.is_empty() {
                let items = std::mem::take(&mut items);
                self.peers.send(
                    leader,
                    &Message::Forward(Forward { acknowledged: self.open.acknowledged(), items }),
                );
                bytes = 0;
            }
            bytes += approximate_bytes;
            items.push(ForwardItem { id: *id, after, attempt, request });
            // Patience grows with each attempt, so that a slow leader is not buried in copies.
            let due = now + self.config.forward_timeout * (attempt + 1).min(4);
            self.open.set_progress(*id, Progress::Sent { due, attempt });
        }
        if !items.is_empty() {
            self.peers
                .send(leader, &Message::Forward(Forward { acknowledged: self.open.acknowledged(), items }));
        }
    }

    /// The group knows of the request; it may take minutes now.
    fn registered(&mut self, id: RequestNumber) {
        let Some(entry) = self.open.get(id) else { return };
        if let Progress::Sent { attempt, .. } = entry.progress {
            let due = Instant::now() + REGISTERED_RETRY;
            self.open.set_progress(id, Progress::Sent { due, attempt });
        }
        self.completions.push((id, Completion::Delayed));
    }

    fn finish(&mut self, id: RequestNumber, response: Response) {
        // A copy of an answer, or one to a request that was given up: nobody waits for it.
        if let Some(entry) = self.open.remove(id) {
            if let (
                Some(Request::Command(Command::JoinGroup { group, rebalance_timeout_ms, .. })),
                Ok(Reply::Joined { member_id, .. }),
            ) = (&entry.request, &response)
            {
                if self.joined.len() >= MAX_JOINED {
                    self.joined.clear();
                }
                self.joined.insert((group.clone(), member_id.clone()), *rebalance_timeout_ms);
            }
            self.completions.push((id, Completion::Done(response)));
        }
    }

    /// A request's time is over: it is answered now, once, and never again.
    fn expire(&mut self, id: RequestNumber, now: Instant) {
        let Some(entry) = self.open.get(id) else { return };
        if now > entry.deadline + TOO_LATE {
            self.open.remove(id);
            self.completions.push((id, Completion::TooLate));
            return;
        }
        self.give_up(id);
    }

    fn give_up(&mut self, id: RequestNumber) {
        let Some(entry) = self.open.remove(id) else { return };
        let error = match entry.request {
            // Maelstrom's client has moved its position already, and takes a definite refusal for messages
            // that were skipped.
            Some(Request::Command(Command::LogCommit { .. })) => ServiceError::timed_out(entry.timeout),
            Some(Request::Query(_)) => ServiceError::not_available(entry.timeout),
            _ if entry.exposed => ServiceError::timed_out(entry.timeout),
            _ => ServiceError::not_available(entry.timeout),
        };
        self.completions.push((id, Completion::Done(Err(error.into()))));
    }

    /// The input has ended. What needs peers cannot end any more and is given up; what waits for its group
    /// is told so. Call it again until [`is_idle`](Self::is_idle).
    pub fn input_ended(&mut self) {
        let busy = self.alone()
            && (self.lead.round.is_some() || !self.lead.queue.is_empty() || !self.unsent.is_empty());
        if busy {
            return;
        }
        for id in self.open.in_order() {
            match id.lane {
                Lane::Immediate => self.give_up(id),
                Lane::Delayed => self.finish(id, Err(ServiceError::InputEnded.into())),
            }
        }
    }
}
