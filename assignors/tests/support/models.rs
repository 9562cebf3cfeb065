//! The rules again, as plainly as they can be said: lists, searches, no concern for time.
//!
//! The assignors must agree with these exactly. Written from the rules as well, but in another way:
//! what a rule says one at a time is done one at a time.

use std::collections::BTreeMap;

use assignors::{Group, Member, TopicPartition};

/// Partitions by index of the member.
pub type Lists = Vec<Vec<TopicPartition>>;

fn sorted(mut lists: Lists) -> Lists {
    lists.iter_mut().for_each(|list| list.sort());
    lists
}

fn count(group: &Group, topic: u32) -> u32 {
    group.topics[topic as usize].partitions.unwrap_or(0)
}

fn topics_by_name(group: &Group) -> Vec<u32> {
    let mut topics: Vec<u32> = (0..group.topics.len() as u32).collect();
    topics.sort_by_key(|&topic| group.topics[topic as usize].name.clone());
    topics
}

fn by_id(group: &Group) -> Vec<usize> {
    let mut members: Vec<usize> = (0..group.members.len()).collect();
    members.sort_by_key(|&member| group.members[member].id.clone());
    members
}

fn static_first(group: &Group) -> Vec<usize> {
    let mut members = by_id(group);
    let key = |member: &Member| (member.instance_id.is_none(), member.instance_id.clone());
    members.sort_by_key(|&member| key(&group.members[member]));
    members
}

fn rack(member: &Member) -> Option<&str> {
    member.rack.as_deref().filter(|rack| !rack.is_empty())
}

fn racks(group: &Group, partition: TopicPartition) -> Vec<&str> {
    match &group.topics[partition.topic as usize].racks {
        Some(racks) => racks[partition.partition as usize].iter().map(|rack| &**rack).collect(),
        None => Vec::new(),
    }
}

fn near(group: &Group, member: usize, partition: TopicPartition) -> bool {
    rack(&group.members[member]).is_none_or(|rack| racks(group, partition).contains(&rack))
}

/// Whether racks are looked at for these members and partitions.
fn racks_matter(group: &Group, members: &[usize], partitions: &[TopicPartition]) -> bool {
    let mut all: Vec<&str> =
        partitions.iter().flat_map(|&partition| racks(group, partition)).collect();
    all.sort();
    all.dedup();
    members
        .iter()
        .any(|&member| rack(&group.members[member]).is_some_and(|rack| all.contains(&rack)))
        && partitions.iter().any(|&partition| racks(group, partition).len() != all.len())
}

pub fn round_robin(group: &Group) -> Lists {
    let members = static_first(group);
    let mut lists = vec![Vec::new(); members.len()];
    let mut turn = 0;
    for topic in topics_by_name(group) {
        let wants = |member: usize| group.members[member].topics.contains(&topic);
        if !members.iter().any(|&member| wants(member)) {
            continue;
        }
        for partition in 0..count(group, topic) {
            while !wants(members[turn % members.len()]) {
                turn += 1;
            }
            lists[members[turn % members.len()]].push(TopicPartition::new(topic, partition));
            turn += 1;
        }
    }
    sorted(lists)
}

/// One topic while `range` works on it.
struct Cut {
    topic: u32,
    members: Vec<usize>,
    free: Vec<u32>,
    given: BTreeMap<usize, u32>,
    share: u32,
    extras: u32,
}

impl Cut {
    fn may_get(&self, member: usize) -> u32 {
        (self.share + u32::from(self.extras > 0)).saturating_sub(self.given[&member])
    }

    fn give(&mut self, member: usize, partition: u32, lists: &mut Lists) {
        self.free.retain(|&other| other != partition);
        lists[member].push(TopicPartition::new(self.topic, partition));
        let given = self.given.get_mut(&member).unwrap();
        *given += 1;
        if *given > self.share {
            self.extras -= 1;
        }
    }

    /// Each member takes the first free partitions that suit it.
    fn cut(&mut self, suits: impl Fn(usize, u32) -> bool, lists: &mut Lists) {
        for member in self.members.clone() {
            let room = self.may_get(member) as usize;
            let wanted: Vec<u32> =
                self.free.iter().copied().filter(|&p| suits(member, p)).take(room).collect();
            for partition in wanted {
                self.give(member, partition, lists);
            }
        }
    }
}

