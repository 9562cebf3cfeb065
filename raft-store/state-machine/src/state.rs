//! The replicated state: all that a snapshot holds, and the one function that changes it.
//!
//! Records are not in it, but where each batch of them stands is: an event says so to who keeps the
//! bytes. So its size follows topics, groups and segments.
//!
//! Each domain keeps its part in a type of its own and makes its own events true. Large parts (log
//! segments, groups) are shared, so that a clone for a snapshot is cheap. Fields are private: they
//! are read through methods, and written by `State::evolve` alone.

use serde::{Deserialize, Serialize};

use crate::command::{Acknowledged, GroupLimits, LogLimits, RequestId, Stamp};
use crate::dedup::Dedup;
use crate::event::Event;
use crate::groups::event::GroupEvent;
use crate::groups::group::{Group, Groups};
use crate::ids::{
    GroupId, LogId, LogKey, Millis, NodeId, Offset, PartitionId, ProducerId, TopicName,
    TopicPartition,
};
use crate::keyed_logs::logs::KeyedLogs;
use crate::producers::event::ProducerEvent;
use crate::registers::register::{RegisterValue, Registers};
use crate::reply::Decided;
use crate::topics::partitions::{PART_BYTES, PartitionLog};
use crate::topics::topic::{Topic, Topics};

/// Everything that the cluster agrees on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct State {
    now_ms: Millis,
    /// The clock is so far ahead of what leaders stamp.
    ahead_ms: Millis,
    limits: GroupLimits,
    log_limits: LogLimits,
    next_log: LogId,
    next_producer: ProducerId,
    coordinator: Option<NodeId>,
    keyed_logs: KeyedLogs,
    topics: Topics,
    groups: Groups,
    registers: Registers,
    dedup: Dedup,
}

impl State {
    /// The time: the greatest stamp that was applied, and what the clock is ahead.
    pub fn now_ms(&self) -> Millis {
        self.now_ms
    }

    /// The limits of the last batch.
    pub fn limits(&self) -> GroupLimits {
        self.limits
    }

    /// The limits for logs of the last batch.
    pub fn log_limits(&self) -> LogLimits {
        self.log_limits
    }

    /// The id that the next new log gets.
    pub fn next_log(&self) -> LogId {
        self.next_log
    }

    /// The id that the next new producer gets.
    pub fn next_producer(&self) -> ProducerId {
        self.next_producer
    }

    /// The node that coordinates groups, as of the log.
    pub fn coordinator(&self) -> Option<NodeId> {
        self.coordinator
    }

    /// A log of Maelstrom's `kafka` workload.
    pub fn log(&self, key: &LogKey) -> Option<&PartitionLog> {
        self.keyed_logs.log(key)
    }

    /// The committed position of such a log.
    pub fn log_committed(&self, key: &LogKey) -> Option<Offset> {
        self.keyed_logs.committed(key)
    }

    /// Every log there is: the partitions of each topic, then the keyed logs.
    pub fn logs(&self) -> impl Iterator<Item = &PartitionLog> {
        let of_topics = self.topics().flat_map(|(_, topic)| &topic.partitions);
        of_topics.chain(self.keyed_logs.logs())
    }

    /// A topic.
    pub fn topic(&self, topic: &TopicName) -> Option<&Topic> {
        self.topics.get(topic)
    }

    /// All topics by name.
    pub fn topics(&self) -> impl Iterator<Item = (&TopicName, &Topic)> {
        self.topics.iter()
    }

    /// A topic's partition.
    pub fn partition(&self, partition: &TopicPartition) -> Option<&PartitionLog> {
        self.topic(&partition.topic)?.partitions.get(partition.partition as usize)
    }

    /// The next offset of a partition, 0 where it does not exist.
    pub(crate) fn log_end(&self, partition: &TopicPartition) -> Offset {
        self.partition(partition).map_or(0, PartitionLog::end_offset)
    }

    /// A group.
    pub fn group(&self, group: &GroupId) -> Option<&Group> {
        self.groups.get(group)
    }

    /// All groups by name.
    pub fn groups(&self) -> impl ExactSizeIterator<Item = (&GroupId, &Group)> {
        self.groups.iter()
    }

    /// The groups that name a topic: a member reads it, or an offset of it is committed. By name.
    pub fn groups_of_topic(&self, topic: &TopicName) -> impl Iterator<Item = (&GroupId, &Group)> {
        self.groups.of_topic(topic)
    }

    /// Whether those are what a look at all groups finds.
    pub(crate) fn are_groups_found_by_topic(&self) -> bool {
        self.groups.are_found_by_topic()
    }

    /// A register of `lin-kv`.
    pub fn register(&self, key: &str) -> Option<&RegisterValue> {
        self.registers.get(key)
    }

    /// The requests that may still be retried.
    pub fn dedup(&self) -> &Dedup {
        &self.dedup
    }

    /// Which groups have committed offsets of which partitions of a topic.
    pub fn commits_of_topic(&self, topic: &TopicName) -> Vec<(GroupId, PartitionId)> {
        let of_group = |(id, group): (&GroupId, &Group)| {
            group.offsets.of_topic(topic).map(|(p, _)| (id.clone(), p)).collect::<Vec<_>>()
        };
        self.groups_of_topic(topic).flat_map(of_group).collect()
    }

    /// How many bytes, about, a clone costs: copied at once, or with the changes after it. A
    /// snapshot has one in it.
    pub fn clone_cost(&self) -> usize {
        let parts = self.groups.parts() + self.registers.len() + self.dedup.len();
        self.keyed_logs.clone_cost() + self.topics.clone_cost() + PART_BYTES * parts
    }

    pub(crate) fn advance(&mut self, stamp: Stamp, acknowledged: &[Acknowledged]) {
        self.now_ms = self.now_ms.max(stamp.now_ms.saturating_add(self.ahead_ms));
        self.limits = stamp.limits;
        self.log_limits = stamp.log_limits;
        for acknowledged in acknowledged {
            self.dedup.forget_below(acknowledged);
        }
    }

    pub(crate) fn remember(&mut self, request_id: &RequestId, decided: Decided) {
        self.dedup.remember(request_id, decided);
    }

    /// Makes a fact true. The only writer of the state's contents; it decides nothing.
    pub(crate) fn evolve(&mut self, event: &Event) {
        if let Some(next) = event.next_log() {
            self.next_log = self.next_log.max(next);
        }
        match event {
            Event::Topic(event) => self.topics.evolve(event, self.now_ms),
            Event::KeyedLog(event) => self.keyed_logs.evolve(event),
            Event::Register(event) => self.registers.evolve(event),
            Event::Offset(event) => self.groups.evolve_offset(event),
            Event::Producer(ProducerEvent::Made { id }) => self.next_producer = *id + 1,
            Event::Group { group, event } => {
                if let GroupEvent::Answered { request_id: Some(request_id), outcome, .. } = event {
                    self.dedup.answered(request_id, outcome);
                }
                self.groups.evolve(group, event, self.now_ms);
            }
            Event::CoordinatorChanged { node } => {
                self.coordinator = Some(*node);
                self.groups.coordinator_changed();
            }
            Event::ClockAdvanced { ms } => {
                self.ahead_ms = self.ahead_ms.saturating_add(*ms);
                self.now_ms = self.now_ms.saturating_add(*ms);
            }
        }
    }
}
