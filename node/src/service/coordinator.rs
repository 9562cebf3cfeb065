//! What a leader keeps in mind of groups beyond the replicated state: who waits for an answer, whose time
//! runs out when, and when old offsets are to be looked for. All of it is forgotten when somebody else
//! leads, and made anew, with full time for everyone, from the state.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use raft_store::experiment::{self, Flaw};
use runtime::Instant;
use state_machine::State;
use state_machine::command::{Command, Deadline, RequestId};
use state_machine::event::Event;
use state_machine::groups::event::GroupEvent;
use state_machine::ids::{GroupId, MemberId};
use state_machine::liveness::{self, Heartbeat};
use state_machine::reply::{Outcome, Reply};

use crate::config::Config;
use crate::service::deadlines::Deadlines;
use crate::service::round::ReplyTo;

/// How much of a session [`Flaw::NoFullSession`] takes away, in ms.
const LOST_SESSION_MS: u64 = 9_000;

/// See the [module](self).
#[derive(Debug)]
pub struct Coordinator {
    delayed: BTreeMap<RequestId, ReplyTo>,
    deadlines: Deadlines,
    retention_check: Duration,
    next_retention: Option<Instant>,
}

impl Coordinator {
    /// A coordinator that does not coordinate yet.
    pub fn new(config: &Config) -> Self {
        Self {
            delayed: BTreeMap::new(),
            deadlines: Deadlines::default(),
            retention_check: config.offsets_retention_check,
            next_retention: None,
        }
    }

    /// This node leads and has applied all that was decided before: everyone has full time from now on.
    pub fn start(&mut self, state: &State, now: Instant) {
        let now_ms = now.as_millis();
        if experiment::has(Flaw::NoFullSession) {
            self.deadlines.reset(state, now_ms.saturating_sub(LOST_SESSION_MS));
        } else if !experiment::has(Flaw::DeposedClock) || !self.deadlines.any() {
            self.deadlines.reset(state, now_ms);
        }
        self.next_retention = Some(now + self.retention_check);
    }

    /// Whether something is to be proposed now.
    pub fn is_due(&self, now: Instant) -> bool {
        self.next_event().is_some_and(|at| at <= now)
    }

    /// This node leads no more: what it kept in mind counts for nothing.
    pub fn stop(&mut self) {
        self.delayed.clear();
        if !experiment::has(Flaw::DeposedClock) {
            self.deadlines = Deadlines::default();
        }
        self.next_retention = None;
    }

    /// A join or sync that waits for its group.
    pub fn park(&mut self, request_id: RequestId, reply_to: ReplyTo) {
        self.delayed.insert(request_id, reply_to);
    }

    /// A request has been answered, and its answer is raft-committed or confirmed by ReadIndex: only then is
    /// it a sign of life, so that a deposed leader's heartbeats count for nothing.
    pub fn answered(&mut self, sign: Option<Heartbeat<'_>>, outcome: &Outcome, now: Instant) {
        let Some(Heartbeat { group, member, polled }) = sign.filter(|_| liveness::proves_alive(outcome))
        else {
            return;
        };
        let told = outcome.as_ref().ok().and_then(Reply::member);
        if let Some(member) = member.or(told) {
            experiment::tell(|witness| witness.heard(group, member));
            self.deadlines.alive(group, member, polled, now.as_millis());
        }
    }

    /// Events of a round: arms and disarms deadlines, and gives the answers to what waited.
    pub fn observe(&mut self, events: Vec<Event>, state: &State, now: Instant) -> Vec<(ReplyTo, Outcome)> {
        let mut answers = Vec::new();
        for event in events {
            self.deadlines.observe(&event, state, now.as_millis());
            if let Event::Group {
                event: GroupEvent::Answered { request_id: Some(request_id), outcome, .. },
                ..
            } = event
                && let Some(reply_to) = self.delayed.remove(&request_id)
            {
                answers.push((reply_to, outcome));
            }
        }
        answers
    }

    /// What is to be proposed now. Call it when a round begins, and not before: what came in while the last
    /// one was under way counts. `waiting` names the members of whom a request has come and is not answered
    /// yet; it came in time, so its member's time is not over, however long the round takes. (If it is
    /// refused, the deadline is named again.)
    pub fn due(
        &mut self,
        now: Instant,
        config: &Config,
        waiting: impl FnOnce() -> BTreeSet<(GroupId, MemberId)>,
    ) -> Vec<Command> {
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
        let mut due: Vec<Command> =
            silent.map(|(group, deadline)| Command::Expire { group, deadline }).collect();
        if self.next_retention.is_some_and(|at| at <= now) {
            self.next_retention = Some(now + self.retention_check);
            let retention_ms = u64::try_from(config.offsets_retention.as_millis()).unwrap_or(u64::MAX);
            due.push(Command::ExpireOffsets { retention_ms });
        }
        due
    }

    /// When something will be due.
    pub fn next_event(&self) -> Option<Instant> {
        // Who does not coordinate waits for nothing.
        let retention = self.next_retention?;
        Some(
            self.deadlines.next().map_or(retention, |deadline| Instant::from_millis(deadline).min(retention)),
        )
    }
}
