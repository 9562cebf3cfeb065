//! Whatever is asked in whatever order: invariants hold, replicas agree, snapshots keep everything,
//! retries change nothing, and a group whose members do their part becomes Stable, complete and
//! balanced.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use state_machine::State;
use state_machine::command::{Batch, Command, Lane, RequestId, Write};
use state_machine::event::Event;
use state_machine::groups::command::{Deadline, GroupCommand};
use state_machine::groups::event::GroupEvent;
use state_machine::groups::group::{GroupState, Membership};
use state_machine::groups::polling::reply::{PollingReply, PollingView};
use state_machine::groups::reply::GroupReply;
use state_machine::ids::{Generation, InstanceId, MemberId, TopicPartition};
use state_machine::offsets::command::OffsetCommand;
use state_machine::reply::{Decided, Decision, Reply};
use support::ops::{self, Op, Said};
use support::script::World;

/// A world, what was said to it, and what outsiders have seen.
#[derive(Default)]
struct Run {
    world: World,
    said: Vec<Batch>,
    outcomes: Vec<Option<Decided>>,
    seq: u64,
    /// Who was told to read a partition in a generation; under the same static identity it is the
    /// same reader.
    readers: BTreeMap<(Generation, TopicPartition), (MemberId, Option<InstanceId>)>,
    /// Requests that wait.
    waiting: BTreeSet<RequestId>,
}

impl Run {
    fn of(ops: &[Op]) -> Self {
        let mut run = Self::default();
        // So few that logs have several segments.
        run.world.stamp.log_limits.segment_bytes = 10;
        for op in ops {
            run.step(op);
        }
        run
    }

    fn step(&mut self, op: &Op) {
        match op.say(&self.world.state) {
            Said::Nothing => {}
            Said::Wait(ms) => self.world.stamp.now_ms += ms,
            Said::MaxSize(members) => self.world.stamp.limits.max_size = members,
            Said::InitialDelay(ms) => self.world.stamp.limits.initial_rebalance_delay_ms = ms,
            Said::Acknowledged(back) => {
                let below = self.seq.saturating_sub(back);
                let acknowledged = [Lane::Immediate, Lane::Delayed]
                    .map(|lane| ops::acknowledged(lane, below))
                    .to_vec();
                let batch = Batch { stamp: self.world.stamp, acknowledged, writes: Vec::new() };
                self.world.state.begin(&batch);
                self.waiting.retain(|request_id| request_id.seq >= below);
                self.said.push(batch);
                self.outcomes.push(None);
            }
            Said::Retry(back) => {
                let earlier: Vec<_> = self.said.iter().flat_map(|b| &b.writes).collect();
                if let Some(write) =
                    earlier.iter().rev().nth(back).filter(|w| w.request_id.is_some())
                {
                    self.retry(&(*write).clone());
                }
            }
            Said::Command(command) => drop(self.say(command)),
        }
    }

    /// A copy of a request changes nothing.
    fn retry(&mut self, write: &Write) {
        let before = self.world.state.clone();
        let mut events = Vec::new();
        let first = self.world.state.apply(write, Some(&mut events));
        assert_eq!(self.world.state, before, "a retry of {write:?} changed something");
        assert!(events.is_empty(), "a retry of {write:?} had events: {events:?}");
        assert_eq!(self.world.state.apply(write, None), first, "and always has the same answer");
    }

    fn say(&mut self, command: Command) -> Decided {
        self.seq += 1;
        let write = ops::write(command, self.seq);
        let before = self.world.state.clone();
        let mut events = Vec::new();
        let outcome = self.world.apply(write.clone(), &mut events);
        if outcome.is_err() && !events.is_empty() {
            let full = format!("{outcome:?}").contains("GroupFull");
            assert!(full, "a refusal changed something: {events:?}");
        }
        self.look(&before, &write, &outcome, &events);
        if write.request_id.is_some() {
            self.retry(&write);
        }
        self.said.push(Batch {
            stamp: self.world.stamp,
            acknowledged: Vec::new(),
            writes: vec![write],
        });
        self.outcomes.push(Some(outcome.clone()));
        outcome
    }

