//! Sticky with different subscriptions: place, then move while it helps.
//!
//! Topics with few subscribers come first, since they leave the least choice. Members keep what
//! they owned and still want; each free partition goes to its least loaded subscriber. Then
//! partitions are moved, one at a time, from a member to the least loaded subscriber that has at
//! least two fewer: back to an earlier owner if that helps as well, and rather by undoing an
//! earlier move than by making a second one in the opposite direction. Each move makes the members'
//! loads more equal, so the walks end, and there is never a reason to undo them all (Kafka, which
//! moves without looking in one corner case, compares with the state before and may go back to it).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use super::Solution;
use super::claims::{Claims, generation};
use crate::bits::Bits;
use crate::racks::Racks;
use crate::roster::{NOBODY, Roster, Subscribers};

/// A member and its load; the order is that in which members are served.
type Load = (u32, u32);

struct Board<'a> {
    roster: &'a Roster<'a>,
    subscribers: &'a Subscribers,
    /// Subscribed topics, those with few subscribers first, then by name.
    topics: Vec<u32>,
    owners: Vec<u32>,
    sizes: Vec<u32>,
}

pub(super) fn assign(
    roster: &Roster<'_>,
    subscribers: &Subscribers,
    claims: Claims,
    racks: Option<&Racks>,
) -> Solution {
    let mut topics: Vec<u32> =
        roster.by_name.iter().copied().filter(|&topic| !subscribers.of(topic).is_empty()).collect();
    topics.sort_by_key(|&topic| subscribers.of(topic).len());
    let mut board =
        Board { roster, subscribers, topics, owners: claims.owner, sizes: vec![0; roster.seats()] };
    let dropped = board.keep(racks);
    let mut free = Bits::new(roster.slots);
    for slot in board.slots().filter(|&slot| board.owners[slot as usize] == NOBODY) {
        free.set(slot);
    }
    if let Some(racks) = racks {
        board.place_near(racks);
    }
    board.place();
    board.balance(&free, !dropped);
    Solution { owners: board.owners, sizes: board.sizes, moved: None }
}

impl Board<'_> {
    fn slots_of(&self, topic: u32) -> std::ops::Range<u32> {
        let base = self.roster.base[topic as usize];
        base..base + self.roster.counts[topic as usize]
    }

    fn slots(&self) -> impl Iterator<Item = u32> + '_ {
        self.topics.iter().flat_map(|&topic| self.slots_of(topic))
    }

    /// Drops what members do not want any more or what is in the wrong rack. True if anything was
    /// dropped.
    fn keep(&mut self, racks: Option<&Racks>) -> bool {
        let mut dropped = false;
        // Which subscriber set a seat was last seen in: one walk over a set serves all topics with
        // that set.
        let mut seen_in = vec![0u32; self.roster.seats()];
        let mut seen = 0;
        for at in 0..self.topics.len() {
            let topic = self.topics[at];
            let set = self.subscribers.set_of[topic as usize];
            if set != seen {
                seen = set;
                for &seat in self.subscribers.of(topic) {
                    seen_in[seat as usize] = set;
                }
            }
            for slot in self.slots_of(topic) {
                let owner = self.owners[slot as usize];
                if owner == NOBODY {
                    continue;
                }
                let wanted = seen_in[owner as usize] == set;
                if wanted && !racks.is_some_and(|racks| racks.mismatch(owner, slot)) {
                    self.sizes[owner as usize] += 1;
                } else {
                    self.owners[slot as usize] = NOBODY;
                    dropped = true;
                }
            }
        }
        dropped
    }

    /// Gives free partitions to the least loaded subscriber among those in a rack that has them.
    fn place_near(&mut self, racks: &Racks) {
        for at in 0..self.topics.len() {
            let topic = self.topics[at];
            // By rack; behind them the members without one, whom every partition suits.
            let mut loads: Vec<BTreeSet<Load>> = vec![BTreeSet::new(); racks.count + 1];
            let place = |seat| racks.of_seat(seat).map_or(racks.count, |rack| rack as usize);
            for &seat in self.subscribers.of(topic) {
                loads[place(seat)].insert((self.sizes[seat as usize], seat));
            }
            for slot in self.slots_of(topic) {
                if self.owners[slot as usize] != NOBODY {
                    continue;
                }
                let near = racks.of_slot(slot).iter().map(|&rack| rack as usize);
                let least =
                    near.chain([racks.count]).filter_map(|rack| loads[rack].first()).min().copied();
                if let Some((size, seat)) = least {
                    let loads = &mut loads[place(seat)];
                    loads.remove(&(size, seat));
                    loads.insert((size + 1, seat));
                    self.owners[slot as usize] = seat;
                    self.sizes[seat as usize] += 1;
                }
            }
        }
    }

    /// Gives free partitions to the least loaded subscriber.
    fn place(&mut self) {
        for at in 0..self.topics.len() {
            let topic = self.topics[at];
            let slots = self.slots_of(topic);
            if !self.owners[slots.start as usize..slots.end as usize].contains(&NOBODY) {
                continue;
            }
            let mut loads: BinaryHeap<Reverse<Load>> = self
                .subscribers
                .of(topic)
                .iter()
                .map(|&seat| Reverse((self.sizes[seat as usize], seat)))
                .collect();
            for slot in slots {
                if self.owners[slot as usize] == NOBODY {
                    let mut least = loads.peek_mut().expect("a subscribed topic");
                    least.0.0 += 1;
                    let (size, seat) = least.0;
                    self.owners[slot as usize] = seat;
                    self.sizes[seat as usize] = size;
                }
            }
        }
    }

    /// Moves partitions while that improves the balance: first the `free` ones alone if `gently`,
    /// then all.
    fn balance(&mut self, free: &Bits, gently: bool) {
        let shared: Vec<u32> = self
            .topics
            .iter()
            .copied()
            .filter(|&topic| self.subscribers.of(topic).len() >= 2)
            .collect();
        if shared.is_empty() {
            return;
        }
        let mut mover = Mover::new(self);
        if mover.is_level() {
            return;
        }
        if gently {
            while mover.pass(&shared, |slot| free.has(slot)) {}
        }
        while mover.pass(&shared, |_| true) {}
    }
}

