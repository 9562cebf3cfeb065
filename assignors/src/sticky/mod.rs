//! `sticky`: balance first, then as few moves as possible.
//!
//! Members claim what they owned; [`claims`] decides who is believed. If all subscriptions are
//! equal, [`equal`] shares out by quota in one pass; otherwise [`unequal`] places partitions one by
//! one and then moves some while that improves the balance. Both take members by id where Kafka's
//! result depends on the order of a hash map, so who keeps the larger share when several qualify
//! may differ from Kafka's, never how large the shares are.
//!
//! Nothing here knows about cooperative rounds beyond saying which partitions change hands.

mod claims;
mod equal;
pub(crate) mod loads;
mod unequal;

use crate::bits::Bits;
use crate::racks::Racks;
use crate::roster::{MemberOrder, Roster, Subscribers};
use crate::{AssignError, Assignment, Assignor, Group};
use claims::Claims;

/// The client-side sticky assignor of Kafka, `sticky` (KIP-54), for eager rebalances.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sticky;

impl Assignor for Sticky {
    fn name(&self) -> &'static str {
        "sticky"
    }

    fn assign(&self, group: &Group) -> Result<Assignment, AssignError> {
        let roster = Roster::new(group, MemberOrder::ById)?;
        let solution = solve(&roster);
        Ok(roster.collect(&solution.owners, &solution.sizes))
    }
}

/// A sticky target, before anything is withheld.
pub(crate) struct Solution {
    /// New owner by slot.
    pub(crate) owners: Vec<u32>,
    /// Number of partitions by seat.
    pub(crate) sizes: Vec<u32>,
    /// Slots that change hands, if the way there has kept them apart; otherwise the claims tell.
    pub(crate) moved: Option<Bits>,
}

pub(crate) fn solve(roster: &Roster<'_>) -> Solution {
    if roster.seats() == 0 {
        return Solution {
            owners: vec![crate::roster::NOBODY; roster.slots as usize],
            sizes: Vec::new(),
            moved: None,
        };
    }
    let mut subscribed = vec![false; roster.counts.len()];
    for &topic in roster.classes.iter().copied().flatten() {
        subscribed[topic as usize] = true;
    }
    let claims = Claims::new(roster, &subscribed);
    let slots =
        roster.by_name.iter().filter(|&&topic| subscribed[topic as usize]).flat_map(|&topic| {
            roster.base[topic as usize]..roster.base[topic as usize] + roster.counts[topic as usize]
        });
    let racks = Racks::new(roster).filter(|racks| racks.matter(0..roster.seats() as u32, slots));
    if roster.classes.len() == 1 {
        equal::assign(roster, claims, racks.as_ref())
    } else {
        unequal::assign(roster, &Subscribers::new(roster), claims, racks.as_ref())
    }
}
