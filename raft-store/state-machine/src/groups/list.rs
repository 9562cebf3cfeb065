//! All groups, with their kinds and states.

use super::reply::GroupReply;
use crate::reply::Outcome;
use crate::state::State;

pub(super) fn list(state: &State) -> Outcome {
    let groups = state.groups().map(|(id, group)| (id.clone(), group.kind(), group.state()));
    Ok(GroupReply::Listed(groups.collect()).into())
}
