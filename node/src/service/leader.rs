//! What a node does while it leads: its rounds, what followers pass on to it, and what it hands back to them.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;

use raft_store::experiment::{self, Flaw};
use raft_store::{Applied, Proposal, RoundId, codec};
use runtime::Instant;
use state_machine::command::{Acknowledged, Batch, Command, Lane, Query, RequestId, Stamp, Write};
use state_machine::ids::NodeId;
use state_machine::liveness::Heartbeat;
use state_machine::reply::{Outcome, Reply};

use super::{Role, Service};
use crate::config::Config;
use crate::peers::message::{AcknowledgedBelow, Forward, ForwardReply, Message};
use crate::service::api::{Failure, Request, RequestNumber};
use crate::service::coordinator::Coordinator;
use crate::service::forwarded::ForwardedRequests;
use crate::service::round::{self, Queued, ReplyTo, Round, RoundEnd};

/// One message with answers carries at most about so many bytes (but always one answer).
const REPLIES_BYTES: usize = 1024 * 1024;

/// In so many of the first rounds that it ever leads a node with [`Flaw::PollSkips`] has it.
const SKIPPING_ROUNDS: u64 = 20;

/// What a node has only while it leads, or keeps from one time to the next.
pub(super) struct Leader {
    /// What waits for the next round.
    pub(super) queue: VecDeque<Queued>,
    pub(super) round: Option<Round>,
    rounds: u64,
    /// Peers' requests and the incarnations of those peers.
    forwarded: BTreeMap<NodeId, (u64, ForwardedRequests)>,
    /// AcknowledgedBelow as last proposed, and of which life.
    proposed_acknowledged: BTreeMap<NodeId, (u64, AcknowledgedBelow)>,
    /// Answers to be replies back: to whom, in which life.
    forward_replies: BTreeMap<(NodeId, u64), Vec<(RequestNumber, ForwardReply)>>,
    pub(super) coordinator: Coordinator,
}

impl Leader {
    /// Of a node that does not lead.
    pub(super) fn new(config: &Config) -> Self {
        Self {
            queue: VecDeque::new(),
            round: None,
            rounds: 0,
            forwarded: BTreeMap::new(),
            proposed_acknowledged: BTreeMap::new(),
            forward_replies: BTreeMap::new(),
            coordinator: Coordinator::new(config),
        }
    }

    /// Somebody else leads, or nobody.
    pub(super) fn stop(&mut self) {
        self.queue.clear();
        self.round = None;
        self.forwarded.clear();
        self.proposed_acknowledged.clear();
        self.forward_replies.clear();
        self.coordinator.stop();
    }
}

impl Service {
    pub(super) fn on_forward(&mut self, from: NodeId, incarnation: u64, forward: Forward) {
        // Who does not lead says nothing: the sender will hear from Raft who does, and ask again.
        if !matches!(self.role, Role::Leader { .. }) {
            return;
        }
        let (known, forwarded) =
            self.lead.forwarded.entry(from).or_insert_with(|| (incarnation, ForwardedRequests::default()));
        if *known != incarnation {
            (*known, *forwarded) = (incarnation, ForwardedRequests::default());
        }
        for (id, request) in forwarded.receive(forward) {
            let request_id = RequestId { node: from, incarnation, lane: id.lane, seq: id.seq };
            experiment::tell(|witness| witness.took(&request_id));
            let reply_to = ReplyTo::Peer(from, incarnation, id);
            self.lead.queue.push_back(Queued { reply_to, request_id: Some(request_id), request });
        }
    }

