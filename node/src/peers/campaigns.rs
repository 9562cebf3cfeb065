//! Who stands for election while another does. Pure: times come in.
//!
//! A follower stands after a time that openraft draws between two and a half and five round
//! trips. A campaign takes two: a pre-vote and a vote. So over long round trips two nodes often
//! stand at once. Each gets pre-votes of all, then each votes for itself, nobody has a majority,
//! and all wait again for an election time-out of ten seconds and more. So candidates *give way*:
//!
//! - A node that has promised its vote to another does not stand itself for three round trips: then
//!   the other leads.
//! - Of two that stand before they hear of each other, the one with the lower id gives up its
//!   campaign, as soon as it has promised its vote to the other. (It promises none to a node whose
//!   log is behind.)
//!
//! A candidate may hear nobody, and fail. So nobody gives way twice in a row. Where round trips are
//! short, three of them are over before it matters.

use std::time::Duration;

use runtime::Instant;
use state_machine::ids::NodeId;

/// A candidate that gets the votes that it was promised leads after so many round trips.
const ROUND_TRIPS: u32 = 3;

/// Questions for a pre-vote within this time belong to one campaign: openraft begins no two within
/// the least election time-out.
const TOGETHER: Duration = Duration::from_millis(100);

/// See the [module](self).
#[derive(Debug, Default)]
pub struct Campaigns {
    /// This node's last campaign.
    own: Option<Campaign>,
    /// When it last promised its vote.
    promised: Option<Instant>,
}

/// A campaign of this node.
#[derive(Debug, Clone, Copy)]
struct Campaign {
    begun: Instant,
    /// It has not given way to another.
    goes_on: bool,
    /// The one before gave way, so this one does not.
    firm: bool,
}

impl Campaigns {
    /// openraft wants this node to stand. Whether it does.
    pub fn stand(&mut self, now: Instant, round_trip: Duration) -> bool {
        if let Some(own) = self.own
            && now - own.begun < TOGETHER
        {
            return own.goes_on;
        }
        let firm = self.own.is_some_and(|last| !last.goes_on);
        let promised = self.promised.is_some_and(|at| now - at < round_trip * ROUND_TRIPS);
        let goes_on = firm || !promised;
        self.own = Some(Campaign { begun: now, goes_on, firm });
        goes_on
    }

    /// This node, `me`, has promised its vote to another.
    pub fn promise(&mut self, me: NodeId, to: NodeId, now: Instant, round_trip: Duration) {
        self.promised = Some(now);
        if let Some(own) = &mut self.own
            && me < to
            && !own.firm
            && now - own.begun < round_trip * ROUND_TRIPS
        {
            own.goes_on = false;
        }
    }

    /// Whether the last campaign of this node goes on, so that promises to it count.
    pub fn goes_on(&self) -> bool {
        self.own.is_none_or(|own| own.goes_on)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIP: Duration = Duration::from_millis(2_000);

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    #[test]
    fn who_has_promised_its_vote_does_not_stand_for_three_round_trips() {
        let mut campaigns = Campaigns::default();
        campaigns.promise(3, 2, at(1_000), TRIP);
        assert!(!campaigns.stand(at(6_900), TRIP));
        assert!(!campaigns.stand(at(6_901), TRIP), "another question of the same campaign");
        let mut campaigns = Campaigns::default();
        campaigns.promise(3, 2, at(1_000), TRIP);
        assert!(campaigns.stand(at(7_000), TRIP));
    }

    #[test]
    fn nobody_gives_way_twice_in_a_row() {
        let mut campaigns = Campaigns::default();
        for (second, stands) in [(2, false), (4, true), (6, false), (8, true)] {
            campaigns.promise(3, 2, at(second * 1_000 - 500), TRIP);
            assert_eq!(campaigns.stand(at(second * 1_000), TRIP), stands, "{second}");
        }
    }

    #[test]
    fn of_two_that_stand_at_once_the_lower_one_gives_up() {
        let (mut low, mut high) = (Campaigns::default(), Campaigns::default());
        assert!(low.stand(at(1_000), TRIP) && high.stand(at(1_400), TRIP));
        low.promise(2, 4, at(2_400), TRIP);
        high.promise(4, 2, at(2_000), TRIP);
        assert!(!low.goes_on() && high.goes_on());
        // The next time it goes on, whatever it has promised.
        assert!(low.stand(at(3_000), TRIP));
        low.promise(2, 4, at(3_500), TRIP);
        assert!(low.goes_on());
    }
}
