//! Who may commit which offset. The one place that knows.

use super::{Group, Membership, classic, log_end, polling_of};
use crate::apply::Transition;
use crate::command::{Fence, OffsetCommit};
use crate::ids::{Generation, GroupId, MemberId, TopicPartition};
use crate::offsets;
use crate::reply::{GroupState, Outcome, Rejection, Reply};

/// Commits as a thin consumer. Order of checks: member, generation, ownership, end of the log.
pub(super) fn polling_commit(
    tx: &mut Transition<'_>,
    commit: &OffsetCommit,
    member: &MemberId,
    generation: Option<Generation>,
) -> Outcome {
    polling_of(tx.state(), &commit.group, member)?;
    let group = tx.state().group(&commit.group).expect("a thin group");
    let fence = Fence { member_id: Some(member.clone()), generation };
    let partition = TopicPartition { topic: commit.topic.clone(), partition: commit.partition };
    group.may_commit(&commit.group, Some(&fence), &partition)?;
    let end = log_end(tx.state(), &commit.topic, commit.partition);
    if commit.offset > end {
        return Err(Rejection::OffsetBeyondEnd { partition, offset: commit.offset, end });
    }
    offsets::record(tx, commit);
    Ok(Reply::Done)
}

impl Group {
    /// Whether an offset of a partition may be committed. `fence`: as whom, if not as an administrator.
    ///
    /// # Errors
    /// In Kafka's order: [`Rejection::UnknownMember`] (or [`Rejection::FencedInstance`]),
    /// [`Rejection::IllegalGeneration`], [`Rejection::RebalanceInProgress`], [`Rejection::NotAssigned`].
    pub(crate) fn may_commit(
        &self,
        id: &GroupId,
        fence: Option<&Fence>,
        partition: &TopicPartition,
    ) -> Result<(), Rejection> {
        let nobody = MemberId::default();
        let member = fence.and_then(|f| f.member_id.as_ref()).unwrap_or(&nobody);
        let generation = fence.and_then(|f| f.generation);
        let illegal = |given, current| Rejection::IllegalGeneration { group: id.clone(), given, current };
        let not_assigned = || Rejection::NotAssigned {
            group: id.clone(),
            member: member.clone(),
            partition: partition.clone(),
        };
        match (&self.membership, fence) {
            (Membership::Classic(_), None) if self.has_members() => {
                Err(Rejection::MemberNotNamed(id.clone()))
            }
            (_, None) => Ok(()),
            (Membership::Simple | Membership::Declared(_), Some(_)) => Err(classic::unknown(id, member)),
            (Membership::Polling(polling), Some(_)) => {
                let found = polling.present(id, member)?;
                match generation {
                    Some(given) if given != found.generation => Err(illegal(given, found.generation)),
                    Some(_) | None if !found.assigned.contains_key(partition) => Err(not_assigned()),
                    Some(_) | None => Ok(()),
                }
            }
            (Membership::Classic(classic), Some(_)) => {
                classic.present(id, member, None)?;
                // In Kafka's protocol -1 is "none", and no generation is that.
                let given = generation.unwrap_or(Generation(-1));
                if given != self.generation {
                    return Err(illegal(given, self.generation));
                }
                if self.state() == GroupState::CompletingRebalance {
                    return Err(Rejection::RebalanceInProgress(id.clone()));
                }
                match classic.owners.get(partition) {
                    Some(owner) if owner != member => Err(not_assigned()),
                    Some(_) | None => Ok(()),
                }
            }
        }
    }
}
