//! Properties of the replicated state itself, which only a simulator can see.
//!
//! This module owns the facts that such checkers need ([`StateTrace`]) and the list of them. It
//! knows no state machine and no Raft: a simulator writes the facts down, in its own words and
//! hashes. Their names begin with `state/`; where a predicate of groups has a checker of histories
//! too, the rest of both names is the same.

mod commit_beyond_end;
mod dead_member_kept;
mod double_ownership;
mod early_eviction;
mod fenced_commit;
mod generation_reuse;
mod idempotent_duplicate;
mod idempotent_gap;
mod invariants;
mod lost_member;
mod not_covering;
mod one_entry_per_index;
mod one_leader_per_term;
mod outside_subscription;
mod producer_epoch;
mod producer_streams;
mod rebalance_storm;
mod records_missing;
mod records_not_deleted;
mod records_removed_early;
mod replicas;
mod served_after_removal;
mod stale_leader;
mod start_goes_back;
mod topic_outlived;
pub mod trace;
mod twice_applied;

pub use trace::StateTrace;

use super::{Verdict, Violation};

/// A property that a trace of states can be checked for.
pub trait StateChecker: Sync {
    /// `state/` and a short name in kebab-case, which is that of the checker of histories if there
    /// is one.
    fn name(&self) -> &'static str;
    /// Judges a trace.
    fn check(&self, trace: &StateTrace) -> Verdict;
}

/// Every checker of traces: Raft's own properties first, then G1 to G23, then those of logs, topics
/// and producers.
#[must_use]
pub fn all() -> Vec<&'static dyn StateChecker> {
    vec![
        &one_leader_per_term::OneLeaderPerTerm,
        &one_entry_per_index::OneEntryPerIndex,
        &invariants::Invariants,
        &double_ownership::DoubleOwnership,
        &generation_reuse::GenerationReuse,
        &not_covering::NotCovering,
        &outside_subscription::OutsideSubscription,
        &rebalance_storm::RebalanceStorm,
        &commit_beyond_end::CommitBeyondEnd,
        &fenced_commit::FencedCommit,
        &served_after_removal::ServedAfterRemoval,
        &early_eviction::EarlyEviction,
        &dead_member_kept::DeadMemberKept,
        &stale_leader::StaleLeader,
        &lost_member::LostMember,
        &replicas::ReplicaDivergence,
        &replicas::NondeterministicApply,
        &twice_applied::TwiceApplied,
        &start_goes_back::StartGoesBack,
        &records_not_deleted::RecordsNotDeleted,
        &records_removed_early::RecordsRemovedEarly,
        &records_missing::RecordsMissing,
        &topic_outlived::TopicOutlived,
        &idempotent_duplicate::IdempotentDuplicate,
        &idempotent_gap::IdempotentGap,
        &producer_epoch::ProducerEpoch,
    ]
}

/// Judges a trace by every checker of traces.
#[must_use]
pub fn check_all(trace: &StateTrace) -> Vec<(&'static str, Verdict)> {
    all().into_iter().map(|checker| (checker.name(), checker.check(trace))).collect()
}

/// A violation that no operation of a history shows.
fn violation(account: String) -> Violation {
    Violation::new(account, [])
}
