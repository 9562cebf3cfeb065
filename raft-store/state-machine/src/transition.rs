//! One command's way from question to fact.
//!
//! A decision reads the state through a [`Transition`] and emits events into it. Each event is made
//! true at once, so that a decision of several steps sees what its earlier steps did.

use crate::command::RequestId;
use crate::event::Event;
use crate::groups::event::GroupEvent;
use crate::ids::GroupId;
use crate::state::State;

/// See the [module](self).
pub struct Transition<'a> {
    state: &'a mut State,
    request_id: Option<RequestId>,
    events: Option<&'a mut Vec<Event>>,
}

impl<'a> Transition<'a> {
    /// Begins a command's transition. Events are pushed to `events`, if anybody wants them.
    pub(crate) fn new(
        state: &'a mut State,
        request_id: Option<RequestId>,
        events: Option<&'a mut Vec<Event>>,
    ) -> Self {
        Self { state, request_id, events }
    }

    /// The state, with what was emitted so far.
    pub(crate) fn state(&self) -> &State {
        self.state
    }

    /// The request that is decided; `None` for the leader's own commands.
    pub(crate) fn request_id(&self) -> Option<RequestId> {
        self.request_id
    }

    /// States a fact and makes it true.
    pub(crate) fn emit(&mut self, event: impl Into<Event>) {
        let event = event.into();
        self.state.evolve(&event);
        if let Some(events) = &mut self.events {
            events.push(event);
        }
    }

    /// States a fact about one group.
    pub(crate) fn emit_group(&mut self, group: &GroupId, event: impl Into<GroupEvent>) {
        self.emit(Event::Group { group: group.clone(), event: event.into() });
    }
}