    pub(super) fn begin_round(&mut self, now: Instant) {
        if self.lead.round.is_some() || self.lead.queue.is_empty() && !self.lead.coordinator.is_due(now) {
            return;
        }
        let (queue, config) = (&self.lead.queue, &self.config);
        let waiting = || {
            queue
                .iter()
                .filter_map(|queued| queued.request.heard_member(queued.request_id.as_ref()))
                .collect()
        };
        let due = self.lead.coordinator.due(now, config, waiting);
        let queued = |command| Queued {
            reply_to: ReplyTo::Internal,
            request_id: None,
            request: Request::Command(command),
        };
        self.lead.queue.extend(due.into_iter().map(queued));
        let Some(running) = &self.raft else { return };
        let mut batch = Batch {
            stamp: Stamp { now_ms: runtime::wall_ms(), limits: self.config.group_limits },
            ..Batch::default()
        };
        let (mut writes, mut reads, mut batched_reads) = (Vec::new(), Vec::new(), Vec::new());
        let mut bytes = 0;
        while let Some(queued) = self.lead.queue.front() {
            let approximate_bytes = queued.request.approximate_bytes();
            let count = writes.len() + reads.len();
            if count > 0 && (bytes + approximate_bytes > round::MAX_BYTES || count >= round::MAX_REQUESTS) {
                break;
            }
            bytes += approximate_bytes;
            let Some(Queued { reply_to, request_id, request }) = self.lead.queue.pop_front() else {
                break;
            };
            match request {
                Request::Command(command) => {
                    if let ReplyTo::Own(id) = reply_to {
                        // Given up meanwhile: nobody was told that it might still happen.
                        let Some(entry) = self.open.get_mut(id) else { continue };
                        entry.exposed = true;
                    }
                    batch.writes.push(Write { request_id, command });
                    writes.push(reply_to);
                }
                Request::Query(mut query) => {
                    if let Query::LogPoll { offsets } = &mut query
                        && experiment::has(Flaw::PollSkips)
                        && self.lead.rounds < SKIPPING_ROUNDS
                    {
                        offsets.iter_mut().for_each(|(_, offset)| *offset += 1);
                    }
                    batched_reads.push((writes.len(), query.clone()));
                    reads.push((reply_to, query, request_id));
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
        batch.acknowledged = self.newly_acknowledged();
        if !batched_reads.is_empty() {
            self.machine.batch_reads(id, batched_reads);
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

    /// The acknowledged that have risen since they were last proposed, this node's own among them. A life that is over has no
    /// requests any more: what is remembered of it may go, and what comes late of it is refused.
    fn newly_acknowledged(&mut self) -> Vec<Acknowledged> {
        let own = (self.me, self.incarnation, self.open.acknowledged());
        let peers = self
            .lead
            .forwarded
            .iter()
            .map(|(node, (incarnation, forwarded))| (*node, *incarnation, forwarded.acknowledged()));
        let mut risen = Vec::new();
        for (node, incarnation, acknowledged) in peers.chain([own]) {
            let lanes = [Lane::Immediate, Lane::Delayed];
            let known = self.lead.proposed_acknowledged.insert(node, (incarnation, acknowledged));
            let (proposed, over) = match known {
                Some((life, proposed)) if life == incarnation => (proposed, None),
                other => (AcknowledgedBelow::default(), other.map(|(life, _)| life)),
            };
            if let Some(life) = over {
                let gone = |lane| Acknowledged { node, incarnation: life, lane, below: u64::MAX };
                risen.extend(lanes.map(gone));
            }
            let rises = lanes.into_iter().filter(|lane| acknowledged.of(*lane) > proposed.of(*lane));
            risen.extend(rises.map(|lane| Acknowledged {
                node,
                incarnation,
                lane,
                below: acknowledged.of(lane),
            }));
        }
        risen
    }

    pub(super) fn end_round(&mut self, end: RoundEnd, now: Instant) {
        let Some(Round { proposal, writes, reads, .. }) = self.lead.round.take() else { return };
        match end {
            RoundEnd::Applied(Applied { outcomes, answers, events }) => {
                let batch = proposal.as_ref().map(|p| p.batch().writes.as_slice()).unwrap_or_default();
                for ((write, reply_to), outcome) in batch.iter().zip(writes).zip(outcomes) {
                    if matches!(write.command, Command::NewCoordinator { .. }) {
                        self.machine.read(|state| self.lead.coordinator.start(state, now));
                    }
                    self.lead.coordinator.answered(write.command.heartbeat(), &outcome, now);
                    match (&outcome, write.request_id) {
                        (Ok(Reply::Delayed { .. }), Some(request_id)) => {
                            self.lead.coordinator.park(request_id, reply_to);
                            self.register(reply_to);
                        }
                        _ => self.answer(reply_to, outcome),
                    }
                }
                self.answer_reads(reads, answers, now);
                let answered = self.machine.read(|state| self.lead.coordinator.observe(events, state, now));
                for (reply_to, outcome) in answered {
                    self.answer(reply_to, outcome);
                }
            }
            RoundEnd::MayRead => {
                let answers: Vec<Outcome> =
                    self.machine.read(|state| reads.iter().map(|(_, query, _)| state.query(query)).collect());
                self.tell_served(&reads, &answers);
                self.answer_reads(reads, answers, now);
            }
            RoundEnd::NotConfirmed => {
                for (reply_to, query, request_id) in reads.into_iter().rev() {
                    self.lead.queue.push_front(Queued {
                        reply_to,
                        request_id,
                        request: Request::Query(query),
                    });
                }
            }
            // Whoever leads now is asked as soon as this node knows who that is.
            RoundEnd::Discarded => self.change_role(Role::Leaderless),
            RoundEnd::Fatal(problem) => self.failure = Some(problem),
        }
    }

    fn tell_served(&self, reads: &[(ReplyTo, Query, Option<RequestId>)], answers: &[Outcome]) {
        experiment::tell(|witness| {
            let applied = self.machine.applied().map_or(0, |id| id.index());
            for ((_, query, _), answer) in reads.iter().zip(answers) {
                if let (Some(Heartbeat { group, member: Some(member), .. }), Ok(_)) =
                    (query.heartbeat(), answer)
                {
                    witness.served(group, member, applied);
                }
            }
        });
    }

    fn answer_reads(
        &mut self,
        reads: Vec<(ReplyTo, Query, Option<RequestId>)>,
        answers: Vec<Outcome>,
        now: Instant,
    ) {
        for ((reply_to, query, request_id), outcome) in reads.into_iter().zip(answers) {
            if let (Ok(Reply::NeedsCommand), Query::PollingHeartbeat { group, member }) = (&outcome, &query) {
                let command = Command::PollingHeartbeat { group: group.clone(), member: member.clone() };
                self.lead.queue.push_front(Queued {
                    reply_to,
                    request_id,
                    request: Request::Command(command),
                });
                continue;
            }
            self.lead.coordinator.answered(query.heartbeat(), &outcome, now);
            self.answer(reply_to, outcome);
        }
    }

    fn answer(&mut self, reply_to: ReplyTo, outcome: Outcome) {
        experiment::tell(|witness| {
            if let (Some(request_id), Role::Leader { term }) = (self.origin_of(reply_to), self.role) {
                witness.decided(&request_id, term);
            }
        });
        match reply_to {
            ReplyTo::Own(id) => self.finish(id, outcome.map_err(Failure::from)),
            ReplyTo::Peer(node, life, id) => self.hand(node, life, id, ForwardReply::Done(outcome)),
            ReplyTo::Internal => {
                if let Err(refused) = outcome {
                    tracing::debug!(%refused, "the coordinator's own command");
                }
            }
        }
    }

    /// Under which request id a request is applied.
    fn origin_of(&self, reply_to: ReplyTo) -> Option<RequestId> {
        let (node, incarnation, id) = match reply_to {
            ReplyTo::Own(id) => (self.me, self.incarnation, id),
            ReplyTo::Peer(node, life, id) => (node, life, id),
            ReplyTo::Internal => return None,
        };
        Some(RequestId { node, incarnation, lane: id.lane, seq: id.seq })
    }

    fn hand(&mut self, node: NodeId, life: u64, id: RequestNumber, forward_replies: ForwardReply) {
        if let Some((_, forwarded)) = self.lead.forwarded.get_mut(&node).filter(|(known, _)| *known == life) {
            forwarded.executed(id);
        }
        self.lead.forward_replies.entry((node, life)).or_default().push((id, forward_replies));
    }

    fn register(&mut self, reply_to: ReplyTo) {
        match reply_to {
            ReplyTo::Own(id) => self.registered(id),
            // It may be asked for again without harm: the state knows it by its request id.
            ReplyTo::Peer(node, life, id) => self.hand(node, life, id, ForwardReply::Delayed),
            ReplyTo::Internal => {}
        }
    }

    pub(super) fn send_replies(&mut self) {
        for ((node, life), forward_replies) in std::mem::take(&mut self.lead.forward_replies) {
            let (mut message, mut bytes) = (Vec::new(), 0);
            for item in forward_replies {
                let approximate_bytes = approximate_bytes(&item.1);
                if bytes + approximate_bytes > REPLIES_BYTES && !message.is_empty() {
                    self.peers.send(node, &Message::ForwardReplies(life, std::mem::take(&mut message)));
                    bytes = 0;
                }
                bytes += approximate_bytes;
                message.push(item);
            }
            if !message.is_empty() {
                self.peers.send(node, &Message::ForwardReplies(life, message));
            }
        }
    }
}

fn approximate_bytes(forward_replies: &ForwardReply) -> usize {
    match forward_replies {
        ForwardReply::Delayed => 16,
        ForwardReply::Done(outcome) => codec::outcome_bytes(outcome),
    }
}
