//! A leader that hears nobody, and whose own lines arrive: its followers have to elect another
//! soon, whatever it goes on sending.

#![allow(clippy::print_stdout, reason = "the distribution for the docs")]

use arena::history::Micros;
use arena::nemesis::schedule::{Schedule, Scheduled, Victim, What};
use arena::run::case::{Case, Finished};
use arena::run::outage::ON_ITS_WAY_US;
use arena::targets::sim::Sim;
use arena::workloads::Kind;
use cohort::config::Config;

/// No replacement may take longer, at the shortest round trips.
const LONGEST_US: Micros = 2_500_000;

/// A case in which the leader hears nobody for 10 s, and nothing else is wrong.
fn deaf(seed: u64, nodes: usize, rate: u32, for_us: Micros) -> (Case, Schedule) {
    let case = Case {
        nodes,
        seconds: 20,
        nemeses: Vec::new(),
        rate,
        latency_ms: 1,
        pipeline: 1,
        clients: Case::usual_clients(nodes),
        args: Vec::new(),
        ..Case::swarm_nearby(seed, &Sim::new(seed, Config::default()), &[Kind::LinKv])
    };
    // At any point between two heartbeats.
    let at_us = 3_000_000 + seed * 37_000;
    let what = What::Deaf { who: Victim::Leader };
    (case, Schedule { faults: vec![Scheduled { at_us, for_us, what }] })
}

fn run((case, schedule): (Case, Schedule)) -> Finished {
    let mut target = case.simulator().expect("a simulator");
    let finished = case.perform(&mut target, schedule, &mut |_, _| {}).expect("it can run");
    assert_eq!(finished.outcome.failure, None, "seed {}", case.seed);
    assert_eq!(finished.judgement.exit_code(), 0, "seed {}: {}", case.seed, finished.judgement);
    finished
}

/// After how long another node answered again.
fn replaced_after(finished: &Finished) -> Micros {
    let history = &finished.outcome.history;
    let fault = history.faults.first().expect("the fault");
    let leader = fault.detail.split(' ').nth(2).expect("lines to nX are lost");
    let answered = history.ops.iter().filter(|op| op.node != leader && op.is_decided());
    let after = answered
        .filter(|op| matches!(op.f.as_str(), "read" | "write" | "cas"))
        .filter_map(|op| op.complete_us)
        .filter(|at_us| *at_us > fault.from_us + ON_ITS_WAY_US);
    after.min().expect("another node answers") - fault.from_us
}

#[test]
fn twenty_deaf_leaders_are_replaced_within_two_and_a_half_seconds() {
    for (nodes, rate) in [(5, 100), (5, 4), (3, 100)] {
        let after = |seed| replaced_after(&run(deaf(seed, nodes, rate, 10_000_000)));
        let mut all: Vec<Micros> = (1..=20).map(after).collect();
        all.sort_unstable();
        let seconds: Vec<String> =
            all.iter().map(|us| format!("{:.2}", *us as f64 / 1e6)).collect();
        println!("{nodes} nodes, {rate}/s: {}", seconds.join(" "));
        assert!(all.iter().all(|us| *us <= LONGEST_US), "{nodes} nodes, {rate}/s: {seconds:?}");
    }
}

/// It asks whether it is heard, and goes on where it was: no election is needed.
#[test]
fn a_leader_that_is_deaf_for_a_moment_leads_on() {
    for seed in 1..=10 {
        let finished = run(deaf(seed, 5, 100, 600_000));
        let leaders = &finished.trace.as_ref().expect("a trace").leaders;
        assert_eq!(leaders.len(), 1, "seed {seed}: {leaders:?}");
    }
}
