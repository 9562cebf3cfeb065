//! Nodes of the simulator that crash, one, a majority or all at once, and come back with what they
//! had synced: nothing that was acknowledged may be lost, and every node has to serve again.

use std::sync::atomic::{AtomicU64, Ordering};

use arena::nemesis::Nemesis;
use arena::run::case::Case;
use arena::targets::sim::Sim;
use arena::workloads::Kind;
use cohort::config::Config;

#[path = "support/cases.rs"]
mod cases;

/// Seeds that are run; `ARENA_SEEDS` asks for more.
const SEEDS: u64 = 40;

/// A random case in which nodes restart, whatever else goes wrong.
fn with_restarts(seed: u64) -> Case {
    let mut case = Case::swarm(seed, &Sim::new(seed, Config::default()), &Kind::ALL);
    if !case.nemeses.contains(&Nemesis::Restart) {
        case.nemeses.push(Nemesis::Restart);
    }
    case
}

#[test]
fn random_cases_with_restarts_are_valid() {
    let restarted = AtomicU64::new(0);
    let seeds = cases::all_are_valid(SEEDS, with_restarts, |finished| {
        let faults = &finished.outcome.history.faults;
        if faults.iter().any(|fault| fault.fault == "restart") {
            restarted.fetch_add(1, Ordering::Relaxed);
        }
    });
    let restarted = restarted.into_inner();
    assert!(restarted > seeds * 9 / 10, "nodes came back in {restarted} of {seeds} runs only");
}
