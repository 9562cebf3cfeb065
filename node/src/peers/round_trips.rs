//! How long round trips to peers take, and how slowly Raft's clock has to run for them. Pure: times
//! come in.
//!
//! openraft ends a heartbeat after one heartbeat interval, and a vote after the least election
//! time-out. Over longer round trips nothing would ever be acknowledged. So Raft's clock gets a
//! [`Pace`] at which one heartbeat interval is one and a half round trips to a quorum; it is 1
//! where round trips are shorter than two thirds of what is configured.
//!
//! - **Measured** is every answer, also one that came after its call had given up: a cluster that
//!   is too fast to elect a leader learns from its late answers that it is.
//! - **Of a peer** the third-longest of its last eight answers counts. So two long ones are taken
//!   for chance (a process that stood still), three are believed, and it takes six short ones to
//!   fall again.
//! - **Answers that come together** count once, with the shortest time. What a process that stood
//!   still has in its queue is answered at one stroke: that was one wait, not many.
//! - **A rise is checked.** A pause, or a jump of the node's own clock, can still make a single
//!   answer look long, and where few are remembered that one counts. A node that waited so much
//!   longer than its peers would keep them from electing a leader all the time. So after a rise by
//!   a quarter the node probes its peers until a quorum has given six more answers
//!   ([`in_doubt`](RoundTrips::in_doubt)): long ones confirm it, short ones undo it.
//!   The same where the first answers of all are at odds (a peer that is near, another far away),
//!   and where there is one, and it took long.
//! - **Of a cluster** the slowest peer of the fastest quorum counts. A peer that has fallen silent
//!   does not: it once may have been the fastest.
//! - **A leader tells** its round trip with every append, and at once when it has risen. Its
//!   followers take it over, so no follower waits less than its leader's heartbeats take. What they
//!   had measured is forgotten, and what they measure counts when they stand for election.
//! - **Before anything is known**, a round trip is taken to be 2 s long, so that a first
//!   election works over slow links; a probe at the start tells soon (see
//!   [`Peers::probe`](super::rpc::Peers::probe)).
//! - **Elections that fail** one after the other slow the clock further, up to twice. When exactly
//!   a node stands again is drawn by openraft, from the runtime's randomness.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use runtime::{Instant, Pace};
use state_machine::ids::NodeId;

/// What a round trip is taken to be before any was measured.
const UNKNOWN: Duration = Duration::from_secs(2);

/// No round trip is taken to be longer: a peer that answers later is as good as gone.
const LONGEST: Duration = Duration::from_secs(8);

/// So many answers of a peer are remembered.
const REMEMBERED: usize = 8;

/// So many of the longest of them are taken for chance.
const CHANCE: usize = 2;

/// Answers of a peer that arrive within this time have come together.
const TOGETHER: Duration = Duration::from_millis(50);

/// A peer has fallen silent if others have answered for this time and so many of its round trips
/// since it last did: ten heartbeats, whatever the pace.
const SILENT: Duration = Duration::from_secs(3);
const SILENT_ROUND_TRIPS: u32 = 6;

/// So many answers of a peer check a rise: as many as undo one.
const CHECKS: usize = REMEMBERED - CHANCE;

/// First answers of peers are at odds where one took so many times as long as another.
const AT_ODDS: u32 = 8;

/// A heartbeat interval is so many thousandths of a round trip.
const MARGIN: u128 = 1_500;

/// A pace rises by a quarter with each election that fails, so many times.
const BACK_OFFS: usize = 4;

/// No peer is taken to be more times as far away as a quorum.
const FARTHEST: u32 = 32;

/// A leader tells at once that round trips have become so many times as long, in percent.
const TELL_AT_PERCENT: u32 = 125;

/// Answers of a peer that came together.
#[derive(Debug, Clone, Copy)]
struct Answer {
    /// When the first of them came.
    at: Instant,
    /// The shortest time that one of them took.
    took: Duration,
}

/// See the [module](self).
#[derive(Debug)]
pub struct RoundTrips {
    /// How many other nodes there are.
    peers: usize,
    /// What Raft is configured for.
    heartbeat: Duration,
    /// The last answers of each peer, the newest last.
    answers: BTreeMap<NodeId, VecDeque<Answer>>,
    /// Where the pace has risen and that is being checked: how often each peer has answered since.
    checked: Option<BTreeMap<NodeId, usize>>,
    /// What the leader told last.
    told: Option<Duration>,
    leads: bool,
    /// Questions for a pre-vote since there was a leader.
    pre_votes: usize,
    /// What this node told last while it led.
    last_told: Option<Duration>,
}

