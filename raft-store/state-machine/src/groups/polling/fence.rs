//! Which offsets a polling consumer may commit: those of partitions that it holds, in its
//! generation.

use super::members::Polling;
use crate::groups::fence::Claim;
use crate::rejection::Rejection;

impl Polling {
    pub(in crate::groups) fn may_commit(&self, claim: &Claim<'_>) -> Result<(), Rejection> {
        let found = self.present(claim.id, claim.member)?;
        match claim.given {
            Some(given) if given != found.generation => Err(claim.illegal(given, found.generation)),
            Some(_) | None if !found.assigned.contains_key(claim.partition) => {
                Err(claim.not_assigned())
            }
            Some(_) | None => Ok(()),
        }
    }
}