/// Loads with their classes, least first.
type FrontRunners = BinaryHeap<Reverse<(Load, u32)>>;

/// Moves partitions and remembers the moves, so that no topic moves both ways between two members.
struct Mover<'b, 'a> {
    board: &'b mut Board<'a>,
    /// Who owned a partition in an earlier generation, according to those who are behind; by slot.
    earlier: BTreeMap<u32, u32>,
    /// Members of each class by load.
    loads: Vec<BTreeSet<Load>>,
    /// Classes of each subscriber set.
    classes_of: Vec<Vec<u32>>,
    /// Where a moved partition came from and where it is.
    moves: BTreeMap<u32, (u32, u32)>,
    /// The moved partitions by topic, origin and place.
    moved: BTreeMap<(u32, u32, u32), BTreeSet<u32>>,
}

impl<'b, 'a> Mover<'b, 'a> {
    fn new(board: &'b mut Board<'a>) -> Self {
        let mut loads = vec![BTreeSet::new(); board.roster.classes.len()];
        for (seat, &class) in board.roster.class_of.iter().enumerate() {
            loads[class as usize].insert((board.sizes[seat], seat as u32));
        }
        let classes_of = board
            .subscribers
            .sets
            .iter()
            .map(|set| {
                let mut classes: Vec<u32> =
                    set.iter().map(|&seat| board.roster.class_of[seat as usize]).collect();
                classes.sort_unstable();
                classes.dedup();
                classes
            })
            .collect();
        let earlier = earlier_owners(board.roster);
        Self { board, earlier, loads, classes_of, moves: BTreeMap::new(), moved: BTreeMap::new() }
    }

    /// Whether no two members differ by more than one, so that nothing can be gained.
    fn is_level(&self) -> bool {
        let sizes = &self.board.sizes;
        let (least, most) = (sizes.iter().min(), sizes.iter().max());
        least.zip(most).is_none_or(|(least, most)| most - least <= 1)
    }

    /// The least loaded member of each class that subscribes, least first. Goes stale as loads
    /// change: see [`least_loaded`](Self::least_loaded).
    fn front_runners(&self, set: u32) -> FrontRunners {
        let classes = self.classes_of[set as usize].iter();
        classes
            .filter_map(|&class| Some(Reverse((*self.loads[class as usize].first()?, class))))
            .collect()
    }

