//! Which members' sessions, and which rebalances, are over at a given time. Kept by the node that
//! leads.
//!
//! The replicated state says which deadlines there are and how long each is ([`Group::deadlines`]);
//! this says when they run out, by the leader's own clock. It is soft state: a heartbeat moves a
//! deadline and leaves no trace anywhere else, a new leader begins with full time for everyone
//! ([`Deadlines::reset`]), so that a session may end late but never early. What runs out is to be
//! proposed as [`GroupCommand::Expire`] and is decided again when that is applied.
//!
//! There is no clock in here: `now_ms` is milliseconds of a clock that never goes back, from any
//! beginning.
//!
//! A sign of life costs two look-ups: it notes the new time in the timer and leaves the timer's
//! place in the queue alone. When that place comes up, a timer that was moved is put back at its
//! new time. Everything here has an order, so that what runs out at one time is named in the same
//! order in every run.
//!
//! [`GroupCommand::Expire`]: state_machine::groups::command::GroupCommand::Expire

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use state_machine::State;
use state_machine::event::Event;
use state_machine::groups::command::Deadline;
use state_machine::groups::event::Touched;
use state_machine::groups::group::Group;
use state_machine::ids::{GroupId, MemberId};

/// What ran out is named again after this long, until the state does not have it any more: the
/// proposal may have been lost.
pub const RETRY_MS: u64 = 1_000;

/// The deadlines of all groups.
#[derive(Debug, Default)]
pub struct Deadlines {
    groups: BTreeMap<GroupId, Armed>,
    timers: Timers,
    /// How many times the deadlines of a member were looked at.
    #[cfg(test)]
    looks: usize,
}

/// The timers of one group, by what they are for.
#[derive(Debug, Default)]
struct Armed {
    whole: BTreeMap<Deadline, Slot>,
    members: BTreeMap<MemberId, ArmedMember>,
}

/// The timers of one member.
#[derive(Debug, Default)]
struct ArmedMember {
    session: Option<Slot>,
    poll_interval: Option<Slot>,
    revocation: Option<Slot>,
}

impl Deadlines {
    /// This node begins to lead: everyone has full time from now on.
    pub fn reset(&mut self, state: &State, now_ms: u64) {
        *self = Self::default();
        for (id, group) in state.groups() {
            self.sync_group(id, Some(group), now_ms);
        }
    }

    /// Something happened. `state` is the state after it, or after more that happened since.
    pub fn observe(&mut self, event: &Event, state: &State, now_ms: u64) {
        let Event::Group { group: id, event } = event else { return };
        let Some(group) = state.group(id) else { return self.sync_group(id, None, now_ms) };
        match event.touches_in(group) {
            Touched::Nothing => return,
            Touched::Whole => {}
            Touched::Everyone => return self.sync_group(id, Some(group), now_ms),
            Touched::Member(member) => self.sync_member(id, group, member, now_ms),
            Touched::Seat(from, to) => {
                self.sync_member(id, group, from, now_ms);
                self.sync_member(id, group, to, now_ms);
            }
            Touched::Targets(targets) => {
                targets.iter().for_each(|(member, _)| self.sync_member(id, group, member, now_ms));
            }
        }
        self.sync_whole(id, group, now_ms);
    }

    /// Makes a group's deadlines those of the state: new ones are armed in full, those of another
    /// length anew, those that are gone are dropped, the rest stays as it is. `None`: the group is
    /// gone.
    pub fn sync_group(&mut self, id: &GroupId, group: Option<&Group>, now_ms: u64) {
        let Some(group) = group else {
            if let Some(armed) = self.groups.remove(id) {
                let members = armed.members.into_values().flat_map(ArmedMember::into_slots);
                members.chain(armed.whole.into_values()).for_each(|slot| self.timers.drop(slot));
            }
            return;
        };
        let mut members: BTreeMap<MemberId, Vec<(Deadline, u64)>> = BTreeMap::new();
        for (deadline, length_ms) in group.deadlines() {
            if let Some(member) = member_of(&deadline) {
                members.entry(member.clone()).or_default().push((deadline, length_ms));
            }
        }
        if let Some(armed) = self.groups.get_mut(id) {
            let gone = armed.members.extract_if(.., |member, _| !members.contains_key(member));
            gone.flat_map(|(_, armed)| armed.into_slots()).for_each(|slot| self.timers.drop(slot));
        }
        for (member, wanted) in members {
            self.arm_member(id, &member, wanted, now_ms);
        }
        self.sync_whole(id, group, now_ms);
    }

