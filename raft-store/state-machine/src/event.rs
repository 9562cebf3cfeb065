//! What happened: the facts that applying a command made true.
//!
//! Events are all that changes [`State`](crate::state::State), and all that traces, delayed
//! requests and checkers read. They hold results (offsets, generations, assignments), never
//! questions. There is one arm a domain; a domain's facts stand in its own `event.rs`.

use serde::{Deserialize, Serialize};

use crate::groups::event::GroupEvent;
use crate::ids::{GroupId, NodeId};
use crate::keyed_logs::event::KeyedLogEvent;
use crate::offsets::event::OffsetEvent;
use crate::registers::event::RegisterEvent;
use crate::topics::event::TopicEvent;

/// One fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "an arm a domain")]
pub enum Event {
    Topic(TopicEvent),
    KeyedLog(KeyedLogEvent),
    Register(RegisterEvent),
    Offset(OffsetEvent),
    /// Something happened to one group.
    Group {
        group: GroupId,
        event: GroupEvent,
    },
    /// A node began to lead and coordinate. Polling consumers read on from their committed offsets.
    CoordinatorChanged {
        node: NodeId,
    },
}

impl From<TopicEvent> for Event {
    fn from(event: TopicEvent) -> Self {
        Self::Topic(event)
    }
}

impl From<KeyedLogEvent> for Event {
    fn from(event: KeyedLogEvent) -> Self {
        Self::KeyedLog(event)
    }
}

impl From<RegisterEvent> for Event {
    fn from(event: RegisterEvent) -> Self {
        Self::Register(event)
    }
}

impl From<OffsetEvent> for Event {
    fn from(event: OffsetEvent) -> Self {
        Self::Offset(event)
    }
}
