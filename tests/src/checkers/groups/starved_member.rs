//! **starved-member** (G7): a live member owns nothing, though there are partitions enough.
//!
//! Enough means that a topic that it subscribes to has as many partitions as the group has members:
//! then each of our strategies gives everyone something. Judged on descriptions of stable groups
//! where stable means that all is handed out (see `not-covering`, also for Kafka's wire), and for
//! thin consumers also on what they were told: empty assignments of one generation for longer than
//! the group's time-outs, without a fault.

use super::epochs::NOT_OF_EPOCHS;
use super::not_covering::{hands_out_all, nothing, partitions};
use super::view::{Group, Groups, Telling};
use crate::checkers::clock::{LIVENESS_SLACK, at};
use crate::checkers::{Checker, Verdict, Violation};
use crate::history::{History, Micros, Op, Outcome};

/// A member left with nothing.
#[derive(Debug)]
pub struct StarvedMember;

impl Checker for StarvedMember {
    fn name(&self) -> &'static str {
        "starved-member"
    }

    fn check(&self, history: &History) -> Verdict {
        let groups = Groups::of(history);
        let (mut judged, mut violations) = (0, Vec::new());
        for group in groups.groups.values().filter(|group| hands_out_all(history, group)) {
            judged += described(&groups, group, &mut violations);
            if group.thin {
                for (member, requests) in &group.requests {
                    judged += told(&groups, group, member, requests, &mut violations);
                }
            }
        }
        Verdict::of(judged, violations, nothing(history))
            .unless_empty(groups.only_epochs(), NOT_OF_EPOCHS)
    }
}

fn described(groups: &Groups<'_>, group: &Group<'_>, violations: &mut Vec<Violation>) -> usize {
    let mut judged = 0;
    for description in group.descriptions.iter().filter(|description| description.state == "Stable")
    {
        let members = description.members.len();
        for member in &description.members {
            let enough = member.topics.iter().find(|topic| {
                let count = partitions(groups, group, topic, description);
                count
                    .is_some_and(|count| usize::try_from(count).is_ok_and(|count| count >= members))
            });
            let Some(topic) = enough else { continue };
            judged += 1;
            if member.assignment.is_empty() {
                violations.push(Violation::new(
                    format!(
                        "group {}: {} owns nothing in a stable group {}, though {topic} has partitions for all {members} members",
                        group.name, member.id, description.when()
                    ),
                    [description.op.id],
                ));
            }
        }
    }
    judged
}

fn told(
    groups: &Groups<'_>,
    group: &Group<'_>,
    member: &str,
    requests: &[&Op],
    violations: &mut Vec<Violation>,
) -> usize {
    let patience =
        group.timeouts.longest_session + group.timeouts.longest_rebalance + LIVENESS_SLACK;
    let tellings: Vec<&Telling<'_>> =
        group.tellings.iter().filter(|telling| telling.member == member).collect();
    let hungry = |telling: &&Telling<'_>| telling.assignment.as_ref().is_some_and(|a| a.is_empty());
    let mut judged = 0;
    for run in tellings.chunk_by(|a, b| hungry(a) && hungry(b) && a.generation == b.generation) {
        let (first, last) = (run[0], run[run.len() - 1]);
        let polls = run.iter().filter(|telling| telling.op.f == "poll").count();
        if !hungry(&first) || last.complete.saturating_sub(first.invoke) <= patience || polls < 3 {
            continue;
        }
        let all_ok = requests
            .iter()
            .filter(|op| op.invoke_us >= first.invoke && op.invoke_us <= last.complete)
            .all(|op| op.outcome == Outcome::Ok);
        // As many as ever asked to be members is more than there can be.
        let members = group.requests.len();
        let enough = group.subscriptions.get(member).into_iter().flatten().any(|topic| {
            let count = groups.topics.partitions(topic, first.invoke, last.complete);
            count.is_some_and(|count| usize::try_from(count).is_ok_and(|count| count >= members))
        });
        if !all_ok || !enough || troubled(groups.history, first.invoke, last.complete) {
            continue;
        }
        judged += 1;
        violations.push(Violation::new(
            format!(
                "group {}: {member} was told an empty assignment from {} to {} in generation {}, though there are partitions for all",
                group.name,
                at(first.invoke),
                at(last.complete),
                first.generation
            ),
            [first.op.id, last.op.id],
        ));
    }
    judged
}

fn troubled(history: &History, from: Micros, to: Micros) -> bool {
    history
        .faults
        .iter()
        .any(|fault| fault.from_us <= to && fault.to_us.is_none_or(|end| end >= from))
}
