//! What happened to the partitions of a classic group, drawn into the lanes of its owners: the
//! faults above, the commits on each partition, and the stretches in which nobody fetched it.

use std::collections::BTreeMap;

use super::charts::LANE;
use super::figures::duration;
use super::svg::Plot;
use crate::checkers::clock::at;
use crate::checkers::groups::view::{Group, Partition, partition_text};
use crate::checkers::logs::topic;
use crate::checkers::offsets::Commits;
use crate::history::{History, Micros, Outcome};

/// What the marks mean.
pub const LEGEND: [(&str, &str); 3] =
    [("commit", "commit"), ("gap", "not fetched by anybody"), ("down", "fault")];

/// Into how many columns the time is cut: what falls into one is one mark.
const COLUMNS: u64 = 480;
/// A shorter stretch without a fetch is not drawn.
const SHORTEST: Micros = 100_000;

/// Draws the faults into lane 1 and the rest into the partitions' lanes, which begin at 2.
pub fn draw(
    plot: &mut Plot,
    history: &History,
    end: Micros,
    group: &Group<'_>,
    shown: &[&Partition],
) {
    if !history.faults.is_empty() {
        plot.lane(1, LANE, "faults");
    }
    for fault in &history.faults {
        let span = (fault.from_us, fault.to_us.unwrap_or(end));
        let title = format!("{} {}, from {}", fault.fault, fault.detail, at(fault.from_us));
        plot.block(1, LANE, span, "#d1495b55", &title);
    }
    let column = (end / COLUMNS).max(1);
    let commits = Commits::of(history);
    let fetches = fetches(history);
    for (lane, partition) in shown.iter().enumerate() {
        let register = commits.register(group.name, &partition.0, partition.1);
        let mut drawn: BTreeMap<u64, (Micros, i64)> = BTreeMap::new();
        for write in register.iter().flat_map(|register| &register.writes) {
            if let Some(time) = write.op.complete_us.filter(|_| write.op.outcome == Outcome::Ok) {
                drawn.insert(time / column, (time, write.value));
            }
        }
        for (time, value) in drawn.into_values() {
            let title =
                format!("{} committed at {value} by {}", partition_text(partition), at(time));
            plot.tick(lane + 2, LANE, time, "commit", &title);
        }
        let fetches = fetches.get(*partition).map_or(&[][..], Vec::as_slice);
        for (from, to) in gaps(fetches, column.max(SHORTEST)) {
            let title = format!(
                "{} was not fetched for {}, from {}",
                partition_text(partition),
                duration(to - from),
                at(from)
            );
            plot.under(lane + 2, LANE, (from, to), "gap", &title);
        }
    }
}

/// When each partition was fetched: invoked and answered, in the order of invocation.
fn fetches(history: &History) -> BTreeMap<Partition, Vec<(Micros, Micros)>> {
    let mut fetches: BTreeMap<Partition, Vec<(Micros, Micros)>> = BTreeMap::new();
    for op in history.ops.iter().filter(|op| op.f == "fetch" && op.outcome == Outcome::Ok) {
        let number = op.args.get("partition").and_then(serde_json::Value::as_i64);
        let Some((number, complete)) = number.zip(op.complete_us) else { continue };
        let partition = (topic(&op.args).to_owned(), number);
        fetches.entry(partition).or_default().push((op.invoke_us, complete));
    }
    fetches.values_mut().for_each(|all| all.sort_unstable());
    fetches
}

/// The stretches between fetches that are longer than the given time.
fn gaps(fetches: &[(Micros, Micros)], longer: Micros) -> Vec<(Micros, Micros)> {
    let mut gaps = Vec::new();
    let mut read_until: Option<Micros> = None;
    for (invoked, answered) in fetches {
        if let Some(from) = read_until.filter(|from| invoked.saturating_sub(*from) > longer) {
            gaps.push((from, *invoked));
        }
        read_until = read_until.max(Some(*answered));
    }
    gaps
}
