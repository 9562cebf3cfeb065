//! Requests that this node took in and has not answered: their numbers, deadlines, and where they have got
//! to. Pure: time comes in. It knows neither Raft nor messages.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use raft_store::runtime::Instant;
use state_machine::command::Lane;

use crate::api::{Request, RequestId};
use crate::peer::Floors;
use crate::window::Window;

/// Where a request has got to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
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
    /// What was asked. `None` once it has been handed to a Raft without peers, where nobody asks again.
    pub request: Option<Request>,
    /// The request of the same client that comes before it.
    pub after: Option<RequestId>,
    /// When it is answered at the latest.
    pub deadline: Instant,
    /// How long it had.
    pub timeout: Duration,
    /// Whether Raft or a peer has seen it: then its outcome may be unknown.
    pub exposed: bool,
    /// Where it is.
    pub stage: Stage,
    /// In which order it came, over both lanes.
    pub arrival: u64,
    weight: usize,
}

/// What a place takes whose request is answered: here, and at the door, which keeps as many.
const GONE_BYTES: usize = 2 * size_of::<Option<Entry>>();

/// All open requests of a node.
#[derive(Debug)]
pub struct OpenRequests {
    prompt: Window<Entry>,
    waiting: BTreeMap<u64, Entry>,
    next_waiting: u64,
    waiting_deadlines: BTreeSet<(Instant, u64)>,
    /// When what was sent is due to be sent again.
    due: BTreeSet<(Instant, RequestId)>,
    arrivals: u64,
    bytes: usize,
}

impl Default for OpenRequests {
    fn default() -> Self {
        Self {
            prompt: Window::starting_at(1),
            waiting: BTreeMap::new(),
            next_waiting: 1,
            waiting_deadlines: BTreeSet::new(),
            due: BTreeSet::new(),
            arrivals: 0,
            bytes: 0,
        }
    }
}

impl OpenRequests {
    /// Takes a request in.
    pub fn insert(
        &mut self,
        request: Request,
        after: Option<RequestId>,
        now: Instant,
        timeout: Duration,
    ) -> RequestId {
        let (lane, weight) = (request.lane(), request.weight() + size_of::<Entry>());
        self.arrivals += 1;
        self.bytes += weight;
        let entry = Entry {
            request: Some(request),
            after,
            deadline: now + timeout,
            timeout,
            exposed: false,
            stage: Stage::Unsent,
            arrival: self.arrivals,
            weight,
        };
        let seq = match lane {
            Lane::Prompt => self.prompt.push(entry),
            Lane::Waiting => {
                let seq = self.next_waiting;
                self.next_waiting += 1;
                self.waiting_deadlines.insert((entry.deadline, seq));
                self.waiting.insert(seq, entry);
                seq
            }
        };
        RequestId { lane, seq }
    }

    /// An open request.
    pub fn get(&self, id: RequestId) -> Option<&Entry> {
        match id.lane {
            Lane::Prompt => self.prompt.get(id.seq),
            Lane::Waiting => self.waiting.get(&id.seq),
        }
    }

    /// An open request, to change where it is.
    pub fn get_mut(&mut self, id: RequestId) -> Option<&mut Entry> {
        match id.lane {
            Lane::Prompt => self.prompt.get_mut(id.seq),
            Lane::Waiting => self.waiting.get_mut(&id.seq),
        }
    }

    /// Closes a request: it will not be retried any more.
    pub fn remove(&mut self, id: RequestId) -> Option<Entry> {
        let entry = match id.lane {
            Lane::Prompt => self.prompt.remove(id.seq)?,
            Lane::Waiting => {
                let entry = self.waiting.remove(&id.seq)?;
                self.waiting_deadlines.remove(&(entry.deadline, id.seq));
                entry
            }
        };
        if let Stage::Sent { due, .. } = entry.stage {
            self.due.remove(&(due, id));
        }
        self.bytes -= entry.weight;
        Some(entry)
    }

    /// Says where a request has got to.
    pub fn set_stage(&mut self, id: RequestId, stage: Stage) {
        let Some(entry) = self.get_mut(id) else { return };
        let before = std::mem::replace(&mut entry.stage, stage);
        if let Stage::Sent { .. } = stage {
            entry.exposed = true;
        }
        if let Stage::Sent { due, .. } = before {
            self.due.remove(&(due, id));
        }
        if let Stage::Sent { due, .. } = stage {
            self.due.insert((due, id));
        }
    }

    /// The lowest numbers that are open.
    pub fn floors(&self) -> Floors {
        let waiting = self.waiting.keys().next().copied().unwrap_or(self.next_waiting);
        Floors { prompt: self.prompt.base(), waiting }
    }

    /// How many bytes the open requests take, with the empty places behind one that waits.
    pub fn bytes(&self) -> usize {
        self.bytes + self.prompt.gone() * GONE_BYTES
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.prompt.is_empty() && self.waiting.is_empty()
    }

