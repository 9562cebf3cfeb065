//! What the coordinator's clock has to watch over, as a function of the group.
//!
//! The state arms nothing and knows no time but that of commands. It says which deadlines there are and how
//! long each one is; the node that leads arms a new one with its full length, keeps those that it has, and
//! drops those that are not named any more. When one is over it proposes [`Command::Expire`], which is
//! decided again when it is applied.
//!
//! [`Command::Expire`]: crate::command::Command::Expire

use super::classic::{Classic, ClassicMember, NEW_MEMBER_JOIN_TIMEOUT_MS, Phase};
use super::{Group, Membership, PollingMember};
use crate::command::Deadline;
use crate::ids::MemberId;

impl Group {
    /// All deadlines, with their lengths in ms.
    pub fn deadlines(&self) -> Vec<(Deadline, u64)> {
        let mut found = self.group_deadlines();
        match &self.membership {
            Membership::Simple | Membership::Declared(_) => {}
            Membership::Polling(polling) => {
                found.extend(polling.members.iter().flat_map(|(id, member)| of_thin(id, member)));
            }
            Membership::Classic(classic) => {
                found.extend(classic.members.iter().flat_map(|(id, member)| of_classic(id, member)));
            }
        }
        found
    }

    /// Those of the group as a whole; few.
    pub fn group_deadlines(&self) -> Vec<(Deadline, u64)> {
        match &self.membership {
            Membership::Simple | Membership::Declared(_) => Vec::new(),
            // A cooperative group waits for single members, not as a whole.
            Membership::Polling(polling) => match &polling.rebalance {
                Some(rebalance) if !polling.is_cooperative() => {
                    vec![(Deadline::Rebalance { epoch: self.epoch }, rebalance.timeout_ms.into())]
                }
                Some(_) | None => Vec::new(),
            },
            Membership::Classic(classic) => self.of_classic_group(classic),
        }
    }

    fn of_classic_group(&self, classic: &Classic) -> Vec<(Deadline, u64)> {
        let epoch = self.epoch;
        let join_phase = match classic.phase {
            Phase::Empty | Phase::Completing | Phase::Stable => None,
            Phase::Preparing { initial: Some(initial), .. } => {
                Some((Deadline::InitialDelay { epoch }, initial.delay.delay_ms.into()))
            }
            Phase::Preparing { timeout_ms, initial: None } => {
                Some((Deadline::Rebalance { epoch }, timeout_ms.into()))
            }
        };
        let sync = (!classic.pending_sync.is_empty()).then(|| {
            let generation = self.generation;
            (Deadline::Sync { generation }, classic.sync_timeout_ms.into())
        });
        join_phase.into_iter().chain(sync).collect()
    }

    /// Those of one member; none if it is not there.
    pub fn member_deadlines(&self, id: &MemberId) -> Vec<(Deadline, u64)> {
        match &self.membership {
            Membership::Simple | Membership::Declared(_) => Vec::new(),
            Membership::Polling(polling) => {
                polling.members.get(id).into_iter().flat_map(|m| of_thin(id, m)).collect()
            }
            Membership::Classic(classic) => {
                classic.members.get(id).into_iter().flat_map(|m| of_classic(id, m)).collect()
            }
        }
    }
}

fn of_thin(id: &MemberId, member: &PollingMember) -> impl Iterator<Item = (Deadline, u64)> + use<> {
    let session = (Deadline::Session { member: id.clone() }, member.session_timeout_ms.into());
    let timeout = u64::from(member.rebalance_timeout_ms);
    let poll = (!member.away).then(|| (Deadline::PollInterval { member: id.clone() }, timeout));
    let revocation =
        member.asked.map(|generation| (Deadline::Revocation { member: id.clone(), generation }, timeout));
    [session].into_iter().chain(poll).chain(revocation)
}

fn of_classic(id: &MemberId, member: &ClassicMember) -> Option<(Deadline, u64)> {
    let length = session_ms(member)?;
    Some((Deadline::Session { member: id.clone() }, length.into()))
}

/// How long a classic member may be silent, in ms; `None` while it waits for an answer, when its silence
/// means nothing.
pub(super) fn session_ms(member: &ClassicMember) -> Option<u32> {
    match &member.waits {
        Some(_) if member.is_new => Some(NEW_MEMBER_JOIN_TIMEOUT_MS),
        Some(_) => None,
        None => Some(member.session_timeout_ms),
    }
}

/// Whether a deadline is among them.
pub(super) fn has(deadlines: &[(Deadline, u64)], deadline: &Deadline) -> bool {
    deadlines.iter().any(|(found, _)| found == deadline)
}
