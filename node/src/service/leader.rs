//! A node while it leads: its rounds, what followers forward to it, and the replies that it sends
//! back to them.
//!
//! A [`Leader`] exists only while the node leads, and all it knows ends with the leadership.
//! Whoever leads next is asked again by the nodes that took the requests in.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use raft_store::{Applied, Proposal, Raft, RoundId, StateMachine, codec, observe};
use runtime::Instant;
use state_machine::command::{Acknowledged, Batch, Command, Lane, Query, RequestId, Stamp};
use state_machine::ids::NodeId;
use state_machine::liveness::Heartbeat;
use state_machine::reply::{Answer, Answered, Decision, Outcome};

use super::api::{Request, RequestNumber};
use super::contents::Contents;
use super::coordinator::Coordinator;
use super::delayed::DelayedReplies;
use super::forwarded::ForwardedRequests;
use super::in_flight::Progress;
use super::rebalances::{Rebalances, UnderWay};
use super::requests::Requests;
use super::round::{Queued, ReplyTo, Round, RoundEnd};
use super::watching::{Leadership, Watching};
use crate::config::Config;
use crate::limits;
use crate::peers::message::{AcknowledgedBelow, Forward, ForwardItem, ForwardReply, Message};
use crate::peers::rpc::Peers;

/// What a leader works with and does not own.
pub(super) struct Context<'a> {
    pub(super) raft: &'a Raft,
    pub(super) machine: &'a StateMachine,
    pub(super) requests: &'a mut Requests,
    /// How many rounds this incarnation of the node has proposed.
    pub(super) rounds: &'a mut u64,
    pub(super) watching: &'a Watching,
    pub(super) rebalances: &'a Rebalances,
}

/// Why a round ended the leadership, or the node.
pub(super) enum Lost {
    /// Another leader took the round's entry out of the log.
    Leadership,
    /// Raft has stopped for good, or what it keeps cannot be read.
    Raft(String),
}

/// A reply to a peer: to which request, and about how many bytes it takes.
type PeerReply = (RequestNumber, ForwardReply, usize);

/// A peer's forwarded requests.
struct Follower {
    /// The incarnation of the peer that they are from.
    incarnation: u64,
    requests: ForwardedRequests,
}

/// See the [module](self).
pub(super) struct Leader {
    config: Arc<Config>,
    me: NodeId,
    incarnation: u64,
    term: u64,
    /// What waits for the next round.
    queue: VecDeque<Queued>,
    /// Whether all that other leaders had proposed and that counts is applied here.
    has_caught_up: bool,
    /// The round under way.
    pub(super) round: Option<Round>,
    followers: BTreeMap<NodeId, Follower>,
    /// What was last proposed as acknowledged, by node, and of which incarnation.
    proposed_acknowledged: BTreeMap<NodeId, (u64, AcknowledgedBelow)>,
    /// Replies to be sent back: to which peer, in which of its incarnations.
    replies: BTreeMap<(NodeId, u64), Vec<PeerReply>>,
    delayed: DelayedReplies,
    coordinator: Coordinator,
    under_way: UnderWay,
}

impl Leader {
    /// A node begins to lead `term`. Before anything else it proposes that it coordinates now.
    pub(super) fn new(config: Arc<Config>, me: NodeId, incarnation: u64, term: u64) -> Self {
        observe::report(|observer| observer.leads(term));
        let coordinator = Coordinator::new(&config);
        let begin = Queued::internal(Command::NewCoordinator { node: me });
        Self {
            config,
            me,
            incarnation,
            term,
            queue: VecDeque::from([begin]),
            has_caught_up: false,
            round: None,
            followers: BTreeMap::new(),
            proposed_acknowledged: BTreeMap::new(),
            replies: BTreeMap::new(),
            delayed: DelayedReplies::default(),
            coordinator,
            under_way: UnderWay::default(),
        }
    }

    /// The term that this node leads.
    pub(super) fn term(&self) -> u64 {
        self.term
    }

    /// Whether something is under way or waits for the next round.
    pub(super) fn is_busy(&self) -> bool {
        self.round.is_some() || !self.queue.is_empty()
    }

    /// When something will be due. What is due goes with the next round: while one is under way,
    /// its end is what to wait for.
    pub(super) fn next_event(&self) -> Option<Instant> {
        self.coordinator.next_event().filter(|_| self.round.is_none())
    }

