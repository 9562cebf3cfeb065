//! **node-fault**: a node answered that it is at fault itself.
//!
//! Holds because nearly nothing that a client may ask leads there: an answer that would be too long
//! is cut short where it can be, and what could never be answered is not taken in. What is left
//! (`docs/protocol.md`) is not judged: requests that are told everything there is
//! ([`TOLD_EVERYTHING`]), and those of thin consumers where there are so many partitions that the
//! names of those which one reads may not fit ([`MANY_PARTITIONS`]). Nor is a history judged in
//! which a bit of the disk has turned round: then the records are not what they were.

use crate::checkers::{Checker, Verdict, Violation};
use crate::history::{History, Op};
use crate::nemesis::Nemesis;

/// A fault of the node itself.
#[derive(Debug)]
pub struct NodeFault;

/// Their replies are as long as what they tell of.
pub const TOLD_EVERYTHING: [&str; 3] = ["describe_group", "list_groups", "list_topics"];

/// Their replies name all partitions that the consumer reads.
const TOLD_ITS_PARTITIONS: [&str; 3] = ["subscribe", "poll", "heartbeat"];

/// All partitions of fewer fit one reply, whatever the names of their topics.
pub const MANY_PARTITIONS: u64 = 100_000;

/// The error's name.
const OWN_FAULT: &str = "UNKNOWN_SERVER_ERROR";

impl Checker for NodeFault {
    fn name(&self) -> &'static str {
        "node-fault"
    }

    fn check(&self, history: &History) -> Verdict {
        if history.faults.iter().any(|fault| fault.fault == Nemesis::BitRot.name()) {
            return Verdict::NotJudged("records may have rotted on a disk".to_owned());
        }
        // Also of topics that were deleted since, or are refused: a bound from above will do.
        let made = history.ops.iter().filter_map(|op| op.args["partitions"].as_u64()).sum::<u64>();
        let may_not_fit = |op: &Op| {
            let f = op.f.as_str();
            TOLD_EVERYTHING.contains(&f)
                || made >= MANY_PARTITIONS && TOLD_ITS_PARTITIONS.contains(&f)
        };
        let answered = history.ops.iter().filter(|op| op.complete_us.is_some() && !may_not_fit(op));
        let violations = answered.clone().filter(|op| op.error.as_deref() == Some(OWN_FAULT));
        let violations = violations.map(|op| {
            let account =
                format!("{} answered a {} by {} with {OWN_FAULT}", op.node, op.f, op.process);
            Violation::new(account, [op.id])
        });
        Verdict::of(answered.clone().count(), violations.collect(), "nothing was answered")
    }
}
