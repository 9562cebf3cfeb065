//! A checked [`Group`], seen the way the rules look at it.
//!
//! Owns: validation, the order of members and topics, the grouping of members into *classes* of
//! equal subscriptions, the lists of subscribers, and the numbering of all partitions. Knows no
//! assignment rule.
//!
//! Two numberings run through the crate. A *seat* is a member's place in the order that the
//! assignor wants (`0..seats`); a *slot* is a partition's place when the topics stand in name order
//! (`0..slots`). Both are dense, so tables indexed by them replace hash maps, and no output can
//! depend on a hash.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::{AssignError, Assignment, Group, TopicPartition};

/// "No seat": an unowned partition in a table of owners.
pub(crate) const NOBODY: u32 = u32::MAX;

/// In which order members take their turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MemberOrder {
    /// By member id.
    ById,
    /// Static members by instance id, then dynamic ones by member id.
    StaticFirst,
}

/// The checked group. See the module's documentation for seats and slots.
pub(crate) struct Roster<'a> {
    pub(crate) group: &'a Group,
    /// Member index by seat.
    pub(crate) members: Vec<u32>,
    /// Topic indices in the order of their names.
    pub(crate) by_name: Vec<u32>,
    /// Partitions by topic index; 0 for a topic that does not exist.
    pub(crate) counts: Vec<u32>,
    /// First slot of each topic, by topic index.
    pub(crate) base: Vec<u32>,
    /// Number of slots.
    pub(crate) slots: u32,
    /// Class of equal subscriptions, by seat. Numbered in the order in which seats show them.
    pub(crate) class_of: Vec<u32>,
    /// Subscribed topics of each class.
    pub(crate) classes: Vec<&'a [u32]>,
}

/// Java's order of strings, which all of Kafka's rules mean: by UTF-16 code units. It differs from
/// the order of UTF-8 bytes only where a character above U+FFFF meets one in U+E000..=U+FFFF.
pub(crate) fn java_cmp(a: &str, b: &str) -> Ordering {
    // Surrogates (D800..DFFF in UTF-16, lead bytes F0.. in UTF-8) sort below E000 (lead bytes EE
    // and EF).
    let weight = |byte: u8| if byte == 0xEE || byte == 0xEF { byte + 0x10 } else { byte };
    match a.bytes().zip(b.bytes()).find(|(x, y)| x != y) {
        Some((x, y)) => weight(x).cmp(&weight(y)),
        None => a.len().cmp(&b.len()),
    }
}

impl<'a> Roster<'a> {
    /// Checks the group and lays it out.
    pub(crate) fn new(group: &'a Group, order: MemberOrder) -> Result<Self, AssignError> {
        let (by_name, counts, base, slots) = lay_out_topics(group)?;
        let members = order_members(group, order)?;
        let (class_of, classes) = classify(group, &members)?;
        check_owned(group)?;
        Ok(Self { group, members, by_name, counts, base, slots, class_of, classes })
    }

    pub(crate) fn seats(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn member(&self, seat: usize) -> &'a crate::Member {
        &self.group.members[self.members[seat] as usize]
    }

    /// The slot of a partition, or `None` if the topic has no such partition.
    #[inline]
    pub(crate) fn slot(&self, partition: TopicPartition) -> Option<u32> {
        let topic = partition.topic as usize;
        (partition.partition < self.counts[topic]).then(|| self.base[topic] + partition.partition)
    }

    /// Seats by class, ascending.
    pub(crate) fn seats_by_class(&self) -> Vec<Vec<u32>> {
        let mut seats = vec![Vec::new(); self.classes.len()];
        for (seat, &class) in self.class_of.iter().enumerate() {
            seats[class as usize].push(seat as u32);
        }
        seats
    }

    /// The first seat that subscribes to a topic that does not exist, as the error of the
    /// server-side assignors.
    pub(crate) fn require_topics(&self) -> Result<(), AssignError> {
        let mut checked = vec![false; self.classes.len()];
        for seat in 0..self.seats() {
            let class = self.class_of[seat] as usize;
            if std::mem::replace(&mut checked[class], true) {
                continue;
            }
            let missing = self.classes[class]
                .iter()
                .find(|&&t| self.group.topics[t as usize].partitions.is_none());
            if let Some(&topic) = missing {
                return Err(AssignError::MissingTopic {
                    member: Arc::clone(&self.member(seat).id),
                    topic: Arc::clone(&self.group.topics[topic as usize].name),
                });
            }
        }
        Ok(())
    }

