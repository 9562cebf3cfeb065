//! **early-eviction** (G15) on states: the leader that expires a session had heard nothing of the
//! member for the session time-out on its own clock, and had led for that long: a new leader gives
//! every member a full session.

use super::trace::Change;
use super::{StateChecker, StateTrace, violation};
use crate::checkers::Verdict;

/// G15 on states.
pub(super) struct EarlyEviction;

impl StateChecker for EarlyEviction {
    fn name(&self) -> &'static str {
        "state/early-eviction"
    }

    fn check(&self, trace: &StateTrace) -> Verdict {
        let (mut judged, mut violations) = (0, Vec::new());
        for removal in trace.members.iter().filter(|change| change.change == Change::SessionExpired)
        {
            judged += 1;
            let heard = trace
                .lives
                .iter()
                .filter(|life| {
                    life.leader == removal.leader
                        && life.group == removal.group
                        && life.member == removal.member
                        && life.clock_us <= removal.clock_us
                })
                .map(|life| (life.clock_us, "heard of it"));
            let led = trace
                .leaders
                .iter()
                .filter(|leader| {
                    leader.node == removal.leader && leader.clock_us <= removal.clock_us
                })
                .map(|leader| (leader.clock_us, "become leader"));
            let Some((since, what)) = heard.chain(led).max() else { continue };
            let passed = removal.clock_us - since;
            if passed < removal.session_us {
                violations.push(violation(format!(
                    "index {}, group {}: {} expired {} {} ms after it had {what}; the session is {} ms",
                    removal.index,
                    removal.group,
                    removal.leader,
                    removal.member,
                    passed / 1_000,
                    removal.session_us / 1_000
                )));
            }
        }
        Verdict::of(judged, violations, "no session expired in the trace")
    }
}
