//! The plots: operations and latency over time, owners of partitions, offsets and lag.

use std::collections::BTreeMap;

use super::figures::{duration, was_answered};
use super::lanes;
use super::svg::{Plot, float, height_of_lanes};
use crate::checkers::clock::at;
use crate::checkers::groups::overlapping_ownership::tenures;
use crate::checkers::groups::view::{Group, Partition, partition_text};
use crate::checkers::logs::{LogId, Logs};
use crate::checkers::offsets::{Commits, KeyCommits};
use crate::history::{History, Micros, Outcome};

/// Into how many bins the time of a run is cut.
const BINS: usize = 240;
/// More partitions than this are not drawn.
const LANES: usize = 40;
/// Height of a lane.
pub(super) const LANE: f64 = 15.0;

fn bin(time: Micros, end: Micros) -> usize {
    let bin = u128::from(time) * BINS as u128 / u128::from(end.max(1));
    usize::try_from(bin).unwrap_or(BINS - 1).min(BINS - 1)
}

fn bin_span(bin: usize, end: Micros) -> (Micros, Micros) {
    let edge = |bin: usize| end * bin as u64 / BINS as u64;
    (edge(bin), edge(bin + 1))
}

/// Operations per second by outcome, stacked.
pub fn operations(history: &History, end: Micros) -> String {
    let mut bins = [[0u64; 3]; BINS];
    for op in &history.ops {
        let kind = match op.outcome {
            Outcome::Ok => 0,
            Outcome::Fail if was_answered(op) => 1,
            Outcome::Fail | Outcome::Info => 2,
        };
        bins[bin(op.complete_us.unwrap_or(op.invoke_us), end)][kind] += 1;
    }
    let most = bins.iter().map(|bin| bin.iter().sum::<u64>()).max().unwrap_or(0).max(1);
    let seconds = float(end) / 1e6 / float(BINS as u64);
    let mut plot = Plot::new(history, end, 170.0);
    for part in [0.0, 0.5, 1.0] {
        plot.mark(part, &format!("{:.0}/s", float(most) * part / seconds.max(1e-6)));
    }
    for (number, counts) in bins.iter().enumerate() {
        let mut low = 0.0;
        for (count, class) in counts.iter().zip(["ok", "fail", "info"]) {
            let high = low + float(*count) / float(most);
            if *count > 0 {
                plot.bar(class, bin_span(number, end), (low, high));
            }
            low = high;
        }
    }
    plot.done()
}

/// Quantiles of latency over time, on a logarithmic scale.
pub fn latency(history: &History, end: Micros) -> String {
    let mut bins: Vec<Vec<Micros>> = vec![Vec::new(); BINS];
    for op in history.ops.iter().filter(|op| op.outcome == Outcome::Ok) {
        if let Some(complete) = op.complete_us {
            bins[bin(complete, end)].push(complete.saturating_sub(op.invoke_us).max(1));
        }
    }
    let all = || bins.iter().flatten().copied();
    let (low, high) = (all().min().unwrap_or(100), all().max().unwrap_or(1_000_000));
    let (low, high) = (
        float(low).log10().floor(),
        float(high).log10().ceil().max(float(low).log10().floor() + 1.0),
    );
    let part = |time: Micros| (float(time).log10() - low) / (high - low);
    let mut plot = Plot::new(history, end, 220.0);
    let mut decade = 1;
    while float(decade).log10() <= high {
        if float(decade).log10() >= low {
            plot.mark(part(decade), &duration(decade));
        }
        decade *= 10;
    }
    let line = |percent: usize| -> Vec<(Micros, f64)> {
        let points =
            bins.iter().enumerate().filter(|(_, bin)| !bin.is_empty()).map(|(number, bin)| {
                let mut bin = bin.clone();
                bin.sort_unstable();
                let rank = (bin.len() * percent).div_ceil(100).max(1) - 1;
                let (from, to) = bin_span(number, end);
                (from.midpoint(to), part(bin[rank]))
            });
        points.collect()
    };
    for (class, percent) in [("max", 100), ("p99", 99), ("p95", 95), ("p50", 50)] {
        plot.line(class, &line(percent));
    }
    plot.done()
}

/// A colour of its own for each member, the same everywhere in the page.
pub fn colour(number: usize) -> String {
    // Steps by the golden angle keep neighbours apart.
    let hue = number * 137 % 360;
    let light = [52, 66, 40][number / 12 % 3];
    format!("hsl({hue} 58% {light}%)")
}

