//! **twice-applied** (G23): one request took effect twice.
//!
//! Clients see it in records: one `send`, two places, be they in different partitions of the topic
//! (a record without a key goes round-robin, also when its retry is applied again), which
//! `duplicate` does not see. For other requests the simulator's trace has the origins
//! ([`crate::checkers::state`]).

use std::collections::BTreeMap;

use crate::checkers::logs::{Logs, Space, ValueId};
use crate::checkers::{Checker, Need, Verdict, Violation};
use crate::history::History;

/// A retry that was applied as a new request.
#[derive(Debug)]
pub struct TwiceApplied;

impl Checker for TwiceApplied {
    fn name(&self) -> &'static str {
        "twice-applied"
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::EveryClient]
    }

    fn check(&self, history: &History) -> Verdict {
        let logs = Logs::of(history);
        let mut places: BTreeMap<(Space, ValueId), Vec<(String, u64)>> = BTreeMap::new();
        for (id, log) in &logs.logs {
            for (value, offsets) in &log.places {
                let at = offsets.iter().map(|(offset, op)| (format!("{id} offset {offset}"), *op));
                places.entry((id.space(), *value)).or_default().extend(at);
            }
        }
        let (mut judged, mut violations) = (0, Vec::new());
        for ((space, value), places) in places {
            let Some(sent) = logs.only_send(&space, value) else { continue };
            judged += 1;
            if places.len() > 1 {
                let names: Vec<&str> = places.iter().map(|(place, _)| place.as_str()).collect();
                violations.push(Violation::new(
                    format!(
                        "message {} was sent once by {} and is at {}",
                        logs.text(value),
                        sent.op.process,
                        names.join(" and ")
                    ),
                    places.iter().map(|(_, op)| *op).chain([sent.op.id]),
                ));
            }
        }
        Verdict::of(judged, violations, "no record with a sender of its own was seen")
    }
}
