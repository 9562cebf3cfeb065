//! Committed offsets: what a group has got to, per partition, and who may say so.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::apply::Transition;
use crate::command::{Fence, OffsetCommit};
use crate::event::Event;
use crate::ids::{GroupId, MemberId, Millis, Offset, PartitionId, TopicName, TopicPartition};
use crate::reply::{Outcome, Rejection, Reply};
use crate::state::State;

/// The longest metadata of a commit, in characters (Kafka's `offset.metadata.max.bytes`, which compares the
/// string's length).
pub const MAX_METADATA_LEN: usize = 4_096;

/// One committed offset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommittedOffset {
    /// The next offset to read.
    pub offset: Offset,
    /// The committer's note.
    pub metadata: Option<Arc<str>>,
    /// When it was committed, by the leader's clock.
    pub timestamp: Millis,
}

/// Commits as an administrator, or fenced as a member (Kafka's `OffsetCommit`).
pub(crate) fn commit(tx: &mut Transition<'_>, commit: &OffsetCommit, fence: Option<&Fence>) -> Outcome {
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
pub(crate) fn record(tx: &mut Transition<'_>, commit: &OffsetCommit) {
    let timestamp = tx.state().now_ms();
    tx.emit(Event::OffsetCommitted {
        group: commit.group.clone(),
        topic: commit.topic.clone(),
        partition: commit.partition,
        committed: CommittedOffset { offset: commit.offset, metadata: commit.metadata.clone(), timestamp },
    });
}

/// A group's committed offset, 0 where there is none.
pub(crate) fn fetch(state: &State, group: &GroupId, topic: &TopicName, partition: PartitionId) -> Outcome {
    let committed = state.group(group).and_then(|g| g.committed(topic, partition));
    Ok(match committed {
        Some(c) => Reply::Committed { offset: c.offset, metadata: c.metadata.clone() },
        None => Reply::Committed { offset: 0, metadata: None },
    })
}
