//! Real processes of `cohort`, in real time, under every fault that does not need a clock: fixed
//! seeds, no anomaly. Where nodes are killed and started again, each has its data folder.

use std::path::Path;

use arena::nemesis::Nemesis::{
    self, Duplicate, Kill, Latency, Loss, OneWay, Partition, Pause, Reorder, Restart,
};
use arena::run::case::Case;
use arena::targets::Target;
use arena::targets::process::Processes;
use arena::workloads::Kind;

#[path = "support/cohort.rs"]
mod cohort_binary;

/// Runs a case on real processes and asks for a verdict without anomalies. Gives how often a node
/// was started again.
fn valid(workload: Kind, nodes: usize, nemeses: &[Nemesis], seed: u64) -> usize {
    let logs =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("real-{}-{seed}", workload.name()));
    let mut target = Processes::new(cohort_binary::binary(), Vec::new(), &logs);
    let case = Case {
        workload,
        target: target.name(),
        nodes,
        // Time for a few restarts, each of which takes up to 3 s.
        seconds: if nemeses.contains(&Restart) { 12 } else { 5 },
        nemeses: nemeses.to_vec(),
        seed,
        rate: 100,
        latency_ms: 0,
        constant_latency: false,
        latency_max_ms: 100,
        patience: 5,
        loss: 5,
        duplicate: 5,
        pipeline: 1,
        clients: Case::usual_clients(nodes),
        // A machine that is busy with other tests as well.
        recover: 10,
        bin: None,
        args: Vec::new(),
        schedule: None,
        flaw: None,
    };
    let finished =
        case.perform(&mut target, case.draw_schedule(), &mut |_, _| {}).expect("the target can");
    let history = logs.join("history.jsonl");
    let file = std::fs::File::create(&history).expect("a file for the history");
    finished.outcome.history.write(file).expect("the history is written");
    let repeat = case.repeat();
    assert_eq!(finished.outcome.failure, None, "{repeat}");
    let judgement = finished.judgement;
    assert_eq!(
        judgement.exit_code(),
        0,
        "{judgement}\n{}\nrepeat with {repeat}",
        history.display()
    );
    assert!(!logs.join("data").exists(), "data folders are gone with the run");
    let faults = finished.outcome.history.faults;
    faults.iter().filter(|fault| fault.fault == "restart").count()
}

const NETWORK: [Nemesis; 6] = [Partition, OneWay, Latency, Loss, Duplicate, Reorder];

#[test]
fn kafka_on_five_nodes_with_every_fault_of_the_network() {
    assert_eq!(valid(Kind::Kafka, 5, &NETWORK, 1), 0);
}

#[test]
fn lin_kv_on_three_nodes_with_partitions_and_pauses() {
    assert_eq!(valid(Kind::LinKv, 3, &[Partition, OneWay, Pause, Loss, Duplicate, Reorder], 2), 0);
}

#[test]
fn lin_kv_on_five_nodes_with_a_node_killed() {
    assert_eq!(valid(Kind::LinKv, 5, &[Kill, Latency, Loss, Duplicate], 3), 0);
}

#[test]
fn groups_on_three_nodes_with_every_fault_of_the_network() {
    assert_eq!(valid(Kind::Groups, 3, &NETWORK, 4), 0);
}

#[test]
fn groups_on_five_nodes_with_pauses() {
    assert_eq!(
        valid(Kind::Groups, 5, &[Partition, Pause, Latency, Loss, Duplicate, Reorder], 5),
        0
    );
}

#[test]
fn classic_on_three_nodes_with_partitions_and_pauses() {
    assert_eq!(valid(Kind::Classic, 3, &[Partition, OneWay, Pause, Loss], 6), 0);
}

#[test]
fn offsets_on_three_nodes_with_every_fault_of_the_network() {
    assert_eq!(valid(Kind::Offsets, 3, &NETWORK, 7), 0);
}

#[test]
fn kafka_on_three_nodes_that_are_killed_and_come_back() {
    let restarts = valid(Kind::Kafka, 3, &[Restart, Loss, Duplicate], 8);
    assert!(restarts >= 5, "{restarts} restarts");
}

#[test]
fn lin_kv_on_one_node_that_is_killed_and_comes_back() {
    let restarts = valid(Kind::LinKv, 1, &[Restart], 9);
    assert!(restarts >= 3, "{restarts} restarts");
}

#[test]
fn offsets_on_three_nodes_that_are_killed_paused_and_cut_off() {
    let restarts = valid(Kind::Offsets, 3, &[Restart, Pause, Partition], 10);
    assert!(restarts >= 3, "{restarts} restarts");
}
