//! What must hold of every group, after every command. What must hold of one kind stands in its
//! folder.

use std::collections::BTreeMap;

use super::declared::Declared;
use super::group::{Group, MAX_RECENT_REBALANCES, Membership};
use crate::ids::{Generation, InstanceId, MemberId, TopicPartition};
use crate::state::State;

/// Collects what does not hold.
#[derive(Default)]
pub(super) struct Found(Vec<String>);

impl Found {
    pub(super) fn unless(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.0.push(what());
        }
    }
}

impl Group {
    /// What does not hold of the group that should.
    pub(crate) fn violations(&self, state: &State) -> Vec<String> {
        let mut found = Found::default();
        found.unless(self.generation >= Generation(0), || "its generation is negative".to_owned());
        found.unless(self.recent_rebalances.len() <= MAX_RECENT_REBALANCES, || {
            format!("it remembers {} rebalances", self.recent_rebalances.len())
        });
        found.unless(self.recent_rebalances.iter().is_sorted(), || {
            "its rebalances are out of order".to_owned()
        });
        found.unless(self.recent_rebalances.len() as u64 <= self.rebalances, || {
            "it completed more rebalances in the last hour than ever".to_owned()
        });
        match &self.membership {
            Membership::Simple => {}
            Membership::Declared(declared) => of_declared(declared, &mut found),
            Membership::Polling(polling) => polling.violations(self, state, &mut found),
            Membership::Classic(classic) => classic.violations(self, &mut found),
        }
        found.0
    }
}

fn of_declared(declared: &Declared, found: &mut Found) {
    let mut all: Vec<_> = declared.assignments.values().flatten().collect();
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    found.unless(all.len() == count, || {
        "a partition is assigned to two declared consumers".to_owned()
    });
}

impl Group {
    /// What one command must not have done to the group.
    pub(crate) fn step_violations(&self, after: &Self) -> Vec<String> {
        let mut found = Found::default();
        found.unless(self.generation <= after.generation, || {
            format!("its generation fell from {} to {}", self.generation, after.generation)
        });
        found.unless(self.epoch <= after.epoch, || "its epoch fell".to_owned());
        found.unless(self.rebalances <= after.rebalances, || "it forgot rebalances".to_owned());
        match (&self.membership, &after.membership) {
            (Membership::Polling(before), Membership::Polling(now)) => {
                before.step_violations(now, &mut found)
            }
            (Membership::Classic(before), Membership::Classic(now))
                if self.generation == after.generation =>
            {
                before.step_violations(now, self.generation, &mut found);
            }
            (
                Membership::Simple
                | Membership::Declared(_)
                | Membership::Polling(_)
                | Membership::Classic(_),
                _,
            ) => {}
        }
        found.0
    }
}

pub(super) fn owners_are_consistent<'a>(
    owners: &BTreeMap<TopicPartition, MemberId>,
    assigned: impl Iterator<Item = (&'a MemberId, Vec<TopicPartition>)>,
    found: &mut Found,
) {
    let mut held = 0;
    for (id, partitions) in assigned {
        held += partitions.len();
        for partition in partitions {
            found.unless(owners.get(&partition) == Some(id), || {
                format!("`{id}` holds {partition}, whose owner is {:?}", owners.get(&partition))
            });
        }
    }
    found.unless(held == owners.len(), || {
        format!("{held} partitions are held, {} owned", owners.len())
    });
}

pub(super) fn instances_are_consistent<'a>(
    instances: &BTreeMap<InstanceId, MemberId>,
    members: impl Iterator<Item = (&'a MemberId, Option<&'a InstanceId>)>,
    found: &mut Found,
) {
    let of_members: BTreeMap<_, _> =
        members.filter_map(|(id, instance)| Some((instance?.clone(), id.clone()))).collect();
    found
        .unless(of_members == *instances, || "seats of static members are inconsistent".to_owned());
}

/// Whether two names are one static member's, before and after.
pub(super) fn same_seat(
    before: &BTreeMap<InstanceId, MemberId>,
    after: &BTreeMap<InstanceId, MemberId>,
    had: Option<&MemberId>,
    owner: &MemberId,
) -> bool {
    after.iter().any(|(instance, id)| id == owner && before.get(instance) == had && had.is_some())
}
