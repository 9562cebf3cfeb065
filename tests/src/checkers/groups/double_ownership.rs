//! **double-ownership** (G1): in one generation of a group, two members own the same partition.
//!
//! Holds for all groups. Judged on every reply that tells a member its assignment, whenever it
//! arrived, and on descriptions of a stable group. In a cooperative thin group a partition may pass
//! from hand to hand within a generation, and its old owner may be told of the generation before
//! its next poll gives the partition up; so there only polls count, by which a member reads.
//! Members that follow each other in one static seat count as one.

use std::collections::BTreeMap;

use super::view::{Group, Groups, Partition, partition_text};
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
            judged += described(group, &mut violations);
        }
        Verdict::of(judged, violations, Groups::NONE)
    }
}

fn told(group: &Group<'_>, violations: &mut Vec<Violation>) -> usize {
    let mut owners: BTreeMap<(i64, &Partition), BTreeMap<&str, u64>> = BTreeMap::new();
    let mut judged = 0;
    for telling in &group.tellings {
        if group.thin && group.cooperative && telling.op.f != "poll" {
            continue;
        }
        for partition in telling.assignment.iter().flatten() {
            judged += 1;
            let owners = owners.entry((telling.generation, partition)).or_default();
            owners.entry(telling.member).or_insert(telling.op.id);
        }
    }
    for ((generation, partition), owners) in owners {
        let mut owners = owners.into_iter();
        let Some((first, shown)) = owners.next() else { continue };
        for (other, also) in owners.filter(|(other, _)| !group.same_seat(first, other)) {
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
                            "group {}: described in generation {} with {} owned by both {other} and {}",
                            group.name,
                            description.generation,
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
