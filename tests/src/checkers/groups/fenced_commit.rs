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
//!
//! A member of KIP-848 names its own epoch. Kafka refuses any other one, and from KIP-1251 on takes
//! an older one for a partition that the member still holds. So there an older epoch is an anomaly
//! only for a partition that the member had let go, with nothing left to give up; and any commit
//! after its leaving. Such members are written down, each change at once, so the next coordinator
//! knows of them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::accepted_after_removal::Removals;
use super::epochs::{EpochGroup, epoch};
use super::view::{Group, Groups, Telling, partition_text};
use crate::checkers::clock::{at, late_until, span, unknown};
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
        for group in &groups.epochs {
            judged += by_epoch(group, history, &mut violations);
        }
        Verdict::of(judged, violations, "no member committed")
    }
}

/// Commits of members of KIP-848 that had left, or name an epoch that is over for a partition that
/// they had let go. How many could be judged.
fn by_epoch(group: &EpochGroup<'_>, history: &History, violations: &mut Vec<Violation>) -> usize {
    let mut judged = 0;
    for (id, member) in &group.members {
        let states = group.states(history, id);
        for op in member.commits.iter().filter(|op| op.outcome == Outcome::Ok) {
            let before = states.partition_point(|state| state.since < op.invoke_us);
            let Some(state) = before.checked_sub(1).map(|last| &states[last]) else { continue };
            let is_later = |beat: &&&Op| beat.invoke_us > state.op.invoke_us;
            let may_act = |beat: &Op| {
                Some(beat.invoke_us) <= op.complete_us && late_until(history, beat) >= state.since
            };
            let certain = !member.beats.iter().filter(is_later).any(|beat| may_act(beat))
                && !member.beats.iter().any(|beat| unknown(beat) && may_act(beat));
            let (Some(named), true) = (epoch(op), certain) else { continue };
            let number = op.args.get("partition").and_then(Value::as_i64).unwrap_or(-1);
            let partition = (topic(&op.args).to_owned(), number);
            let holds = state.told.as_ref().is_none_or(|told| told.contains(&partition));
            let why = if state.epoch < 0 {
                "it had left".to_owned()
            } else if named < state.epoch && !holds && state.is_clean() {
                let partition = partition_text(&partition);
                format!("it had let go {partition}, and was told epoch {}", state.epoch)
            } else {
                judged += 1;
                continue;
            };
            judged += 1;
            violations.push(Violation::new(
                format!(
                    "group {}: commit {} by {id} was accepted in {}, though {why} by {}",
                    group.name,
                    op.args,
                    span(op),
                    at(state.since)
                ),
                [state.op.id, op.id],
            ));
        }
    }
    judged
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
