//! Uniform with different subscriptions: fill the least loaded, then level each topic in turn.
//!
//! Topics with many partitions per subscriber come first, since they weigh the most; then those
//! with fewer subscribers, then by topic id. Members keep what they had and still want. The free
//! partitions of each topic raise its least loaded subscribers, level by level. Then, topic after
//! topic and at most [`ROUNDS`] times around, its partitions go from the most to the least loaded
//! subscribers until these differ by at most one; a topic is balanced among its own subscribers
//! only, so a chain of overlapping subscriptions may stay slightly uneven.

use std::cmp::Ordering;

use crate::Assignment;
use crate::roster::{NOBODY, Roster, Subscribers};

/// How often the topics are gone over. Groups in which the subscribers of a topic have equal
/// subscriptions need one round (and part of another to see it); for others each round about halves
/// the imbalance.
const ROUNDS: usize = 16;

struct Table<'a> {
    roster: &'a Roster<'a>,
    subscribers: &'a Subscribers,
    owners: Vec<u32>,
    sizes: Vec<u32>,
}

pub(super) fn assign(roster: &Roster<'_>, subscribers: &Subscribers) -> Assignment {
    let mut table = Table {
        roster,
        subscribers,
        owners: vec![NOBODY; roster.slots as usize],
        sizes: vec![0; roster.seats()],
    };
    table.keep();
    let topics = table.topics();
    let mut level = Leveller::default();
    for &topic in &topics {
        table.fill(topic, &mut level);
    }
    table.balance(&topics, &mut level);
    roster.collect(&table.owners, &table.sizes)
}

impl Table<'_> {
    /// Subscribed topics, weightiest first.
    fn topics(&self) -> Vec<u32> {
        let group = self.roster.group;
        let weight = |topic: u32| {
            f64::from(self.roster.counts[topic as usize]) / self.subscribers.of(topic).len() as f64
        };
        let by_id =
            |a: u32, b: u32| match (group.topics[a as usize].id, group.topics[b as usize].id) {
                (Some(a), Some(b)) => a.cmp(&b),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => Ordering::Equal,
            };
        let mut topics: Vec<u32> = self
            .roster
            .by_name
            .iter()
            .copied()
            .filter(|&t| !self.subscribers.of(t).is_empty())
            .collect();
        topics.sort_by(|&a, &b| {
            weight(b)
                .total_cmp(&weight(a))
                .then_with(|| self.subscribers.of(a).len().cmp(&self.subscribers.of(b).len()))
                .then_with(|| by_id(a, b))
        });
        topics
    }

    /// Members keep what they had and still want.
    fn keep(&mut self) {
        let mut wanted = vec![false; self.roster.counts.len()];
        for seat in 0..self.roster.seats() {
            let topics = self.roster.classes[self.roster.class_of[seat] as usize];
            let owned = &self.roster.member(seat).owned;
            if owned.is_empty() {
                continue;
            }
            for &topic in topics {
                wanted[topic as usize] = true;
            }
            for &partition in owned.iter().filter(|partition| wanted[partition.topic as usize]) {
                // The coordinator gives a partition to one member only; if the input does not, the
                // first one has it.
                if let Some(slot) = self.roster.slot(partition)
                    && self.owners[slot as usize] == NOBODY
                {
                    self.owners[slot as usize] = seat as u32;
                    self.sizes[seat] += 1;
                }
            }
            for &topic in topics {
                wanted[topic as usize] = false;
            }
        }
    }

    fn slots_of(&self, topic: u32) -> std::ops::Range<usize> {
        let base = self.roster.base[topic as usize] as usize;
        base..base + self.roster.counts[topic as usize] as usize
    }

    fn fill(&mut self, topic: u32, level: &mut Leveller) {
        let slots = self.slots_of(topic);
        let mut started = false;
        for slot in slots {
            if self.owners[slot] == NOBODY {
                if !started {
                    level.start(self.subscribers.of(topic), &self.sizes);
                    started = true;
                }
                let seat = level.next_lowest(&self.sizes);
                self.owners[slot] = seat;
                self.sizes[seat as usize] += 1;
            }
        }
    }

    fn balance(&mut self, topics: &[u32], level: &mut Leveller) {
        let shared: Vec<u32> =
            topics.iter().copied().filter(|&topic| self.subscribers.of(topic).len() >= 2).collect();
        let mut holdings = Holdings::new(self.roster.seats());
        // Once around without a change since this topic, and there is nothing more to do.
        let mut last_changed = None;
        for _ in 0..ROUNDS {
            for (position, &topic) in shared.iter().enumerate() {
                if last_changed == Some(position) {
                    return;
                }
                if self.balance_topic(topic, level, &mut holdings) || last_changed.is_none() {
                    last_changed = Some(position);
                }
            }
        }
    }

    /// True if a partition has moved.
    fn balance_topic(&mut self, topic: u32, level: &mut Leveller, holdings: &mut Holdings) -> bool {
        let seats = self.subscribers.of(topic);
        let (least, most) = extremes(seats, &self.sizes);
        if most - least <= 1 {
            return false;
        }
        level.start(seats, &self.sizes);
        let slots = self.slots_of(topic);
        holdings.load(&self.owners[slots.clone()]);
        let mut any = false;
        loop {
            let giver = loop {
                match level.next_highest(&self.sizes) {
                    Some(seat) if holdings.has(seat) => break seat,
                    Some(_) => level.exclude_highest(),
                    None => return any,
                }
            };
            let partition = holdings.pop(giver);
            let taker = level.next_lowest(&self.sizes);
            if level.is_level() {
                return any;
            }
            self.owners[slots.start + partition as usize] = taker;
            self.sizes[giver as usize] -= 1;
            self.sizes[taker as usize] += 1;
            any = true;
        }
    }
}

