//! **lost-member** (G20): one request to join made two members, or two members hold one static
//! seat.
//!
//! Holds for all groups. A thin consumer's name is its id, so a described member that nobody asked
//! for came from nowhere. A classic member gets its id in the answer: if that is lost, the group
//! has a member that no client knows; but not more of them than joins whose answer was lost. That a
//! member is lost on one replica only, the state's trace shows (`replica-divergence`). Of a watched
//! group only its seats are judged: its other members may be anybody's.

use std::collections::BTreeMap;

use serde_json::Value;

use super::epochs::NOT_OF_EPOCHS;
use super::view::{Group, Groups};
use crate::checkers::clock::span;
use crate::checkers::logs::name;
use crate::checkers::wire::is_watched;
use crate::checkers::{Checker, Verdict, Violation};
use crate::history::{History, Op};

/// A member too many.
#[derive(Debug)]
pub struct LostMember;

impl Checker for LostMember {
    fn name(&self) -> &'static str {
        "lost-member"
    }

    fn check(&self, history: &History) -> Verdict {
        let groups = Groups::of(history);
        let (mut judged, mut violations) = (0, Vec::new());
        for group in groups.groups.values() {
            if !is_watched(history) {
                judged += strangers(group, &mut violations);
            }
            judged += seats(group, &mut violations);
        }
        Verdict::of(judged, violations, "no answer listed the members of a group")
            .unless_empty(groups.only_epochs(), NOT_OF_EPOCHS)
    }
}

/// Lists of members in the order of their answers: who was in, by which operation.
fn lists<'h>(group: &Group<'h>) -> Vec<(Vec<&'h str>, &'h Op)> {
    let described = group
        .descriptions
        .iter()
        .map(|d| (d.members.iter().map(|member| member.id).collect(), d.op));
    let joined = group.tellings.iter().filter(|telling| telling.op.f == "join_group").filter_map(
        |telling| {
            let members = telling.op.result.as_ref()?.get("members").and_then(Value::as_array)?;
            Some((
                members.iter().filter_map(|member| name(member, "member_id")).collect(),
                telling.op,
            ))
        },
    );
    let mut lists: Vec<_> = described.chain(joined).collect();
    lists.sort_by_key(|(_, op)| (op.complete_us, op.id));
    lists
}

fn strangers(group: &Group<'_>, violations: &mut Vec<Violation>) -> usize {
    let mut strangers: BTreeMap<&str, u64> = BTreeMap::new();
    let mut judged = 0;
    for (members, op) in lists(group) {
        judged += members.len();
        for member in members.into_iter().filter(|member| !group.requests.contains_key(member)) {
            strangers.entry(member).or_insert(op.id);
        }
        let lost =
            group.nameless.iter().filter(|join| Some(join.invoke_us) <= op.complete_us).count();
        if strangers.len() > lost {
            let names: Vec<&str> = strangers.keys().copied().collect();
            violations.push(Violation::new(
                format!(
                    "group {}: by {} it has had the members {} that no client knows of, from {lost} joins whose answer was lost",
                    group.name,
                    span(op),
                    names.join(", ")
                ),
                strangers.values().copied(),
            ));
            break;
        }
    }
    judged
}

fn seats(group: &Group<'_>, violations: &mut Vec<Violation>) -> usize {
    let mut judged = 0;
    for description in &group.descriptions {
        let (mut ids, mut instances) = (std::collections::BTreeSet::new(), BTreeMap::new());
        for member in &description.members {
            judged += 1;
            let twice = !ids.insert(member.id);
            let shared = member.instance.and_then(|instance| instances.insert(instance, member.id));
            let account = match (twice, shared) {
                (true, _) => {
                    format!("group {}: described with member {} twice", group.name, member.id)
                }
                (false, Some(other)) => format!(
                    "group {}: described with {other} and {} in the static seat {}",
                    group.name,
                    member.id,
                    member.instance.unwrap_or_default()
                ),
                (false, None) => continue,
            };
            violations.push(Violation::new(account, [description.op.id]));
        }
    }
    judged
}
