//! A deadline is over, says the coordinator's clock. Whether that still means something is decided
//! here. What it then means stands with the kind of group.
//!
//! Heartbeats leave no trace in the state, so that a silent member can't be told from one that is
//! alive. What the coordinator proposes is believed, unless it was overtaken. The member may have
//! gone, given up what it had to, or begun to wait; the rebalance may be over, or another one.

use super::command::{Deadline, Expiring};
use super::group::{Group, Membership};
use super::{classic, existing, polling};
use crate::ids::{GroupId, InstanceId, MemberId};
use crate::rejection::Rejection;
use crate::reply::{Outcome, Reply};
use crate::transition::Transition;

/// Never refused: what was overtaken does nothing.
pub(super) fn expire(tx: &mut Transition<'_>, id: &GroupId, deadline: &Deadline) -> Outcome {
    if let Some(group) = tx.state().group(id).filter(|group| group.is_due(deadline)) {
        match &group.membership {
            Membership::Simple | Membership::Declared(_) => {}
            Membership::Polling(_) => polling::expire::expire(tx, id, deadline),
            Membership::Classic(_) => classic::expire::expire(tx, id, deadline),
        }
    }
    Ok(Reply::Done)
}

/// A time is over, says a test.
pub(super) fn expire_now(tx: &mut Transition<'_>, id: &GroupId, what: &Expiring) -> Outcome {
    let group = existing(tx.state(), id)?;
    let deadlines: Vec<Deadline> = match what {
        Expiring::Session(name) => {
            let member = member_by_name(group, name).ok_or_else(|| Rejection::UnknownMember {
                group: id.clone(),
                member: (&**name).into(),
            })?;
            vec![Deadline::Session { member }]
        }
        Expiring::Rebalance => {
            let ends = |deadline: &Deadline| match deadline {
                Deadline::Session { .. } | Deadline::PollInterval { .. } => false,
                Deadline::Rebalance { .. }
                | Deadline::Sync { .. }
                | Deadline::Revocation { .. }
                | Deadline::InitialDelay { .. } => true,
            };
            group.deadlines().into_iter().map(|(deadline, _)| deadline).filter(ends).collect()
        }
    };
    // One may end what another was for; a member that waits for its group has no session to end.
    if !deadlines.iter().any(|deadline| group.is_due(deadline)) {
        return Err(Rejection::GroupWaitsForNothing(id.clone()));
    }
    deadlines.iter().try_for_each(|deadline| expire(tx, id, deadline).map(drop))?;
    Ok(Reply::Done)
}

/// A member by its id or its instance id.
fn member_by_name(group: &Group, name: &str) -> Option<MemberId> {
    let (id, instance) = (MemberId::from(name), InstanceId::from(name));
    let (is_there, seated) = match &group.membership {
        Membership::Simple | Membership::Declared(_) => return None,
        Membership::Polling(members) => {
            (members.members.contains_key(&id), members.instances.get(&instance))
        }
        Membership::Classic(members) => {
            let is_expected = members.pending_join.contains_key(&id);
            (is_expected || members.members.contains_key(&id), members.instances.get(&instance))
        }
    };
    if is_there { Some(id) } else { seated.cloned() }
}
