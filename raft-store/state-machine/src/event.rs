//! What happened: the facts that applying a command made true.
//!
//! Events are all that changes [`State`](crate::state::State), and all that traces, waiters and checkers
//! read. They hold results (offsets, generations, assignments), never questions.

use serde::{Deserialize, Serialize};

use crate::command::{Records, RegisterValue};
use crate::groups::event::GroupEvent;
use crate::ids::{GroupId, LogKey, Millis, NodeId, Offset, PartitionId, TopicName};
use crate::offsets::CommittedOffset;
use std::sync::Arc;

/// One fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// Records were appended to one of Maelstrom's logs.
    LogAppended {
        /// The log.
        key: LogKey,
        /// What.
        records: Records,
        /// The first one's offset.
        offset: Offset,
        /// When.
        timestamp: Millis,
    },
    /// The committed position of one of Maelstrom's logs moved forward.
    LogCommitted {
        /// The log.
        key: LogKey,
        /// The highest offset processed.
        offset: Offset,
    },
    /// A topic was made.
    TopicCreated {
        /// The topic.
        topic: TopicName,
        /// Its partitions.
        partitions: u32,
    },
    /// A topic grew.
    TopicGrown {
        /// The topic.
        topic: TopicName,
        /// Its partitions now.
        partitions: u32,
    },
    /// A topic was removed with its records.
    TopicDeleted {
        /// The topic.
        topic: TopicName,
    },
    /// Records were appended to a partition.
    Appended {
        /// The topic.
        topic: TopicName,
        /// The partition.
        partition: PartitionId,
        /// What.
        records: Records,
        /// The first one's offset.
        offset: Offset,
        /// When.
        timestamp: Millis,
        /// Whether round-robin chose the partition, and so moves on.
        next: bool,
    },
    /// A group's offset was committed.
    OffsetCommitted {
        /// The group.
        group: GroupId,
        /// The topic.
        topic: TopicName,
        /// The partition.
        partition: PartitionId,
        /// What is kept of it.
        committed: CommittedOffset,
    },
    /// A group's committed offset was removed.
    OffsetRemoved {
        /// The group.
        group: GroupId,
        /// The topic.
        topic: TopicName,
        /// The partition.
        partition: PartitionId,
    },
    /// A register has a new value.
    RegisterWritten {
        /// Canonical text of the key.
        key: Arc<str>,
        /// The value.
        value: RegisterValue,
    },
    /// A node began to lead and coordinate.
    CoordinatorChanged {
        /// The node.
        node: NodeId,
    },
    /// Something happened to a group's membership.
    Group {
        /// The group.
        group: GroupId,
        /// What.
        event: GroupEvent,
    },
}
