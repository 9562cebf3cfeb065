//! **no-convergence** (G8): after the faults and all changes of membership, a group did not come to
//! rest.
//!
//! Judged on the descriptions of the final phase, where [`settle`](super::settle) says that the
//! group must be stable: its state must be `Stable` (`Empty` without members), every live member
//! must be in it, each one's last reply must carry the same generation and assignment. The last
//! reply to each thin consumer must say `Stable` too. If no description was answered though the
//! faults were long over, that is an anomaly too.

use std::collections::BTreeMap;

use super::epochs::NOT_OF_EPOCHS;
use super::settle::{Settled, settled};
use super::view::{Description, Group, Groups, Telling};
use crate::checkers::clock::{at, slack, span};
use crate::checkers::{Checker, Verdict, Violation};
use crate::history::{History, Micros};

/// A group that does not come to rest.
#[derive(Debug)]
pub struct NoConvergence;

impl Checker for NoConvergence {
    fn name(&self) -> &'static str {
        "no-convergence"
    }

    fn check(&self, history: &History) -> Verdict {
        let groups = Groups::of(history);
        let Some(heal) = history.header.heal_us else {
            return Verdict::NotJudged("the history has no final phase (`heal_us`)".to_owned());
        };
        let (mut judged, mut violations, mut reasons) = (0, Vec::new(), Vec::new());
        for group in groups.groups.values() {
            violations.extend(unanswered(group, heal.saturating_add(slack(history))));
            let mut reason = None;
            for description in
                group.descriptions.iter().filter(|description| description.op.invoke_us >= heal)
            {
                match settled(&groups, group, description.op.invoke_us) {
                    Ok(settled) => {
                        judged += 1;
                        let found = unsettled(group, description, &settled);
                        violations.extend(found.map(|(why, shown)| {
                            let (when, since) = (span(description.op), at(settled.since));
                            Violation::new(
                                format!(
                                    "group {}: {why} in {when}, at rest since {since}",
                                    group.name
                                ),
                                shown.into_iter().chain([description.op.id]),
                            )
                        }));
                    }
                    // It did come to rest, whether it had to yet or not.
                    Err(_) if description.state == "Stable" => judged += 1,
                    Err(why) => reason = Some(why),
                }
            }
            for telling in last_told(group, heal) {
                let Ok(settled) = settled(&groups, group, telling.invoke) else { continue };
                judged += 1;
                if telling.invoke > settled.since
                    && telling.state.is_some_and(|state| state != "Stable")
                {
                    violations.push(Violation::new(
                        format!(
                            "group {}: {} was told state {} in {}, at rest since {}",
                            group.name,
                            telling.member,
                            telling.state.unwrap_or_default(),
                            span(telling.op),
                            at(settled.since)
                        ),
                        [telling.op.id],
                    ));
                }
            }
            reasons.extend(reason.map(|why| format!("group {}: {why}", group.name)));
        }
        let reason =
            reasons.first().map_or("no group was described in the final phase", String::as_str);
        Verdict::of(judged, violations, reason).unless_empty(groups.only_epochs(), NOT_OF_EPOCHS)
    }
}

/// The last reply to each thin consumer in the final phase: a group that never comes to rest may
/// never be described, but its members see it.
fn last_told<'a, 'h>(group: &'a Group<'h>, heal: Micros) -> impl Iterator<Item = &'a Telling<'h>> {
    let mut last: BTreeMap<&str, &Telling<'h>> = BTreeMap::new();
    for telling in
        group.tellings.iter().filter(|telling| telling.state.is_some() && telling.invoke >= heal)
    {
        last.insert(telling.member, telling);
    }
    last.into_values()
}

fn unsettled(
    group: &Group<'_>,
    description: &Description<'_>,
    settled: &Settled<'_>,
) -> Option<(String, Option<u64>)> {
    let expected = if settled.live.is_empty() { "Empty" } else { "Stable" };
    if description.state != expected && !(settled.live.is_empty() && description.state == "Dead") {
        return Some((format!("state {} instead of {expected}", description.state), None));
    }
    for live in &settled.live {
        let Some(member) = description.members.iter().find(|member| member.id == *live) else {
            return Some((format!("live member {live} is missing"), None));
        };
        let told = group
            .tellings
            .iter()
            .filter(|t| t.member == *live && t.complete < description.op.invoke_us);
        let last = told
            .filter(|telling| telling.invoke > settled.since)
            .max_by_key(|t| (t.invoke, t.op.id));
        let Some(last) = last else { continue };
        if let Some(described) = description.generation.filter(|g| *g != last.generation) {
            let why =
                format!("generation {described}, while {live} was last told {}", last.generation);
            return Some((why, Some(last.op.id)));
        }
        if last.assignment.as_ref().is_some_and(|told| *told != member.assignment) {
            return Some((
                format!("{live} owns other partitions than it was last told"),
                Some(last.op.id),
            ));
        }
    }
    None
}

/// Descriptions that were asked for when the faults were long over, if not one was answered.
fn unanswered(group: &Group<'_>, over: Micros) -> Option<Violation> {
    let late = |op: &&&crate::history::Op| op.invoke_us >= over && op.complete_us.is_some();
    let asked: Vec<_> = group.describes.iter().filter(late).collect();
    let silent = !asked.is_empty() && asked.iter().all(|op| super::no_progress::is_silence(op));
    silent.then(|| {
        Violation::new(
            format!(
                "group {}: no description was answered, though the faults were long over at {}",
                group.name,
                at(over)
            ),
            asked.iter().map(|op| op.id),
        )
    })
}