    fn least_loaded(&self, front: &mut FrontRunners) -> Load {
        loop {
            let &Reverse((load, class)) = front.peek().expect("a subscribed topic");
            let first = *self.loads[class as usize].first().expect("a class has members");
            if first == load {
                return load;
            }
            front.pop();
            front.push(Reverse((first, class)));
        }
    }

    /// One walk over the partitions of `topics` that `eligible` admits. True if anything moved.
    fn pass(&mut self, topics: &[u32], eligible: impl Fn(u32) -> bool) -> bool {
        let mut any = false;
        for &topic in topics {
            let mut front = self.front_runners(self.board.subscribers.set_of[topic as usize]);
            let mut least = self.least_loaded(&mut front);
            for slot in self.board.slots_of(topic) {
                let owner = self.board.owners[slot as usize];
                let size = self.board.sizes[owner as usize];
                if size <= least.0 + 1 || !eligible(slot) {
                    continue;
                }
                let back = self.earlier.get(&slot).copied().filter(|&seat| {
                    size > self.board.sizes[seat as usize] + 1
                        && self.board.subscribers.of(topic).binary_search(&seat).is_ok()
                });
                let target = back.unwrap_or(least.1);
                let slot = self.rather(topic, slot, owner, target);
                let giver = self.apply(topic, slot, target);
                any = true;
                // A class whose first member has got lighter must not hide behind its stale entry.
                let class = self.board.roster.class_of[giver as usize];
                let first = *self.loads[class as usize].first().expect("a class has members");
                front.push(Reverse((first, class)));
                least = self.least_loaded(&mut front);
            }
        }
        any
    }

    /// The partition to move instead of `slot`: one of the same topic that moved the opposite way
    /// before.
    fn rather(&self, topic: u32, slot: u32, owner: u32, target: u32) -> u32 {
        let origin = self.moves.get(&slot).map_or(owner, |&(origin, _)| origin);
        let opposite = self.moved.get(&(topic, target, origin)).and_then(|slots| slots.first());
        // Undoing that move must help by itself, or the walks might never end.
        match opposite {
            Some(&other)
                if self.board.sizes[origin as usize] > self.board.sizes[target as usize] + 1 =>
            {
                other
            }
            _ => slot,
        }
    }

    /// Moves the partition and returns who gave it up.
    fn apply(&mut self, topic: u32, slot: u32, target: u32) -> u32 {
        let from = std::mem::replace(&mut self.board.owners[slot as usize], target);
        let origin = match self.moves.remove(&slot) {
            None => from,
            Some((origin, place)) => {
                let slots = self.moved.get_mut(&(topic, origin, place)).expect("a recorded move");
                slots.remove(&slot);
                if slots.is_empty() {
                    self.moved.remove(&(topic, origin, place));
                }
                origin
            }
        };
        if origin != target {
            self.moves.insert(slot, (origin, target));
            self.moved.entry((topic, origin, target)).or_default().insert(slot);
        }
        for (seat, size) in [
            (from, self.board.sizes[from as usize] - 1),
            (target, self.board.sizes[target as usize] + 1),
        ] {
            let loads = &mut self.loads[self.board.roster.class_of[seat as usize] as usize];
            loads.remove(&(self.board.sizes[seat as usize], seat));
            loads.insert((size, seat));
            self.board.sizes[seat as usize] = size;
        }
        from
    }
}

/// Claims in a generation older than the newest, the newest of them for each slot, ties to the
/// smallest id.
fn earlier_owners(roster: &Roster<'_>) -> BTreeMap<u32, u32> {
    let newest = (0..roster.seats()).map(|seat| generation(roster, seat)).max().unwrap_or(-1);
    let mut earlier: BTreeMap<u32, u32> = BTreeMap::new();
    for seat in (0..roster.seats()).filter(|&seat| generation(roster, seat) < newest) {
        for slot in roster.member(seat).owned.iter().filter_map(|&partition| roster.slot(partition))
        {
            let entry = earlier.entry(slot).or_insert(seat as u32);
            if generation(roster, seat) > generation(roster, *entry as usize) {
                *entry = seat as u32;
            }
        }
    }
    earlier
}
