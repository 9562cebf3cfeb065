//! What happened: the facts that applying a command made true.
//!
//! Events are all that changes [`State`](crate::state::State), and all that traces, delayed
//! requests and checkers read. They hold results (offsets, generations, assignments), never
//! questions. There is one arm a domain; a domain's facts stand in its own `event.rs`.

use serde::{Deserialize, Serialize};

use crate::groups::event::GroupEvent;
use crate::ids::{GroupId, LogId, Millis, NodeId};
use crate::keyed_logs::event::KeyedLogEvent;
use crate::offsets::event::OffsetEvent;
use crate::producers::event::ProducerEvent;
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
    Producer(ProducerEvent),
    /// Something happened to one group.
    Group {
        group: GroupId,
        event: GroupEvent,
    },
    /// A node began to lead and coordinate. Polling consumers read on from their committed offsets.
    CoordinatorChanged {
        node: NodeId,
    },
    /// The cluster's clock moved on, and stays ahead by so much more.
    ClockAdvanced {
        ms: Millis,
    },
}

impl Event {
    /// The id after those of the logs that it makes, if it makes any.
    pub(crate) fn next_log(&self) -> Option<LogId> {
        match self {
            Self::Topic(TopicEvent::Created { logs, .. } | TopicEvent::Grown { logs, .. }) => {
                Some(logs.end)
            }
            // The first batch makes its log.
            Self::KeyedLog(KeyedLogEvent::Appended { place, .. }) => Some(place.log.plus(1)),
            Self::Topic(
                TopicEvent::Configured { .. }
                | TopicEvent::Deleted { .. }
                | TopicEvent::Trimmed { .. }
                | TopicEvent::Appended { .. }
                | TopicEvent::ProducersForgotten { .. },
            )
            | Self::KeyedLog(KeyedLogEvent::Committed { .. })
            | Self::Register(_)
            | Self::Offset(_)
            | Self::Producer(_)
            | Self::Group { .. }
            | Self::CoordinatorChanged { .. }
            | Self::ClockAdvanced { .. } => None,
        }
    }
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

impl From<ProducerEvent> for Event {
    fn from(event: ProducerEvent) -> Self {
        Self::Producer(event)
    }
}

impl From<OffsetEvent> for Event {
    fn from(event: OffsetEvent) -> Self {
        Self::Offset(event)
    }
}
