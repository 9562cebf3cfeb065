//! The planted bugs of the service. `raft_store::flaws::Flaw` lists all that there are.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use raft_store::flaws::{self, Flaw};
use raft_store::{Proposal, StateMachine};
use state_machine::State;
use state_machine::command::Query;
use state_machine::keyed_logs::command::KeyedLogQuery;
use wire::errors;

use crate::service::api::RequestNumber;
use crate::service::deadlines;
use crate::service::round::{End, RoundEnd};

/// See [`VERSION`](super::VERSION). `scripts/check` looks for these words in a release.
pub(crate) const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " with planted bugs");

/// How long [`Flaw::AcknowledgedBeforeCommit`] waits for a quorum.
const IMPATIENCE: Duration = Duration::from_millis(50);

/// How much of a session [`Flaw::NoFullSession`] takes away, in ms.
const LOST_SESSION_MS: u64 = 9_000;

/// A node has [`Flaw::PollSkips`] in this many of the first rounds that it ever proposes.
const SKIPPING_ROUNDS: u64 = 20;

pub(super) fn round_end(machine: &StateMachine, proposal: Option<&Proposal>, end: End) -> End {
    match proposal {
        None if flaws::has(Flaw::StaleRead) => Box::pin(async { RoundEnd::MayRead }),
        Some(proposal) if flaws::has(Flaw::AcknowledgedBeforeCommit) => {
            Box::pin(impatient(machine.clone(), proposal.clone(), end))
        }
        _ => end,
    }
}

/// The end of a round, but where a quorum takes its time, its word is not waited for.
async fn impatient(machine: StateMachine, proposal: Proposal, end: End) -> RoundEnd {
    tokio::select! {
        biased;
        end = end => end,
        () = runtime::sleep(IMPATIENCE) => match flaws::preview(&machine, &proposal) {
            Ok(applied) => RoundEnd::Applied(applied),
            Err(error) => RoundEnd::Fatal(error.to_string()),
        },
    }
}

pub(super) fn overtaken_by(later: Option<RequestNumber>) -> Option<RequestNumber> {
    later.filter(|_| !flaws::has(Flaw::ReadAgain))
}

pub(super) fn remembered_reads(bytes: usize) -> usize {
    if flaws::has(Flaw::ReadAgain) { 0 } else { bytes }
}

pub(super) fn is_heard(heard: bool) -> bool {
    heard || flaws::has(Flaw::DeafLeader)
}

/// [`Flaw::TakenForKnown`] refuses batches as if they were too large.
pub(super) fn refused_batch(code: i16) -> i16 {
    if code == errors::MESSAGE_TOO_LARGE && flaws::has(Flaw::TakenForKnown) {
        return errors::DUPLICATE_SEQUENCE_NUMBER;
    }
    code
}

pub(super) fn read_position(mut query: Query, rounds: u64) -> Query {
    if let Query::KeyedLog(KeyedLogQuery::Poll { offsets }) = &mut query
        && rounds < SKIPPING_ROUNDS
        && flaws::has(Flaw::PollSkips)
    {
        offsets.iter_mut().for_each(|(_, offset)| *offset += 1);
    }
    query
}

/// The deadlines of a leader whose [`reset`](Self::reset) may go wrong.
#[derive(Debug, Default)]
pub(crate) struct Deadlines(deadlines::Deadlines);

impl Deadlines {
    /// This node begins to lead, and should give everyone full time from now on.
    pub(crate) fn reset(&mut self, state: &State, now_ms: u64) {
        if flaws::has(Flaw::DeposedClock)
            && let Some(last) =
                flaws::recall::<deadlines::Deadlines>().filter(|last| last.next().is_some())
        {
            self.0 = last;
            return;
        }
        let lost_ms = if flaws::has(Flaw::NoFullSession) { LOST_SESSION_MS } else { 0 };
        self.0.reset(state, now_ms.saturating_sub(lost_ms));
    }
}

impl Drop for Deadlines {
    /// The leadership ends, and its deadlines should be forgotten.
    fn drop(&mut self) {
        if flaws::has(Flaw::DeposedClock) {
            flaws::remember(std::mem::take(&mut self.0));
        }
    }
}

impl Deref for Deadlines {
    type Target = deadlines::Deadlines;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Deadlines {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}
