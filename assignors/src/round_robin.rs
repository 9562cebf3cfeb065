//! `roundrobin`: one circular walk over the members, giving each the next partition.
//!
//! Topics stand by name, their partitions ascending; members static ones first, by instance id,
//! then dynamic ones by id. A member that does not subscribe to the partition's topic is passed
//! over, and the walk goes on behind whoever got the partition. Not sticky: what members owned is
//! not looked at.

use crate::roster::{MemberOrder, NOBODY, Roster, Subscribers};
use crate::{AssignError, Assignment, Assignor, Group};

/// The client-side round-robin assignor of Kafka, `roundrobin`.
#[derive(Debug, Clone, Copy, Default)]
pub struct RoundRobin;

impl Assignor for RoundRobin {
    fn name(&self) -> &'static str {
        "roundrobin"
    }

    fn assign(&self, group: &Group) -> Result<Assignment, AssignError> {
        let roster = Roster::new(group, MemberOrder::StaticFirst)?;
        let subscribers = Subscribers::new(&roster);
        let mut owners = vec![NOBODY; roster.slots as usize];
        let mut sizes = vec![0u32; roster.seats()];
        // The seat where the next search for a subscriber begins.
        let mut turn = 0;
        for &topic in &roster.by_name {
            let seats = subscribers.of(topic);
            let count = roster.counts[topic as usize] as usize;
            if seats.is_empty() || count == 0 {
                continue;
            }
            // Passing over the others is the same as walking the subscribers alone.
            let mut place = seats.partition_point(|&seat| seat < turn);
            let base = roster.base[topic as usize] as usize;
            for owner in &mut owners[base..base + count] {
                if place == seats.len() {
                    place = 0;
                }
                let seat = seats[place];
                *owner = seat;
                sizes[seat as usize] += 1;
                turn = seat + 1;
                place += 1;
            }
        }
        Ok(roster.collect(&owners, &sizes))
    }
}
