//! A polling consumer joins, comes back, or changes what it wants.

use super::command::Subscription;
use super::event::PollingEvent;
use super::members::Polling;
use super::reply::PollingReply;
use super::{advance, rebalance};
use crate::groups::classic::leave;
use crate::groups::event::{GroupEvent, RebalanceReason, RemovalReason};
use crate::ids::{GroupId, MemberId};
use crate::rejection::Rejection;
use crate::reply::Outcome;
use crate::transition::Transition;

/// Order of checks: strategy known, group of another kind, group full, strategy of the other
/// members. A seat that is taken over makes no group larger.
pub(super) fn subscribe(
    tx: &mut Transition<'_>,
    id: &GroupId,
    member: &MemberId,
    subscription: &Subscription,
) -> Outcome {
    let strategy = &subscription.strategy;
    if assignors::by_name(strategy.as_str()).is_none() {
        return Err(Rejection::UnsupportedAssignor(strategy.clone()));
    }
    let limit = tx.state().limits().max_size;
    let nobody = Polling::default();
    let group = tx.state().group(id);
    let polling = group.and_then(|g| g.membership.polling()).unwrap_or(&nobody);
    if let Some(group) = group.filter(|g| g.membership.classic().is_some() && g.has_members()) {
        return Err(group.inconsistent(id, "subscribe needs a group without classic members"));
    }
    let seat = subscription.instance_id.as_ref().and_then(|i| polling.instances.get(i)).cloned();
    let before = polling.members.get(seat.as_ref().unwrap_or(member));
    if before.is_none() && polling.members.len() >= limit as usize {
        return Err(Rejection::GroupFull { group: id.clone(), limit });
    }
    let another_strategy = polling.strategy != *strategy;
    if let Some(group) =
        group.filter(|_| another_strategy && has_others(polling, member, seat.as_ref()))
    {
        return Err(group.inconsistent(id, &format!("its members do not use `{strategy}`")));
    }

    let reason = match before {
        None => Some(RebalanceReason::MemberJoined(member.clone())),
        Some(before) if another_strategy || before.topics != subscription.topics => {
            Some(RebalanceReason::MemberRejoined(member.clone()))
        }
        Some(_) => None,
    };
    if let (Some(from), Some(instance_id)) =
        (seat.filter(|s| s != member), &subscription.instance_id)
    {
        if polling.members.contains_key(member) {
            rebalance::remove(tx, id, member, RemovalReason::ChangedSeat);
        }
        let (instance_id, to) = (instance_id.clone(), member.clone());
        tx.emit_group(id, GroupEvent::SeatTaken { instance_id, from, to });
    }
    leave::forget_given(tx, id);
    let (who, what) = (member.clone(), subscription.clone());
    tx.emit_group(id, PollingEvent::Subscribed { member: who, subscription: what });
    if let Some(reason) = reason {
        rebalance::trigger(tx, id, reason);
    }
    // Whoever subscribes begins anew, and reads nothing of what it held before.
    advance::advance(tx, id, member, true);
    Ok(PollingReply::Told(advance::view(tx.state(), id, member)).into())
}

/// Whether anybody is in the group but the member, under its own name or its seat's.
fn has_others(polling: &Polling, member: &MemberId, seat: Option<&MemberId>) -> bool {
    polling.members.keys().any(|id| id != member && Some(id) != seat)
}
