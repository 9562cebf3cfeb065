//! Linearizability of registers: is there an order of the operations, each at an instant between
//! its invocation and its completion, in which every answer is right?
//!
//! This module owns the search. It is the algorithm of Wing and Gong with Lowe's two improvements,
//! written for registers: it goes through invocations and completions in the order of time and
//! keeps the set of all *configurations* the register can be in (its state, and which of the
//! pending operations have acted). An operation acts as late as it can, in a run of operations that
//! ends with one that is about to complete; any linearization can be brought into that form.
//! Configurations are remembered, so that orders that lead to the same one are followed once.
//!
//! Operations without an answer may act at any later time or never. They would double the
//! configurations each, so two rules keep them cheap, and both are exact: of two configurations
//! that differ only in that one has used up more such operations, the other can do all that the
//! first can, so the first is dropped; and such operations that do the same thing count as one
//! kind, used up so many times.
//!
//! The search is sound and complete. It counts its steps; where they exceed a bound it gives up and
//! says so. It knows nothing of JSON: [`registers`](LinearizableRegisters) and
//! [`offsets`](LinearizableOffsets) translate.

mod offsets;
mod registers;
mod search;

pub use offsets::LinearizableOffsets;
pub use registers::LinearizableRegisters;
pub use search::{Answer, Effect, Operation, STEPS, linearizable};

use super::clock::span;
use super::{Checker, Verdict, Violation};
use crate::history::Op;

/// The checkers of registers.
#[must_use]
pub fn all() -> Vec<&'static dyn Checker> {
    vec![&LinearizableRegisters, &LinearizableOffsets]
}

/// One register of a history, in the form that the search takes.
struct Subject<'h> {
    name: String,
    initial: u32,
    operations: Vec<Operation>,
    /// The operations of the history, each at the place of its counterpart.
    ops: Vec<&'h Op>,
    /// The states' values, for people.
    texts: Vec<String>,
}

/// Searches each register. One that was given up leaves the verdict open unless another one is
/// broken.
fn judge<'h>(subjects: impl Iterator<Item = Subject<'h>>, nothing: &str) -> Verdict {
    let (mut judged, mut violations, mut given_up) = (0, Vec::new(), Vec::new());
    for subject in subjects {
        match linearizable(subject.initial, &subject.operations, STEPS) {
            Answer::Linearizable => judged += subject.operations.len(),
            Answer::GaveUp(steps) => {
                given_up.push(format!("{} (after {steps} steps)", subject.name))
            }
            Answer::Not { unexplained, states, setters, pending } => {
                let op = subject.ops[unexplained];
                let states: Vec<&str> =
                    states.iter().map(|state| subject.texts[*state as usize].as_str()).collect();
                let account = format!(
                    "{}: no order of the operations explains {} by {} in {}; before it, the register held {}",
                    subject.name,
                    told(op),
                    op.process,
                    span(op),
                    states.join(" or ")
                );
                let shown = setters.iter().chain(&pending).map(|at| subject.ops[*at].id);
                violations.push(Violation::new(account, shown.chain([op.id])));
            }
        }
    }
    if violations.is_empty() && !given_up.is_empty() {
        return Verdict::NotJudged(format!("the search was given up for {}", given_up.join(", ")));
    }
    Verdict::of(judged, violations, nothing)
}

/// An operation with its answer, as people read it.
fn told(op: &Op) -> String {
    match (&op.result, op.code) {
        (Some(reply), _) => format!("{} {} -> {reply}", op.f, op.args),
        (None, Some(code)) => format!("{} {} -> error {code}", op.f, op.args),
        (None, None) => format!("{} {}", op.f, op.args),
    }
}
