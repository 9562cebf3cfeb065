//! Whether a quorum still answers this node, and what a leader does that nobody answers. Pure:
//! times come in.
//!
//! A leader whose lines arrive keeps its followers from electing another, whether it hears their
//! answers or not. openraft holds back the heartbeats of a leader without a quorum, but not its
//! entries, which it sends again and again. So a leader looks here before it sends either:
//!
//! - **Quiet**: a quorum has not answered for `QUIET_AFTER` heartbeat intervals. The leader sends
//!   no append, and asks its peers by probes, which renew no lease. One answer of a quorum is
//!   enough, and it goes on where it was.
//! - **Released**: probes were not answered for `RELEASED_AFTER` intervals either. It tells
//!   its followers that they need not wait for its lease. They elect another after their usual
//!   election time-out, or take its next append as before.
//!
//! Releasing waits for probes since a leader that stood still finds everything overdue when it
//! goes on, though the answers are there. The times are of Raft's clock, so they follow the
//! round trips that were measured ([`round_trips`](super::round_trips)).

use std::collections::BTreeMap;
use std::time::Duration;

use runtime::PacedInstant;
use state_machine::ids::NodeId;

/// A leader is quiet when a quorum has not answered for so many heartbeat intervals: one heartbeat
/// may be lost.
const QUIET_AFTER: u32 = 2;

/// A leader that is quiet releases its followers when its probes were not answered for so many
/// heartbeat intervals.
const RELEASED_AFTER: u32 = 1;

/// What a leader does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// A quorum answers it: it leads.
    Heard,
    /// It sends probes alone.
    Quiet,
    /// It sends probes, and releases its followers.
    Released,
}

/// See the [module](self).
#[derive(Debug)]
pub struct Quorum {
    /// How many other nodes there are.
    peers: usize,
    /// Between heartbeats.
    heartbeat: Duration,
    /// When each peer answered last.
    answered: BTreeMap<NodeId, PacedInstant>,
    /// Since when it is known that a quorum does not answer.
    quiet_since: Option<PacedInstant>,
}

impl Quorum {
    /// Nobody has answered yet.
    pub fn new(peers: usize, heartbeat: Duration) -> Self {
        Self { peers, heartbeat, answered: BTreeMap::new(), quiet_since: None }
    }

    /// A peer has answered.
    pub fn answer(&mut self, peer: NodeId, now: PacedInstant) {
        self.answered.insert(peer, now);
    }

    /// What this node does now, if it leads.
    pub fn look(&mut self, now: PacedInstant) -> Standing {
        let mut answered: Vec<PacedInstant> = self.answered.values().copied().collect();
        answered.sort_unstable();
        // With this node itself, half of the peers are a quorum.
        let quorum = self.peers.div_ceil(2);
        let heard = match quorum.checked_sub(1) {
            None => true,
            Some(nth) => answered
                .iter()
                .rev()
                .nth(nth)
                .is_some_and(|at| now - *at < self.heartbeat * QUIET_AFTER),
        };
        if heard {
            self.quiet_since = None;
            return Standing::Heard;
        }
        let since = *self.quiet_since.get_or_insert(now);
        if now - since < self.heartbeat * RELEASED_AFTER {
            Standing::Quiet
        } else {
            Standing::Released
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Standing::{Heard, Quiet, Released};
    use super::*;

    const HEARTBEAT: Duration = Duration::from_millis(300);

    /// So many milliseconds after some instant that is the same in a test.
    fn times() -> impl Fn(u64) -> PacedInstant {
        let begin = PacedInstant::now();
        move |ms| begin + Duration::from_millis(ms)
    }

    #[test]
    fn a_leader_that_no_quorum_answers_is_quiet_and_then_releases_its_followers() {
        let (mut quorum, at) = (Quorum::new(4, HEARTBEAT), times());
        (2..=5).for_each(|peer| quorum.answer(peer, at(0)));
        assert_eq!(quorum.look(at(599)), Heard);
        // One peer is no quorum of five, two are.
        quorum.answer(2, at(500));
        assert_eq!(quorum.look(at(600)), Quiet);
        assert_eq!(quorum.look(at(899)), Quiet);
        assert_eq!(quorum.look(at(900)), Released);
        quorum.answer(3, at(950));
        assert_eq!(quorum.look(at(950)), Heard);
        assert_eq!(quorum.look(at(1_100)), Quiet);
    }

    #[test]
    fn a_leader_that_stood_still_releases_nobody_before_it_has_probed() {
        let (mut quorum, at) = (Quorum::new(2, HEARTBEAT), times());
        quorum.answer(2, at(0));
        assert_eq!(quorum.look(at(3_000)), Quiet);
        quorum.answer(3, at(3_001));
        assert_eq!(quorum.look(at(3_002)), Heard);
    }

    #[test]
    fn a_node_alone_is_its_own_quorum() {
        assert_eq!(Quorum::new(0, HEARTBEAT).look(PacedInstant::now()), Heard);
    }
}
