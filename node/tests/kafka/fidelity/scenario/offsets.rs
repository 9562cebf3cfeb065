//! OffsetCommit, OffsetFetch, OffsetDelete: what groups have got to.

use wire::kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use wire::kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use wire::kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use wire::versions::{
    DELETE_TOPICS, JOIN_GROUP, OFFSET_COMMIT, OFFSET_DELETE, OFFSET_FETCH, SYNC_GROUP,
};

use super::super::play::Play;
use super::members::{commit, join, sync};
use super::requests::{all, coordinated, delete as delete_topics, make, settle_gone, text};

/// What groups have committed, of these partitions or of all.
fn fetch(version: i16, groups: &[&str], topics: Option<&[(&str, &[i32])]>) -> OffsetFetchRequest {
    if version < 8 {
        let topic = |(name, partitions): &(&str, &[i32])| {
            OffsetFetchRequestTopic::default()
                .with_name(text(name).into())
                .with_partition_indexes(partitions.to_vec())
        };
        let topics = topics.map(|topics| topics.iter().map(topic).collect());
        let group = text(groups[0]).into();
        return OffsetFetchRequest::default().with_group_id(group).with_topics(topics);
    }
    let topic = |(name, partitions): &(&str, &[i32])| {
        OffsetFetchRequestTopics::default()
            .with_name(text(name).into())
            .with_partition_indexes(partitions.to_vec())
    };
    let group = |group: &&str| {
        OffsetFetchRequestGroup::default()
            .with_group_id(text(group).into())
            .with_topics(topics.map(|topics| topics.iter().map(topic).collect()))
    };
    let groups = groups.iter().map(group).collect();
    // Without a name there, as versions from 8 on have none.
    OffsetFetchRequest::default().with_topics(Some(Vec::new())).with_groups(groups)
}

pub fn delete(group: &str, topics: &[(&str, &[i32])]) -> OffsetDeleteRequest {
    let topic = |(name, partitions): &(&str, &[i32])| {
        let partition =
            |index: &i32| OffsetDeleteRequestPartition::default().with_partition_index(*index);
        OffsetDeleteRequestTopic::default()
            .with_name(text(name).into())
            .with_partitions(partitions.iter().map(partition).collect())
    };
    OffsetDeleteRequest::default()
        .with_group_id(text(group).into())
        .with_topics(topics.iter().map(topic).collect())
}

