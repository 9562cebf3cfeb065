//! What events make of a polling group's members. Decides nothing.

use super::command::Subscription;
use super::event::PollingEvent;
use super::index::{Basis, Card, Index};
use super::members::{MAX_FENCED, Polling, PollingMember, Rebalance};
use super::reply::Span;
use crate::groups::classic::event::InitialDelay;
use crate::groups::group::{Group, Membership};
use crate::groups::members::Members;
use crate::groups::reconcile;
use crate::ids::{Generation, InstanceId, MemberId, TopicName, TopicPartition};
use crate::values::{TopicPartitions, each};

impl Group {
    /// Makes a fact about its polling consumers true.
    pub(in crate::groups) fn evolve_polling(&mut self, event: &PollingEvent) {
        let current = self.generation;
        if let PollingEvent::Subscribed { .. } = event
            && self.membership.polling().is_none()
        {
            self.membership = Membership::Polling(Polling::default());
        }
        let Membership::Polling(polling) = &mut self.membership else {
            panic!("only a polling group meets {event:?}");
        };
        match event {
            PollingEvent::Subscribed { member, subscription } => {
                polling.subscribed(member, subscription, current);
            }
            PollingEvent::Reconciled { member, generation, revoked, assigned } => {
                polling.reconciled(member, *generation, current, revoked, assigned);
            }
            PollingEvent::Polled { member, spans } => polling.polled(member, spans),
            PollingEvent::TopicDropped { topic } => polling.topic_dropped(topic, current),
        }
    }
}

impl Polling {
    fn subscribed(&mut self, id: &MemberId, subscription: &Subscription, current: Generation) {
        let Subscription {
            topics,
            strategy,
            instance_id,
            session_timeout_ms,
            rebalance_timeout_ms,
        } = subscription;
        if self.strategy != *strategy {
            // What was under way by the old strategy is void.
            self.rebalance = None;
            self.strategy = strategy.clone();
            self.basis = Basis::Unknown;
        }
        self.fenced.retain(|(name, _)| name != id);
        if !self.members.contains_key(id) {
            let rebalance_timeout_ms = *rebalance_timeout_ms;
            let member = PollingMember { rebalance_timeout_ms, ..PollingMember::default() };
            self.index.insert(id, &Card::of(&member));
            self.members.insert(id.clone(), member);
            self.basis.then(Basis::Joined(id.clone()));
        } else if self.members[id].topics != *topics {
            self.basis = Basis::Unknown;
        } else if self.members[id].instance_id != *instance_id {
            self.order_changed();
        }
        let (old_topics, old_instance) = self.change(id, |member| {
            member.session_timeout_ms = *session_timeout_ms;
            member.rebalance_timeout_ms = *rebalance_timeout_ms;
            member.cursor = None;
            member.away = false;
            for position in member.assigned.values_mut() {
                *position = None;
            }
            (
                std::mem::replace(&mut member.topics, topics.clone()),
                std::mem::replace(&mut member.instance_id, instance_id.clone()),
            )
        });
        if let Some(old) = old_instance.filter(|old| Some(old) != instance_id.as_ref()) {
            self.instances.remove(&old);
            self.fenced.retain(|(_, fenced)| *fenced != old);
        }
        if let Some(instance_id) = instance_id {
            self.instances.insert(instance_id.clone(), id.clone());
        }
        self.count_topics(&old_topics, topics);
        self.settle(id, current);
    }

    /// Changes a member, and with it what is kept beside.
    fn change<T>(&mut self, id: &MemberId, change: impl FnOnce(&mut PollingMember) -> T) -> T {
        let member = self.members.get_mut(id).expect("who changes is there");
        let before = Card::of(member);
        let changed = change(member);
        let after = Card::of(member);
        if before != after {
            self.index.remove(id, &before);
            self.index.insert(id, &after);
        }
        changed
    }

    /// Members stand in another order. Sticky targets are shared evenly still, and that is all that
    /// their next computation keeps to.
    fn order_changed(&mut self) {
        if !self.is_sticky() || !matches!(self.basis, Basis::Exact) {
            self.basis = Basis::Unknown;
        }
    }

    /// Keeps [`Polling::settled`] what it says.
    fn settle(&mut self, id: &MemberId, current: Generation) {
        let member = &self.members[id];
        let standing = member.standing(Some(&member.target));
        if !member.away && reconcile::is_settled(&standing, current) {
            self.settled.insert(id.clone());
        } else {
            self.settled.remove(id);
        }
    }

    fn count_topics(&mut self, old: &[TopicName], new: &[TopicName]) {
        for topic in new {
            *self.subscribed.entry(topic.clone()).or_default() += 1;
        }
        for topic in old {
            let readers = self.subscribed.get_mut(topic).expect("a member's topics are counted");
            *readers -= 1;
            if *readers == 0 {
                self.subscribed.remove(topic);
            }
        }
    }

