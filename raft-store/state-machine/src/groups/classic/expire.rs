//! A time of a classic group is over.

use super::{leave, rebalance};
use crate::groups::command::Deadline;
use crate::groups::event::RemovalReason;
use crate::ids::GroupId;
use crate::transition::Transition;

pub(in crate::groups) fn expire(tx: &mut Transition<'_>, id: &GroupId, deadline: &Deadline) {
    match deadline {
        Deadline::Session { member } => leave::go(tx, id, member, RemovalReason::SessionExpired),
        Deadline::Rebalance { .. } => rebalance::finish(tx, id, None),
        Deadline::InitialDelay { .. } => rebalance::initial_delay_over(tx, id),
        Deadline::Sync { .. } => rebalance::sync_time_out(tx, id),
        // Times of polling groups.
        Deadline::PollInterval { .. } | Deadline::Revocation { .. } => {}
    }
}
