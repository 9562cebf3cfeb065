//! Random groups for the property tests.

use std::collections::BTreeSet;
use std::sync::Arc;

use assignors::{Group, Member, Topic, TopicId, TopicPartition};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};

/// What a random group may have in it.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Everyone subscribes to the same topics.
    pub equal: bool,
    /// Members and partitions have racks.
    pub racks: bool,
    /// Some topics do not exist.
    pub missing: bool,
    /// Members claim arbitrary partitions in arbitrary generations; otherwise they owned nothing.
    pub claims: bool,
}

pub const PLAIN: Shape = Shape { equal: false, racks: false, missing: false, claims: false };

const MAX_TOPICS: usize = 5;
const MAX_MEMBERS: usize = 8;
const RACKS: [&str; 4] = ["", "r1", "r2", "r3"];

/// Groups of a shape, with names in no order.
pub fn groups(shape: Shape) -> impl Strategy<Value = Group> {
    (topics(shape), 1..=MAX_MEMBERS).prop_flat_map(move |(topics, members)| {
        let count = topics.len() as u32;
        let subscription = vec(any::<bool>(), topics.len()).prop_map(move |wanted| {
            (0..count).filter(|&topic| wanted[topic as usize]).collect::<Vec<u32>>()
        });
        let subscriptions = if shape.equal {
            subscription.prop_map(move |one| vec![one; members]).boxed()
        } else {
            vec(subscription, members).boxed()
        };
        let claims = if shape.claims {
            vec(vec((0..count, 0..9u32), 0..9), members).boxed()
        } else {
            Just(vec![Vec::new(); members]).boxed()
        };
        let generations = vec(prop_oneof![Just(None), (0..3).prop_map(Some)], members);
        let statics = vec(any::<bool>(), members);
        let racks = vec(0..RACKS.len(), members);
        let ids = Just((0..members).collect::<Vec<_>>()).prop_shuffle();
        (Just(topics), subscriptions, claims, generations, statics, racks, ids).prop_map(
            move |(topics, subscriptions, claims, generations, statics, racks, ids)| {
                let members = (0..members)
                    .map(|index| Member {
                        id: format!("m{}", ids[index]).into(),
                        instance_id: statics[index]
                            .then(|| format!("i{}", (ids[index] * 5) % 11).into()),
                        rack: shape.racks.then(|| RACKS[racks[index]].into()),
                        topics: subscriptions[index].clone().into(),
                        owned: claims[index]
                            .iter()
                            .map(|&(t, p)| TopicPartition::new(t, p))
                            .collect(),
                        generation: generations[index],
                    })
                    .collect();
                Group { topics, members }
            },
        )
    })
}

fn topics(shape: Shape) -> impl Strategy<Value = Vec<Topic>> {
    let count = if shape.missing {
        prop_oneof![Just(None), (0..9u32).prop_map(Some)].boxed()
    } else {
        (0..9u32).prop_map(Some).boxed()
    };
    let racks = vec(proptest::collection::btree_set(1..RACKS.len(), 0..3), 9);
    let topic = (count, any::<[u8; 16]>(), any::<bool>(), racks);
    (vec(topic, 1..=MAX_TOPICS), Just((0..MAX_TOPICS).collect::<Vec<_>>()).prop_shuffle()).prop_map(
        move |(topics, names)| {
            let topics = topics.into_iter().zip(names);
            topics
                .map(|((partitions, id, everywhere, racks), name)| Topic {
                    name: format!("t{name}").into(),
                    partitions,
                    id: Some(TopicId(id)),
                    rank: 0,
                    racks: shape.racks.then(|| {
                        let of = |racks: &BTreeSet<usize>| -> Vec<Arc<str>> {
                            let all: BTreeSet<usize> = (1..RACKS.len()).collect();
                            let racks = if everywhere { &all } else { racks };
                            racks.iter().map(|&rack| RACKS[rack].into()).collect()
                        };
                        racks[..partitions.unwrap_or(0) as usize].iter().map(of).collect()
                    }),
                })
                .collect()
        },
    )
}

/// The group in the same situation, with its topics and members in another order.
pub fn reordered(group: &Group, topics: &[usize], members: &[usize]) -> Group {
    // `topics[new] = old`; indices have to be translated the other way.
    let mut place = vec![0u32; topics.len()];
    for (new, &old) in topics.iter().enumerate() {
        place[old] = new as u32;
    }
    let member = |&old: &usize| {
        let mut member = group.members[old].clone();
        let mut topics: Vec<u32> =
            member.topics.iter().map(|&topic| place[topic as usize]).collect();
        topics.sort_unstable();
        member.topics = topics.into();
        member.owned.reverse();
        for partition in &mut member.owned {
            partition.topic = place[partition.topic as usize];
        }
        member
    };
    Group {
        topics: topics.iter().map(|&old| group.topics[old].clone()).collect(),
        members: members.iter().map(member).collect(),
    }
}

/// The group after a rebalance: members own what they have got, in this generation.
pub fn after(group: &Group, target: &[Vec<TopicPartition>], generation: i32) -> Group {
    let mut group = group.clone();
    for (member, owned) in group.members.iter_mut().zip(target) {
        member.owned.clone_from(owned);
        member.generation = Some(generation);
    }
    group
}
