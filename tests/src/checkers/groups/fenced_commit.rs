//! **fenced-commit** (G13): a commit was accepted that names a generation that is over, or comes
//! from a member that is out.
//!
//! Source: Kafka's `validateOffsetCommit`: unknown member, wrong generation and a taken static seat
//! are all refused. In classic groups any answer in a newer generation ends the older one. A thin
//! consumer must name the generation that it was told last, which can be behind the group's; so
//! there the order is by member and by partition: it was told a newer one itself, or the partition
//! was told to another member in a newer one. Commits without a generation are judged only by
//! whether the member was out.
//!
//! On Kafka's wire a newer generation is known by an answered `sync_group` only
//! ([`Group::lasts`]), and nobody is known to be out (see `accepted-after-removal`).

use std::collections::BTreeMap;

use serde_json::Value;

use super::accepted_after_removal::Removals;
use super::view::{Group, Groups, Telling, partition_text};
use crate::checkers::clock::{at, span};
use crate::checkers::logs::topic;
use crate::checkers::{Checker, Verdict, Violation};
use crate::history::{History, Micros, Op, Outcome};

/// A commit that had to be refused.
#[derive(Debug)]
pub struct FencedCommit;

impl Checker for FencedCommit {
    fn name(&self) -> &'static str {
        "fenced-commit"
    }

    fn check(&self, history: &History) -> Verdict {
        let groups = Groups::of(history);
        let (mut judged, mut violations) = (0, Vec::new());
        for group in groups.groups.values() {
            let newest = Newest::of(group);
            for (member, requests) in &group.requests {
                let removals = Removals::of(history, group, member);
                let commits = requests
                    .iter()
                    .filter(|op| op.f.starts_with("commit") && op.outcome == Outcome::Ok);
                for op in commits {
                    judged += 1;
                    let found = newest.fences(group, member, op).or_else(|| {
                        let reveal = removals.before(op).filter(|_| !group.wire)?;
                        Some((
                            reveal.id,
                            format!("it was out of the group, as seen in {}", span(reveal)),
                        ))
                    });
                    if let Some((shown, why)) = found {
                        violations.push(Violation::new(
                            format!(
                                "group {}: commit {} by {member} was accepted in {}, though {why}",
                                group.name,
                                op.args,
                                span(op)
                            ),
                            [shown, op.id],
                        ));
                    }
                }
            }
        }
        Verdict::of(judged, violations, "no member committed")
    }
}

/// The greatest generation known by a time: of the group, of a member, of a partition.
struct Newest<'h> {
    of_group: Rising<'h>,
    of_member: BTreeMap<&'h str, Rising<'h>>,
    of_partition: BTreeMap<(String, i64), Vec<Told<'h>>>,
}

struct Told<'h> {
    complete: Micros,
    generation: i64,
    member: &'h str,
    op: &'h Op,
}

/// Times of completion with the greatest generation completed by then.
#[derive(Default)]
struct Rising<'h>(Vec<(Micros, i64, &'h Op)>);

impl<'h> Rising<'h> {
    fn of<'a>(tellings: impl Iterator<Item = &'a Telling<'h>>) -> Self
    where
        'h: 'a,
    {
        let mut all: Vec<_> =
            tellings.map(|telling| (telling.complete, telling.generation, telling.op)).collect();
        all.sort_by_key(|(complete, generation, op)| (*complete, *generation, op.id));
        let mut rising: Vec<(Micros, i64, &Op)> = Vec::new();
        for item in all {
            if rising.last().is_none_or(|last| item.1 > last.1) {
                rising.push(item);
            }
        }
        Self(rising)
    }

    fn before(&self, time: Micros) -> Option<(i64, &'h Op)> {
        let last = self.0.partition_point(|(complete, ..)| *complete < time).checked_sub(1)?;
        Some((self.0[last].1, self.0[last].2))
    }
}

impl<'h> Newest<'h> {
    fn of(group: &Group<'h>) -> Self {
        let mut of_partition: BTreeMap<(String, i64), Vec<Told<'h>>> = BTreeMap::new();
        for telling in &group.tellings {
            for partition in telling.assignment.iter().flatten() {
                of_partition.entry(partition.clone()).or_default().push(Told {
                    complete: telling.complete,
                    generation: telling.generation,
                    member: telling.member,
                    op: telling.op,
                });
            }
        }
        let members = group.requests.keys().map(|member| {
            (*member, Rising::of(group.tellings.iter().filter(|telling| telling.member == *member)))
        });
        Self {
            of_group: Rising::of(group.tellings.iter().filter(|telling| group.lasts(telling))),
            of_member: members.collect(),
            of_partition,
        }
    }

    /// What shows that the generation that a commit names was over when it was sent.
    fn fences(&self, group: &Group<'h>, member: &str, op: &Op) -> Option<(u64, String)> {
        let named = op
            .args
            .get("generation")
            .and_then(Value::as_i64)
            .filter(|generation| *generation >= 0)?;
        let of_whom = |(generation, shown): (i64, &Op), whom: &str| {
            (generation > named).then(|| {
                (
                    shown.id,
                    format!(
                        "{whom} had been told generation {generation} by {}",
                        at(shown.complete_us.unwrap_or(0))
                    ),
                )
            })
        };
        if !group.thin {
            return of_whom(self.of_group.before(op.invoke_us)?, "the group");
        }
        let own = self.of_member.get(member).and_then(|rising| rising.before(op.invoke_us));
        if let Some(found) = own.and_then(|own| of_whom(own, "it")) {
            return Some(found);
        }
        let partition =
            (topic(&op.args).to_owned(), op.args.get("partition").and_then(Value::as_i64)?);
        let mut told = self.of_partition.get(&partition)?.iter().filter(|told| {
            told.complete < op.invoke_us
                && told.generation > named
                && !group.same_seat(told.member, member)
        });
        let told = told.next()?;
        let whom = format!("{}, with {},", told.member, partition_text(&partition));
        of_whom((told.generation, told.op), &whom)
    }
}