fn extremes(seats: &[u32], sizes: &[u32]) -> (u32, u32) {
    seats.iter().fold((u32::MAX, 0), |(least, most), &seat| {
        let size = sizes[seat as usize];
        (least.min(size), most.max(size))
    })
}

/// The partitions of one topic, grouped by owner.
struct Holdings {
    /// Owner and partition.
    entries: Vec<(u32, u32)>,
    /// Range in `entries` by seat; empty for those who own nothing.
    ranges: Vec<(u32, u32)>,
}

impl Holdings {
    fn new(seats: usize) -> Self {
        Self { entries: Vec::new(), ranges: vec![(0, 0); seats] }
    }

    fn load(&mut self, owners: &[u32]) {
        for &(seat, _) in &self.entries {
            self.ranges[seat as usize] = (0, 0);
        }
        self.entries.clear();
        self.entries.extend(owners.iter().copied().zip(0..));
        self.entries.sort_unstable();
        for (index, &(seat, _)) in self.entries.iter().enumerate() {
            let range = &mut self.ranges[seat as usize];
            if range.1 == 0 {
                range.0 = index as u32;
            }
            range.1 = index as u32 + 1;
        }
    }

    fn has(&self, seat: u32) -> bool {
        let (start, end) = self.ranges[seat as usize];
        start < end
    }

    /// Takes the member's last partition.
    fn pop(&mut self, seat: u32) -> u32 {
        let end = &mut self.ranges[seat as usize].1;
        *end -= 1;
        self.entries[*end as usize].1
    }
}

/// Picks, among a topic's subscribers, who gets the next partition and who gives one up.
///
/// The subscribers stand in a row by load. A *low* range at its left end is raised evenly, left to
/// right, and grows when its level reaches that of its right neighbour; a *high* range at the right
/// end is lowered evenly, right to left, and grows to the left. Members of the high range that have
/// nothing to give are moved to the far right and left out.
#[derive(Default)]
struct Leveller {
    row: Vec<u32>,
    low_end: usize,
    low_level: i64,
    low_next: usize,
    high_start: usize,
    high_end: usize,
    high_level: i64,
    /// One beyond the next one to give.
    high_next: usize,
    /// Room for sorting.
    counts: Vec<u32>,
}

impl Leveller {
    fn start(&mut self, seats: &[u32], sizes: &[u32]) {
        let (least, most) = extremes(seats, sizes);
        self.sort(seats, sizes, least, most);
        self.low_end = 0;
        self.low_level = i64::from(least) - 1;
        self.low_next = 0;
        self.high_start = seats.len();
        self.high_end = seats.len();
        self.high_level = i64::from(most) + 1;
        self.high_next = seats.len();
    }

    /// Lines the seats up by size, then by number.
    fn sort(&mut self, seats: &[u32], sizes: &[u32], least: u32, most: u32) {
        let span = (most - least) as usize + 1;
        self.row.clear();
        if span > 4 * seats.len() {
            self.row.extend_from_slice(seats);
            self.row.sort_unstable_by_key(|&seat| (sizes[seat as usize], seat));
            return;
        }
        // Loads are close together nearly always: count them.
        self.counts.clear();
        self.counts.resize(span, 0);
        for &seat in seats {
            self.counts[(sizes[seat as usize] - least) as usize] += 1;
        }
        let mut next = 0;
        for count in &mut self.counts {
            next += std::mem::replace(count, next);
        }
        self.row.resize(seats.len(), 0);
        for &seat in seats {
            let next = &mut self.counts[(sizes[seat as usize] - least) as usize];
            self.row[*next as usize] = seat;
            *next += 1;
        }
    }

    fn size(&self, place: usize, sizes: &[u32]) -> i64 {
        i64::from(sizes[self.row[place] as usize])
    }

    /// The member that gets the next partition.
    fn next_lowest(&mut self, sizes: &[u32]) -> u32 {
        if self.low_next >= self.low_end {
            self.low_level += 1;
            while self.low_end < self.row.len() && self.size(self.low_end, sizes) == self.low_level
            {
                self.low_end += 1;
            }
            self.low_next = 0;
        }
        self.low_next += 1;
        self.row[self.low_next - 1]
    }

    /// The member that gives up the next partition, if it has any.
    fn next_highest(&mut self, sizes: &[u32]) -> Option<u32> {
        if self.high_next <= self.high_start {
            if self.high_end <= self.high_start && self.high_start > 0 {
                // All of the range had nothing to give: begin anew with whoever is next.
                self.high_level = self.size(self.high_start - 1, sizes);
            } else {
                self.high_level -= 1;
            }
            while self.high_start > 0 && self.size(self.high_start - 1, sizes) == self.high_level {
                self.high_start -= 1;
            }
            self.high_next = self.high_end;
        }
        if self.high_next == 0 {
            return None;
        }
        self.high_next -= 1;
        Some(self.row[self.high_next])
    }

    /// Leaves out the member that [`next_highest`](Self::next_highest) has just named.
    fn exclude_highest(&mut self) {
        self.row.swap(self.high_next, self.high_end - 1);
        self.high_end -= 1;
    }

    /// Whether the two ranges differ by at most one.
    fn is_level(&self) -> bool {
        self.high_level - self.low_level <= 1
    }
}