pub fn committed(play: &mut Play) {
    make(play, "c", 3);
    coordinated(play, &["c"]);
    for version in all(OFFSET_COMMIT) {
        let group = &format!("c-{version}");
        coordinated(play, &[group]);
        play.ask("good", OFFSET_COMMIT, version, commit(group, "", -1, ("c", 0, 5)));
        let read = fetch(version.min(9), &[group], Some(&[("c", &[0, 1])]));
        play.ask(&format!("read back of {version}"), OFFSET_FETCH, version.min(9), read);
    }
    let only = |at| commit("c", "", -1, at);
    for version in [2, 6, 9] {
        play.ask("unknown topic", OFFSET_COMMIT, version, only(("unknown", 0, 5)));
        for partition in [3, -1] {
            let request = only(("c", partition, 5));
            play.ask(&format!("partition {partition}"), OFFSET_COMMIT, version, request);
        }
        for offset in [-1, -2, i64::MIN, i64::MAX, 0] {
            play.ask(&format!("offset {offset}"), OFFSET_COMMIT, version, only(("c", 0, offset)));
            let read = fetch(5, &["c"], Some(&[("c", &[0])]));
            play.ask(&format!("offset {offset} of {version} read back"), OFFSET_FETCH, 5, read);
        }
        let noted = |note: Option<&str>| {
            let mut request = only(("c", 1, 6));
            request.topics[0].partitions[0].committed_metadata = note.map(text);
            request
        };
        let (most, more) = ("n".repeat(4_096), "n".repeat(4_097));
        let wide = "é".repeat(4_096);
        let notes = [
            ("no note", None),
            ("an empty note", Some("")),
            ("4096 letters", Some(&*most)),
            ("4097 letters", Some(&*more)),
            ("4096 wide letters", Some(&*wide)),
        ];
        for (what, note) in notes {
            play.ask(what, OFFSET_COMMIT, version, noted(note));
            let read = fetch(5, &["c"], Some(&[("c", &[1])]));
            play.ask(&format!("{what} of {version}, read back"), OFFSET_FETCH, 5, read);
        }
        play.ask("no topics", OFFSET_COMMIT, version, only(("c", 0, 1)).with_topics(Vec::new()));
        let mut none = only(("c", 0, 1));
        none.topics[0].partitions.clear();
        play.ask("no partitions", OFFSET_COMMIT, version, none);
        play.ask("no group", OFFSET_COMMIT, version, commit("", "", -1, ("c", 0, 5)));
    }
    play.ask("bad name", OFFSET_COMMIT, 9, only(("a b", 0, 5)));
    let partition = |index, offset| {
        OffsetCommitRequestPartition::default()
            .with_partition_index(index)
            .with_committed_offset(offset)
            .with_committed_metadata(None)
    };
    let topic = |name: &str, partitions| {
        OffsetCommitRequestTopic::default().with_name(text(name).into()).with_partitions(partitions)
    };
    let mixed = only(("c", 0, 0)).with_topics(vec![
        topic("c", vec![partition(0, 8), partition(9, 8), partition(2, 9)]),
        topic("unknown", vec![partition(0, 1)]),
    ]);
    play.ask("good and bad", OFFSET_COMMIT, 9, mixed);
    let twice =
        only(("c", 0, 0)).with_topics(vec![topic("c", vec![partition(0, 11), partition(0, 12)])]);
    play.ask("a partition twice", OFFSET_COMMIT, 9, twice);
    let mut of_epoch = only(("c", 1, 13));
    of_epoch.topics[0].partitions[0].committed_leader_epoch = 0;
    play.ask("of a leader epoch", OFFSET_COMMIT, 9, of_epoch);
    let all_of = fetch(5, &["c"], Some(&[("c", &[0, 1, 2])]));
    play.ask("at last", OFFSET_FETCH, 5, all_of);
    play.ask("for a time", OFFSET_COMMIT, 4, only(("c", 0, 14)).with_retention_time_ms(1));
    play.ask("after that time", OFFSET_FETCH, 5, fetch(5, &["c"], Some(&[("c", &[0])])));
    play.ask(
        "a seat, and no member",
        OFFSET_COMMIT,
        7,
        only(("c", 0, 15)).with_group_instance_id(Some(text("seat"))),
    );
}

pub fn fetched(play: &mut Play) {
    make(play, "f", 3);
    make(play, "f-2", 1);
    coordinated(play, &["f", "f-other", "f-none", "f-member"]);
    for at in [("f", 0, 4), ("f", 2, 6), ("f-2", 0, 7)] {
        play.quietly(OFFSET_COMMIT, 7, commit("f", "", -1, at));
    }
    play.quietly(OFFSET_COMMIT, 7, commit("f-other", "", -1, ("f", 1, 3)));
    play.each("good", OFFSET_FETCH, all(OFFSET_FETCH), |v| {
        fetch(v, &["f"], Some(&[("f", &[0, 1])]))
    });
    play.each("everything", OFFSET_FETCH, 2..=9, |v| fetch(v, &["f"], None));
    play.each("no topics", OFFSET_FETCH, all(OFFSET_FETCH), |v| fetch(v, &["f"], Some(&[])));
    play.each("no partitions", OFFSET_FETCH, [1, 9], |v| fetch(v, &["f"], Some(&[("f", &[])])));
    play.each("unknown topic", OFFSET_FETCH, [1, 5, 9], |v| {
        fetch(v, &["f"], Some(&[("unknown", &[0])]))
    });
    play.each("unknown partitions", OFFSET_FETCH, [1, 5, 9], |v| {
        fetch(v, &["f"], Some(&[("f", &[0, 9, -1])]))
    });
    play.each("a partition twice", OFFSET_FETCH, [5, 9], |v| {
        fetch(v, &["f"], Some(&[("f", &[0, 0])]))
    });
    play.each("a topic twice", OFFSET_FETCH, [5, 9], |v| {
        fetch(v, &["f"], Some(&[("f", &[0]), ("f", &[2])]))
    });
    play.each("unknown group", OFFSET_FETCH, all(OFFSET_FETCH), |v| {
        fetch(v, &["f-none"], Some(&[("f", &[0])]))
    });
    play.each("everything of an unknown group", OFFSET_FETCH, 2..=9, |v| {
        fetch(v, &["f-none"], None)
    });
    play.each("no group", OFFSET_FETCH, [1, 2, 7, 8, 9], |v| fetch(v, &[""], Some(&[("f", &[0])])));
    play.each("bad name", OFFSET_FETCH, [1, 9], |v| {
        fetch(v, &["f"], Some(&[("a b", &[0]), ("", &[0])]))
    });
    play.each("stable only", OFFSET_FETCH, [7, 9], |v| {
        fetch(v, &["f"], Some(&[("f", &[0])])).with_require_stable(true)
    });
    play.each("three groups", OFFSET_FETCH, [8, 9], |v| {
        fetch(v, &["f", "f-other", "f-none"], None)
    });
    play.each("a group twice", OFFSET_FETCH, [8, 9], |v| {
        fetch(v, &["f", "f"], Some(&[("f", &[0])]))
    });
    play.each("no groups", OFFSET_FETCH, [8, 9], |v| fetch(v, &[], None));
    let as_member = |member: &str, epoch: i32| {
        let mut request = fetch(9, &["f"], Some(&[("f", &[0])]));
        request.groups[0].member_id = Some(text(member));
        request.groups[0].member_epoch = epoch;
        request
    };
    play.ask("as a member of a group that has none", OFFSET_FETCH, 9, as_member("stranger", 3));
    play.ask("as a member of no epoch", OFFSET_FETCH, 9, as_member("stranger", -1));
    play.ask("as nobody", OFFSET_FETCH, 9, as_member("", 0));
    make(play, "f-gone", 1);
    play.quietly(OFFSET_COMMIT, 7, commit("f", "", -1, ("f-gone", 0, 9)));
    play.ask(
        "before its topic is gone",
        OFFSET_FETCH,
        5,
        fetch(5, &["f"], Some(&[("f-gone", &[0])])),
    );
    play.quietly(DELETE_TOPICS, 5, delete_topics(5, &["f-gone"]));
    settle_gone(play, "f-gone");
    play.until(
        "after its topic is gone",
        OFFSET_FETCH,
        5,
        || fetch(5, &["f"], Some(&[("f-gone", &[0])])),
        |answer| answer.number("/topics/0/partitions/0/committed_offset") == -1,
    );
}

