//! **double-ownership** (G1): in one generation of a group, two members own the same partition.
//!
//! Holds for all groups. Judged on every reply that tells a member its assignment, whenever it
//! arrived, and on descriptions of a stable group. In a cooperative thin group a partition may pass
//! from hand to hand within a generation, and its old owner may be told of the generation before
//! its next poll gives the partition up; so there only polls count, by which a member reads.
//! Members that follow each other in one static seat count as one.
//!
//! On Kafka's wire the leader assigns and the broker hands on what it was given. There it is judged
//! where the leaders' assignments of that generation are in the history, and none of them gives the
//! partition to both; descriptions, only where all use the arena's assignor.
//!
//! A member of KIP-848 has an epoch of its own. There it is judged by what each owned at one time
//! (see `overlapping-ownership`), of members that were given the partition in the same epoch.

use std::collections::BTreeMap;

use serde_json::Value;

use super::epochs::EpochGroup;
use super::overlapping_ownership::{Tenure, overlaps};
use super::view::{Assignment, Group, Groups, Partition, assignment, partition_text};
use crate::checkers::wire::{CLIENTS_ASSIGN, arena_assigns, is_wire};
use crate::checkers::{Checker, Verdict, Violation};
use crate::history::History;

/// One partition, one generation, two owners.
#[derive(Debug)]
pub struct DoubleOwnership;

impl Checker for DoubleOwnership {
    fn name(&self) -> &'static str {
        "double-ownership"
    }

    fn check(&self, history: &History) -> Verdict {
        let groups = Groups::of(history);
        let (mut judged, mut violations) = (0, Vec::new());
        for group in groups.groups.values() {
            judged += told(group, &mut violations);
            if !group.wire || arena_assigns(history) {
                judged += described(group, &mut violations);
            }
        }
        for group in &groups.epochs {
            judged += in_one_epoch(group, history, &mut violations);
        }
        let nothing = if is_wire(history) { CLIENTS_ASSIGN } else { Groups::NONE };
        Verdict::of(judged, violations, nothing)
            .unless_empty(groups.groups.is_empty() && groups.epochs.is_empty(), Groups::NONE)
    }
}

/// Two members that were given a partition in the same epoch, neither of which had let it go.
fn in_one_epoch(
    group: &EpochGroup<'_>,
    history: &History,
    violations: &mut Vec<Violation>,
) -> usize {
    let mut judged = 0;
    for (partition, mut tenures) in group.tenures(history) {
        judged += tenures.len();
        let other =
            |a: &Tenure<'_>, b: &Tenure<'_>| a.member == b.member || a.generation != b.generation;
        overlaps(&mut tenures, other, |earlier, later| {
            violations.push(Violation::new(
                format!(
                    "group {}: in epoch {}, {} was given to both {} and {}, and neither had let it go",
                    group.name,
                    earlier.generation,
                    partition_text(&partition),
                    earlier.member,
                    later.member
                ),
                [earlier.first, earlier.last, later.first, later.last],
            ));
        });
    }
    judged
}

fn told(group: &Group<'_>, violations: &mut Vec<Violation>) -> usize {
    let mut owners: BTreeMap<(i64, &Partition), BTreeMap<&str, u64>> = BTreeMap::new();
    let assigned = if group.wire { assigned(group) } else { BTreeMap::new() };
    let mut judged = 0;
    for telling in &group.tellings {
        if group.thin && group.cooperative && telling.op.f != "poll" {
            continue;
        }
        for partition in telling.assignment.iter().flatten() {
            if group.wire && !assigned.contains_key(&telling.generation) {
                continue;
            }
            judged += 1;
            let owners = owners.entry((telling.generation, partition)).or_default();
            owners.entry(telling.member).or_insert(telling.op.id);
        }
    }
    for ((generation, partition), owners) in owners {
        let mut owners = owners.into_iter();
        let Some((first, shown)) = owners.next() else { continue };
        let by_leader = |other: &str| {
            let assignments = assigned.get(&generation).into_iter().flatten();
            assignments.clone().any(|by_member| {
                let gives = |member| by_member.get(member).is_some_and(|a| a.contains(partition));
                gives(first) && gives(other)
            })
        };
        let two = |other: &str| !group.same_seat(first, other) && !by_leader(other);
        for (other, also) in owners.filter(|(other, _)| two(other)) {
            violations.push(Violation::new(
                format!(
                    "group {}: in generation {generation}, {} was told to both {first} and {other}",
                    group.name,
                    partition_text(partition)
                ),
                [shown, also],
            ));
        }
    }
    judged
}

/// What leaders assigned to each member, by generation: whatever became of their requests.
type Assigned<'h> = BTreeMap<i64, Vec<BTreeMap<&'h str, Assignment>>>;

fn assigned<'h>(group: &Group<'h>) -> Assigned<'h> {
    let mut assigned = Assigned::new();
    for op in group.requests.values().flatten().filter(|op| op.f == "sync_group") {
        let generation = op.args.get("generation").and_then(Value::as_i64);
        let by_member = op.args.get("assignments").and_then(Value::as_object);
        let Some((generation, by_member)) = generation.zip(by_member) else { continue };
        let by_member = by_member
            .iter()
            .filter_map(|(member, topics)| Some((member.as_str(), assignment(topics)?)));
        assigned.entry(generation).or_default().push(by_member.collect());
    }
    assigned
}

fn described(group: &Group<'_>, violations: &mut Vec<Violation>) -> usize {
    let mut judged = 0;
    for description in group.descriptions.iter().filter(|description| description.state == "Stable")
    {
        let mut owners: BTreeMap<&Partition, &str> = BTreeMap::new();
        for member in &description.members {
            for partition in &member.assignment {
                judged += 1;
                if let Some(other) = owners.insert(partition, member.id) {
                    violations.push(Violation::new(
                        format!(
                            "group {}: described {} with {} owned by both {other} and {}",
                            group.name,
                            description.when(),
                            partition_text(partition),
                            member.id
                        ),
                        [description.op.id],
                    ));
                }
            }
        }
    }
    judged
}