impl RoundTrips {
    /// Nothing is known yet of so many peers.
    pub fn new(peers: usize, heartbeat: Duration) -> Self {
        Self {
            peers,
            heartbeat,
            answers: BTreeMap::new(),
            checked: None,
            told: None,
            leads: false,
            pre_votes: 0,
            last_told: None,
        }
    }

    /// A peer answered at that time, and it took so long.
    pub fn observe(&mut self, peer: NodeId, took: Duration, at: Instant) {
        let (before, first) = (self.covered(), self.told.or_else(|| self.measured()).is_none());
        let took = took.min(LONGEST);
        let answers = self.answers.entry(peer).or_default();
        match answers.back_mut().filter(|last| at - last.at < TOGETHER) {
            Some(last) => last.took = last.took.min(took),
            None => {
                if answers.len() == REMEMBERED {
                    answers.pop_front();
                }
                answers.push_back(Answer { at, took });
                if let Some(checked) = &mut self.checked {
                    *checked.entry(peer).or_default() += 1;
                }
            }
        }
        let risen = self.covered() > before * TELL_AT_PERCENT / 100;
        if risen || first && self.is_doubtful() {
            self.checked = Some(BTreeMap::new());
        } else if self.covered() == self.covered_at_least() || self.is_checked() {
            self.checked = None;
        }
    }

    /// Whether it may be chance that the first answers took long: there is one alone, or a peer has
    /// answered so much sooner than a quorum.
    fn is_doubtful(&self) -> bool {
        let all = || self.answers.values().flatten().map(|answer| answer.took);
        let quorum = self.measured().filter(|took| *took > self.covered_at_least());
        let at_odds = |took| all().min().is_some_and(|shortest| shortest * AT_ODDS < took);
        quorum.is_some_and(|took| all().count() == 1 || at_odds(took))
    }

    /// Whether a quorum has answered often enough since the pace rose.
    fn is_checked(&self) -> bool {
        self.in_doubt().is_some_and(|times| times >= CHECKS)
    }

    /// Whether the pace has risen, by what this node measured itself, and that is not confirmed
    /// yet: then, how often a quorum has answered since.
    pub fn in_doubt(&self) -> Option<usize> {
        let mut times: Vec<usize> = self.checked.as_ref()?.values().copied().collect();
        times.sort_unstable();
        let quorum = times.len().checked_sub(self.quorum());
        Some(quorum.and_then(|fewer| times.get(fewer).copied()).unwrap_or(0))
    }

    /// A leader told how long its round trips are.
    pub fn hear(&mut self, told: Duration) {
        self.told = Some(told.min(LONGEST));
        self.answers.clear();
        self.checked = None;
        (self.leads, self.pre_votes) = (false, 0);
    }

    /// This node sends entries or a heartbeat: it leads. Returns what it has to tell of its round
    /// trips.
    pub fn lead(&mut self) -> Duration {
        (self.leads, self.pre_votes) = (true, 0);
        let told = self.round_trip();
        self.last_told = Some(told);
        told
    }

    /// Whether this node sent entries or a heartbeat last: nobody told it since that it leads.
    pub fn leads(&self) -> bool {
        self.leads
    }

    /// Whether a leader told this node its round trips, and the node has not stood for election
    /// since.
    fn follows(&self) -> bool {
        self.told.is_some() && !self.leads && self.pre_votes == 0
    }

    /// This node asks a peer for a pre-vote.
    pub fn ask_for_pre_vote(&mut self) {
        if self.follows() {
            // From now on it counts what this node measures.
            self.answers.clear();
        }
        self.leads = false;
        self.pre_votes += 1;
    }

    /// Where this node leads and its round trips are much longer than it last told: what to tell at
    /// once.
    pub fn news(&mut self) -> Option<Duration> {
        let (now, told) = (self.round_trip(), self.last_told?);
        let risen = self.leads && now > told * TELL_AT_PERCENT / 100;
        risen.then(|| *self.last_told.insert(now))
    }

