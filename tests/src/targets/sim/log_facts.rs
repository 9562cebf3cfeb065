//! What the log of a simulation says of topics, records and producers: the facts for the predicates
//! on them (`start-goes-back` to `producer-epoch` in [`crate::checkers::state`]).
//!
//! The replay gives it each write in turn, as it was logged and as it was applied. Only what was
//! logged counts as asked for: a planted bug applies other writes, or more.

use std::collections::{BTreeMap, BTreeSet};

use state_machine::State;
use state_machine::command::{Command, Write};
use state_machine::dedup::Seen;
use state_machine::event::Event;
use state_machine::groups::group::Group;
use state_machine::ids::{GroupId, LogId, Offset, TopicName};
use state_machine::offsets::event::OffsetEvent;
use state_machine::reply::Decided;
use state_machine::topics::command::TopicCommand;
use state_machine::topics::event::TopicEvent;

use crate::checkers::state::StateTrace;
use crate::checkers::state::trace::{
    Append, Forgetting, Numbers, Raise, RecordDeletion, Span, TopicEnd, Why,
};

/// Gathers the facts, write by write.
#[derive(Debug, Default)]
pub(super) struct LogFacts {
    /// How many writes there were.
    at: u64,
    /// At which write somebody last committed to a topic for a group.
    committed: BTreeMap<(GroupId, TopicName), u64>,
    /// At which write the deletion of a topic was last accepted.
    deleted: BTreeMap<TopicName, u64>,
    /// Where logs begin.
    starts: BTreeMap<LogId, Offset>,
    /// Of this entry: topics whose partitions are others, or begin elsewhere.
    changed: BTreeSet<TopicName>,
    /// Of this entry: topics whose deletion was asked for and accepted.
    asked: BTreeSet<TopicName>,
    /// Of this entry: topics that somebody asked to make, also by a first record.
    made: BTreeSet<TopicName>,
}

/// A write that is about to be applied.
pub(super) struct Asked<'a> {
    /// What the log says; `None` where a planted bug has added the write.
    command: Option<&'a Command>,
    /// The effective retention of each topic, where that is to be looked at.
    retention: BTreeMap<TopicName, Why>,
}

impl<'a> Asked<'a> {
    /// `given` is applied to the state next, and `logged` is what the log says in its place.
    pub(super) fn of(state: &State, given: &Write, logged: Option<&'a Write>) -> Self {
        // One that comes again has been decided, and does nothing.
        let is_new = given.request_id.is_none_or(|id| matches!(state.dedup().seen(&id), Seen::New));
        let command = logged.map(|write| &write.command).filter(|_| is_new);
        let mut retention = BTreeMap::new();
        if let Some(Command::Topic(TopicCommand::Retain(otherwise))) = command {
            for (name, topic) in state.topics() {
                let of = topic.config.retention(*otherwise);
                retention.insert(name.clone(), Why::Retention { ms: of.ms, bytes: of.bytes });
            }
        }
        Self { command, retention }
    }

    fn topic(&self) -> Option<&TopicCommand> {
        match self.command {
            Some(Command::Topic(command)) => Some(command),
            _ => None,
        }
    }

    /// Why a partition of the topic may lose records.
    fn why(&self, topic: &TopicName) -> Why {
        match self.topic() {
            Some(TopicCommand::Trim { before, .. }) => Why::Asked(*before),
            Some(TopicCommand::Retain(_)) => {
                self.retention.get(topic).copied().unwrap_or(Why::None)
            }
            _ => Why::None,
        }
    }
}

impl LogFacts {
    /// A write of the entry `index` was applied, and this came of it.
    pub(super) fn wrote(
        &mut self,
        state: &State,
        index: u64,
        asked: &Asked<'_>,
        (outcome, events): (&Decided, &[Event]),
        trace: &mut StateTrace,
    ) {
        self.at += 1;
        for event in events {
            self.event(state, index, asked, event, trace);
        }
        let now_ms = state.now_ms();
        match asked.topic().filter(|_| outcome.is_ok()) {
            Some(TopicCommand::Trim { topic, partition, before }) => {
                let log = state.topic(topic).and_then(|it| it.partitions.get(*partition as usize));
                trace.record_deletions.extend(log.map(|log| RecordDeletion {
                    index,
                    topic: topic.to_string(),
                    partition: i64::from(*partition),
                    before: *before,
                    start: log.start_offset(),
                }));
            }
            Some(TopicCommand::Delete { topic }) => {
                self.deleted.insert(topic.clone(), self.at);
                self.asked.insert(topic.clone());
                self.made.remove(topic);
            }
            Some(TopicCommand::ForgetProducers { silent_ms }) => {
                trace.forgettings.push(Forgetting { index, silent_ms: *silent_ms, now_ms });
            }
            _ => {}
        }
    }

