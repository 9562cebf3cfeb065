//! A polling group's rebalance: what sets it off, when its generation begins, when it is over.

use super::advance;
use super::event::PollingEvent;
use super::members::Polling;
use super::targets;
use crate::groups::event::{GroupEvent, RebalanceReason, RemovalReason};
use crate::ids::{Generation, GroupId, MemberId, TopicName};
use crate::state::State;
use crate::transition::Transition;

/// The members of a group that is known to be a polling one.
pub(super) fn polling<'a>(state: &'a State, id: &GroupId) -> &'a Polling {
    state.group(id).and_then(|g| g.membership.polling()).expect("a polling group")
}

fn generation(state: &State, id: &GroupId) -> Generation {
    state.group(id).expect("a polling group").generation
}

/// Something changed that the assignment depends on. An eager rebalance that is under way takes it
/// in, as its assignment is computed at its end.
pub(in crate::groups) fn trigger(tx: &mut Transition<'_>, id: &GroupId, reason: RebalanceReason) {
    let group = polling(tx.state(), id);
    if group.members.is_empty() {
        return;
    }
    let cooperative = group.is_cooperative();
    if cooperative || group.rebalance.is_none() {
        let timeout_ms = group.rebalance_timeout_ms();
        tx.emit_group(id, GroupEvent::RebalanceStarted { reason, timeout_ms, initial: None });
        if cooperative {
            begin_generation(tx, id);
        } else {
            let holding = polling(tx.state(), id).rebalance.as_ref().map(|r| &r.holding);
            let holding = holding.into_iter().flatten().cloned().collect();
            release_seats(tx, id, holding);
        }
    }
    maybe_complete(tx, id);
}

/// The partitions of a topic that was removed are nobody's at once.
pub(in crate::groups) fn topic_changed(tx: &mut Transition<'_>, id: &GroupId, topic: &TopicName) {
    if tx.state().topic(topic).is_none() {
        tx.emit_group(id, PollingEvent::TopicDropped { topic: topic.clone() });
    }
}

/// Ends the rebalance if nobody has to be waited for any more.
pub(in crate::groups) fn maybe_complete(tx: &mut Transition<'_>, id: &GroupId) {
    let group = polling(tx.state(), id);
    let Some(rebalance) = &group.rebalance else { return };
    if group.is_cooperative() {
        if !group.are_all_settled() {
            return;
        }
    } else {
        if !rebalance.holding.is_empty() {
            return;
        }
        begin_generation(tx, id);
    }
    let generation = generation(tx.state(), id);
    tx.emit_group(id, GroupEvent::RebalanceCompleted { generation });
}

/// An eager rebalance's time is over: who still holds partitions is removed, or gives them up if
/// its seat is kept.
pub(in crate::groups) fn time_out(tx: &mut Transition<'_>, id: &GroupId) {
    let group = polling(tx.state(), id);
    let holding = group.rebalance.as_ref().map_or_else(Default::default, |r| r.holding.clone());
    for member in holding {
        if polling(tx.state(), id).members[&member].instance_id.is_some() {
            advance::release(tx, id, &member);
        } else {
            tx.emit_group(
                id,
                GroupEvent::MemberRemoved { member, reason: RemovalReason::MissedRebalance },
            );
        }
    }
    maybe_complete(tx, id);
}

/// A member goes, and its seat with it.
pub(in crate::groups) fn remove(
    tx: &mut Transition<'_>,
    id: &GroupId,
    member: &MemberId,
    reason: RemovalReason,
) {
    tx.emit_group(id, GroupEvent::MemberRemoved { member: member.clone(), reason });
    trigger(tx, id, RebalanceReason::MemberRemoved(member.clone()));
}

/// A static member goes, its seat stays.
pub(in crate::groups) fn keep_seat(tx: &mut Transition<'_>, id: &GroupId, member: &MemberId) {
    advance::release(tx, id, member);
    tx.emit_group(id, GroupEvent::SeatKept { member: member.clone() });
    maybe_complete(tx, id);
}

/// A new generation with a new target for everyone.
fn begin_generation(tx: &mut Transition<'_>, id: &GroupId) {
    let generation = generation(tx.state(), id);
    let targets = targets::changed(tx.state(), polling(tx.state(), id), generation);
    let members = targets.iter().map(|(member, _)| member.clone()).collect();
    tx.emit_group(id, GroupEvent::Assigned { generation: generation.next(), targets });
    release_seats(tx, id, members);
}

/// Of these members, those that are away read nothing, so that what their seats have to give up is
/// free at once.
fn release_seats(tx: &mut Transition<'_>, id: &GroupId, mut members: Vec<MemberId>) {
    let away = &polling(tx.state(), id).index.away;
    members.retain(|member| away.contains(member));
    for member in members {
        advance::release(tx, id, &member);
    }
}
