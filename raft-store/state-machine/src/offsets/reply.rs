//! What is answered about committed offsets.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::committed::CommittedOffset;
use crate::ids::{Offset, TopicPartition};
use crate::rejection::Rejection;

/// What was read of a group's offsets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OffsetReply {
    /// A committed offset.
    Committed {
        /// 0 where nothing was committed.
        offset: Offset,
        /// The committer's own note.
        metadata: Option<Arc<str>>,
    },
    /// Committed offsets.
    CommittedAll(Vec<(TopicPartition, Option<CommittedOffset>)>),
    /// What became of each commit, in their order; `None`: done.
    Commits(Vec<Option<Rejection>>),
}
