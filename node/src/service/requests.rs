//! The requests of this node's own clients, from submission to reply: limits, deadlines, order, and
//! what a request that was given up is told.
//!
//! It knows neither Raft nor messages. What it hands out goes to the leader, be that this node or
//! another.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use raft_store::StateMachine;
use runtime::Instant;
use state_machine::command::Lane;
use state_machine::reply::Outcome;

use super::api::{Completion, Failure, Request, RequestNumber, Response, ServiceError};
use super::delayed::DelayTimes;
use super::handle::{ConnectionId, Connections, Inbox, Sender, Submission};
use super::in_flight::{InFlight, Progress, Times};
use crate::config::Config;
use crate::limits;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Requests {
    config: Arc<Config>,
    /// Whether the node is the whole cluster. Then order needs no care: everything is executed as
    /// it comes.
    alone: bool,
    pub(super) in_flight: InFlight,
    /// Requests that have not been sent anywhere, in order.
    pub(super) unsent: VecDeque<RequestNumber>,
    /// The last request of each client that is open and not delayed.
    last: BTreeMap<(ConnectionId, u64), RequestNumber>,
    delay_times: DelayTimes,
    connections: Connections,
    /// Connections on which nothing more will come.
    closing: BTreeSet<ConnectionId>,
    /// The bytes that are left on the disk, where they are too few.
    nearly_full: Option<u64>,
}

impl Requests {
    pub(super) fn new(config: Arc<Config>, alone: bool) -> Self {
        Self {
            config,
            alone,
            in_flight: InFlight::default(),
            unsent: VecDeque::new(),
            last: BTreeMap::new(),
            delay_times: DelayTimes::default(),
            connections: Connections::default(),
            closing: BTreeSet::new(),
            nearly_full: None,
        }
    }

    /// How many bytes are left on the disk. Below the floor no records are taken in, so that what
    /// the cluster needs to go on, and to make room, can still be written.
    pub(super) fn disk_has(&mut self, free: u64) {
        let full = free < self.config.free_floor;
        if full != self.nearly_full.is_some() {
            let floor = self.config.free_floor;
            tracing::warn!(free, floor, full, "space on the disk");
        }
        self.nearly_full = full.then_some(free);
    }

    /// Whether the disk has less than the floor left.
    pub(super) fn lacks_room(&self) -> bool {
        self.nearly_full.is_some()
    }

    /// Takes in what listeners have left.
    pub(super) fn take(&mut self, inbox: Inbox, machine: &StateMachine) {
        for (id, replies, delayed) in inbox.opened {
            self.connections.open(id, replies, delayed);
        }
        for submission in inbox.submissions {
            self.take_one(submission, machine);
        }
        self.closing.extend(inbox.closed);
    }

    /// Takes a request in, or refuses it: it is too large, or too many are under way.
    fn take_one(&mut self, submission: Submission, machine: &StateMachine) {
        let Submission { sender, request, bytes, received } = submission;
        let (open, limit) = (self.in_flight.bytes(), self.config.max_open);
        let refusal = if bytes > limits::REQUEST {
            Some(ServiceError::TooLarge { bytes, limit: limits::REQUEST })
        } else if open + bytes > limit {
            Some(ServiceError::Overloaded { open, limit })
        } else if let Some(free) = self.nearly_full.filter(|_| carries_records(&request)) {
            Some(ServiceError::DiskFull { free, floor: self.config.free_floor })
        } else {
            None
        };
        if let Some(error) = refusal {
            let refused = Completion::Done(Err(error.into()));
            self.connections.reply(sender, received + self.config.request_timeout, refused);
            return;
        }
        let turn = self.config.request_timeout;
        let times = Times { timeout: turn + self.delay_times.of(&request, machine), turn };
        let client = (sender.connection, sender.client);
        let after = if self.alone { None } else { self.last.get(&client).copied() };
        let id = self.in_flight.insert(sender, request, bytes, after, received, times);
        if !self.alone {
            self.last.insert(client, id);
        }
        self.unsent.push_back(id);
    }

    /// All open requests are to be sent anew, in their order: somebody else leads.
    pub(super) fn resend_all(&mut self) {
        self.unsent = self.in_flight.in_order().into();
        for id in &self.unsent {
            self.in_flight.set_progress(*id, Progress::Unsent);
        }
    }

