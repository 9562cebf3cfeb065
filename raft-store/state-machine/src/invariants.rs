//! What must hold of every state, whatever was applied, and of every step from one to the next.
//!
//! [`check`] and [`check_step`] are pure and slow: tests and the simulator call them after each
//! apply, production never does.

use std::fmt;

use crate::state::State;

/// One breach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation(pub String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// All breaches of a state's invariants; empty when it is sound.
pub fn check(state: &State) -> Vec<Violation> {
    let mut found = Vec::new();
    for (id, group) in state.groups() {
        found.extend(
            group.violations(state).into_iter().map(|v| Violation(format!("group `{id}`: {v}"))),
        );
    }
    for (name, topic) in state.topics() {
        if topic.partitions.is_empty() {
            found.push(Violation(format!("topic `{name}` has no partitions")));
        } else if topic.next >= topic.partition_count() {
            found.push(Violation(format!(
                "topic `{name}` would place the next record in partition {}",
                topic.next
            )));
        }
    }
    found.extend(state.dedup().violations().into_iter().map(Violation));
    found
}

/// All breaches between a state and the one after one more command.
pub fn check_step(before: &State, after: &State) -> Vec<Violation> {
    let mut found = Vec::new();
    if after.now_ms() < before.now_ms() {
        found.push(Violation(format!(
            "time went from {} back to {}",
            before.now_ms(),
            after.now_ms()
        )));
    }
    for (id, group) in before.groups() {
        let violations = after.group(id).map_or_else(Vec::new, |now| group.step_violations(now));
        found.extend(violations.into_iter().map(|v| Violation(format!("group `{id}`: {v}"))));
    }
    for (name, topic) in before.topics() {
        let now = after.topic(name).map_or(&[][..], |t| &t.partitions[..]);
        for (i, (log, now)) in topic.partitions.iter().zip(now).enumerate() {
            if now.end_offset() < log.end_offset() {
                found.push(Violation(format!("the end of {name}-{i} fell")));
            }
        }
    }
    found
}
