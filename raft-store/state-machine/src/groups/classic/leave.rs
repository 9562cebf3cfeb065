//! A classic member goes: it says so, or its session is over.

use super::event::ClassicEvent;
use super::members::Phase;
use super::members_of;
use super::rebalance::{answer, classic, joins_may_finish, maybe_finish, prepare};
use crate::groups::event::{GroupEvent, RebalanceReason, RemovalReason};
use crate::ids::{GroupId, InstanceId, MemberId};
use crate::rejection::Rejection;
use crate::reply::{Outcome, Reply};
use crate::transition::Transition;

/// A dynamic member is gone at once. A static one keeps its seat until its session ends, unless it
/// leaves for good; that may also be said of a member that is away.
pub(super) fn leave(
    tx: &mut Transition<'_>,
    id: &GroupId,
    member: &MemberId,
    instance_id: Option<&InstanceId>,
    permanent: bool,
) -> Outcome {
    let (_, members) = members_of(tx.state(), id, member)?;
    if members.pending_join.contains_key(member) {
        go(tx, id, member, RemovalReason::Left);
        return Ok(Reply::Done);
    }
    let found = members.known(id, member, instance_id)?;
    if found.instance_id.is_none() || permanent {
        remove(tx, id, member, RemovalReason::Left);
        return Ok(Reply::Done);
    }
    members.present(id, member, instance_id)?;
    stop_waiting(tx, id, member);
    tx.emit_group(id, GroupEvent::SeatKept { member: member.clone() });
    let members = classic(tx.state(), id).1;
    match members.phase {
        Phase::Preparing { .. } if joins_may_finish(members) => maybe_finish(tx, id, None),
        // Nobody else would assign.
        Phase::Completing if members.leader.as_ref() == Some(member) => {
            prepare(tx, id, RebalanceReason::MemberRemoved(member.clone()), None);
        }
        Phase::Empty | Phase::Preparing { .. } | Phase::Completing | Phase::Stable => {}
    }
    Ok(Reply::Done)
}

/// A member goes, and its seat with it; or who was given an id does not come.
pub(super) fn go(tx: &mut Transition<'_>, id: &GroupId, member: &MemberId, reason: RemovalReason) {
    if !classic(tx.state(), id).1.pending_join.contains_key(member) {
        return remove(tx, id, member, reason);
    }
    tx.emit_group(id, ClassicEvent::IdForgotten { member: member.clone(), reason });
    // Nobody reads anything for it, so that only a join phase notices.
    if let Phase::Preparing { .. } = classic(tx.state(), id).1.phase {
        one_less_to_wait_for(tx, id, reason);
    }
}

/// The group becomes one of another kind: whoever was given an id cannot join with it any more.
pub(in crate::groups) fn forget_given(tx: &mut Transition<'_>, id: &GroupId) {
    let classic = tx.state().group(id).and_then(|group| group.membership.classic());
    let given: Vec<MemberId> =
        classic.into_iter().flat_map(|classic| classic.pending_join.keys().cloned()).collect();
    for member in given {
        let reason = RemovalReason::AnotherKind;
        tx.emit_group(id, ClassicEvent::IdForgotten { member, reason });
    }
}

fn remove(tx: &mut Transition<'_>, id: &GroupId, member: &MemberId, reason: RemovalReason) {
    stop_waiting(tx, id, member);
    tx.emit_group(id, GroupEvent::MemberRemoved { member: member.clone(), reason });
    let members = classic(tx.state(), id).1;
    match members.phase {
        Phase::Stable | Phase::Completing => {
            prepare(tx, id, RebalanceReason::MemberRemoved(member.clone()), None);
        }
        Phase::Preparing { .. } => one_less_to_wait_for(tx, id, reason),
        Phase::Empty => {}
    }
}

/// As in Kafka, one who leaves does not cut short the wait of a group that was empty.
fn one_less_to_wait_for(tx: &mut Transition<'_>, id: &GroupId, reason: RemovalReason) {
    if joins_may_finish(classic(tx.state(), id).1) || reason != RemovalReason::Left {
        maybe_finish(tx, id, None);
    }
}

fn stop_waiting(tx: &mut Transition<'_>, id: &GroupId, member: &MemberId) {
    let delayed = classic(tx.state(), id).1.members.get(member).and_then(|m| m.delayed.clone());
    if let Some(delayed) = delayed {
        answer(tx, id, member, delayed.request_id, Err(Rejection::unknown_member(id, member)));
    }
}
