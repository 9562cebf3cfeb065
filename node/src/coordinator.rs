//! What a leader keeps in mind of groups beyond the replicated state: who waits for an answer, whose time
//! runs out when, and when old offsets are to be looked for. All of it is forgotten when somebody else
//! leads, and made anew, with full time for everyone, from the state.

use std::collections::BTreeMap;
use std::time::Duration;

use raft_store::runtime::Instant;
use state_machine::State;
use state_machine::command::{Command, Origin};
use state_machine::event::Event;
use state_machine::reply::Outcome;

use crate::config::Config;
use crate::round::Ticket;

/// See the [module](self).
#[derive(Debug)]
pub struct Coordinator {
    parked: BTreeMap<Origin, Ticket>,
    retention_check: Duration,
    next_retention: Option<Instant>,
}

impl Coordinator {
    /// A coordinator that does not coordinate yet.
    pub fn new(config: &Config) -> Self {
        Self {
            parked: BTreeMap::new(),
            retention_check: config.offsets_retention_check,
            next_retention: None,
        }
    }

    /// This node leads and has applied all that was decided before.
    pub fn start(&mut self, _state: &State, now: Instant) {
        self.next_retention = Some(now + self.retention_check);
    }

    /// This node leads no more.
    pub fn stop(&mut self) {
        self.parked.clear();
        self.next_retention = None;
    }

    /// A join or sync that waits for its group.
    pub fn park(&mut self, origin: Origin, ticket: Ticket) {
        self.parked.insert(origin, ticket);
    }

    /// Events of a round: gives the answers to what waited.
    pub fn observe(&mut self, _events: &[Event], _state: &State, _now: Instant) -> Vec<(Ticket, Outcome)> {
        Vec::new()
    }

    /// What is to be proposed now.
    pub fn due(&mut self, now: Instant, config: &Config) -> Vec<Command> {
        let mut due = Vec::new();
        if self.next_retention.is_some_and(|at| at <= now) {
            self.next_retention = Some(now + self.retention_check);
            let retention_ms = u64::try_from(config.offsets_retention.as_millis()).unwrap_or(u64::MAX);
            due.push(Command::ExpireOffsets { retention_ms });
        }
        due
    }

    /// When something will be due.
    pub fn next_event(&self) -> Option<Instant> {
        self.next_retention
    }
}