    /// As [`sync_group`](Self::sync_group), for one member.
    fn sync_member(&mut self, id: &GroupId, group: &Group, member: &MemberId, now_ms: u64) {
        self.arm_member(id, member, group.member_deadlines(member), now_ms);
    }

    fn arm_member(
        &mut self,
        id: &GroupId,
        member: &MemberId,
        wanted: Vec<(Deadline, u64)>,
        now_ms: u64,
    ) {
        #[cfg(test)]
        {
            self.looks += 1;
        }
        let armed = self.groups.entry(id.clone()).or_default();
        let is_gone = wanted.is_empty();
        let timers = armed.members.entry(member.clone()).or_default();
        let mut found = [None, None, None];
        for (deadline, length_ms) in wanted {
            let place = match deadline {
                Deadline::Session { .. } => 0,
                Deadline::PollInterval { .. } => 1,
                Deadline::Revocation { .. } => 2,
                Deadline::Rebalance { .. }
                | Deadline::Sync { .. }
                | Deadline::InitialDelay { .. } => {
                    continue;
                }
            };
            found[place] = Some((deadline, length_ms));
        }
        let slots = [&mut timers.session, &mut timers.poll_interval, &mut timers.revocation];
        for (slot, wanted) in slots.into_iter().zip(found) {
            self.timers.make(slot, id, wanted, now_ms);
        }
        if is_gone {
            armed.members.remove(member);
        }
    }

    fn sync_whole(&mut self, id: &GroupId, group: &Group, now_ms: u64) {
        let armed = self.groups.entry(id.clone()).or_default();
        let wanted: BTreeMap<Deadline, u64> = group.group_deadlines().into_iter().collect();
        let gone = armed.whole.extract_if(.., |deadline, _| !wanted.contains_key(deadline));
        gone.for_each(|(_, slot)| self.timers.drop(slot));
        for (deadline, length_ms) in wanted {
            let mut slot = armed.whole.get(&deadline).copied();
            self.timers.make(&mut slot, id, Some((deadline.clone(), length_ms)), now_ms);
            armed.whole.insert(deadline, slot.expect("was armed"));
        }
        if armed.whole.is_empty() && armed.members.is_empty() {
            self.groups.remove(id);
        }
    }

    /// A member gave a sign of life ([`Command::heartbeat`]): its session begins anew, and its poll
    /// interval if it `polled`. Strangers are passed over.
    ///
    /// [`Command::heartbeat`]: state_machine::command::Command::heartbeat
    pub fn alive(&mut self, group: &GroupId, member: &MemberId, polled: bool, now_ms: u64) {
        let Some(armed) = self.groups.get(group).and_then(|g| g.members.get(member)) else {
            return;
        };
        let poll_interval = armed.poll_interval.filter(|_| polled);
        for slot in armed.session.into_iter().chain(poll_interval) {
            self.timers.put_off(slot, now_ms);
        }
    }

    /// What is over, the longest overdue first. Each stays armed, to be named again after
    /// [`RETRY_MS`], until a sync finds it gone or a sign of life puts it off.
    pub fn expired(&mut self, now_ms: u64) -> Vec<(GroupId, Deadline)> {
        self.timers.expired(now_ms)
    }

    /// When to look for what is over, at the latest: nothing is before then. `None`: nothing is
    /// armed.
    pub fn next(&self) -> Option<u64> {
        self.timers.queue.peek().map(|Reverse((at_ms, ..))| *at_ms)
    }
}

impl ArmedMember {
    fn into_slots(self) -> impl Iterator<Item = Slot> {
        [self.session, self.poll_interval, self.revocation].into_iter().flatten()
    }
}

fn member_of(deadline: &Deadline) -> Option<&MemberId> {
    match deadline {
        Deadline::Session { member }
        | Deadline::PollInterval { member }
        | Deadline::Revocation { member, .. } => Some(member),
        Deadline::Rebalance { .. } | Deadline::Sync { .. } | Deadline::InitialDelay { .. } => None,
    }
}

/// A timer's number; used again when the timer is dropped.
type Slot = u32;

