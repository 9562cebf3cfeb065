//! Nodes of the simulator that crash, one, a majority or all at once, and come back with what they
//! had synced: nothing that was acknowledged may be lost, and every node has to serve again.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use arena::nemesis::Nemesis;
use arena::run::case::{Case, Finished};
use arena::targets::sim::Sim;
use arena::workloads::Kind;
use cohort::config::Config;

/// Seeds that are run; `ARENA_SEEDS` asks for more.
const SEEDS: u64 = 40;

fn run(case: &Case) -> Result<Finished, String> {
    let finished = case.perform(
        &mut case.simulator().expect("a simulator"),
        case.draw_schedule(),
        &mut |_, _| {},
    );
    let finished = finished.map_err(|e| e.to_string())?;
    let wrong = (finished.judgement.exit_code() != 0).then(|| finished.judgement.summary());
    match finished.outcome.failure.clone().or(wrong) {
        Some(problem) => {
            Err(format!("seed {}: {problem}\n  repeat with {}", case.seed, case.repeat()))
        }
        None => Ok(finished),
    }
}

/// A random case in which nodes restart, whatever else goes wrong.
fn with_restarts(seed: u64) -> Case {
    let mut case = Case::swarm(seed, &Sim::new(seed, Config::default()), &Kind::ALL);
    if !case.nemeses.contains(&Nemesis::Restart) {
        case.nemeses.push(Nemesis::Restart);
    }
    case
}

#[test]
fn drawn_cases_with_restarts_are_valid() {
    let seeds = std::env::var("ARENA_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(SEEDS);
    let next = AtomicU64::new(1);
    let failed = Mutex::new(Vec::new());
    let restarted = Mutex::new(BTreeSet::new());
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > seeds {
                        return;
                    }
                    match run(&with_restarts(seed)) {
                        Err(account) => {
                            failed.lock().unwrap_or_else(PoisonError::into_inner).push(account)
                        }
                        Ok(finished) => {
                            let faults = &finished.outcome.history.faults;
                            if faults.iter().any(|fault| fault.fault == "restart") {
                                restarted
                                    .lock()
                                    .unwrap_or_else(PoisonError::into_inner)
                                    .insert(seed);
                            }
                        }
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(failed.is_empty(), "{} of {seeds} seeds failed:\n{}", failed.len(), failed.join("\n"));
    let restarted = restarted.into_inner().unwrap_or_else(PoisonError::into_inner).len() as u64;
    assert!(restarted > seeds * 9 / 10, "nodes came back in {restarted} of {seeds} runs only");
}
