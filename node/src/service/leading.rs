//! What a node does while it leads: its rounds, what followers pass on to it, and what it hands back to them.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;

use raft_store::experiment::{self, Flaw};
use raft_store::runtime::{self, Instant};
use raft_store::{Applied, Proposal, RoundId, codec};
use state_machine::command::{Batch, Command, Floor, Lane, Origin, Query, Stamp, Write};
use state_machine::ids::NodeId;
use state_machine::life::SignOfLife;
use state_machine::reply::{Outcome, Reply};

use super::{Role, Service};
use crate::api::{Failure, Request, RequestId};
use crate::config::Config;
use crate::coordinator::Coordinator;
use crate::peer::{Floors, Forward, Handed, Message};
use crate::round::{self, Job, Round, RoundEnd, Ticket};
use crate::streams::Stream;

/// One message with answers carries at most about so many bytes (but always one answer).
const HANDED_BYTES: usize = 1024 * 1024;

/// In so many of the first rounds that it ever leads a node with [`Flaw::PollSkips`] has it.
const SKIPPING_ROUNDS: u64 = 20;

/// What a node has only while it leads, or keeps from one time to the next.
pub(super) struct Leading {
    /// What waits for the next round.
    pub(super) queue: VecDeque<Job>,
    pub(super) round: Option<Round>,
    rounds: u64,
    /// Peers' requests and the lives of those peers.
    streams: BTreeMap<NodeId, (u64, Stream)>,
    /// Floors as last proposed, and of which life.
    proposed_floors: BTreeMap<NodeId, (u64, Floors)>,
    /// Answers to be handed back: to whom, in which life.
    handed: BTreeMap<(NodeId, u64), Vec<(RequestId, Handed)>>,
    pub(super) coordinator: Coordinator,
}

impl Leading {
    /// Of a node that does not lead.
    pub(super) fn new(config: &Config) -> Self {
        Self {
            queue: VecDeque::new(),
            round: None,
            rounds: 0,
            streams: BTreeMap::new(),
            proposed_floors: BTreeMap::new(),
            handed: BTreeMap::new(),
            coordinator: Coordinator::new(config),
        }
    }

    /// Somebody else leads, or nobody.
    pub(super) fn stop(&mut self) {
        self.queue.clear();
        self.round = None;
        self.streams.clear();
        self.proposed_floors.clear();
        self.handed.clear();
        self.coordinator.stop();
    }
}

impl Service {
    pub(super) fn on_forward(&mut self, from: NodeId, incarnation: u64, forward: Forward) {
        // Who does not lead says nothing: the sender will hear from Raft who does, and ask again.
        if !matches!(self.role, Role::Leader { .. }) {
            return;
        }
        let (known, stream) =
            self.lead.streams.entry(from).or_insert_with(|| (incarnation, Stream::default()));
        if *known != incarnation {
            (*known, *stream) = (incarnation, Stream::default());
        }
        for (id, request) in stream.receive(forward) {
            let origin = Origin { node: from, incarnation, lane: id.lane, seq: id.seq };
            experiment::tell(|witness| witness.took(&origin));
            let ticket = Ticket::Peer(from, incarnation, id);
            self.lead.queue.push_back(Job { ticket, origin: Some(origin), request });
        }
    }

