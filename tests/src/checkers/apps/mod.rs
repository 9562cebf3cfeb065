//! Applications: what they were told, what they read, and what they committed, by their own words.
//!
//! The workload `apps` has instances of a program that somebody wrote with a client library. What
//! they and the brokers say to each other is judged by the checkers of groups and logs. These here
//! judge what reaches the program: operations `app_*`, each a line that an instance printed
//! (`docs/checkers.md`, "Applications"). This module owns the reading of such lines, which the
//! checkers share.
//!
//! An instance says one thing after the other, so the order of its lines is certain. Most of these
//! checkers need nothing else, and no clock. An instance holds a partition from the line that says
//! it was assigned to the line that says it was revoked or lost, which is the first thing that
//! happens then.

mod commit_unread;
mod committed_past;
mod read_skips;
mod read_unowned;
mod readers_overlap;

use std::collections::BTreeMap;

use serde_json::Value;

pub use commit_unread::CommitUnread;
pub use committed_past::CommittedPast;
pub use read_skips::ReadSkips;
pub use read_unowned::ReadUnowned;
pub use readers_overlap::{DRIFT_US, ReadersOverlap};

use super::{Checker, Verdict};
use crate::history::{History, Micros, Op, Outcome};

/// The checkers of applications.
#[must_use]
pub fn all() -> Vec<&'static dyn Checker> {
    vec![&ReadersOverlap, &ReadUnowned, &ReadSkips, &CommitUnread, &CommittedPast]
}

/// Why there is nothing to judge.
const NONE: &str = "no application told what it was assigned and what it read";
/// Why offsets cannot be compared.
const DELETED: &str = "a topic may have been deleted, and its offsets began anew";

/// A partition of a topic.
type Place<'h> = (&'h str, i64);

/// What a partition is called.
fn name((topic, partition): Place<'_>) -> String {
    format!("{topic}-{partition}")
}

fn place(args: &Value) -> Option<Place<'_>> {
    Some((args.get("topic")?.as_str()?, args.get("partition")?.as_i64()?))
}

fn offset(op: &Op) -> Option<i64> {
    op.args.get("offset")?.as_i64()
}

/// The time in which an instance held a partition, once.
#[derive(Debug)]
struct Holding<'h> {
    app: &'h str,
    place: Place<'h>,
    /// The line that said it was assigned.
    assigned: &'h Op,
    /// The line that said it was not any more.
    ended: Option<&'h Op>,
    /// Its records, in the order in which they came.
    reads: Vec<&'h Op>,
    /// When it last held that partition before, it said so for the last time.
    before_us: Micros,
}

/// All that instances said.
#[derive(Debug, Default)]
struct Stories<'h> {
    /// The lines of each instance, in its order.
    lines: BTreeMap<&'h str, Vec<&'h Op>>,
    /// In the order of each instance.
    holdings: Vec<Holding<'h>>,
    /// Records that an instance got of a partition that it did not hold, each with the line that
    /// said that it held it no longer.
    strays: Vec<(&'h Op, Option<&'h Op>)>,
}

impl<'h> Stories<'h> {
    fn of(history: &'h History) -> Self {
        let mut all = Self::default();
        for op in history.ops.iter().filter(|op| op.is_said()) {
            all.lines.entry(op.process.as_str()).or_default().push(op);
        }
        for lines in all.lines.values_mut() {
            lines.sort_by_key(|op| op.args.get("line").and_then(Value::as_u64));
        }
        for (app, lines) in std::mem::take(&mut all.lines) {
            all.follow(app, &lines);
            all.lines.insert(app, lines);
        }
        all
    }

    fn follow(&mut self, app: &'h str, lines: &[&'h Op]) {
        let mut held: BTreeMap<Place<'h>, usize> = BTreeMap::new();
        let mut gone: BTreeMap<Place<'h>, &'h Op> = BTreeMap::new();
        for op in lines {
            let named = op.args.get("topics").and_then(Value::as_object);
            let places = named.into_iter().flatten().flat_map(|(topic, partitions)| {
                let numbers = partitions.as_array().into_iter().flatten().filter_map(Value::as_i64);
                numbers.map(move |number| (topic.as_str(), number))
            });
            match op.f.as_str() {
                "app_assigned" => {
                    for place in places {
                        if let Some(before) = held.insert(place, self.holdings.len()) {
                            self.holdings[before].ended = Some(op);
                            gone.insert(place, op);
                        }
                        let before_us = gone.get(&place).map_or(0, |op| op.invoke_us);
                        let (assigned, ended, reads) = (*op, None, Vec::new());
                        let holding = Holding { app, place, assigned, ended, reads, before_us };
                        self.holdings.push(holding);
                    }
                }
                "app_revoked" | "app_lost" => {
                    for place in places {
                        gone.insert(place, op);
                        if let Some(at) = held.remove(&place) {
                            self.holdings[at].ended = Some(op);
                        }
                    }
                }
                "app_read" => {
                    let Some(place) = place(&op.args) else { continue };
                    match held.get(&place) {
                        Some(at) => self.holdings[*at].reads.push(op),
                        None => self.strays.push((op, gone.get(&place).copied())),
                    }
                }
                _ => {}
            }
        }
    }

    /// Whether a request was an instance's: its client id is the instance's name.
    fn app_of(&self, op: &Op) -> Option<&'h str> {
        let (client, _) = op.process.rsplit_once('-')?;
        self.lines.get_key_value(client).map(|(app, _)| *app)
    }

    /// How many records were read.
    fn reads(&self) -> impl Iterator<Item = &'h Op> {
        self.lines.values().flatten().filter(|op| op.f == "app_read").copied()
    }
}

/// Which records were acknowledged, by their offsets.
#[derive(Debug, Default)]
struct Acknowledged<'h>(BTreeMap<Place<'h>, BTreeMap<i64, &'h Op>>);

impl<'h> Acknowledged<'h> {
    fn of(history: &'h History) -> Self {
        let mut all = Self::default();
        for op in history.ops.iter().filter(|op| op.f == "send" && op.outcome == Outcome::Ok) {
            let offset = op.result.as_ref().and_then(|result| result.get("offset")?.as_i64());
            if let (Some(place), Some(offset)) = (place(&op.args), offset) {
                all.0.entry(place).or_default().insert(offset, op);
            }
        }
        all
    }

    /// Those of a partition from one offset to before another, in their order.
    fn between<'a>(
        &'a self,
        place: Place<'a>,
        from: i64,
        to: i64,
    ) -> impl Iterator<Item = (i64, &'h Op)> + 'a {
        let of = self.0.get(&place).filter(|_| from < to);
        of.into_iter().flat_map(move |of| of.range(from..to)).map(|(offset, op)| (*offset, *op))
    }
}

/// Why nothing that compares offsets is judged, if it is not.
fn deleted(history: &History) -> Option<Verdict> {
    let deletes = history.ops.iter().any(|op| op.f == "delete_topic");
    deletes.then(|| Verdict::NotJudged(DELETED.to_owned()))
}
