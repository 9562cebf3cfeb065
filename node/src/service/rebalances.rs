//! How long rebalances took and why they began, as the leader saw them. What an earlier leader saw
//! begin, and nobody saw end, is not counted.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use runtime::Instant;
use runtime::durations::{Durations, Measured};
use state_machine::event::Event;
use state_machine::groups::classic::event::ClassicEvent;
use state_machine::groups::event::{GroupEvent, RebalanceReason, RemovalReason};
use state_machine::ids::{GroupId, MemberId};

/// Rebalances of one reason.
#[derive(Debug, Clone)]
pub struct Rebalanced {
    /// Why they began, such as `joined`, `left` or `session_expired`.
    pub reason: &'static str,
    /// How many have begun.
    pub begun: u64,
    /// How long those took that are over, from their first reason until everyone had what it shall
    /// read.
    pub took: Measured,
}

/// All that this node saw while it led.
#[derive(Debug, Default)]
pub(super) struct Rebalances(Mutex<BTreeMap<&'static str, Tally>>);

#[derive(Debug, Default)]
struct Tally {
    begun: u64,
    took: Durations,
}

impl Rebalances {
    fn tell(&self, reason: &'static str, tell: impl FnOnce(&mut Tally)) {
        tell(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(reason).or_default());
    }

    /// By their reasons.
    pub(super) fn seen(&self) -> Vec<Rebalanced> {
        let tallies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = |(reason, tally): (&&'static str, &Tally)| Rebalanced {
            reason,
            begun: tally.begun,
            took: tally.took.measured(),
        };
        tallies.iter().map(seen).collect()
    }
}

/// What a leader has seen begin and not end.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    /// Why each began, and when.
    groups: BTreeMap<GroupId, (&'static str, Instant)>,
    /// The last member that went: a rebalance may follow at once.
    gone: Option<(MemberId, RemovalReason)>,
}

impl UnderWay {
    /// Something happened while this node leads.
    pub(super) fn observe(&mut self, event: &Event, now: Instant, all: &Rebalances) {
        let Event::Group { group, event } = event else { return };
        match event {
            GroupEvent::MemberRemoved { member, reason } => {
                self.gone = Some((member.clone(), *reason));
            }
            GroupEvent::RebalanceStarted { reason, .. } => {
                let reason = self.reason(reason);
                all.tell(reason, |tally| tally.begun += 1);
                // One that begins again before it is over takes so much longer.
                self.groups.entry(group.clone()).or_insert((reason, now));
            }
            GroupEvent::RebalanceCompleted { .. } => {
                if let Some((reason, begun)) = self.groups.remove(group) {
                    all.tell(reason, |tally| tally.took.add(now - begun));
                }
            }
            GroupEvent::Classic(ClassicEvent::Emptied { .. }) | GroupEvent::Removed => {
                self.groups.remove(group);
            }
            _ => {}
        }
    }

    fn reason(&self, reason: &RebalanceReason) -> &'static str {
        match reason {
            RebalanceReason::MemberJoined(_) => "joined",
            RebalanceReason::MemberRejoined(_) => "rejoined",
            RebalanceReason::TopicChanged(_) => "topic_changed",
            RebalanceReason::SyncTimedOut => "sync_timed_out",
            RebalanceReason::MemberRemoved(member) => match &self.gone {
                Some((gone, reason)) if gone == member => reason.name(),
                _ => "removed",
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use state_machine::ids::Generation;

    use super::*;

    fn of_group(event: impl Into<GroupEvent>) -> Event {
        Event::Group { group: GroupId::from("g"), event: event.into() }
    }

    fn started(reason: RebalanceReason) -> Event {
        of_group(GroupEvent::RebalanceStarted { reason, timeout_ms: 1, initial: None })
    }

    #[test]
    fn a_rebalance_counts_by_its_first_reason_until_the_group_is_stable() {
        let (all, mut under_way) = (Rebalances::default(), UnderWay::default());
        let member = |name: &str| MemberId::from(name);
        let generation = Generation::default();
        let removed =
            |name, reason| of_group(GroupEvent::MemberRemoved { member: member(name), reason });
        let completed = || of_group(GroupEvent::RebalanceCompleted { generation });
        for (at, event) in [
            (0, completed()),
            (0, started(RebalanceReason::MemberJoined(member("a")))),
            (5, started(RebalanceReason::MemberRejoined(member("a")))),
            (30, completed()),
            (40, removed("b", RemovalReason::SessionExpired)),
            (40, started(RebalanceReason::MemberRemoved(member("b")))),
            (42, completed()),
            (50, removed("c", RemovalReason::Left)),
            (50, started(RebalanceReason::MemberRemoved(member("c")))),
            (60, of_group(ClassicEvent::Emptied { generation })),
            (90, completed()),
        ] {
            under_way.observe(&event, Instant::from_millis(at), &all);
        }
        let seen: Vec<_> = all
            .seen()
            .iter()
            .map(|seen| (seen.reason, seen.begun, seen.took.count(), seen.took.sum.as_millis()))
            .collect();
        assert_eq!(
            seen,
            [
                ("joined", 1, 1, 30),
                ("left", 1, 0, 0),
                ("rejoined", 1, 0, 0),
                ("session_expired", 1, 1, 2),
            ]
        );
    }
}