    /// How long a round trip to a peer takes, as far as is known.
    pub fn of(&self, peer: NodeId) -> Option<Duration> {
        let answers = self.answers.get(&peer)?;
        let mut answers: Vec<Duration> = answers.iter().map(|answer| answer.took).collect();
        answers.sort_unstable();
        let chance = CHANCE.min(answers.len().saturating_sub(1));
        answers.get(answers.len().checked_sub(1 + chance)?).copied()
    }

    /// How many times as long as to a quorum a round trip to a peer takes: at least 1, and a whole
    /// number.
    pub fn beyond_quorum(&self, peer: NodeId) -> u32 {
        let (peer, quorum) = (self.of(peer).unwrap_or_default(), self.covered());
        u32::try_from(peer.as_micros().div_ceil(quorum.as_micros().max(1)))
            .unwrap_or(u32::MAX)
            .clamp(1, FARTHEST)
    }

    /// The longest round trip that the pace of now is made for.
    fn covered(&self) -> Duration {
        self.round_trip().max(self.covered_at_least())
    }

    /// The longest round trip that a pace of 1 is made for.
    fn covered_at_least(&self) -> Duration {
        self.heartbeat * 2 / 3
    }

    /// So many peers are a quorum, with this node itself.
    fn quorum(&self) -> usize {
        self.peers.div_ceil(2)
    }

    /// How long it takes to hear from a quorum, as far as is known. Peers that have fallen silent
    /// are no part of it, where the others are a quorum.
    fn measured(&self) -> Option<Duration> {
        let newest = self.answers.values().flatten().map(|answer| answer.at).max()?;
        let mut all = Vec::new();
        let mut heard = Vec::new();
        for (peer, answers) in &self.answers {
            let (Some(took), Some(last)) = (self.of(*peer), answers.back()) else { continue };
            all.push(took);
            if newest - last.at <= SILENT + took * SILENT_ROUND_TRIPS {
                heard.push(took);
            }
        }
        let nth = self.quorum().checked_sub(1)?;
        let mut peers = if heard.len() > nth { heard } else { all };
        peers.sort_unstable();
        peers.get(nth).copied()
    }

    /// How long a round trip to a quorum takes.
    pub fn round_trip(&self) -> Duration {
        if let Some(told) = self.told.filter(|_| self.follows()) {
            return told;
        }
        let measured = self.measured();
        let told = self.told.filter(|_| measured.is_none() || !self.leads);
        measured.max(told).unwrap_or(UNKNOWN)
    }

