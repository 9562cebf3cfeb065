//! An offset is committed by a polling consumer that owns the partition.

use super::command::{Fence, OffsetCommit};
use super::commit::record;
use crate::groups::polling::members_of;
use crate::ids::{Generation, MemberId, TopicPartition};
use crate::rejection::Rejection;
use crate::reply::{Outcome, Reply};
use crate::transition::Transition;

/// Order of checks: member, generation, ownership, end of the log.
pub(super) fn polling_commit(
    tx: &mut Transition<'_>,
    commit: &OffsetCommit,
    member: &MemberId,
    generation: Option<Generation>,
) -> Outcome {
    let (group, _) = members_of(tx.state(), &commit.group, member)?;
    let fence = Fence { member_id: Some(member.clone()), generation };
    let partition = TopicPartition { topic: commit.topic.clone(), partition: commit.partition };
    group.may_commit(&commit.group, Some(&fence), &partition)?;
    let end = tx.state().log_end(&partition);
    if commit.offset > end {
        return Err(Rejection::OffsetBeyondEnd { partition, offset: commit.offset, end });
    }
    record(tx, commit);
    Ok(Reply::Done)
}
