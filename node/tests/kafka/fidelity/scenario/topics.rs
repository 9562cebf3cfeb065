//! CreateTopics, DeleteTopics, CreatePartitions, Metadata.

use wire::kafka_protocol::messages::create_partitions_request::CreatePartitionsAssignment;
use wire::kafka_protocol::messages::delete_topics_request::{
    DeleteTopicState, DeleteTopicsRequest,
};
use wire::kafka_protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use wire::versions::{CREATE_PARTITIONS, CREATE_TOPICS, DELETE_TOPICS, METADATA};

use super::super::play::Play;
use super::requests::{
    all, assigned, create, delete, grow, make, metadata, settle, settle_gone, text, topic,
};

/// A partition, and the brokers on which it is to lie.
type Assigned<'a> = (i32, &'a [i32]);

/// The broker's id, as it says.
fn broker(play: &mut Play) -> i32 {
    let told = play.quietly(METADATA, 9, metadata(&[]));
    i32::try_from(told.number("/controller_id")).expect("an id")
}

pub fn create_topics(play: &mut Play) {
    let id = broker(play);
    play.ask("who is there", METADATA, 9, metadata(&[]));
    play.each("good", CREATE_TOPICS, all(CREATE_TOPICS), |v| {
        create(vec![topic(&format!("made-{v}"), 2, 1)])
    });
    play.each("exists", CREATE_TOPICS, [2, 5, 7], |_| create(vec![topic("made-2", 2, 1)]));
    play.each("only checked, exists", CREATE_TOPICS, [2, 7], |_| {
        create(vec![topic("made-2", 3, 1)]).with_validate_only(true)
    });
    play.each("defaults", CREATE_TOPICS, all(CREATE_TOPICS), |v| {
        create(vec![topic(&format!("default-{v}"), -1, -1)])
    });
    play.each("twice in a request", CREATE_TOPICS, [4, 7], |_| {
        create(vec![topic("twice", 1, 1), topic("twice", 2, 1), topic("once", 1, 1)])
    });
    play.each("none", CREATE_TOPICS, [2, 7], |_| create(Vec::new()));
    for partitions in [0, -2, i32::MIN] {
        let request = |_| create(vec![topic("bad", partitions, 1)]);
        play.each(&format!("{partitions} partitions"), CREATE_TOPICS, [2, 7], request);
    }
    for replicas in [0, -2, 2, i16::MAX] {
        let request = |_| create(vec![topic("bad", 1, replicas)]);
        play.each(&format!("{replicas} replicas"), CREATE_TOPICS, [2, 7], request);
    }
    let request = create(vec![topic("bad", 0, 0)]);
    play.ask("neither partitions nor replicas", CREATE_TOPICS, 7, request);
    let request = create(vec![topic("good", 1, 1), topic("bad", 0, 1), topic("b d", 1, 1)]);
    play.ask("good and bad", CREATE_TOPICS, 7, request);
    play.each("assigned", CREATE_TOPICS, all(CREATE_TOPICS), |v| {
        create(vec![assigned(&format!("assigned-{v}"), &[(0, &[id]), (1, &[id])])])
    });
    let bad: [(&str, &[Assigned<'_>]); 7] = [
        ("a gap", &[(0, &[id]), (2, &[id])]),
        ("from 1", &[(1, &[id])]),
        ("a partition twice", &[(0, &[id]), (0, &[id])]),
        ("no broker", &[(0, &[])]),
        ("a broker twice", &[(0, &[id, id])]),
        ("an unknown broker", &[(0, &[77])]),
        ("a negative partition", &[(-1, &[id])]),
    ];
    for (what, assignment) in bad {
        let request = create(vec![assigned("bad", assignment)]);
        play.ask(&format!("assigned with {what}"), CREATE_TOPICS, 7, request);
    }
    for (what, partitions, replicas) in [("partitions", 1, -1), ("replicas", -1, 1), ("both", 1, 1)]
    {
        let topic = assigned("bad", &[(0, &[id])]);
        let topic = topic.with_num_partitions(partitions).with_replication_factor(replicas);
        play.ask(&format!("assigned and {what}"), CREATE_TOPICS, 7, create(vec![topic]));
    }
    // Kafka tells the id of a topic that it does not make.
    play.each("only checked", CREATE_TOPICS, all(CREATE_TOPICS), |_| {
        create(vec![topic("checked", 3, 1)]).with_validate_only(true)
    });
}

pub fn names(play: &mut Play) {
    let long = "n".repeat(249);
    let longer = "n".repeat(250);
    for name in ["", ".", "..", "a b", "a/b", "é", "a:b", "a\\b", &longer] {
        let what = if name.len() > 9 { "250 letters" } else { name };
        let request = create(vec![topic(name, 1, 1)]);
        play.ask(&format!("made of name `{what}`"), CREATE_TOPICS, 7, request);
        play.ask(&format!("metadata of `{what}`"), METADATA, 9, metadata(&[name]));
    }
    for name in ["...", "A_b-c.9", "-", "_", &long] {
        let what = if name.len() > 9 { "249 letters" } else { name };
        let request = create(vec![topic(name, 1, 1)]);
        play.ask(&format!("made of name `{what}`"), CREATE_TOPICS, 7, request);
    }
    play.ask(
        "a dot and a dash collide, first",
        CREATE_TOPICS,
        7,
        create(vec![topic("co.lide", 1, 1)]),
    );
    settle(play, "co.lide", 1);
    let second = create(vec![topic("co_lide", 1, 1)]);
    play.ask("a dot and a dash collide, second", CREATE_TOPICS, 7, second);
    for name in ["...", "A_b-c.9", "-", "_", &long, "co.lide"] {
        settle(play, name, 1);
        play.quietly(DELETE_TOPICS, 5, delete(5, &[name]));
        settle_gone(play, name);
    }
}

pub fn delete_topics(play: &mut Play) {
    for version in all(DELETE_TOPICS) {
        let name = format!("gone-{version}");
        make(play, &name, 1);
        play.ask("good", DELETE_TOPICS, version, delete(version, &[&name]));
        settle_gone(play, &name);
        play.ask("again", DELETE_TOPICS, version, delete(version, &[&name]));
    }
    for version in [1, 6] {
        play.ask("none", DELETE_TOPICS, version, delete(version, &[]));
        play.ask("unknown", DELETE_TOPICS, version, delete(version, &["unknown", "other"]));
        play.ask("twice", DELETE_TOPICS, version, delete(version, &["unknown", "unknown"]));
        play.ask("bad names", DELETE_TOPICS, version, delete(version, &["", "a b", ".."]));
    }
    make(play, "half", 1);
    play.ask("one of two", DELETE_TOPICS, 6, delete(6, &["half", "unknown"]));
    settle_gone(play, "half");
    make(play, "double", 1);
    play.ask("one that exists twice", DELETE_TOPICS, 6, delete(6, &["double", "double"]));
    play.quietly(DELETE_TOPICS, 5, delete(5, &["double"]));
    settle_gone(play, "double");
    make(play, "by-id", 1);
    let told = play.ask("of by-id", METADATA, 12, metadata(&["by-id"]));
    let id: uuid::Uuid = told.text("/topics/0/topic_id").parse().expect("an id");
    let by = |states: Vec<DeleteTopicState>| {
        DeleteTopicsRequest::default().with_topics(states).with_timeout_ms(10_000)
    };
    let state = DeleteTopicState::default;
    let both = state().with_topic_id(id).with_name(Some(text("by-id").into()));
    play.ask("by name and id", DELETE_TOPICS, 6, by(vec![both]));
    play.ask("by neither", DELETE_TOPICS, 6, by(vec![state().with_name(None)]));
    let unknown = state().with_name(None).with_topic_id(uuid::Uuid::from_u128(77));
    play.ask("by an unknown id", DELETE_TOPICS, 6, by(vec![unknown]));
    let own = state().with_name(None).with_topic_id(id);
    let twice = by(vec![own.clone(), state().with_name(Some(text("by-id").into()))]);
    play.ask("by id, and by name", DELETE_TOPICS, 6, twice);
    play.quietly(DELETE_TOPICS, 5, delete(5, &["by-id"]));
    settle_gone(play, "by-id");
    make(play, "by-id-2", 1);
    let told = play.ask("of by-id-2", METADATA, 12, metadata(&["by-id-2"]));
    let id: uuid::Uuid = told.text("/topics/0/topic_id").parse().expect("an id");
    let own = state().with_name(None).with_topic_id(id);
    play.ask("by id", DELETE_TOPICS, 6, by(vec![own.clone()]));
    settle_gone(play, "by-id-2");
    play.ask("by id, again", DELETE_TOPICS, 6, by(vec![own]));
}

pub fn grow_topics(play: &mut Play) {
    let id = broker(play);
    play.ask("who is there", METADATA, 9, metadata(&[]));
    make(play, "grown", 1);
    for version in all(CREATE_PARTITIONS) {
        let count = i32::from(version) + 2;
        play.ask("good", CREATE_PARTITIONS, version, grow("grown", count));
        settle(play, "grown", count);
        play.ask("as many", CREATE_PARTITIONS, version, grow("grown", count));
        let checked = grow("grown", count + 3).with_validate_only(true);
        play.ask("only checked", CREATE_PARTITIONS, version, checked);
    }
    for count in [1, 0, -1, i32::MIN] {
        play.ask(&format!("to {count}"), CREATE_PARTITIONS, 3, grow("grown", count));
    }
    play.ask("unknown", CREATE_PARTITIONS, 3, grow("unknown", 2));
    play.ask("bad name", CREATE_PARTITIONS, 3, grow("a b", 2));
    play.ask("none", CREATE_PARTITIONS, 3, grow("x", 2).with_topics(Vec::new()));
    let mut twice = grow("grown", 8);
    twice.topics.push(twice.topics[0].clone().with_count(9));
    play.ask("twice", CREATE_PARTITIONS, 3, twice);
    let assigned = |assignments: &[&[i32]]| {
        let assignment = |brokers: &&[i32]| {
            let brokers = brokers.iter().map(|broker| (*broker).into()).collect();
            CreatePartitionsAssignment::default().with_broker_ids(brokers)
        };
        let mut request = grow("grown", 7);
        request.topics[0].assignments = Some(assignments.iter().map(assignment).collect());
        request
    };
    let bad: [(&str, &[&[i32]]); 5] = [
        ("too few", &[&[id]]),
        ("too many", &[&[id], &[id], &[id]]),
        ("no broker", &[&[id], &[]]),
        ("a broker twice", &[&[id, id], &[id, id]]),
        ("an unknown broker", &[&[77], &[id]]),
    ];
    for (what, assignments) in bad {
        play.ask(&format!("assigned with {what}"), CREATE_PARTITIONS, 3, assigned(assignments));
    }
    play.ask("assigned", CREATE_PARTITIONS, 3, assigned(&[&[id], &[id]]));
    settle(play, "grown", 7);
    play.ask("at last", METADATA, 9, metadata(&["grown"]));
}

pub fn metadata_of_topics(play: &mut Play) {
    make(play, "seen", 2);
    play.each("good", METADATA, all(METADATA), |v| {
        // The oldest versions always allow that topics are made.
        metadata(&["seen"]).with_allow_auto_topic_creation(v < 4)
    });
    play.each("unknown", METADATA, [4, 9, 12], |_| metadata(&["seen", "unknown"]));
    play.each("no topics", METADATA, 1..=12, |v| {
        metadata(&[]).with_allow_auto_topic_creation(v < 4)
    });
    play.ask("twice", METADATA, 9, metadata(&["seen", "seen"]));
    play.each("operations", METADATA, [8, 9, 10], |_| {
        metadata(&["seen"])
            .with_include_cluster_authorized_operations(true)
            .with_include_topic_authorized_operations(true)
    });
    let everything = MetadataRequest::default().with_topics(None);
    play.ask("everything", METADATA, 9, everything.with_allow_auto_topic_creation(false));
    let told = play.ask("before ids", METADATA, 12, metadata(&["seen"]));
    let id: uuid::Uuid = told.text("/topics/0/topic_id").parse().expect("an id");
    let by = |ids: &[(uuid::Uuid, Option<&str>)]| {
        let topic = |(id, name): &(uuid::Uuid, Option<&str>)| {
            let name = name.map(|name| text(name).into());
            MetadataRequestTopic::default().with_topic_id(*id).with_name(name)
        };
        metadata(&[]).with_topics(Some(ids.iter().map(topic).collect()))
    };
    let unknown = uuid::Uuid::from_u128(78);
    play.ask("by id", METADATA, 12, by(&[(id, None)]));
    play.ask("by an unknown id", METADATA, 12, by(&[(unknown, None), (id, None)]));
    play.ask("by id twice", METADATA, 12, by(&[(id, None), (id, None)]));
    play.ask("by id and name", METADATA, 12, by(&[(id, None), (uuid::Uuid::nil(), Some("seen"))]));
    play.ask("by neither", METADATA, 12, by(&[(uuid::Uuid::nil(), None)]));
    play.ask("by id in version 10", METADATA, 10, by(&[(id, Some("seen"))]));
    let made = metadata(&["made-by-asking"]).with_allow_auto_topic_creation(true);
    play.ask("makes one", METADATA, 9, made);
    settle(play, "made-by-asking", 1);
    let bad = metadata(&["not made"]).with_allow_auto_topic_creation(true);
    play.ask("makes none of a bad name", METADATA, 9, bad);
}
