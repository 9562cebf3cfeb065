//! Impossible groups are refused, by every assignor, with the value and what was expected.

use std::sync::Arc;

use assignors::{AssignError, Group, Member, Topic, TopicPartition, all, by_name};

fn group() -> Group {
    let topics: Arc<[u32]> = [0, 1].into();
    Group {
        topics: vec![Topic::new("t", 3), Topic::new("u", 2)],
        members: vec![Member::new("a", topics.clone()), Member::new("b", topics)],
    }
}

fn refused(group: &Group, message: &str) {
    for assignor in all() {
        let error = assignor.assign(group).expect_err(assignor.name());
        assert_eq!(error.to_string(), message, "{}", assignor.name());
    }
}

#[test]
fn duplicate_member() {
    let mut group = group();
    group.members[1].id = "a".into();
    refused(&group, "member id `a` occurs more than once, expected unique member ids");
}

#[test]
fn duplicate_instance() {
    let mut group = group();
    group.members[0].instance_id = Some("i".into());
    group.members[1].instance_id = Some("i".into());
    refused(&group, "instance id `i` is used by members `a` and `b`, expected one member each");
    group.members.reverse();
    refused(&group, "instance id `i` is used by members `a` and `b`, expected one member each");
}

#[test]
fn duplicate_topic() {
    let mut group = group();
    group.topics[1].name = "t".into();
    refused(&group, "topic name `t` occurs more than once, expected unique topic names");
}

#[test]
fn topic_out_of_range() {
    let mut group = group();
    group.members[1].topics = [0, 2].into();
    refused(&group, "member `b` refers to topic index 2, expected an index below 2");
    group.members[1].topics = [0].into();
    group.members[0].owned = vec![TopicPartition::new(0, 0), TopicPartition::new(7, 0)];
    refused(&group, "member `a` refers to topic index 7, expected an index below 2");
}

#[test]
fn unsorted_subscription() {
    let mut group = group();
    group.members[0].topics = [1, 0].into();
    refused(
        &group,
        "member `a` subscribes to topic index 0 after 1, expected strictly ascending indices",
    );
    group.members[0].topics = [1, 1].into();
    refused(
        &group,
        "member `a` subscribes to topic index 1 after 1, expected strictly ascending indices",
    );
}

#[test]
fn racks_for_some_partitions_only() {
    let mut group = group();
    group.topics[0].racks = Some(vec![vec!["r".into()]].into());
    refused(&group, "topic `t` has racks for 1 partitions, expected 3");
}

#[test]
fn too_many_partitions() {
    let mut group = group();
    group.topics[0].partitions = Some(u32::MAX - 1);
    refused(&group, "the topics have 4294967296 partitions together, expected at most 4294967294");
}

#[test]
fn missing_topic_is_an_error_on_the_server_only() {
    let mut group = group();
    group.topics[1] = Topic::missing("gone");
    for assignor in all() {
        match (assignor.name().ends_with("-server"), assignor.assign(&group)) {
            (true, Err(error)) => {
                assert_eq!(
                    error.to_string(),
                    "member `a` subscribes to topic `gone`, expected an existing topic"
                );
                assert!(matches!(error, AssignError::MissingTopic { .. }));
            }
            (false, Ok(assignment)) => {
                assert_eq!(assignment.members.iter().map(Vec::len).sum::<usize>(), 3);
            }
            (_, other) => panic!("{}: {other:?}", assignor.name()),
        }
    }
}

#[test]
fn nobody_and_nothing() {
    for assignor in all() {
        let empty = Group::default();
        assert_eq!(assignor.assign(&empty).unwrap().members.len(), 0, "{}", assignor.name());
        let mut idle = group();
        idle.members.clear();
        assert_eq!(assignor.assign(&idle).unwrap().members.len(), 0, "{}", assignor.name());
        let mut unsubscribed = group();
        for member in &mut unsubscribed.members {
            member.topics = [].into();
        }
        assert_eq!(
            assignor.assign(&unsubscribed).unwrap().members,
            [[], []],
            "{}",
            assignor.name()
        );
    }
}

#[test]
fn names() {
    let names: Vec<&str> = all().iter().map(|assignor| assignor.name()).collect();
    let expected =
        ["range", "roundrobin", "sticky", "cooperative-sticky", "range-server", "uniform-server"];
    assert_eq!(names, expected);
    for name in names {
        assert_eq!(by_name(name).map(|assignor| assignor.name()), Some(name));
    }
    assert!(by_name("Range").is_none() && by_name("").is_none());
}
