//! **readers-overlap** (A1): two instances certainly held a partition at the same time.
//!
//! Each by its own words. An instance holds a partition for certain from when the arena had read
//! that it was assigned. It holds it until the first of these:
//!
//! - it says that it was revoked or lost, by the clock of the machine, less [`DRIFT_US`];
//! - the arena stopped or killed it, or told it to leave, or its client left the group;
//! - its session is over, since its last accepted commit or `sync_group` of that membership;
//! - the rebalance time-out is over, since its last accepted `sync_group`: a rebalance may have
//!   ended without it.
//!
//! After that it may be a member no longer, and not know. An instance without such requests is not
//! judged. Of KIP-848 only an accepted heartbeat itself shows that it is a member.
//!
//! It is not judged if the clock of the machine moved against that of the run.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Holding, NONE, Place, Stories, name};
use crate::checkers::clock::{at, ms};
use crate::checkers::{Checker, Verdict, Violation};
use crate::history::{History, Micros, Op, Outcome};

/// How far the machine's clock may go from that of the run, in microseconds. What an application
/// says of its own time is taken to be so much earlier.
pub const DRIFT_US: Micros = 5_000;

/// Two readers of one partition.
#[derive(Debug)]
pub struct ReadersOverlap;

/// A time in which an instance certainly held a partition.
#[derive(Debug, Clone, Copy)]
struct Certain<'h> {
    app: &'h str,
    begins: Micros,
    ends: Micros,
    /// The line that said it was assigned, and what showed last that it was.
    shown: (u64, u64),
}

impl Checker for ReadersOverlap {
    fn name(&self) -> &'static str {
        "readers-overlap"
    }

    fn check(&self, history: &History) -> Verdict {
        if history.header.config.get("app_clock") == Some(&Value::Bool(false)) {
            return Verdict::NotJudged("the clock of the machine was set in the run".to_owned());
        }
        let stories = Stories::of(history);
        let mut requests: BTreeMap<&str, Vec<&Op>> = BTreeMap::new();
        for op in &history.ops {
            if let Some(app) = stories.app_of(op) {
                requests.entry(app).or_default().push(op);
            }
        }
        let mut held: BTreeMap<Place<'_>, Vec<Certain<'_>>> = BTreeMap::new();
        for holding in &stories.holdings {
            let own = requests.get(holding.app).map_or(&[][..], Vec::as_slice);
            let certain = certain(history, holding, own, &stories.lines[holding.app]);
            held.entry(holding.place).or_default().extend(certain);
        }
        let (mut judged, mut violations) = (0, Vec::new());
        for (place, mut held) in held {
            judged += held.len();
            held.sort_by_key(|certain| certain.begins);
            for (i, one) in held.iter().enumerate() {
                let others = held[i + 1..].iter().take_while(|other| other.begins < one.ends);
                for other in others.filter(|other| other.app != one.app) {
                    violations.push(violation(place, one, other));
                }
            }
        }
        Verdict::of(judged, violations, NONE)
    }

    fn is_of_all_lives(&self) -> bool {
        true
    }
}

fn violation(place: Place<'_>, one: &Certain<'_>, other: &Certain<'_>) -> Violation {
    let account = format!(
        "{} held {} from {} to {}, and {} from {} to {}",
        one.app,
        name(place),
        at(one.begins),
        at(one.ends),
        other.app,
        at(other.begins),
        at(other.ends)
    );
    Violation::new(account, [one.shown.0, one.shown.1, other.shown.0, other.shown.1])
}

fn text<'a>(op: &'a Op, field: &str) -> Option<&'a str> {
    op.args.get(field).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// When an instance certainly held what it was assigned, if anything shows it.
fn certain<'h>(
    history: &History,
    holding: &Holding<'h>,
    own: &[&Op],
    lines: &[&Op],
) -> Option<Certain<'h>> {
    let begins = holding.assigned.complete_us?;
    let number = |field: &str| history.header.config.get(field).and_then(Value::as_u64);
    let session = number("session_timeout_ms").map(ms)?;
    let rebalance = number("rebalance_timeout_ms").map(ms)?;
    let accepted = |op: &&&Op| op.outcome == Outcome::Ok;
    let member = own
        .iter()
        .filter(accepted)
        .filter(|op| matches!(op.f.as_str(), "sync_group" | "consumer_heartbeat"))
        .filter(|op| op.complete_us <= Some(begins))
        .max_by_key(|op| op.complete_us)
        .and_then(|op| text(op, "member_id"))?;
    let signals = lines.iter().filter(|op| {
        op.f == "app_signal" && matches!(op.args["signal"].as_str(), Some("stop" | "kill" | "term"))
    });
    let left = own.iter().filter(|op| op.f == "leave_group");
    let told = signals.chain(left).map(|op| op.invoke_us);
    let until = told.filter(|time| *time >= holding.assigned.invoke_us).min();
    let until = until.unwrap_or(Micros::MAX);
    // By the application's clock, which may go a little wrong against the arena's.
    let ended = holding.ended.map(|ended| ended.invoke_us.saturating_sub(DRIFT_US));
    let until = ended.map_or(until, |ended| until.min(ended));
    let of_member = own.iter().filter(accepted).filter(|op| {
        text(op, "member_id") == Some(member)
            && op.invoke_us <= until
            && op.complete_us >= Some(holding.before_us)
    });
    let (mut alive, mut synced) = (None, None);
    for op in of_member {
        let shows = match op.f.as_str() {
            "sync_group" | "commit_offset" => op.invoke_us + session,
            "consumer_heartbeat" => op.invoke_us,
            _ => continue,
        };
        alive = alive.max(Some((shows, op.id)));
        if op.f != "commit_offset" {
            synced = synced.max(Some(op.invoke_us + rebalance));
        }
    }
    let (alive, last) = alive?;
    let ends = until.min(alive).min(synced?);
    let shown = (holding.assigned.id, last);
    (begins < ends).then_some(Certain { app: holding.app, begins, ends, shown })
}