    /// What outsiders see.
    fn look(&mut self, before: &State, write: &Write, outcome: &Decided, events: &[Event]) {
        for event in events {
            let Event::Group { event, .. } = event else { continue };
            match event {
                // The next group of that name begins to count anew.
                GroupEvent::Removed => self.readers.clear(),
                GroupEvent::Answered { request_id: Some(request_id), .. } => {
                    let waited = self.waiting.remove(request_id);
                    // Its node may have given it up.
                    let is_over = !self.waiting.contains(request_id);
                    assert!(waited || is_over, "{request_id:?} was answered twice");
                }
                _ => {}
            }
        }
        if let (Ok(Decision::Delayed { .. }), Some(request_id)) = (outcome, write.request_id) {
            assert!(self.waiting.insert(request_id), "{request_id:?} waits twice");
        }
        let delayed = self.delayed();
        let lost: Vec<_> = self.waiting.difference(&delayed).collect();
        assert!(lost.is_empty(), "{lost:?} wait, and nobody will answer");
        if let (
            Ok(Decision::Reply(Reply::Group(GroupReply::Polling(
                PollingReply::Told(view) | PollingReply::Polled { view, .. },
            )))),
            Some(member),
        ) = (outcome, write.command.heartbeat().and_then(|s| s.member))
        {
            self.reads(member, view);
        }
        let fenced = match &write.command {
            Command::Offset(OffsetCommand::PollingCommit { commit, member, .. }) => {
                Some((commit, member))
            }
            Command::Offset(OffsetCommand::Commit { commit, fence }) => {
                fence.as_ref().and_then(|f| f.member_id.as_ref()).map(|member| (commit, member))
            }
            _ => None,
        };
        if let (Ok(_), Some((commit, member))) = (outcome, fenced) {
            let partition =
                TopicPartition { topic: commit.topic.clone(), partition: commit.partition };
            let group = before.group(&commit.group).expect("a member is in a group");
            match &group.membership {
                Membership::Polling(polling) => {
                    assert_eq!(polling.owners.get(&partition), Some(member))
                }
                Membership::Classic(classic) => {
                    assert!(classic.members.contains_key(member));
                    let owner = classic.owners.get(&partition);
                    assert!(owner.is_none_or(|o| o == member), "{partition} is {owner:?}'s");
                }
                Membership::Simple | Membership::Declared(_) => panic!("nobody is a member there"),
            }
        }
    }

    /// The requests that the state will answer.
    fn delayed(&self) -> BTreeSet<RequestId> {
        let classic = self.world.state.group(&ops::group()).and_then(|g| g.membership.classic());
        let waits =
            classic.into_iter().flat_map(|c| c.members.values()).filter_map(|m| m.delayed.as_ref());
        waits.filter_map(|w| w.request_id).collect()
    }

    /// A polling consumer was told what to read: nobody else was told that in the same generation.
    fn reads(&mut self, member: &MemberId, view: &PollingView) {
        let group = self.world.state.group(&ops::group()).expect("it has a member");
        let polling = group.membership.polling().expect("it has a polling member");
        let instance = polling.members[member].instance_id.clone();
        for (topic, partitions) in &view.assignment {
            for partition in partitions {
                let partition = TopicPartition { topic: topic.clone(), partition: *partition };
                let key = (view.generation, partition);
                if let Some((reader, seat)) = self.readers.get(&key) {
                    let same = reader == member || (seat.is_some() && *seat == instance);
                    assert!(same, "{key:?} is read by {reader} and by {member}");
                }
                self.readers.insert(key, (member.clone(), instance.clone()));
            }
        }
    }

    fn state(&self) -> GroupState {
        self.world.state.group(&ops::group()).map_or(GroupState::Empty, |g| g.state())
    }

