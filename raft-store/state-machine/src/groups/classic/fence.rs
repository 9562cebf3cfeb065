//! Which offsets a classic member may commit: those that are not another's, in the group's
//! generation.

use super::members::{Classic, Phase};
use crate::groups::fence::Claim;
use crate::ids::{Generation, GroupId};
use crate::offsets::command::Committer;
use crate::rejection::Rejection;

impl Classic {
    pub(in crate::groups) fn may_commit(&self, claim: &Claim<'_>) -> Result<(), Rejection> {
        self.present(claim.id, claim.member, None)?;
        // In Kafka's protocol -1 is "none", and no generation is that.
        let given = claim.given.unwrap_or(Generation(-1));
        if given != claim.current {
            return Err(claim.illegal(given, claim.current));
        }
        if self.phase == Phase::Completing {
            return Err(Rejection::RebalanceInProgress(claim.id.clone()));
        }
        match self.owners.get(claim.partition) {
            Some(owner) if owner != claim.member => Err(claim.not_assigned()),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether a member may commit, whatever the partition.
    pub(in crate::groups) fn may_commit_all(
        &self,
        id: &GroupId,
        current: Generation,
        member: &Committer,
    ) -> Result<(), Rejection> {
        self.present(id, &member.member_id, member.instance_id.as_ref())?;
        let given = member.generation;
        if given != current {
            return Err(Rejection::IllegalGeneration { group: id.clone(), given, current });
        }
        if self.phase == Phase::Completing {
            return Err(Rejection::RebalanceInProgress(id.clone()));
        }
        Ok(())
    }
}
