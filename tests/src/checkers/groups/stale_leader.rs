//! **stale-leader** (G17): a node answered in an old term, after an answer in a newer one had been
//! given.
//!
//! Replies of the protocol carry no term. A node that adds a `term` to them (for debugging) is
//! judged here; in the simulator [`crate::checkers::state`] knows the terms.

use serde_json::Value;

use crate::checkers::clock::span;
use crate::checkers::{Checker, Verdict, Violation};
use crate::history::{History, Micros, Op, Outcome};

/// An answer from the past.
#[derive(Debug)]
pub struct StaleLeader;

impl Checker for StaleLeader {
    fn name(&self) -> &'static str {
        "stale-leader"
    }

    fn check(&self, history: &History) -> Verdict {
        // `cluster_status` tells what one node knows, and is allowed to be behind.
        let ops =
            history.ops.iter().filter(|op| op.outcome == Outcome::Ok && op.f != "cluster_status");
        let terms = ops.filter_map(|op| {
            let term = op.result.as_ref()?.get("term").and_then(Value::as_u64)?;
            Some((op.invoke_us, op.complete_us?, term, op))
        });
        let terms: Vec<(Micros, Micros, u64, &Op)> = terms.collect();
        let mut violations = Vec::new();
        older_after_newer(&terms, |newer, older| {
            violations.push(Violation::new(
                format!(
                    "{} answered in term {} in {}, after {} had answered in term {} in {}",
                    older.3.node,
                    older.2,
                    span(older.3),
                    newer.3.node,
                    newer.2,
                    span(newer.3)
                ),
                [newer.3.id, older.3.id],
            ));
        });
        Verdict::of(
            terms.len(),
            violations,
            "replies carry no `term`; the simulator's trace has it",
        )
    }
}

/// Calls `report` for each item that was invoked after an item of a greater term had completed.
/// Items are `(invoked, completed, term, anything)`.
pub(crate) fn older_after_newer<'a, T>(
    items: &'a [(Micros, Micros, u64, T)],
    mut report: impl FnMut(&'a (Micros, Micros, u64, T), &'a (Micros, Micros, u64, T)),
) {
    let (mut by_invoke, mut by_complete): (Vec<_>, Vec<_>) =
        (items.iter().collect(), items.iter().collect());
    by_invoke.sort_by_key(|item| item.0);
    by_complete.sort_by_key(|item| item.1);
    let mut done = by_complete.into_iter().peekable();
    let mut newest: Option<&(Micros, Micros, u64, T)> = None;
    for item in by_invoke {
        while let Some(next) = done.next_if(|done| done.1 < item.0) {
            if newest.is_none_or(|newest| next.2 > newest.2) {
                newest = Some(next);
            }
        }
        if let Some(newest) = newest.filter(|newest| newest.2 > item.2) {
            report(newest, item);
        }
    }
}
