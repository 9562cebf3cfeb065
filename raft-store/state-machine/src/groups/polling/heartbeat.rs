//! A thin consumer's heartbeat: it is alive, and asks where it stands. Gives nothing up.

use super::reconcile;
use crate::apply::Transition;
use crate::groups::polling_of;
use crate::ids::{GroupId, MemberId};
use crate::reply::{Outcome, Reply};
use crate::state::State;

/// Without a trace in the log, while there is nothing new to tell.
pub(in crate::groups) fn query(state: &State, id: &GroupId, member: &MemberId) -> Outcome {
    polling_of(state, id, member)?.present(id, member)?;
    let group = state.group(id).expect("it has the member");
    if reconcile::step(group, member, false).is_some() {
        return Ok(Reply::NeedsCommand);
    }
    Ok(Reply::Polling(reconcile::view(state, id, member)))
}

/// As a command: tells the newest generation, and gives what is free by now.
pub(in crate::groups) fn heartbeat(tx: &mut Transition<'_>, id: &GroupId, member: &MemberId) -> Outcome {
    polling_of(tx.state(), id, member)?.present(id, member)?;
    reconcile::reconcile(tx, id, member, false);
    Ok(Reply::Polling(reconcile::view(tx.state(), id, member)))
}