    /// Members do their part; those that are silent, or away, run out of time.
    fn settle(&mut self, silent: impl Fn(&MemberId) -> bool) {
        self.world.stamp.limits.max_size = 100;
        for round in 0..40 {
            for command in ops::faithful(&self.world.state, &silent) {
                let outcome = self.say(command);
                assert!(
                    outcome.is_ok() || format!("{outcome:?}").contains("RebalanceInProgress"),
                    "a faithful member was refused: {outcome:?}"
                );
            }
            let group = self.world.state.group(&ops::group());
            let over: Vec<Deadline> = group
                .map_or_else(Vec::new, |g| g.deadlines())
                .into_iter()
                .map(|(d, _)| d)
                .collect();
            for deadline in over {
                let expires = match &deadline {
                    Deadline::Session { member } | Deadline::PollInterval { member } => {
                        silent(member) || self.is_away(member)
                    }
                    Deadline::Revocation { member, .. } => silent(member),
                    // Only when everyone who is there had the time to do its part.
                    Deadline::Rebalance { .. }
                    | Deadline::Sync { .. }
                    | Deadline::InitialDelay { .. } => round % 4 == 3,
                };
                if expires {
                    self.say(GroupCommand::Expire { group: ops::group(), deadline }.into())
                        .expect("never refused");
                }
            }
            if round % 8 == 7
                && round < 32
                && self.state() == GroupState::Stable
                && !self.is_complete()
            {
                // Cooperative and classic: what was withheld is handed out in the next round.
                if let Some(command) = ops::second_round(&self.world.state) {
                    drop(self.say(command));
                }
            }
        }
    }

    /// Away, or given an id and not there yet.
    fn is_away(&self, member: &MemberId) -> bool {
        let group = self.world.state.group(&ops::group());
        match group.map(|g| &g.membership) {
            Some(Membership::Polling(polling)) => {
                polling.members.get(member).is_some_and(|m| m.away)
            }
            Some(Membership::Classic(classic)) => {
                classic.away.contains(member) || classic.pending_join.contains_key(member)
            }
            Some(Membership::Simple | Membership::Declared(_)) | None => false,
        }
    }

    /// What is assigned, by member, and all that should be.
    fn assigned(&self) -> (Vec<(MemberId, Vec<TopicPartition>)>, BTreeSet<TopicPartition>) {
        let Some(group) = self.world.state.group(&ops::group()) else { return Default::default() };
        let (topics, assigned): (Vec<_>, Vec<_>) = match &group.membership {
            Membership::Simple | Membership::Declared(_) => return Default::default(),
            Membership::Polling(polling) => {
                let held = polling
                    .members
                    .iter()
                    .map(|(id, m)| (id.clone(), m.assigned.keys().cloned().collect()));
                (polling.subscribed.keys().cloned().collect(), held.collect())
            }
            Membership::Classic(classic) => {
                let mut held: BTreeMap<MemberId, Vec<TopicPartition>> =
                    classic.members.keys().map(|id| (id.clone(), Vec::new())).collect();
                for (partition, owner) in &classic.owners {
                    held.get_mut(owner).expect("owners are members").push(partition.clone());
                }
                (classic.subscribed.iter().cloned().collect(), held.into_iter().collect())
            }
        };
        let count = |t| self.world.state.topic(t).map_or(0, |t| t.partition_count());
        let all = topics.iter().flat_map(|topic| {
            (0..count(topic)).map(|partition| TopicPartition { topic: topic.clone(), partition })
        });
        (assigned, all.collect())
    }

    fn is_complete(&self) -> bool {
        let (assigned, all) = self.assigned();
        let held: BTreeSet<_> = assigned.into_iter().flat_map(|(_, owned)| owned).collect();
        held == all
    }

