//! The simulator repeats itself, and drawn cases of it are valid.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use arena::run::Case;
use arena::sim::Sim;
use arena::workload::Kind;
use cohort::config::Config;

/// Seeds that are run; `ARENA_SEEDS` asks for more.
const SEEDS: u64 = 300;

#[test]
fn a_seed_gives_the_same_history_in_two_processes() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sim-twice");
    std::fs::create_dir_all(&folder).expect("a folder for the runs");
    for (workload, seed) in Kind::ALL.into_iter().zip(20_u64..) {
        let histories = ["first", "second"].map(|which| {
            let file = folder.join(format!("{}-{which}.jsonl", workload.name()));
            let output = Command::new(env!("CARGO_BIN_EXE_arena"))
                .args([
                    workload.name(),
                    "--stage",
                    "sim",
                    "--nodes",
                    "5",
                    "--seconds",
                    "8",
                    "--nemesis",
                    "all",
                ])
                .args(["--seed", &seed.to_string(), "--history"])
                .arg(&file)
                .current_dir(&folder)
                .output()
                .expect("the arena runs");
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            (std::fs::read(&file).unwrap_or_else(|e| panic!("no history: {e}; {told}")), told)
        });
        assert!(histories[0].0.len() > 10_000, "{} has hardly any history", workload.name());
        assert!(histories[0] == histories[1], "{} with seed {seed} was not the same twice", workload.name());
    }
}

#[test]
fn drawn_cases_are_valid() {
    let seeds = std::env::var("ARENA_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(SEEDS);
    let next = AtomicU64::new(1);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > seeds {
                        return;
                    }
                    let mut stage = Sim::new(seed, Config::default());
                    let case = Case::swarm(seed, &stage, &Kind::ALL);
                    let problem = match case.perform(&mut stage, case.draw_schedule(), &mut |_, _| {}) {
                        Err(e) => Some(e.to_string()),
                        Ok(finished) => finished.outcome.failure.or_else(|| {
                            (finished.judgement.exit_code() == 1).then(|| finished.judgement.summary())
                        }),
                    };
                    if let Some(problem) = problem {
                        let account = format!("seed {seed}: {problem}\n  repeat with {}", case.repeat());
                        failed.lock().unwrap_or_else(PoisonError::into_inner).push(account);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(failed.is_empty(), "{} of {seeds} seeds failed:\n{}", failed.len(), failed.join("\n"));
}
