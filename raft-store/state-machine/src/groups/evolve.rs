//! What events make of groups. Decides nothing; the kinds' own parts are in their folders.

use std::sync::Arc;

use super::declared::Declared;
use super::event::GroupEvent;
use super::group::{Group, Groups, HOUR_MS, MAX_RECENT_REBALANCES, Membership};
use super::members::Members;
use crate::ids::{GroupId, Millis, TopicName};
use crate::offsets::event::OffsetEvent;

impl Groups {
    /// Makes a fact about one group true. A group is made by the first fact about it.
    pub(crate) fn evolve(&mut self, id: &GroupId, event: &GroupEvent, now_ms: Millis) {
        let readers = event.changes_topics_of();
        let named = |groups: &Self| groups.get(id).map(|group| group.topics_of(&readers));
        let before = named(self);
        if let GroupEvent::Removed = event {
            self.all.remove(id);
        } else {
            self.group_mut(id).evolve(event, now_ms);
        }
        for topic in before.into_iter().chain(named(self)).flatten() {
            self.find_by_topic(&topic, id);
        }
    }

    /// Makes a fact about committed offsets true.
    pub(crate) fn evolve_offset(&mut self, event: &OffsetEvent) {
        let (id, topic) = (event.group(), event.topic());
        let offsets = &mut self.group_mut(id).offsets;
        let had = offsets.has(topic);
        offsets.evolve(event);
        if offsets.has(topic) != had {
            self.find_by_topic(topic, id);
        }
    }

    /// Keeps [`Groups::by_topic`] what it says.
    fn find_by_topic(&mut self, topic: &TopicName, id: &GroupId) {
        let names = self.get(id).is_some_and(|group| group.names(topic));
        self.by_topic.set(topic, id, names);
    }

    /// Another node coordinates: polling consumers read on from their committed offsets.
    pub(crate) fn coordinator_changed(&mut self) {
        for group in self.all.values_mut() {
            if group.membership.polling().is_some()
                && let Membership::Polling(polling) = &mut Arc::make_mut(group).membership
            {
                polling.forget_positions();
            }
        }
    }

    fn group_mut(&mut self, id: &GroupId) -> &mut Group {
        if !self.all.contains_key(id) {
            self.all.insert(id.clone(), Arc::default());
        }
        Arc::make_mut(self.all.get_mut(id).expect("was made"))
    }
}

impl Group {
    fn evolve(&mut self, event: &GroupEvent, now_ms: Millis) {
        match event {
            GroupEvent::Polling(event) => self.evolve_polling(event),
            GroupEvent::Classic(event) => self.evolve_classic(event, now_ms),
            GroupEvent::Declared { strategy, topic, assignments } => {
                self.generation = self.generation.next();
                self.emptied_ms = now_ms;
                self.membership = Membership::Declared(Declared {
                    strategy: strategy.clone(),
                    topic: topic.clone(),
                    assignments: assignments.iter().cloned().collect(),
                });
            }
            GroupEvent::SeatTaken { instance_id, from, to } => {
                self.membership.members_mut().seat_taken(instance_id, from, to);
            }
            GroupEvent::SeatKept { member } => self.membership.members_mut().seat_kept(member),
            GroupEvent::MemberRemoved { member, .. } => {
                self.membership.members_mut().removed(member);
                if !self.has_members() {
                    self.emptied_ms = now_ms;
                }
            }
            GroupEvent::RebalanceStarted { timeout_ms, initial, .. } => {
                self.epoch += 1;
                self.membership.members_mut().rebalance_started(*timeout_ms, *initial);
            }
            GroupEvent::Assigned { generation, targets } => {
                self.generation = *generation;
                self.membership.members_mut().assigned(*generation, targets);
            }
            GroupEvent::RebalanceCompleted { .. } => self.rebalance_completed(now_ms),
            // The first is the dedup table's, the second the map's of groups.
            GroupEvent::Answered { .. } | GroupEvent::Removed => {}
        }
    }

    fn rebalance_completed(&mut self, now_ms: Millis) {
        self.rebalances += 1;
        let old = self.recent_rebalances.partition_point(|at| at + HOUR_MS < now_ms);
        let surplus = (self.recent_rebalances.len() + 1).saturating_sub(MAX_RECENT_REBALANCES);
        self.recent_rebalances.drain(..old.max(surplus));
        self.recent_rebalances.push_back(now_ms);
        // A declared group is rebalanced too, without members that would notice.
        if self.membership.declared().is_none() {
            self.membership.members_mut().rebalance_completed();
        }
    }
}

impl Membership {
    /// The members of whatever kind, where an event says that there are some.
    fn members_mut(&mut self) -> &mut dyn Members {
        let members: Option<&mut dyn Members> = match self {
            Self::Simple | Self::Declared(_) => None,
            Self::Polling(polling) => Some(polling),
            Self::Classic(classic) => Some(classic),
        };
        members.expect("what happens to members happens in a group that can have some")
    }
}
