//! Uniform with equal subscriptions: keep up to the quota, then fill one member after the other.
//!
//! With `P` partitions and `M` members, `P mod M` members get `P / M + 1`, the others `P / M`. A
//! member that already has the larger share keeps it, as long as there are any (KAFKA-18688); what
//! remains of the larger shares goes to the last of the members that are not full. So a balanced
//! group is left alone. Free partitions are first those nobody had, by topic, then those taken from
//! members, in the order of these members. A member with too many keeps those of the first topics
//! by name.

use crate::bits::Bits;
use crate::roster::Roster;
use crate::{Assignment, TopicPartition};

pub(super) fn assign(roster: &Roster<'_>) -> Assignment {
    let group = roster.group;
    // Partitions are dealt out in this order.
    let mut topics: Vec<u32> = roster.classes[0].to_vec();
    let mut place = vec![u32::MAX; group.topics.len()];
    for (position, &topic) in roster.by_name.iter().enumerate() {
        place[topic as usize] = position as u32;
    }
    topics.sort_by_key(|&topic| (group.topics[topic as usize].rank, place[topic as usize]));
    place.fill(u32::MAX);
    for (position, &topic) in topics.iter().enumerate() {
        place[topic as usize] = position as u32;
    }
    let total: u32 = topics.iter().map(|&topic| roster.counts[topic as usize]).sum();
    let (low, mut larger) = (total / roster.seats() as u32, total % roster.seats() as u32);

    let mut taken = Bits::new(roster.slots);
    let mut revoked: Vec<TopicPartition> = Vec::new();
    let mut unfilled: Vec<u32> = Vec::new();
    let mut lists: Vec<Vec<TopicPartition>> = Vec::with_capacity(roster.seats());
    for seat in 0..roster.seats() {
        let owned = &roster.member(seat).owned;
        let mut list: Vec<TopicPartition> = Vec::with_capacity((owned.len()).max(low as usize + 1));
        for &partition in owned {
            if place[partition.topic as usize] != u32::MAX
                && roster.slot(partition).is_some_and(|slot| taken.set(slot))
            {
                list.push(partition);
            }
        }
        let has = list.len() as u32;
        if has > low {
            let quota = low + u32::from(larger > 0);
            if has > quota {
                list.sort_unstable_by_key(|&partition| roster.slot(partition));
                revoked.extend(list.drain(quota as usize..));
            }
            if larger > 0 {
                larger -= 1;
            } else {
                unfilled.push(seat as u32);
            }
        } else {
            unfilled.push(seat as u32);
        }
        lists.push(list);
    }

    let mut free = topics
        .iter()
        .flat_map(|&topic| {
            let base = roster.base[topic as usize];
            taken
                .clear_in(base, base + roster.counts[topic as usize])
                .map(move |slot| TopicPartition::new(topic, slot - base))
        })
        .chain(revoked.iter().copied());
    for (position, &seat) in unfilled.iter().enumerate() {
        let quota = low + u32::from((unfilled.len() - position) as u32 <= larger);
        let list = &mut lists[seat as usize];
        let missing = quota as usize - list.len();
        list.extend(free.by_ref().take(missing));
    }
    for list in &mut lists {
        if !list.is_sorted() {
            list.sort_unstable();
        }
    }
    roster.seat_lists(lists)
}
