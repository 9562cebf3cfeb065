//! What a member holds meets what it should hold (KIP-848's reconciliation, one step per request).

use super::rebalance::{maybe_complete, polling};
use super::{by_topic, each};
use crate::apply::Transition;
use crate::groups::event::GroupEvent;
use crate::groups::{Group, emit};
use crate::ids::{Generation, GroupId, MemberId, TopicPartition};
use crate::reply::{PollingView, TopicPartitions};
use crate::state::State;

/// What a member is told next.
pub(super) struct Step {
    generation: Generation,
    revoked: TopicPartitions,
    assigned: TopicPartitions,
}

/// Brings a member as far as it can go now. `gives_up`: its request says that it does not read any more what
/// it has to give up. A member may well end an eager rebalance and read by the new generation in one go.
pub(super) fn reconcile(tx: &mut Transition<'_>, id: &GroupId, member: &MemberId, gives_up: bool) {
    while let Some(Step { generation, revoked, assigned }) =
        step(tx.state().group(id).expect("a thin group"), member, gives_up)
    {
        let member = member.clone();
        emit(tx, id, GroupEvent::Reconciled { member, generation, revoked, assigned });
        maybe_complete(tx, id);
    }
}

/// What a member would be told, if that is anything new. A member that has to give something up first stays
/// where it is.
pub(super) fn step(group: &Group, id: &MemberId, gives_up: bool) -> Option<Step> {
    let polling = group.membership.polling()?;
    if !polling.unsettled.contains(id) && polling.rebalance.is_none() {
        return None;
    }
    let member = polling.members.get(id)?;
    let surplus = surplus(group, id);
    if !surplus.is_empty() && !gives_up {
        return None;
    }
    let free = |p: &TopicPartition| !polling.owners.contains_key(p);
    // In an eager rebalance the next target is not known yet.
    let waits = polling.rebalance.is_some() && !polling.is_cooperative();
    let assigned: Vec<_> = if waits { Vec::new() } else { each(&member.target).filter(free).collect() };
    if surplus.is_empty() && assigned.is_empty() && member.generation == group.generation {
        return None;
    }
    Some(Step { generation: group.generation, revoked: surplus, assigned: by_topic(&assigned) })
}

/// A member is not reading, or is taken not to be: it gives up what it has to, and gets nothing for it.
pub(super) fn release(tx: &mut Transition<'_>, id: &GroupId, member: &MemberId) {
    let revoked = surplus(tx.state().group(id).expect("a thin group"), member);
    if !revoked.is_empty() {
        let generation = polling(tx.state(), id).members[member].generation;
        let (member, assigned) = (member.clone(), Vec::new());
        emit(tx, id, GroupEvent::Reconciled { member, generation, revoked, assigned });
    }
}

/// What a member holds and should not: everything while an eager rebalance is under way, else what is not in
/// its target.
fn surplus(group: &Group, id: &MemberId) -> TopicPartitions {
    let Some(polling) = group.membership.polling() else { return Vec::new() };
    let member = &polling.members[id];
    if polling.rebalance.is_some() && !polling.is_cooperative() {
        return member.assignment();
    }
    // Only the newest generation's target can have asked it to give something up.
    if member.asked.is_none() {
        return Vec::new();
    }
    let target: std::collections::BTreeSet<TopicPartition> = each(&member.target).collect();
    by_topic(member.assigned.keys().filter(|p| !target.contains(*p)))
}

/// What a reply tells a member.
pub(super) fn view(state: &State, id: &GroupId, member: &MemberId) -> PollingView {
    let group = state.group(id).expect("a thin group");
    let member = &polling(state, id).members[member];
    PollingView { generation: member.generation, state: group.state(), assignment: member.assignment() }
}

/// A static member's time to give something up is over: it loses that, and keeps its seat.
pub(in crate::groups) fn give_up(tx: &mut Transition<'_>, id: &GroupId, member: &MemberId) {
    release(tx, id, member);
    maybe_complete(tx, id);
}
