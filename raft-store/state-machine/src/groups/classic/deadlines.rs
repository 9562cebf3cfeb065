//! What runs out for classic members: sessions, the join phase, and the time to sync.

use super::members::{Classic, ClassicMember, NEW_MEMBER_JOIN_TIMEOUT_MS, Phase};
use crate::groups::command::Deadline;
use crate::ids::{Generation, MemberId};

impl Classic {
    /// Those of the group as a whole.
    pub(in crate::groups) fn group_deadlines(
        &self,
        epoch: u64,
        generation: Generation,
    ) -> Vec<(Deadline, u64)> {
        let join_phase = match self.phase {
            Phase::Empty | Phase::Completing | Phase::Stable => None,
            Phase::Preparing { initial: Some(initial), .. } => {
                Some((Deadline::InitialDelay { epoch }, initial.delay.delay_ms.into()))
            }
            Phase::Preparing { timeout_ms, initial: None } => {
                Some((Deadline::Rebalance { epoch }, timeout_ms.into()))
            }
        };
        let sync = (!self.pending_sync.is_empty())
            .then(|| (Deadline::Sync { generation }, self.sync_timeout_ms.into()));
        join_phase.into_iter().chain(sync).collect()
    }

    /// Everyone's, also of those that were given an id and have not joined yet.
    pub(in crate::groups) fn members_deadlines(&self) -> impl Iterator<Item = (Deadline, u64)> {
        self.members.keys().chain(self.pending_join.keys()).filter_map(|id| self.session(id))
    }

    /// One's session; `None` if it has none, or is not there.
    pub(in crate::groups) fn session(&self, id: &MemberId) -> Option<(Deadline, u64)> {
        let length = match self.members.get(id) {
            Some(member) => member.session_ms()?,
            None => *self.pending_join.get(id)?,
        };
        Some((Deadline::Session { member: id.clone() }, length.into()))
    }
}

impl ClassicMember {
    /// How long it may be silent, in ms; `None` while it waits for an answer, when its silence
    /// means nothing.
    fn session_ms(&self) -> Option<u32> {
        match &self.delayed {
            Some(_) if self.is_new => Some(NEW_MEMBER_JOIN_TIMEOUT_MS),
            Some(_) => None,
            None => Some(self.session_timeout_ms),
        }
    }
}
