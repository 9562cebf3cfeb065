//! A group that has no members is removed, with its offsets.

use super::event::GroupEvent;
use super::existing;
use crate::ids::GroupId;
use crate::rejection::Rejection;
use crate::reply::{Outcome, Reply};
use crate::transition::Transition;

pub(super) fn delete(tx: &mut Transition<'_>, id: &GroupId) -> Outcome {
    if existing(tx.state(), id)?.has_members() {
        return Err(Rejection::NonEmptyGroup(id.clone()));
    }
    tx.emit_group(id, GroupEvent::Removed);
    Ok(Reply::Done)
}