    /// Turns a table of owners (a seat or [`NOBODY`] by slot) into the lists of an [`Assignment`].
    pub(crate) fn collect(&self, owners: &[u32], sizes: &[u32]) -> Assignment {
        let mut lists: Vec<Vec<TopicPartition>> =
            sizes.iter().map(|&size| Vec::with_capacity(size as usize)).collect();
        for (topic, (&count, &base)) in self.counts.iter().zip(&self.base).enumerate() {
            let owners = &owners[base as usize..(base + count) as usize];
            for (partition, &seat) in owners.iter().enumerate() {
                if seat != NOBODY {
                    lists[seat as usize].push(TopicPartition::new(topic as u32, partition as u32));
                }
            }
        }
        self.seat_lists(lists)
    }

    /// Puts lists that stand by seat into the order of the group's members.
    pub(crate) fn seat_lists(&self, lists: Vec<Vec<TopicPartition>>) -> Assignment {
        let mut members: Vec<Vec<TopicPartition>> = Vec::new();
        members.resize_with(lists.len(), Vec::new);
        for (seat, list) in lists.into_iter().enumerate() {
            members[self.members[seat] as usize] = list;
        }
        Assignment { members, transferring: Vec::new() }
    }
}

/// For each topic, who subscribes to it. Topics with the same subscribers share one list.
pub(crate) struct Subscribers {
    /// Index into `sets` by topic index; set 0 is empty.
    pub(crate) set_of: Vec<u32>,
    /// Seats, ascending.
    pub(crate) sets: Vec<Vec<u32>>,
}

impl Subscribers {
    pub(crate) fn new(roster: &Roster<'_>) -> Self {
        let mut classes_of: Vec<Vec<u32>> = vec![Vec::new(); roster.counts.len()];
        for (class, topics) in roster.classes.iter().enumerate() {
            for &topic in *topics {
                classes_of[topic as usize].push(class as u32);
            }
        }
        let seats = roster.seats_by_class();
        let mut sets = vec![Vec::new()];
        let mut known: BTreeMap<Vec<u32>, u32> = BTreeMap::from([(Vec::new(), 0)]);
        let set_of = classes_of
            .into_iter()
            .map(|classes| {
                *known.entry(classes).or_insert_with_key(|classes| {
                    let mut set: Vec<u32> =
                        classes.iter().flat_map(|&class| &seats[class as usize]).copied().collect();
                    set.sort_unstable();
                    sets.push(set);
                    sets.len() as u32 - 1
                })
            })
            .collect();
        Self { set_of, sets }
    }

    /// Seats that subscribe to the topic, ascending.
    pub(crate) fn of(&self, topic: u32) -> &[u32] {
        &self.sets[self.set_of[topic as usize] as usize]
    }
}

type TopicLayout = (Vec<u32>, Vec<u32>, Vec<u32>, u32);

fn lay_out_topics(group: &Group) -> Result<TopicLayout, AssignError> {
    let topics = &group.topics;
    let mut by_name: Vec<u32> = (0..topics.len() as u32).collect();
    let cmp = |&a: &u32, &b: &u32| java_cmp(&topics[a as usize].name, &topics[b as usize].name);
    by_name.sort_unstable_by(cmp);
    if let Some(pair) = by_name.windows(2).find(|pair| cmp(&pair[0], &pair[1]).is_eq()) {
        return Err(AssignError::DuplicateTopic {
            topic: Arc::clone(&topics[pair[0] as usize].name),
        });
    }
    for &index in &by_name {
        let topic = &topics[index as usize];
        let partitions = topic.partitions.unwrap_or(0);
        if let Some(racks) = &topic.racks
            && racks.len() != partitions as usize
        {
            return Err(AssignError::RackCount {
                topic: Arc::clone(&topic.name),
                racks: racks.len(),
                partitions,
            });
        }
    }
    let counts: Vec<u32> = topics.iter().map(|topic| topic.partitions.unwrap_or(0)).collect();
    // Slots and seats are `u32` with `NOBODY` set apart.
    let total: u64 = counts.iter().map(|&count| u64::from(count)).sum();
    let max = u64::from(NOBODY) - 1;
    if total > max {
        return Err(AssignError::TooManyPartitions { total, max });
    }
    let mut base = vec![0; topics.len()];
    let mut next = 0;
    for &topic in &by_name {
        base[topic as usize] = next;
        next += counts[topic as usize];
    }
    Ok((by_name, counts, base, next))
}