    /// Takes the requests of this node's own clients into the queue.
    pub(super) fn take_own(&mut self, requests: &mut Requests, alone: bool) {
        while let Some(id) = requests.unsent.pop_front() {
            let Some(entry) = requests.in_flight.get_mut(id) else { continue };
            // Without peers nobody else will ever lead, so there is no need to keep a copy.
            let request = if alone { entry.request.take() } else { entry.request.clone() };
            let Some(request) = request else { continue };
            entry.progress = Progress::Queued;
            let overtaken_by = entry.overtaken_by;
            self.enqueue(ReplyTo::Own(id), request, overtaken_by);
        }
    }

    /// Takes requests that a peer forwards. Each goes to the queue when the one before it of the
    /// same client did.
    pub(super) fn on_forward(&mut self, from: NodeId, incarnation: u64, forward: Forward) {
        let new = || Follower { incarnation, requests: ForwardedRequests::default() };
        let follower = self.followers.entry(from).or_insert_with(new);
        if follower.incarnation != incarnation {
            *follower = new();
        }
        let received = follower.requests.receive(forward);
        for (id, outcome) in received.known {
            self.reply_to_peer(from, incarnation, id, ForwardReply::Done(outcome));
        }
        for ForwardItem { id, overtaken_by, request, .. } in received.ready {
            self.enqueue(ReplyTo::Peer(from, incarnation, id), request, overtaken_by);
        }
    }

    fn enqueue(
        &mut self,
        reply_to: ReplyTo,
        request: Request,
        overtaken_by: Option<RequestNumber>,
    ) {
        let request_id = self.request_id(reply_to);
        let overtaken_by = overtaken_by.zip(request_id).map(|(later, id)| RequestId {
            lane: later.lane,
            seq: later.seq,
            ..id
        });
        if let Some(request_id) = &request_id {
            observe::report(|observer| observer.took(request_id));
        }
        self.queue.push_back(Queued { reply_to, request_id, overtaken_by, request });
    }

    /// The id under which a request is applied.
    fn request_id(&self, reply_to: ReplyTo) -> Option<RequestId> {
        let (node, incarnation, RequestNumber { lane, seq }) = match reply_to {
            ReplyTo::Own(id) => (self.me, self.incarnation, id),
            ReplyTo::Peer(node, incarnation, id) => (node, incarnation, id),
            ReplyTo::Internal => return None,
        };
        Some(RequestId { node, incarnation, lane, seq })
    }

    /// Begins the next round, if none is under way and there is something to do.
    pub(super) fn begin_round(&mut self, context: &mut Context<'_>, now: Instant) {
        if self.round.is_some() || self.queue.is_empty() && !self.coordinator.is_due(now) {
            return;
        }
        let queue = &self.queue;
        let heard = |queued: &Queued| queued.request.heard_member(queued.request_id.as_ref());
        let waiting = || queue.iter().filter_map(heard).collect();
        let due = self.coordinator.due(now, &self.config, waiting);
        self.queue.extend(due.into_iter().map(Queued::internal));
        let contents = self.take_contents(context);
        self.round = match (contents.writes.is_empty(), contents.reads.is_empty()) {
            (true, true) => None,
            (true, false) => {
                let raft = context.raft.clone();
                Some(Round::begin(raft, context.machine, None, Vec::new(), contents.reads))
            }
            (false, _) => Some(self.propose(contents, context)),
        };
    }

    /// Takes from the queue what goes with one round.
    fn take_contents(&mut self, context: &mut Context<'_>) -> Contents {
        let (requests, rounds) = (&mut *context.requests, *context.rounds);
        let caught_up = self.has_caught_up;
        let contents = context
            .machine
            .read(|state| Contents::take(&mut self.queue, state, requests, rounds, caught_up));
        for reply_to in &contents.overtaken {
            self.overtaken(*reply_to, context.requests);
        }
        if self.queue.is_empty() {
            self.queue.shrink_to(limits::KEPT_PLACES);
        }
        contents
    }

    /// Proposes a round with writes. Its reads are answered when its entry is applied here.
    fn propose(&mut self, contents: Contents, context: &mut Context<'_>) -> Round {
        let Contents { batch, writes, reads, positions, overtaken: _ } = contents;
        *context.rounds += 1;
        context.watching.proposes(*context.rounds);
        let id = RoundId { incarnation: self.incarnation, number: *context.rounds };
        let batch = Batch {
            stamp: Stamp {
                now_ms: runtime::wall_ms(),
                limits: self.config.group_limits,
                log_limits: self.config.log_limits,
            },
            acknowledged: self.newly_acknowledged(context.requests),
            writes: batch,
        };
        if !reads.is_empty() {
            let queries = reads.iter().map(|(_, query, _)| query.clone());
            context.machine.batch_reads(id, positions.into_iter().zip(queries).collect());
        }
        let proposal = Proposal::new(id, batch);
        Round::begin(context.raft.clone(), context.machine, Some(proposal), writes, reads)
    }

