//! Replies that are not ready, or not at their turn, by their places.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Caller;
use super::reply::Encoded;
use super::request::Form;
use crate::api::RequestId;
use crate::api::command::Lane;
use crate::window::Window;

/// One place in the order of replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A request at the service.
    Service(RequestId),
    /// One that this door answers, in its turn.
    Door(u64),
}

/// A reply that is not ready, or not at its turn.
#[derive(Debug)]
pub struct Pending {
    /// Whom it goes to.
    pub caller: Caller,
    /// How it is told; `None` for one of the door's own.
    pub form: Option<Form>,
    /// Whose order it stands in; `None` once it has left it.
    pub queue: Option<Arc<str>>,
    /// What it says, once that is known.
    pub ready: Option<Encoded>,
}

/// All of them.
#[derive(Debug)]
pub struct AllPending {
    /// Nearly all: requests that the service answers at once, whose numbers come in order.
    prompt: Window<Pending>,
    others: BTreeMap<Place, Pending>,
}

impl Default for AllPending {
    fn default() -> Self {
        Self { prompt: Window::starting_at(1), others: BTreeMap::new() }
    }
}

impl AllPending {
    /// Puts one in.
    pub fn insert(&mut self, place: Place, pending: Pending) {
        match place {
            Place::Service(RequestId { lane: Lane::Prompt, seq }) => self.prompt.insert(seq, pending),
            Place::Service(_) | Place::Door(_) => {
                self.others.insert(place, pending);
            }
        }
    }

    /// The one at a place.
    pub fn get(&self, place: Place) -> Option<&Pending> {
        match place {
            Place::Service(RequestId { lane: Lane::Prompt, seq }) => self.prompt.get(seq),
            Place::Service(_) | Place::Door(_) => self.others.get(&place),
        }
    }

    /// The one at a place, to change it.
    pub fn get_mut(&mut self, place: Place) -> Option<&mut Pending> {
        match place {
            Place::Service(RequestId { lane: Lane::Prompt, seq }) => self.prompt.get_mut(seq),
            Place::Service(_) | Place::Door(_) => self.others.get_mut(&place),
        }
    }

    /// Takes one out.
    pub fn remove(&mut self, place: Place) -> Option<Pending> {
        match place {
            Place::Service(RequestId { lane: Lane::Prompt, seq }) => self.prompt.remove(seq),
            Place::Service(_) | Place::Door(_) => self.others.remove(&place),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.prompt.is_empty() && self.others.is_empty()
    }
}
