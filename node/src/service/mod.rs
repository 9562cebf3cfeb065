//! What a node does with requests: read, propose, or forward. The only caller of openraft.
//!
//! The service is a task of its own ([`Service::run`]); listeners reach it by a [`Handle`]. It owns
//! the requests of its own clients (`requests`). While the node leads, it has a `Leader`, which
//! owns the rounds and what followers forward; while another node leads, it forwards
//! (`follower`). It knows no wire format and prints nothing.
//!
//! **Rounds.** A *round* is one batch of requests (a group commit). A leader has one round under
//! way. What comes meanwhile waits and goes with the next, so batches grow with the load, and the
//! order of requests is the order of the log. A round with writes is one Raft entry. Reads go with
//! it, and are answered between the writes around which they came, once the entry is
//! raft-committed. A round of reads alone is one ReadIndex. Either way a read sees everything that
//! was acknowledged before it came.
//!
//! **At most once.** Every command carries its request id: the node that took it in, that node's
//! incarnation, and a number. A node that does not hear the outcome asks again, the same or the
//! next leader, under the same id. Three places number a request, each for its own reason:
//! `in_flight` at the node that took it in (deadlines and retries), `forwarded` at the leader
//! (order, and one execution a try), and the dedup table of the replicated state (what was applied
//! already).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use openraft::alias::WatchReceiverOf;
use openraft::errors::{InitializeError, RaftError};
use openraft::metrics::RaftServerMetrics;
use openraft_rt::watch::WatchReceiver;
use raft_store::{Raft, RaftLog, StateMachine, Storage, TypeConfig};
use runtime::{Instant, PacedInstant};
use state_machine::ids::NodeId;

use crate::config::Config;
use crate::config::raft::raft_config;
use crate::limits;
use crate::peers::message::{ForwardReply, Message};
use crate::peers::rpc::{Network, Peers};
use crate::peers::snapshots::Incoming;
use crate::peers::transport::Received;

pub mod api;
mod confirming;
mod contents;
mod coordinator;
pub mod deadlines;
mod delayed;
mod follower;
mod forwarded;
pub mod handle;
mod housekeeping;
mod in_flight;
mod leader;
pub mod rebalances;
mod requests;
mod resigning;
pub(crate) mod round;
mod rpc_server;
mod status;
pub mod watching;

use handle::{Handle, Shared};
use leader::{Context, Leader, Lost};
use requests::Requests;
use round::RoundEnd;
use rpc_server::RpcServer;
use status::StatusSource;
use watching::Leadership;

/// Who leads, as this node knows.
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
    Leader(Box<Leader>),
}

impl Role {
    /// Who leads in which term.
    fn leader(&self, me: NodeId) -> Option<(NodeId, u64)> {
        match self {
            Self::Leaderless => None,
            Self::Follower { leader, term } => Some((*leader, *term)),
            Self::Leader(leader) => Some((me, leader.term())),
        }
    }
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
    log: RaftLog,
    raft: Option<Running>,
    shared: Arc<Shared>,
    requests: Requests,
    role: Role,
    /// How many rounds this incarnation has proposed.
    rounds: u64,
    next_housekeeping: Instant,
    /// In its first incarnation, until then: when this node may stand for election of itself.
    stands_from: Option<PacedInstant>,
    /// How many bytes the log had when it was looked at last.
    log_seen: usize,
    /// The applied index at which a snapshot was last asked for.
    snapshot_asked_at: u64,
    failure: Option<String>,
}

type Metrics = WatchReceiverOf<TypeConfig, RaftServerMetrics<TypeConfig>>;

/// A Raft that runs.
struct Running {
    raft: Raft,
    metrics: Metrics,
    /// Nothing more comes of it.
    ended: bool,
}

/// What the service waited for.
enum Woken {
    /// The round under way ended.
    Round(RoundEnd),
    /// Peers have spoken.
    Peers(Vec<Received>),
    /// Raft has ended.
    RaftEnded,
    /// Listeners have left something, Raft's leader or state changed, or a deadline passed.
    Other,
}

impl Service {
    /// A service of node `me` of `nodes`, with what it remembers.
    pub fn new(
        config: Arc<Config>,
        me: NodeId,
        nodes: Vec<NodeId>,
        storage: &Storage,
        peers: Peers,
    ) -> Self {
        let status = StatusSource::new(nodes.clone(), storage.machine.clone(), storage.log.clone());
        Self {
            requests: Requests::new(config.clone(), nodes.len() == 1),
            config,
            me,
            nodes,
            incarnation: storage.incarnation(),
            peers,
            incoming_snapshot: Arc::default(),
            machine: storage.machine.clone(),
            log: storage.log.clone(),
            raft: None,
            shared: Arc::new(Shared::new(status)),
            role: Role::Leaderless,
            rounds: 0,
            next_housekeeping: Instant::now(),
            stands_from: None,
            log_seen: 0,
            snapshot_asked_at: 0,
            failure: None,
        }
    }

    /// The way to this service.
    pub fn handle(&self) -> Handle {
        Handle(self.shared.clone())
    }

