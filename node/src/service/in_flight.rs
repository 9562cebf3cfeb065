//! Requests that this node took in and has not answered: their numbers, their deadlines, and how
//! far they have got.
//!
//! Pure: time comes in. It knows neither Raft nor messages.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use runtime::Instant;
use state_machine::command::Lane;

use super::api::{Request, RequestNumber};
use super::handle::Sender;
use crate::peers::message::AcknowledgedBelow;
use crate::slots::SlotQueue;

/// Where a request has got to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Nowhere: no leader is known.
    Unsent,
    /// In this node's own queue, since it leads.
    Queued,
    /// On its way to the leader; sent again when it is due.
    Sent {
        /// When it is sent again.
        due: Instant,
        /// How many times it was sent before.
        attempt: u32,
    },
}

/// One open request.
#[derive(Debug)]
pub struct Entry {
    /// Where its reply goes.
    pub(super) sender: Sender,
    /// What was asked. `None` once it has been handed to a Raft without peers, where nobody asks
    /// again.
    pub request: Option<Request>,
    /// The open request of the same client that comes before it.
    pub after: Option<RequestNumber>,
    /// The open request of the same client that comes after it.
    next: Option<RequestNumber>,
    /// Of a read: the first later command of the same client that Raft or a peer has seen.
    pub overtaken_by: Option<RequestNumber>,
    /// When it is answered at the latest.
    pub deadline: Instant,
    /// How long it had.
    pub timeout: Duration,
    /// Of one that may be delayed: until then its client's other requests wait for its reply, if
    /// its group does not know of it before.
    turn_ends: Instant,
    /// Whether Raft or a peer has seen it: then its outcome may be unknown.
    pub exposed: bool,
    /// Where it is.
    pub progress: Progress,
    /// In which order it came, over both lanes.
    pub arrival: u64,
    bytes: usize,
}

/// How long a request may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    /// Until it is answered.
    pub(super) timeout: Duration,
    /// Until it holds up nobody's reply.
    pub(super) turn: Duration,
}

/// What a place takes whose request is answered: here, and at the listener, which keeps as many.
const GONE_BYTES: usize = 2 * size_of::<Option<Entry>>();

/// All open requests of a node.
#[derive(Debug)]
pub struct InFlight {
    immediate: SlotQueue<Entry>,
    delayed: BTreeMap<u64, Entry>,
    next_delayed: u64,
    delayed_deadlines: BTreeSet<(Instant, u64)>,
    /// Those of which no group knows yet, by when their turn ends.
    turns: BTreeSet<(Instant, u64)>,
    /// When what was sent is due to be sent again.
    due: BTreeSet<(Instant, RequestNumber)>,
    arrivals: u64,
    last_received: Instant,
    bytes: usize,
}

impl Default for InFlight {
    fn default() -> Self {
        Self {
            immediate: SlotQueue::starting_at(1),
            delayed: BTreeMap::new(),
            next_delayed: 1,
            delayed_deadlines: BTreeSet::new(),
            turns: BTreeSet::new(),
            due: BTreeSet::new(),
            arrivals: 0,
            last_received: Instant::from_millis(0),
            bytes: 0,
        }
    }
}

impl InFlight {
    /// The requests that wait for their groups, in their order.
    pub(super) fn delayed(&self) -> Vec<RequestNumber> {
        let lane = Lane::Delayed;
        self.delayed.keys().map(|seq| RequestNumber { lane, seq: *seq }).collect()
    }

    /// Takes in a request of about so many `bytes` that came in at `received`, to be answered at
    /// the latest `timeout` later; where it may be delayed, it holds up nobody's reply once `turn`
    /// is over. `after` is the request of the same client that has to be executed before it, if
    /// that is still open.
    pub(super) fn insert(
        &mut self,
        sender: Sender,
        request: Request,
        bytes: usize,
        after: Option<RequestNumber>,
        received: Instant,
        Times { timeout, turn }: Times,
    ) -> RequestNumber {
        let (lane, bytes) = (request.lane(), bytes + size_of::<Entry>());
        self.arrivals += 1;
        self.bytes += bytes;
        // Listeners hand over what they read one after another: deadlines stay in the order of
        // numbers.
        self.last_received = self.last_received.max(received);
        let entry = Entry {
            sender,
            request: Some(request),
            after,
            next: None,
            overtaken_by: None,
            deadline: self.last_received + timeout,
            timeout,
            turn_ends: self.last_received + turn,
            exposed: false,
            progress: Progress::Unsent,
            arrival: self.arrivals,
            bytes,
        };
        let seq = match lane {
            Lane::Immediate => self.immediate.push(entry),
            Lane::Delayed => {
                let seq = self.next_delayed;
                self.next_delayed += 1;
                self.delayed_deadlines.insert((entry.deadline, seq));
                self.turns.insert((entry.turn_ends, seq));
                self.delayed.insert(seq, entry);
                seq
            }
        };
        let id = RequestNumber { lane, seq };
        if let Some(before) = after.and_then(|before| self.get_mut(before)) {
            before.next = Some(id);
        }
        id
    }