    pub(super) fn begin_round(&mut self, now: Instant) {
        if self.lead.round.is_some() || self.lead.queue.is_empty() && !self.lead.coordinator.is_due(now) {
            return;
        }
        let (queue, config) = (&self.lead.queue, &self.config);
        let waiting =
            || queue.iter().filter_map(|job| job.request.shown_alive(job.origin.as_ref())).collect();
        let due = self.lead.coordinator.due(now, config, waiting);
        let job =
            |command| Job { ticket: Ticket::Internal, origin: None, request: Request::Command(command) };
        self.lead.queue.extend(due.into_iter().map(job));
        let Some(running) = &self.raft else { return };
        let mut batch = Batch {
            stamp: Stamp { now_ms: runtime::wall_ms(), limits: self.config.group_limits },
            ..Batch::default()
        };
        let (mut writes, mut reads, mut riders) = (Vec::new(), Vec::new(), Vec::new());
        let mut bytes = 0;
        while let Some(job) = self.lead.queue.front() {
            let weight = job.request.weight();
            let count = writes.len() + reads.len();
            if count > 0 && (bytes + weight > round::MAX_BYTES || count >= round::MAX_REQUESTS) {
                break;
            }
            bytes += weight;
            let Some(Job { ticket, origin, request }) = self.lead.queue.pop_front() else { break };
            match request {
                Request::Command(command) => {
                    if let Ticket::Own(id) = ticket {
                        // Given up meanwhile: nobody was told that it might still happen.
                        let Some(entry) = self.open.get_mut(id) else { continue };
                        entry.exposed = true;
                    }
                    batch.writes.push(Write { origin, command });
                    writes.push(ticket);
                }
                Request::Query(mut query) => {
                    if let Query::LogPoll { offsets } = &mut query
                        && experiment::has(Flaw::PollSkips)
                        && self.lead.rounds < SKIPPING_ROUNDS
                    {
                        offsets.iter_mut().for_each(|(_, offset)| *offset += 1);
                    }
                    riders.push((writes.len(), query.clone()));
                    reads.push((ticket, query, origin));
                }
            }
        }
        let raft = running.raft.clone();
        if writes.is_empty() && reads.is_empty() {
            return;
        }
        if writes.is_empty() {
            self.lead.round =
                Some(Round { proposal: None, writes, reads, end: Box::pin(round::read_index(raft)) });
            return;
        }
        self.lead.rounds += 1;
        let id = RoundId { incarnation: self.incarnation, number: self.lead.rounds };
        batch.floors = self.risen_floors();
        if !riders.is_empty() {
            self.machine.ride(id, riders);
        }
        let proposal = Proposal::new(id, batch);
        let end: Pin<Box<dyn Future<Output = RoundEnd> + Send>> =
            if experiment::has(Flaw::AcknowledgedBeforeCommit) {
                Box::pin(round::propose_impatiently(raft, self.machine.clone(), proposal.clone()))
            } else {
                Box::pin(round::propose(raft, proposal.clone()))
            };
        self.lead.round = Some(Round { proposal: Some(proposal), writes, reads, end });
    }

    /// The floors that have risen since they were last proposed, this node's own among them. A life that is over has no
    /// requests any more: what is remembered of it may go, and what comes late of it is refused.
    fn risen_floors(&mut self) -> Vec<Floor> {
        let own = (self.me, self.incarnation, self.open.floors());
        let peers = self
            .lead
            .streams
            .iter()
            .map(|(node, (incarnation, stream))| (*node, *incarnation, stream.floors()));
        let mut risen = Vec::new();
        for (node, incarnation, floors) in peers.chain([own]) {
            let lanes = [Lane::Prompt, Lane::Waiting];
            let known = self.lead.proposed_floors.insert(node, (incarnation, floors));
            let (proposed, over) = match known {
                Some((life, proposed)) if life == incarnation => (proposed, None),
                other => (Floors::default(), other.map(|(life, _)| life)),
            };
            if let Some(life) = over {
                let gone = |lane| Floor { node, incarnation: life, lane, below: u64::MAX };
                risen.extend(lanes.map(gone));
            }
            let rises = lanes.into_iter().filter(|lane| floors.of(*lane) > proposed.of(*lane));
            risen.extend(rises.map(|lane| Floor { node, incarnation, lane, below: floors.of(lane) }));
        }
        risen
    }

    pub(super) fn end_round(&mut self, end: RoundEnd, now: Instant) {
        let Some(Round { proposal, writes, reads, .. }) = self.lead.round.take() else { return };
        match end {
            RoundEnd::Applied(Applied { outcomes, answers, events }) => {
                let batch = proposal.as_ref().map(|p| p.batch().writes.as_slice()).unwrap_or_default();
                for ((write, ticket), outcome) in batch.iter().zip(writes).zip(outcomes) {
                    if matches!(write.command, Command::NewCoordinator { .. }) {
                        self.machine.read(|state| self.lead.coordinator.start(state, now));
                    }
                    self.lead.coordinator.answered(write.command.sign_of_life(), &outcome, now);
                    match (&outcome, write.origin) {
                        (Ok(Reply::Parked { .. }), Some(origin)) => {
                            self.lead.coordinator.park(origin, ticket);
                            self.register(ticket);
                        }
                        _ => self.answer(ticket, outcome),
                    }
                }
                self.answer_reads(reads, answers, now);
                let answered = self.machine.read(|state| self.lead.coordinator.observe(events, state, now));
                for (ticket, outcome) in answered {
                    self.answer(ticket, outcome);
                }
            }
            RoundEnd::MayRead => {
                let answers: Vec<Outcome> =
                    self.machine.read(|state| reads.iter().map(|(_, query, _)| state.query(query)).collect());
                self.tell_served(&reads, &answers);
                self.answer_reads(reads, answers, now);
            }
            RoundEnd::NotConfirmed => {
                for (ticket, query, origin) in reads.into_iter().rev() {
                    self.lead.queue.push_front(Job { ticket, origin, request: Request::Query(query) });
                }
            }
            // Whoever leads now is asked as soon as this node knows who that is.
            RoundEnd::Discarded => self.change_role(Role::Leaderless),
            RoundEnd::Fatal(problem) => self.failure = Some(problem),
        }
    }

