//! **spurious-offset** (G11): a committed offset was read as none though one had been committed, or
//! as a value that nobody had committed.
//!
//! Holds for all groups. Jepsen found "spurious zero offsets" in Bufstream 0.1.0; consumers that
//! believe one read everything again. Deletions of the history count: after one, 0 is right.

use super::offset_goes_back::{NO_OFFSETS, impossible};
use crate::checkers::clock::span;
use crate::checkers::offsets::{Commits, KeyCommits};
use crate::checkers::{Checker, Need, Verdict, Violation};
use crate::history::{History, Outcome};

/// A committed offset out of nowhere, or lost.
#[derive(Debug)]
pub struct SpuriousOffset;

impl Checker for SpuriousOffset {
    fn name(&self) -> &'static str {
        "spurious-offset"
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::EveryClient, Need::NoTransactions]
    }

    fn check(&self, history: &History) -> Verdict {
        let (commits, keys) = (Commits::of(history), KeyCommits::of(history));
        let (mut judged, mut violations) = (0, Vec::new());
        for (slot, register) in &commits.registers {
            judged += impossible(register, |seen, possible| {
                let complete = seen.op.complete_us.unwrap_or(0);
                if register
                    .writes
                    .iter()
                    .any(|w| w.value == seen.value && w.op.invoke_us <= complete)
                {
                    return;
                }
                let what = if seen.value == 0 {
                    "as if nothing had been committed"
                } else {
                    "which nobody had committed"
                };
                violations.push(Violation::new(
                    format!(
                        "{slot}: {} read {} in {}, {what}; it can have been {}",
                        seen.op.process,
                        seen.value,
                        span(seen.op),
                        possible.text()
                    ),
                    possible.ops().chain([seen.op.id]),
                ));
            });
        }
        for (key, register) in &keys.keys {
            for (op, told) in &register.reads {
                judged += 1;
                let (invoke, complete) = (op.invoke_us, op.complete_us.unwrap_or(op.invoke_us));
                let acked = register.writes.iter().find(|w| {
                    w.op.outcome == Outcome::Ok
                        && w.op.complete_us.is_some_and(|done| done < invoke)
                });
                let (account, shown) = match (told, acked) {
                    (None, Some(acked)) => (
                        format!(
                            "key {key}: left out by {}, after {} had been committed",
                            op.process, acked.value
                        ),
                        Some(acked.op.id),
                    ),
                    (Some(told), _)
                        if !register
                            .writes
                            .iter()
                            .any(|w| w.value == *told && w.op.invoke_us <= complete) =>
                    {
                        (
                            format!(
                                "key {key}: {} listed offset {told}, which nobody had committed",
                                op.process
                            ),
                            None,
                        )
                    }
                    _ => continue,
                };
                violations.push(Violation::new(account, shown.into_iter().chain([op.id])));
            }
        }
        Verdict::of(judged, violations, NO_OFFSETS)
    }
}
