//! **lost-write**: an acknowledged message that no read ever returned, though a read passed over
//! its offset.
//!
//! Source: Jepsen's Kafka checker (`lost-write`), which takes every offset up to the highest one
//! read as passed over. Here a read must have *covered* the offset (asked for it or an earlier one,
//! and returned a later one), since a group may begin to read at a committed offset and lawfully
//! never see what is before it. Messages beyond all reads are judged by `unseen`.

use super::{Log, LogId, Logs, NO_LOGS};
use crate::checkers::{Checker, Need, Verdict, Violation};
use crate::history::History;

/// An acknowledged message that readers passed over.
#[derive(Debug)]
pub struct LostWrite;

impl Checker for LostWrite {
    fn name(&self) -> &'static str {
        "lost-write"
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::KeptRecords]
    }

    fn check(&self, history: &History) -> Verdict {
        let logs = Logs::of(history);
        let (mut judged, mut violations) = (0, Vec::new());
        for (id, log) in &logs.logs {
            let (here, found) = lost(id, log, &logs);
            judged += here;
            violations.extend(found);
        }
        Verdict::of(judged, violations, "no read covered the offset of an acknowledged record")
            .unless_empty(logs.is_empty(), NO_LOGS)
    }
}

fn lost(id: &LogId, log: &Log<'_>, logs: &Logs<'_>) -> (usize, Vec<Violation>) {
    let covers = Covers::of(log);
    let (mut judged, mut violations) = (0, Vec::new());
    for (offset, value, ack) in &log.acks {
        let Some(reader) = covers.reader_of(*offset) else { continue };
        judged += 1;
        // Read anywhere in the log it is not lost; at another offset it is `duplicate`.
        if !log.read_values.contains(value) {
            violations.push(Violation::new(
                format!(
                    "{id}: message {} was acknowledged at offset {offset}, which a read passed over; nobody ever read it",
                    logs.text(*value)
                ),
                [ack.id, reader],
            ));
        }
    }
    (judged, violations)
}

/// Which offsets of a log were covered by reads, as disjoint ranges with one operation each.
pub(crate) struct Covers(std::collections::BTreeMap<i64, (i64, u64)>);

impl Covers {
    pub(crate) fn of(log: &Log<'_>) -> Self {
        // A read covers from where it asked, or from its first record, to its last record.
        let mut spans: Vec<(i64, i64, u64)> = log
            .reads
            .iter()
            .filter_map(|read| {
                let last = read.last()?;
                let first = read.records.iter().map(|record| record.0).min()?;
                Some((read.from.map_or(first, |from| from.min(first)), last, read.op.id))
            })
            .collect();
        // Among those that begin together, the one that reaches farthest first.
        spans.sort_by_key(|(first, last, op)| (*first, -last, *op));
        let mut covers = std::collections::BTreeMap::new();
        let mut end = i64::MIN;
        for (first, last, op) in spans {
            if last > end {
                covers.insert(first.max(end.saturating_add(1)), (last, op));
                end = last;
            }
        }
        Self(covers)
    }

    /// An operation that read over an offset.
    pub(crate) fn reader_of(&self, offset: i64) -> Option<u64> {
        let (_, (last, op)) = self.0.range(..=offset).next_back()?;
        (offset <= *last).then_some(*op)
    }
}
