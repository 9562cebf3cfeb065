//! The simulator repeats itself, and drawn cases of it are valid.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use arena::history::Micros;
use arena::nemesis::Nemesis;
use arena::play::Play;
use arena::run::Case;
use arena::sim::Sim;
use arena::stage::{Stage, StageError};
use arena::workload::Kind;
use cohort::config::Config;

/// Seeds that are run; `ARENA_SEEDS` asks for more.
const SEEDS: u64 = 300;

#[test]
fn a_seed_gives_the_same_history_in_two_processes() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sim-twice");
    std::fs::create_dir_all(&folder).expect("a folder for the runs");
    let run = |workload: Kind, seed: u64, which: &str| {
        let file = folder.join(format!("{}-{which}.jsonl", workload.name()));
        let output = Command::new(env!("CARGO_BIN_EXE_arena"))
            .args([workload.name(), "--stage", "sim", "--nodes", "5", "--seconds", "6", "--nemesis", "all"])
            .args(["--seed", &seed.to_string(), "--history"])
            .arg(&file)
            .args(["--report", "report.html"])
            .current_dir(&folder)
            .output()
            .expect("the arena runs");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        (std::fs::read(&file).unwrap_or_else(|e| panic!("no history: {e}; {told}")), told)
    };
    let twice = |workload: Kind, seed: u64| {
        let (first, second) = (run(workload, seed, "first"), run(workload, seed, "second"));
        assert!(first.0.len() > 10_000, "{} has hardly any history", workload.name());
        assert!(first == second, "{} with seed {seed} was not the same twice", workload.name());
    };
    for (workload, seed) in Kind::ALL.into_iter().zip(20_u64..) {
        twice(workload, seed);
    }
}

/// What is wrong with a case, if anything is, and how to repeat it.
fn problem(case: &Case, stage: &mut Sim) -> Option<String> {
    let problem = match case.perform(stage, case.draw_schedule(), &mut |_, _| {}) {
        Err(e) => e.to_string(),
        Ok(finished) => {
            let judgement = finished.judgement;
            finished.outcome.failure.or((judgement.exit_code() != 0).then(|| judgement.summary()))?
        }
    };
    Some(format!("seed {}: {problem}\n  repeat with {}", case.seed, case.repeat()))
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
                    if let Some(account) = problem(&case, &mut stage) {
                        failed.lock().unwrap_or_else(PoisonError::into_inner).push(account);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(failed.is_empty(), "{} of {seeds} seeds failed:\n{}", failed.len(), failed.join("\n"));
}

/// What the simulator could do when the seeds below were found: a case is drawn from what its stage can do.
struct WithoutPauses;

impl Stage for WithoutPauses {
    fn name(&self) -> &'static str {
        "sim"
    }

    fn can(&self, nemesis: Nemesis) -> bool {
        !matches!(nemesis, Nemesis::Pause | Nemesis::Slow | Nemesis::Restart)
    }

    fn run(&mut self, _: &mut Play, _: &mut dyn FnMut(Micros, &str)) -> Result<(), StageError> {
        Err(StageError::Unable("cases are drawn for it, not run on it".to_owned()))
    }
}

/// A case in which something was wrong once.
fn holds(seed: u64) {
    let case = Case::swarm(seed, &WithoutPauses, &Kind::ALL);
    if let Some(account) = problem(&case, &mut Sim::new(seed, Config::default())) {
        panic!("{account}");
    }
}

#[test]
fn seed_50_a_member_whose_heartbeat_came_in_time_is_not_expired() {
    holds(50);
}

#[test]
fn seed_157_a_member_whose_sign_of_life_came_in_time_is_not_expired() {
    holds(157);
}

#[test]
fn seed_272_a_member_whose_sign_of_life_came_in_time_is_not_expired() {
    holds(272);
}

#[test]
fn seed_465_a_member_whose_sign_of_life_came_in_time_is_not_expired() {
    holds(465);
}

#[test]
fn seed_670_a_member_whose_sign_of_life_came_in_time_is_not_expired() {
    holds(670);
}

#[test]
fn seed_688_a_member_whose_sign_of_life_came_in_time_is_not_expired() {
    holds(688);
}

#[test]
fn seed_929_a_member_whose_sign_of_life_came_in_time_is_not_expired() {
    holds(929);
}