/// Generations and owners of each partition of a group.
pub fn ownership(history: &History, end: Micros, group: &Group<'_>) -> String {
    let colours: BTreeMap<&str, String> = group
        .requests
        .keys()
        .enumerate()
        .map(|(number, member)| (*member, colour(number)))
        .collect();
    let tenures = tenures(group, history);
    let shown = tenures.len().min(LANES);
    let mut plot = Plot::new(history, end, height_of_lanes(shown + 2, LANE));
    plot.lane(0, LANE, "generation");
    let mut first: BTreeMap<i64, Micros> = BTreeMap::new();
    for telling in &group.tellings {
        let seen = first.entry(telling.generation).or_insert(telling.complete);
        *seen = (*seen).min(telling.complete);
    }
    let mut free = 0.0;
    for (generation, time) in first {
        // Labels that would overlap are left out; their blocks below still change.
        if plot.x(time) >= free {
            plot.note(0, LANE, time, &generation.to_string());
            free = plot.x(time) + 8.0 + 6.0 * float(generation.to_string().len() as u64);
        }
    }
    for (lane, (partition, tenures)) in tenures.iter().take(LANES).enumerate() {
        plot.lane(lane + 2, LANE, &partition_text(partition));
        let mut spans: Vec<(Micros, Micros, &str, i64)> = tenures
            .iter()
            .map(|tenure| {
                (
                    tenure.begins.min(tenure.ends),
                    tenure.begins.max(tenure.ends),
                    tenure.member,
                    tenure.generation,
                )
            })
            .collect();
        spans.sort_unstable();
        // What would be drawn into the same pixels becomes one block.
        let pixel = end / 1_000;
        let mut merged: Vec<(Micros, Micros, &str, i64)> = Vec::new();
        for span in spans {
            match merged.last_mut() {
                Some(last) if last.2 == span.2 && span.0 <= last.1.saturating_add(pixel) => {
                    last.1 = last.1.max(span.1)
                }
                _ => merged.push(span),
            }
        }
        for (from, to, member, generation) in merged {
            let title = format!(
                "{} {member}, from generation {generation}, {} to {}",
                partition_text(partition),
                at(from),
                at(to)
            );
            plot.block(lane + 2, LANE, (from, to), &colours[member], &title);
        }
    }
    if !group.thin {
        let shown: Vec<&Partition> = tenures.keys().take(LANES).collect();
        lanes::draw(&mut plot, history, end, group, &shown);
    }
    let mut html = plot.done();
    if tenures.len() > LANES {
        html.push_str(&format!(
            "<p class=\"dim\">{} more partitions are not shown.</p>",
            tenures.len() - LANES
        ));
    }
    html.push_str("<p class=\"legend\">");
    for (member, colour) in colours.iter().take(LANES) {
        html.push_str(&format!(
            "<span><i style=\"background:{colour}\"></i>{}</span>",
            super::svg::escape(member)
        ));
    }
    html.push_str("</p>");
    html
}

/// A level that rises and falls by steps, summed over logs.
#[derive(Default)]
struct Level {
    steps: Vec<(Micros, String, i64)>,
}

impl Level {
    fn add(&mut self, time: Option<Micros>, log: &str, value: i64) {
        if let Some(time) = time {
            self.steps.push((time, log.to_owned(), value));
        }
    }

    /// The sum over all logs at the end of each bin.
    fn binned(mut self, end: Micros, rises_only: bool) -> Vec<i64> {
        self.steps.sort();
        let (mut now, mut sum) = (BTreeMap::<String, i64>::new(), 0);
        let mut levels = vec![0; BINS];
        let mut steps = self.steps.into_iter().peekable();
        for (number, level) in levels.iter_mut().enumerate() {
            let (_, to) = bin_span(number, end);
            while let Some((_, log, value)) =
                steps.next_if(|step| step.0 <= to || number + 1 == BINS)
            {
                let before = now.entry(log).or_insert(0);
                if !rises_only || value > *before {
                    sum += value - *before;
                    *before = value;
                }
            }
            *level = sum;
        }
        levels
    }
}

/// Log ends, committed offsets and lag of a group, or of Maelstrom's keys, summed over its logs.
pub fn lag(history: &History, end: Micros, group: Option<&str>) -> Option<String> {
    let logs = Logs::of(history);
    let (mut ends, mut committed) = (Level::default(), Level::default());
    let mut topics = Vec::new();
    if let Some(group) = group {
        for (slot, register) in
            Commits::of(history).registers.iter().filter(|(slot, _)| slot.group == group)
        {
            let log = format!("{}-{}", slot.topic, slot.partition);
            topics.push(slot.topic.clone());
            for write in register.writes.iter().filter(|write| write.op.outcome == Outcome::Ok) {
                committed.add(write.op.complete_us, &log, write.value);
            }
        }
    } else {
        for (key, register) in &KeyCommits::of(history).keys {
            for write in register.writes.iter().filter(|write| write.op.outcome == Outcome::Ok) {
                // Of keys the offset is that of the last record, not of the next one.
                committed.add(write.op.complete_us, key, write.value + 1);
            }
        }
    }
    for (id, log) in &logs.logs {
        let name = match id {
            LogId::Key(key) if group.is_none() => key.clone(),
            LogId::Partition(topic, partition) if topics.contains(topic) => {
                format!("{topic}-{partition}")
            }
            _ => continue,
        };
        for (offset, _, op) in &log.acks {
            ends.add(op.complete_us, &name, offset + 1);
        }
    }
    if ends.steps.is_empty() || committed.steps.is_empty() {
        return None;
    }
    let (ends, committed) = (ends.binned(end, true), committed.binned(end, group.is_none()));
    let most = ends.iter().chain(&committed).copied().max().unwrap_or(1).max(1);
    let part = |value: i64| {
        float(u64::try_from(value).unwrap_or(0)) / float(u64::try_from(most).unwrap_or(1))
    };
    let mut plot = Plot::new(history, end, 170.0);
    for mark in [0, most / 2, most] {
        plot.mark(part(mark), &mark.to_string());
    }
    let line = |values: &mut dyn Iterator<Item = i64>| -> Vec<(Micros, f64)> {
        values.enumerate().map(|(number, value)| (bin_span(number, end).1, part(value))).collect()
    };
    plot.line("ends", &line(&mut ends.iter().copied()));
    plot.line("committed", &line(&mut committed.iter().copied()));
    plot.line(
        "lag",
        &line(&mut ends.iter().zip(&committed).map(|(end, committed)| (end - committed).max(0))),
    );
    Some(plot.done())
}
