//! **early-eviction** (G15): a member was out of its group although its time-outs had not run out.
//!
//! Holds for all groups, for members without a static seat (one that is taken over is out at once,
//! lawfully). A member's session runs at least from the moment at which its last accepted request
//! was sent; so if it is shown to be out within the session time-out and the rebalance time-out
//! from then, and did not leave, it was evicted early. A new leader must give a full session, so
//! changes of leader are no excuse; skewed clocks are. In the simulator [`crate::checkers::state`]
//! judges by the coordinator's own clock.
//!
//! Three answers show that a member is out: it is told so itself, a description lacks it, or its
//! group is gone. A group is deleted only when it has no members. So an acknowledged
//! `delete_group`, and one that is refused because there is no such group, show that at some
//! instant of it every member was out.
//!
//! On Kafka's wire heartbeats show nothing, since a coordinator that loads its groups accepts any;
//! and a late `sync_group` does not extend the session. There the session runs from the join or an
//! accepted commit. A description that may be old shows nobody to be out.
//!
//! A member of KIP-848 lives as [`epochs`](super::epochs) says. Its next heartbeat shows it to be
//! out, by being refused.

use super::epochs::{EpochGroup, epoch, in_office};
use super::view::{Group, Groups};
use crate::checkers::clock::{at, late_until, skewed, span, unknown};
use crate::checkers::offsets::group as named;
use crate::checkers::wire::stale_since;
use crate::checkers::{Checker, Need, Verdict, Violation};
use crate::history::{History, Micros, Op, Outcome};

/// A live member thrown out.
#[derive(Debug)]
pub struct EarlyEviction;

impl Checker for EarlyEviction {
    fn name(&self) -> &'static str {
        "early-eviction"
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::EveryClient]
    }

    fn check(&self, history: &History) -> Verdict {
        if skewed(history) {
            return Verdict::NotJudged(
                "clocks of nodes were skewed, so time-outs do not follow the history's".to_owned(),
            );
        }
        let groups = Groups::of(history);
        let (mut judged, mut violations) = (0, Vec::new());
        for group in groups.groups.values() {
            let Some(timeouts) =
                group.timeouts.shortest_session.zip(group.timeouts.shortest_rebalance)
            else {
                continue;
            };
            for (member, requests) in
                group.requests.iter().filter(|(member, _)| !group.is_static(member))
            {
                let told = requests
                    .iter()
                    .copied()
                    .filter(|op| op.error.as_deref() == Some("UNKNOWN_MEMBER_ID"));
                let missing = group.descriptions.iter().filter(|d| {
                    d.members.iter().all(|m| m.id != *member)
                        && stale_since(history, d.op) == d.op.invoke_us
                });
                let missing = missing.map(|description| description.op);
                for reveal in told.chain(missing).chain(gone(history, group)) {
                    let Some(life) = Life::before(history, group, requests, reveal) else {
                        continue;
                    };
                    judged += 1;
                    let lives_until = life.until(timeouts);
                    if reveal.complete_us.is_some_and(|complete| complete < lives_until) {
                        violations.push(Violation::new(
                            format!(
                                "group {}: {member} was out in {} ({}), though its last accepted request was sent at {} and its time-outs run until {}",
                                group.name,
                                span(reveal),
                                reveal.f,
                                at(life.session.invoke_us),
                                at(lives_until)
                            ),
                            [life.session.id, life.rebalance.id, reveal.id],
                        ));
                    }
                }
            }
        }
        for group in &groups.epochs {
            judged += of_epochs(group, history, &mut violations);
        }
        Verdict::of(
            judged,
            violations,
            "no member was found out of its group after an accepted request",
        )
    }
}

