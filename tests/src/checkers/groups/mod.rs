//! Consumer groups: the predicates G1 to G24, C3 and C4 on what clients saw.
//!
//! No public checker has these; they are taken from Kafka's rules and from what testers of
//! Kafka-like systems found broken (`docs/checkers.md` has the table). Each file holds one
//! predicate and says for which kinds of groups it holds. Those that need more than a history can
//! tell have a counterpart in [`super::state`], and answer
//! [`Verdict::NotJudged`](super::Verdict::NotJudged) here.

mod accepted_after_removal;
mod at_least_once;
mod commit_beyond_end;
mod commit_reassign_gap;
mod dead_member_kept;
mod double_ownership;
mod early_eviction;
pub mod epochs;
mod fenced_commit;
mod generation_reuse;
mod lost_member;
mod no_convergence;
pub mod no_progress;
mod not_covering;
mod offset_goes_back;
mod outside_subscription;
pub mod overlapping_ownership;
mod rebalance_storm;
mod reset_position;
pub mod settle;
mod spurious_offset;
mod stale_leader;
mod starved_member;
mod state_only;
mod twice_applied;
mod two_generations;
mod unread_partition;
pub mod view;

pub use accepted_after_removal::AcceptedAfterRemoval;
pub use at_least_once::AtLeastOnce;
pub use commit_beyond_end::CommitBeyondEnd;
pub use commit_reassign_gap::CommitReassignGap;
pub use dead_member_kept::DeadMemberKept;
pub use double_ownership::DoubleOwnership;
pub use early_eviction::EarlyEviction;
pub use fenced_commit::FencedCommit;
pub use generation_reuse::GenerationReuse;
pub use lost_member::LostMember;
pub use no_convergence::NoConvergence;
pub use no_progress::NoProgress;
pub use not_covering::NotCovering;
pub use offset_goes_back::OffsetGoesBack;
pub use outside_subscription::OutsideSubscription;
pub use overlapping_ownership::OverlappingOwnership;
pub use rebalance_storm::RebalanceStorm;
pub use reset_position::ResetPosition;
pub use spurious_offset::SpuriousOffset;
pub use stale_leader::StaleLeader;
pub(crate) use stale_leader::older_after_newer;
pub use starved_member::StarvedMember;
pub use state_only::{NondeterministicApply, ReplicaDivergence};
pub use twice_applied::TwiceApplied;
pub use two_generations::TwoGenerations;
pub use unread_partition::UnreadPartition;

use super::Checker;

/// The checkers of groups, G1 first, then C3 and C4.
#[must_use]
pub fn all() -> Vec<&'static dyn Checker> {
    vec![
        &DoubleOwnership,
        &OverlappingOwnership,
        &TwoGenerations,
        &GenerationReuse,
        &NotCovering,
        &OutsideSubscription,
        &StarvedMember,
        &NoConvergence,
        &RebalanceStorm,
        &OffsetGoesBack,
        &SpuriousOffset,
        &CommitBeyondEnd,
        &FencedCommit,
        &AcceptedAfterRemoval,
        &EarlyEviction,
        &DeadMemberKept,
        &StaleLeader,
        &CommitReassignGap,
        &AtLeastOnce,
        &LostMember,
        &ReplicaDivergence,
        &NondeterministicApply,
        &TwiceApplied,
        &NoProgress,
        &ResetPosition,
        &UnreadPartition,
    ]
}
