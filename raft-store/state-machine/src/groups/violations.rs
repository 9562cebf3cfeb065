//! What must hold of every group, after every command.

use std::collections::{BTreeMap, BTreeSet};

use super::classic::{Classic, Phase, WaitingRequest};
use super::polling::{MAX_FENCED, Polling, each};
use super::{Declared, Group, MAX_RECENT_REBALANCES, Membership};
use crate::ids::{Generation, InstanceId, MemberId, TopicName, TopicPartition};
use crate::state::State;

/// Collects what does not hold.
#[derive(Default)]
struct Found(Vec<String>);

impl Found {
    fn unless(&mut self, holds: bool, what: impl FnOnce() -> String) {
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
        found.unless(self.recent_rebalances.is_sorted(), || "its rebalances are out of order".to_owned());
        found.unless(self.recent_rebalances.len() as u64 <= self.rebalances, || {
            "it completed more rebalances in the last hour than ever".to_owned()
        });
        match &self.membership {
            Membership::Simple => {}
            Membership::Declared(declared) => of_declared(declared, &mut found),
            Membership::Polling(polling) => of_thin(self, polling, state, &mut found),
            Membership::Classic(classic) => of_classic(self, classic, &mut found),
        }
        found.0
    }
}

fn of_declared(declared: &Declared, found: &mut Found) {
    let mut all: Vec<_> = declared.assignments.values().flatten().collect();
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    found.unless(all.len() == count, || "a partition is assigned to two declared consumers".to_owned());
}

fn of_thin(group: &Group, polling: &Polling, state: &State, found: &mut Found) {
    let eager_rebalance = polling.rebalance.is_some() && !polling.is_cooperative();
    let assigned = polling.members.iter().map(|(id, m)| (id, m.assigned.keys().cloned().collect::<Vec<_>>()));
    owners_are_consistent(&polling.owners, assigned, found);
    instances_are_consistent(
        &polling.instances,
        polling.members.iter().map(|(id, m)| (id, m.instance_id.as_ref())),
        found,
    );
    let mut readers: BTreeMap<TopicName, u32> = BTreeMap::new();
    let mut targets: BTreeMap<TopicPartition, &MemberId> = BTreeMap::new();
    for (id, member) in &polling.members {
        for topic in &member.topics {
            *readers.entry(topic.clone()).or_default() += 1;
        }
        found.unless(member.generation <= group.generation, || {
            format!("`{id}` was told generation {} of {}", member.generation, group.generation)
        });
        found.unless(member.assigned.keys().all(|p| member.topics.contains(&p.topic)), || {
            format!("`{id}` holds what it does not subscribe to")
        });
        let target: BTreeSet<_> = each(&member.target).collect();
        let surplus = member.assigned.keys().any(|p| !target.contains(p));
        if !eager_rebalance {
            found.unless(member.asked.is_some() == surplus, || {
                format!(
                    "`{id}` was asked to give up partitions: {}, has to: {surplus}",
                    member.asked.is_some()
                )
            });
            for partition in target {
                found.unless(member.topics.contains(&partition.topic), || {
                    format!("{partition} is meant for `{id}`, who does not subscribe to it")
                });
                if let Some(other) = targets.insert(partition.clone(), id) {
                    found.0.push(format!("{partition} is meant for `{other}` and for `{id}`"));
                }
            }
        }
        let is_settled =
            member.generation == group.generation && member.assigned.len() == each(&member.target).count();
        found.unless(polling.unsettled.contains(id) == (!member.away && !is_settled), || {
            format!("`{id}` is wrongly taken for settled, or for unsettled")
        });
        found.unless(!member.away || member.instance_id.is_some(), || format!("dynamic `{id}` is away"));
        found.unless(!member.away || member.asked.is_none(), || {
            format!("`{id}` is away and keeps what it has to give up")
        });
        let exists = |p: &TopicPartition| {
            state.topic(&p.topic).is_some_and(|topic| p.partition < topic.partition_count())
        };
        found.unless(member.assigned.keys().all(exists), || {
            format!("`{id}` holds a partition that does not exist")
        });
    }
    found.unless(readers == polling.subscribed, || "subscriptions are miscounted".to_owned());
    if !eager_rebalance {
        let all = polling.subscribed.keys().filter_map(|t| Some((t, state.topic(t)?.partition_count())));
        let all = all.flat_map(|(topic, n)| {
            (0..n).map(|partition| TopicPartition { topic: topic.clone(), partition })
        });
        found.unless(all.eq(targets.keys().cloned()), || "the targets do not cover the topics".to_owned());
    }
    found.unless(polling.unsettled.iter().all(|id| polling.members.contains_key(id)), || {
        "a stranger is unsettled".to_owned()
    });
    found.unless(polling.fenced.len() <= MAX_FENCED, || "too many fenced names".to_owned());
    for (name, _) in &polling.fenced {
        found.unless(!polling.members.contains_key(name), || format!("`{name}` is a member and fenced"));
    }
    match &polling.rebalance {
        // Otherwise nobody would ever end it.
        Some(_) if polling.is_cooperative() => {
            found.unless(!polling.unsettled.is_empty(), || "a rebalance waits for nobody".to_owned());
        }
        Some(rebalance) => {
            found.unless(!rebalance.holding.is_empty(), || "a rebalance waits for nobody".to_owned());
            let holds = |id| polling.members.get(id).is_some_and(|m| !m.away && !m.assigned.is_empty());
            found.unless(rebalance.holding.iter().all(holds), || {
                "a rebalance waits for one who holds nothing".to_owned()
            });
        }
        None if polling.is_cooperative() => {
            found.unless(polling.unsettled.is_empty(), || "Stable with unsettled members".to_owned());
        }
        None => {}
    }
}

