//! **accepted-after-removal** (G14): a member that was out of its group, as an answer had shown,
//! was served without joining again.
//!
//! Holds for all groups. Three kinds of answers show it: the member was told UNKNOWN_MEMBER_ID or
//! FENCED_INSTANCE_ID, its own leaving was acknowledged (unless a static seat stays), or a
//! description of the group does not have it. Any request to join that may have been processed
//! since excuses the node. Commits are judged by `fenced-commit`.
//!
//! Not judged on Kafka's wire. Kafka's coordinator writes down who is in a group when a leader has
//! assigned, not when somebody leaves or is thrown out. Whoever follows it before the next
//! assignment takes the member for one again, lawfully.

use super::epochs::NOT_OF_EPOCHS;
use super::view::{Group, Groups};
use crate::checkers::clock::{late_until, span};
use crate::checkers::wire::is_wire;
use crate::checkers::{Checker, Verdict, Violation};
use crate::history::{History, Micros, Op, Outcome};

/// A removed member that is still served.
#[derive(Debug)]
pub struct AcceptedAfterRemoval;

/// Why it is not judged on Kafka's wire.
const FORGETS: &str =
    "Kafka's next coordinator may not know of a removal since the last assignment";

impl Checker for AcceptedAfterRemoval {
    fn name(&self) -> &'static str {
        "accepted-after-removal"
    }

    fn check(&self, history: &History) -> Verdict {
        let groups = Groups::of(history);
        if groups.only_epochs() {
            return Verdict::NotJudged(NOT_OF_EPOCHS.to_owned());
        }
        if is_wire(history) {
            return Verdict::NotJudged(FORGETS.to_owned());
        }
        let (mut judged, mut violations) = (0, Vec::new());
        for group in groups.groups.values() {
            for (member, requests) in &group.requests {
                let removals = Removals::of(history, group, member);
                let served = requests.iter().filter(|op| {
                    op.outcome == Outcome::Ok
                        && matches!(op.f.as_str(), "heartbeat" | "poll" | "sync_group")
                });
                for op in served {
                    judged += 1;
                    if let Some(reveal) = removals.before(op) {
                        violations.push(Violation::new(
                            format!(
                                "group {}: {} by {member} was accepted in {}, though it was out of the group, as seen in {}, and had not joined again",
                                group.name,
                                op.f,
                                span(op),
                                span(reveal)
                            ),
                            [reveal.id, op.id],
                        ));
                    }
                }
            }
        }
        Verdict::of(judged, violations, "no member was served")
    }
}

/// Answers that show a member to be out of its group, and its attempts to join.
pub(super) struct Removals<'h> {
    /// In the order of completion, each with the latest invocation up to there.
    reveals: Vec<(Micros, &'h Op)>,
    /// Each with the time until which it may have been processed.
    joins: Vec<(Micros, Micros)>,
}

impl<'h> Removals<'h> {
    pub(super) fn of(history: &History, group: &Group<'h>, member: &str) -> Self {
        let requests = group.requests.get(member).map_or(&[][..], Vec::as_slice);
        let told = requests.iter().copied().filter(|op| match op.outcome {
            Outcome::Fail => {
                matches!(op.error.as_deref(), Some("UNKNOWN_MEMBER_ID" | "FENCED_INSTANCE_ID"))
            }
            Outcome::Ok => {
                matches!(op.f.as_str(), "unsubscribe" | "leave_group") && !group.is_static(member)
            }
            Outcome::Info => false,
        });
        // A member of a static seat may be described under the name of its successor.
        let missing = group
            .descriptions
            .iter()
            .filter(|description| {
                !group.is_static(member) && description.members.iter().all(|m| m.id != member)
            })
            .map(|description| description.op);
        let mut reveals: Vec<_> =
            told.chain(missing).filter_map(|op| Some((op.complete_us?, op))).collect();
        reveals.sort_by_key(|(complete, op)| (*complete, op.id));
        let latest = reveals.iter().scan(None::<&Op>, |latest, (complete, op)| {
            *latest = latest.filter(|latest| latest.invoke_us >= op.invoke_us).or(Some(op));
            latest.map(|latest| (*complete, latest))
        });
        let joins = requests
            .iter()
            .filter(|op| {
                matches!(op.f.as_str(), "subscribe" | "join_group") && op.outcome != Outcome::Fail
            })
            .map(|op| (op.invoke_us, late_until(history, op)));
        Self { reveals: latest.collect(), joins: joins.collect() }
    }

    /// The answer that shows the member to be out when an operation was processed, for certain.
    pub(super) fn before(&self, op: &Op) -> Option<&'h Op> {
        let last = self
            .reveals
            .partition_point(|(complete, _)| *complete < op.invoke_us)
            .checked_sub(1)?;
        let reveal = self.reveals[last].1;
        let complete = op.complete_us?;
        let joined = self
            .joins
            .iter()
            .any(|(invoke, until)| *until >= reveal.invoke_us && *invoke <= complete);
        (!joined).then_some(reveal)
    }
}
