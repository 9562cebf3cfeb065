//! **not-covering** (G5): a stable group with members leaves a partition of a subscribed topic to
//! nobody.
//!
//! Judged on descriptions, for topics whose number of partitions the history tells and that had not
//! changed for a while. In a thin group of either kind, stable means that everything is handed out.
//! In a classic group the leader decides: eager strategies of ours cover all; a cooperative one
//! holds back in its first round what it moves, and foreign leaders may do as they like, so these
//! are not judged.

use std::collections::BTreeSet;

use super::view::{Group, Groups, Partition, partition_text};
use crate::checkers::logs::name;
use crate::checkers::{Checker, Verdict, Violation};
use crate::history::History;

/// A partition that nobody reads.
#[derive(Debug)]
pub struct NotCovering;

/// Whether a stable group must have handed out everything.
pub(super) fn hands_out_all(group: &Group<'_>) -> bool {
    const EAGER: [&str; 3] = ["range", "roundrobin", "sticky"];
    if group.thin {
        return true;
    }
    let joins = group.tellings.iter().filter(|telling| telling.op.f == "join_group");
    let mut protocols =
        joins.filter_map(|telling| name(telling.op.result.as_ref()?, "protocol")).peekable();
    !group.cooperative
        && protocols.peek().is_some()
        && protocols.all(|protocol| EAGER.contains(&protocol))
}

impl Checker for NotCovering {
    fn name(&self) -> &'static str {
        "not-covering"
    }

    fn check(&self, history: &History) -> Verdict {
        let groups = Groups::of(history);
        let (mut judged, mut violations) = (0, Vec::new());
        for group in groups.groups.values().filter(|group| hands_out_all(group)) {
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
                    let Some(count) = groups.topics.partitions(
                        topic,
                        description.op.invoke_us,
                        description.complete,
                    ) else {
                        continue;
                    };
                    judged += 1;
                    let missing =
                        (0..count).map(|p| (topic.to_owned(), p)).find(|p| !owned.contains(p));
                    if let Some(missing) = missing {
                        violations.push(Violation::new(
                            format!(
                                "group {}: stable in generation {} with {} members, but {} belongs to nobody",
                                group.name,
                                description.generation,
                                description.members.len(),
                                partition_text(&missing)
                            ),
                            [description.op.id],
                        ));
                    }
                }
            }
        }
        Verdict::of(
            judged,
            violations,
            "no description of a stable group whose topics' partitions are known",
        )
    }
}
