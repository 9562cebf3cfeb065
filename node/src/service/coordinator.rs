//! What a leader knows of groups beyond the replicated state: whose time runs out when, and when
//! old offsets are to be looked for. It ends with the leadership. The next leader makes it anew
//! from the state, with full time for everyone.

use std::collections::BTreeSet;
use std::time::Duration;

use raft_store::observe;
use runtime::Instant;
use state_machine::State;
use state_machine::command::Command;
use state_machine::event::Event;
use state_machine::groups::command::{Deadline, GroupCommand};
use state_machine::ids::{GroupId, MemberId};
use state_machine::liveness::{self, Heartbeat};
use state_machine::offsets::command::OffsetCommand;
use state_machine::rejection::Rejection;
use state_machine::topics::command::TopicCommand;

use crate::config::Config;
use crate::flaws::Deadlines;
use crate::limits;

/// See the [module](self).
#[derive(Debug)]
pub struct Coordinator {
    deadlines: Deadlines,
    offsets: Check,
    /// Also where the node keeps records for ever: a topic may say otherwise.
    records: Check,
    /// The cluster's clock was moved on by so much while this node coordinates.
    ahead: Duration,
}

/// Something that is looked for from time to time.
#[derive(Debug)]
struct Check {
    every: Duration,
    /// `None` before this node coordinates.
    next: Option<Instant>,
}

impl Check {
    fn new(every: Duration) -> Self {
        Self { every, next: None }
    }

    fn start(&mut self, now: Instant) {
        self.next = Some(now + self.every);
    }

    /// Whether it is time. It is asked once.
    fn is_due(&mut self, now: Instant) -> bool {
        let due = self.next.is_some_and(|at| at <= now);
        if due {
            self.start(now);
        }
        due
    }
}

impl Coordinator {
    /// What the clock that was moved on says when a node's own says `now`.
    fn clock(&self, now: Instant) -> Instant {
        now + self.ahead
    }

    /// A coordinator that does not coordinate yet.
    pub fn new(config: &Config) -> Self {
        Self {
            deadlines: Deadlines::default(),
            offsets: Check::new(config.offsets_retention_check),
            records: Check::new(config.retention_check),
            ahead: Duration::ZERO,
        }
    }

    /// This node leads and has applied all that was decided before: everyone has full time from now
    /// on.
    pub fn start(&mut self, state: &State, now: Instant) {
        let now = self.clock(now);
        self.deadlines.reset(state, now.as_millis());
        self.offsets.start(now);
        self.records.start(now);
    }

    /// Whether something is to be proposed now.
    pub fn is_due(&self, now: Instant) -> bool {
        self.next_event().is_some_and(|at| at <= now)
    }

    /// A request has been answered, and its answer is raft-committed or confirmed by ReadIndex:
    /// only then is it a sign of life, so that a deposed leader's heartbeats count for nothing.
    pub fn answered<T>(
        &mut self,
        sign: Option<Heartbeat<'_>>,
        outcome: &Result<T, Rejection>,
        now: Instant,
    ) {
        let Some(Heartbeat { group, member, polled }) =
            sign.filter(|_| liveness::proves_alive(outcome))
        else {
            return;
        };
        if let Some(member) = member {
            observe::report(|observer| observer.heard(group, member));
            let now = self.clock(now);
            self.deadlines.alive(group, member, polled, now.as_millis());
        }
    }

    /// An event of a round: arms and disarms deadlines.
    pub fn observe(&mut self, event: &Event, state: &State, now: Instant) {
        if let Event::ClockAdvanced { ms } = event {
            self.ahead += Duration::from_millis(*ms);
        }
        let now = self.clock(now);
        self.deadlines.observe(event, state, now.as_millis());
    }

    /// What is to be proposed now. Call it when a round begins, and not before: what came in while
    /// the last one was under way counts. `waiting` names the members of whom a request has come
    /// and is not answered yet; it came in time, so its member's time is not over, however long the
    /// round takes. (If it is refused, the deadline is named again.)
    pub fn due(
        &mut self,
        now: Instant,
        config: &Config,
        waiting: impl FnOnce() -> BTreeSet<(GroupId, MemberId)>,
    ) -> Vec<Command> {
        let now = self.clock(now);
        let expired = self.deadlines.expired(now.as_millis());
        // Looked up only where somebody's time is over.
        let waiting = if expired.is_empty() { BTreeSet::new() } else { waiting() };
        let silent = expired.into_iter().filter(|(group, deadline)| match deadline {
            Deadline::Session { member } | Deadline::PollInterval { member } => {
                !waiting.contains(&(group.clone(), member.clone()))
            }
            Deadline::Rebalance { .. }
            | Deadline::Sync { .. }
            | Deadline::Revocation { .. }
            | Deadline::InitialDelay { .. } => true,
        });
        let mut due: Vec<Command> = silent
            .map(|(group, deadline)| GroupCommand::Expire { group, deadline }.into())
            .collect();
        if self.records.is_due(now) {
            due.push(TopicCommand::Retain(config.retention).into());
        }
        if self.offsets.is_due(now) {
            let retention_ms =
                u64::try_from(config.offsets_retention.as_millis()).unwrap_or(u64::MAX);
            due.push(OffsetCommand::Expire { retention_ms }.into());
            due.push(
                TopicCommand::ForgetProducers { silent_ms: limits::PRODUCER_SILENCE_MS }.into(),
            );
        }
        due
    }

    /// When something will be due.
    pub fn next_event(&self) -> Option<Instant> {
        // Who does not coordinate waits for nothing.
        let offsets = self.offsets.next?;
        let deadline = self.deadlines.next().map(Instant::from_millis);
        let next = [Some(offsets), self.records.next, deadline].into_iter().flatten().min();
        next.map(|at| at - self.ahead)
    }
}
