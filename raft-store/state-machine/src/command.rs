//! What can be proposed to the replicated state, and what can be asked of it.
//!
//! A [`Command`] changes state and goes through the Raft log. A [`Query`] reads state at one point
//! of that log and leaves no trace. Both have one arm a domain; what a domain understands stands in
//! its own `command.rs`. Listeners build both. Neither knows a clock, a random source, or who
//! leads: what a decision needs of those comes in with [`Stamp`] and [`RequestId`].

use serde::{Deserialize, Serialize};

use crate::groups::classic::command::ClassicCommand;
use crate::groups::command::{GroupCommand, GroupQuery};
use crate::groups::polling::command::PollingCommand;
use crate::ids::{Millis, NodeId};
use crate::keyed_logs::command::{KeyedLogCommand, KeyedLogQuery};
use crate::offsets::command::{OffsetCommand, OffsetQuery};
use crate::producers::command::ProducerCommand;
use crate::registers::command::{RegisterCommand, RegisterQuery};
use crate::topics::command::{TopicCommand, TopicQuery};
use crate::values::Records;

/// A change of the replicated state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub enum Command {
    Topic(TopicCommand),
    KeyedLog(KeyedLogCommand),
    Register(RegisterCommand),
    Offset(OffsetCommand),
    Group(GroupCommand),
    Producer(ProducerCommand),
    /// A node has begun to lead and coordinate. That is no domain's matter: every domain that
    /// measures time begins anew.
    NewCoordinator {
        node: NodeId,
    },
    /// The cluster's clock moves on at once, and stays ahead of its nodes' clocks: for tests. That is
    /// no domain's matter either.
    AdvanceClock {
        ms: u32,
    },
}

/// A read of the replicated state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub enum Query {
    Topic(TopicQuery),
    KeyedLog(KeyedLogQuery),
    Register(RegisterQuery),
    Offset(OffsetQuery),
    Group(GroupQuery),
}

/// What one Raft entry carries: all commands that were waiting when it was proposed, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub struct Batch {
    pub stamp: Stamp,
    /// Applied before the writes.
    pub acknowledged: Vec<Acknowledged>,
    /// Applied one after another.
    pub writes: Vec<Write>,
}

/// One command on its way through the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub struct Write {
    /// `None` for what the leader proposes on its own account (expiries, its own beginning).
    pub request_id: Option<RequestId>,
    pub command: Command,
}

/// What the leader knows and apply may not look up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Stamp {
    /// The leader's wall clock when it proposed the batch. State keeps the greatest it has seen, so
    /// time never goes back in it.
    pub now_ms: Millis,
    /// The leader's limits for groups. They travel with the batch so that every node decides by the
    /// same.
    pub limits: GroupLimits,
    /// The leader's limits for logs.
    pub log_limits: LogLimits,
}

/// What the leader's flags say of groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupLimits {
    /// How many members a group may have (Kafka's `group.max.size`).
    pub max_size: u32,
    /// How long the first rebalance of an empty classic group waits for more members (Kafka's
    /// `group.initial.rebalance.delay.ms`).
    pub initial_rebalance_delay_ms: u32,
}

impl Default for GroupLimits {
    fn default() -> Self {
        Self { max_size: i32::MAX as u32, initial_rebalance_delay_ms: 0 }
    }
}

/// How logs are cut into segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLimits {
    /// A segment has at most this many bytes, or a single batch (Kafka's `segment.bytes`).
    pub segment_bytes: u32,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self { segment_bytes: u32::MAX }
    }
}

/// Requests of one node that are answered in two ways have two numberings, so that one that waits
/// for minutes does not hold up the forgetting of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Lane {
    /// Answered as soon as it is applied.
    Immediate,
    /// `join_group` and `sync_group`: answered when the group is ready.
    Delayed,
}

/// Which node took a request in, and which of that node's requests it is. It is the same in every
/// retry inside the cluster, and never the same for two requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub struct RequestId {
    /// The node that took the request in from its client.
    pub node: NodeId,
    /// One incarnation of that node: drawn at random when it starts.
    pub incarnation: u64,
    pub lane: Lane,
    /// The request's number in its lane, from 1.
    pub seq: u64,
}

/// A node's word that its requests below a number are over: answered, or given up for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub struct Acknowledged {
    pub node: NodeId,
    pub incarnation: u64,
    pub lane: Lane,
    /// The lowest number that may still be retried.
    pub below: u64,
}

impl Command {
    /// The records that it brings, if it brings any.
    pub fn records(&self) -> Option<&Records> {
        match self {
            Self::KeyedLog(KeyedLogCommand::Send { records, .. })
            | Self::Topic(
                TopicCommand::Produce { records, .. } | TopicCommand::Append { records, .. },
            ) => Some(records),
            Self::KeyedLog(KeyedLogCommand::Commit { .. })
            | Self::Topic(
                TopicCommand::Create { .. }
                | TopicCommand::Grow { .. }
                | TopicCommand::Configure { .. }
                | TopicCommand::Delete { .. }
                | TopicCommand::Trim { .. }
                | TopicCommand::Retain(_)
                | TopicCommand::ForgetProducers { .. },
            )
            | Self::Register(_)
            | Self::Offset(_)
            | Self::Group(_)
            | Self::Producer(_)
            | Self::NewCoordinator { .. }
            | Self::AdvanceClock { .. } => None,
        }
    }

    /// Whether its request may wait for its group.
    pub fn lane(&self) -> Lane {
        match self {
            Self::Group(command) => command.lane(),
            Self::Topic(_)
            | Self::KeyedLog(_)
            | Self::Register(_)
            | Self::Offset(_)
            | Self::Producer(_)
            | Self::NewCoordinator { .. }
            | Self::AdvanceClock { .. } => Lane::Immediate,
        }
    }
}

impl From<TopicCommand> for Command {
    fn from(command: TopicCommand) -> Self {
        Self::Topic(command)
    }
}

impl From<KeyedLogCommand> for Command {
    fn from(command: KeyedLogCommand) -> Self {
        Self::KeyedLog(command)
    }
}

impl From<RegisterCommand> for Command {
    fn from(command: RegisterCommand) -> Self {
        Self::Register(command)
    }
}

impl From<OffsetCommand> for Command {
    fn from(command: OffsetCommand) -> Self {
        Self::Offset(command)
    }
}

impl From<GroupCommand> for Command {
    fn from(command: GroupCommand) -> Self {
        Self::Group(command)
    }
}

impl From<ProducerCommand> for Command {
    fn from(command: ProducerCommand) -> Self {
        Self::Producer(command)
    }
}

impl From<PollingCommand> for Command {
    fn from(command: PollingCommand) -> Self {
        Self::Group(GroupCommand::Polling(command))
    }
}

impl From<ClassicCommand> for Command {
    fn from(command: ClassicCommand) -> Self {
        Self::Group(GroupCommand::Classic(command))
    }
}

impl From<TopicQuery> for Query {
    fn from(query: TopicQuery) -> Self {
        Self::Topic(query)
    }
}

impl From<KeyedLogQuery> for Query {
    fn from(query: KeyedLogQuery) -> Self {
        Self::KeyedLog(query)
    }
}

impl From<RegisterQuery> for Query {
    fn from(query: RegisterQuery) -> Self {
        Self::Register(query)
    }
}

impl From<OffsetQuery> for Query {
    fn from(query: OffsetQuery) -> Self {
        Self::Offset(query)
    }
}

impl From<GroupQuery> for Query {
    fn from(query: GroupQuery) -> Self {
        Self::Group(query)
    }
}