    /// What was acknowledged since it was last proposed, by this node and by its followers. An
    /// incarnation that is over has no requests any more: what is remembered of it may go, and what
    /// comes late of it is refused.
    fn newly_acknowledged(&mut self, requests: &Requests) -> Vec<Acknowledged> {
        let own = (self.me, self.incarnation, requests.in_flight.acknowledged());
        let followers = self.followers.iter();
        let followers =
            followers.map(|(node, f)| (*node, f.incarnation, f.requests.acknowledged()));
        let mut newly = Vec::new();
        for (node, incarnation, acknowledged) in followers.chain([own]) {
            let lanes = [Lane::Immediate, Lane::Delayed];
            let known = self.proposed_acknowledged.insert(node, (incarnation, acknowledged));
            let (proposed, over) = match known {
                Some((known, proposed)) if known == incarnation => (proposed, None),
                other => (AcknowledgedBelow::default(), other.map(|(known, _)| known)),
            };
            if let Some(incarnation) = over {
                let gone = |lane| Acknowledged { node, incarnation, lane, below: u64::MAX };
                newly.extend(lanes.map(gone));
            }
            let rises =
                lanes.into_iter().filter(|lane| acknowledged.of(*lane) > proposed.of(*lane));
            let rise =
                |lane| Acknowledged { node, incarnation, lane, below: acknowledged.of(lane) };
            newly.extend(rises.map(rise));
        }
        newly
    }

    /// The round under way has ended.
    ///
    /// # Errors
    /// Where the leadership, or Raft, has ended with it.
    pub(super) fn end_round(
        &mut self,
        end: RoundEnd,
        context: &mut Context<'_>,
        now: Instant,
    ) -> Result<(), Lost> {
        let Some(round) = self.round.take() else { return Ok(()) };
        match end {
            RoundEnd::Applied(applied) => self.round_applied(round, applied, context, now),
            RoundEnd::MayRead => {
                let queries = round.reads.iter().map(|(_, query, _)| query);
                let answers = context.machine.answer(queries);
                let answers = answers.map_err(|error| Lost::Raft(error.to_string()))?;
                tell_served(context.machine, &round.reads, &answers);
                self.answer_reads(round.reads, answers, context, now);
            }
            RoundEnd::NotConfirmed => {
                for (reply_to, query, request_id) in round.reads.into_iter().rev() {
                    // Nothing that came after it was proposed yet.
                    let (overtaken_by, request) = (None, Request::Query(query));
                    let queued = Queued { reply_to, request_id, overtaken_by, request };
                    self.queue.push_front(queued);
                }
            }
            // Whoever leads now is asked as soon as this node knows who that is.
            RoundEnd::Discarded => return Err(Lost::Leadership),
            RoundEnd::Fatal(problem) => return Err(Lost::Raft(problem)),
        }
        Ok(())
    }

    fn round_applied(
        &mut self,
        round: Round,
        applied: Applied,
        context: &mut Context<'_>,
        now: Instant,
    ) {
        let Applied { outcomes, answers, events } = applied;
        for ((write, reply_to), decided) in
            round.batch.writes.iter().zip(round.writes).zip(outcomes)
        {
            if matches!(write.command, Command::NewCoordinator { .. }) {
                self.has_caught_up = true;
                let leadership = Leadership { leader: Some(self.me), term: self.term };
                context.watching.set_leadership(leadership);
                context.machine.read(|state| self.coordinator.start(state, now));
            }
            let sign = write.command.heartbeat().map(|sign| sign.told(&decided));
            self.coordinator.answered(sign, &decided, now);
            match decided {
                Ok(Decision::Reply(reply)) => self.answer(reply_to, Ok(reply), context),
                Ok(Decision::Delayed { .. }) => {
                    if let Some(request_id) = write.request_id {
                        self.delayed.insert(request_id, reply_to);
                        self.tell_delayed(reply_to, context, now);
                    }
                }
                Err(refused) => self.answer(reply_to, Err(refused), context),
            }
        }
        self.answer_reads(round.reads, answers, context, now);
        context.machine.read(|state| {
            events.iter().for_each(|event| self.coordinator.observe(event, state, now));
        });
        for event in &events {
            // One round is under way at a time, so this is the last one that was proposed.
            context.watching.observe(*context.rounds, event);
            self.under_way.observe(event, now, context.rebalances);
        }
        for event in events {
            if let Some((reply_to, outcome)) = self.delayed.answered(event) {
                self.answer(reply_to, outcome, context);
            }
        }
    }

