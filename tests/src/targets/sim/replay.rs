//! What the log of a simulation means: it is applied once more, to a fresh state machine, after the
//! run.
//!
//! Works out from the log alone what checkers of states want to know (groups, members, commits,
//! effects), looks at the invariants of the state machine after every entry, and hashes the state
//! where the nodes did. Owns no property: see [`crate::checkers::state`].

use std::collections::{BTreeMap, BTreeSet};

use raft_store::Checkpoint;
use raft_store::records::RecordStore;
use state_machine::command::{Batch, Command, RequestId, Write};
use state_machine::event::Event;
use state_machine::groups::classic::event::ClassicEvent;
use state_machine::groups::event::{GroupEvent, RemovalReason, Touched};
use state_machine::groups::group::{Group, Membership};
use state_machine::groups::polling::event::PollingEvent;
use state_machine::ids::{Generation, GroupId, MemberId};
use state_machine::offsets::command::OffsetCommand;
use state_machine::offsets::event::OffsetEvent;
use state_machine::reply::Decided;
use state_machine::topics::event::TopicEvent;
use state_machine::values::TopicPartitions;
use state_machine::{State, invariants};

use super::log_facts::{Asked, LogFacts};
use super::watch::{Entry, Notes, hash_state};
use crate::checkers::state::StateTrace;
use crate::checkers::state::trace::{
    Breach, Change, Commit, Effect, GroupState, MemberChange, MemberState, Replayed, TopicChange,
};
use crate::history::Micros;

/// After so many breaches of invariants the rest says nothing new.
const MOST_BREACHES: usize = 20;

/// The whole trace of a run.
pub(super) fn trace(notes: Notes) -> StateTrace {
    let hashed = notes.hashed();
    let Notes { trace, entries, .. } = notes;
    let leaders = trace.leaders.iter().map(|leader| (leader.term, leader.node.clone())).collect();
    let mut replay = Replay {
        trace,
        leaders,
        state: State::default(),
        records: RecordStore::default(),
        present: BTreeSet::new(),
        sessions: BTreeMap::new(),
        facts: LogFacts::default(),
    };
    for (index, entry) in &entries {
        replay.entry(*index, entry, hashed.contains(index));
    }
    replay.trace
}

struct Replay {
    trace: StateTrace,
    /// Who led each term.
    leaders: BTreeMap<u64, String>,
    state: State,
    records: RecordStore,
    /// Members whose requests are taken: neither gone nor away.
    present: BTreeSet<(GroupId, MemberId)>,
    /// Their session time-outs.
    sessions: BTreeMap<(GroupId, MemberId), Micros>,
    /// Of topics, records and producers.
    facts: LogFacts,
}

/// Where in the log something happened, and by whose doing.
struct Place<'a> {
    index: u64,
    leader: &'a str,
    clock_us: Micros,
    request_id: Option<String>,
}

impl Replay {
    fn entry(&mut self, index: u64, entry: &Entry, hashed: bool) {
        if let Some(proposal) = &entry.proposal {
            let logged = proposal.batch();
            self.batch(index, entry.term, &logged, entry.given.as_ref().unwrap_or(&logged));
        }
        if hashed {
            let state = self.state.clone();
            let state = hash_state(&Checkpoint { state, records: self.records.freeze() });
            let state = state.expect("the replay keeps its records in memory");
            self.trace.replayed.push(Replayed { index, state });
        }
    }

