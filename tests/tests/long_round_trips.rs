//! Round trips that are longer than the timers of the configuration: nodes elect a leader, serve
//! and read all the same, at light load too.

use arena::history::{Op, Outcome};
use arena::nemesis::Nemesis;
use arena::run::case::Case;
use arena::targets::sim::Sim;
use arena::workloads::Kind;
use cohort::config::Config;

/// Five or three nodes, two operations a second, every line between nodes taking exactly that long.
fn far(workload: Kind, nodes: usize, latency_ms: u32, seed: u64) -> Case {
    let drawn = Case::swarm_nearby(seed, &Sim::new(seed, Config::default()), &[workload]);
    Case {
        nodes,
        seconds: 60,
        nemeses: Vec::new(),
        rate: 2,
        latency_ms,
        constant_latency: true,
        pipeline: 1,
        clients: 2 * nodes,
        args: Vec::new(),
        ..drawn
    }
}

/// Runs a case and judges it. Gives all operations of clients.
fn operations(case: &Case) -> Vec<Op> {
    let mut target = case.simulator().expect("a simulator");
    let finished =
        case.perform(&mut target, case.draw_schedule(), &mut |_, _| {}).expect("it can run");
    assert_eq!(finished.outcome.failure, None, "{}", case.repeat());
    assert_eq!(finished.judgement.exit_code(), 0, "{}\n{}", finished.judgement, case.repeat());
    let mut operations = finished.outcome.history.ops;
    operations.retain(|op| op.f != "cluster_status");
    operations
}

/// Whether somebody decided it: it was not refused for want of a leader, and not left open.
fn decided(op: &Op) -> bool {
    op.outcome != Outcome::Info && op.code != Some(11)
}

/// At least 95 % of the operations are decided.
fn are_decided(case: &Case) {
    let operations = operations(case);
    let of = operations.len();
    let decided = operations.iter().filter(|op| decided(op)).count();
    assert!(
        decided * 100 >= of * 95,
        "{decided} of {of} operations were decided: {}",
        case.repeat()
    );
}

/// With clients that wait 5 s, as most of Maelstrom's do.
#[test]
fn operations_are_decided_at_160_and_200_ms_one_way() {
    for workload in [Kind::LinKv, Kind::Kafka] {
        for (nodes, latency_ms) in [(3, 160), (5, 160), (3, 200), (5, 200)] {
            are_decided(&far(workload, nodes, latency_ms, 2));
        }
    }
}

/// With clients that wait long enough, as Maelstrom's `lin-kv` does: ten times the latency.
#[test]
fn operations_are_decided_at_500_and_1000_ms_one_way() {
    for workload in [Kind::LinKv, Kind::Kafka] {
        for (nodes, latency_ms) in [(3, 500), (5, 500), (3, 1_000), (5, 1_000)] {
            are_decided(&far(workload, nodes, latency_ms, 2).patient());
        }
    }
}

/// Before, no ReadIndex succeeded where a round trip was longer than a heartbeat interval.
#[test]
fn seed_2_reads_alone_are_answered_over_round_trips_longer_than_a_heartbeat_interval() {
    for latency_ms in [140, 160, 180, 200, 250, 500, 1_000] {
        let case = far(Kind::LinKv, 5, latency_ms, 2).patient();
        let operations = operations(&case);
        let reads: Vec<&Op> = operations.iter().filter(|op| op.f == "read").collect();
        let decided = reads.iter().filter(|op| decided(op)).count();
        assert!(
            reads.len() > 40 && decided * 100 >= reads.len() * 95,
            "{decided} of {}",
            reads.len()
        );
    }
}

/// Appends overtake each other. Where the one that came first was refused, openraft took that for a
/// follower that had lost entries, and stopped.
#[test]
fn seeds_1_to_4_an_append_that_overtakes_another_is_sent_again() {
    for seed in 1..=4 {
        let mut case = far(Kind::Kafka, 5, 200, seed).patient();
        (case.constant_latency, case.rate, case.seconds) = (false, 100, 8);
        case.nemeses = vec![Nemesis::Reorder, Nemesis::Loss];
        assert!(operations(&case).iter().any(decided), "{}", case.repeat());
    }
}

/// Maelstrom's `lin-kv` waits 1 s at 100 ms, and ten times the latency above that.
#[test]
fn seed_2_the_first_requests_are_answered_within_ten_times_the_latency() {
    for latency_ms in [100, 200, 500] {
        let case = far(Kind::Kafka, 5, latency_ms, 2).patient();
        for op in operations(&case).iter().filter(|op| op.invoke_us < 1_000) {
            let took_us = op.complete_us.expect("it was answered") - op.invoke_us;
            assert!(decided(op) && took_us <= u64::from(latency_ms) * 10_000, "{op:?}");
        }
    }
}
