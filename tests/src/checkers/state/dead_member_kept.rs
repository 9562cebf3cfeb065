//! **dead-member-kept** (G16) on states: at the end of the trace, no group has a member that had
//! been silent for longer than its session while one leader led.

use std::collections::BTreeMap;

use super::{StateChecker, StateTrace, violation};
use crate::checkers::Verdict;
use crate::checkers::clock::{LIVENESS_SLACK, at};

/// G16 on states.
pub(super) struct DeadMemberKept;

impl StateChecker for DeadMemberKept {
    fn name(&self) -> &'static str {
        "state/dead-member-kept"
    }

    fn check(&self, trace: &StateTrace) -> Verdict {
        let Some(led_since) = trace.leaders.iter().map(|leader| leader.at_us).max() else {
            return Verdict::NotJudged("the trace has no leader".to_owned());
        };
        let last: BTreeMap<&str, _> =
            trace.groups.iter().map(|group| (group.group.as_str(), group)).collect();
        let (mut judged, mut violations) = (0, Vec::new());
        for group in last.values() {
            // Declared consumers have no sessions.
            for (id, member) in group.members.iter().filter(|(_, member)| member.session_us > 0) {
                judged += 1;
                let lives = trace
                    .lives
                    .iter()
                    .filter(|life| life.group == group.group && life.member == *id);
                let heard = lives.map(|life| life.at_us).max().unwrap_or(0).max(led_since);
                if trace.end_us
                    > heard.saturating_add(member.session_us).saturating_add(LIVENESS_SLACK)
                {
                    violations.push(violation(format!(
                        "group {}: {id} is still a member at {}, though nothing was heard of it since {}",
                        group.group,
                        at(trace.end_us),
                        at(heard)
                    )));
                }
            }
        }
        Verdict::of(judged, violations, "no group has members at the end of the trace")
    }
}