    /// `logged` is what the log says; `given` what the nodes applied.
    fn batch(&mut self, index: u64, term: u64, logged: &Batch, given: &Batch) {
        let mut before = self.state.clone();
        self.state.begin(given);
        let leader = self
            .leaders
            .get(&term)
            .cloned()
            .unwrap_or_else(|| format!("the leader of term {term}"));
        let clock_us = logged.stamp.now_ms * 1_000;
        let mut touched = BTreeSet::new();
        for (i, write) in given.writes.iter().enumerate() {
            let said = logged.writes.get(i).unwrap_or(write);
            let generation = named(&said.command).and_then(|named| self.generation_of(&named));
            let mut events = Vec::new();
            let asked = Asked::of(&self.state, write, logged.writes.get(i));
            let outcome = self.state.apply(write, Some(&mut events));
            let came = (&outcome, &events[..]);
            self.facts.wrote(&self.state, index, &asked, came, &mut self.trace);
            let request_id = said.request_id.as_ref().map(name_of);
            if let (Some(request_id), false) = (&request_id, events.is_empty()) {
                self.trace.effects.push(Effect { index, origin: request_id.clone() });
            }
            for event in &events {
                if let Err(error) = self.records.follow(event) {
                    self.trace.breaches.push(Breach { index, account: error.to_string() });
                }
            }
            let place = Place { index, leader: &leader, clock_us, request_id };
            for event in &events {
                match event {
                    // At once: a group of the same name may begin anew by the same entry.
                    Event::Group { group, event: GroupEvent::Removed } => {
                        self.removed(index, group)
                    }
                    Event::Group { group, event } => {
                        self.member_change(&place, group, event);
                        if changes_shape(event) {
                            touched.insert(group.clone());
                        }
                    }
                    Event::Topic(
                        TopicEvent::Created { topic, .. }
                        | TopicEvent::Grown { topic, .. }
                        | TopicEvent::Deleted { topic, .. },
                    ) => self.trace.topics.push(TopicChange { index, topic: topic.to_string() }),
                    _ => {}
                }
            }
            let ends = |event: &Event| {
                matches!(
                    event,
                    Event::Topic(TopicEvent::Deleted { .. })
                        | Event::Group { event: GroupEvent::Removed, .. }
                )
            };
            if events.iter().any(ends) {
                // What comes again by the same entry begins anew, and is not compared with what was
                // before.
                self.look_at_step(index, &before);
                before = self.state.clone();
            }
            self.commit(index, said, &outcome, &events, generation);
        }
        self.look_at_invariants(index, &before);
        self.facts.ended(&self.state, index, &mut self.trace);
        for id in touched {
            let now = self.state.group(&id).map(|group| describe(&self.state, index, &id, group));
            self.trace.groups.extend(now);
        }
    }

    /// A group is no more; nobody was in it.
    fn removed(&mut self, index: u64, id: &GroupId) {
        let last = self.trace.groups.iter().rev().find(|group| group.group == id.as_str()).cloned();
        let members = BTreeMap::new();
        self.trace.groups.extend(last.map(|gone| GroupState {
            index,
            state: "Dead".to_owned(),
            members,
            ..gone
        }));
    }

    fn look_at_step(&mut self, index: u64, before: &State) {
        let found = invariants::check_step(before, &self.state).into_iter();
        let found = found.map(|violation| Breach { index, account: violation.to_string() });
        self.trace.breaches.extend(found);
    }

    fn look_at_invariants(&mut self, index: u64, before: &State) {
        self.trace.checked += 1;
        if self.trace.breaches.len() < MOST_BREACHES {
            let found = invariants::check(&self.state).into_iter();
            let found = found.chain(invariants::check_step(before, &self.state));
            self.trace
                .breaches
                .extend(found.map(|violation| Breach { index, account: violation.to_string() }));
        }
    }

