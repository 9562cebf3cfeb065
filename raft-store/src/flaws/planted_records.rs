//! Planted bugs of topics, their records and their idempotent producers.

use std::collections::BTreeSet;

use state_machine::State;
use state_machine::command::{Batch, Command, Write};
use state_machine::ids::{Offset, TopicName};
use state_machine::offsets::command::{OffsetCommand, OffsetCommit};
use state_machine::rejection::Rejection;
use state_machine::topics::command::TopicCommand;
use state_machine::topics::config::TopicConfig;
use state_machine::topics::sequences::Sequence;

use super::planted::{Flaw, has};
use crate::raft::replica::Replica;

/// One in so many entries with deletions of records does nothing of them.
const LOST_ONE_IN: u64 = 4;

/// One in so many records of a producer is taken for known.
const KNOWN_ONE_IN: u32 = 8;

/// The batch that takes the place of the one at a round, where a flaw says so.
pub(super) fn instead(state: &State, batch: &Batch, round: u64) -> Option<Batch> {
    let change: &dyn Fn(&mut TopicCommand) = if has(Flaw::EpochsNotChecked) {
        &|command| in_the_newest_epoch(state, command)
    } else if has(Flaw::TakenForKnown) {
        &|command| not_if_known(state, command)
    } else if has(Flaw::RecordDeletionsLost) && round.is_multiple_of(LOST_ONE_IN) {
        &|command| {
            if let TopicCommand::Trim { before, .. } = command {
                *before = 0;
            }
        }
    } else if has(Flaw::DeletedTooFar) {
        &|command| {
            if let TopicCommand::Trim { topic, partition, before } = command {
                let topic = state.topic(topic);
                let log = topic.and_then(|topic| topic.partitions.get(*partition as usize));
                *before += Offset::from(log.is_some_and(|log| *before < log.end_offset()));
            }
        }
    } else if has(Flaw::RetainedTooShort) {
        &|command| {
            if let TopicCommand::Retain(retention) = command {
                retention.ms = retention.ms.map(|ms| ms / 2);
                retention.bytes = retention.bytes.map(|bytes| bytes / 2);
            }
        }
    } else {
        return None;
    };
    let mut batch = batch.clone();
    for write in &mut batch.writes {
        if let Command::Topic(command) = &mut write.command {
            change(command);
        }
    }
    Some(batch)
}

/// Takes a record of an epoch that is over for the next one of the newest epoch.
fn in_the_newest_epoch(state: &State, command: &mut TopicCommand) {
    let Some(Rejection::ProducerFenced { current, .. }) = refusal(state, command) else { return };
    let TopicCommand::Append { sequence: Some(sequence), .. } = command else { return };
    sequence.epoch = current;
    let Some(Rejection::OutOfSequence { expected, .. }) = refusal(state, command) else { return };
    let TopicCommand::Append { sequence: Some(sequence), .. } = command else { return };
    follow(sequence, expected);
}

/// Refuses a record that is taken for known, and takes the ones after it for the next. Whoever
/// answers tells the refusal as if the record was there.
fn not_if_known(state: &State, command: &mut TopicCommand) {
    if let TopicCommand::Append { sequence: Some(sequence), max_bytes, .. } = command
        && sequence.first % KNOWN_ONE_IN == KNOWN_ONE_IN - 1
    {
        *max_bytes = 0;
        return;
    }
    let Some(Rejection::OutOfSequence { given, expected, .. }) = refusal(state, command) else {
        return;
    };
    if let TopicCommand::Append { sequence: Some(sequence), .. } = command
        && given > expected
    {
        follow(sequence, expected);
    }
}

/// Why a command would be refused.
fn refusal(state: &State, command: &TopicCommand) -> Option<Rejection> {
    let write = Write { request_id: None, command: command.clone().into() };
    state.clone().apply(&write, None).err()
}

/// Lets a batch be the next.
fn follow(sequence: &mut Sequence, expected: u32) {
    sequence.last = expected + (sequence.last - sequence.first);
    sequence.first = expected;
}

