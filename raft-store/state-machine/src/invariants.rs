//! What must hold of every state, whatever was applied, and of every step from one to the next.
//!
//! [`check`] and [`check_step`] are pure and slow: tests and the simulator call them after each
//! apply, production never does.

use std::collections::BTreeSet;
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
    if !state.are_groups_found_by_topic() {
        found.push(Violation("the groups of topics do not follow from the groups".to_owned()));
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
        for (partition, producers) in &topic.producers {
            let end = topic.partitions.get(*partition as usize).map_or(0, |log| log.end_offset());
            let violation = producers.violation(end);
            found.extend(violation.map(|v| Violation(format!("{name}-{partition}: {v}"))));
        }
    }
    for (name, topic) in state.topics() {
        let problem = topic.config.check().err();
        found.extend(problem.map(|problem| Violation(format!("topic `{name}`: {problem}"))));
    }
    found.extend(logs(state));
    found.extend(state.dedup().violations().into_iter().map(Violation));
    found
}

/// All breaches of the logs' invariants. Bytes that come with a state are kept by these.
pub fn logs(state: &State) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut ids = BTreeSet::new();
    for log in state.logs() {
        let id = log.id().0;
        if !ids.insert(id) {
            found.push(Violation(format!("two logs are log {id}")));
        }
        if log.id() >= state.next_log() {
            found.push(Violation(format!("log {id} has an id that was not given out yet")));
        }
        found.extend(log.violation().map(|v| Violation(format!("log {id}: {v}"))));
    }
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
    if after.next_log() < before.next_log() {
        found.push(Violation("an id of a log may be given out again".to_owned()));
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