    /// All open requests in the order in which they came.
    pub fn in_order(&self) -> Vec<RequestId> {
        let prompt = self.prompt.iter().map(|(seq, entry)| (entry.arrival, Lane::Prompt, seq));
        let waiting = self.waiting.iter().map(|(seq, entry)| (entry.arrival, Lane::Waiting, *seq));
        let mut all: Vec<_> = prompt.chain(waiting).collect();
        all.sort_unstable_by_key(|(arrival, ..)| *arrival);
        all.into_iter().map(|(_, lane, seq)| RequestId { lane, seq }).collect()
    }

    /// Requests whose deadline has passed.
    pub fn expired(&self, now: Instant) -> Vec<RequestId> {
        // Prompt ones all have the same time, so their deadlines are in the order of their numbers.
        let prompt = self.prompt.iter().take_while(|(_, entry)| entry.deadline <= now);
        let prompt = prompt.map(|(seq, _)| (Lane::Prompt, seq));
        let waiting = self.waiting_deadlines.iter().take_while(|(deadline, _)| *deadline <= now);
        let waiting = waiting.map(|(_, seq)| (Lane::Waiting, *seq));
        prompt.chain(waiting).map(|(lane, seq)| RequestId { lane, seq }).collect()
    }

    /// Requests that are due to be sent again.
    pub fn due(&self, now: Instant) -> Vec<RequestId> {
        let mut due: Vec<_> = self.due.iter().take_while(|(due, _)| *due <= now).map(|(_, id)| *id).collect();
        due.sort_unstable_by_key(|id| self.get(*id).map(|entry| entry.arrival));
        due
    }

    /// When the next deadline passes or the next request is due.
    pub fn next_event(&self) -> Option<Instant> {
        let prompt = self.prompt.first().map(|entry| entry.deadline);
        let waiting = self.waiting_deadlines.first().map(|(deadline, _)| *deadline);
        let due = self.due.first().map(|(due, _)| *due);
        prompt.into_iter().chain(waiting).chain(due).min()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use raft_store::runtime::Instant;
    use state_machine::command::{Command, Lane, Query};

    use super::{OpenRequests, Stage};
    use crate::api::{Request, RequestId};
    use crate::peer::Floors;

    fn prompt() -> Request {
        Request::Query(Query::ListTopics)
    }

    fn waiting() -> Request {
        Request::Command(Command::SyncGroup {
            group: "g".into(),
            member: "m".into(),
            instance_id: None,
            generation: Default::default(),
            assignments: None,
        })
    }

    #[test]
    fn floors_rise_over_what_is_answered_and_lanes_do_not_hold_each_other_up() {
        let (mut open, now) = (OpenRequests::default(), Instant::now());
        let second = Duration::from_secs(1);
        let join = open.insert(waiting(), None, now, second * 300);
        let ids: Vec<_> = (0..4).map(|_| open.insert(prompt(), None, now, second)).collect();
        assert_eq!(open.floors(), Floors { prompt: 1, waiting: 1 });
        open.remove(ids[1]);
        assert_eq!(open.floors().prompt, 1);
        open.remove(ids[0]);
        assert_eq!(open.floors(), Floors { prompt: 3, waiting: 1 });
        assert!(open.floors().closed(ids[1]) && !open.floors().closed(ids[2]));
        assert_eq!(open.in_order(), [join, ids[2], ids[3]]);
        open.remove(join);
        assert_eq!(open.floors().waiting, 2);
        open.remove(ids[2]);
        open.remove(ids[3]);
        assert!(open.is_empty());
        assert_eq!(open.bytes(), 0);
        assert_eq!(open.insert(prompt(), None, now, second), RequestId { lane: Lane::Prompt, seq: 5 });
    }

    #[test]
    fn each_request_expires_at_its_own_deadline() {
        let (mut open, now) = (OpenRequests::default(), Instant::now());
        let second = Duration::from_secs(1);
        let join = open.insert(waiting(), None, now, second * 10);
        let a = open.insert(prompt(), None, now, second);
        let b = open.insert(prompt(), None, now + second, second);
        assert_eq!(open.next_event(), Some(now + second));
        assert_eq!(open.expired(now), []);
        assert_eq!(open.expired(now + second), [a]);
        open.remove(a);
        assert_eq!(open.expired(now + second * 20), [b, join]);
    }

    #[test]
    fn what_was_sent_is_due_again_until_it_is_answered() {
        let (mut open, now) = (OpenRequests::default(), Instant::now());
        let second = Duration::from_secs(1);
        let a = open.insert(prompt(), None, now, second * 4);
        open.set_stage(a, Stage::Sent { due: now + second, attempt: 0 });
        assert!(open.get(a).is_some_and(|e| e.exposed));
        assert_eq!(open.due(now), []);
        assert_eq!(open.due(now + second), [a]);
        open.set_stage(a, Stage::Sent { due: now + second * 3, attempt: 1 });
        assert_eq!(open.due(now + second), []);
        open.remove(a);
        assert_eq!(open.due(now + second * 9), []);
    }
}
