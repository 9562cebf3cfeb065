//! `range`: each topic is cut into contiguous pieces, one for each subscriber.
//!
//! Members stand static ones first, by instance id, then dynamic ones by id. Of a topic with `n`
//! partitions and `m` subscribers the first `n mod m` get one partition more. Not sticky: what
//! members owned is not looked at. Topics with equal counts and the same subscribers are cut alike,
//! so their equal-numbered partitions meet at one member (*co-partitioning*).
//!
//! If racks matter for some topic (KIP-881), a first round gives members only partitions with a
//! replica in their rack, and co-partitioned topics only such that all of them have one there; a
//! second round cuts what is left. Nobody ever gets more than the rule above allows.

use std::collections::BTreeMap;

use crate::racks::Racks;
use crate::roster::{MemberOrder, NOBODY, Roster, Subscribers};
use crate::{AssignError, Assignment, Assignor, Group};

/// The client-side range assignor of Kafka, `range`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Range;

impl Assignor for Range {
    fn name(&self) -> &'static str {
        "range"
    }

    fn assign(&self, group: &Group) -> Result<Assignment, AssignError> {
        let roster = Roster::new(group, MemberOrder::StaticFirst)?;
        let subscribers = Subscribers::new(&roster);
        let aware =
            Racks::new(&roster).and_then(|racks| assign_aware(&roster, &subscribers, &racks));
        Ok(aware.unwrap_or_else(|| assign_plain(&roster, &subscribers)))
    }
}

/// KIP-848's server-side range assignor, here called `range-server`.
///
/// As [`Range`] without racks, but a subscription to a topic that does not exist is an error.
#[derive(Debug, Clone, Copy, Default)]
pub struct RangeServer;

impl Assignor for RangeServer {
    fn name(&self) -> &'static str {
        "range-server"
    }

    fn assign(&self, group: &Group) -> Result<Assignment, AssignError> {
        let roster = Roster::new(group, MemberOrder::StaticFirst)?;
        roster.require_topics()?;
        Ok(assign_plain(&roster, &Subscribers::new(&roster)))
    }
}

fn assign_plain(roster: &Roster<'_>, subscribers: &Subscribers) -> Assignment {
    let mut owners = vec![NOBODY; roster.slots as usize];
    let mut sizes = vec![0u32; roster.seats()];
    for topic in 0..roster.counts.len() {
        let seats = subscribers.of(topic as u32);
        if seats.is_empty() {
            continue;
        }
        let count = roster.counts[topic];
        let (share, extra) = (count / seats.len() as u32, count % seats.len() as u32);
        // With more subscribers than partitions the rest get nothing; do not walk them for every
        // topic.
        let served = if share == 0 { extra as usize } else { seats.len() };
        let mut slot = roster.base[topic] as usize;
        for (place, &seat) in seats[..served].iter().enumerate() {
            let length = share + u32::from((place as u32) < extra);
            owners[slot..slot + length as usize].fill(seat);
            slot += length as usize;
            sizes[seat as usize] += length;
        }
    }
    roster.collect(&owners, &sizes)
}

/// How much each subscriber of a topic (or of co-partitioned topics) may still get.
struct Allowance<'a> {
    seats: &'a [u32],
    share: u32,
    /// Members that may still get one more than the share.
    extras: u32,
    /// By place in `seats`.
    given: Vec<u32>,
}

impl<'a> Allowance<'a> {
    fn new(seats: &'a [u32], count: u32) -> Self {
        let subscribers = seats.len() as u32;
        Self {
            seats,
            share: count / subscribers,
            extras: count % subscribers,
            given: vec![0; seats.len()],
        }
    }

    fn left(&self, place: usize) -> u32 {
        (self.share + u32::from(self.extras > 0)).saturating_sub(self.given[place])
    }

    fn give(&mut self, place: usize, partitions: u32) {
        self.given[place] += partitions;
        if partitions > 0 && self.given[place] > self.share {
            self.extras -= 1;
        }
    }
}