/// All timers, and the queue in which they come up.
#[derive(Debug, Default)]
struct Timers {
    timers: Vec<Timer>,
    unused: Vec<Slot>,
    /// When to look at a timer, which, and for which of its incarnations. A timer that incarnations
    /// has one entry of its latest arming, at its time or earlier; others are passed over.
    queue: BinaryHeap<Reverse<(u64, Slot, u64)>>,
}

#[derive(Debug)]
struct Timer {
    /// Counts what the slot was used for.
    armings: u64,
    /// What runs out; `None`: not in use.
    armed: Option<(GroupId, Deadline)>,
    length_ms: u64,
    due_ms: u64,
}

impl Timers {
    /// Makes a timer what it should be.
    fn make(
        &mut self,
        slot: &mut Option<Slot>,
        group: &GroupId,
        wanted: Option<(Deadline, u64)>,
        now_ms: u64,
    ) {
        if let Some(found) = *slot {
            let timer = &self.timers[found as usize];
            let is_that = |(deadline, length_ms): &(Deadline, u64)| {
                timer.armed.as_ref().is_some_and(|(_, armed)| armed == deadline)
                    && timer.length_ms == *length_ms
            };
            if wanted.as_ref().is_some_and(is_that) {
                return;
            }
            self.drop(found);
            *slot = None;
        }
        if let Some((deadline, length_ms)) = wanted {
            *slot = Some(self.arm(group.clone(), deadline, length_ms, now_ms));
        }
    }

    fn arm(&mut self, group: GroupId, deadline: Deadline, length_ms: u64, now_ms: u64) -> Slot {
        let slot = self.unused.pop().unwrap_or_else(|| {
            self.timers.push(Timer { armings: 0, armed: None, length_ms: 0, due_ms: 0 });
            Slot::try_from(self.timers.len() - 1).expect("fewer than four billion timers")
        });
        let timer = &mut self.timers[slot as usize];
        timer.armings += 1;
        timer.armed = Some((group, deadline));
        timer.length_ms = length_ms;
        timer.due_ms = now_ms + length_ms;
        self.queue.push(Reverse((timer.due_ms, slot, timer.armings)));
        slot
    }

    fn drop(&mut self, slot: Slot) {
        let timer = &mut self.timers[slot as usize];
        timer.armings += 1;
        timer.armed = None;
        self.unused.push(slot);
        // Entries of past incarnations go when they come up. Where many are dropped long before
        // that, they go now.
        if self.queue.len() > 64 && self.queue.len() > 4 * (self.timers.len() - self.unused.len()) {
            let timers = &self.timers;
            self.queue
                .retain(|Reverse((_, slot, armings))| timers[*slot as usize].armings == *armings);
        }
    }

    fn put_off(&mut self, slot: Slot, now_ms: u64) {
        let timer = &mut self.timers[slot as usize];
        timer.due_ms = timer.due_ms.max(now_ms + timer.length_ms);
    }

    fn expired(&mut self, now_ms: u64) -> Vec<(GroupId, Deadline)> {
        let mut found = Vec::new();
        while let Some(Reverse((at_ms, slot, armings))) = self.queue.peek().copied() {
            if at_ms > now_ms {
                break;
            }
            self.queue.pop();
            let timer = &self.timers[slot as usize];
            let Some(armed) = timer.armed.as_ref().filter(|_| timer.armings == armings) else {
                continue;
            };
            let again_ms = if timer.due_ms > now_ms {
                timer.due_ms
            } else {
                found.push((timer.due_ms, armed.clone()));
                now_ms + RETRY_MS
            };
            self.queue.push(Reverse((again_ms, slot, armings)));
        }
        found.sort();
        found.into_iter().map(|(_, armed)| armed).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Deadlines, RETRY_MS};
    use state_machine::State;
    use state_machine::command::{Batch, Command, Stamp, Write};
    use state_machine::event::Event;
    use state_machine::groups::command::{Deadline, GroupCommand};
    use state_machine::groups::polling::command::{PollingCommand, Subscription};
    use state_machine::ids::{GroupId, MemberId};
    use state_machine::topics::command::TopicCommand;

    /// A state with the deadlines of its leader.
    #[derive(Default)]
    struct World {
        state: State,
        deadlines: Deadlines,
        now_ms: u64,
    }

