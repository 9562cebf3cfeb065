//! **not-covering** (G5): a stable group with members leaves a partition of a subscribed topic to
//! nobody.
//!
//! Judged on descriptions, for topics whose number of partitions the history tells and that had not
//! changed for a while. In a thin group of either kind, stable means that everything is handed out.
//! In a classic group the leader decides: eager strategies of ours cover all; a cooperative one
//! holds back in its first round what it moves, and foreign leaders may do as they like, so these
//! are not judged.
//!
//! On Kafka's wire clients assign. There only groups are judged whose members all use the arena's
//! assignor (`assignor` in the header), have no static seats (one that is taken over keeps its
//! assignment, whatever its new holder subscribes to), and whose topics have had their partitions
//! since before anybody joined (a broker does not rebalance when a topic grows).

use std::collections::BTreeSet;

use super::epochs::NOT_OF_EPOCHS;
use super::view::{Description, Group, Groups, Partition, partition_text};
use crate::checkers::logs::name;
use crate::checkers::wire::{CLIENTS_ASSIGN, arena_assigns, is_wire};
use crate::checkers::{Checker, Verdict, Violation};
use crate::history::History;

/// A partition that nobody reads.
#[derive(Debug)]
pub struct NotCovering;

/// Whether a stable group must have handed out everything.
pub(super) fn hands_out_all(history: &History, group: &Group<'_>) -> bool {
    const EAGER: [&str; 3] = ["range", "roundrobin", "sticky"];
    if group.thin {
        return true;
    }
    if group.wire && (!arena_assigns(history) || group.has_seats()) {
        return false;
    }
    let joins = group.tellings.iter().filter(|telling| telling.op.f == "join_group");
    let mut protocols =
        joins.filter_map(|telling| name(telling.op.result.as_ref()?, "protocol")).peekable();
    !group.cooperative
        && protocols.peek().is_some()
        && (group.wire || protocols.all(|protocol| EAGER.contains(&protocol)))
}

/// How many partitions a topic certainly had when a description was true, and when the assignment
/// in it was made.
pub(super) fn partitions(
    groups: &Groups<'_>,
    group: &Group<'_>,
    topic: &str,
    description: &Description<'_>,
) -> Option<i64> {
    let first = group.requests.values().flatten().map(|op| op.invoke_us).min();
    let from = first.filter(|_| group.wire).unwrap_or(description.op.invoke_us);
    groups.topics.partitions(topic, from, description.complete)
}

/// Why nothing was judged of who owns what in stable groups.
pub(super) fn nothing(history: &History) -> &'static str {
    if is_wire(history) && !arena_assigns(history) {
        CLIENTS_ASSIGN
    } else {
        "no description of a stable group whose topics' partitions are known"
    }
}

impl Checker for NotCovering {
    fn name(&self) -> &'static str {
        "not-covering"
    }

    fn check(&self, history: &History) -> Verdict {
        let groups = Groups::of(history);
        let (mut judged, mut violations) = (0, Vec::new());
        for group in groups.groups.values().filter(|group| hands_out_all(history, group)) {
            for description in
                group.descriptions.iter().filter(|description| description.state == "Stable")
            {
                let owned: BTreeSet<&Partition> =
                    description.members.iter().flat_map(|member| &member.assignment).collect();
                let topics: BTreeSet<&str> = description
                    .members
                    .iter()
                    .flat_map(|member| member.topics.iter().copied())
                    .collect();
                for topic in topics {
                    let Some(count) = partitions(&groups, group, topic, description) else {
                        continue;
                    };
                    judged += 1;
                    let missing =
                        (0..count).map(|p| (topic.to_owned(), p)).find(|p| !owned.contains(p));
                    if let Some(missing) = missing {
                        violations.push(Violation::new(
                            format!(
                                "group {}: stable {} with {} members, but {} belongs to nobody",
                                group.name,
                                description.when(),
                                description.members.len(),
                                partition_text(&missing)
                            ),
                            [description.op.id],
                        ));
                    }
                }
            }
        }
        Verdict::of(judged, violations, nothing(history))
            .unless_empty(groups.only_epochs(), NOT_OF_EPOCHS)
    }
}
