//! A time of a polling group is over.

use super::advance;
use super::rebalance::{self, polling};
use crate::groups::command::Deadline;
use crate::groups::event::RemovalReason;
use crate::ids::{GroupId, MemberId};
use crate::transition::Transition;

/// A static member keeps its seat where a dynamic one is removed.
pub(in crate::groups) fn expire(tx: &mut Transition<'_>, id: &GroupId, deadline: &Deadline) {
    let is_static = |tx: &Transition<'_>, member: &MemberId| {
        polling(tx.state(), id).members[member].instance_id.is_some()
    };
    match deadline {
        Deadline::Session { member } => {
            rebalance::remove(tx, id, member, RemovalReason::SessionExpired);
        }
        Deadline::PollInterval { member } if is_static(tx, member) => {
            rebalance::keep_seat(tx, id, member);
        }
        Deadline::PollInterval { member } => {
            rebalance::remove(tx, id, member, RemovalReason::PolledTooSlowly);
        }
        Deadline::Revocation { member, .. } if is_static(tx, member) => {
            advance::give_up(tx, id, member);
        }
        Deadline::Revocation { member, .. } => {
            rebalance::remove(tx, id, member, RemovalReason::MissedRebalance);
        }
        Deadline::Rebalance { .. } => rebalance::time_out(tx, id),
        // Times of classic groups.
        Deadline::Sync { .. } | Deadline::InitialDelay { .. } => {}
    }
}
