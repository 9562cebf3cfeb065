//! What must hold of every classic group, after every command.

use std::collections::BTreeMap;

use super::members::{Classic, ClassicMember, DelayedKind, Phase};
use crate::groups::group::Group;
use crate::groups::invariants::{
    Found, instances_are_consistent, owners_are_consistent, same_seat,
};
use crate::ids::{Generation, MemberId};
use crate::values::each;

impl Classic {
    /// What does not hold of the members that should.
    pub(in crate::groups) fn violations(&self, group: &Group, found: &mut Found) {
        let assigned = self.members.iter().map(|(id, m)| (id, each(&m.assignment).collect()));
        owners_are_consistent(&self.owners, assigned, found);
        let instances = self.members.iter().map(|(id, m)| (id, m.instance_id.as_ref()));
        instances_are_consistent(&self.instances, instances, found);
        let mut offered: BTreeMap<_, u32> = BTreeMap::new();
        for (id, member) in &self.members {
            for protocol in &member.protocols {
                *offered.entry(protocol.name.clone()).or_default() += 1;
            }
            self.member_violations(id, member, found);
        }
        found.unless(offered == self.offered, || "protocols are miscounted".to_owned());
        let text: u64 = self.members.values().map(ClassicMember::text).sum();
        found.unless(text == self.text, || "the text of members is miscounted".to_owned());
        let common = self.offered.values().any(|n| *n as usize == self.members.len());
        found.unless(self.members.is_empty() || common, || {
            "no protocol is supported by all".to_owned()
        });
        found.unless(self.pending_join.keys().all(|id| !self.members.contains_key(id)), || {
            "a member is still to join".to_owned()
        });
        for (what, ids) in
            [("joins", &self.joining), ("is away", &self.away), ("has to sync", &self.pending_sync)]
        {
            found.unless(ids.iter().all(|id| self.members.contains_key(id)), || {
                format!("a stranger {what}")
            });
        }
        let leader = self.leader.as_ref();
        match self.phase {
            Phase::Empty => {
                found.unless(self.members.is_empty(), || "Empty with members".to_owned())
            }
            Phase::Preparing { .. } => {}
            Phase::Completing => {
                found.unless(leader.is_some_and(|l| self.pending_sync.contains(l)), || {
                    "nobody has to assign".to_owned()
                });
            }
            Phase::Stable => {
                let leads = leader.is_some_and(|l| self.members.contains_key(l));
                found.unless(leads, || "Stable without a leader".to_owned());
            }
        }
        // Otherwise a group could hang, also after a change of coordinator.
        let rebalances = matches!(self.phase, Phase::Preparing { .. } | Phase::Completing);
        found.unless(!rebalances || !group.group_deadlines().is_empty(), || {
            "a rebalance has no deadline".to_owned()
        });
    }

    fn member_violations(&self, id: &MemberId, member: &ClassicMember, found: &mut Found) {
        let kind = member.delayed.as_ref().map(|delayed| delayed.kind);
        let (joins, syncs) = (kind == Some(DelayedKind::Join), kind == Some(DelayedKind::Sync));
        found.unless(joins == self.joining.contains(id), || {
            format!("whether `{id}` joins is unclear")
        });
        found.unless(!joins || matches!(self.phase, Phase::Preparing { .. }), || {
            format!("`{id}` joins a group that is not preparing")
        });
        found.unless(!syncs || self.phase == Phase::Completing, || {
            format!("`{id}` syncs with a group that does not wait for its leader")
        });
        let states = [joins || syncs, self.pending_sync.contains(id), self.away.contains(id)];
        found.unless(states.iter().filter(|s| **s).count() <= 1, || {
            format!("`{id}` is in two states")
        });
        found.unless(!self.away.contains(id) || member.instance_id.is_some(), || {
            format!("dynamic `{id}` is away")
        });
        if self.phase == Phase::Stable {
            let topics = self.topics_of(member);
            found.unless(each(&member.assignment).all(|p| topics.contains(&p.topic)), || {
                format!("`{id}` reads what it does not subscribe to")
            });
        }
    }

    /// What one command that began no generation must not have done: nothing moves within a
    /// generation.
    pub(in crate::groups) fn step_violations(
        &self,
        after: &Self,
        generation: Generation,
        found: &mut Found,
    ) {
        if self.phase != Phase::Stable {
            return;
        }
        for (partition, owner) in &after.owners {
            let had = self.owners.get(partition);
            let stays =
                had == Some(owner) || same_seat(&self.instances, &after.instances, had, owner);
            found.unless(stays, || {
                format!("{partition} went to `{owner}` within generation {generation}")
            });
        }
    }
}
