//! Replies that are not ready, or not at their turn, by their places.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Caller;
use super::replies::Encoded;
use super::requests::ReplyShape;
use crate::service::api::RequestNumber;
use crate::service::slots::SlotQueue;
use state_machine::command::Lane;

/// One place in the order of replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A request at the service.
    Service(RequestNumber),
    /// One that this listener answers, in its turn.
    Listener(u64),
}

/// A reply that is not ready, or not at its turn.
#[derive(Debug)]
pub struct Pending {
    /// Whom it goes to.
    pub caller: Caller,
    /// How it is told; `None` for one of the listener's own.
    pub form: Option<ReplyShape>,
    /// Whose order it stands in; `None` once it has left it.
    pub queue: Option<Arc<str>>,
    /// What it says, once that is known.
    pub ready: Option<Encoded>,
}

/// All of them.
#[derive(Debug)]
pub struct AllPending {
    /// Nearly all: requests that the service answers at once, whose numbers come in order.
    prompt: SlotQueue<Pending>,
    others: BTreeMap<Place, Pending>,
}

impl Default for AllPending {
    fn default() -> Self {
        Self { prompt: SlotQueue::starting_at(1), others: BTreeMap::new() }
    }
}

impl AllPending {
    /// Puts one in.
    pub fn insert(&mut self, place: Place, pending: Pending) {
        match place {
            Place::Service(RequestNumber { lane: Lane::Immediate, seq }) => self.prompt.insert(seq, pending),
            Place::Service(_) | Place::Listener(_) => {
                self.others.insert(place, pending);
            }
        }
    }

    /// The one at a place.
    pub fn get(&self, place: Place) -> Option<&Pending> {
        match place {
            Place::Service(RequestNumber { lane: Lane::Immediate, seq }) => self.prompt.get(seq),
            Place::Service(_) | Place::Listener(_) => self.others.get(&place),
        }
    }

    /// The one at a place, to change it.
    pub fn get_mut(&mut self, place: Place) -> Option<&mut Pending> {
        match place {
            Place::Service(RequestNumber { lane: Lane::Immediate, seq }) => self.prompt.get_mut(seq),
            Place::Service(_) | Place::Listener(_) => self.others.get_mut(&place),
        }
    }

    /// Takes one out.
    pub fn remove(&mut self, place: Place) -> Option<Pending> {
        match place {
            Place::Service(RequestNumber { lane: Lane::Immediate, seq }) => self.prompt.remove(seq),
            Place::Service(_) | Place::Listener(_) => self.others.remove(&place),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.prompt.is_empty() && self.others.is_empty()
    }
}
