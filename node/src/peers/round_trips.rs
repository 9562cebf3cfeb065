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
//! - **Of a cluster** the slowest peer of the fastest quorum counts.
//! - **A leader tells** its round trip with every append, and at once when it has risen. Its
//!   followers take it over, so no follower waits less than its leader's heartbeats take. What they
//!   had measured is forgotten.
//! - **Before anything is known**, a round trip is taken to be 2 s long, so that a first
//!   election works over slow links; a probe at the start tells soon (see
//!   [`Peers::probe`](super::rpc::Peers::probe)).
//! - **Elections that fail** one after the other slow the clock further, up to twice. When exactly
//!   a node stands again is drawn by openraft, from the runtime's randomness.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use runtime::Pace;
use state_machine::ids::NodeId;

/// What a round trip is taken to be before any was measured.
const UNKNOWN: Duration = Duration::from_secs(2);

/// No round trip is taken to be longer: a peer that answers later is as good as gone.
const LONGEST: Duration = Duration::from_secs(8);

/// So many answers of a peer are remembered.
const REMEMBERED: usize = 8;

/// So many of the longest of them are taken for chance.
const CHANCE: usize = 2;

/// A heartbeat interval is so many thousandths of a round trip.
const MARGIN: u128 = 1_500;

/// A pace rises by a quarter with each election that fails, so many times.
const BACK_OFFS: usize = 4;

/// No peer is taken to be more times as far away as a quorum.
const FARTHEST: u32 = 32;

/// A leader tells at once that round trips have become so many times as long, in percent.
const TELL_AT_PERCENT: u32 = 125;

/// See the [module](self).
#[derive(Debug)]
pub struct RoundTrips {
    /// How many other nodes there are.
    peers: usize,
    /// What Raft is configured for.
    heartbeat: Duration,
    /// The last answers of each peer, the newest last.
    answers: BTreeMap<NodeId, VecDeque<Duration>>,
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
            told: None,
            leads: false,
            pre_votes: 0,
            last_told: None,
        }
    }

    /// A peer answered after that time.
    pub fn observe(&mut self, peer: NodeId, took: Duration) {
        let answers = self.answers.entry(peer).or_default();
        if answers.len() == REMEMBERED {
            answers.pop_front();
        }
        answers.push_back(took.min(LONGEST));
    }

    /// A leader told how long its round trips are.
    pub fn hear(&mut self, told: Duration) {
        self.told = Some(told.min(LONGEST));
        self.answers.clear();
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

    /// This node asks a peer for a pre-vote.
    pub fn ask_for_pre_vote(&mut self) {
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
        let mut answers: Vec<Duration> = self.answers.get(&peer)?.iter().copied().collect();
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
        self.round_trip().max(self.heartbeat * 2 / 3)
    }

    /// Whether a round trip takes a good part of a heartbeat interval: more than a sixth.
    pub fn are_long(&self) -> bool {
        self.round_trip() > self.heartbeat / 6
    }

    /// How long it takes to hear from a quorum, as far as is known.
    fn measured(&self) -> Option<Duration> {
        let mut peers: Vec<Duration> =
            self.answers.keys().filter_map(|peer| self.of(*peer)).collect();
        peers.sort_unstable();
        // With this node itself, so many peers are a quorum.
        let quorum = self.peers.div_ceil(2);
        peers.get(quorum.checked_sub(1)?).copied()
    }

    /// How long a round trip to a quorum takes.
    pub fn round_trip(&self) -> Duration {
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

    /// Every peer answers so often after that time.
    fn answer(trips: &mut RoundTrips, times: usize, took: Duration) {
        for peer in (2..=5).cycle().take(4 * times) {
            trips.observe(peer, took);
        }
    }

    #[test]
    fn a_fast_network_gets_what_is_configured() {
        let mut trips = of_five();
        answer(&mut trips, 1, ms(200));
        assert_eq!((trips.pace(), trips.are_long()), (Pace::NORMAL, true));
        answer(&mut trips, 8, ms(1));
        assert_eq!((trips.pace(), trips.are_long()), (Pace::NORMAL, false));
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
    fn the_slowest_of_the_fastest_quorum_counts() {
        let mut trips = of_five();
        for (peer, took) in [(2, 10), (3, 400), (4, 2_000)] {
            trips.observe(peer, ms(took));
        }
        assert_eq!(trips.round_trip(), ms(400), "of five, two peers and the node itself");
        assert_eq!(trips.of(4), Some(ms(2_000)));
        assert_eq!(trips.of(5), None);
        assert_eq!([2, 3, 4, 5].map(|peer| trips.beyond_quorum(peer)), [1, 1, 5, 1]);
        let mut of_three = RoundTrips::new(2, ms(300));
        of_three.observe(3, ms(40));
        assert_eq!(of_three.round_trip(), ms(40));
    }

    #[test]
    fn a_follower_takes_over_what_its_leader_tells_and_a_leader_what_it_measures() {
        let mut trips = of_five();
        answer(&mut trips, 8, ms(2_000));
        trips.hear(ms(100));
        assert_eq!(trips.round_trip(), ms(100));
        answer(&mut trips, 1, ms(600));
        assert_eq!(trips.round_trip(), ms(600), "who stands for election measures anew");
        trips.hear(ms(2_000));
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