/// The client-side range, with racks.
pub fn range(group: &Group) -> Lists {
    let members = static_first(group);
    let mut lists = vec![Vec::new(); members.len()];
    let mut cuts: Vec<Cut> = Vec::new();
    for topic in topics_by_name(group) {
        let members: Vec<usize> = members
            .iter()
            .copied()
            .filter(|&member| group.members[member].topics.contains(&topic))
            .collect();
        let partitions = count(group, topic);
        if !members.is_empty() && partitions > 0 {
            cuts.push(Cut {
                topic,
                free: (0..partitions).collect(),
                given: members.iter().map(|&member| (member, 0)).collect(),
                share: partitions / members.len() as u32,
                extras: partitions % members.len() as u32,
                members,
            });
        }
    }
    let matters = |cut: &Cut| {
        let partitions: Vec<_> =
            cut.free.iter().map(|&p| TopicPartition::new(cut.topic, p)).collect();
        racks_matter(group, &cut.members, &partitions)
    };
    if cuts.iter().any(matters) {
        let suits = |topic| {
            move |member, partition| near(group, member, TopicPartition::new(topic, partition))
        };
        for at in 0..cuts.len() {
            let has_rack = |&member: &usize| rack(&group.members[member]).is_some();
            if !cuts[at].members.iter().any(has_rack) {
                continue;
            }
            let alike = |cut: &Cut| (cut.members.clone(), count(group, cut.topic));
            let kin: Vec<usize> =
                (0..cuts.len()).filter(|&other| alike(&cuts[other]) == alike(&cuts[at])).collect();
            if kin.len() == 1 && matters(&cuts[at]) {
                let topic = cuts[at].topic;
                cuts[at].cut(suits(topic), &mut lists);
            } else if kin.len() > 1 && kin[0] == at {
                for partition in 0..count(group, cuts[at].topic) {
                    let fits = |member: usize| {
                        kin.iter().all(|&other| {
                            let cut = &cuts[other];
                            cut.may_get(member) > 0 && suits(cut.topic)(member, partition)
                        })
                    };
                    let chosen = cuts[at].members.iter().copied().find(|&member| fits(member));
                    for &other in chosen.iter().flat_map(|_| &kin) {
                        cuts[other].give(chosen.unwrap(), partition, &mut lists);
                    }
                }
            }
        }
    }
    for cut in &mut cuts {
        cut.cut(|_, _| true, &mut lists);
    }
    sorted(lists)
}

/// Whom the sticky assignors believe to have owned a partition.
fn believed(group: &Group, partition: TopicPartition) -> Option<usize> {
    let generation = |member: usize| group.members[member].generation.unwrap_or(-1);
    let claimants: Vec<usize> = (0..group.members.len())
        .filter(|&member| group.members[member].owned.contains(&partition))
        .collect();
    let newest = claimants.iter().map(|&member| generation(member)).max()?;
    let mut newest = claimants.into_iter().filter(|&member| generation(member) == newest);
    newest.next().filter(|_| newest.next().is_none())
}

/// The sticky target for equal subscriptions, with racks.
pub fn sticky_equal(group: &Group) -> Lists {
    let members = by_id(group);
    let topics: Vec<u32> = topics_by_name(group)
        .into_iter()
        .filter(|topic| group.members[0].topics.contains(topic))
        .collect();
    let all: Vec<TopicPartition> = topics
        .iter()
        .flat_map(|&topic| {
            (0..count(group, topic)).map(move |partition| TopicPartition::new(topic, partition))
        })
        .collect();
    let aware = racks_matter(group, &members, &all);
    let low = all.len() / members.len();
    let mut larger = all.len() % members.len();
    let mut lists: Lists = vec![Vec::new(); members.len()];
    let (mut under, mut level) = (Vec::new(), Vec::new());
    for &member in &members {
        let mut owned: Vec<TopicPartition> = all
            .iter()
            .copied()
            .filter(|&partition| believed(group, partition) == Some(member))
            .filter(|&partition| !aware || near(group, member, partition))
            .collect();
        // Stable, and `all` is by topic already.
        owned.sort_by_key(|partition| partition.partition);
        if owned.len() < low {
            under.push(member);
        } else if owned.len() > low && larger > 0 {
            larger -= 1;
            owned.truncate(low + 1);
        } else {
            level.push(member);
            owned.truncate(low);
        }
        lists[member] = owned;
    }
    if larger == 0 {
        level.clear();
    }
    let mut free: Vec<TopicPartition> = all
        .into_iter()
        .filter(|partition| !lists.iter().any(|list| list.contains(partition)))
        .collect();
    if aware {
        let at_home = |member: usize, partition| {
            rack(&group.members[member]).is_some() && near(group, member, partition)
        };
        free.sort_by_key(|&partition| {
            members.iter().filter(|&&member| at_home(member, partition)).count()
        });
        let mut turn = 0;
        free.retain(|&partition| {
            let found = (0..under.len())
                .map(|step| (turn + step) % under.len())
                .find(|&place| at_home(under[place], partition));
            if let Some(place) = found {
                let member = under[place];
                lists[member].push(partition);
                turn = place + 1;
                if lists[member].len() == low {
                    under.remove(place);
                    level.push(member);
                    turn = place;
                }
                return false;
            }
            let found =
                level.iter().position(|&member| at_home(member, partition)).filter(|_| larger > 0);
            if let Some(place) = found {
                lists[level.remove(place)].push(partition);
                larger -= 1;
            }
            found.is_none()
        });
    }
    let mut turn = 0;
    for partition in free {
        if under.is_empty() {
            lists[level.remove(0)].push(partition);
            continue;
        }
        let place = turn % under.len();
        let member = under[place];
        lists[member].push(partition);
        turn = place + 1;
        if lists[member].len() == low {
            under.remove(place);
            level.push(member);
            turn = place;
            // Whoever was last in the round is followed by the first of the next.
            if turn == under.len() {
                turn = 0;
            }
        }
    }
    sorted(lists)
}

