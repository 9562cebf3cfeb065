//! Runs case after case, each drawn from its own seed, and keeps what failed.
//!
//! Owns the loop and its counts; a case, its run and its judgement are those of
//! [`crate::run::case`].

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::run::case::{Case, Finished};
use crate::targets::{Target, TargetError};
use crate::workloads::Kind;

/// Makes the target of a case.
pub type TargetOf<'a, E> = dyn FnMut(&Case) -> Result<Box<dyn Target>, E> + 'a;

/// Is told of each case when it is over: how it went, and how the soak stands.
pub type End<'a> = dyn FnMut(&Case, &Result<Finished, TargetError>, &Tally) + 'a;

/// What a soak has seen so far.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Cases run.
    pub cases: u64,
    /// Cases in which an anomaly was found.
    pub anomalies: u64,
    /// Cases that could not be run or judged.
    pub unknown: u64,
    /// Operations, of whatever outcome.
    pub operations: u64,
    /// Faults by their nemesis.
    pub faults: BTreeMap<String, u64>,
    /// Time on the nodes' clocks (virtual in the simulator), from start to the last operation.
    pub ran: Duration,
    /// Time it took.
    pub took: Duration,
}

/// Runs the cases of these seeds until `until`, if that is given. `end` is told of each case when
/// it is over.
///
/// # Errors
/// Where there is no target for a case. One that cannot run a case counts as unknown.
pub fn soak<E>(
    seeds: impl Iterator<Item = u64>,
    until: Option<Instant>,
    workloads: &[Kind],
    target_of: &mut TargetOf<'_, E>,
    able: &dyn Target,
    end: &mut End<'_>,
) -> Result<Tally, E> {
    let begun = Instant::now();
    let mut tally = Tally::default();
    for seed in seeds {
        if until.is_some_and(|until| Instant::now() >= until) {
            break;
        }
        let case = Case::swarm(seed, able, workloads);
        let mut target = target_of(&case)?;
        let finished = case.perform(&mut *target, case.draw_schedule(), &mut |_, _| {});
        match &finished {
            Ok(finished) => tally.add(finished),
            Err(_) => (tally.cases, tally.unknown) = (tally.cases + 1, tally.unknown + 1),
        }
        tally.took = begun.elapsed();
        end(&case, &finished, &tally);
    }
    Ok(tally)
}

impl Tally {
    fn add(&mut self, finished: &Finished) {
        self.cases += 1;
        if finished.outcome.failure.is_some() {
            self.unknown += 1;
        } else {
            match finished.judgement.exit_code() {
                0 => {}
                1 => self.anomalies += 1,
                _ => self.unknown += 1,
            }
        }
        let history = &finished.outcome.history;
        self.operations += history.ops.len() as u64;
        for fault in &history.faults {
            *self.faults.entry(fault.fault.clone()).or_default() += 1;
        }
        let end_us = history.ops.iter().filter_map(|op| op.complete_us).max().unwrap_or(0);
        self.ran += Duration::from_micros(end_us);
    }

    /// One line of figures.
    pub fn summary(&self) -> String {
        let seconds = self.took.as_secs_f64().max(1e-9);
        let faults: u64 = self.faults.values().sum();
        format!(
            "{} cases, {} with anomalies, {} unknown; {} operations, {faults} faults; {:.2} cases and {:.1} s of \
             the nodes' time a second",
            self.cases,
            self.anomalies,
            self.unknown,
            self.operations,
            self.cases as f64 / seconds,
            self.ran.as_secs_f64() / seconds,
        )
    }
}
