//! A classic member asks for its assignment; the group's leader brings everyone's (Kafka's
//! SyncGroup).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::command::{Agreed, Assignments};
use super::event::ClassicEvent;
use super::members::{Classic, DelayedKind, Phase};
use super::members_of;
use super::rebalance::{answer, classic, delayed};
use super::reply::ClassicReply;
use crate::groups::event::GroupEvent;
use crate::groups::target::{self, Candidate, Moving};
use crate::ids::{Generation, GroupId, InstanceId, MemberId, TopicName, TopicPartition};
use crate::rejection::Rejection;
use crate::reply::{Decided, Decision, Reply};
use crate::state::State;
use crate::topics::topic::Topic;
use crate::transition::Transition;
use crate::values::{TopicPartitions, by_topic, each};

/// Order of checks, as in Kafka: member, generation, what was agreed on, state; then what the
/// leader brings. What others bring is not looked at.
pub(super) fn sync(
    tx: &mut Transition<'_>,
    id: &GroupId,
    member: &MemberId,
    instance_id: Option<&InstanceId>,
    generation: Generation,
    agreed: &Agreed,
    assignments: Option<&Assignments>,
) -> Decided {
    let (group, members) = members_of(tx.state(), id, member)?;
    let found = members.present(id, member, instance_id)?;
    let current = group.generation;
    if generation != current {
        return Err(Rejection::IllegalGeneration { group: id.clone(), given: generation, current });
    }
    if !agrees(members, agreed) {
        return Err(group.inconsistent(id, "its members agreed on another protocol"));
    }
    match members.phase {
        Phase::Empty => unreachable!("an empty group has no members"),
        Phase::Preparing { .. } => return Err(Rejection::RebalanceInProgress(id.clone())),
        Phase::Stable => {
            if members.pending_sync.contains(member) {
                tx.emit_group(id, ClassicEvent::SyncFetched { member: member.clone() });
            }
        }
        Phase::Completing if members.leader.as_ref() == Some(member) => {
            let (targets, given) = match assignments {
                Some(Assignments::Partitions(brought)) => {
                    (checked(id, members, brought)?, Vec::new())
                }
                // Nobody's partitions, as far as the state knows.
                Some(Assignments::Opaque(brought)) => {
                    let nothing = members.members.keys().map(|id| (id.clone(), Vec::new()));
                    (nothing.collect(), opaque(members, brought))
                }
                None => (computed(tx.state(), id, members)?, Vec::new()),
            };
            if !given.is_empty() {
                tx.emit_group(id, ClassicEvent::Given { assignments: given });
            }
            assigned(tx, id, generation, targets);
        }
        Phase::Completing => {
            if let Some(delayed) = found.delayed.clone() {
                answer(
                    tx,
                    id,
                    member,
                    delayed.request_id,
                    Err(Rejection::RebalanceInProgress(id.clone())),
                );
            }
            let request_id = tx.request_id();
            tx.emit_group(id, ClassicEvent::SyncWaits { member: member.clone(), request_id });
            return Ok(Decision::Delayed { member: member.clone() });
        }
    }
    Ok(synced(tx.state(), id, member).into())
}

/// Whether a member means what the group agreed on. A member with another protocol would read bytes
/// that are not meant for it.
fn agrees(members: &Classic, agreed: &Agreed) -> bool {
    let Agreed { protocol_type, protocol } = agreed;
    let same_type = || protocol_type.as_deref() == members.protocol_type();
    let same_protocol = || *protocol == members.protocol;
    (protocol_type.is_none() || same_type()) && (protocol.is_none() || same_protocol())
}

fn synced(state: &State, id: &GroupId, member: &MemberId) -> Reply {
    let member = &classic(state, id).1.members[member];
    let (assignment, given) = (member.assignment.clone(), member.given.clone());
    ClassicReply::Synced { assignment, given }.into()
}

/// Everyone has an assignment: the group is Stable, and who waits is answered.
fn assigned(
    tx: &mut Transition<'_>,
    id: &GroupId,
    generation: Generation,
    targets: Vec<(MemberId, TopicPartitions)>,
) {
    let waiting = delayed(classic(tx.state(), id).1, DelayedKind::Sync);
    tx.emit_group(id, GroupEvent::Assigned { generation, targets });
    tx.emit_group(id, GroupEvent::RebalanceCompleted { generation });
    for (member, request_id) in waiting {
        let outcome = Ok(synced(tx.state(), id, &member));
        answer(tx, id, &member, request_id, outcome);
    }
}

/// The bytes for those that are members. As in Kafka, what is brought for others is left out.
fn opaque(members: &Classic, brought: &[(MemberId, Bytes)]) -> Vec<(MemberId, Bytes)> {
    let given: BTreeMap<_, _> =
        brought.iter().filter(|(id, _)| members.members.contains_key(id)).cloned().collect();
    given.into_iter().collect()
}

/// The leader's assignment, with everyone in it, if it can be that of this generation.
fn checked(
    id: &GroupId,
    members: &Classic,
    brought: &[(MemberId, TopicPartitions)],
) -> Result<Vec<(MemberId, TopicPartitions)>, Rejection> {
    let invalid = |problem: String| Rejection::InvalidAssignment {
        group: id.clone(),
        problem: problem.into(),
    };
    let mut targets: BTreeMap<&MemberId, BTreeSet<TopicPartition>> =
        members.members.keys().map(|id| (id, BTreeSet::new())).collect();
    let mut owners: BTreeMap<TopicPartition, &MemberId> = BTreeMap::new();
    for (member, partitions) in brought {
        let Some(found) = members.members.get(member) else {
            return Err(invalid(format!("names `{member}`, who is not a member")));
        };
        let subscribed: BTreeSet<_> = members.topics_of(found).into_iter().collect();
        for partition in each(partitions) {
            if !subscribed.contains(&partition.topic) {
                let topic = &partition.topic;
                return Err(invalid(format!(
                    "gives `{member}` topic `{topic}`, to which it does not subscribe"
                )));
            }
            if let Some(other) = owners.insert(partition.clone(), member) {
                return Err(invalid(format!("gives {partition} to `{other}` and to `{member}`")));
            }
            targets.get_mut(member).expect("every member has an entry").insert(partition);
        }
    }
    Ok(targets.into_iter().map(|(id, owned)| (id.clone(), by_topic(&owned))).collect())
}

/// The elected strategy's assignment, for a leader that brings none.
fn computed(
    state: &State,
    id: &GroupId,
    members: &Classic,
) -> Result<Vec<(MemberId, TopicPartitions)>, Rejection> {
    let protocol = members.protocol.clone().expect("was elected");
    let nothing = Vec::new();
    let candidates: Vec<_> = members
        .members
        .iter()
        .map(|(id, member)| {
            let offered = member.protocol(&protocol);
            Candidate {
                id,
                instance_id: member.instance_id.as_ref(),
                topics: offered.map_or(&[], |p| &p.topics[..]),
                owned: offered.map_or(&nothing, |p| &p.owned),
                generation: offered.and_then(|p| p.generation),
            }
        })
        .collect();
    let partitions = |topic: &TopicName| state.topic(topic).map(Topic::partition_count);
    target::compute(&protocol, &candidates, partitions, Moving::Withheld)
        .map_err(|failed| failed.rejection(id, &protocol))
}
