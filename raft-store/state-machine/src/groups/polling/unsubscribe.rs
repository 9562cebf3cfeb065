//! A thin consumer leaves.

use super::rebalance;
use crate::apply::Transition;
use crate::groups::event::RemovalReason;
use crate::groups::polling_of;
use crate::ids::{GroupId, MemberId};
use crate::reply::{Outcome, Reply};

/// A dynamic member is gone at once. A static one keeps its seat until its session ends, unless it leaves for
/// good; that may also be said of a member that is away.
pub(in crate::groups) fn unsubscribe(
    tx: &mut Transition<'_>,
    id: &GroupId,
    member: &MemberId,
    permanent: bool,
) -> Outcome {
    let polling = polling_of(tx.state(), id, member)?;
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
