//! What runs out for polling consumers: sessions, poll intervals, and the time to give something
//! up.

use super::members::{Polling, PollingMember};
use crate::groups::command::Deadline;
use crate::ids::MemberId;

impl Polling {
    /// Those of the group as a whole. A cooperative group waits for single members, not as a whole.
    pub(in crate::groups) fn group_deadlines(&self, epoch: u64) -> Vec<(Deadline, u64)> {
        match &self.rebalance {
            Some(rebalance) if !self.is_cooperative() => {
                vec![(Deadline::Rebalance { epoch }, rebalance.timeout_ms.into())]
            }
            Some(_) | None => Vec::new(),
        }
    }
}

impl PollingMember {
    pub(in crate::groups) fn deadlines(
        &self,
        id: &MemberId,
    ) -> impl Iterator<Item = (Deadline, u64)> + use<> {
        let session = (Deadline::Session { member: id.clone() }, self.session_timeout_ms.into());
        let timeout = u64::from(self.rebalance_timeout_ms);
        let poll = (!self.away).then(|| (Deadline::PollInterval { member: id.clone() }, timeout));
        let revocation = self
            .asked
            .map(|generation| (Deadline::Revocation { member: id.clone(), generation }, timeout));
        [session].into_iter().chain(poll).chain(revocation)
    }
}
