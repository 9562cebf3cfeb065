//! **not-covering** (G5) and **starved-member** (G7) on states: a stable group whose coordinator
//! hands out everything leaves no partition to nobody, and no member empty-handed if a topic of its
//! has partitions for all.

use std::collections::BTreeSet;

use super::{StateChecker, StateTrace, violation};
use crate::checkers::Verdict;

/// G5 and G7 on states.
pub(super) struct NotCovering;

impl StateChecker for NotCovering {
    fn name(&self) -> &'static str {
        "state/not-covering"
    }

    fn check(&self, trace: &StateTrace) -> Verdict {
        let (mut judged, mut violations) = (0, Vec::new());
        for group in
            trace.groups.iter().filter(|group| group.state == "Stable" && group.hands_out_all)
        {
            judged += 1;
            let owned: BTreeSet<_> =
                group.members.values().flat_map(|member| &member.assignment).collect();
            for (topic, count) in &group.topics {
                if !group.members.values().any(|member| member.topics.contains(topic)) {
                    continue;
                }
                if let Some(missing) = (0..*count).find(|p| !owned.contains(&(topic.clone(), *p))) {
                    violations.push(violation(format!(
                        "index {}, group {}: stable in generation {}, but {topic}-{missing} belongs to nobody",
                        group.index, group.group, group.generation
                    )));
                }
            }
            for (id, member) in &group.members {
                let enough = |topic: &String| {
                    let count = group.topics.get(topic).copied().unwrap_or(0);
                    usize::try_from(count).is_ok_and(|count| count >= group.members.len())
                };
                if member.assignment.is_empty() && member.topics.iter().any(enough) {
                    violations.push(violation(format!(
                        "index {}, group {}: {id} owns nothing in stable generation {}, though there are partitions for all",
                        group.index, group.group, group.generation
                    )));
                }
            }
        }
        Verdict::of(judged, violations, "the trace has no stable group that hands out everything")
    }
}
