//! Committed offsets: what a group has got to, per partition, and who may say so.
//!
//! A committed offset is the next offset that the group will read. This folder owns what is kept of
//! it and for how long. Whether a member may commit is its kind of group's to say
//! (`groups/fence.rs`).

use crate::reply::Outcome;
use crate::state::State;
use crate::transition::Transition;

pub mod command;
mod commit;
pub mod committed;
mod delete;
pub mod event;
mod expire;
mod fetch;
mod polling_commit;
pub mod reply;

use command::{OffsetCommand, OffsetQuery};

pub(crate) fn decide(tx: &mut Transition<'_>, command: &OffsetCommand) -> Outcome {
    match command {
        OffsetCommand::Commit { commit, fence } => commit::commit(tx, commit, fence.as_ref()),
        OffsetCommand::PollingCommit { commit, member, generation } => {
            polling_commit::polling_commit(tx, commit, member, *generation)
        }
        OffsetCommand::CommitAll { group, member, commits } => {
            commit::commit_all(tx, group, member.as_ref(), commits)
        }
        OffsetCommand::Delete { group, topic, partitions } => {
            delete::delete(tx, group, topic, partitions.as_deref())
        }
        OffsetCommand::Expire { retention_ms } => expire::expire(tx, *retention_ms),
    }
}

pub(crate) fn query(state: &State, query: &OffsetQuery) -> Outcome {
    match query {
        OffsetQuery::Fetch { group, topic, partition } => {
            fetch::fetch(state, group, topic, *partition)
        }
        OffsetQuery::FetchAll { group, partitions } => {
            fetch::fetch_all(state, group, partitions.as_ref())
        }
    }
}
