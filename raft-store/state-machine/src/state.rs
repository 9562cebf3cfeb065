//! The replicated state: all that a snapshot holds, and the one function that changes it.
//!
//! Large parts (log segments, groups) are shared, so that a clone for a snapshot is cheap. Fields are
//! private: they are read through methods, and written by `State::evolve` alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::command::{Acknowledged, GroupLimits, RegisterValue, RequestId, Stamp};
use crate::dedup::Dedup;
use crate::event::Event;
use crate::groups::event::GroupEvent;
use crate::groups::{Group, Membership};
use crate::ids::{GroupId, LogKey, Millis, NodeId, Offset, PartitionId, TopicName};
use crate::partitions::PartitionLog;
use crate::reply::Outcome;
use crate::topics::Topic;

/// Everything that the cluster agrees on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct State {
    now_ms: Millis,
    limits: GroupLimits,
    coordinator: Option<NodeId>,
    logs: BTreeMap<LogKey, PartitionLog>,
    log_commits: BTreeMap<LogKey, Offset>,
    topics: BTreeMap<TopicName, Topic>,
    groups: BTreeMap<GroupId, Arc<Group>>,
    registers: BTreeMap<Arc<str>, RegisterValue>,
    dedup: Dedup,
}

impl State {
    /// The greatest stamp that was applied.
    pub fn now_ms(&self) -> Millis {
        self.now_ms
    }

    /// The limits of the last batch.
    pub fn limits(&self) -> GroupLimits {
        self.limits
    }

    /// The node that coordinates groups, as of the log.
    pub fn coordinator(&self) -> Option<NodeId> {
        self.coordinator
    }

    /// A log of Maelstrom's `kafka` workload.
    pub fn log(&self, key: &LogKey) -> Option<&PartitionLog> {
        self.logs.get(key)
    }

    /// The committed position of such a log.
    pub fn log_committed(&self, key: &LogKey) -> Option<Offset> {
        self.log_commits.get(key).copied()
    }

    /// A topic.
    pub fn topic(&self, topic: &TopicName) -> Option<&Topic> {
        self.topics.get(topic)
    }

    /// All topics by name.
    pub fn topics(&self) -> impl Iterator<Item = (&TopicName, &Topic)> {
        self.topics.iter()
    }

    /// A group.
    pub fn group(&self, group: &GroupId) -> Option<&Group> {
        self.groups.get(group).map(AsRef::as_ref)
    }

    /// All groups by name.
    pub fn groups(&self) -> impl Iterator<Item = (&GroupId, &Group)> {
        self.groups.iter().map(|(id, group)| (id, group.as_ref()))
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
        let of_group = |(id, group): (&GroupId, &Arc<Group>)| {
            group
                .offsets
                .get(topic)
                .into_iter()
                .flat_map(|p| p.keys())
                .map(|p| (id.clone(), *p))
                .collect::<Vec<_>>()
        };
        self.groups.iter().flat_map(of_group).collect()
    }

    pub(crate) fn advance(&mut self, stamp: Stamp, acknowledged: &[Acknowledged]) {
        self.now_ms = self.now_ms.max(stamp.now_ms);
        self.limits = stamp.limits;
        for floor in acknowledged {
            self.dedup.forget_below(floor);
        }
    }

    pub(crate) fn remember(&mut self, request_id: &RequestId, outcome: Outcome) {
        self.dedup.remember(request_id, outcome);
    }

    /// Makes a fact true. The only writer of the state's contents; it decides nothing.
    pub(crate) fn evolve(&mut self, event: &Event) {
        match event {
            Event::LogAppended { key, records, offset, timestamp } => {
                if !self.logs.contains_key(key) {
                    self.logs.insert(key.clone(), PartitionLog::default());
                }
                let log = self.logs.get_mut(key).expect("was made");
                debug_assert_eq!(log.end_offset(), *offset, "offsets are dense");
                log.append(records, *timestamp);
            }
            Event::LogCommitted { key, offset } => {
                self.log_commits.insert(key.clone(), *offset);
            }
            Event::TopicCreated { topic, partitions } => {
                let partitions = vec![PartitionLog::default(); *partitions as usize];
                self.topics.insert(topic.clone(), Topic { partitions, next: 0 });
            }
            Event::TopicGrown { topic, partitions } => {
                let topic = self.topics.get_mut(topic).expect("a topic that grows exists");
                topic.partitions.resize_with(*partitions as usize, PartitionLog::default);
            }
            Event::TopicDeleted { topic } => {
                self.topics.remove(topic);
            }
            Event::Appended { topic, partition, records, offset, timestamp, next } => {
                let topic = self.topics.get_mut(topic).expect("records go to a topic that exists");
                let log = &mut topic.partitions[*partition as usize];
                debug_assert_eq!(log.end_offset(), *offset, "offsets are dense");
                log.append(records, *timestamp);
                if *next {
                    topic.next = (*partition + 1) % topic.partition_count();
                }
            }
            Event::OffsetCommitted { group, topic, partition, committed } => {
                let offsets = &mut self.group_mut(group).offsets;
                offsets.entry(topic.clone()).or_default().insert(*partition, committed.clone());
            }
            Event::OffsetRemoved { group, topic, partition } => {
                let offsets = &mut self.group_mut(group).offsets;
                if let Some(of_topic) = offsets.get_mut(topic) {
                    of_topic.remove(partition);
                    if of_topic.is_empty() {
                        offsets.remove(topic);
                    }
                }
            }
            Event::RegisterWritten { key, value } => {
                self.registers.insert(key.clone(), value.clone());
            }
            Event::CoordinatorChanged { node } => {
                self.coordinator = Some(*node);
                for group in self.groups.values_mut() {
                    if let Membership::Polling(_) = &group.membership {
                        Arc::make_mut(group).forget_positions();
                    }
                }
            }
            Event::Group { group, event } => {
                if let GroupEvent::Answered { request_id: Some(request_id), outcome, .. } = event {
                    self.dedup.replace(request_id, outcome);
                }
                if event.removes_group() {
                    self.groups.remove(group);
                } else {
                    let now_ms = self.now_ms;
                    self.group_mut(group).evolve(event, now_ms);
                }
            }
        }
    }

    fn group_mut(&mut self, id: &GroupId) -> &mut Group {
        if !self.groups.contains_key(id) {
            self.groups.insert(id.clone(), Arc::default());
        }
        Arc::make_mut(self.groups.get_mut(id).expect("was made"))
    }
}
