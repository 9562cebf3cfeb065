//! A polling consumer's heartbeat: it is alive, and asks where it stands. Gives nothing up.

use super::command::PollingCommand;
use super::reply::PollingReply;
use super::{advance, members_of};
use crate::ids::{GroupId, MemberId};
use crate::reply::{Answer, Answered, Outcome, Reply};
use crate::state::State;
use crate::transition::Transition;

/// Without a trace in the log, while there is nothing new to tell.
pub(in crate::groups) fn query(state: &State, id: &GroupId, member: &MemberId) -> Answered {
    let (group, polling) = members_of(state, id, member)?;
    polling.present(id, member)?;
    if advance::next_step(group, member, false).is_some() {
        let command = PollingCommand::Heartbeat { group: id.clone(), member: member.clone() };
        return Ok(Answer::NeedsCommand(command.into()));
    }
    let reply: Reply = PollingReply::Told(advance::view(state, id, member)).into();
    Ok(reply.into())
}

/// As a command: tells the newest generation, and gives what is free by now.
pub(super) fn heartbeat(tx: &mut Transition<'_>, id: &GroupId, member: &MemberId) -> Outcome {
    members_of(tx.state(), id, member)?.1.present(id, member)?;
    advance::advance(tx, id, member, false);
    Ok(PollingReply::Told(advance::view(tx.state(), id, member)).into())
}
