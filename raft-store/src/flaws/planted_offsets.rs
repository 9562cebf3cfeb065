//! Planted bugs of committed offsets.

use std::collections::BTreeMap;

use state_machine::State;
use state_machine::command::{Batch, Command, Write};
use state_machine::ids::{GroupId, Offset, TopicPartition};
use state_machine::offsets::command::{OffsetCommand, PartitionCommit};

use super::planted::{recall, remember};

/// One in so many entries with commits loses them.
const LOST_ONE_IN: u64 = 8;

/// What was committed before the last commit.
type Before = BTreeMap<(GroupId, TopicPartition), Offset>;

/// The commits of a command, with their group.
fn commits(command: &mut Command) -> Option<(GroupId, &mut [PartitionCommit])> {
    match command {
        Command::Offset(OffsetCommand::CommitAll { group, commits, .. }) => {
            Some((group.clone(), commits))
        }
        _ => None,
    }
}

fn committed(state: &State, group: &GroupId, at: &PartitionCommit) -> Option<Offset> {
    Some(state.group(group)?.offsets.get(&at.topic, at.partition)?.offset)
}

/// Every commit of some entries commits again what is committed already.
pub(super) fn without_commits(state: &State, batch: &Batch, index: u64) -> Option<Batch> {
    if !index.is_multiple_of(LOST_ONE_IN) {
        return None;
    }
    let mut batch = batch.clone();
    for write in &mut batch.writes {
        let Some((group, commits)) = commits(&mut write.command) else { continue };
        for commit in commits {
            commit.offset = committed(state, &group, commit).unwrap_or(commit.offset);
        }
    }
    Some(batch)
}

/// Where a node begins to lead, each group has again what it had committed before the last time.
pub(super) fn with_old_offsets(state: &State, batch: &Batch) -> Batch {
    let mut before = recall::<Before>().unwrap_or_default();
    let mut batch = batch.clone();
    let mut begins = false;
    for write in &mut batch.writes {
        begins |= matches!(write.command, Command::NewCoordinator { .. });
        let Some((group, commits)) = commits(&mut write.command) else { continue };
        for commit in commits {
            let Some(offset) = committed(state, &group, commit) else { continue };
            let at = TopicPartition { topic: commit.topic.clone(), partition: commit.partition };
            before.insert((group.clone(), at), offset);
        }
    }
    if begins {
        let again = std::mem::take(&mut before).into_iter().map(|((group, at), offset)| {
            let TopicPartition { topic, partition } = at;
            let (leader_epoch, metadata) = (None, None);
            let commits =
                vec![PartitionCommit { topic, partition, offset, leader_epoch, metadata }];
            let command = OffsetCommand::CommitAll { group, member: None, commits };
            Write { request_id: None, command: command.into() }
        });
        batch.writes.extend(again);
    }
    remember(before);
    batch
}