    impl World {
        fn apply(&mut self, command: Command) {
            let mut events: Vec<Event> = Vec::new();
            let stamp = Stamp { now_ms: self.now_ms, ..Stamp::default() };
            self.state.begin(&Batch { stamp, ..Batch::default() });
            let sign = command.clone();
            let outcome = self.state.apply(&Write { request_id: None, command }, Some(&mut events));
            assert!(outcome.is_ok(), "{outcome:?}");
            for event in &events {
                self.deadlines.observe(event, &self.state, self.now_ms);
            }
            if let Some(sign) = sign.heartbeat() {
                let member = sign.member.expect("thin consumers name themselves");
                self.deadlines.alive(sign.group, member, sign.polled, self.now_ms);
            }
        }

        fn subscribe(&mut self, member: &str, strategy: &str) {
            let subscription = Subscription {
                topics: vec!["t".into()],
                strategy: strategy.into(),
                instance_id: None,
                session_timeout_ms: 10_000,
                rebalance_timeout_ms: 60_000,
            };
            self.apply(
                PollingCommand::Subscribe {
                    group: "g".into(),
                    member: member.into(),
                    subscription,
                }
                .into(),
            );
        }

        fn poll(&mut self, member: &str) {
            self.apply(
                PollingCommand::Poll { group: "g".into(), member: member.into(), max_messages: 10 }
                    .into(),
            );
        }

        fn heartbeat(&mut self, member: &str) {
            self.deadlines.alive(&"g".into(), &member.into(), false, self.now_ms);
        }

        /// What is over at a time, by the words of a trace.
        fn expired_at(&mut self, now_ms: u64) -> Vec<String> {
            self.now_ms = now_ms;
            let name = |(group, deadline): (GroupId, Deadline)| match deadline {
                Deadline::Session { member } => format!("{group} session {member}"),
                Deadline::PollInterval { member } => format!("{group} poll {member}"),
                Deadline::Rebalance { epoch } => format!("{group} rebalance {epoch}"),
                Deadline::Sync { generation } => format!("{group} sync {generation}"),
                Deadline::Revocation { member, generation } => {
                    format!("{group} revocation {member} {generation}")
                }
                Deadline::InitialDelay { epoch } => format!("{group} initial {epoch}"),
            };
            self.deadlines.expired(now_ms).into_iter().map(name).collect()
        }

        /// As the leader does with what is over.
        fn expire_at(&mut self, now_ms: u64) {
            self.now_ms = now_ms;
            for (group, deadline) in self.deadlines.expired(now_ms) {
                self.apply(GroupCommand::Expire { group, deadline }.into());
            }
        }
    }

    #[test]
    fn a_session_ends_after_its_length_and_not_before() {
        let mut world = World::default();
        world.subscribe("c1", "range");
        assert_eq!(world.deadlines.next(), Some(10_000));
        assert!(world.expired_at(9_999).is_empty());
        assert_eq!(world.expired_at(10_000), ["g session c1"]);
    }

    #[test]
    fn a_heartbeat_puts_off_the_session_but_not_the_poll_interval() {
        let mut world = World::default();
        world.subscribe("c1", "range");
        for now_ms in (3_000..60_000).step_by(3_000) {
            assert!(world.expired_at(now_ms).is_empty());
            world.heartbeat("c1");
        }
        assert_eq!(world.expired_at(60_000), ["g poll c1"]);
    }

    #[test]
    fn a_poll_puts_off_both() {
        let mut world = World::default();
        world.subscribe("c1", "range");
        for now_ms in (5_000..200_000).step_by(5_000) {
            assert!(world.expired_at(now_ms).is_empty());
            world.poll("c1");
        }
    }

    #[test]
    fn what_is_over_is_named_again_until_it_is_gone() {
        let mut world = World::default();
        world.subscribe("c1", "range");
        assert_eq!(world.expired_at(10_000), ["g session c1"]);
        assert!(world.expired_at(10_000 + RETRY_MS - 1).is_empty(), "the proposal is under way");
        assert_eq!(world.expired_at(10_000 + RETRY_MS), ["g session c1"], "it may have been lost");
        world.expire_at(10_000 + 2 * RETRY_MS);
        assert!(world.expired_at(1_000_000).is_empty());
        assert_eq!(world.deadlines.next(), None, "nothing is left armed");
    }

