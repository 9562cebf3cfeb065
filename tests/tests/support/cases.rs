//! Cases of the simulator, run and judged, many of them at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use arena::run::case::{Case, Finished};

/// Runs a case. What is wrong with it, if anything is, says how to repeat it.
pub fn valid(case: &Case) -> Result<Finished, String> {
    let mut target = case.simulator().expect("a simulator");
    let problem = match case.perform(&mut target, case.draw_schedule(), &mut |_, _| {}) {
        Err(e) => e.to_string(),
        Ok(finished) => {
            let judgement = &finished.judgement;
            let wrong = (judgement.exit_code() != 0).then(|| judgement.summary());
            match finished.outcome.failure.clone().or(wrong) {
                Some(problem) => problem,
                None => return Ok(finished),
            }
        }
    };
    Err(format!("seed {}: {problem}\n  repeat with {}", case.seed, case.repeat()))
}

/// Runs the case of every seed from 1 on, on all processors. All have to be valid. `see` is shown
/// each of them. `ARENA_SEEDS` asks for another number of seeds. Gives how many there were.
#[track_caller]
#[allow(dead_code, reason = "each test file uses its part")]
pub fn all_are_valid(
    seeds: u64,
    case_of: impl Fn(u64) -> Case + Sync,
    see: impl Fn(&Finished) + Sync,
) -> u64 {
    let asked = std::env::var("ARENA_SEEDS").ok().and_then(|n| n.parse().ok());
    let seeds = asked.unwrap_or(seeds);
    let next = AtomicU64::new(1);
    let failed = Mutex::new(Vec::new());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed > seeds {
                return;
            }
            match valid(&case_of(seed)) {
                Ok(finished) => see(&finished),
                Err(account) => {
                    failed.lock().unwrap_or_else(PoisonError::into_inner).push(account);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(failed.is_empty(), "{} of {seeds} seeds failed:\n{}", failed.len(), failed.join("\n"));
    seeds
}
