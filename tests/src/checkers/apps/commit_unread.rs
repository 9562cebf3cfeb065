//! **commit-unread** (A4): an instance commits past an acknowledged record that it had not been
//! given by then.
//!
//! By the order of its own lines alone: an application of this workload says what it read before it
//! says what it commits, and that before it commits. What it had to read begins with the first
//! record that it got since the partition was assigned to it. If it got none it begins at the
//! highest offset that anybody of the group had begun to commit: up to there others have read.

use std::collections::{BTreeMap, BTreeSet};

use super::{Acknowledged, NONE, Place, Stories, deleted, name, offset, place};
use crate::checkers::{Checker, Verdict, Violation};
use crate::history::{History, Op};

/// A commit of what was not read.
#[derive(Debug)]
pub struct CommitUnread;

impl Checker for CommitUnread {
    fn name(&self) -> &'static str {
        "commit-unread"
    }

    fn check(&self, history: &History) -> Verdict {
        if let Some(verdict) = deleted(history) {
            return verdict;
        }
        let (stories, acknowledged) = (Stories::of(history), Acknowledged::of(history));
        let attempts: Vec<&Op> = history.ops.iter().filter(|op| op.f == "app_commit").collect();
        let (mut judged, mut violations) = (0, Vec::new());
        for (app, lines) in &stories.lines {
            let mut seen: BTreeMap<Place<'_>, BTreeSet<i64>> = BTreeMap::new();
            let mut first: BTreeMap<Place<'_>, i64> = BTreeMap::new();
            for op in lines {
                if op.f == "app_assigned" {
                    first.retain(|place, _| !is_assigned(op, *place));
                }
                let (Some(place), Some(offset)) = (place(&op.args), offset(op)) else { continue };
                if op.f == "app_read" {
                    seen.entry(place).or_default().insert(offset);
                    first.entry(place).or_insert(offset);
                    continue;
                }
                judged += 1;
                let from = first.get(&place).copied();
                let from = from.unwrap_or_else(|| highest_before(&attempts, op, place));
                let read = seen.get(&place);
                let unread = |at: &i64| read.is_none_or(|read| !read.contains(at));
                let mut owed = acknowledged.between(place, from, offset);
                let Some((missed, send)) = owed.find(|(at, _)| unread(at)) else { continue };
                let account = format!(
                    "{app} committed {offset} of {} in line {}, and had not read @{missed}",
                    name(place),
                    op.args["line"]
                );
                violations.push(Violation::new(account, [send.id, op.id]));
            }
        }
        Verdict::of(judged, violations, NONE)
    }

    fn is_of_all_lives(&self) -> bool {
        true
    }
}

fn is_assigned(op: &Op, (topic, partition): Place<'_>) -> bool {
    let told = op.args["topics"].get(topic).and_then(|told| told.as_array());
    told.is_some_and(|told| told.iter().any(|told| told.as_i64() == Some(partition)))
}

/// The highest offset that anybody had begun to commit of a partition by the time of a commit.
fn highest_before(attempts: &[&Op], commit: &Op, place: Place<'_>) -> i64 {
    let others = attempts.iter().filter(|op| {
        op.id != commit.id
            // Others' clocks are not compared: whoever began before this one ended counts.
            && commit.complete_us.is_none_or(|end| op.invoke_us <= end)
            && super::place(&op.args) == Some(place)
    });
    others.filter_map(|op| offset(op)).max().unwrap_or(0)
}