    fn assert_settled(&self) {
        let state = self.state();
        let group = self.world.state.group(&ops::group());
        if group.is_none_or(|g| !g.has_members()) {
            return;
        }
        assert_eq!(state, GroupState::Stable, "{group:#?}");
        assert!(self.is_complete(), "{group:#?}");
        // With equal subscriptions to one topic every strategy is balanced.
        let (assigned, all) = self.assigned();
        let one_topic = all.iter().map(|p| &p.topic).collect::<BTreeSet<_>>().len() == 1;
        let equal = match &group.expect("has members").membership {
            Membership::Polling(polling) => {
                polling.members.values().map(|m| &m.topics).collect::<BTreeSet<_>>().len() == 1
            }
            Membership::Classic(classic) => {
                classic
                    .members
                    .values()
                    .map(|m| classic.topics_of(m))
                    .collect::<BTreeSet<_>>()
                    .len()
                    == 1
            }
            Membership::Simple | Membership::Declared(_) => false,
        };
        if one_topic && equal {
            let sizes: Vec<_> = assigned.iter().map(|(_, owned)| owned.len()).collect();
            let (least, most) =
                (sizes.iter().min().expect("members"), sizes.iter().max().expect("members"));
            assert!(most - least <= 1, "{assigned:?}");
        }
    }
}

/// The same batches on another replica, which is restored from a snapshot after some of them.
fn replay(run: &Run, snapshot_after: usize) -> State {
    let mut state = State::default();
    for (i, (batch, outcome)) in run.said.iter().zip(&run.outcomes).enumerate() {
        if i == snapshot_after {
            let bytes = postcard::to_stdvec(&state).expect("a state is written");
            let restored: State = postcard::from_bytes(&bytes).expect("and read");
            assert_eq!(restored, state);
            assert_eq!(
                postcard::to_stdvec(&restored).expect("written again"),
                bytes,
                "every byte is kept"
            );
            state = restored;
        }
        state.begin(batch);
        for write in &batch.writes {
            assert_eq!(Some(state.apply(write, None)), *outcome, "replicas answer alike");
        }
    }
    state
}

fn all_of(len: usize) -> impl Strategy<Value = Vec<Op>> {
    any::<bool>().prop_flat_map(move |polling| prop::collection::vec(ops::op(polling), 1..len))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn invariants_hold_whatever_is_asked(ops in all_of(80)) {
        Run::of(&ops);
    }

    #[test]
    fn replicas_agree_also_after_a_snapshot(ops in all_of(60), at in 0..60_usize) {
        let run = Run::of(&ops);
        // Stamps of batches without a write count too.
        let state = replay(&run, at % run.said.len().max(1));
        prop_assert_eq!(state, run.world.state);
    }

    #[test]
    fn a_group_whose_members_do_their_part_becomes_stable_complete_and_balanced(ops in all_of(60)) {
        let mut run = Run::of(&ops);
        run.settle(|_| false);
        run.assert_settled();
    }

    #[test]
    fn silent_members_hold_nobody_up_for_ever(ops in all_of(60), silent in 0..16_usize) {
        let mut run = Run::of(&ops);
        let names: BTreeSet<MemberId> = run
            .world
            .state
            .group(&ops::group())
            .map(|g| match &g.membership {
                Membership::Polling(polling) => polling.members.keys().cloned().collect::<Vec<_>>(),
                Membership::Classic(classic) => classic.members.keys().cloned().collect(),
                Membership::Simple | Membership::Declared(_) => Vec::new(),
            })
            .unwrap_or_default()
            .into_iter()
            .enumerate()
            .filter(|(i, _)| silent & (1 << i) != 0)
            .map(|(_, id)| id)
            .collect();
        run.settle(|id| names.contains(id));
        run.assert_settled();
        let group = run.world.state.group(&ops::group());
        let left = group.is_some_and(|g| names.iter().any(|id| !g.member_deadlines(id).is_empty()));
        prop_assert!(!left, "a silent member is still there");
    }
}