    /// An open request.
    pub fn get(&self, id: RequestNumber) -> Option<&Entry> {
        match id.lane {
            Lane::Immediate => self.immediate.get(id.seq),
            Lane::Delayed => self.delayed.get(&id.seq),
        }
    }

    /// An open request, to change where it is.
    pub fn get_mut(&mut self, id: RequestNumber) -> Option<&mut Entry> {
        match id.lane {
            Lane::Immediate => self.immediate.get_mut(id.seq),
            Lane::Delayed => self.delayed.get_mut(&id.seq),
        }
    }

    /// Closes a request: it will not be retried any more.
    pub fn remove(&mut self, id: RequestNumber) -> Option<Entry> {
        let entry = match id.lane {
            Lane::Immediate => self.immediate.remove(id.seq)?,
            Lane::Delayed => {
                let entry = self.delayed.remove(&id.seq)?;
                self.delayed_deadlines.remove(&(entry.deadline, id.seq));
                self.turns.remove(&(entry.turn_ends, id.seq));
                entry
            }
        };
        if let Progress::Sent { due, .. } = entry.progress {
            self.due.remove(&(due, id));
        }
        self.bytes -= entry.bytes;
        if let Some(next) = entry.next.and_then(|next| self.get_mut(next)) {
            next.after = entry.after;
        }
        if let Some(before) = entry.after.and_then(|before| self.get_mut(before)) {
            before.next = entry.next;
        }
        Some(entry)
    }

    /// Raft or a peer sees a request from now on. The open reads before it, by the same client,
    /// must not be executed after it.
    pub fn expose(&mut self, id: RequestNumber) {
        let Some(entry) = self.get_mut(id) else { return };
        entry.exposed = true;
        if !matches!(entry.request, Some(Request::Command(_))) {
            return;
        }
        let mut before = entry.after;
        while let Some(read) = before.and_then(|before| self.get_mut(before))
            && matches!(read.request, Some(Request::Query(_)))
            && read.overtaken_by.is_none()
        {
            read.overtaken_by = Some(id);
            before = read.after;
        }
    }

    /// Says where a request has got to.
    pub fn set_progress(&mut self, id: RequestNumber, progress: Progress) {
        let Some(entry) = self.get_mut(id) else { return };
        let before = std::mem::replace(&mut entry.progress, progress);
        if let Progress::Sent { due, .. } = before {
            self.due.remove(&(due, id));
        }
        if let Progress::Sent { due, .. } = progress {
            self.due.insert((due, id));
            self.expose(id);
        }
    }

    /// The lowest numbers that are open.
    pub fn acknowledged(&self) -> AcknowledgedBelow {
        let delayed = self.delayed.keys().next().copied().unwrap_or(self.next_delayed);
        AcknowledgedBelow { immediate: self.immediate.base(), delayed }
    }

    /// How many bytes the open requests take, with the empty places behind one that waits.
    pub fn bytes(&self) -> usize {
        self.bytes + self.immediate.gone() * GONE_BYTES
    }

