//! Planted bugs inside of the node: every flaw that can be put into a node is found by the arena
//! within a few random cases, by a checker of the property that the flaw breaks. `docs/arena.md`
//! has the table; `scripts/arena WORKLOAD --stage sim --flaw NAME` shows one.

#![allow(clippy::print_stdout, reason = "the figures of the table in the docs")]

use arena::nemesis::Nemesis::{self, FailingDisk, Loss, OneWay, Partition, Pause, Restart};
use arena::run::case::Case;
use arena::targets::sim::Sim;
use arena::workloads::Kind::{self, Classic, Groups, Kafka, LinKv, Offsets, Records};
use cohort::config::Config;
use raft_store::flaws::Flaw;

/// Cases within which a flaw has to be found.
const SEEDS: u64 = 250;

/// The same for a flaw of storage, in cases that are made for it.
const DISK_SEEDS: u64 = 60;

const LOSSES: [Nemesis; 2] = [OneWay, Loss];

/// Runs random cases until one of the named checkers finds the flaw, and tells how many it took.
#[track_caller]
fn found(flaw: Flaw, workload: Kind, by: &[&str]) {
    let of = |seed| Case::swarm(seed, &Sim::new(seed, Config::default()), &[workload]);
    found_in(flaw, of, by);
}

/// The same with other cases than the soak's.
#[track_caller]
fn found_in(flaw: Flaw, case_of: impl Fn(u64) -> Case, by: &[&str]) {
    let mut seen = Vec::new();
    for seed in 1..=SEEDS {
        let case = Case { flaw: Some(flaw), ..case_of(seed) };
        let mut target = case.simulator().expect("a simulator");
        let finished = case
            .perform(&mut target, case.draw_schedule(), &mut |_, _| {})
            .expect("the target can");
        seen.extend(finished.judgement.anomalies().map(|(checker, _)| checker));
        if let Some(checker) = seen.iter().find(|checker| by.contains(*checker)) {
            println!("| {flaw} | {} | {checker} | {seed} | {seen:?}", case.workload.name());
            return;
        }
    }
    panic!("{flaw} was not found within {SEEDS} seeds; others saw {seen:?}");
}

/// A case of three nodes with these nemeses.
fn three_nodes(seed: u64, workload: Kind, nemeses: &[Nemesis]) -> Case {
    Case {
        nodes: 3,
        clients: Case::usual_clients(3),
        seconds: 12,
        rate: 100,
        latency_ms: 0,
        pipeline: 1,
        args: Vec::new(),
        nemeses: nemeses.to_vec(),
        ..Case::swarm_nearby(seed, &Sim::new(seed, Config::default()), &[workload])
    }
}

/// Runs cases of three nodes with these nemeses until a node does not come back, or ends without a
/// fault that excuses it. What was lost is noticed by the node that finds the rest: it must not go
/// on, and the arena must not take that for a fault of the disk.
#[track_caller]
fn stops_a_node(flaw: Flaw, workload: Kind, nemeses: &[Nemesis]) {
    seen_at_the_door(flaw, workload, nemeses, &["not-back", "died"]);
}

/// Runs cases of three nodes with these nemeses until the arena itself sees one of these kinds of
/// breaches.
#[track_caller]
fn seen_at_the_door(flaw: Flaw, workload: Kind, nemeses: &[Nemesis], kinds: &[&str]) {
    for seed in 1..=DISK_SEEDS {
        let case = Case { flaw: Some(flaw), ..three_nodes(seed, workload, nemeses) };
        let mut target = case.simulator().expect("a simulator");
        let finished = case
            .perform(&mut target, case.draw_schedule(), &mut |_, _| {})
            .expect("the target can");
        let form = finished.judgement.anomalies().find(|(checker, _)| *checker == "door");
        let accounts = form.map(|(_, violations)| violations).unwrap_or_default();
        let seen = |account: &str| kinds.iter().any(|kind| account.starts_with(kind));
        if let Some(found) = accounts.iter().find(|violation| seen(&violation.account)) {
            println!("| {flaw} | {} | door | {seed} | {}", workload.name(), found.account);
            return;
        }
    }
    panic!("{flaw} was not found within {DISK_SEEDS} seeds");
}