/// Members of KIP-848 that were told that they are out.
fn of_epochs(group: &EpochGroup<'_>, history: &History, violations: &mut Vec<Violation>) -> usize {
    let mut judged = 0;
    for (id, member) in &group.members {
        let states = group.states(history, id);
        for op in &member.beats {
            if op.error.as_deref() != Some("UNKNOWN_MEMBER_ID") || !in_office(history, op) {
                continue;
            }
            let before = states.partition_point(|state| state.since <= op.invoke_us);
            let Some(state) = before.checked_sub(1).map(|last| &states[last]) else { continue };
            let between = member.beats.iter().filter(|beat| beat.invoke_us > state.op.invoke_us);
            let mut between = between.filter(|beat| beat.invoke_us < op.invoke_us);
            let lost = member.beats.iter().any(|beat| {
                unknown(beat)
                    && Some(beat.invoke_us) <= op.complete_us
                    && late_until(history, beat) >= state.op.invoke_us
            });
            let Some(lives_until) = state.lives_until.filter(|_| !lost && state.epoch > 0) else {
                continue;
            };
            // A refused heartbeat of before, as one that left or joined, may have had its reasons.
            if between.next().is_some() || epoch(op).is_none_or(|epoch| epoch <= 0) {
                continue;
            }
            judged += 1;
            if op.complete_us.is_some_and(|complete| complete < lives_until) {
                violations.push(Violation::new(
                    format!(
                        "group {}: {id} was out in {} ({}), though its last accepted heartbeat was sent at {} and its time-outs run until {}",
                        group.name,
                        span(op),
                        op.f,
                        at(state.op.invoke_us),
                        at(lives_until)
                    ),
                    [state.op.id, op.id],
                ));
            }
        }
    }
    judged
}

/// Answers that show that a group had no member.
fn gone<'h>(history: &'h History, group: &Group<'_>) -> impl Iterator<Item = &'h Op> {
    let of_group = |op: &&Op| op.f == "delete_group" && named(&op.args) == Some(group.name);
    let none =
        |op: &&Op| op.outcome == Outcome::Ok || op.error.as_deref() == Some("GROUP_ID_NOT_FOUND");
    history.ops.iter().filter(of_group).filter(none)
}

/// The requests from which a member's time-outs run, at least.
struct Life<'h> {
    session: &'h Op,
    rebalance: &'h Op,
}

impl<'h> Life<'h> {
    /// `None` if the member may have left lawfully since.
    fn before(
        history: &History,
        group: &Group<'_>,
        requests: &[&'h Op],
        reveal: &Op,
    ) -> Option<Self> {
        let accepted = |names: &[&str]| {
            let done = requests
                .iter()
                .filter(|op| op.outcome == Outcome::Ok && names.contains(&op.f.as_str()));
            let done = done
                .filter(|op| op.complete_us.is_some_and(|complete| complete < reveal.invoke_us));
            done.max_by_key(|op| (op.invoke_us, op.id)).copied()
        };
        let (session, rebalance) = if group.thin {
            (
                accepted(&["subscribe", "poll", "heartbeat", "commit"])?,
                accepted(&["subscribe", "poll"])?,
            )
        } else {
            // Who joined but did not ask for its assignment is removed when the rebalance time-out
            // ends, heartbeats or not.
            let sync = accepted(&["sync_group"])?;
            let joined = requests
                .iter()
                .filter(|op| op.f == "join_group" && op.invoke_us <= reveal.invoke_us);
            if joined.map(|op| op.invoke_us).max() > Some(sync.invoke_us) {
                return None;
            }
            if group.wire {
                (accepted(&["join_group", "commit_offset"])?, sync)
            } else {
                let beat = accepted(&["heartbeat", "sync_group"])?;
                (beat, beat)
            }
        };
        let left = requests.iter().any(|op| {
            matches!(op.f.as_str(), "unsubscribe" | "leave_group")
                && Some(op.invoke_us) <= reveal.complete_us
                && late_until(history, op) >= session.invoke_us.min(rebalance.invoke_us)
        });
        (!left).then_some(Self { session, rebalance })
    }

    fn until(&self, (session, rebalance): (Micros, Micros)) -> Micros {
        (self.session.invoke_us + session).min(self.rebalance.invoke_us + rebalance)
    }
}
