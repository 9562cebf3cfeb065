//! **no-progress** (G24): with a majority of nodes connected, nothing was answered for a long time.
//!
//! After Redpanda's chaos tests (`progress_during_fault`). Holds for every workload. A history
//! tells of faults in words for people, so it is not known whether a majority was connected during
//! one: stretches without faults are judged, from [`slack`] after the last one ended; all of the
//! run if the header's `config` says `"majority_connected": true`. How long is too long,
//! `progress_timeout_ms` says there; else [`PATIENCE`].

use serde_json::Value;

use crate::checkers::clock::{at, end, ms, slack, unknown};
use crate::checkers::{Checker, Need, Verdict, Violation};
use crate::history::{History, Micros, Op, Outcome};

/// How long nothing may be answered: elections and deadlines several times over.
pub const PATIENCE: Micros = 15_000_000;

/// Where round trips are long, so many latencies more. Raft's clock is slowed down to them there,
/// so an election is a number of round trips: `docs/checkers.md` counts them.
pub const LATENCIES: Micros = 40;

/// A cluster that stands still.
#[derive(Debug)]
pub struct NoProgress;

/// Whether an operation ended without anybody having decided it.
pub(super) fn is_silence(op: &Op) -> bool {
    unknown(op) || (op.outcome == Outcome::Fail && matches!(op.code, None | Some(0 | 1 | 11 | 13)))
}

/// Whether an operation needs a leader, and does not wait for others by design.
fn needs_leader(op: &Op) -> bool {
    !op.is_said()
        && !matches!(
            op.f.as_str(),
            "init"
                | "echo"
                | "topology"
                | "cluster_status"
                | "calculate_session_timeout"
                | "estimate_consumer_throughput"
                | "join_group"
                | "sync_group"
        )
}

/// Whether an answer shows that there was a leader.
fn is_progress(op: &Op) -> bool {
    needs_leader(op) && !is_silence(op) && op.is_decided()
}

impl Checker for NoProgress {
    fn name(&self) -> &'static str {
        "no-progress"
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::EveryFault]
    }

    fn is_of_all_lives(&self) -> bool {
        true
    }

    fn check(&self, history: &History) -> Verdict {
        let config = &history.header.config;
        let patience = config.get("progress_timeout_ms").and_then(Value::as_u64);
        let patience = patience.map_or_else(|| PATIENCE.max(slack(history)), ms);
        let mut progress: Vec<Micros> = history
            .ops
            .iter()
            .filter(|op| is_progress(op))
            .filter_map(|op| op.complete_us)
            .collect();
        progress.sort_unstable();
        let mut attempts: Vec<&Op> = history.ops.iter().filter(|op| needs_leader(op)).collect();
        attempts.sort_by_key(|op| (op.invoke_us, op.id));
        let (mut judged, mut violations) = (0, Vec::new());
        for (from, to) in stretches(history) {
            let mut answered: Option<Micros> = None;
            for op in attempts
                .iter()
                .filter(|op| op.invoke_us >= from && op.invoke_us.saturating_add(patience) < to)
            {
                judged += 1;
                // One account for each silence: it lasts from its first request to the next answer.
                if answered.is_some_and(|until| op.invoke_us < until) {
                    continue;
                }
                let next =
                    progress.get(progress.partition_point(|done| *done < op.invoke_us)).copied();
                let next = next.unwrap_or(Micros::MAX).min(to);
                if next.saturating_sub(op.invoke_us) > patience {
                    answered = Some(next);
                    violations.push(Violation::new(
                        format!(
                            "nothing was answered from {} to {}, though no fault was on",
                            at(op.invoke_us),
                            at(next)
                        ),
                        [op.id],
                    ));
                }
            }
        }
        Verdict::of(
            judged,
            violations,
            "no stretch without faults is longer than the patience of the check",
        )
    }
}

/// Times during which a majority was connected for certain.
fn stretches(history: &History) -> Vec<(Micros, Micros)> {
    let (mut from, end) = (0, end(history));
    if history.header.config.get("majority_connected").and_then(Value::as_bool) == Some(true) {
        return vec![(from, end)];
    }
    let mut stretches = Vec::new();
    for fault in &history.faults {
        if fault.from_us > from {
            stretches.push((from, fault.from_us));
        }
        let to = fault.to_us.or(history.header.heal_us).unwrap_or(Micros::MAX);
        from = from.max(to.saturating_add(slack(history)));
    }
    stretches.push((from, end));
    stretches
}