    fn answer_reads(
        &mut self,
        reads: Vec<(ReplyTo, Query, Option<RequestId>)>,
        answers: Vec<Answered>,
        context: &mut Context<'_>,
        now: Instant,
    ) {
        for ((reply_to, query, request_id), answered) in reads.into_iter().zip(answers) {
            let outcome = match answered {
                Ok(Answer::Reply(reply)) => Ok(reply),
                Ok(Answer::NeedsCommand(command)) => {
                    let (overtaken_by, request) = (None, Request::Command(command));
                    let queued = Queued { reply_to, request_id, overtaken_by, request };
                    self.queue.push_front(queued);
                    continue;
                }
                Err(refused) => Err(refused),
            };
            self.coordinator.answered(query.heartbeat(), &outcome, now);
            self.answer(reply_to, outcome, context);
        }
    }

    fn answer(&mut self, reply_to: ReplyTo, outcome: Outcome, context: &mut Context<'_>) {
        if let Some(request_id) = self.request_id(reply_to) {
            observe::report(|observer| observer.decided(&request_id, self.term));
        }
        match reply_to {
            ReplyTo::Own(id) => context.requests.finish(id, outcome),
            ReplyTo::Peer(node, incarnation, id) => {
                self.reply_to_peer(node, incarnation, id, ForwardReply::Done(outcome));
            }
            ReplyTo::Internal => {
                if let Err(refused) = outcome {
                    tracing::debug!(%refused, "the coordinator's own command");
                }
            }
        }
    }

    /// A later command of the same client was executed before this read, whose answer is not known.
    fn overtaken(&mut self, reply_to: ReplyTo, requests: &mut Requests) {
        match reply_to {
            ReplyTo::Own(id) => requests.overtaken(id),
            ReplyTo::Peer(node, incarnation, id) => {
                self.reply_to_peer(node, incarnation, id, ForwardReply::Overtaken);
            }
            ReplyTo::Internal => {}
        }
    }

    fn tell_delayed(&mut self, reply_to: ReplyTo, context: &mut Context<'_>, now: Instant) {
        match reply_to {
            ReplyTo::Own(id) => context.requests.delayed(id, now),
            // It may be asked for again without harm: the state knows it by its request id.
            ReplyTo::Peer(node, incarnation, id) => {
                self.reply_to_peer(node, incarnation, id, ForwardReply::Delayed);
            }
            ReplyTo::Internal => {}
        }
    }

    fn reply_to_peer(
        &mut self,
        node: NodeId,
        incarnation: u64,
        id: RequestNumber,
        reply: ForwardReply,
    ) {
        let bytes = approximate_bytes(&reply);
        let follower = self.followers.get_mut(&node).filter(|f| f.incarnation == incarnation);
        if let Some(follower) = follower {
            let outcome = match &reply {
                ForwardReply::Done(outcome) => Some(outcome),
                ForwardReply::Delayed | ForwardReply::Overtaken => None,
            };
            follower.requests.executed(id, outcome, bytes);
        }
        self.replies.entry((node, incarnation)).or_default().push((id, reply, bytes));
    }

    /// Sends followers the replies that have become known.
    pub(super) fn send_replies(&mut self, peers: &Peers) {
        for ((node, incarnation), replies) in std::mem::take(&mut self.replies) {
            let (mut message, mut bytes) = (Vec::new(), 0);
            for (id, reply, more) in replies {
                if bytes + more > limits::FORWARD_REPLIES && !message.is_empty() {
                    let full = std::mem::take(&mut message);
                    peers.send(node, &Message::ForwardReplies(incarnation, full));
                    bytes = 0;
                }
                bytes += more;
                message.push((id, reply));
            }
            if !message.is_empty() {
                peers.send(node, &Message::ForwardReplies(incarnation, message));
            }
        }
    }
}

fn tell_served(
    machine: &StateMachine,
    reads: &[(ReplyTo, Query, Option<RequestId>)],
    answers: &[Answered],
) {
    observe::report(|observer| {
        let applied = machine.applied().map_or(0, |id| id.index());
        for ((_, query, _), answer) in reads.iter().zip(answers) {
            if let (Some(Heartbeat { group, member: Some(member), .. }), Ok(_)) =
                (query.heartbeat(), answer)
            {
                observer.served(group, member, applied);
            }
        }
    });
}

fn approximate_bytes(reply: &ForwardReply) -> usize {
    match reply {
        ForwardReply::Delayed | ForwardReply::Overtaken => 16,
        ForwardReply::Done(outcome) => codec::outcome_bytes(outcome),
    }
}
