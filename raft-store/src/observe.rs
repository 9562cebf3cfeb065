//! Who is told what a node does.
//!
//! A node's own code reports each fact once, where the fact becomes true: an entry was applied, a
//! term was won, a request was decided. An [`Observer`] hears them in the order of time. The
//! simulator attaches one to each simulated machine, and its checkers judge what it heard.
//!
//! A process that runs outside a simulator has no machine to attach to. Reporting then costs one
//! look at a thread-local variable, and the fact is not even put together.
//!
//! This module does not know what an observer does with what it hears. An observer must not change
//! what the node does: a run with one and a run without are the same run.

use std::fmt;
use std::sync::Arc;

use runtime::Host;
use state_machine::State;
use state_machine::command::RequestId;
use state_machine::ids::{GroupId, MemberId};

use crate::raft::types::Proposal;
use crate::records::RecordStore;

/// Hears what one incarnation of a node does, in the order of time.
///
/// [`runtime::wall_ms`] is the node's own clock while it is called.
pub trait Observer: fmt::Debug + Send + Sync {
    /// The node applied an entry of the log. `state` and `records` are as they are after it.
    fn applied(&self, entry: &AppliedEntry<'_>, state: &State, records: &RecordStore);
    /// The node leads a term, and knows it.
    fn leads(&self, term: u64);
    /// The node took a request in, to decide it as the leader.
    fn took(&self, request_id: &RequestId);
    /// The node decided the request, as the leader of a term.
    fn decided(&self, request_id: &RequestId, term: u64);
    /// An answer of the node proved a member alive.
    fn heard(&self, group: &GroupId, member: &MemberId);
    /// A round of reads alone accepted a member's request. `applied` is the index of the last entry
    /// that the node had applied. Reads that are batched with an entry are not reported.
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
}

/// How a machine keeps its observer.
struct Attached(Arc<dyn Observer>);

/// The same machine with an observer of the node that will run on it. It takes the place of an
/// earlier one.
#[must_use]
pub fn attach(host: Host, observer: Arc<dyn Observer>) -> Host {
    host.with_attachment(Attached(observer))
}

/// Reports a fact to the observer of the current node, if there is one.
pub fn report(fact: impl FnOnce(&dyn Observer)) {
    if let Some(attached) = runtime::attachment::<Attached>() {
        fact(&*attached.0);
    }
}
