//! **outside-subscription** (G6): a member was given a partition of a topic that it never
//! subscribed to, or one that does not exist.
//!
//! Holds for all groups. Judged on what members were told, against all that each ever subscribed
//! to, and on descriptions, against the subscription in the same description. On Kafka's wire
//! clients assign, so it is judged only where all use the arena's assignor, and of no static seat:
//! one that is taken over keeps its assignment, whatever its new holder subscribes to.

use super::epochs::NOT_OF_EPOCHS;
use super::view::{Groups, partition_text};
use crate::checkers::wire::{CLIENTS_ASSIGN, arena_assigns, is_wire};
use crate::checkers::{Checker, Verdict, Violation};
use crate::history::History;

/// A partition at a member that has no business with it.
#[derive(Debug)]
pub struct OutsideSubscription;

impl Checker for OutsideSubscription {
    fn name(&self) -> &'static str {
        "outside-subscription"
    }

    fn check(&self, history: &History) -> Verdict {
        if is_wire(history) && !arena_assigns(history) {
            return Verdict::NotJudged(CLIENTS_ASSIGN.to_owned());
        }
        let groups = Groups::of(history);
        let (mut judged, mut violations) = (0, Vec::new());
        for group in groups.groups.values() {
            let mut report = |member: &str, partition, why: &str, op| {
                violations.push(Violation::new(
                    format!(
                        "group {}: {member} was given {}, {why}",
                        group.name,
                        partition_text(partition)
                    ),
                    [op],
                ));
            };
            let keeps = |member: &str| group.wire && group.is_static(member);
            for telling in group.tellings.iter().filter(|telling| !keeps(telling.member)) {
                // A member whose subscription the history does not have may have any.
                let subscribed =
                    group.subscriptions.get(telling.member).filter(|topics| !topics.is_empty());
                for partition in telling.assignment.iter().flatten() {
                    judged += 1;
                    if subscribed.is_some_and(|topics| !topics.contains(partition.0.as_str())) {
                        report(
                            telling.member,
                            partition,
                            "to whose topic it never subscribed",
                            telling.op.id,
                        );
                    }
                    let count =
                        groups.topics.partitions(&partition.0, telling.invoke, telling.complete);
                    if partition.1 < 0 || count.is_some_and(|count| partition.1 >= count) {
                        report(telling.member, partition, "which does not exist", telling.op.id);
                    }
                }
            }
            for description in &group.descriptions {
                let members = description.members.iter();
                for member in members.filter(|m| !m.topics.is_empty() && !keeps(m.id)) {
                    for partition in &member.assignment {
                        judged += 1;
                        if !member.topics.contains(partition.0.as_str()) {
                            report(
                                member.id,
                                partition,
                                "to whose topic it does not subscribe",
                                description.op.id,
                            );
                        }
                    }
                }
            }
        }
        Verdict::of(judged, violations, "no member was told an assignment")
            .unless_empty(groups.only_epochs(), NOT_OF_EPOCHS)
    }
}
