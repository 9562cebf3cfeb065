//! **generation-reuse** (G4): a group's generation went back, or one generation had two
//! assignments.
//!
//! Judged on what each member was told in requests that followed each other, and on descriptions of
//! the group. Two assignments of one generation: in eager and classic groups, a member was told two
//! different ones; in all groups, two descriptions of a stable group differ; in classic groups, two
//! members were made leader. In the simulator [`crate::checkers::state`] judges the order of the
//! log itself. Partitions of a topic that may have been deleted by the later answer do not count:
//! they cease to be owned within a generation.
//!
//! On Kafka's wire a generation that a coordinator took with it before its leader had assigned is
//! given away again, with another leader. So only an answered `sync_group` shows that a generation
//! was reached, leaders are not compared, and descriptions tell no generation.
//!
//! Of KIP-848 only this is judged: a member's heartbeat is not answered with a lower epoch than its
//! own.

use std::collections::BTreeMap;

use serde_json::Value;

use super::epochs::{EpochGroup, epoch};
use super::view::{Assignment, Description, Group, Groups, Partition, Telling};
use crate::checkers::clock::span;
use crate::checkers::logs::name;
use crate::checkers::{Checker, Verdict, Violation};
use crate::history::{History, Micros, Op};

/// A generation used twice.
#[derive(Debug)]
pub struct GenerationReuse;

impl Checker for GenerationReuse {
    fn name(&self) -> &'static str {
        "generation-reuse"
    }

    fn check(&self, history: &History) -> Verdict {
        let groups = Groups::of(history);
        let (mut judged, mut violations) = (0, Vec::new());
        for group in groups.groups.values() {
            judged += falls(group, &mut violations);
            judged += two_assignments(&groups, group, &mut violations);
            judged += two_descriptions(&groups, group, &mut violations);
            judged += two_leaders(group, &mut violations);
        }
        for group in &groups.epochs {
            judged += epoch_falls(group, &mut violations);
        }
        Verdict::of(judged, violations, Groups::NONE)
    }
}

/// Generations in the order in which one observer was told them: each with its request.
fn falls_of(
    who: &str,
    group: &Group<'_>,
    told: &mut [(i64, &Op)],
    lasts: impl Fn(&Op) -> bool,
    violations: &mut Vec<Violation>,
) {
    // By completion on the one side and invocation on the other: only requests that followed each
    // other are ordered.
    let mut done: Vec<(u64, i64, &Op)> = told
        .iter()
        .filter(|(_, op)| lasts(op))
        .filter_map(|(generation, op)| Some((op.complete_us?, *generation, *op)))
        .collect();
    done.sort_by_key(|(complete, _, op)| (*complete, op.id));
    told.sort_by_key(|(_, op)| (op.invoke_us, op.id));
    let mut done = done.into_iter().peekable();
    let mut highest: Option<(i64, &Op)> = None;
    for (generation, op) in told.iter() {
        while let Some((_, before, earlier)) =
            done.next_if(|(complete, ..)| *complete < op.invoke_us)
        {
            if highest.is_none_or(|(highest, _)| before > highest) {
                highest = Some((before, earlier));
            }
        }
        if let Some((before, earlier)) = highest.filter(|(before, _)| before > generation) {
            violations.push(Violation::new(
                format!(
                    "group {}: {who} was told generation {generation} in {}, after generation {before} in {}",
                    group.name,
                    span(op),
                    span(earlier)
                ),
                [earlier.id, op.id],
            ));
        }
    }
}

fn falls(group: &Group<'_>, violations: &mut Vec<Violation>) -> usize {
    let mut by_member: BTreeMap<&str, Vec<(i64, &Op)>> = BTreeMap::new();
    for telling in &group.tellings {
        // A member that waits for its first assignment has no generation yet, which some tell as 0.
        let waits = telling.generation <= 0
            && telling.assignment.as_ref().is_some_and(Assignment::is_empty);
        if !waits {
            by_member.entry(telling.member).or_default().push((telling.generation, telling.op));
        }
    }
    let mut judged = 0;
    for (member, mut told) in by_member {
        judged += told.len();
        let lasts = |op: &Op| !group.wire || op.f == "sync_group";
        falls_of(member, group, &mut told, lasts, violations);
    }
    let mut described: Vec<(i64, &Op)> = group
        .descriptions
        .iter()
        .filter_map(|description| Some((description.generation?, description.op)))
        .collect();
    falls_of("who described it", group, &mut described, |_| true, violations);
    judged + described.len()
}

