//! Members come and go, one at a time: [`Loads`] decides as `sticky` does for all of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use assignors::{Group, Loads, Member, Topic, TopicPartition, by_name};
use proptest::prelude::{ProptestConfig, any, prop, prop_assert_eq, proptest};

/// What each member has. Their names are in the same order for Kafka as for Rust.
type Lists = BTreeMap<String, Vec<TopicPartition>>;

fn sticky(partitions: &[u32], lists: &Lists) -> Lists {
    let topic = |(i, count): (usize, &u32)| Topic::new(format!("t{i}").as_str(), *count);
    let all: Arc<[u32]> = (0..partitions.len() as u32).collect();
    let member = |(id, owned): (&String, &Vec<TopicPartition>)| {
        let mut member = Member::new(id.as_str(), all.clone());
        member.owned = owned.clone();
        member.generation = (!owned.is_empty()).then_some(1);
        member
    };
    let group = Group {
        topics: partitions.iter().enumerate().map(topic).collect(),
        members: lists.iter().map(member).collect(),
    };
    let assigned = by_name("sticky").expect("is known").assign(&group).expect("is possible");
    lists.keys().cloned().zip(assigned.members).collect()
}

fn loads(lists: &Lists) -> Loads<String> {
    let mut loads = Loads::default();
    lists.iter().for_each(|(id, list)| loads.insert(id.clone(), list.len() as u32));
    loads
}

/// A member comes that has nothing yet.
fn join(lists: &mut Lists, name: &str, partitions: u32) {
    lists.insert(name.to_owned(), Vec::new());
    let changes = loads(lists).join(&name.to_owned(), partitions).expect("all is shared evenly");
    let mut moved = Vec::new();
    for (from, keeps) in changes {
        let list = lists.get_mut(&from).expect("a member");
        list.sort_by_key(|p| (p.partition, p.topic));
        moved.extend(list.drain(keeps as usize..));
        list.sort_unstable();
    }
    moved.sort_unstable();
    lists.insert(name.to_owned(), moved);
}

fn leave(lists: &mut Lists, name: &str, partitions: u32) {
    let freed = lists.remove(name).expect("a member");
    let to = loads(lists).leave(partitions, freed.len() as u32).expect("all is shared evenly");
    for (to, partition) in to.into_iter().zip(freed) {
        let list = lists.get_mut(&to).expect("a member");
        list.push(partition);
        list.sort_unstable();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn one_member_more_or_less_is_dealt_with_as_sticky_does(
        partitions in prop::collection::vec(1..12_u32, 1..4),
        steps in prop::collection::vec((0..16_u32, any::<bool>()), 1..60),
    ) {
        let all = partitions.iter().sum();
        let mut lists = sticky(&partitions, &Lists::from([("m".to_owned(), Vec::new())]));
        for (number, comes) in steps {
            let name = format!("c{number}");
            let mut anew = lists.clone();
            if comes && !lists.contains_key(&name) {
                anew.insert(name.clone(), Vec::new());
                join(&mut lists, &name, all);
            } else if lists.contains_key(&name) {
                anew.remove(&name);
                leave(&mut lists, &name, all);
            }
            prop_assert_eq!(&lists, &sticky(&partitions, &anew));
        }
    }
}

#[test]
fn what_is_not_shared_evenly_has_to_be_computed() {
    let mut loads = Loads::default();
    assert_eq!(loads.join(&"a", 0), None, "there is nobody");
    loads.insert("a", 3);
    loads.insert("b", 1);
    loads.insert("c", 0);
    assert_eq!(loads.join(&"c", 4), None, "one has two more than the other");
    assert_eq!(loads.leave(5, 1), None);
    loads.remove(&"a", 3);
    loads.insert("a", 1);
    assert_eq!(loads.join(&"c", 3), None, "one partition is nobody's");
    assert_eq!(loads.join(&"c", 2), Some(Vec::new()), "more members than partitions");
    assert_eq!(loads.of(1).collect::<Vec<_>>(), [&"a", &"b"]);
    assert_eq!(loads.total(), 2);
}
