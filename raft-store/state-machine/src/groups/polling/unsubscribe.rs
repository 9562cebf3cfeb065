//! A polling consumer leaves.

use super::{members_of, rebalance};
use crate::groups::event::RemovalReason;
use crate::ids::{GroupId, MemberId};
use crate::reply::{Outcome, Reply};
use crate::transition::Transition;

/// A dynamic member is gone at once. A static one keeps its seat until its session ends, unless it
/// leaves for good; that may also be said of a member that is away.
pub(super) fn unsubscribe(
    tx: &mut Transition<'_>,
    id: &GroupId,
    member: &MemberId,
    permanent: bool,
) -> Outcome {
    let (_, polling) = members_of(tx.state(), id, member)?;
    let found = match polling.members.get(member) {
        Some(found) if permanent => found,
        Some(_) | None => polling.present(id, member)?,
    };
    if found.instance_id.is_some() && !permanent {
        rebalance::keep_seat(tx, id, member);
    } else {
        rebalance::remove(tx, id, member, RemovalReason::Left);
    }
    Ok(Reply::Done)
}
