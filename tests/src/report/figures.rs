//! The numbers of a run.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::checkers::clock::{end, unknown};
use crate::checkers::groups::view::{Group, Groups};
use crate::history::{History, Micros, Op, Outcome};

/// How long operations took, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// How many were measured.
    pub count: usize,
    /// Half took no longer.
    pub p50: Micros,
    /// 95 of 100 took no longer.
    pub p95: Micros,
    /// 99 of 100 took no longer.
    pub p99: Micros,
    /// The slowest.
    pub max: Micros,
}

impl Latency {
    /// The quantiles of some durations, by the nearest rank.
    #[must_use]
    pub fn of(mut durations: Vec<Micros>) -> Self {
        durations.sort_unstable();
        let at = |percent: usize| {
            let rank = (durations.len() * percent).div_ceil(100).max(1);
            durations.get(rank - 1).copied().unwrap_or(0)
        };
        Self { count: durations.len(), p50: at(50), p95: at(95), p99: at(99), max: at(100) }
    }
}

/// How soon the cluster answered after a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recovery {
    /// The fault's kind and detail.
    pub fault: String,
    /// When it began.
    pub from_us: Micros,
    /// When it ended.
    pub to_us: Option<Micros>,
    /// The longest time without an answer while it was on.
    pub silence_us: Micros,
    /// From its end to the first answer to a request sent after it; `None` if none came.
    pub recovery_us: Option<Micros>,
}

/// For how long a member of a group could not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemberPause {
    /// The group.
    pub group: String,
    /// The member.
    pub member: String,
    /// In all, from being told that it owns nothing (or from its request to join anew) to owning
    /// something again.
    pub paused_us: Micros,
    /// How often.
    pub pauses: usize,
}

/// The numbers of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// How long the run took.
    pub duration_us: Micros,
    /// How many operations were invoked.
    pub invoked: usize,
    /// How many took effect.
    pub ok: usize,
    /// How many certainly took none.
    pub fail: usize,
    /// Of how many it is not known.
    pub info: usize,
    /// Operations that took effect, per second.
    pub throughput: f64,
    /// The part of all operations that was decided: answered by something else than a time-out or
    /// "not now". 0 to 1.
    pub availability: f64,
    /// Of all operations that took effect.
    pub latency: Latency,
    /// The same by request.
    pub latency_by_request: BTreeMap<String, Latency>,
    /// Each fault, in the order of their beginning.
    pub recoveries: Vec<Recovery>,
    /// How often each group's generation was seen to rise.
    pub rebalances: BTreeMap<String, i64>,
    /// By group and member.
    pub pauses: Vec<MemberPause>,
}

/// Counts and measures a history.
#[must_use]
pub fn figures(history: &History) -> Figures {
    let asked = asked(history);
    let history = asked.as_ref();
    let of = |outcome: Outcome| history.ops.iter().filter(|op| op.outcome == outcome).count();
    let duration_us = end(history);
    let (mut all, mut by_request) = (Vec::new(), BTreeMap::<String, Vec<Micros>>::new());
    for op in history.ops.iter().filter(|op| op.outcome == Outcome::Ok) {
        let Some(complete) = op.complete_us else { continue };
        let took = complete.saturating_sub(op.invoke_us);
        all.push(took);
        by_request.entry(op.f.clone()).or_default().push(took);
    }
    let decided = history.ops.iter().filter(|op| was_answered(op)).count();
    let groups = Groups::of(history);
    let pauses = groups.groups.values().flat_map(|group| pauses(group)).collect();
    Figures {
        duration_us,
        invoked: history.ops.len(),
        ok: of(Outcome::Ok),
        fail: of(Outcome::Fail),
        info: of(Outcome::Info),
        throughput: ratio(all.len(), usize::try_from(duration_us).unwrap_or(usize::MAX)) * 1e6,
        availability: ratio(decided, history.ops.len()),
        latency: Latency::of(all),
        latency_by_request: by_request
            .into_iter()
            .map(|(f, durations)| (f, Latency::of(durations)))
            .collect(),
        recoveries: recoveries(history),
        rebalances: groups
            .groups
            .iter()
            .map(|(name, group)| ((*name).to_owned(), rises(group)))
            .collect(),
        pauses,
    }
}

/// The history without what applications say: nobody was asked for that.
fn asked(history: &History) -> Cow<'_, History> {
    if !history.ops.iter().any(Op::is_said) {
        return Cow::Borrowed(history);
    }
    let ops = history.ops.iter().filter(|op| !op.is_said()).cloned().collect();
    let (header, faults) = (history.header.clone(), history.faults.clone());
    Cow::Owned(History { header, ops, faults })
}

/// Whether an operation was answered: done, or refused, and not for want of a node that could tell.
pub(super) fn was_answered(op: &Op) -> bool {
    !unknown(op) && (op.outcome == Outcome::Ok || !matches!(op.code, None | Some(0 | 1 | 11 | 13)))
}

