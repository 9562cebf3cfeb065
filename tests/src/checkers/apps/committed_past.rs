//! **committed-past** (A5): the group has committed past an acknowledged record that none of its
//! instances was ever given. Nobody will ever read it.
//!
//! Commits are those that brokers accepted, as they were recorded; reads are what instances said,
//! which they did before they committed. So it holds for instances that were killed, too: what they
//! had said was read to its end. It is judged where all who committed were instances.

use std::collections::{BTreeMap, BTreeSet};

use super::{Acknowledged, NONE, Place, Stories, deleted, name, offset, place};
use crate::checkers::{Checker, Verdict, Violation};
use crate::history::{History, Op, Outcome};

/// A record that a group left out.
#[derive(Debug)]
pub struct CommittedPast;

impl Checker for CommittedPast {
    fn name(&self) -> &'static str {
        "committed-past"
    }

    fn check(&self, history: &History) -> Verdict {
        if let Some(verdict) = deleted(history) {
            return verdict;
        }
        let (stories, acknowledged) = (Stories::of(history), Acknowledged::of(history));
        let mut read: BTreeMap<Place<'_>, BTreeSet<i64>> = BTreeMap::new();
        for op in stories.reads() {
            if let (Some(place), Some(offset)) = (place(&op.args), offset(op)) {
                read.entry(place).or_default().insert(offset);
            }
        }
        let mut highest: BTreeMap<Place<'_>, (i64, &Op)> = BTreeMap::new();
        let mut strangers: BTreeSet<Place<'_>> = BTreeSet::new();
        for op in history.ops.iter().filter(|op| op.f == "commit_offset") {
            let (Some(place), Some(offset)) = (place(&op.args), offset(op)) else { continue };
            if stories.app_of(op).is_none() {
                strangers.insert(place);
            } else if op.outcome == Outcome::Ok
                && highest.get(&place).is_none_or(|(before, _)| *before < offset)
            {
                highest.insert(place, (offset, op));
            }
        }
        let (mut judged, mut violations) = (0, Vec::new());
        for (place, (committed, commit)) in highest {
            if strangers.contains(&place) {
                continue;
            }
            let read = read.get(&place);
            for (at, send) in acknowledged.between(place, 0, committed) {
                judged += 1;
                if read.is_none_or(|read| !read.contains(&at)) {
                    let log = name(place);
                    let account =
                        format!("the group committed {committed} of {log}, and nobody read @{at}");
                    violations.push(Violation::new(account, [send.id, commit.id]));
                }
            }
        }
        Verdict::of(judged, violations, NONE)
    }

    fn is_of_all_lives(&self) -> bool {
        true
    }
}
