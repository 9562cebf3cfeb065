//! Sticky with equal subscriptions: everyone gets the floor or the ceiling of the average.
//!
//! With `P` partitions and `M` members, `P mod M` members get `P / M + 1`, the others `P / M`. In
//! order of their ids, members keep what they owned up to their quota, partitions with small
//! numbers first (so that what is lost comes from all topics); of those that could keep the larger
//! quota the first ones do. What is then free goes round to members below the smaller quota, and
//! last, one each, to members at it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Solution;
use super::claims::Claims;
use crate::bits::Bits;
use crate::racks::Racks;
use crate::roster::{NOBODY, Roster};

struct Deal<'a> {
    roster: &'a Roster<'a>,
    racks: Option<&'a Racks>,
    owners: Vec<u32>,
    sizes: Vec<u32>,
    low: u32,
    /// How many members may still get one more than `low`.
    larger: u32,
    /// Members below `low`, ascending.
    under: Vec<u32>,
    /// Members at `low` that may get one more, in the order in which they will.
    level: VecDeque<u32>,
    /// Slots that had an owner who lost them, or too many owners.
    moved: Bits,
    /// Slots taken from their owner because of its rack. It may get them back, and then they did
    /// not move.
    misplaced: BTreeMap<u32, u32>,
}

pub(super) fn assign(roster: &Roster<'_>, claims: Claims, racks: Option<&Racks>) -> Solution {
    let topics = roster.classes[0];
    let members = roster.seats() as u32;
    let total: u32 = topics.iter().map(|&topic| roster.counts[topic as usize]).sum();
    let any_contested = claims.any_contested;
    let mut deal = Deal {
        roster,
        racks,
        owners: claims.owner,
        sizes: vec![0; roster.seats()],
        low: total / members,
        larger: total % members,
        under: Vec::new(),
        level: VecDeque::new(),
        moved: claims.contested,
        misplaced: BTreeMap::new(),
    };
    if !any_contested {
        deal.moved = Bits::new(roster.slots);
    }
    deal.keep();

    let mut wanted = vec![false; roster.counts.len()];
    for &topic in topics {
        wanted[topic as usize] = true;
    }
    let mut free: Vec<u32> = Vec::with_capacity((total - deal.sizes.iter().sum::<u32>()) as usize);
    for &topic in roster.by_name.iter().filter(|&&topic| wanted[topic as usize]) {
        let (base, count) = (roster.base[topic as usize], roster.counts[topic as usize]);
        let owners = &deal.owners[base as usize..(base + count) as usize];
        free.extend(
            (base..).zip(owners).filter(|&(_, &owner)| owner == NOBODY).map(|(slot, _)| slot),
        );
    }
    if let Some(racks) = racks {
        free = deal.fill_near(racks, free);
    }
    deal.fill(&free);
    Solution { owners: deal.owners, sizes: deal.sizes, moved: Some(deal.moved) }
}

