//! **dead-member-kept** (G16): a member that had been silent for longer than its session is still
//! in the group.
//!
//! Holds for all groups. Judged on descriptions of the final phase: there is a leader, which owes
//! each member one full session from the end of the faults and no more. A classic member that waits
//! to be let in also has the rebalance time-out. On Kafka's wire it has it twice, for a coordinator
//! holds a join and then a `sync_group` for that long without looking at the session; and members
//! that the history has no request of may be somebody else's.

use super::epochs::NOT_OF_EPOCHS;
use super::settle::gone_by;
use super::view::Groups;
use crate::checkers::clock::{at, span};
use crate::checkers::{Checker, Verdict, Violation};
use crate::history::History;

/// A dead member that stays.
#[derive(Debug)]
pub struct DeadMemberKept;

impl Checker for DeadMemberKept {
    fn name(&self) -> &'static str {
        "dead-member-kept"
    }

    fn check(&self, history: &History) -> Verdict {
        let Some(heal) = history.header.heal_us else {
            return Verdict::NotJudged("the history has no final phase (`heal_us`)".to_owned());
        };
        let groups = Groups::of(history);
        let (mut judged, mut violations) = (0, Vec::new());
        for group in groups.groups.values() {
            for description in
                group.descriptions.iter().filter(|description| description.op.invoke_us > heal)
            {
                for member in &description.members {
                    let mut requests = group.seat_requests(member.id);
                    if requests.is_empty() && group.wire {
                        continue;
                    }
                    if requests.is_empty() {
                        // A member that never learned its id.
                        requests.clone_from(&group.nameless);
                    }
                    let holds = if group.thin { 0 } else { 1 + u64::from(group.wire) };
                    let waits = group.timeouts.longest_rebalance.saturating_mul(holds);
                    let gone = gone_by(history, group, &requests, heal).saturating_add(waits);
                    judged += 1;
                    if description.op.invoke_us > gone {
                        let last = requests.iter().max_by_key(|op| (op.invoke_us, op.id));
                        violations.push(Violation::new(
                            format!(
                                "group {}: {} is a member in {}, though its last request was sent at {} and its session was over by {}",
                                group.name,
                                member.id,
                                span(description.op),
                                at(last.map_or(0, |op| op.invoke_us)),
                                at(gone)
                            ),
                            last.map(|op| op.id).into_iter().chain([description.op.id]),
                        ));
                    }
                }
            }
        }
        Verdict::of(judged, violations, "no group was described in the final phase")
            .unless_empty(groups.only_epochs(), NOT_OF_EPOCHS)
    }
}
