//! A polling consumer is brought as far as it can go now: [`reconcile`]'s steps become events.

use super::event::PollingEvent;
use super::rebalance::{maybe_complete, polling};
use super::reply::PollingView;
use crate::groups::group::Group;
use crate::groups::reconcile::{self, Step};
use crate::ids::{GroupId, MemberId};
use crate::state::State;
use crate::transition::Transition;

/// Takes all steps that a member can take now. `gives_up`: its request says that it reads no more
/// what it has to give up. A member may well end an eager rebalance and read by the new generation
/// in one go.
pub(super) fn advance(tx: &mut Transition<'_>, id: &GroupId, member: &MemberId, gives_up: bool) {
    while let Some(Step { generation, revoked, assigned }) =
        next_step(tx.state().group(id).expect("a polling group"), member, gives_up)
    {
        let member = member.clone();
        tx.emit_group(id, PollingEvent::Reconciled { member, generation, revoked, assigned });
        maybe_complete(tx, id);
    }
}

/// What a member would be told, if that is anything new.
pub(super) fn next_step(group: &Group, id: &MemberId, gives_up: bool) -> Option<Step> {
    let polling = group.membership.polling()?;
    // Nearly always: the group is Stable, and the member knows all there is to know.
    if !polling.is_unsettled(id) && polling.rebalance.is_none() {
        return None;
    }
    let is_free = |partition: &_| !polling.owners.contains_key(partition);
    reconcile::next_step(&polling.standing(id)?, group.generation, gives_up, is_free)
}

/// A member is not reading, or is taken not to be: it gives up what it has to, and gets nothing for
/// it.
pub(super) fn release(tx: &mut Transition<'_>, id: &GroupId, member: &MemberId) {
    let standing = polling(tx.state(), id).standing(member).expect("who gives up is there");
    let (generation, revoked) = (standing.told, reconcile::surplus(&standing));
    if !revoked.is_empty() {
        let (member, assigned) = (member.clone(), Vec::new());
        tx.emit_group(id, PollingEvent::Reconciled { member, generation, revoked, assigned });
    }
}

/// A static member's time to give something up is over: it loses that, and keeps its seat.
pub(super) fn give_up(tx: &mut Transition<'_>, id: &GroupId, member: &MemberId) {
    release(tx, id, member);
    maybe_complete(tx, id);
}

/// What a reply tells a member.
pub(super) fn view(state: &State, id: &GroupId, member: &MemberId) -> PollingView {
    let group = state.group(id).expect("a polling group");
    let member = &polling(state, id).members[member];
    PollingView {
        generation: member.generation,
        state: group.state(),
        assignment: member.assignment(),
    }
}