fn of_classic(group: &Group, classic: &Classic, found: &mut Found) {
    let assigned = classic.members.iter().map(|(id, m)| (id, each(&m.assignment).collect::<Vec<_>>()));
    owners_are_consistent(&classic.owners, assigned, found);
    instances_are_consistent(
        &classic.instances,
        classic.members.iter().map(|(id, m)| (id, m.instance_id.as_ref())),
        found,
    );
    let mut offered: BTreeMap<_, u32> = BTreeMap::new();
    for (id, member) in &classic.members {
        for protocol in &member.protocols {
            *offered.entry(protocol.name.clone()).or_default() += 1;
        }
        let joins = member.waits.as_ref().is_some_and(|w| w.request == WaitingRequest::Join);
        let syncs = member.waits.is_some() && !joins;
        found.unless(joins == classic.joining.contains(id), || format!("whether `{id}` joins is unclear"));
        found.unless(!joins || matches!(classic.phase, Phase::Preparing { .. }), || {
            format!("`{id}` joins a group that is not preparing")
        });
        found.unless(!syncs || classic.phase == Phase::Completing, || {
            format!("`{id}` syncs with a group that does not wait for its leader")
        });
        let states = [joins || syncs, classic.pending_sync.contains(id), classic.away.contains(id)];
        found.unless(states.iter().filter(|s| **s).count() <= 1, || format!("`{id}` is in two states"));
        found.unless(!classic.away.contains(id) || member.instance_id.is_some(), || {
            format!("dynamic `{id}` is away")
        });
        if classic.phase == Phase::Stable {
            let topics = classic.topics_of(member);
            found.unless(each(&member.assignment).all(|p| topics.contains(&p.topic)), || {
                format!("`{id}` reads what it does not subscribe to")
            });
        }
    }
    found.unless(offered == classic.offered, || "protocols are miscounted".to_owned());
    let common = classic.offered.values().any(|n| *n as usize == classic.members.len());
    found.unless(classic.members.is_empty() || common, || "no protocol is supported by all".to_owned());
    for (what, ids) in
        [("joins", &classic.joining), ("is away", &classic.away), ("has to sync", &classic.pending_sync)]
    {
        found.unless(ids.iter().all(|id| classic.members.contains_key(id)), || format!("a stranger {what}"));
    }
    let leads = classic.leader.as_ref().is_some_and(|l| classic.members.contains_key(l));
    match classic.phase {
        Phase::Empty => found.unless(classic.members.is_empty(), || "Empty with members".to_owned()),
        Phase::Preparing { .. } => {}
        Phase::Completing => {
            let leader = classic.leader.as_ref();
            found.unless(leader.is_some_and(|l| classic.pending_sync.contains(l)), || {
                "nobody has to assign".to_owned()
            });
        }
        Phase::Stable => found.unless(leads, || "Stable without a leader".to_owned()),
    }
    // Otherwise a group could hang, also after a change of coordinator.
    found.unless(
        !matches!(classic.phase, Phase::Preparing { .. } | Phase::Completing)
            || !group.group_deadlines().is_empty(),
        || "a rebalance has no deadline".to_owned(),
    );
}

fn owners_are_consistent<'a>(
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
    found.unless(held == owners.len(), || format!("{held} partitions are held, {} owned", owners.len()));
}

fn instances_are_consistent<'a>(
    instances: &BTreeMap<InstanceId, MemberId>,
    members: impl Iterator<Item = (&'a MemberId, Option<&'a InstanceId>)>,
    found: &mut Found,
) {
    let of_members: BTreeMap<_, _> =
        members.filter_map(|(id, instance)| Some((instance?.clone(), id.clone()))).collect();
    found.unless(of_members == *instances, || "seats of static members are inconsistent".to_owned());
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
            (Membership::Polling(before), Membership::Polling(now)) => thin_step(before, now, &mut found),
            (Membership::Classic(before), Membership::Classic(now))
                if before.phase == Phase::Stable && self.generation == after.generation =>
            {
                for (partition, owner) in &now.owners {
                    let had = before.owners.get(partition);
                    let moved =
                        had != Some(owner) && !same_seat(&before.instances, &now.instances, had, owner);
                    found.unless(!moved, || {
                        format!("{partition} went to `{owner}` within generation {}", self.generation)
                    });
                }
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

/// A partition is not read by two members in one generation.
fn thin_step(before: &Polling, after: &Polling, found: &mut Found) {
    for (partition, owner) in &after.owners {
        let Some(had) = before.owners.get(partition).filter(|had| *had != owner) else { continue };
        let (old, new) = (before.members[had].generation, after.members[owner].generation);
        let seat = same_seat(&before.instances, &after.instances, Some(had), owner);
        found.unless(seat || old < new, || {
            format!("{partition} went from `{had}` in generation {old} to `{owner}` in generation {new}")
        });
    }
}

fn same_seat(
    before: &BTreeMap<InstanceId, MemberId>,
    after: &BTreeMap<InstanceId, MemberId>,
    had: Option<&MemberId>,
    owner: &MemberId,
) -> bool {
    after.iter().any(|(instance, id)| id == owner && before.get(instance) == had && had.is_some())
}
