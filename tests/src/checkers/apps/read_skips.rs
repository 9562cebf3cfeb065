//! **read-skips** (A3): while an instance holds a partition it is given a record before one that it
//! was given already, or passes over an acknowledged one; or it begins elsewhere than at the
//! committed offset.
//!
//! Sound for an application that never seeks and never pauses, and begins at the earliest record
//! where nothing was committed. Offsets need not be dense: only a record that was acknowledged
//! counts as passed over. Where it had to begin is what it was told by an OffsetFetch since it last
//! held the partition; any of the answers will do, and without one its beginning is not judged. A
//! client that asks beyond the end of the log begins anew where its settings say: what an instance
//! reads of a partition of which it was refused OFFSET_OUT_OF_RANGE is not judged.

use std::collections::{BTreeMap, BTreeSet};

use super::{Acknowledged, Holding, NONE, Place, Stories, deleted, name, offset, place};
use crate::checkers::{Checker, Verdict, Violation};
use crate::history::{History, Op, Outcome};

/// Records out of order.
#[derive(Debug)]
pub struct ReadSkips;

impl Checker for ReadSkips {
    fn name(&self) -> &'static str {
        "read-skips"
    }

    fn check(&self, history: &History) -> Verdict {
        if let Some(verdict) = deleted(history) {
            return verdict;
        }
        let (stories, acknowledged) = (Stories::of(history), Acknowledged::of(history));
        let mut told: BTreeMap<(&str, Place<'_>), Vec<&Op>> = BTreeMap::new();
        let answered = |op: &&Op| op.f == "fetch_offset" && op.outcome == Outcome::Ok;
        for op in history.ops.iter().filter(answered) {
            if let (Some(app), Some(place)) = (stories.app_of(op), place(&op.args)) {
                told.entry((app, place)).or_default().push(op);
            }
        }
        let beyond = |op: &&Op| op.error.as_deref() == Some("OFFSET_OUT_OF_RANGE");
        let reset = history.ops.iter().filter(beyond);
        let reset = reset.filter_map(|op| Some((stories.app_of(op)?, place(&op.args)?)));
        let reset: BTreeSet<(&str, Place<'_>)> = reset.collect();
        let (mut judged, mut violations) = (0, Vec::new());
        let sure = |holding: &&Holding<'_>| !reset.contains(&(holding.app, holding.place));
        for holding in stories.holdings.iter().filter(sure) {
            judged += holding.reads.len();
            violations.extend(out_of_order(holding, &acknowledged));
            let told = told.get(&(holding.app, holding.place)).map_or(&[][..], Vec::as_slice);
            violations.extend(begins_elsewhere(holding, told, &acknowledged));
        }
        Verdict::of(judged, violations, NONE)
    }

    fn is_of_all_lives(&self) -> bool {
        true
    }
}

fn out_of_order(holding: &Holding<'_>, acknowledged: &Acknowledged<'_>) -> Vec<Violation> {
    let found = holding.reads.windows(2).filter_map(|pair| {
        let (before, after) = (offset(pair[0])?, offset(pair[1])?);
        let (app, log) = (holding.app, name(holding.place));
        let shown = [pair[0].id, pair[1].id];
        if after <= before {
            let account = format!("{app} read {log}@{after} after @{before}, and never let it go");
            return Some(Violation::new(account, shown));
        }
        let (missed, send) = acknowledged.between(holding.place, before + 1, after).next()?;
        let account = format!(
            "{app} read {log}@{before} and then @{after}: it never got the acknowledged @{missed}"
        );
        Some(Violation::new(account, shown.into_iter().chain([send.id])))
    });
    found.collect()
}

fn begins_elsewhere(
    holding: &Holding<'_>,
    told: &[&Op],
    acknowledged: &Acknowledged<'_>,
) -> Option<Violation> {
    let first = holding.reads.first()?;
    let begins = offset(first)?;
    let since = told.iter().filter(|op| {
        op.complete_us.is_some_and(|at| at >= holding.before_us)
            && Some(op.invoke_us) <= first.complete_us
    });
    let since: Vec<(&Op, i64)> = since
        .filter_map(|op| {
            let offset = op.result.as_ref()?.get("offset")?;
            // None was committed: it begins at the earliest.
            Some((*op, offset.as_i64().unwrap_or(0)))
        })
        .collect();
    let passes = |told: i64| acknowledged.between(holding.place, told, begins).next().is_none();
    if since.is_empty() || since.iter().any(|(_, told)| *told <= begins && passes(*told)) {
        return None;
    }
    let offsets: Vec<String> = since.iter().map(|(_, told)| told.to_string()).collect();
    let account = format!(
        "{} began to read {} at {begins}, and was told {}",
        holding.app,
        name(holding.place),
        offsets.join(" or ")
    );
    let shown = since.iter().map(|(op, _)| op.id).chain([holding.assigned.id, first.id]);
    Some(Violation::new(account, shown))
}