    #[test]
    fn a_sign_of_life_after_the_end_of_the_session_counts_until_the_expiry_is_applied() {
        let mut world = World::default();
        world.subscribe("c1", "range");
        assert_eq!(world.expired_at(10_000), ["g session c1"]);
        world.heartbeat("c1");
        assert!(world.expired_at(19_999).is_empty());
        assert_eq!(world.expired_at(20_000), ["g session c1"]);
    }

    #[test]
    fn a_new_leader_gives_everyone_full_time() {
        let mut world = World::default();
        world.subscribe("c1", "range");
        world.deadlines.reset(&world.state, 9_000);
        assert!(world.expired_at(18_999).is_empty());
        assert_eq!(world.expired_at(19_000), ["g session c1"]);
    }

    #[test]
    fn the_time_of_an_eager_rebalance_is_watched_while_it_lasts() {
        let mut world = World::default();
        world.apply(TopicCommand::create("t", 2).into());
        world.subscribe("c1", "range");
        world.now_ms = 1_000;
        world.subscribe("c2", "range");
        for now_ms in (5_000..60_000).step_by(5_000) {
            world.expired_at(now_ms);
            world.heartbeat("c1");
            world.poll("c2");
        }
        // c1 did not poll since it subscribed at 0, and holds up the rebalance that began at 1,000.
        assert_eq!(world.expired_at(60_000), ["g poll c1"]);
        world.deadlines.alive(&"g".into(), &"c1".into(), true, 60_000);
        assert_eq!(world.expired_at(61_000), ["g rebalance 2"]);
        world.poll("c1");
        world.heartbeat("c2");
        assert!(world.expired_at(69_999).is_empty(), "the rebalance is over");
    }

    #[test]
    fn the_time_to_give_up_partitions_begins_with_the_generation_that_asked() {
        let mut world = World::default();
        world.apply(TopicCommand::create("t", 2).into());
        world.subscribe("c1", "cooperative-sticky");
        world.now_ms = 1_000;
        world.subscribe("c2", "cooperative-sticky");
        for now_ms in [20_000, 40_000, 60_999] {
            world.now_ms = now_ms;
            for member in ["c1", "c2"] {
                world.deadlines.alive(&"g".into(), &member.into(), true, now_ms);
            }
        }
        assert_eq!(world.expired_at(61_000), ["g revocation c1 2"]);
        world.poll("c1");
        world.heartbeat("c2");
        assert!(world.expired_at(70_000).is_empty());
    }

    #[test]
    fn timers_of_members_that_come_and_go_leave_nothing_behind() {
        let mut world = World::default();
        for round in 0..1_000 {
            world.now_ms = round;
            let member: MemberId = format!("c{round}").into();
            world.subscribe(member.as_str(), "range");
            world.apply(
                PollingCommand::Unsubscribe { group: "g".into(), member, permanent: false }.into(),
            );
        }
        assert!(world.deadlines.groups.is_empty());
        assert!(world.deadlines.timers.timers.len() < 10, "slots are used again");
        assert!(
            world.deadlines.timers.queue.len() < 100,
            "the queue does not keep what is dropped"
        );
        assert!(world.expired_at(1_000_000).is_empty());
    }

    /// A join looked at every member, so that an eightfold group made it eight times as dear. What
    /// it takes in the state and in here together, `scripts/arena joins` measures.
    #[test]
    fn regression_a_join_costs_the_same_in_a_large_group() {
        for (strategy, partitions) in
            [("cooperative-sticky", 100), ("cooperative-sticky", 0), ("range", 0)]
        {
            let mut world = World::default();
            if partitions > 0 {
                world.apply(TopicCommand::create("t", partitions).into());
            }
            let mut members = 0;
            let mut looks = |joins: u32| {
                let before = world.deadlines.looks;
                for _ in 0..joins {
                    members += 1;
                    world.subscribe(&format!("c{members:06}"), strategy);
                }
                world.deadlines.looks - before
            };
            looks(200);
            let (small, _, large) = (looks(100), looks(1_300), looks(100));
            assert_eq!(small, large, "{strategy}: 100 joins, at 200 members and at 1,600");
            assert!(large <= 400, "{strategy}: 100 joins look at {large} members");
        }
    }
}
