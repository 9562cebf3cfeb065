//! What must hold of every polling group, after every command.

use std::collections::{BTreeMap, BTreeSet};

use super::index::Index;
use super::members::{MAX_FENCED, Polling, PollingMember};
use crate::groups::group::Group;
use crate::groups::invariants::{
    Found, instances_are_consistent, owners_are_consistent, same_seat,
};
use crate::ids::{MemberId, TopicName, TopicPartition};
use crate::state::State;
use crate::values::each;

impl Polling {
    /// What does not hold of the members that should.
    pub(in crate::groups) fn violations(&self, group: &Group, state: &State, found: &mut Found) {
        let assigned =
            self.members.iter().map(|(id, m)| (id, m.assigned.keys().cloned().collect()));
        owners_are_consistent(&self.owners, assigned, found);
        let instances = self.members.iter().map(|(id, m)| (id, m.instance_id.as_ref()));
        instances_are_consistent(&self.instances, instances, found);
        let mut readers: BTreeMap<TopicName, u32> = BTreeMap::new();
        for (id, member) in &self.members {
            for topic in &member.topics {
                *readers.entry(topic.clone()).or_default() += 1;
            }
            self.member_violations(id, member, group, state, found);
        }
        found.unless(readers == self.subscribed, || "subscriptions are miscounted".to_owned());
        if self.rebalance.is_none() || self.is_cooperative() {
            self.target_violations(state, found);
        }
        found.unless(self.settled.iter().all(|id| self.members.contains_key(id)), || {
            "a stranger is settled".to_owned()
        });
        found.unless(self.index == Index::of(&self.members), || {
            "what is kept beside the members does not follow from them".to_owned()
        });
        found.unless(self.fenced.len() <= MAX_FENCED, || "too many fenced names".to_owned());
        for (name, _) in &self.fenced {
            found.unless(!self.members.contains_key(name), || {
                format!("`{name}` is a member and fenced")
            });
        }
        self.rebalance_violations(found);
    }

    fn member_violations(
        &self,
        id: &MemberId,
        member: &PollingMember,
        group: &Group,
        state: &State,
        found: &mut Found,
    ) {
        found.unless(member.generation <= group.generation, || {
            format!("`{id}` was told generation {} of {}", member.generation, group.generation)
        });
        found.unless(member.assigned.keys().all(|p| member.topics.contains(&p.topic)), || {
            format!("`{id}` holds what it does not subscribe to")
        });
        let is_settled = member.generation == group.generation
            && member.assigned.len() == each(&member.target).count();
        found.unless(self.settled.contains(id) == (!member.away && is_settled), || {
            format!("`{id}` is wrongly taken for settled, or for unsettled")
        });
        found.unless(!member.away || member.instance_id.is_some(), || {
            format!("dynamic `{id}` is away")
        });
        found.unless(!member.away || member.asked.is_none(), || {
            format!("`{id}` is away and keeps what it has to give up")
        });
        found.unless(member.assigned.keys().all(|p| state.partition(p).is_some()), || {
            format!("`{id}` holds a partition that does not exist")
        });
    }

    /// What does not hold of targets. While an eager rebalance is under way, there is none.
    fn target_violations(&self, state: &State, found: &mut Found) {
        let mut targets: BTreeMap<TopicPartition, &MemberId> = BTreeMap::new();
        for (id, member) in &self.members {
            let target: BTreeSet<_> = each(&member.target).collect();
            let (asked, surplus) =
                (member.asked.is_some(), member.assigned.keys().any(|p| !target.contains(p)));
            found.unless(asked == surplus, || {
                format!("`{id}` was asked to give up partitions: {asked}, has to: {surplus}")
            });
            for partition in target {
                found.unless(member.topics.contains(&partition.topic), || {
                    format!("{partition} is meant for `{id}`, who does not subscribe to it")
                });
                if let Some(other) = targets.insert(partition.clone(), id) {
                    found.unless(false, || {
                        format!("{partition} is meant for `{other}` and for `{id}`")
                    });
                }
            }
        }
        let all =
            self.subscribed.keys().filter_map(|t| Some((t, state.topic(t)?.partition_count())));
        let all = all.flat_map(|(topic, n)| {
            (0..n).map(|partition| TopicPartition { topic: topic.clone(), partition })
        });
        found.unless(all.eq(targets.keys().cloned()), || {
            "the targets do not cover the topics".to_owned()
        });
    }

    fn rebalance_violations(&self, found: &mut Found) {
        match &self.rebalance {
            // Otherwise nobody would ever end it.
            Some(_) if self.is_cooperative() => {
                found.unless(!self.are_all_settled(), || "a rebalance waits for nobody".to_owned());
            }
            Some(rebalance) => {
                found.unless(!rebalance.holding.is_empty(), || {
                    "a rebalance waits for nobody".to_owned()
                });
                let holds =
                    |id| self.members.get(id).is_some_and(|m| !m.away && !m.assigned.is_empty());
                found.unless(rebalance.holding.iter().all(holds), || {
                    "a rebalance waits for one who holds nothing".to_owned()
                });
            }
            None if self.is_cooperative() => {
                found.unless(self.are_all_settled(), || "Stable with unsettled members".to_owned());
            }
            None => {}
        }
    }

    /// What one command must not have done: a partition is not read by two members in one
    /// generation.
    pub(in crate::groups) fn step_violations(&self, after: &Self, found: &mut Found) {
        for (partition, owner) in &after.owners {
            let Some(had) = self.owners.get(partition).filter(|had| *had != owner) else {
                continue;
            };
            let (old, new) = (self.members[had].generation, after.members[owner].generation);
            let seat = same_seat(&self.instances, &after.instances, Some(had), owner);
            found.unless(seat || old < new, || {
                format!("{partition} went from `{had}` in generation {old} to `{owner}` in generation {new}")
            });
        }
    }
}