    /// At which pace Raft's clock has to run.
    pub fn pace(&self) -> Pace {
        if self.peers == 0 {
            return Pace::NORMAL;
        }
        // Both in the same unit, so the result is in thousandths.
        let pace = self.round_trip().as_micros() * MARGIN / self.heartbeat.as_micros().max(1);
        let pace = Pace::from_thousandths(u32::try_from(pace).unwrap_or(u32::MAX));
        let failed = (self.pre_votes / self.peers).saturating_sub(1).min(BACK_OFFS);
        let back_off = 4 + u32::try_from(failed).unwrap_or(0);
        Pace::from_thousandths(pace.thousandths().saturating_mul(back_off) / 4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn of_five() -> RoundTrips {
        RoundTrips::new(4, ms(300))
    }

    /// Every peer answers so often after that time, once a second.
    fn answer(trips: &mut RoundTrips, times: usize, took: Duration) {
        let last = trips.answers.values().flatten().map(|answer| answer.at).max();
        let mut at = last.unwrap_or(Instant::from_millis(0));
        for _ in 0..times {
            at += Duration::from_secs(1);
            (2..=5).for_each(|peer| trips.observe(peer, took, at));
        }
    }

    #[test]
    fn a_fast_network_gets_what_is_configured() {
        let mut trips = of_five();
        answer(&mut trips, 1, ms(200));
        assert_eq!(trips.pace(), Pace::NORMAL);
        answer(&mut trips, 8, ms(1));
        assert_eq!(trips.pace(), Pace::NORMAL);
        assert_eq!(
            RoundTrips::new(0, ms(300)).pace(),
            Pace::NORMAL,
            "a node alone has no round trips"
        );
    }

    #[test]
    fn a_heartbeat_interval_becomes_one_and_a_half_round_trips() {
        let mut trips = of_five();
        assert_eq!(trips.pace().thousandths(), 10_000, "nothing is known: two seconds");
        answer(&mut trips, 1, ms(400));
        assert_eq!(trips.pace().thousandths(), 2_000);
        answer(&mut trips, 8, ms(2_000));
        assert_eq!(trips.pace().thousandths(), 10_000);
        answer(&mut trips, 8, Duration::from_secs(3_600));
        assert_eq!(trips.pace().thousandths(), 40_000, "there is an end to it");
    }

    #[test]
    fn two_long_answers_are_chance_three_are_believed_and_six_short_ones_undo_them() {
        let mut trips = of_five();
        answer(&mut trips, 8, ms(10));
        answer(&mut trips, 2, ms(3_000));
        assert_eq!(trips.pace(), Pace::NORMAL);
        answer(&mut trips, 1, ms(3_000));
        assert_eq!(trips.pace().thousandths(), 15_000);
        answer(&mut trips, 5, ms(10));
        assert_eq!(trips.pace().thousandths(), 15_000);
        answer(&mut trips, 1, ms(10));
        assert_eq!(trips.pace(), Pace::NORMAL);
    }

    #[test]
    fn answers_that_come_together_are_one_and_take_as_long_as_the_shortest() {
        let mut trips = of_five();
        answer(&mut trips, 8, ms(10));
        // Four peers stood still for three seconds, and had a heartbeat of each 300 ms to answer.
        for (asked, peer) in (0..10).flat_map(|asked| (2..=5).map(move |peer| (asked, peer))) {
            trips.observe(peer, ms(3_000 - 300 * asked), Instant::from_millis(11_000 + asked));
        }
        assert_eq!((trips.pace(), trips.of(2)), (Pace::NORMAL, Some(ms(10))));
        let longest = trips.answers[&2].iter().map(|answer| answer.took).max();
        assert_eq!(longest, Some(ms(300)));
        // Others than these are answers of their own.
        for asked in 0..3 {
            let at = Instant::from_millis(11_050 + 50 * asked);
            (2..=5).for_each(|peer| trips.observe(peer, ms(3_000), at));
        }
        assert_eq!(trips.of(2), Some(ms(3_000)));
    }

    #[test]
    fn a_rise_is_in_doubt_until_a_quorum_confirms_it_or_undoes_it() {
        let mut trips = of_five();
        answer(&mut trips, 1, ms(10));
        assert!(trips.in_doubt().is_none(), "at the start it falls");
        trips.hear(ms(10));
        answer(&mut trips, 1, ms(2_300));
        assert_eq!(trips.in_doubt(), None, "it follows");
        trips.hear(ms(10));
        trips.ask_for_pre_vote();
        answer(&mut trips, 1, ms(2_300));
        assert!(trips.in_doubt().is_some() && trips.pace() > Pace::NORMAL, "one is all there is");
        answer(&mut trips, 1, ms(10));
        assert_eq!((trips.in_doubt().is_some(), trips.pace()), (false, Pace::NORMAL));
        answer(&mut trips, 2, ms(2_300));
        assert!(trips.in_doubt().is_some());
        answer(&mut trips, 5, ms(2_300));
        assert!(trips.in_doubt().is_some());
        answer(&mut trips, 1, ms(2_300));
        assert_eq!((trips.in_doubt().is_some(), trips.round_trip()), (false, ms(2_300)));
        trips.lead();
        answer(&mut trips, 3, ms(4_000));
        assert!(trips.in_doubt().is_some());
        trips.hear(ms(4_000));
        assert!(trips.in_doubt().is_none(), "a leader knows better");
    }

    #[test]
    fn a_node_that_has_just_started_doubts_a_long_answer_where_another_peer_is_near() {
        let mut trips = of_five();
        answer(&mut trips, 1, ms(2_000));
        assert_eq!(trips.in_doubt(), None, "all are far away");
        let mut trips = of_five();
        trips.observe(5, ms(6), Instant::from_millis(1_000));
        trips.observe(3, ms(2_000), Instant::from_millis(3_000));
        assert!(trips.in_doubt().is_some());
        trips.hear(ms(2_000));
        assert_eq!(trips.in_doubt(), None, "a leader knows better");
    }

    #[test]
    fn a_node_that_has_just_started_doubts_a_long_answer_that_is_the_only_one() {
        let mut trips = RoundTrips::new(2, ms(300));
        trips.observe(3, ms(1_500), Instant::from_millis(3_000));
        assert_eq!((trips.in_doubt(), trips.pace().thousandths()), (Some(0), 7_500));
        (1..=2).for_each(|n| trips.observe(3, ms(1), Instant::from_millis(3_000 + 100 * n)));
        assert_eq!((trips.in_doubt(), trips.pace()), (None, Pace::NORMAL));
        let mut trips = RoundTrips::new(2, ms(300));
        trips.observe(3, ms(150), Instant::from_millis(3_000));
        assert_eq!(trips.in_doubt(), None, "it is not long");
    }

    #[test]
    fn the_slowest_of_the_fastest_quorum_counts() {
        let mut trips = of_five();
        for (peer, took) in [(2, 10), (3, 400), (4, 2_000)] {
            trips.observe(peer, ms(took), Instant::from_millis(took));
        }
        assert_eq!(trips.round_trip(), ms(400), "of five, two peers and the node itself");
        assert_eq!(trips.of(4), Some(ms(2_000)));
        assert_eq!(trips.of(5), None);
        assert_eq!([2, 3, 4, 5].map(|peer| trips.beyond_quorum(peer)), [1, 1, 5, 1]);
        let mut of_three = RoundTrips::new(2, ms(300));
        of_three.observe(3, ms(40), Instant::from_millis(40));
        assert_eq!(of_three.round_trip(), ms(40));
    }

    #[test]
    fn a_peer_that_has_fallen_silent_does_not_count() {
        let mut trips = RoundTrips::new(2, ms(300));
        let at = |ms: u64| Instant::from_millis(10_000 + ms);
        (0..8).for_each(|n| trips.observe(2, ms(20), at(300 * n)));
        (0..8).for_each(|n| trips.observe(3, ms(20), at(300 * n)));
        // The network has become slow, and node 2 has crashed.
        (0..8).for_each(|n| trips.observe(3, ms(400), at(2_500 + 300 * n)));
        assert_eq!(trips.round_trip(), ms(20), "it may only be late");
        trips.observe(3, ms(400), at(5_500));
        assert_eq!(trips.round_trip(), ms(400));
        trips.observe(2, ms(20), at(5_600));
        assert_eq!(trips.round_trip(), ms(20));
        // Nobody is silent of whom all are.
        trips.observe(2, ms(20), at(60_000));
        let mut of_five = of_five();
        of_five.observe(2, ms(400), at(0));
        of_five.observe(3, ms(600), at(60_000));
        assert_eq!(of_five.round_trip(), ms(600));
    }

    #[test]
    fn a_follower_takes_over_what_its_leader_tells_and_a_leader_what_it_measures() {
        let mut trips = of_five();
        answer(&mut trips, 8, ms(2_000));
        trips.hear(ms(100));
        assert_eq!(trips.round_trip(), ms(100));
        answer(&mut trips, 8, ms(3_000));
        assert_eq!(trips.round_trip(), ms(100), "what it measures meanwhile does not count");
        trips.ask_for_pre_vote();
        assert_eq!(trips.round_trip(), ms(100), "nor later");
        answer(&mut trips, 1, ms(600));
        assert_eq!(trips.round_trip(), ms(600), "who stands for election measures anew");
        trips.hear(ms(2_000));
        trips.ask_for_pre_vote();
        answer(&mut trips, 1, ms(600));
        assert_eq!(trips.round_trip(), ms(2_000), "and is not faster than its last leader");
        assert_eq!(trips.lead(), ms(600));
    }

    #[test]
    fn a_leader_tells_at_once_that_round_trips_have_become_longer() {
        let mut trips = of_five();
        answer(&mut trips, 8, ms(100));
        assert_eq!(trips.news(), None, "it does not lead");
        assert_eq!(trips.lead(), ms(100));
        answer(&mut trips, 8, ms(120));
        assert_eq!(trips.news(), None);
        answer(&mut trips, 8, ms(900));
        assert_eq!(trips.news(), Some(ms(900)));
        assert_eq!(trips.news(), None, "it is told once");
    }

    #[test]
    fn elections_that_fail_slow_the_clock_up_to_twice_until_there_is_a_leader() {
        let mut trips = of_five();
        answer(&mut trips, 1, ms(400));
        let mut paces = Vec::new();
        for _ in 0..7 {
            (0..4).for_each(|_| trips.ask_for_pre_vote());
            paces.push(trips.pace().thousandths());
        }
        assert_eq!(paces, [2_000, 2_500, 3_000, 3_500, 4_000, 4_000, 4_000]);
        trips.hear(ms(400));
        assert_eq!(trips.pace().thousandths(), 2_000);
    }
}
