//! Times of a history: how they are told, and until when a request without an answer may still act.

use super::wire::is_wire;
use crate::history::{History, Micros, Op, Outcome};

/// For how long after all trouble is over a request that nobody answered may still take effect.
///
/// A node answers within 4 s or drops the request; what it had handed to others by then is on its
/// way for as long as messages and elections take. The rest is margin for a busy machine.
pub const LATE_EFFECT: Micros = 10_000_000;

/// How much longer than its time-outs a healthy cluster may take to act on them: an election, a
/// queue, a round of messages, on a busy machine.
pub const LIVENESS_SLACK: Micros = 10_000_000;

/// The same of a broker of Kafka's: brokers miss their sessions first, then partitions are led by
/// others, then their groups are loaded.
const WIRE_SLACK: Micros = 60_000_000;

/// How much longer than its time-outs the cluster of a history may take to act on them.
#[must_use]
pub fn slack(history: &History) -> Micros {
    if is_wire(history) { WIRE_SLACK } else { LIVENESS_SLACK }
}

/// A time as people read it: `12.345s`.
#[must_use]
pub fn at(time: Micros) -> String {
    format!("{}.{:03}s", time / 1_000_000, time % 1_000_000 / 1_000)
}

/// The time span of an operation as people read it: `[1.000s, 1.250s]`.
#[must_use]
pub fn span(op: &Op) -> String {
    match op.complete_us {
        Some(complete) => format!("[{}, {}]", at(op.invoke_us), at(complete)),
        None => format!("[{}, never answered]", at(op.invoke_us)),
    }
}

/// Milliseconds, as time-outs are given, in the unit of a history.
#[must_use]
pub fn ms(milliseconds: u64) -> Micros {
    milliseconds.saturating_mul(1_000)
}

/// The last instant that a history tells of.
#[must_use]
pub fn end(history: &History) -> Micros {
    let ops = history.ops.iter().map(|op| op.complete_us.unwrap_or(op.invoke_us));
    let faults = history.faults.iter().map(|fault| fault.to_us.unwrap_or(fault.from_us));
    ops.chain(faults).chain(history.header.heal_us).max().unwrap_or(0)
}

/// Whether an operation may have acted at another time than between its invocation and its
/// completion.
#[must_use]
pub fn unknown(op: &Op) -> bool {
    op.outcome == Outcome::Info || op.complete_us.is_none()
}

/// Whether a node's clock may have run otherwise than the history's. Then a time-out says nothing
/// about the history's own times.
#[must_use]
pub fn skewed(history: &History) -> bool {
    history.faults.iter().any(|fault| fault.fault.contains("clock"))
}

/// Until when an operation may still take effect: its completion if it has a definite outcome, else
/// the end of the trouble that it may be stuck in, plus [`LATE_EFFECT`].
///
/// A request that was given up can wait in the input of a paused node or in the log of a leader cut
/// off from the others until that fault ends, and run into the next fault then. So faults that
/// follow within [`LATE_EFFECT`] of each other count as one.
#[must_use]
pub fn late_until(history: &History, op: &Op) -> Micros {
    if !unknown(op) {
        return op.complete_us.unwrap_or(Micros::MAX);
    }
    let mut until = op.complete_us.unwrap_or(op.invoke_us).saturating_add(LATE_EFFECT);
    // Faults are sorted by their beginning, so one pass follows the chain.
    for fault in &history.faults {
        if fault.from_us > until {
            break;
        }
        let Some(to) = fault.to_us.or(history.header.heal_us) else { return Micros::MAX };
        if to >= op.invoke_us {
            until = until.max(to.saturating_add(LATE_EFFECT));
        }
    }
    until
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{at, late_until};
    use crate::history::{Fault, Header, History, Op, Outcome};

    fn history(faults: &[(u64, Option<u64>)]) -> History {
        let fault = |&(from_us, to_us): &(u64, Option<u64>)| Fault {
            fault: "pause".into(),
            detail: String::new(),
            from_us: from_us * 1_000_000,
            to_us: to_us.map(|s| s * 1_000_000),
        };
        History {
            header: Header {
                arena: 1,
                workload: "groups".into(),
                stage: "sim".into(),
                nodes: vec![],
                seed: 0,
                heal_us: None,
                config: Value::Null,
            },
            ops: vec![],
            faults: faults.iter().map(fault).collect(),
        }
    }

    fn op(outcome: Outcome) -> Op {
        Op {
            id: 0,
            process: "c1".into(),
            node: "n1".into(),
            f: "poll".into(),
            args: Value::Null,
            invoke_us: 1_000_000,
            complete_us: Some(5_000_000),
            outcome,
            result: None,
            code: None,
            error: None,
        }
    }

    #[test]
    fn an_answered_request_acts_before_its_answer() {
        assert_eq!(late_until(&history(&[(2, Some(60))]), &op(Outcome::Ok)), 5_000_000);
    }

    #[test]
    fn an_unanswered_request_outlives_the_faults_that_hold_it() {
        assert_eq!(late_until(&history(&[]), &op(Outcome::Info)), 15_000_000);
        // The first fault reaches the second one, the third comes too late to hold the request.
        let faults = [(2, Some(20)), (25, Some(40)), (51, Some(70))];
        assert_eq!(late_until(&history(&faults), &op(Outcome::Info)), 50_000_000);
        assert_eq!(late_until(&history(&[(2, None)]), &op(Outcome::Info)), u64::MAX);
        // Over before the request was sent.
        assert_eq!(late_until(&history(&[(0, Some(0))]), &op(Outcome::Info)), 15_000_000);
    }

    #[test]
    fn times_are_told_in_seconds() {
        assert_eq!(at(12_345_678), "12.345s");
    }
}