/// What is applied after a batch, where a flaw says so.
pub(super) fn writes_after(before: &State, state: &State, batch: &Batch) -> Vec<Write> {
    let commands = batch.writes.iter().map(|write| &write.command);
    let topics = commands.clone().filter_map(|command| match command {
        Command::Topic(command) => Some(command),
        _ => None,
    });
    let deleted = topics.clone().filter_map(|command| match command {
        TopicCommand::Delete { topic } if state.topic(topic).is_none() => Some(topic),
        _ => None,
    });
    let more: Vec<Command> = if has(Flaw::ProducersForgotten) {
        let mut begins = commands.filter(|it| matches!(it, Command::NewCoordinator { .. }));
        begins
            .next()
            .map(|_| TopicCommand::ForgetProducers { silent_ms: 0 }.into())
            .into_iter()
            .collect()
    } else if has(Flaw::LogsBeginAnew) {
        let mut begins = commands.filter(|it| matches!(it, Command::NewCoordinator { .. }));
        let all = begins.next().into_iter().flat_map(|_| state.topics());
        all.flat_map(|(topic, _)| anew(state, topic)).collect()
    } else if has(Flaw::TopicComesBack) {
        deleted.map(|topic| TopicCommand::create(topic.clone(), 1).into()).collect()
    } else if has(Flaw::OffsetsOutliveTopic) {
        deleted.flat_map(|topic| commits(before, topic)).collect()
    } else if has(Flaw::EmptiedBeginsAnew) {
        let emptied = topics.filter_map(|command| match command {
            TopicCommand::Trim { topic, partition, .. } => {
                let log = state.topic(topic)?.partitions.get(*partition as usize)?;
                (log.start_offset() > 0 && log.start_offset() == log.end_offset()).then_some(topic)
            }
            _ => None,
        });
        let emptied: BTreeSet<&TopicName> = emptied.collect();
        emptied.into_iter().flat_map(|topic| anew(state, topic)).collect()
    } else {
        Vec::new()
    };
    more.into_iter().map(|command| Write { request_id: None, command }).collect()
}

/// A topic goes and comes.
fn anew(state: &State, topic: &TopicName) -> [Command; 2] {
    let partitions = state.topic(topic).map_or(1, |topic| topic.partition_count());
    let (topic, config) = (topic.clone(), TopicConfig::default());
    let delete = TopicCommand::Delete { topic: topic.clone() };
    [delete.into(), TopicCommand::Create { topic, partitions, config }.into()]
}

/// What groups had committed of a topic is committed again.
fn commits(before: &State, topic: &TopicName) -> Vec<Command> {
    let mut commits = Vec::new();
    for (group, partition) in before.commits_of_topic(topic) {
        let found = before.group(&group).and_then(|group| group.offsets.get(topic, partition));
        let Some(committed) = found else { continue };
        let commit = OffsetCommit {
            group,
            topic: topic.clone(),
            partition,
            offset: committed.offset,
            leader_epoch: None,
            metadata: None,
        };
        commits.push(OffsetCommand::Commit { commit, fence: None }.into());
    }
    commits
}

/// Where records were removed by a batch, the segment in which the rest begins goes as well.
///
/// The last segment stays: the next batch is written to it.
pub(super) fn one_segment_more(replica: &Replica, before: &State) {
    for (name, topic) in replica.state.topics() {
        let earlier = before.topic(name).map_or(&[][..], |topic| &topic.partitions);
        for (log, was) in topic.partitions.iter().zip(earlier) {
            if log.id() != was.id() || log.start_offset() == was.start_offset() {
                continue;
            }
            let segments: Vec<Offset> = log.segments().map(|(offsets, _)| offsets.start).collect();
            if segments.len() > 1 {
                replica.records.trim(log.id(), &segments[..1]);
            }
        }
    }
}

/// Whether the node has a flaw whose writes come [after](writes_after) a batch.
pub(super) fn applies_more() -> bool {
    let flaws = [
        Flaw::ProducersForgotten,
        Flaw::LogsBeginAnew,
        Flaw::TopicComesBack,
        Flaw::OffsetsOutliveTopic,
        Flaw::EmptiedBeginsAnew,
    ];
    flaws.into_iter().any(has)
}
