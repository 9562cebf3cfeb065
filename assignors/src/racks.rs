//! Racks of members and of partitions (KIP-881), as small numbers.
//!
//! Knows who could read what nearby, and when that is worth looking at; knows no assignor's way of
//! using it.

use std::collections::HashMap;

use crate::roster::{NOBODY, Roster};

/// Racks by seat and by slot. Exists only if some member tells its rack.
pub(crate) struct Racks {
    /// Rack number by seat, [`NOBODY`] if unknown.
    of_seat: Vec<u32>,
    /// Where each slot's racks begin in `holders`; one entry more than there are slots.
    starts: Vec<u32>,
    /// Rack numbers, ascending and distinct within a slot. Racks without a member have numbers too.
    holders: Vec<u32>,
    /// How many racks have a number.
    pub(crate) count: usize,
}

impl Racks {
    /// `None` if no member has a rack: then no rule looks at racks.
    pub(crate) fn new(roster: &Roster<'_>) -> Option<Self> {
        // Looked up, never iterated.
        let mut numbers: HashMap<&str, u32> = HashMap::new();
        let of_seat: Vec<u32> = (0..roster.seats())
            .map(|seat| match roster.member(seat).rack.as_deref() {
                None | Some("") => NOBODY,
                Some(rack) => {
                    let next = numbers.len() as u32;
                    *numbers.entry(rack).or_insert(next)
                }
            })
            .collect();
        if numbers.is_empty() {
            return None;
        }
        let mut starts = Vec::with_capacity(roster.slots as usize + 1);
        let mut holders: Vec<u32> = Vec::new();
        let mut of_slot: Vec<u32> = Vec::new();
        for &topic in &roster.by_name {
            for partition in 0..roster.counts[topic as usize] as usize {
                starts.push(holders.len() as u32);
                let Some(racks) = &roster.group.topics[topic as usize].racks else { continue };
                of_slot.clear();
                for rack in &racks[partition] {
                    let next = numbers.len() as u32;
                    of_slot.push(*numbers.entry(rack).or_insert(next));
                }
                of_slot.sort_unstable();
                of_slot.dedup();
                holders.extend_from_slice(&of_slot);
            }
        }
        starts.push(holders.len() as u32);
        Some(Self { of_seat, starts, holders, count: numbers.len() })
    }

    /// The member's rack.
    pub(crate) fn of_seat(&self, seat: u32) -> Option<u32> {
        Some(self.of_seat[seat as usize]).filter(|&rack| rack != NOBODY)
    }

    /// The racks with a replica of the partition.
    pub(crate) fn of_slot(&self, slot: u32) -> &[u32] {
        &self.holders[self.starts[slot as usize] as usize..self.starts[slot as usize + 1] as usize]
    }

    /// Whether the member's rack is known and has no replica of the partition.
    pub(crate) fn mismatch(&self, seat: u32, slot: u32) -> bool {
        self.of_seat(seat).is_some_and(|rack| !self.of_slot(slot).contains(&rack))
    }

    /// Whether racks matter for these members and partitions: some member shares a rack with some
    /// partition, and not every partition is on all of the racks.
    pub(crate) fn matter(
        &self,
        mut seats: impl Iterator<Item = u32>,
        slots: impl Iterator<Item = u32> + Clone,
    ) -> bool {
        let mut with_replica = vec![false; self.count];
        let mut racks = 0;
        for slot in slots.clone() {
            for &rack in self.of_slot(slot) {
                racks += usize::from(!std::mem::replace(&mut with_replica[rack as usize], true));
            }
        }
        // Racks of a slot are distinct, so as many as there are in all means all of them.
        seats.any(|seat| self.of_seat(seat).is_some_and(|rack| with_replica[rack as usize]))
            && slots.into_iter().any(|slot| self.of_slot(slot).len() != racks)
    }
}
