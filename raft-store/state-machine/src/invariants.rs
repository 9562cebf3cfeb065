//! What must hold of every state, whatever was applied.
//!
//! [`check`] is pure and slow: tests and the simulator call it after each apply, production never does.

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
        found.extend(group.violations().into_iter().map(|v| Violation(format!("group `{id}`: {v}"))));
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
    found
}
