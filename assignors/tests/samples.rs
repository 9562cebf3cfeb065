//! The samples that the service's contract shows, and how a thin sticky group goes on from its
//! previous target.

use assignors::{Assignment, Group, Member, Topic, TopicPartition, by_name};

/// A group of one topic, each member having owned these partitions.
fn group(partitions: u32, members: &[(&str, &[u32])]) -> Group {
    let topics: std::sync::Arc<[u32]> = [0].into();
    let member = |&(id, owned): &(&str, &[u32])| {
        let owned = owned.iter().map(|&partition| TopicPartition::new(0, partition)).collect();
        Member::new(id, topics.clone()).with_owned(owned, Some(1))
    };
    Group {
        topics: vec![Topic::new("t", partitions)],
        members: members.iter().map(member).collect(),
    }
}

fn assign(name: &str, group: &Group) -> Assignment {
    by_name(name).expect("a known name").assign(group).expect("a possible group")
}

fn numbers(lists: &[Vec<TopicPartition>]) -> Vec<Vec<u32>> {
    lists.iter().map(|list| list.iter().map(|partition| partition.partition).collect()).collect()
}

#[test]
fn range() {
    let three = [("c1", &[][..]), ("c2", &[]), ("c3", &[])];
    let lists =
        |partitions, members| numbers(&assign("range", &group(partitions, members)).members);
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
    assert_eq!(second.transferring, [(TopicPartition::new(0, 5), 3)]);
    assert_eq!(numbers(&second.target()), [vec![0, 3], vec![1, 4], vec![2], vec![5]]);

    // c3 has given it up: the next round hands it out and changes nothing else.
    let owned = numbers(&second.members);
    let four = [("c1", &owned[0][..]), ("c2", &owned[1]), ("c3", &owned[2]), ("c4", &owned[3])];
    let third = assign("cooperative-sticky", &group(6, &four));
    assert!(third.transferring.is_empty());
    assert_eq!(numbers(&third.members), numbers(&second.into_target()));
}

/// Two members claim one partition in one generation. With equal subscriptions nobody is believed
/// and the partition is withheld; with different ones it is only withheld if its new owner did not
/// claim it.
#[test]
fn disputed_partitions() {
    let mut group = group(3, &[("c1", &[0, 1]), ("c2", &[0, 2]), ("c3", &[])]);
    let equal = assign("cooperative-sticky", &group);
    assert_eq!(numbers(&equal.members), [vec![1], vec![2], vec![]]);
    assert_eq!(equal.transferring, [(TopicPartition::new(0, 0), 2)]);

    group.members[2].topics = [].into();
    let different = assign("cooperative-sticky", &group);
    assert_eq!(numbers(&different.members), [vec![0, 1], vec![2], vec![]]);
    assert!(different.transferring.is_empty());
}

/// `b` has one partition of the shared topic to give; when it has none left, the others go on
/// giving in turn.
#[test]
fn uniform_passes_over_members_with_nothing_to_give() {
    let list = |topic, partitions: std::ops::Range<u32>| -> Vec<TopicPartition> {
        partitions.map(|partition| TopicPartition::new(topic, partition)).collect()
    };
    let of_b = [list(0, 9..10), list(1, 0..8)].concat();
    let group = Group {
        topics: vec![Topic::new("shared", 19), Topic::new("own", 8)],
        members: vec![
            Member::new("a", [0]).with_owned(list(0, 0..9), None),
            Member::new("b", [0, 1]).with_owned(of_b, None),
            Member::new("c", [0]).with_owned(list(0, 10..19), None),
            Member::new("d", [0]),
        ],
    };
    let sizes: Vec<usize> = assign("uniform-server", &group).members.iter().map(Vec::len).collect();
    assert_eq!(sizes, [7, 8, 6, 6]);
}