fn order_members(group: &Group, order: MemberOrder) -> Result<Vec<u32>, AssignError> {
    let members = &group.members;
    if members.len() as u64 >= u64::from(NOBODY) {
        return Err(AssignError::TooManyMembers {
            members: members.len(),
            max: u64::from(NOBODY) - 1,
        });
    }
    let member = |&index: &u32| &members[index as usize];
    let mut by_id: Vec<u32> = (0..members.len() as u32).collect();
    by_id.sort_unstable_by(|a, b| java_cmp(&member(a).id, &member(b).id));
    if let Some(pair) = by_id.windows(2).find(|pair| member(&pair[0]).id == member(&pair[1]).id) {
        return Err(AssignError::DuplicateMember { member: Arc::clone(&member(&pair[0]).id) });
    }
    let mut seats: Vec<(&str, u32)> =
        by_id.iter().filter_map(|i| member(i).instance_id.as_deref().map(|id| (id, *i))).collect();
    // Stable, so that two members with one instance id are reported in the order of their ids.
    seats.sort_by(|a, b| java_cmp(a.0, b.0));
    if let Some(pair) = seats.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(AssignError::DuplicateInstance {
            instance: Arc::from(pair[0].0),
            first: Arc::clone(&member(&pair[0].1).id),
            second: Arc::clone(&member(&pair[1].1).id),
        });
    }
    Ok(match order {
        MemberOrder::ById => by_id,
        MemberOrder::StaticFirst => {
            let dynamic = by_id.iter().copied().filter(|index| member(index).instance_id.is_none());
            seats.iter().map(|&(_, index)| index).chain(dynamic).collect()
        }
    })
}

fn classify<'a>(
    group: &'a Group,
    seats: &[u32],
) -> Result<(Vec<u32>, Vec<&'a [u32]>), AssignError> {
    let mut classes: Vec<&'a [u32]> = Vec::new();
    // Looked up, never iterated.
    let mut by_pointer: HashMap<(*const u32, usize), u32> = HashMap::new();
    let mut by_content: HashMap<&'a [u32], u32> = HashMap::new();
    let mut class_of = Vec::with_capacity(seats.len());
    let mut last: Option<((*const u32, usize), u32)> = None;
    for &index in seats {
        let member = &group.members[index as usize];
        let topics: &'a [u32] = &member.topics;
        let pointer = (topics.as_ptr(), topics.len());
        let class = match last {
            Some((seen, class)) if seen == pointer => class,
            _ => match by_pointer.get(&pointer) {
                Some(&class) => class,
                None => {
                    let fresh = classes.len() as u32;
                    let class = *by_content.entry(topics).or_insert(fresh);
                    if class == fresh {
                        check_subscription(group, member)?;
                        classes.push(topics);
                    }
                    by_pointer.insert(pointer, class);
                    class
                }
            },
        };
        last = Some((pointer, class));
        class_of.push(class);
    }
    Ok((class_of, classes))
}

fn check_subscription(group: &Group, member: &crate::Member) -> Result<(), AssignError> {
    if let Some(pair) = member.topics.windows(2).find(|pair| pair[0] >= pair[1]) {
        return Err(AssignError::UnsortedSubscription {
            member: Arc::clone(&member.id),
            previous: pair[0],
            next: pair[1],
        });
    }
    match member.topics.last() {
        Some(&topic) if topic as usize >= group.topics.len() => Err(AssignError::TopicOutOfRange {
            member: Arc::clone(&member.id),
            topic,
            topics: group.topics.len(),
        }),
        _ => Ok(()),
    }
}

fn check_owned(group: &Group) -> Result<(), AssignError> {
    let topics = group.topics.len();
    for member in &group.members {
        // A maximum vectorises; a search for the first offender does not.
        let highest = member.owned.iter().map(|partition| partition.topic).max();
        if let Some(topic) = highest.filter(|&topic| topic as usize >= topics) {
            return Err(AssignError::TopicOutOfRange {
                member: Arc::clone(&member.id),
                topic,
                topics,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::java_cmp;

    #[test]
    fn strings_stand_as_in_java() {
        let strings = [
            "",
            "a",
            "a\u{7f}",
            "ab",
            "b",
            "é",
            "\u{d7ff}",
            "😀",
            "😀a",
            "\u{10ffff}",
            "\u{e000}",
            "\u{ffff}",
        ];
        for a in strings {
            for b in strings {
                assert_eq!(java_cmp(a, b), a.encode_utf16().cmp(b.encode_utf16()), "{a:?} {b:?}");
            }
        }
        // Both orders occur: in UTF-8 the emoji is the greater one.
        assert!(java_cmp("😀", "\u{e000}").is_lt() && "😀" > "\u{e000}");
    }
}
