//! **offset-goes-back** (G10): a committed offset was read as a value that had certainly been
//! overwritten.
//!
//! Holds for all groups. A deliberate lower commit is legal: the value read is compared with what
//! the register can have held
//! ([`Register::possible`](crate::checkers::offsets::Register::possible)), not with the maximum. Of
//! Maelstrom's keys, whose offsets never move back, the maximum of what was acknowledged counts.
//! `linearizable-offset` finds more; this one names what went wrong.

use crate::checkers::clock::{at, span};
use crate::checkers::offsets::{Commits, KeyCommits, Possible, Register, Seen};
use crate::checkers::{Checker, Need, Verdict, Violation};
use crate::history::History;

/// An overwritten offset that came back.
#[derive(Debug)]
pub struct OffsetGoesBack;

/// Why a history without committed offsets cannot be judged.
pub(super) const NO_OFFSETS: &str = "no committed offset was read";

/// Calls `report` for each read whose value the register cannot have held.
pub(super) fn impossible<'a, 'h>(
    register: &'a Register<'h>,
    mut report: impl FnMut(&'a Seen<'h>, Possible),
) -> usize {
    for seen in &register.reads {
        let Some(complete) = seen.op.complete_us else { continue };
        let possible = register.possible(seen.since, complete);
        if !possible.values.contains_key(&seen.value) {
            report(seen, possible);
        }
    }
    register.reads.len()
}

impl Checker for OffsetGoesBack {
    fn name(&self) -> &'static str {
        "offset-goes-back"
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::EveryClient, Need::NoTransactions]
    }

    fn check(&self, history: &History) -> Verdict {
        let (commits, keys) = (Commits::of(history), KeyCommits::of(history));
        let (mut judged, mut violations) = (0, Vec::new());
        for (slot, register) in &commits.registers {
            judged += impossible(register, |seen, possible| {
                // A value that nobody had committed by then is `spurious-offset`.
                let Some(old) = register.writes.iter().find(|write| {
                    write.value == seen.value
                        && write.op.invoke_us <= seen.op.complete_us.unwrap_or(0)
                }) else {
                    return;
                };
                violations.push(Violation::new(
                    format!(
                        "{slot}: {} read {} in {}, committed in {} and overwritten since by {}",
                        seen.op.process,
                        seen.value,
                        span(seen.op),
                        span(old.op),
                        possible.text()
                    ),
                    possible.ops().chain([old.op.id, seen.op.id]),
                ));
            });
        }
        for (key, register) in &keys.keys {
            for (op, told) in &register.reads {
                judged += 1;
                let acked = register.writes.iter().filter(|w| {
                    w.op.outcome == crate::history::Outcome::Ok
                        && w.op.complete_us.is_some_and(|done| done < op.invoke_us)
                });
                let Some(highest) = acked.max_by_key(|write| write.value) else { continue };
                if told.is_some_and(|told| told < highest.value) {
                    violations.push(Violation::new(
                        format!(
                            "key {key}: {} listed offset {} at {}, after {} had been committed in {}",
                            op.process,
                            told.unwrap_or_default(),
                            at(op.invoke_us),
                            highest.value,
                            span(highest.op)
                        ),
                        [highest.op.id, op.id],
                    ));
                }
            }
        }
        Verdict::of(judged, violations, NO_OFFSETS)
    }
}
