//! A deadline is over, says the coordinator's clock. Whether that still means something is decided here.
//!
//! Heartbeats leave no trace in the state, so that a silent member can't be told from one that is alive: what
//! the coordinator proposes is believed, unless it was overtaken. The member may have gone, given up what it
//! had to, or begun to wait; the rebalance may be over, or another one.

use super::event::RemovalReason;
use super::{Group, Membership, classic, deadlines, polling};
use crate::apply::Transition;
use crate::command::Deadline;
use crate::ids::GroupId;
use crate::reply::{Outcome, Reply};

/// Never refused: what was overtaken does nothing.
pub(crate) fn expire(tx: &mut Transition<'_>, id: &GroupId, deadline: &Deadline) -> Outcome {
    let Some(group) = tx.state().group(id) else { return Ok(Reply::Done) };
    if !group.is_due(deadline) {
        return Ok(Reply::Done);
    }
    match (&group.membership, deadline) {
        (Membership::Simple | Membership::Declared(_), _) => {}
        (Membership::Polling(_), Deadline::Session { member }) => {
            polling::rebalance::remove(tx, id, member, RemovalReason::SessionExpired);
        }
        (Membership::Polling(members), Deadline::PollInterval { member }) => {
            if members.members[member].instance_id.is_some() {
                polling::rebalance::keep_seat(tx, id, member);
            } else {
                polling::rebalance::remove(tx, id, member, RemovalReason::PolledTooSlowly);
            }
        }
        (Membership::Polling(members), Deadline::Revocation { member, .. }) => {
            if members.members[member].instance_id.is_some() {
                polling::reconcile::give_up(tx, id, member);
            } else {
                polling::rebalance::remove(tx, id, member, RemovalReason::MissedRebalance);
            }
        }
        (Membership::Polling(_), Deadline::Rebalance { .. }) => polling::rebalance::time_out(tx, id),
        (Membership::Classic(_), Deadline::Session { member }) => {
            classic::leave::remove(tx, id, member, RemovalReason::SessionExpired);
        }
        (Membership::Classic(_), Deadline::Rebalance { .. }) => classic::rebalance::finish(tx, id, None),
        (Membership::Classic(_), Deadline::InitialDelay { .. }) => {
            classic::rebalance::initial_delay_over(tx, id);
        }
        (Membership::Classic(_), Deadline::Sync { .. }) => classic::rebalance::sync_time_out(tx, id),
        (Membership::Polling(_), Deadline::Sync { .. } | Deadline::InitialDelay { .. })
        | (Membership::Classic(_), Deadline::PollInterval { .. } | Deadline::Revocation { .. }) => {
            unreachable!("not a deadline of a {} group: {deadline:?}", group.kind().name())
        }
    }
    Ok(Reply::Done)
}

impl Group {
    /// Whether a deadline is one that the group has now.
    fn is_due(&self, deadline: &Deadline) -> bool {
        match deadline {
            Deadline::Session { member }
            | Deadline::PollInterval { member }
            | Deadline::Revocation { member, .. } => deadlines::has(&self.member_deadlines(member), deadline),
            Deadline::Rebalance { .. } | Deadline::Sync { .. } | Deadline::InitialDelay { .. } => {
                deadlines::has(&self.group_deadlines(), deadline)
            }
        }
    }
}
