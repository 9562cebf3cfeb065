//! Between openraft's types and those of the write-ahead log. openraft's are of an alpha version,
//! so none of them is ever written.

use std::collections::{BTreeMap, BTreeSet};

use openraft::alias::{EntryOf, LogIdOf, StoredMembershipOf, VoteOf};
use openraft::entry::RaftEntry;
use openraft::impls::leader_id_std::LeaderId;
use openraft::vote::{RaftLeaderId, RaftVote};
use openraft::{EntryPayload, Membership};
use state_machine::ids::NodeId;
use thiserror::Error;

use crate::codec::DecodeError;
use crate::raft::types::{Proposal, TypeConfig};
use crate::wal::format::{LogId, Payload, Record, Vote};

/// An entry whose checksum agrees, but which this version cannot read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Unreadable {
    /// Its commands.
    #[error("entry {index}: {problem}")]
    Batch {
        /// The entry's index.
        index: u64,
        /// What is wrong.
        problem: DecodeError,
    },
    /// A membership that is none.
    #[error("the membership of entry {index}: {problem}")]
    Membership {
        /// The entry's index.
        index: u64,
        /// What openraft says of it.
        problem: String,
    },
}

pub(crate) fn log_id(id: LogIdOf<TypeConfig>) -> LogId {
    LogId { term: id.committed_leader_id().term, index: id.index() }
}

pub(crate) fn raft_log_id(LogId { term, index }: LogId) -> LogIdOf<TypeConfig> {
    // The committed form of a leader's id is its term alone.
    LogIdOf::<TypeConfig>::new(LeaderId::new(term, NodeId::default()).to_committed(), index)
}

pub(crate) fn vote(vote: &VoteOf<TypeConfig>) -> Vote {
    let LeaderId { term, voted_for } = *vote.leader_id();
    Vote { term, node: voted_for, committed: vote.is_committed() }
}

pub(crate) fn raft_vote(vote: Vote) -> VoteOf<TypeConfig> {
    let leader = LeaderId::new(vote.term, vote.node);
    VoteOf::<TypeConfig>::from_leader_id(leader, vote.committed)
}

fn membership(membership: &Membership<NodeId, ()>) -> Payload {
    let list = |ids: &BTreeSet<NodeId>| ids.iter().copied().collect();
    Payload::Membership {
        configs: membership.get_joint_config().iter().map(list).collect(),
        nodes: membership.nodes().map(|(id, ())| *id).collect(),
    }
}

fn raft_membership(
    index: u64,
    configs: Vec<Vec<NodeId>>,
    nodes: Vec<NodeId>,
) -> Result<Membership<NodeId, ()>, Unreadable> {
    let configs = configs.into_iter().map(|ids| ids.into_iter().collect()).collect();
    let nodes: BTreeMap<NodeId, ()> = nodes.into_iter().map(|id| (id, ())).collect();
    Membership::new(configs, nodes)
        .map_err(|problem| Unreadable::Membership { index, problem: problem.to_string() })
}

/// The record of an entry.
pub(crate) fn entry(entry: &EntryOf<TypeConfig>) -> Record {
    let payload = match &entry.payload {
        EntryPayload::Blank => Payload::Blank,
        EntryPayload::Normal(proposal) => Payload::Batch(proposal.encoded().clone()),
        EntryPayload::Membership(changed) => membership(changed),
    };
    Record::Entry(log_id(entry.log_id()), payload)
}

/// The entry of a record.
///
/// # Errors
/// Where another version wrote it.
pub(crate) fn raft_entry(id: LogId, payload: Payload) -> Result<EntryOf<TypeConfig>, Unreadable> {
    let index = id.index;
    let payload = match payload {
        Payload::Blank => EntryPayload::Blank,
        Payload::Batch(bytes) => EntryPayload::Normal(
            Proposal::from_encoded(bytes)
                .map_err(|problem| Unreadable::Batch { index, problem })?,
        ),
        Payload::Membership { configs, nodes } => {
            EntryPayload::Membership(raft_membership(index, configs, nodes)?)
        }
    };
    Ok(EntryOf::<TypeConfig>::new(raft_log_id(id), payload))
}

/// The records of a membership that is in force, and of the entry that it came from.
pub(crate) fn stored_membership(stored: &StoredMembershipOf<TypeConfig>) -> Option<Record> {
    let id = (*stored.log_id())?;
    Some(Record::Entry(log_id(id), membership(stored.membership())))
}

/// The membership of such a record.
///
/// # Errors
/// Where it is none.
pub(crate) fn raft_stored_membership(
    id: LogId,
    configs: Vec<Vec<NodeId>>,
    nodes: Vec<NodeId>,
) -> Result<StoredMembershipOf<TypeConfig>, Unreadable> {
    let membership = raft_membership(id.index, configs, nodes)?;
    Ok(StoredMembershipOf::<TypeConfig>::new(Some(raft_log_id(id)), membership))
}
