//! A classic member's heartbeat: it is alive, and learns of a rebalance. Leaves no trace in the
//! log.

use super::members::Phase;
use super::members_of;
use crate::ids::{Generation, GroupId, InstanceId, MemberId};
use crate::rejection::Rejection;
use crate::reply::{Outcome, Reply};
use crate::state::State;

/// Order of checks, as in Kafka: member, generation, state. While members wait for their assignment
/// nothing is wrong; while they should join, REBALANCE_IN_PROGRESS tells them to.
pub(in crate::groups) fn query(
    state: &State,
    id: &GroupId,
    member: &MemberId,
    instance_id: Option<&InstanceId>,
    generation: Generation,
) -> Outcome {
    let (group, members) = members_of(state, id, member)?;
    members.present(id, member, instance_id)?;
    if generation != group.generation {
        let (group, current) = (id.clone(), group.generation);
        return Err(Rejection::IllegalGeneration { group, given: generation, current });
    }
    match members.phase {
        Phase::Preparing { .. } => Err(Rejection::RebalanceInProgress(id.clone())),
        Phase::Empty | Phase::Completing | Phase::Stable => Ok(Reply::Done),
    }
}