    /// This node does not lead: what only a leader delays for its clients is over.
    pub(super) fn end_delayed(&mut self) {
        for id in self.in_flight.delayed() {
            let entry = self.in_flight.get(id).expect("it is in flight");
            if self.connections.ends_delayed(entry.sender.connection) {
                self.end(id, Err(ServiceError::NotLeading.into()));
            }
        }
    }

    /// A request is delayed: its group knows of it, and it may take minutes now.
    pub(super) fn delayed(&mut self, id: RequestNumber, now: Instant) {
        let Some(entry) = self.in_flight.get(id) else { return };
        let sender = entry.sender;
        if let Progress::Sent { attempt, .. } = entry.progress {
            let due = now + limits::DELAYED_RETRY;
            self.in_flight.set_progress(id, Progress::Sent { due, attempt });
        }
        self.forget_last(sender, id);
        self.end_turn(id);
    }

    /// The replies to its client's other requests wait for this one's no more.
    fn end_turn(&mut self, id: RequestNumber) {
        self.in_flight.end_turn(id);
        if let Some(entry) = self.in_flight.get(id) {
            self.connections.reply(entry.sender, entry.deadline, Completion::Delayed);
        }
    }

    /// The outcome of a request is known. A copy of an answer, or one to a request that was given
    /// up, is dropped.
    pub(super) fn finish(&mut self, id: RequestNumber, outcome: Outcome) {
        self.end(id, outcome.map_err(Failure::from));
    }

    /// A read can be executed no more: a later command of its client was.
    pub(super) fn overtaken(&mut self, id: RequestNumber) {
        self.end(id, Err(ServiceError::Overtaken.into()));
    }

    fn end(&mut self, id: RequestNumber, response: Response) {
        let Some(entry) = self.in_flight.remove(id) else { return };
        if let (Some(request), Ok(reply)) = (&entry.request, &response) {
            self.delay_times.learn(request, reply);
        }
        self.forget_last(entry.sender, id);
        self.connections.reply(entry.sender, entry.deadline, Completion::Done(response));
    }

    fn forget_last(&mut self, sender: Sender, id: RequestNumber) {
        let client = (sender.connection, sender.client);
        if !self.alone && self.last.get(&client) == Some(&id) {
            self.last.remove(&client);
        }
    }

    /// Answers what is over. Call it before anything that could answer: after a stop of the process
    /// an answer and the deadline before it come at once, and the deadline is first.
    pub(super) fn expire_overdue(&mut self, now: Instant) {
        for id in self.in_flight.expired(now) {
            self.give_up(id);
        }
        // No leader has told its group of it. Others have deadlines of their own.
        for id in self.in_flight.out_of_turn(now) {
            self.end_turn(id);
        }
    }

    /// A request is answered now, once, and never again. The refusal is definite only where neither
    /// Raft nor a peer has seen the request.
    fn give_up(&mut self, id: RequestNumber) {
        let Some(entry) = self.in_flight.get(id) else { return };
        let error = match entry.request {
            Some(Request::Query(_)) => ServiceError::not_available(entry.timeout),
            _ if entry.exposed => ServiceError::timed_out(entry.timeout),
            _ => ServiceError::not_available(entry.timeout),
        };
        self.end(id, Err(error.into()));
    }

    /// Whether a connection was closed whose requests are not given up yet.
    pub(super) fn is_closing(&self) -> bool {
        !self.closing.is_empty()
    }

    /// Gives up what is left of closed connections. What waits for its group is told so.
    pub(super) fn give_up_closed(&mut self) {
        let closing = std::mem::take(&mut self.closing);
        for id in self.in_flight.in_order() {
            let of_closed = |sender: Sender| closing.contains(&sender.connection);
            if !self.in_flight.get(id).is_some_and(|entry| of_closed(entry.sender)) {
                continue;
            }
            match id.lane {
                Lane::Immediate => self.give_up(id),
                Lane::Delayed => self.end(id, Err(ServiceError::Closed.into())),
            }
        }
    }

    /// Hands replies over to their listeners.
    pub(super) fn flush(&mut self) {
        self.connections.flush();
    }
}

/// Whether a request brings records.
fn carries_records(request: &Request) -> bool {
    matches!(request, Request::Command(command) if command.records().is_some())
}