#[test]
fn names_of_files_are_not_synced() {
    stops_a_node(Flaw::NamesNotSynced, Kafka, &[Restart]);
}

#[test]
fn a_failed_sync_is_tried_again() {
    stops_a_node(Flaw::SyncRetried, LinKv, &[FailingDisk, Restart]);
}

#[test]
fn a_group_of_the_log_vouches_for_itself() {
    stops_a_node(Flaw::SyncedTooHigh, Kafka, &[Restart]);
}

#[test]
fn a_checkpoint_is_named_before_it_is_synced() {
    stops_a_node(Flaw::CheckpointNotSynced, Kafka, &[Restart]);
}

#[test]
fn a_checkpoint_is_named_before_its_segments_are_synced() {
    stops_a_node(Flaw::SegmentsNotSynced, Kafka, &[Restart]);
}

#[test]
fn what_stands_behind_the_end_of_a_segment_is_believed() {
    let of = |seed| Case {
        args: ["--snapshot-entries", "20"].map(str::to_owned).to_vec(),
        ..three_nodes(seed, Kafka, &[Partition, Restart])
    };
    found_in(Flaw::LongerSegmentsBelieved, of, &["state/replica-divergence", "door"]);
}

#[test]
fn a_truncation_is_not_written() {
    stops_a_node(Flaw::TruncationForgotten, Kafka, &[Partition, Restart]);
}

#[test]
fn the_log_is_purged_before_the_checkpoint_is_durable() {
    stops_a_node(Flaw::PurgedTooEarly, Kafka, &[Restart]);
}

#[test]
fn a_leader_that_hears_nobody_goes_on_sending() {
    seen_at_the_door(Flaw::DeafLeader, LinKv, &[OneWay], &["not-replaced"]);
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
    let of = |seed| Case { rate: 200, ..three_nodes(seed, LinKv, &[Pause]) };
    found_in(Flaw::StaleRead, of, &["linearizable-register", "state/stale-leader"]);
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
fn a_read_that_comes_again_sees_what_its_client_wrote_later() {
    // Clients that do not wait for their answers, and answers that get lost.
    let of = |seed| Case { rate: 200, pipeline: 4, loss: 10, ..three_nodes(seed, Kafka, &LOSSES) };
    found_in(Flaw::ReadAgain, of, &["later-write"]);
}

#[test]
fn a_poll_whose_reply_does_not_fit_skips_what_it_could_not_tell() {
    found(Flaw::EscapesNotCounted, Groups, &["node-fault"]);
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
fn a_new_leader_forgets_idempotent_producers() {
    found(Flaw::ProducersForgotten, Records, &["state/idempotent-duplicate"]);
}

#[test]
fn a_new_leader_takes_any_number_for_the_first() {
    found(Flaw::ProducersForgotten, Records, &["state/idempotent-gap"]);
}

#[test]
fn a_record_of_an_epoch_that_is_over_is_appended() {
    found(Flaw::EpochsNotChecked, Records, &["state/producer-epoch"]);
}

#[test]
fn a_deletion_of_records_deletes_nothing() {
    found(Flaw::RecordDeletionsLost, Records, &["state/records-not-deleted"]);
}

#[test]
fn a_deletion_of_records_takes_one_too_many() {
    found(Flaw::DeletedTooFar, Records, &["state/records-removed-early"]);
}

#[test]
fn the_retention_is_shorter_than_it_was_set() {
    found(Flaw::RetainedTooShort, Records, &["state/records-removed-early"]);
}

#[test]
fn records_go_with_those_before_them() {
    found(Flaw::SegmentTooMany, Records, &["state/records-missing"]);
}

#[test]
fn a_partition_that_was_emptied_begins_anew() {
    found(Flaw::EmptiedBeginsAnew, Records, &["state/start-goes-back"]);
}

#[test]
fn a_deleted_topic_is_there_again() {
    found(Flaw::TopicComesBack, Groups, &["state/topic-outlived"]);
}

#[test]
fn offsets_stay_when_their_topic_goes() {
    found(Flaw::OffsetsOutliveTopic, Records, &["state/topic-outlived"]);
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
