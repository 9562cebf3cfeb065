//! Who is believed to have owned a partition (KIP-341, KIP-792).
//!
//! Of several members that claim one partition the one with the highest generation is believed. If
//! two have the same highest generation, neither is: one of them is mistaken, and nobody can tell
//! which. An unknown generation counts as -1. A claim that nobody disputes is believed whatever its
//! generation.

use crate::bits::Bits;
use crate::roster::{NOBODY, Roster};

pub(super) struct Claims {
    /// Believed owner by slot.
    pub(super) owner: Vec<u32>,
    /// Slots that two members claim in the same, highest generation; they have no owner.
    pub(super) contested: Bits,
    /// Whether `contested` has any.
    pub(super) any_contested: bool,
}

pub(super) fn generation(roster: &Roster<'_>, seat: usize) -> i32 {
    roster.member(seat).generation.unwrap_or(-1)
}

impl Claims {
    /// `subscribed` tells by topic index whether anyone wants the topic; claims to others are void.
    pub(super) fn new(roster: &Roster<'_>, subscribed: &[bool]) -> Self {
        let generations: Vec<i32> =
            (0..roster.seats()).map(|seat| generation(roster, seat)).collect();
        let mut owner = vec![NOBODY; roster.slots as usize];
        let mut contested = Bits::new(roster.slots);
        let mut touched = Vec::new();
        for seat in 0..roster.seats() {
            for &partition in &roster.member(seat).owned {
                if !subscribed[partition.topic as usize] {
                    continue;
                }
                let Some(slot) = roster.slot(partition) else { continue };
                let believed = owner[slot as usize];
                if believed == NOBODY {
                    owner[slot as usize] = seat as u32;
                } else if believed != seat as u32 {
                    let (mine, other) = (generations[seat], generations[believed as usize]);
                    if mine > other {
                        owner[slot as usize] = seat as u32;
                        contested.clear(slot);
                    } else if mine == other {
                        contested.set(slot);
                        touched.push(slot);
                    }
                }
            }
        }
        let mut any_contested = false;
        for slot in touched {
            if contested.has(slot) {
                owner[slot as usize] = NOBODY;
                any_contested = true;
            }
        }
        Self { owner, contested, any_contested }
    }
}