    fn member_change(&mut self, place: &Place<'_>, group: &GroupId, event: &GroupEvent) {
        let session_us = |ms: u32| Micros::from(ms) * 1_000;
        match event {
            GroupEvent::Polling(PollingEvent::Subscribed { member, subscription }) => {
                let timeout_us = session_us(subscription.session_timeout_ms);
                self.came(place, group, member, timeout_us);
            }
            GroupEvent::Classic(ClassicEvent::Joined { member, info, .. }) => {
                self.came(place, group, member, session_us(info.session_timeout_ms));
            }
            GroupEvent::SeatTaken { from, to, .. } => {
                let key = (group.clone(), from.clone());
                let timeout_us = self.sessions.get(&key).copied().unwrap_or_default();
                self.went(place, group, from, Change::Replaced);
                self.came(place, group, to, timeout_us);
            }
            GroupEvent::SeatKept { member } => self.went(place, group, member, Change::Left),
            GroupEvent::MemberRemoved { member, reason } => {
                let change = match reason {
                    RemovalReason::Left => Change::Left,
                    RemovalReason::SessionExpired => Change::SessionExpired,
                    RemovalReason::PolledTooSlowly
                    | RemovalReason::MissedRebalance
                    | RemovalReason::MissedSync
                    | RemovalReason::GroupFull => Change::TimedOut,
                    RemovalReason::ChangedSeat | RemovalReason::AnotherKind => Change::Replaced,
                };
                self.went(place, group, member, change);
            }
            GroupEvent::Polling(
                PollingEvent::Reconciled { .. }
                | PollingEvent::Polled { .. }
                | PollingEvent::TopicDropped { .. },
            )
            | GroupEvent::Classic(
                ClassicEvent::IdGiven { .. }
                | ClassicEvent::IdForgotten { .. }
                | ClassicEvent::RebalanceExtended { .. }
                | ClassicEvent::JoinCompleted { .. }
                | ClassicEvent::Emptied { .. }
                | ClassicEvent::Given { .. }
                | ClassicEvent::SyncWaits { .. }
                | ClassicEvent::SyncFetched { .. },
            )
            | GroupEvent::Declared { .. }
            | GroupEvent::RebalanceStarted { .. }
            | GroupEvent::Assigned { .. }
            | GroupEvent::RebalanceCompleted { .. }
            | GroupEvent::Answered { .. }
            | GroupEvent::Removed => {}
        }
    }

    fn came(&mut self, place: &Place<'_>, group: &GroupId, member: &MemberId, session_us: Micros) {
        let key = (group.clone(), member.clone());
        self.sessions.insert(key.clone(), session_us);
        if self.present.insert(key) {
            self.changed(place, group, member, Change::Joined, session_us);
        }
    }

    fn went(&mut self, place: &Place<'_>, group: &GroupId, member: &MemberId, change: Change) {
        let key = (group.clone(), member.clone());
        self.present.remove(&key);
        let session_us = self.sessions.get(&key).copied().unwrap_or_default();
        self.changed(place, group, member, change, session_us);
    }

    fn changed(
        &mut self,
        place: &Place<'_>,
        group: &GroupId,
        member: &MemberId,
        change: Change,
        session_us: Micros,
    ) {
        self.trace.members.push(MemberChange {
            index: place.index,
            group: group.to_string(),
            member: member.to_string(),
            change,
            origin: place.request_id.clone(),
            leader: place.leader.to_owned(),
            clock_us: place.clock_us,
            session_us,
        });
    }

    fn generation_of(&self, named: &Named<'_>) -> Option<Generation> {
        let group = self.state.group(named.group)?;
        match &group.membership {
            Membership::Polling(thin) => Some(thin.members.get(named.member?)?.generation),
            Membership::Classic(classic) => {
                classic.members.get(named.member?).map(|_| group.generation)
            }
            Membership::Simple | Membership::Declared(_) => None,
        }
    }

    /// An accepted commit. `said` is the request, `generation` its member's before it was applied.
    fn commit(
        &mut self,
        index: u64,
        said: &Write,
        outcome: &Decided,
        events: &[Event],
        generation: Option<Generation>,
    ) {
        let Some(named) = named(&said.command).filter(|_| outcome.is_ok()) else { return };
        for event in events {
            let Event::Offset(OffsetEvent::Committed { group, topic, partition, committed }) =
                event
            else {
                continue;
            };
            let log =
                self.state.topic(topic).and_then(|topic| topic.partitions.get(*partition as usize));
            self.trace.commits.push(Commit {
                index,
                group: group.to_string(),
                topic: topic.to_string(),
                partition: i64::from(*partition),
                offset: signed(committed.offset),
                log_end: log.map(|log| signed(log.end_offset())),
                member: named.member.map(ToString::to_string),
                named: named.generation.map(|generation| i64::from(generation.0)),
                generation: generation.map(|generation| i64::from(generation.0)),
                bounded: named.bounded,
            });
        }
    }
}