/// `None` if racks matter for no topic.
fn assign_aware(
    roster: &Roster<'_>,
    subscribers: &Subscribers,
    racks: &Racks,
) -> Option<Assignment> {
    let slots = |topic: usize| roster.base[topic]..roster.base[topic] + roster.counts[topic];
    let topics: Vec<usize> = (0..roster.counts.len())
        .filter(|&topic| roster.counts[topic] > 0 && !subscribers.of(topic as u32).is_empty())
        .collect();
    let matters: Vec<bool> = topics
        .iter()
        .map(|&topic| racks.matter(subscribers.of(topic as u32).iter().copied(), slots(topic)))
        .collect();
    if !matters.contains(&true) {
        return None;
    }

    // Co-partitioned topics: the same subscribers, some with a rack, and the same count.
    let mut kin: BTreeMap<(u32, u32), Vec<usize>> = BTreeMap::new();
    for (position, &topic) in topics.iter().enumerate() {
        kin.entry((subscribers.set_of[topic], roster.counts[topic])).or_default().push(position);
    }
    let mut owners = vec![NOBODY; roster.slots as usize];
    for ((set, count), positions) in kin {
        let seats = &subscribers.sets[set as usize];
        let mut allowance = Allowance::new(seats, count);
        let bases: Vec<u32> =
            positions.iter().map(|&position| roster.base[topics[position]]).collect();
        let some_rack = seats.iter().any(|&seat| racks.of_seat(seat).is_some());
        if some_rack && bases.len() > 1 {
            match_together(&mut owners, racks, &mut allowance, &bases, count);
        } else if matters[positions[0]] {
            match_alone(&mut owners, racks, &mut allowance, bases[0], count);
        }
        // What is left is the same set of partition numbers in all of these topics.
        let mut place = 0;
        for partition in 0..count {
            if owners[(bases[0] + partition) as usize] != NOBODY {
                continue;
            }
            while allowance.left(place) == 0 {
                place += 1;
            }
            allowance.give(place, 1);
            for base in &bases {
                owners[(base + partition) as usize] = seats[place];
            }
        }
    }
    let mut sizes = vec![0u32; roster.seats()];
    for &owner in owners.iter().filter(|&&owner| owner != NOBODY) {
        sizes[owner as usize] += 1;
    }
    Some(roster.collect(&owners, &sizes))
}

/// One topic: each member in turn takes the first partitions that its rack has, as many as it may.
fn match_alone(
    owners: &mut [u32],
    racks: &Racks,
    allowance: &mut Allowance<'_>,
    base: u32,
    count: u32,
) {
    // The partitions of each rack, and behind them those of a member without a rack: all.
    let mut queues: Vec<Vec<u32>> = vec![Vec::new(); racks.count];
    for slot in base..base + count {
        for &rack in racks.of_slot(slot) {
            queues[rack as usize].push(slot);
        }
    }
    queues.push((base..base + count).collect());
    let mut heads = vec![0; queues.len()];
    for place in 0..allowance.seats.len() {
        let seat = allowance.seats[place];
        let rack = racks.of_seat(seat).map_or(racks.count, |rack| rack as usize);
        let (queue, head) = (&queues[rack], &mut heads[rack]);
        let limit = allowance.left(place);
        let mut taken = 0;
        while taken < limit && *head < queue.len() {
            let owner = &mut owners[queue[*head] as usize];
            if *owner == NOBODY {
                *owner = seat;
                taken += 1;
            }
            *head += 1;
        }
        allowance.give(place, taken);
    }
}

/// Co-partitioned topics: each partition number goes, in all of them, to the first member that has
/// all of its replicas in its rack.
fn match_together(
    owners: &mut [u32],
    racks: &Racks,
    allowance: &mut Allowance<'_>,
    bases: &[u32],
    count: u32,
) {
    // The members of each rack, and behind them those without one, by place.
    let mut queues: Vec<Vec<usize>> = vec![Vec::new(); racks.count + 1];
    for (place, &seat) in allowance.seats.iter().enumerate() {
        queues[racks.of_seat(seat).map_or(racks.count, |rack| rack as usize)].push(place);
    }
    let mut heads = vec![0; queues.len()];
    for partition in 0..count {
        let (first, others) = bases.split_first().expect("co-partitioned topics");
        let common = racks
            .of_slot(first + partition)
            .iter()
            .filter(|rack| others.iter().all(|base| racks.of_slot(base + partition).contains(rack)))
            .map(|&rack| rack as usize);
        let mut best: Option<usize> = None;
        for rack in common.chain([racks.count]) {
            // What a member may still get never grows, so a queue's head never moves back.
            while queues[rack].get(heads[rack]).is_some_and(|&place| allowance.left(place) == 0) {
                heads[rack] += 1;
            }
            if let Some(&place) = queues[rack].get(heads[rack]) {
                best = Some(best.map_or(place, |other| other.min(place)));
            }
        }
        if let Some(place) = best {
            allowance.give(place, 1);
            for base in bases {
                owners[(base + partition) as usize] = allowance.seats[place];
            }
        }
    }
}
