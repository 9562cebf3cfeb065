//! The replicated state of one node, and where in the log it stands.
//!
//! A replica applies one entry after the other and decides nothing: that is [`state_machine`]'s.
//! What it adds is *batched reads*. A leader that proposes writes also has reads to answer. They
//! go with the entry but are not in it: they are registered here under the entry's [`RoundId`],
//! and answered when the entry is applied, each between the writes around which it came in. So a
//! read sees what its client wrote before, and no more.

use std::collections::BTreeMap;

use openraft::alias::{LogIdOf, StoredMembershipOf};
use state_machine::State;
use state_machine::command::{Batch, Query};
use state_machine::event::Event;

use crate::flaws;
use crate::observe::{self, AppliedEntry};
use crate::raft::types::{Applied, Proposal, RoundId, Snapshot, TypeConfig};

/// The reads of a round: how many writes of the round come before each.
pub type BatchedReads = Vec<(usize, Query)>;

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Replica {
    /// The state after the last applied entry.
    pub(crate) state: State,
    /// The last applied entry.
    pub(super) applied: Option<LogIdOf<TypeConfig>>,
    /// The last applied membership of the Raft group.
    pub(super) membership: StoredMembershipOf<TypeConfig>,
    /// The last snapshot that was taken or installed.
    pub(super) snapshot: Option<Snapshot>,
    /// Reads that wait for the entry of their round.
    pub(crate) batched_reads: BTreeMap<RoundId, BatchedReads>,
}

impl Replica {
    /// Applies an entry of the log; `proposal` is `None` for Raft's own. `answer` says whether this
    /// node proposed it, and somebody here waits for what it leads to.
    pub(super) fn apply_entry(
        &mut self,
        id: LogIdOf<TypeConfig>,
        proposal: Option<&Proposal>,
        answer: bool,
    ) -> Applied {
        let applied = match proposal {
            Some(proposal) => flaws::apply_batch(self, proposal, answer),
            None => Applied::default(),
        };
        observe::report(|observer| {
            let (index, term) = (id.index(), id.committed_leader_id().term);
            observer.applied(&AppliedEntry { index, term, proposal }, &self.state);
        });
        applied
    }

    /// Applies the batch of a round.
    pub(crate) fn apply_batch(&mut self, round: RoundId, batch: &Batch, answer: bool) -> Applied {
        self.state.begin(batch);
        let mut applied = Applied::default();
        if !answer {
            for write in &batch.writes {
                // Nobody waits here: refusals are the same on the node that answers.
                let _outcome = self.state.apply(write, None);
            }
            return applied;
        }
        let batched_reads = self.batched_reads.remove(&round).unwrap_or_default();
        let mut batched_reads = batched_reads.into_iter().peekable();
        applied.outcomes.reserve(batch.writes.len());
        let mut events = Vec::new();
        for (i, write) in batch.writes.iter().enumerate() {
            while let Some((_, query)) = batched_reads.next_if(|(after, _)| *after <= i) {
                applied.answers.push(self.state.query(&query));
            }
            let mut outcome = self.state.apply(write, Some(&mut events));
            // Only what concerns groups is waited for; records would be held twice.
            let of_groups = events.drain(..).filter(|event| matches!(event, Event::Group { .. }));
            applied.events.extend(of_groups);
            self.state.fill(&mut outcome);
            applied.outcomes.push(outcome);
        }
        applied.answers.extend(batched_reads.map(|(_, query)| self.state.query(&query)));
        applied
    }
}