#[allow(clippy::cast_precision_loss)] // Counts of one run are far below 2^52.
pub(super) fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn recoveries(history: &History) -> Vec<Recovery> {
    let mut decided: Vec<(Micros, Micros)> = history
        .ops
        .iter()
        .filter(|op| was_answered(op))
        .filter_map(|op| Some((op.complete_us?, op.invoke_us)))
        .collect();
    decided.sort_unstable();
    let over = end(history);
    let of = |fault: &crate::history::Fault| {
        let to = fault.to_us.unwrap_or(over);
        let during = &decided[decided.partition_point(|(at, _)| *at < fault.from_us)..];
        let during = during.iter().map(|(at, _)| *at).take_while(|at| *at <= to);
        let marks: Vec<Micros> = std::iter::once(fault.from_us).chain(during).chain([to]).collect();
        let silence =
            marks.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).max().unwrap_or(0);
        let after = fault.to_us.and_then(|to| {
            let later = &decided[decided.partition_point(|(at, _)| *at <= to)..];
            later.iter().find(|(_, invoke)| *invoke >= to).map(|(at, _)| at - to)
        });
        let fault_name = if fault.detail.is_empty() {
            fault.fault.clone()
        } else {
            format!("{}: {}", fault.fault, fault.detail)
        };
        Recovery {
            fault: fault_name,
            from_us: fault.from_us,
            to_us: fault.to_us,
            silence_us: silence,
            recovery_us: after,
        }
    };
    history.faults.iter().map(of).collect()
}

/// From the first generation that anybody was told to the last.
fn rises(group: &Group<'_>) -> i64 {
    let told = group.tellings.iter().map(|telling| telling.generation);
    let told: Vec<i64> =
        told.chain(group.descriptions.iter().filter_map(|d| d.generation)).collect();
    told.iter().max().zip(told.iter().min()).map_or(0, |(max, min)| max - min)
}

fn pauses<'a>(group: &'a Group<'_>) -> impl Iterator<Item = MemberPause> + 'a {
    group.requests.keys().map(|member| {
        let (mut paused_us, mut pauses) = (0, 0);
        let mut owned = false;
        let mut since: Option<Micros> = None;
        for telling in group.tellings.iter().filter(|telling| telling.member == *member) {
            let owns = telling.assignment.as_ref().map(|assignment| !assignment.is_empty());
            match owns {
                // A classic member stops reading when it joins anew.
                None if telling.op.f == "join_group" && owned => {
                    since = since.or(Some(telling.invoke))
                }
                Some(false) if owned => since = since.or(Some(telling.complete)),
                Some(true) => {
                    owned = true;
                    if let Some(since) = since.take() {
                        paused_us += telling.complete.saturating_sub(since);
                        pauses += 1;
                    }
                }
                _ => {}
            }
        }
        MemberPause {
            group: group.name.to_owned(),
            member: (*member).to_owned(),
            paused_us,
            pauses,
        }
    })
}

/// A duration as people read it.
#[must_use]
pub(super) fn duration(time: Micros) -> String {
    match time {
        0..1_000 => format!("{time} µs"),
        1_000..1_000_000 => format!("{}.{} ms", time / 1_000, time % 1_000 / 100),
        _ => format!("{}.{:02} s", time / 1_000_000, time % 1_000_000 / 10_000),
    }
}

/// A few lines for a terminal.
impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Latency { p50, p95, p99, max, .. } = self.latency;
        writeln!(
            f,
            "operations    {} in {}: {} ok, {} refused, {} unknown",
            self.invoked,
            duration(self.duration_us),
            self.ok,
            self.fail,
            self.info
        )?;
        writeln!(
            f,
            "throughput    {:.1}/s, availability {:.2}%",
            self.throughput,
            self.availability * 100.0
        )?;
        writeln!(
            f,
            "latency       p50 {}, p95 {}, p99 {}, max {}",
            duration(p50),
            duration(p95),
            duration(p99),
            duration(max)
        )?;
        for recovery in &self.recoveries {
            let after = recovery.recovery_us.map_or("no answer afterwards".to_owned(), |r| {
                format!("answered {} after it", duration(r))
            });
            writeln!(
                f,
                "fault         {} from {}: silent for {} at most, {after}",
                recovery.fault,
                duration(recovery.from_us),
                duration(recovery.silence_us)
            )?;
        }
        for (group, rises) in &self.rebalances {
            let members: Vec<&MemberPause> =
                self.pauses.iter().filter(|pause| pause.group == *group).collect();
            let longest = members.iter().max_by_key(|pause| pause.paused_us);
            let longest = longest.map_or(String::new(), |pause| {
                format!(", paused longest: {} for {}", pause.member, duration(pause.paused_us))
            });
            writeln!(
                f,
                "group         {group}: {rises} rebalances, {} members{longest}",
                members.len()
            )?;
        }
        Ok(())
    }
}
