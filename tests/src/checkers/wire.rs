//! What answers on Kafka's wire prove, and what they do not.
//!
//! A broker of Kafka's differs from cohort in what its answers are worth: some errors do not say
//! whether the request acted, a coordinator that loads its groups accepts any heartbeat, and one
//! that was replaced may tell old offsets until it learns of it. This module owns these differences
//! where several checkers need them: [`soften`] for outcomes, [`stale_since`] for reads. What
//! follows for one predicate stands with the predicate; `docs/checkers.md` has the table ("Groups
//! on the wire"). It knows nothing of bytes: that is what the dialect does.

use std::borrow::Cow;

use serde_json::Value;

use super::clock::LATE_EFFECT;
use crate::history::{History, Micros, Op, Outcome};

/// Whether the members of a history spoke Kafka's protocol to a broker that may be anybody's.
#[must_use]
pub fn is_wire(history: &History) -> bool {
    matches!(history.header.stage.as_str(), "wire" | "watch")
}

/// Whether the clients of a history are somebody else's, and only their traffic was seen.
#[must_use]
pub fn is_watched(history: &History) -> bool {
    history.header.stage == "watch" || history.header.workload == "apps"
}

/// Whether all members assign with the arena's own assignor, which covers everything and gives
/// nothing twice.
#[must_use]
pub fn arena_assigns(history: &History) -> bool {
    history.header.config.get("assignor").and_then(Value::as_str) == Some("arena")
}

/// Why a property of assignments is not judged where clients assign.
pub const CLIENTS_ASSIGN: &str =
    "on Kafka's wire clients assign, and not all with the arena's assignor (`assignor`)";

/// Errors of a broker that may have appended the record.
const OF_RECORDS: [&str; 5] = [
    "NOT_LEADER_OR_FOLLOWER",
    "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
    "KAFKA_STORAGE_ERROR",
    "REQUEST_TIMED_OUT",
    "UNKNOWN_SERVER_ERROR",
];

/// Errors of a coordinator that may have written the request to its log, or may still do so.
const OF_GROUPS: [&str; 4] =
    ["COORDINATOR_NOT_AVAILABLE", "NOT_COORDINATOR", "REQUEST_TIMED_OUT", "UNKNOWN_SERVER_ERROR"];

/// Errors of a controller that may have done it.
const OF_TOPICS: [&str; 3] = ["REQUEST_TIMED_OUT", "NOT_CONTROLLER", "UNKNOWN_SERVER_ERROR"];

/// Whether a refusal on Kafka's wire leaves open whether the request acted.
fn is_open(op: &Op) -> bool {
    let errors: &[&str] = match op.f.as_str() {
        "send" => &OF_RECORDS,
        "join_group" | "sync_group" | "leave_group" | "commit_offset" | "delete_group"
        | "delete_offsets" | "consumer_heartbeat" => &OF_GROUPS,
        "create_topic" | "create_partitions" | "delete_topic" => &OF_TOPICS,
        _ => return false,
    };
    op.error.as_deref().is_some_and(|error| errors.contains(&error))
}

/// The history with refusals that prove nothing taken for requests without an answer.
///
/// Their codes are those of the JSON protocol, where such a refusal is definite. Kafka's
/// coordinator gives them also when the write that it waits for times out or is interrupted by a
/// change of leader.
#[must_use]
pub fn soften(history: &History) -> Cow<'_, History> {
    let open = |op: &Op| op.outcome == Outcome::Fail && is_open(op);
    if !is_wire(history) || !history.ops.iter().any(open) {
        return Cow::Borrowed(history);
    }
    let mut softened = history.clone();
    for op in softened.ops.iter_mut().filter(|op| open(op)) {
        op.outcome = Outcome::Info;
    }
    Cow::Owned(softened)
}

/// Faults after which no broker goes on with what it knew before.
const FORGETFUL: [&str; 4] = ["kill", "restart", "late", "clients"];

/// Since when the value that a read told may have been the current one.
///
/// Kafka's coordinator answers reads from memory, without asking others. One that was cut off or
/// stopped, and replaced meanwhile, tells what it knew until it learns of that. So a read in the
/// course of such faults, or [`LATE_EFFECT`] after, may be as old as the first of them. Elsewhere a
/// read tells what was so after its invocation.
#[must_use]
pub fn stale_since(history: &History, op: &Op) -> Micros {
    let mut since = op.invoke_us;
    if !is_wire(history) {
        return since;
    }
    let until = op.complete_us.unwrap_or(Micros::MAX);
    // Faults are sorted by their beginning, so one pass backwards follows the chain.
    let faults = history.faults.iter().rev();
    for fault in faults.filter(|fault| !FORGETFUL.contains(&fault.fault.as_str())) {
        let to = fault.to_us.or(history.header.heal_us).unwrap_or(Micros::MAX);
        if fault.from_us <= until && to.saturating_add(LATE_EFFECT) >= since {
            since = since.min(fault.from_us);
        }
    }
    since
}
