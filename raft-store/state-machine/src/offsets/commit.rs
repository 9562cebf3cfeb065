//! An offset is committed by an administrator, or fenced by a member (Kafka's `OffsetCommit`).

use super::command::{Committer, Fence, OffsetCommit, PartitionCommit};
use super::committed::CommittedOffset;
use super::event::OffsetEvent;
use super::reply::OffsetReply;
use crate::groups::group::GroupState;
use crate::ids::{Generation, GroupId, MemberId, TopicPartition};
use crate::rejection::Rejection;
use crate::reply::{Outcome, Reply};
use crate::topics::topic::Topic;
use crate::transition::Transition;

pub(super) fn commit(
    tx: &mut Transition<'_>,
    commit: &OffsetCommit,
    fence: Option<&Fence>,
) -> Outcome {
    if let Some(group) = tx.state().group(&commit.group) {
        let partition = TopicPartition { topic: commit.topic.clone(), partition: commit.partition };
        group.may_commit(&commit.group, fence, &partition)?;
    } else if let Some(fence) = fence {
        let member = fence.member_id.clone().unwrap_or_else(|| MemberId::from(""));
        return Err(Rejection::UnknownMember { group: commit.group.clone(), member });
    }
    record(tx, commit);
    Ok(Reply::Done)
}

/// Each partition has to exist, as Kafka's request layer looks at it; what is said of the member
/// counts for all.
pub(super) fn commit_all(
    tx: &mut Transition<'_>,
    id: &GroupId,
    member: Option<&Committer>,
    commits: &[PartitionCommit],
) -> Outcome {
    // Without a generation it is nobody's commit, whatever it calls itself: as long as nobody else
    // is there.
    let is_alone = tx.state().group(id).is_none_or(|group| group.state() == GroupState::Empty);
    let member = member.filter(|member| member.generation.0 >= 0 || !is_alone);
    match (tx.state().group(id), member) {
        (Some(group), _) => group.may_commit_all(id, member)?,
        (None, Some(member)) => {
            let (given, current) = (member.generation, Generation::default());
            return Err(Rejection::IllegalGeneration { group: id.clone(), given, current });
        }
        (None, None) => {}
    }
    let mut refused = Vec::with_capacity(commits.len());
    for commit in commits {
        let PartitionCommit { topic, partition, offset, leader_epoch, metadata } = commit.clone();
        match tx.state().topic(&topic).map(Topic::partition_count) {
            Some(count) if partition < count => {
                let group = id.clone();
                let commit =
                    OffsetCommit { group, topic, partition, offset, leader_epoch, metadata };
                record(tx, &commit);
                refused.push(None);
            }
            Some(partitions) => {
                refused.push(Some(Rejection::UnknownPartition { topic, partition, partitions }));
            }
            None => refused.push(Some(Rejection::UnknownTopic(topic))),
        }
    }
    Ok(OffsetReply::Commits(refused).into())
}

/// Writes the commit down; who may do it has been decided.
pub(super) fn record(tx: &mut Transition<'_>, commit: &OffsetCommit) {
    let timestamp = tx.state().now_ms();
    tx.emit(OffsetEvent::Committed {
        group: commit.group.clone(),
        topic: commit.topic.clone(),
        partition: commit.partition,
        committed: CommittedOffset {
            offset: commit.offset,
            leader_epoch: commit.leader_epoch,
            metadata: commit.metadata.clone(),
            timestamp,
        },
    });
}