    /// Starts Raft and serves, until Raft fails. A node without peers elects itself at once.
    ///
    /// Of nodes that have no memory yet, the first one asks for votes at once, and the others leave
    /// it a usual election time-out for that: if all stood at the start, none would have a
    /// majority.
    ///
    /// # Errors
    /// What Raft or its storage failed of. The node has then stopped answering, as a crash would.
    pub async fn run(mut self) -> String {
        if let Err(problem) = self.start().await {
            return problem;
        }
        let mut woken = Woken::Other;
        loop {
            self.advance(woken, Instant::now());
            if let Some(problem) = self.failure.take() {
                return problem;
            }
            // Raft's own tasks have to come to their turn, however much there is to do.
            tokio::task::yield_now().await;
            woken = self.wait().await;
        }
    }

    async fn start(&mut self) -> Result<(), String> {
        let members: BTreeMap<NodeId, ()> = self.nodes.iter().map(|id| (*id, ())).collect();
        let first_incarnation = !self.alone() && self.log.begin(self.me, members.clone());
        let mut raft_config = raft_config(&self.config);
        raft_config.enable_elect = !first_incarnation;
        let raft_config = raft_config.validate().map_err(|e| e.to_string())?;
        // Nobody hears of this incarnation before it is sure that the next one will know of it.
        self.log.sync().await.map_err(|error| error.to_string())?;
        let network = Network(self.peers.clone());
        let (log, machine) = (self.log.clone(), self.machine.clone());
        let raft = Raft::new(self.me, Arc::new(raft_config), network, log, machine)
            .await
            .map_err(|e| e.to_string())?;
        if self.alone() {
            match raft.initialize(members).await {
                Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        self.peers.probe();
        if first_incarnation {
            if self.nodes.first() == Some(&self.me) {
                raft.trigger().elect(false).await.map_err(|fatal| fatal.to_string())?;
            }
            let spread = self.config.election_max - self.config.election_min;
            let drawn = spread.mul_f64((runtime::random() >> 11) as f64 / (1_u64 << 53) as f64);
            self.stands_from = Some(PacedInstant::now() + self.config.election_min + drawn);
        }
        let metrics = raft.server_metrics();
        self.shared.status.started(raft.clone());
        self.raft = Some(Running { raft, metrics, ended: false });
        Ok(())
    }

    /// Whether the node is the whole cluster.
    fn alone(&self) -> bool {
        self.nodes.len() == 1
    }

    /// Waits until there is something to do. Cancelling it loses nothing.
    async fn wait(&mut self) -> Woken {
        let wake_at = self.next_event();
        let metrics = async {
            match &mut self.raft {
                Some(running) if !running.ended => match running.metrics.changed().await {
                    Ok(()) => Woken::Other,
                    Err(_) => Woken::RaftEnded,
                },
                Some(_) | None => std::future::pending().await,
            }
        };
        let round = async {
            match &mut self.role {
                Role::Leader(leader) => match &mut leader.round {
                    Some(round) => round.end.as_mut().await,
                    None => std::future::pending().await,
                },
                Role::Leaderless | Role::Follower { .. } => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            end = round => Woken::Round(end),
            woken = metrics => woken,
            received = self.peers.receive() => Woken::Peers(received),
            () = self.shared.wait() => Woken::Other,
            () = runtime::sleep_until(wake_at) => Woken::Other,
        }
    }

    fn next_event(&self) -> Instant {
        let in_flight = self.requests.in_flight.next_event();
        let due = match &self.role {
            Role::Leader(leader) => leader.next_event(),
            Role::Leaderless | Role::Follower { .. } => None,
        };
        in_flight.into_iter().chain(due).fold(self.next_housekeeping, Instant::min)
    }

    /// Does what there is to do: deadlines, submissions, messages, roles, rounds, forwards.
    fn advance(&mut self, woken: Woken, now: Instant) {
        self.requests.expire_overdue(now);
        let inbox = self.shared.take();
        if let Some(heir) = inbox.hands_over
            && let Some(running) = self.raft.as_ref().filter(|_| !self.alone())
        {
            // It ends by itself, after a second at the latest.
            let _task = runtime::spawn(resigning::resign(running.raft.clone(), self.me, heir));
        }
        self.requests.take(inbox, &self.machine);
        match woken {
            Woken::Round(end) => self.end_round(end, now),
            Woken::Peers(received) => {
                received.into_iter().for_each(|received| self.on_message(received, now))
            }
            Woken::RaftEnded => {
                self.raft.iter_mut().for_each(|running| running.ended = true);
                self.next_housekeeping = now;
            }
            Woken::Other => {}
        }
        self.look_who_leads();
        if !matches!(self.role, Role::Leader(_)) {
            self.requests.end_delayed();
        }
        self.send_unsent(now);
        self.close_connections();
        if now >= self.next_housekeeping || self.log_has_grown() {
            self.next_housekeeping = now + limits::COMPACTION_CHECK;
            self.keep_log_short();
            self.forget_silent_snapshot();
        }
        self.shared.set_in_flight(self.requests.in_flight.bytes());
        self.requests.flush();
    }

    fn end_round(&mut self, end: RoundEnd, now: Instant) {
        let (Role::Leader(leader), Some(running)) = (&mut self.role, &self.raft) else { return };
        let mut context = Context {
            raft: &running.raft,
            machine: &self.machine,
            requests: &mut self.requests,
            rounds: &mut self.rounds,
            watching: &self.shared.watching,
            rebalances: &self.shared.rebalances,
        };
        match leader.end_round(end, &mut context, now) {
            Ok(()) => {}
            Err(Lost::Leadership) => self.change_role(None),
            Err(Lost::Raft(problem)) => self.failure = Some(problem),
        }
    }

    /// A message of a peer, of an incarnation that this node listens to.
    fn on_message(&mut self, received: Received, now: Instant) {
        let Received { from, incarnation, message } = received;
        match message {
            // What an incarnation before this one asked was lost with it.
            Message::Response(to, ..) | Message::ForwardReplies(to, _)
                if to != self.incarnation => {}
            Message::Response(_, number, response) => self.peers.respond(number, response),
            Message::Request(number, request) => {
                if let Some(running) = &self.raft {
                    let server = RpcServer {
                        raft: running.raft.clone(),
                        peers: self.peers.clone(),
                        incoming: self.incoming_snapshot.clone(),
                        machine: self.machine.clone(),
                        log: self.log.clone(),
                    };
                    // It ends by itself, when Raft has answered.
                    let _task = runtime::spawn(server.serve(from, incarnation, number, request));
                }
            }
            // A node that does not lead says nothing: the sender will hear from Raft who does, and
            // ask again.
            Message::Forward(forward) => {
                if let Role::Leader(leader) = &mut self.role {
                    leader.on_forward(from, incarnation, forward);
                }
            }
            Message::ForwardReplies(_, replies) => {
                for (id, reply) in replies {
                    match reply {
                        ForwardReply::Delayed => self.requests.delayed(id, now),
                        ForwardReply::Done(outcome) => self.requests.finish(id, outcome),
                        ForwardReply::Overtaken => self.requests.overtaken(id),
                    }
                }
            }
        }
    }

    fn look_who_leads(&mut self) {
        let Some(running) = &mut self.raft else { return };
        let (leader, term, state) = {
            let metrics = running.metrics.borrow_and_update();
            (metrics.current_leader, metrics.vote.leader_id().term, metrics.state)
        };
        // A node that leads and does not know that a quorum voted for it does not lead yet.
        let leads = |leader: &NodeId| *leader != self.me || state.is_leader();
        let leader = leader.filter(leads).map(|leader| (leader, term));
        if leader != self.role.leader(self.me) {
            self.change_role(leader);
        }
    }

    /// Another node leads, or another term has begun, or nobody leads.
    fn change_role(&mut self, leader: Option<(NodeId, u64)>) {
        tracing::info!(from = ?self.role.leader(self.me), to = ?leader, "leader");
        if matches!(self.role, Role::Leader(_)) {
            self.machine.forget_batched_reads();
        }
        // This node is named when it has caught up.
        let told = leader.filter(|(leader, _)| *leader != self.me);
        let term = leader.map_or(0, |(_, term)| term);
        let leadership = Leadership { leader: told.map(|(leader, _)| leader), term };
        self.shared.watching.set_leadership(leadership);
        self.role = match leader {
            None => Role::Leaderless,
            Some((leader, term)) if leader != self.me => Role::Follower { leader, term },
            Some((_, term)) => {
                let leader = Leader::new(self.config.clone(), self.me, self.incarnation, term);
                Role::Leader(Box::new(leader))
            }
        };
        // Whoever leads now is asked anew, in the old order and under the old request ids.
        self.requests.resend_all();
    }

    /// Sends what has not been sent, and again what is due, to whoever leads.
    fn send_unsent(&mut self, now: Instant) {
        let alone = self.alone();
        match &mut self.role {
            Role::Leaderless => {}
            Role::Leader(leader) => {
                leader.take_own(&mut self.requests, alone);
                let Some(running) = &self.raft else { return };
                let mut context = Context {
                    raft: &running.raft,
                    machine: &self.machine,
                    requests: &mut self.requests,
                    rounds: &mut self.rounds,
                    watching: &self.shared.watching,
                    rebalances: &self.shared.rebalances,
                };
                leader.begin_round(&mut context, now);
                leader.send_replies(&self.peers);
            }
            Role::Follower { leader, .. } => {
                let timeout = runtime::pace().stretch(self.config.forward_timeout);
                follower::forward(*leader, &mut self.requests, &self.peers, timeout, now);
            }
        }
    }

    /// Gives up what closed connections have left open. A node that is alone finishes first what it
    /// has under way; what needs peers cannot end any more.
    fn close_connections(&mut self) {
        if !self.requests.is_closing() {
            return;
        }
        let busy = match &self.role {
            Role::Leader(leader) => leader.is_busy(),
            Role::Leaderless | Role::Follower { .. } => false,
        };
        if self.alone() && (busy || !self.requests.unsent.is_empty()) {
            return;
        }
        self.requests.give_up_closed();
    }
}
