//! A deadline is over, says the coordinator's clock. Whether that still means something is decided
//! here. What it then means stands with the kind of group.
//!
//! Heartbeats leave no trace in the state, so that a silent member can't be told from one that is
//! alive. What the coordinator proposes is believed, unless it was overtaken. The member may have
//! gone, given up what it had to, or begun to wait; the rebalance may be over, or another one.

use super::command::Deadline;
use super::group::Membership;
use super::{classic, polling};
use crate::ids::GroupId;
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
