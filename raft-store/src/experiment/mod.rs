//! What a simulator attaches to a node: somebody who is told what the node does, and a fault put in on purpose.
//!
//! A simulated machine ([`Host`](runtime::Host)) carries an [`Experiment`]; a process has no host, hence none, and pays
//! one look at a thread-local variable for each fact that it does not tell. Flaws exist only where debug assertions
//! are on: a release build decides at compile time that there is none.
//!
//! This module owns the seam and the flaws that lie between the log and the replicated state. It does not know what a witness does
//! with what it is told.

use std::fmt;
use std::sync::Arc;

use state_machine::State;
use state_machine::command::{Batch, RequestId};
use state_machine::ids::{GroupId, MemberId};

use crate::raft::Proposal;

mod flaw;

pub use flaw::Flaw;
pub(crate) use flaw::{broken_batch, broken_snapshot, broken_writes_after};

/// Is told what one life of a node does, in the order of time. [`runtime::wall_ms`] is the node's own clock meanwhile.
pub trait Witness: fmt::Debug + Send + Sync {
    /// The node applied an entry of the log; `state` is the state after it.
    fn applied(&self, entry: &AppliedEntry<'_>, state: &State);
    /// The node leads a term, and knows it.
    fn leads(&self, term: u64);
    /// The node took a request in to decide it as the leader.
    fn took(&self, request_id: &RequestId);
    /// It has decided the request, as the leader of a term.
    fn decided(&self, request_id: &RequestId, term: u64);
    /// An answer of the node proved a member alive.
    fn heard(&self, group: &GroupId, member: &MemberId);
    /// A member's request was accepted in a round of reads alone, by what the node had applied, up to the index `applied`.
    /// Reads that ride on an entry are not told.
    fn served(&self, group: &GroupId, member: &MemberId, applied: u64);
}

/// An entry of the log, as one node applied it.
#[derive(Debug, Clone, Copy)]
pub struct AppliedEntry<'a> {
    /// Its index in the log.
    pub index: u64,
    /// The term in which it was proposed.
    pub term: u64,
    /// What it says; `None` for Raft's own entries.
    pub proposal: Option<&'a Proposal>,
    /// What the state machine was given where that was something else, because of a [`Flaw`].
    pub given: Option<&'a Batch>,
}

/// What is attached to a simulated node.
#[derive(Debug, Clone, Default)]
pub struct Experiment {
    /// Who is told what the node does.
    pub witness: Option<Arc<dyn Witness>>,
    /// What is wrong with the node.
    pub flaw: Option<Flaw>,
}

/// Tells the current node's witness, if there is one.
pub fn tell(what: impl FnOnce(&dyn Witness)) {
    if let Some(witness) =
        runtime::attachment::<Experiment>().and_then(|experiment| experiment.witness.clone())
    {
        what(&*witness);
    }
}

/// Whether the current node has this flaw. Never in a build without debug assertions.
pub fn has(flaw: Flaw) -> bool {
    cfg!(debug_assertions)
        && runtime::attachment::<Experiment>().is_some_and(|experiment| experiment.flaw == Some(flaw))
}
