//! **outside-subscription** (G6) on states: nobody owns a partition of a topic that it does not
//! subscribe to, or one that does not exist.

use super::{StateChecker, StateTrace, violation};
use crate::checkers::Verdict;

/// G6 on states.
pub(super) struct OutsideSubscription;

impl StateChecker for OutsideSubscription {
    fn name(&self) -> &'static str {
        "state/outside-subscription"
    }

    fn check(&self, trace: &StateTrace) -> Verdict {
        let (mut judged, mut violations) = (0, Vec::new());
        // Only at rest: between a change of subscription or topics and the next assignment, the old
        // one stands.
        for group in trace.groups.iter().filter(|group| group.state == "Stable") {
            for (id, member) in &group.members {
                for (topic, partition) in &member.assignment {
                    judged += 1;
                    let exists = group
                        .topics
                        .get(topic)
                        .is_some_and(|count| (0..*count).contains(partition));
                    if !member.topics.contains(topic) || !exists {
                        violations.push(violation(format!(
                            "index {}, group {}: {id} owns {topic}-{partition}, which {}",
                            group.index,
                            group.group,
                            if exists { "it does not subscribe to" } else { "does not exist" }
                        )));
                    }
                }
            }
        }
        Verdict::of(judged, violations, "the trace has no stable group with assignments")
    }
}