    fn event(
        &mut self,
        state: &State,
        index: u64,
        asked: &Asked<'_>,
        event: &Event,
        trace: &mut StateTrace,
    ) {
        match event {
            Event::Offset(OffsetEvent::Committed { group, topic, .. })
                if asked.command.is_some() =>
            {
                self.committed.insert((group.clone(), topic.clone()), self.at);
            }
            Event::Topic(TopicEvent::Created { topic, .. }) => {
                self.changed.insert(topic.clone());
                if asked.command.is_some() {
                    self.made.insert(topic.clone());
                }
            }
            Event::Topic(TopicEvent::Deleted { topic, .. } | TopicEvent::Grown { topic, .. }) => {
                self.changed.insert(topic.clone());
            }
            Event::Topic(TopicEvent::Trimmed { topic, partition, log, start, .. }) => {
                self.changed.insert(topic.clone());
                trace.raises.push(Raise {
                    index,
                    topic: topic.to_string(),
                    partition: i64::from(*partition),
                    log: log.0,
                    from: self.starts.insert(*log, *start).unwrap_or(0),
                    to: *start,
                    now_ms: state.now_ms(),
                    why: asked.why(topic),
                });
            }
            Event::Topic(TopicEvent::Appended {
                topic,
                partition,
                records,
                place,
                offset,
                timestamp,
                ..
            }) => {
                let numbers = match asked.topic() {
                    Some(TopicCommand::Append { sequence: Some(of), .. }) => Some(Numbers {
                        producer: of.producer,
                        epoch: of.epoch,
                        first: of.first,
                        last: of.last,
                    }),
                    _ => None,
                };
                trace.appends.push(Append {
                    index,
                    topic: topic.to_string(),
                    partition: i64::from(*partition),
                    log: place.log.0,
                    offset: *offset,
                    count: records.count.into(),
                    bytes: records.bytes.len() as u64,
                    newest_ms: records.created.unwrap_or(*timestamp),
                    now_ms: state.now_ms(),
                    numbers,
                });
            }
            _ => {}
        }
    }

    /// The entry is applied as a whole.
    pub(super) fn ended(&mut self, state: &State, index: u64, trace: &mut StateTrace) {
        for name in std::mem::take(&mut self.changed) {
            let asked = self.asked.contains(&name);
            let ended = asked && !self.made.contains(&name);
            if asked || self.made.contains(&name) {
                let owned = if ended { owners(state, &name) } else { Vec::new() };
                trace.topic_ends.push(TopicEnd {
                    index,
                    topic: name.to_string(),
                    asked,
                    ended,
                    exists: state.topic(&name).is_some(),
                    committed: self.outlived(state, &name),
                    owned,
                });
            }
            let logs = state.topic(&name).map_or(&[][..], |topic| &topic.partitions);
            trace.spans.extend((0..).zip(logs).map(|(partition, log)| Span {
                index,
                topic: name.to_string(),
                partition,
                start: log.start_offset(),
                end: log.end_offset(),
            }));
        }
        self.asked.clear();
        self.made.clear();
    }

    /// The groups with a committed offset of the topic that is from before its last deletion.
    fn outlived(&self, state: &State, topic: &TopicName) -> Vec<String> {
        let Some(deleted) = self.deleted.get(topic) else { return Vec::new() };
        let commits: BTreeSet<GroupId> =
            state.commits_of_topic(topic).into_iter().map(|(group, _)| group).collect();
        let is_old = |group: &GroupId| {
            let key = (group.clone(), topic.clone());
            self.committed.get(&key).is_none_or(|committed| committed < deleted)
        };
        commits.into_iter().filter(is_old).map(|group| group.to_string()).collect()
    }
}

/// The groups in which somebody owns a partition of the topic, where the coordinator assigns.
fn owners(state: &State, topic: &TopicName) -> Vec<String> {
    let owns = |group: &Group| {
        let polling = group.membership.polling();
        polling.is_some_and(|polling| polling.owners.keys().any(|it| it.topic == *topic))
    };
    let groups = state.groups().filter(|(_, group)| owns(group));
    groups.map(|(id, _)| id.to_string()).collect()
}