/// Free partitions to the least loaded subscriber, one at a time: sticky from nothing before any
/// move.
pub fn least_loaded(group: &Group) -> Lists {
    let subscribers = |topic: u32| -> Vec<usize> {
        by_id(group)
            .into_iter()
            .filter(|&member| group.members[member].topics.contains(&topic))
            .collect()
    };
    let mut topics = topics_by_name(group);
    topics.sort_by_key(|&topic| subscribers(topic).len());
    let mut lists: Lists = vec![Vec::new(); group.members.len()];
    for topic in topics {
        for partition in 0..count(group, topic) {
            let least = subscribers(topic).into_iter().min_by_key(|&member| lists[member].len());
            if let Some(member) = least {
                lists[member].push(TopicPartition::new(topic, partition));
            }
        }
    }
    sorted(lists)
}

/// The sticky target for different subscriptions, with racks: place, then move.
pub fn sticky_unequal(group: &Group) -> Lists {
    let members = by_id(group);
    let place_of = |member: usize| members.iter().position(|&other| other == member).unwrap();
    let subscribers = |topic: u32| -> Vec<usize> {
        members
            .iter()
            .copied()
            .filter(|&member| group.members[member].topics.contains(&topic))
            .collect()
    };
    let mut topics = topics_by_name(group);
    topics.retain(|&topic| !subscribers(topic).is_empty());
    topics.sort_by_key(|&topic| subscribers(topic).len());
    let all: Vec<TopicPartition> = topics
        .iter()
        .flat_map(|&topic| {
            (0..count(group, topic)).map(move |partition| TopicPartition::new(topic, partition))
        })
        .collect();
    let aware = racks_matter(group, &members, &all);

    let mut owner: BTreeMap<TopicPartition, usize> = BTreeMap::new();
    let mut dropped = false;
    for &partition in &all {
        if let Some(member) = believed(group, partition) {
            if subscribers(partition.topic).contains(&member)
                && (!aware || near(group, member, partition))
            {
                owner.insert(partition, member);
            } else {
                dropped = true;
            }
        }
    }
    let size = |owner: &BTreeMap<TopicPartition, usize>, member: usize| {
        owner.values().filter(|&&other| other == member).count()
    };
    let from_nothing = owner.is_empty();
    let free: Vec<TopicPartition> =
        all.iter().copied().filter(|partition| !owner.contains_key(partition)).collect();
    for racks_first in [true, false] {
        for &partition in free.iter().filter(|_| aware || !racks_first) {
            if owner.contains_key(&partition) {
                continue;
            }
            let suits = |&member: &usize| !racks_first || near(group, member, partition);
            let least = subscribers(partition.topic)
                .into_iter()
                .filter(suits)
                .min_by_key(|&m| size(&owner, m));
            if let Some(member) = least {
                owner.insert(partition, member);
            }
        }
    }

    // Who had a partition in an older generation.
    let generation = |member: usize| group.members[member].generation.unwrap_or(-1);
    let newest = members.iter().map(|&member| generation(member)).max().unwrap();
    let earlier = |partition: TopicPartition| {
        let mut had: Vec<usize> = members
            .iter()
            .copied()
            .filter(|&m| generation(m) < newest && group.members[m].owned.contains(&partition))
            .collect();
        had.sort_by_key(|&member| (-generation(member), place_of(member)));
        had.first().copied().filter(|member| subscribers(partition.topic).contains(member))
    };
    let shared = |partition: &&TopicPartition| subscribers(partition.topic).len() >= 2;
    let before = owner.clone();
    let mut origin: BTreeMap<TopicPartition, usize> = BTreeMap::new();
    let mut walk = |owner: &mut BTreeMap<TopicPartition, usize>, list: &[TopicPartition]| {
        let mut any = false;
        for &partition in list.iter().filter(shared) {
            let from = owner[&partition];
            let least =
                subscribers(partition.topic).into_iter().min_by_key(|&m| size(owner, m)).unwrap();
            if size(owner, from) <= size(owner, least) + 1 {
                continue;
            }
            let helps = |to: usize| size(owner, from) > size(owner, to) + 1;
            let to = earlier(partition).filter(|&member| helps(member)).unwrap_or(least);
            let first = origin.get(&partition).copied().unwrap_or(from);
            let undo = all.iter().copied().find(|other| {
                other.topic == partition.topic
                    && origin.get(other) == Some(&to)
                    && owner[other] == first
            });
            let moved =
                undo.filter(|_| size(owner, first) > size(owner, to) + 1).unwrap_or(partition);
            let came_from = *origin.entry(moved).or_insert(owner[&moved]);
            if came_from == to {
                origin.remove(&moved);
            }
            owner.insert(moved, to);
            any = true;
        }
        any
    };
    if !dropped {
        while walk(&mut owner, &free) {}
    }
    let mut improved = false;
    while walk(&mut owner, &all) {
        improved = true;
    }
    // Members that can neither get nor lose anything do not count.
    let counted: Vec<usize> = members
        .iter()
        .copied()
        .filter(|&member| {
            let wanted: u32 =
                group.members[member].topics.iter().map(|&topic| count(group, topic)).sum();
            let mut has = before.iter().filter(|&(_, &other)| other == member);
            size(&before, member) < wanted as usize || has.any(|(partition, _)| shared(&partition))
        })
        .collect();
    let score = |owner: &BTreeMap<TopicPartition, usize>| -> usize {
        let pairs = counted.iter().flat_map(|&a| counted.iter().map(move |&b| (a, b)));
        pairs.map(|(a, b)| size(owner, a).abs_diff(size(owner, b))).sum()
    };
    if !from_nothing && improved && score(&owner) >= score(&before) {
        owner = before;
    }
    let mut lists: Lists = vec![Vec::new(); members.len()];
    for (partition, member) in owner {
        lists[member].push(partition);
    }
    sorted(lists)
}

