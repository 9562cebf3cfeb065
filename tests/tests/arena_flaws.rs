//! Planted bugs inside of the node: every flaw that can be put into a node is found by the arena
//! within a few random cases, by a checker of the property that the flaw breaks. `docs/arena.md`
//! has the table; `scripts/arena WORKLOAD --stage sim --flaw NAME` shows one.

#![allow(clippy::print_stdout, reason = "the figures of the table in the docs")]

use arena::run::case::Case;
use arena::targets::sim::Sim;
use arena::workloads::Kind::{self, Classic, Groups, Kafka, LinKv, Offsets};
use cohort::config::Config;
use raft_store::flaws::Flaw;

/// Cases within which a flaw has to be found.
const SEEDS: u64 = 250;

/// Runs random cases until one of the named checkers finds the flaw, and tells how many it took.
#[track_caller]
fn found(flaw: Flaw, workload: Kind, by: &[&str]) {
    let mut seen = Vec::new();
    for seed in 1..=SEEDS {
        let any = Sim::new(seed, Config::default());
        let case = Case { flaw: Some(flaw), ..Case::swarm(seed, &any, &[workload]) };
        let mut target = case.simulator().expect("a simulator");
        let finished = case
            .perform(&mut target, case.draw_schedule(), &mut |_, _| {})
            .expect("the target can");
        seen.extend(finished.judgement.anomalies().map(|(checker, _)| checker));
        if let Some(checker) = seen.iter().find(|checker| by.contains(*checker)) {
            println!("| {flaw} | {} | {checker} | {seed} | {seen:?}", workload.name());
            return;
        }
    }
    panic!("{flaw} was not found within {SEEDS} seeds; others saw {seen:?}");
}

#[test]
fn an_acknowledged_write_is_lost_at_fail_over() {
    found(Flaw::AcknowledgedBeforeCommit, Kafka, &["lost-write", "unseen"]);
}

#[test]
fn a_retry_is_applied_twice() {
    found(Flaw::RetryAppliedTwice, Kafka, &["duplicate", "twice-applied"]);
}

#[test]
fn a_retry_that_is_applied_twice_shows_in_the_state() {
    found(Flaw::RetryAppliedTwice, Kafka, &["state/twice-applied"]);
}

#[test]
fn a_paused_leader_answers_from_an_old_state() {
    found(Flaw::StaleRead, LinKv, &["linearizable-register", "state/stale-leader"]);
}

#[test]
fn the_generation_of_a_commit_is_not_checked() {
    found(Flaw::GenerationNotChecked, Classic, &["fenced-commit", "state/fenced-commit"]);
}

#[test]
fn a_partition_is_handed_over_before_it_was_given_up() {
    found(Flaw::EarlyHandover, Groups, &["double-ownership", "overlapping-ownership"]);
}

#[test]
fn a_session_expires_by_the_clock_of_a_deposed_leader() {
    found(Flaw::DeposedClock, Groups, &["early-eviction", "state/early-eviction"]);
}

#[test]
fn origins_are_forgotten_too_early() {
    found(Flaw::RequestsForgotten, Kafka, &["duplicate", "twice-applied"]);
}

#[test]
fn a_snapshot_lacks_a_group() {
    found(Flaw::SnapshotWithoutGroup, Offsets, &["state/replica-divergence"]);
}

#[test]
fn a_new_leader_gives_no_full_session() {
    found(Flaw::NoFullSession, Groups, &["early-eviction", "state/early-eviction"]);
}

#[test]
fn apply_reads_a_clock() {
    found(Flaw::ClockInApply, Groups, &["state/replica-divergence"]);
}

#[test]
fn a_join_makes_two_members() {
    found(Flaw::JoinedTwice, Classic, &["lost-member", "state/lost-member"]);
}

#[test]
fn a_poll_skips_after_fail_over() {
    found(Flaw::PollSkips, Kafka, &["poll-skip"]);
}

#[test]
fn an_acknowledged_write_is_lost_in_a_crash() {
    found(
        Flaw::AcknowledgedBeforeSync,
        Kafka,
        &["lost-write", "unseen", "state/one-entry-per-index"],
    );
}

#[test]
fn a_node_forgets_its_vote() {
    found(Flaw::VoteForgotten, LinKv, &["state/one-leader-per-term", "state/one-entry-per-index"]);
}

#[test]
fn every_flaw_has_its_name_and_is_off_unless_asked_for() {
    for flaw in Flaw::ALL {
        assert_eq!(flaw.name().parse(), Ok(flaw));
    }
    let unknown = "none-such".parse::<Flaw>().expect_err("no flaw");
    assert!(unknown.contains("none-such") && unknown.contains("stale-read"), "{unknown}");
    let case = Case::swarm(1, &Sim::new(1, Config::default()), &Kind::ALL);
    assert_eq!(case.flaw, None);
}
