//! A classic member asks for its assignment; the group's leader brings everyone's (Kafka's SyncGroup).

use std::collections::{BTreeMap, BTreeSet};

use super::rebalance::{classic, waiting};
use super::{Classic, Phase, WaitingRequest};
use crate::apply::Transition;
use crate::groups::assign::{self, Candidate, Failed, Moving};
use crate::groups::event::GroupEvent;
use crate::groups::polling::{by_topic, each};
use crate::groups::{answer, classic_of, emit, text};
use crate::ids::{Generation, GroupId, InstanceId, MemberId, TopicPartition};
use crate::reply::{Outcome, Rejection, Reply, TopicPartitions};
use crate::state::State;

/// Order of checks, as in Kafka: member, generation, state; then what the leader brings. What others bring is
/// not looked at.
pub(in crate::groups) fn sync(
    tx: &mut Transition<'_>,
    id: &GroupId,
    member: &MemberId,
    instance_id: Option<&InstanceId>,
    generation: Generation,
    assignments: Option<&[(MemberId, TopicPartitions)]>,
) -> Outcome {
    let members = classic_of(tx.state(), id, member)?;
    let found = members.present(id, member, instance_id)?;
    let current = tx.state().group(id).expect("it has the member").generation;
    if generation != current {
        return Err(Rejection::IllegalGeneration { group: id.clone(), given: generation, current });
    }
    match members.phase {
        Phase::Empty => unreachable!("an empty group has no members"),
        Phase::Preparing { .. } => return Err(Rejection::RebalanceInProgress(id.clone())),
        Phase::Stable => {
            if members.pending_sync.contains(member) {
                emit(tx, id, GroupEvent::SyncFetched { member: member.clone() });
            }
        }
        Phase::Completing if members.leader.as_ref() == Some(member) => {
            let targets = match assignments {
                Some(brought) => checked(id, members, brought)?,
                None => computed(tx.state(), id, members)?,
            };
            assigned(tx, id, generation, targets);
        }
        Phase::Completing => {
            if let Some(waits) = found.waits.clone() {
                answer(tx, id, member, waits.request_id, Err(Rejection::RebalanceInProgress(id.clone())));
            }
            let request_id = tx.request_id();
            emit(tx, id, GroupEvent::SyncWaits { member: member.clone(), request_id });
            return Ok(Reply::Delayed { member: member.clone() });
        }
    }
    Ok(synced(tx.state(), id, member))
}

fn synced(state: &State, id: &GroupId, member: &MemberId) -> Reply {
    Reply::Synced { assignment: classic(state, id).1.members[member].assignment.clone() }
}

/// Everyone has an assignment: the group is Stable, and who waits is answered.
fn assigned(
    tx: &mut Transition<'_>,
    id: &GroupId,
    generation: Generation,
    targets: Vec<(MemberId, TopicPartitions)>,
) {
    let waiting = waiting(classic(tx.state(), id).1, WaitingRequest::Sync);
    emit(tx, id, GroupEvent::Assigned { generation, targets });
    emit(tx, id, GroupEvent::RebalanceCompleted { generation });
    for (member, request_id) in waiting {
        let outcome = Ok(synced(tx.state(), id, &member));
        answer(tx, id, &member, request_id, outcome);
    }
}

/// The leader's assignment, with everyone in it, if it can be that of this generation.
fn checked(
    id: &GroupId,
    members: &Classic,
    brought: &[(MemberId, TopicPartitions)],
) -> Result<Vec<(MemberId, TopicPartitions)>, Rejection> {
    let invalid =
        |problem: String| Rejection::InvalidAssignment { group: id.clone(), problem: text(problem) };
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
    assign::run(state, &protocol, &candidates, Moving::Withheld).map_err(|failed| match failed {
        Failed::Unknown => Rejection::UnsupportedAssignor(protocol.clone()),
        Failed::Refused(error) => {
            Rejection::AssignorFailed { group: id.clone(), problem: text(error.to_string()) }
        }
    })
}