/// In whose name a commit is.
struct Named<'a> {
    group: &'a GroupId,
    member: Option<&'a MemberId>,
    generation: Option<Generation>,
    bounded: bool,
}

fn named(command: &Command) -> Option<Named<'_>> {
    match command {
        Command::Offset(OffsetCommand::Commit { commit, fence }) => {
            let member = fence.as_ref().and_then(|fence| fence.member_id.as_ref());
            let generation = fence.as_ref().and_then(|fence| fence.generation);
            Some(Named { group: &commit.group, member, generation, bounded: false })
        }
        Command::Offset(OffsetCommand::PollingCommit { commit, member, generation }) => {
            let (member, generation) = (Some(member), *generation);
            Some(Named { group: &commit.group, member, generation, bounded: true })
        }
        _ => None,
    }
}

fn name_of(request_id: &RequestId) -> String {
    format!(
        "n{}/{:x}/{:?}/{}",
        request_id.node, request_id.incarnation, request_id.lane, request_id.seq
    )
}

/// Whether a group may look different after an event to those who look at members and what they
/// own.
fn changes_shape(event: &GroupEvent) -> bool {
    event.touches() != Touched::Nothing || matches!(event, GroupEvent::RebalanceCompleted { .. })
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn describe(state: &State, index: u64, id: &GroupId, group: &Group) -> GroupState {
    let member = |topics: &mut dyn Iterator<Item = String>,
                  assignment: TopicPartitions,
                  session_ms: u32| {
        let partitions = assignment.into_iter().flat_map(|(topic, partitions)| {
            partitions.into_iter().map(move |partition| (topic.to_string(), i64::from(partition)))
        });
        let (topics, assignment) = (topics.collect(), partitions.collect());
        MemberState { topics, assignment, session_us: Micros::from(session_ms) * 1_000 }
    };
    let mut members = BTreeMap::new();
    let mut topics = BTreeMap::new();
    match &group.membership {
        Membership::Simple => {}
        // Its partitions are what it was declared to have, whether they exist or not.
        Membership::Declared(declared) => {
            let topic = declared.topic.clone();
            let partitions = declared.assignments.values().flatten();
            let count = partitions.max().map_or(0, |last| i64::from(*last) + 1);
            topics.insert(topic.to_string(), count);
            for (id, partitions) in &declared.assignments {
                let assignment = vec![(topic.clone(), partitions.clone())];
                let of = member(&mut std::iter::once(topic.to_string()), assignment, 0);
                members.insert(id.to_string(), of);
            }
        }
        Membership::Polling(thin) => {
            for (id, of) in &thin.members {
                // While nothing moves nobody else can read what a member shall read, though it may
                // not know of it yet.
                let assignment =
                    if thin.rebalance.is_none() { of.target.clone() } else { of.assignment() };
                let mut names = of.topics.iter().map(ToString::to_string);
                members
                    .insert(id.to_string(), member(&mut names, assignment, of.session_timeout_ms));
            }
        }
        Membership::Classic(classic) => {
            for (id, of) in &classic.members {
                let mut names = classic.topics_of(of).into_iter().map(|topic| topic.to_string());
                let of = member(&mut names, of.assignment.clone(), of.session_timeout_ms);
                members.insert(id.to_string(), of);
            }
        }
    }
    if !matches!(group.membership, Membership::Declared(_)) {
        for topic in members.values().flat_map(|member: &MemberState| &member.topics) {
            let count = state
                .topic(&topic.as_str().into())
                .map_or(0, |topic| i64::from(topic.partition_count()));
            topics.insert(topic.clone(), count);
        }
    }
    GroupState {
        index,
        group: id.to_string(),
        state: group.state().name().to_owned(),
        generation: i64::from(group.generation.0),
        cooperative: group
            .strategy()
            .is_some_and(|strategy| strategy.as_str() == "cooperative-sticky"),
        hands_out_all: matches!(group.membership, Membership::Polling(_)),
        members,
        topics,
    }
}