    /// Whether none is open.
    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.immediate.is_empty() && self.delayed.is_empty()
    }

    /// All open requests in the order in which they came.
    pub fn in_order(&self) -> Vec<RequestNumber> {
        let immediate =
            self.immediate.iter().map(|(seq, entry)| (entry.arrival, Lane::Immediate, seq));
        let delayed = self.delayed.iter().map(|(seq, entry)| (entry.arrival, Lane::Delayed, *seq));
        let mut all: Vec<_> = immediate.chain(delayed).collect();
        all.sort_unstable_by_key(|(arrival, ..)| *arrival);
        all.into_iter().map(|(_, lane, seq)| RequestNumber { lane, seq }).collect()
    }

    /// Requests whose deadline has passed.
    pub fn expired(&self, now: Instant) -> Vec<RequestNumber> {
        // Prompt ones all have the same time, so their deadlines are in the order of their numbers.
        let immediate = self.immediate.iter().take_while(|(_, entry)| entry.deadline <= now);
        let immediate = immediate.map(|(seq, _)| (Lane::Immediate, seq));
        let delayed = self.delayed_deadlines.iter().take_while(|(deadline, _)| *deadline <= now);
        let delayed = delayed.map(|(_, seq)| (Lane::Delayed, *seq));
        immediate.chain(delayed).map(|(lane, seq)| RequestNumber { lane, seq }).collect()
    }

    /// A request's turn is over: nobody's reply waits for its own any more.
    pub fn end_turn(&mut self, id: RequestNumber) {
        if let Some(entry) = self.delayed.get(&id.seq).filter(|_| id.lane == Lane::Delayed) {
            self.turns.remove(&(entry.turn_ends, id.seq));
        }
    }

    /// Requests whose turn has passed, and of which no group knows.
    pub fn out_of_turn(&self, now: Instant) -> Vec<RequestNumber> {
        let passed = self.turns.iter().take_while(|(ends, _)| *ends <= now);
        passed.map(|(_, seq)| RequestNumber { lane: Lane::Delayed, seq: *seq }).collect()
    }

    /// Requests that are due to be sent again.
    pub fn due(&self, now: Instant) -> Vec<RequestNumber> {
        let mut due: Vec<_> =
            self.due.iter().take_while(|(due, _)| *due <= now).map(|(_, id)| *id).collect();
        due.sort_unstable_by_key(|id| self.get(*id).map(|entry| entry.arrival));
        due
    }

    /// When the next deadline or turn passes or the next request is due.
    pub fn next_event(&self) -> Option<Instant> {
        let immediate = self.immediate.first().map(|entry| entry.deadline);
        let delayed = self.delayed_deadlines.first().map(|(deadline, _)| *deadline);
        let turn = self.turns.first().map(|(ends, _)| *ends);
        let due = self.due.first().map(|(due, _)| *due);
        immediate.into_iter().chain(delayed).chain(turn).chain(due).min()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use runtime::Instant;
    use state_machine::command::Lane;
    use state_machine::groups::classic::command::ClassicCommand;
    use state_machine::topics::command::TopicQuery;

    use super::{InFlight, Progress, Times};
    use crate::peers::message::AcknowledgedBelow;
    use crate::service::api::{Request, RequestNumber};
    use crate::service::handle::Sender;

    const TURN: Duration = Duration::from_secs(4);

    fn insert(
        open: &mut InFlight,
        request: Request,
        after: Option<RequestNumber>,
        now: Instant,
        timeout: Duration,
    ) -> RequestNumber {
        let sender = Sender { connection: 1, client: 1, number: 1 };
        open.insert(sender, request, 100, after, now, Times { timeout, turn: TURN })
    }

    fn immediate() -> Request {
        Request::Query(TopicQuery::List.into())
    }

    fn delayed() -> Request {
        Request::Command(
            ClassicCommand::Sync {
                group: "g".into(),
                member: "m".into(),
                instance_id: None,
                generation: Default::default(),
                agreed: Default::default(),
                assignments: None,
            }
            .into(),
        )
    }

    #[test]
    fn floors_rise_over_what_is_answered_and_lanes_do_not_hold_each_other_up() {
        let (mut open, now) = (InFlight::default(), Instant::now());
        let second = Duration::from_secs(1);
        let join = insert(&mut open, delayed(), None, now, second * 300);
        let ids: Vec<_> =
            (0..4).map(|_| insert(&mut open, immediate(), None, now, second)).collect();
        assert_eq!(open.acknowledged(), AcknowledgedBelow { immediate: 1, delayed: 1 });
        open.remove(ids[1]);
        assert_eq!(open.acknowledged().immediate, 1);
        open.remove(ids[0]);
        assert_eq!(open.acknowledged(), AcknowledgedBelow { immediate: 3, delayed: 1 });
        assert!(open.acknowledged().closed(ids[1]) && !open.acknowledged().closed(ids[2]));
        assert_eq!(open.in_order(), [join, ids[2], ids[3]]);
        open.remove(join);
        assert_eq!(open.acknowledged().delayed, 2);
        open.remove(ids[2]);
        open.remove(ids[3]);
        assert!(open.is_empty());
        assert_eq!(open.bytes(), 0);
        assert_eq!(
            insert(&mut open, immediate(), None, now, second),
            RequestNumber { lane: Lane::Immediate, seq: 5 }
        );
    }

    #[test]
    fn each_request_expires_at_its_own_deadline() {
        let (mut open, now) = (InFlight::default(), Instant::now());
        let second = Duration::from_secs(1);
        let join = insert(&mut open, delayed(), None, now, second * 10);
        let a = insert(&mut open, immediate(), None, now, second);
        let b = insert(&mut open, immediate(), None, now + second, second);
        assert_eq!(open.next_event(), Some(now + second));
        assert_eq!(open.expired(now), []);
        assert_eq!(open.expired(now + second), [a]);
        open.remove(a);
        assert_eq!(open.expired(now + second * 20), [b, join]);
    }

    #[test]
    fn what_was_sent_is_due_again_until_it_is_answered() {
        let (mut open, now) = (InFlight::default(), Instant::now());
        let second = Duration::from_secs(1);
        let a = insert(&mut open, immediate(), None, now, second * 4);
        open.set_progress(a, Progress::Sent { due: now + second, attempt: 0 });
        assert!(open.get(a).is_some_and(|e| e.exposed));
        assert_eq!(open.due(now), []);
        assert_eq!(open.due(now + second), [a]);
        open.set_progress(a, Progress::Sent { due: now + second * 3, attempt: 1 });
        assert_eq!(open.due(now + second), []);
        open.remove(a);
        assert_eq!(open.due(now + second * 9), []);
    }
}