    fn tell_served(&self, reads: &[(Ticket, Query, Option<Origin>)], answers: &[Outcome]) {
        experiment::tell(|witness| {
            let applied = self.machine.applied().map_or(0, |id| id.index());
            for ((_, query, _), answer) in reads.iter().zip(answers) {
                if let (Some(SignOfLife { group, member: Some(member), .. }), Ok(_)) =
                    (query.sign_of_life(), answer)
                {
                    witness.served(group, member, applied);
                }
            }
        });
    }

    fn answer_reads(
        &mut self,
        reads: Vec<(Ticket, Query, Option<Origin>)>,
        answers: Vec<Outcome>,
        now: Instant,
    ) {
        for ((ticket, query, origin), outcome) in reads.into_iter().zip(answers) {
            if let (Ok(Reply::NeedsCommand), Query::ThinHeartbeat { group, member }) = (&outcome, &query) {
                let command = Command::ThinHeartbeat { group: group.clone(), member: member.clone() };
                self.lead.queue.push_front(Job { ticket, origin, request: Request::Command(command) });
                continue;
            }
            self.lead.coordinator.answered(query.sign_of_life(), &outcome, now);
            self.answer(ticket, outcome);
        }
    }

    fn answer(&mut self, ticket: Ticket, outcome: Outcome) {
        experiment::tell(|witness| {
            if let (Some(origin), Role::Leader { term }) = (self.origin_of(ticket), self.role) {
                witness.decided(&origin, term);
            }
        });
        match ticket {
            Ticket::Own(id) => self.finish(id, outcome.map_err(Failure::from)),
            Ticket::Peer(node, life, id) => self.hand(node, life, id, Handed::Done(outcome)),
            Ticket::Internal => {
                if let Err(refused) = outcome {
                    tracing::debug!(%refused, "the coordinator's own command");
                }
            }
        }
    }

    /// Under which origin a request is applied.
    fn origin_of(&self, ticket: Ticket) -> Option<Origin> {
        let (node, incarnation, id) = match ticket {
            Ticket::Own(id) => (self.me, self.incarnation, id),
            Ticket::Peer(node, life, id) => (node, life, id),
            Ticket::Internal => return None,
        };
        Some(Origin { node, incarnation, lane: id.lane, seq: id.seq })
    }

    fn hand(&mut self, node: NodeId, life: u64, id: RequestId, handed: Handed) {
        if let Some((_, stream)) = self.lead.streams.get_mut(&node).filter(|(known, _)| *known == life) {
            stream.executed(id);
        }
        self.lead.handed.entry((node, life)).or_default().push((id, handed));
    }

    fn register(&mut self, ticket: Ticket) {
        match ticket {
            Ticket::Own(id) => self.registered(id),
            // It may be asked for again without harm: the state knows it by its origin.
            Ticket::Peer(node, life, id) => self.hand(node, life, id, Handed::Registered),
            Ticket::Internal => {}
        }
    }

    pub(super) fn hand_back(&mut self) {
        for ((node, life), handed) in std::mem::take(&mut self.lead.handed) {
            let (mut message, mut bytes) = (Vec::new(), 0);
            for item in handed {
                let weight = weight(&item.1);
                if bytes + weight > HANDED_BYTES && !message.is_empty() {
                    self.peers.send(node, &Message::Forwarded(life, std::mem::take(&mut message)));
                    bytes = 0;
                }
                bytes += weight;
                message.push(item);
            }
            if !message.is_empty() {
                self.peers.send(node, &Message::Forwarded(life, message));
            }
        }
    }
}

fn weight(handed: &Handed) -> usize {
    match handed {
        Handed::Registered => 16,
        Handed::Done(outcome) => codec::outcome_weight(outcome),
    }
}
