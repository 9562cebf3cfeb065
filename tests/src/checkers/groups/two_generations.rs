//! **two-generations** (G3): after somebody had been answered in a generation, a request was
//! accepted in an older one.
//!
//! In classic groups the generation fences every request, so any two members count. In eager thin
//! groups an assignment of an older generation must not be told once a newer one is known. In
//! cooperative thin groups members lawfully are of different generations for a while, so the order
//! is by member and by partition there: a member does not go back, and who reads a partition does
//! so in no older generation than who read it before.
//!
//! On Kafka's wire a newer generation is known by an answered `sync_group` only
//! ([`Group::lasts`]), and heartbeats show nothing.

use std::collections::BTreeMap;

use super::epochs::NOT_OF_EPOCHS;
use super::view::{Group, Groups, Partition, Telling, partition_text};
use crate::checkers::clock::span;
use crate::checkers::{Checker, Verdict, Violation};
use crate::history::{History, Micros};

/// Two generations alive at once.
#[derive(Debug)]
pub struct TwoGenerations;

impl Checker for TwoGenerations {
    fn name(&self) -> &'static str {
        "two-generations"
    }

    fn check(&self, history: &History) -> Verdict {
        let groups = Groups::of(history);
        let (mut judged, mut violations) = (0, Vec::new());
        for group in groups.groups.values() {
            let mut report = |newer: &Telling<'_>, older: &Telling<'_>, of: String| {
                violations.push(Violation::new(
                    format!(
                        "group {}: {}{} was answered in generation {} in {}, after {} had been answered in generation {} in {}",
                        group.name,
                        older.member,
                        of,
                        older.generation,
                        span(older.op),
                        newer.member,
                        newer.generation,
                        span(newer.op)
                    ),
                    [newer.op.id, older.op.id],
                ));
            };
            judged += by_group(group, &mut |newer, older| report(newer, older, String::new()));
            if group.thin {
                judged += by_partition(group, &mut |newer, older, partition| {
                    report(newer, older, format!(" with {}", partition_text(partition)));
                });
            }
        }
        Verdict::of(judged, violations, Groups::NONE)
            .unless_empty(groups.only_epochs(), NOT_OF_EPOCHS)
    }
}

fn owns(telling: &Telling<'_>) -> bool {
    telling.assignment.as_ref().is_some_and(|assignment| !assignment.is_empty())
}

fn by_group<'a, 'h>(
    group: &'a Group<'h>,
    report: &mut dyn FnMut(&'a Telling<'h>, &'a Telling<'h>),
) -> usize {
    let newer: Vec<&Telling<'h>> = if group.thin {
        if group.cooperative {
            return 0;
        }
        // A thin commit names the generation that its member was told last, which need not be the
        // group's.
        group.tellings.iter().filter(|telling| !telling.op.f.starts_with("commit")).collect()
    } else {
        group.tellings.iter().collect()
    };
    let older = newer.iter().copied().filter(|telling| !group.thin || owns(telling)).collect();
    sweep(newer.into_iter().filter(|telling| group.lasts(telling)).collect(), older, report)
}

/// Calls `report` for each of `older` that was invoked after one of `newer` with a greater
/// generation had completed.
fn sweep<'a, 'h>(
    mut newer: Vec<&'a Telling<'h>>,
    mut older: Vec<&'a Telling<'h>>,
    report: &mut dyn FnMut(&'a Telling<'h>, &'a Telling<'h>),
) -> usize {
    newer.sort_by_key(|telling| (telling.complete, telling.op.id));
    older.sort_by_key(|telling| (telling.invoke, telling.op.id));
    let mut newer = newer.into_iter().peekable();
    let mut newest: Option<&Telling<'h>> = None;
    let judged = older.len();
    for telling in older {
        while let Some(done) = newer.next_if(|done| done.complete < telling.invoke) {
            if newest.is_none_or(|newest| done.generation > newest.generation) {
                newest = Some(done);
            }
        }
        if let Some(newest) = newest.filter(|newest| newest.generation > telling.generation) {
            report(newest, telling);
        }
    }
    judged
}

/// Per partition: the tellings of ownership with their time of completion; a later owner is of no
/// older generation.
fn by_partition<'a, 'h>(
    group: &'a Group<'h>,
    report: &mut dyn FnMut(&'a Telling<'h>, &'a Telling<'h>, &'a Partition),
) -> usize {
    let mut told: BTreeMap<&'a Partition, Vec<&'a Telling<'h>>> = BTreeMap::new();
    for telling in &group.tellings {
        for partition in telling.assignment.iter().flatten() {
            told.entry(partition).or_default().push(telling);
        }
    }
    let mut judged = 0;
    for (partition, tellings) in told {
        let mut last: Option<(Micros, u64)> = None;
        judged += sweep(tellings.clone(), tellings, &mut |newer, older| {
            // One account for each pair of answers is enough, whatever the number of partitions.
            if last != Some((newer.complete, older.op.id)) {
                last = Some((newer.complete, older.op.id));
                report(newer, older, partition);
            }
        });
    }
    judged
}