    fn reconciled(
        &mut self,
        id: &MemberId,
        told: Generation,
        current: Generation,
        revoked: &TopicPartitions,
        assigned: &TopicPartitions,
    ) {
        for partition in each(revoked) {
            self.owners.remove(&partition);
        }
        for partition in each(assigned) {
            self.owners.insert(partition, id.clone());
        }
        let holds = self.change(id, |member| {
            for partition in each(revoked) {
                member.assigned.remove(&partition);
            }
            for partition in each(assigned) {
                member.assigned.insert(partition, None);
            }
            member.asked = None;
            member.generation = told;
            !member.assigned.is_empty()
        });
        if let (false, Some(rebalance)) = (holds, &mut self.rebalance) {
            rebalance.holding.remove(id);
        }
        self.settle(id, current);
    }

    fn polled(&mut self, id: &MemberId, spans: &[Span]) {
        let member = self.members.get_mut(id).expect("who polls is there");
        for span in spans {
            member.assigned.insert(span.partition.clone(), Some(span.to));
        }
        if let Some(last) = spans.last() {
            member.cursor = Some(last.partition.clone());
        }
    }

    fn topic_dropped(&mut self, topic: &TopicName, current: Generation) {
        let of_topic = |p: &TopicPartition| p.topic == *topic;
        self.owners.retain(|p, _| !of_topic(p));
        for (id, member) in &mut self.members {
            member.target.retain(|(name, _)| name != topic);
            member.assigned.retain(|p, _| !of_topic(p));
            if !reconcile::owes(&member.standing(Some(&member.target))) {
                member.asked = None;
            }
            if let (true, Some(rebalance)) = (member.assigned.is_empty(), &mut self.rebalance) {
                rebalance.holding.remove(id);
            }
        }
        self.index = Index::of(&self.members);
        self.basis = Basis::Unknown;
        for id in self.members.keys().cloned().collect::<Vec<_>>() {
            self.settle(&id, current);
        }
    }

    /// Polling consumers read on from their committed offsets.
    pub(in crate::groups) fn forget_positions(&mut self) {
        for member in self.members.values_mut() {
            for position in member.assigned.values_mut() {
                *position = None;
            }
        }
    }
}

impl Members for Polling {
    fn seat_taken(&mut self, instance_id: &InstanceId, from: &MemberId, to: &MemberId) {
        let member = self.members.remove(from).expect("a seat that is taken has a member");
        for partition in member.assigned.keys() {
            self.owners.insert(partition.clone(), to.clone());
        }
        let card = Card::of(&member);
        self.index.remove(from, &card);
        self.index.insert(to, &card);
        self.order_changed();
        self.members.insert(to.clone(), member);
        self.instances.insert(instance_id.clone(), to.clone());
        if self.settled.remove(from) {
            self.settled.insert(to.clone());
        }
        if let Some(rebalance) = &mut self.rebalance
            && rebalance.holding.remove(from)
        {
            rebalance.holding.insert(to.clone());
        }
        self.fenced.retain(|(name, _)| name != to);
        self.fenced.push_back((from.clone(), instance_id.clone()));
        if self.fenced.len() > MAX_FENCED {
            self.fenced.pop_front();
        }
    }

    fn seat_kept(&mut self, id: &MemberId) {
        self.change(id, |member| member.away = true);
        self.settled.remove(id);
    }

    fn removed(&mut self, id: &MemberId) {
        let member = self.members.remove(id).expect("who goes was there");
        for partition in member.assigned.keys() {
            self.owners.remove(partition);
        }
        self.count_topics(&member.topics, &[]);
        self.index.remove(id, &Card::of(&member));
        if let Some(instance_id) = &member.instance_id {
            self.instances.remove(instance_id);
            self.fenced.retain(|(_, fenced)| fenced != instance_id);
        }
        self.settled.remove(id);
        self.basis.then(Basis::Left(member.target));
        if let Some(rebalance) = &mut self.rebalance {
            rebalance.holding.remove(id);
        }
        if self.members.is_empty() {
            self.rebalance = None;
        }
    }

    fn rebalance_started(&mut self, timeout_ms: u32, _initial: Option<InitialDelay>) {
        let mut rebalance = Rebalance { timeout_ms, ..Rebalance::default() };
        if !self.is_cooperative() && !self.owners.is_empty() {
            let holds =
                |(id, m): (&MemberId, &PollingMember)| (!m.assigned.is_empty()).then(|| id.clone());
            rebalance.holding = self.members.iter().filter_map(holds).collect();
        }
        self.rebalance = Some(rebalance);
    }

    fn assigned(&mut self, generation: Generation, targets: &[(MemberId, TopicPartitions)]) {
        // Nobody has been told it. Who has the target that it had owes what it owed.
        self.settled.clear();
        for (id, target) in targets {
            self.change(id, |member| {
                member.target.clone_from(target);
                if reconcile::owes(&member.standing(Some(target))) {
                    member.asked.get_or_insert(generation);
                } else {
                    member.asked = None;
                }
            });
        }
        self.basis = Basis::Exact;
    }

    fn rebalance_completed(&mut self) {
        self.rebalance = None;
    }
}