/// The server-side uniform target for equal subscriptions, topics dealt out by name.
pub fn uniform_equal(group: &Group) -> Lists {
    let members = by_id(group);
    let all: Vec<TopicPartition> = topics_by_name(group)
        .into_iter()
        .filter(|topic| group.members[0].topics.contains(topic))
        .flat_map(|topic| {
            (0..count(group, topic)).map(move |partition| TopicPartition::new(topic, partition))
        })
        .collect();
    let (low, mut larger) = (all.len() / members.len(), all.len() % members.len());
    let mut lists: Lists = vec![Vec::new(); members.len()];
    let mut free = all.clone();
    let (mut revoked, mut unfilled) = (Vec::new(), Vec::new());
    for &member in &members {
        let mut had: Vec<TopicPartition> = all
            .iter()
            .copied()
            .filter(|partition| {
                group.members[member].owned.contains(partition) && free.contains(partition)
            })
            .collect();
        free.retain(|partition| !had.contains(partition));
        let keeps_larger = had.len() > low && larger > 0;
        if keeps_larger {
            larger -= 1;
        } else {
            unfilled.push(member);
        }
        let quota = (low + usize::from(keeps_larger)).min(had.len());
        revoked.extend(had.drain(quota..));
        lists[member] = had;
    }
    free.extend(revoked);
    let mut free = free.into_iter();
    for (place, &member) in unfilled.iter().enumerate() {
        let quota = low + usize::from(unfilled.len() - place <= larger);
        while lists[member].len() < quota {
            lists[member].push(free.next().unwrap());
        }
    }
    sorted(lists)
}