pub fn deleted(play: &mut Play) {
    make(play, "d", 3);
    make(play, "d-2", 1);
    coordinated(play, &["d", "d-member", "d-none"]);
    for at in [("d", 0, 4), ("d", 1, 5), ("d", 2, 6), ("d-2", 0, 7)] {
        play.quietly(OFFSET_COMMIT, 7, commit("d", "", -1, at));
    }
    let api = OFFSET_DELETE;
    play.ask("good", api, 0, delete("d", &[("d", &[0])]));
    play.ask("again", api, 0, delete("d", &[("d", &[0])]));
    play.ask("two topics", api, 0, delete("d", &[("d", &[1]), ("d-2", &[0])]));
    play.ask("unknown topic", api, 0, delete("d", &[("unknown", &[0])]));
    play.ask("unknown partitions", api, 0, delete("d", &[("d", &[9, -1])]));
    play.ask("good and unknown", api, 0, delete("d", &[("d", &[2, 9]), ("unknown", &[0])]));
    play.ask("no topics", api, 0, delete("d", &[]));
    play.ask("no partitions", api, 0, delete("d", &[("d", &[])]));
    play.ask("unknown group", api, 0, delete("d-none", &[("d", &[0])]));
    play.ask("unknown group, no topics", api, 0, delete("d-none", &[]));
    play.ask("no group", api, 0, delete("", &[("d", &[0])]));
    play.ask("what is left", OFFSET_FETCH, 5, fetch(5, &["d"], None));
    // A member that reads topic `t`, and none of these.
    make(play, "t", 1);
    let joined = play.enter("main", "a member", JOIN_GROUP.min(5), join("d-member", ""));
    let member = joined.text("/member_id");
    play.ask("its sync", SYNC_GROUP, 3, sync("d-member", &member, 1, &[(&member, b"")]));
    for at in [("d", 0, 4), ("t", 0, 5)] {
        play.ask(
            &format!("commits {}", at.0),
            OFFSET_COMMIT,
            7,
            commit("d-member", &member, 1, at),
        );
    }
    play.ask("of a live group", api, 0, delete("d-member", &[("d", &[0]), ("t", &[0])]));
    play.ask("of a live group, only read ones", api, 0, delete("d-member", &[("t", &[0])]));
    play.ask("of a live group, left", OFFSET_FETCH, 5, fetch(5, &["d-member"], None));
}
