//! An offset is committed by an administrator, or fenced by a member (Kafka's `OffsetCommit`).

use super::command::{Fence, OffsetCommit};
use super::committed::CommittedOffset;
use super::event::OffsetEvent;
use crate::ids::{MemberId, TopicPartition};
use crate::rejection::Rejection;
use crate::reply::{Outcome, Reply};
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

/// Writes the commit down; who may do it has been decided.
pub(super) fn record(tx: &mut Transition<'_>, commit: &OffsetCommit) {
    let timestamp = tx.state().now_ms();
    tx.emit(OffsetEvent::Committed {
        group: commit.group.clone(),
        topic: commit.topic.clone(),
        partition: commit.partition,
        committed: CommittedOffset {
            offset: commit.offset,
            metadata: commit.metadata.clone(),
            timestamp,
        },
    });
}
