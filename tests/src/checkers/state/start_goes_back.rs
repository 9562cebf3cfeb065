//! **start-goes-back**: the first offset that is left of a partition never falls, nor does its end,
//! as long as nobody asks for the deletion of its topic.

use std::collections::BTreeMap;

use super::trace::Span;
use super::{StateChecker, StateTrace, violation};
use crate::checkers::Verdict;

/// A beginning that moves back.
pub(super) struct StartGoesBack;

impl StateChecker for StartGoesBack {
    fn name(&self) -> &'static str {
        "state/start-goes-back"
    }

    fn check(&self, trace: &StateTrace) -> Verdict {
        let mut last: BTreeMap<(&str, i64), &Span> = BTreeMap::new();
        let ends = trace.topic_ends.iter().filter(|end| end.asked);
        let mut ended = ends.map(|end| (end.index, end.topic.as_str())).peekable();
        let mut violations = Vec::new();
        for span in &trace.spans {
            // A topic that comes again by the same entry begins anew.
            while let Some((_, topic)) = ended.next_if(|(index, _)| *index <= span.index) {
                last.retain(|(of, _), _| *of != topic);
            }
            let before = last.insert((&span.topic, span.partition), span);
            let Some(before) = before else { continue };
            if before.start > span.start || before.end > span.end {
                violations.push(violation(format!(
                    "index {}: {}-{} begins at {} and ends at {}, after {} and {} at index {}",
                    span.index,
                    span.topic,
                    span.partition,
                    span.start,
                    span.end,
                    before.start,
                    before.end,
                    before.index
                )));
            }
        }
        Verdict::of(trace.spans.len(), violations, "the trace has no partitions")
    }
}