impl Deal<'_> {
    /// Members keep what they owned, up to their quota.
    fn keep(&mut self) {
        let roster = self.roster;
        // Place of each topic in name order, for the order in which partitions are given up.
        let mut place = vec![0u32; roster.by_name.len()];
        for (position, &topic) in roster.by_name.iter().enumerate() {
            place[topic as usize] = position as u32;
        }
        let mut seen = Bits::new(roster.slots);
        let mut mine: Vec<(u64, u32)> = Vec::new();
        for seat in 0..roster.seats() as u32 {
            mine.clear();
            for &partition in &roster.member(seat as usize).owned {
                let Some(slot) = roster.slot(partition) else { continue };
                // A partition that the member lists twice counts once.
                if self.owners[slot as usize] != seat || !seen.set(slot) {
                    continue;
                }
                if self.racks.is_some_and(|racks| racks.mismatch(seat, slot)) {
                    self.owners[slot as usize] = NOBODY;
                    self.misplaced.insert(slot, seat);
                    continue;
                }
                let key = u64::from(partition.partition) << 32
                    | u64::from(place[partition.topic as usize]);
                mine.push((key, slot));
            }
            let owned = mine.len() as u32;
            let quota = if owned < self.low {
                self.under.push(seat);
                owned
            } else if owned > self.low && self.larger > 0 {
                self.larger -= 1;
                self.low + 1
            } else {
                self.level.push_back(seat);
                self.low
            };
            if quota < owned {
                // Only which ones are given up matters, not their order.
                mine.select_nth_unstable(quota as usize);
                for &(_, slot) in &mine[quota as usize..] {
                    self.owners[slot as usize] = NOBODY;
                    self.moved.set(slot);
                }
            }
            self.sizes[seat as usize] = quota;
        }
        if self.larger == 0 {
            self.level.clear();
        }
    }

    fn give(&mut self, slot: u32, seat: u32) {
        self.owners[slot as usize] = seat;
        self.sizes[seat as usize] += 1;
        if let Some(&former) = self.misplaced.get(&slot)
            && former != seat
        {
            self.moved.set(slot);
        }
    }

    /// Deals out what is free, whatever the racks.
    fn fill(&mut self, free: &[u32]) {
        let mut free = free.iter();
        let mut round = std::mem::take(&mut self.under);
        while !round.is_empty() {
            round.retain(|&seat| {
                let slot = *free.next().expect("the quotas add up to the number of partitions");
                self.give(slot, seat);
                let more = self.sizes[seat as usize] < self.low;
                if !more {
                    self.level.push_back(seat);
                }
                more
            });
        }
        for &slot in free {
            let seat =
                self.level.pop_front().expect("the quotas add up to the number of partitions");
            self.give(slot, seat);
        }
    }

    /// Deals out what can be read in its own rack, partitions with few nearby members first.
    /// Returns the rest.
    fn fill_near(&mut self, racks: &Racks, mut free: Vec<u32>) -> Vec<u32> {
        let mut population = vec![0u32; racks.count];
        for rack in (0..self.roster.seats() as u32).filter_map(|seat| racks.of_seat(seat)) {
            population[rack as usize] += 1;
        }
        // Stable: equally rare ones stay in name order.
        free.sort_by_key(|&slot| {
            racks.of_slot(slot).iter().map(|&r| population[r as usize]).sum::<u32>()
        });

        // Both lists by rack, as positions in the lists. `under` is walked in a circle, `level`
        // from its front.
        let mut under_in = vec![BTreeSet::new(); racks.count];
        for (position, &seat) in self.under.iter().enumerate() {
            if let Some(rack) = racks.of_seat(seat) {
                under_in[rack as usize].insert(position);
            }
        }
        let mut level: Vec<u32> = std::mem::take(&mut self.level).into();
        let mut level_in = vec![BTreeSet::new(); racks.count];
        for (position, &seat) in level.iter().enumerate() {
            if let Some(rack) = racks.of_seat(seat) {
                level_in[rack as usize].insert(position);
            }
        }
        let mut turn = 0;
        free.retain(|&slot| {
            let near = racks.of_slot(slot);
            let after =
                near.iter().filter_map(|&rack| under_in[rack as usize].range(turn..).next()).min();
            let around = || near.iter().filter_map(|&rack| under_in[rack as usize].first()).min();
            if let Some(&position) = after.or_else(around) {
                let seat = self.under[position];
                self.give(slot, seat);
                turn = position + 1;
                if self.sizes[seat as usize] == self.low {
                    let rack = racks.of_seat(seat).expect("found by its rack") as usize;
                    under_in[rack].remove(&position);
                    level_in[rack].insert(level.len());
                    level.push(seat);
                }
                return false;
            }
            if self.larger > 0
                && let Some(&position) =
                    near.iter().filter_map(|&rack| level_in[rack as usize].first()).min()
            {
                let seat = level[position];
                self.give(slot, seat);
                self.larger -= 1;
                level_in[racks.of_seat(seat).expect("found by its rack") as usize]
                    .remove(&position);
                return false;
            }
            true
        });
        let low = self.low;
        self.under.retain(|&seat| self.sizes[seat as usize] < low);
        self.level = level.into_iter().filter(|&seat| self.sizes[seat as usize] == low).collect();
        free
    }
}
