//! What the coordinator's clock has to watch over, as a function of the group. Which times a kind
//! has stands in its folder.
//!
//! The state arms nothing and knows no time but that of commands. It says which deadlines there are
//! and how long each one is. The node that leads arms a new one with its full length, keeps those
//! that it has, and drops those that are not named any more. When one is over it proposes
//! [`GroupCommand::Expire`], which is decided again when it is applied.
//!
//! [`GroupCommand::Expire`]: super::command::GroupCommand::Expire

use super::command::Deadline;
use super::group::{Group, Membership};
use crate::ids::MemberId;

impl Group {
    /// All deadlines, with their lengths in ms.
    pub fn deadlines(&self) -> Vec<(Deadline, u64)> {
        let mut found = self.group_deadlines();
        match &self.membership {
            Membership::Simple | Membership::Declared(_) => {}
            Membership::Polling(polling) => {
                found.extend(polling.members.iter().flat_map(|(id, member)| member.deadlines(id)));
            }
            Membership::Classic(classic) => found.extend(classic.members_deadlines()),
        }
        found
    }

    /// Those of the group as a whole; few.
    pub fn group_deadlines(&self) -> Vec<(Deadline, u64)> {
        match &self.membership {
            Membership::Simple | Membership::Declared(_) => Vec::new(),
            Membership::Polling(polling) => polling.group_deadlines(self.epoch),
            Membership::Classic(classic) => classic.group_deadlines(self.epoch, self.generation),
        }
    }

    /// Those of one member; none if it is not there.
    pub fn member_deadlines(&self, id: &MemberId) -> Vec<(Deadline, u64)> {
        match &self.membership {
            Membership::Simple | Membership::Declared(_) => Vec::new(),
            Membership::Polling(polling) => polling
                .members
                .get(id)
                .into_iter()
                .flat_map(|member| member.deadlines(id))
                .collect(),
            Membership::Classic(classic) => classic.session(id).into_iter().collect(),
        }
    }

    /// Whether a deadline is one that the group has now.
    pub(super) fn is_due(&self, deadline: &Deadline) -> bool {
        let now = match deadline {
            Deadline::Session { member }
            | Deadline::PollInterval { member }
            | Deadline::Revocation { member, .. } => self.member_deadlines(member),
            Deadline::Rebalance { .. } | Deadline::Sync { .. } | Deadline::InitialDelay { .. } => {
                self.group_deadlines()
            }
        };
        now.iter().any(|(found, _)| found == deadline)
    }
}