/// Heartbeats of KIP-848 that were answered with a lower epoch than they name.
fn epoch_falls(group: &EpochGroup<'_>, violations: &mut Vec<Violation>) -> usize {
    let mut judged = 0;
    for op in group.members.values().flat_map(|member| &member.beats) {
        let told = op.result.as_ref().and_then(|told| told.get("member_epoch")?.as_i64());
        let named = epoch(op).filter(|named| *named > 0);
        let (Some(told), Some(named)) = (told, named) else { continue };
        judged += 1;
        if told < named {
            let (name, when) = (group.name, span(op));
            let account =
                format!("group {name}: epoch {named} was answered by epoch {told} in {when}");
            violations.push(Violation::new(account, [op.id]));
        }
    }
    judged
}

/// What a telling says of topics that were certainly still there at a time: a deleted one is
/// nobody's at once.
fn lasting(groups: &Groups<'_>, assignment: &Assignment, until: Micros) -> Assignment {
    let lasts = |partition: &&Partition| !groups.topics.may_be_over(&partition.0, until);
    assignment.iter().filter(lasts).cloned().collect()
}

fn two_assignments(
    groups: &Groups<'_>,
    group: &Group<'_>,
    violations: &mut Vec<Violation>,
) -> usize {
    if group.thin && group.cooperative {
        return 0;
    }
    let mut first: BTreeMap<(&str, i64), &Telling<'_>> = BTreeMap::new();
    let mut judged = 0;
    for telling in &group.tellings {
        // A thin consumer that has given up all it held is told nothing, in the generation that
        // ends.
        let Some(assignment) = telling.assignment.as_ref().filter(|a| !group.thin || !a.is_empty())
        else {
            continue;
        };
        judged += 1;
        let before = *first.entry((telling.member, telling.generation)).or_insert(telling);
        let until = before.complete.max(telling.complete);
        let [old, new] =
            [before.assignment.iter().flatten().cloned().collect(), assignment.clone()]
                .map(|told| lasting(groups, &told, until));
        if old != new {
            violations.push(Violation::new(
                format!(
                    "group {}: {} was told two assignments in generation {}: {} and {}",
                    group.name,
                    telling.member,
                    telling.generation,
                    text(old.iter()),
                    text(new.iter())
                ),
                [before.op.id, telling.op.id],
            ));
        }
    }
    judged
}

fn text<'a>(partitions: impl Iterator<Item = &'a Partition>) -> String {
    let names: Vec<String> = partitions.map(super::view::partition_text).collect();
    format!("[{}]", names.join(", "))
}

fn two_descriptions(
    groups: &Groups<'_>,
    group: &Group<'_>,
    violations: &mut Vec<Violation>,
) -> usize {
    let mut first: BTreeMap<i64, &Description<'_>> = BTreeMap::new();
    let mut judged = 0;
    for description in group.descriptions.iter().filter(|description| description.state == "Stable")
    {
        let Some(generation) = description.generation else { continue };
        judged += 1;
        let before = *first.entry(generation).or_insert(description);
        let (old, new) = (owners(before), owners(description));
        let until = before.complete.max(description.complete);
        let lasts = |partition: &&Partition| !groups.topics.may_be_over(&partition.0, until);
        let mut both = old.iter().chain(&new).map(|(partition, _)| *partition).filter(lasts);
        let moved = both.find(|partition| match (old.get(partition), new.get(partition)) {
            (Some(a), Some(b)) => !group.same_seat(a, b),
            (None, None) => false,
            _ => true,
        });
        if let Some(moved) = moved {
            let owner = |owners: &BTreeMap<&Partition, &str>| {
                owners.get(moved).copied().unwrap_or("nobody").to_owned()
            };
            violations.push(Violation::new(
                format!(
                    "group {}: described twice as stable in generation {generation}, with {} owned by {} and by {}",
                    group.name,
                    super::view::partition_text(moved),
                    owner(&old),
                    owner(&new)
                ),
                [before.op.id, description.op.id],
            ));
        }
    }
    judged
}

fn owners<'a, 'h>(description: &'a Description<'h>) -> BTreeMap<&'a Partition, &'h str> {
    let members = description.members.iter();
    members
        .flat_map(|member| member.assignment.iter().map(move |partition| (partition, member.id)))
        .collect()
}

fn two_leaders(group: &Group<'_>, violations: &mut Vec<Violation>) -> usize {
    if group.wire {
        return 0;
    }
    let mut leaders: BTreeMap<i64, (&str, &Op)> = BTreeMap::new();
    let mut judged = 0;
    for telling in group.tellings.iter().filter(|telling| telling.op.f == "join_group") {
        let leader = telling.op.result.as_ref().and_then(|reply: &Value| name(reply, "leader"));
        if leader != Some(telling.member) {
            continue;
        }
        judged += 1;
        let (before, shown) =
            *leaders.entry(telling.generation).or_insert((telling.member, telling.op));
        if !group.same_seat(before, telling.member) {
            violations.push(Violation::new(
                format!(
                    "group {}: both {before} and {} were made leader of generation {}",
                    group.name, telling.member, telling.generation
                ),
                [shown.id, telling.op.id],
            ));
        }
    }
    judged
}
