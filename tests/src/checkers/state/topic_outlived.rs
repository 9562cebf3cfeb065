//! **topic-outlived**: with a topic that is deleted everything of it goes. It is not there any more
//! unless somebody makes it again, nobody owns a partition of it where the coordinator assigns, and
//! no group has a committed offset of it that is from before: not then, and not when it comes
//! again.

use super::{StateChecker, StateTrace, violation};
use crate::checkers::Verdict;

/// What outlives its topic.
pub(super) struct TopicOutlived;

impl StateChecker for TopicOutlived {
    fn name(&self) -> &'static str {
        "state/topic-outlived"
    }

    fn check(&self, trace: &StateTrace) -> Verdict {
        let mut violations = Vec::new();
        for end in &trace.topic_ends {
            let mut left = Vec::new();
            if end.ended && end.exists {
                left.push("it is there again, though nobody made it".to_owned());
            }
            if !end.committed.is_empty() {
                left.push(format!("offsets of {} are from before", end.committed.join(", ")));
            }
            if end.ended && !end.owned.is_empty() {
                left.push(format!("members of {} own partitions", end.owned.join(", ")));
            }
            if !left.is_empty() {
                violations.push(violation(format!(
                    "index {}: topic {} was deleted, and {}",
                    end.index,
                    end.topic,
                    left.join("; ")
                )));
            }
        }
        Verdict::of(trace.topic_ends.len(), violations, "no topic was deleted or made")
    }
}
