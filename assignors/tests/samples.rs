//! The samples that the service's contract shows, and how a thin sticky group goes on from its previous target.

use assignors::{Assignment, Group, Member, Topic, by_name};

/// A group of one topic, each member having owned these partitions.
fn group(partitions: u32, members: &[(&str, &[u32])]) -> Group {
    let topics: std::sync::Arc<[u32]> = [0].into();
    let member = |&(id, owned): &(&str, &[u32])| {
        let owned = owned.iter().map(|&partition| assignors::TopicPartition::new(0, partition)).collect();
        Member::new(id, topics.clone()).with_owned(owned, Some(1))
    };
    Group { topics: vec![Topic::new("t", partitions)], members: members.iter().map(member).collect() }
}

fn assign(name: &str, group: &Group) -> Assignment {
    by_name(name).expect("a known name").assign(group).expect("a possible group")
}

fn numbers(lists: &[Vec<assignors::TopicPartition>]) -> Vec<Vec<u32>> {
    lists.iter().map(|list| list.iter().map(|partition| partition.partition).collect()).collect()
}

#[test]
fn range() {
    let three = [("c1", &[][..]), ("c2", &[]), ("c3", &[])];
    let lists = |partitions, members| numbers(&assign("range", &group(partitions, members)).members);
    assert_eq!(lists(6, &three), [[0, 1], [2, 3], [4, 5]]);
    assert_eq!(lists(6, &three[..2]), [[0, 1, 2], [3, 4, 5]]);
    assert_eq!(lists(7, &three), [vec![0, 1, 2], vec![3, 4], vec![5, 6]]);
}

#[test]
fn cooperative_moves_one_partition_to_a_fourth_consumer() {
    let first = assign("cooperative-sticky", &group(6, &[("c1", &[]), ("c2", &[]), ("c3", &[])]));
    assert!(first.transferring.is_empty());
    let owned = numbers(&first.members);
    assert_eq!(owned, [[0, 3], [1, 4], [2, 5]]);

    let four = [("c1", &owned[0][..]), ("c2", &owned[1]), ("c3", &owned[2]), ("c4", &[])];
    let second = assign("cooperative-sticky", &group(6, &four));
    assert_eq!(numbers(&second.members), [vec![0, 3], vec![1, 4], vec![2], vec![]]);
    assert_eq!(second.transferring, [(assignors::TopicPartition::new(0, 5), 3)]);
    assert_eq!(numbers(&second.target()), [vec![0, 3], vec![1, 4], vec![2], vec![5]]);

    // c3 has given it up: the next round hands it out and changes nothing else.
    let owned = numbers(&second.members);
    let four = [("c1", &owned[0][..]), ("c2", &owned[1]), ("c3", &owned[2]), ("c4", &owned[3])];
    let third = assign("cooperative-sticky", &group(6, &four));
    assert!(third.transferring.is_empty());
    assert_eq!(numbers(&third.members), numbers(&second.into_target()));
}
