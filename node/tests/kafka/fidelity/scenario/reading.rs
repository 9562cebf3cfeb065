//! Fetch, ListOffsets, DeleteRecords, OffsetForLeaderEpoch: what is read, and from where.

use bytes::Bytes;
use wire::kafka_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use wire::kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use wire::kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use wire::versions::{
    DELETE_RECORDS, FETCH, LIST_OFFSETS, METADATA, OFFSET_FOR_LEADER_EPOCH, PRODUCE,
};

use super::super::play::{Answer, Play};
use super::batches::compressed;
use super::requests::{all, batch, make, metadata, offsets, produce, text};

/// A topic, and its id as the broker told it.
#[derive(Clone)]
struct Named {
    name: String,
    id: uuid::Uuid,
}

/// Learns the id of a topic.
fn named(play: &mut Play, name: &str) -> Named {
    let told = play.ask(&format!("id of {name}"), METADATA, 12, metadata(&[name]));
    let id = told.text("/topics/0/topic_id").parse().expect("an id");
    Named { name: name.to_owned(), id }
}

fn at(partition: i32, offset: i64) -> FetchPartition {
    FetchPartition::default()
        .with_partition(partition)
        .with_fetch_offset(offset)
        .with_current_leader_epoch(-1)
        .with_last_fetched_epoch(-1)
        .with_log_start_offset(-1)
        .with_partition_max_bytes(1 << 20)
}

/// A fetch that does not wait.
fn fetch(version: i16, topics: &[(&Named, Vec<FetchPartition>)]) -> FetchRequest {
    let topic = |(named, partitions): &(&Named, Vec<FetchPartition>)| {
        let topic = FetchTopic::default().with_partitions(partitions.clone());
        if version < 13 {
            topic.with_topic(text(&named.name).into())
        } else {
            topic.with_topic_id(named.id)
        }
    };
    FetchRequest::default()
        .with_replica_id((-1).into())
        .with_max_wait_ms(0)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_session_epoch(-1)
        .with_topics(topics.iter().map(topic).collect())
}

fn fill(play: &mut Play, name: &str, partition: i32, batches: &[Bytes]) {
    for batch in batches {
        let told = play.quietly(PRODUCE, 9, produce(name, partition, batch.clone()));
        let code = told.number("/responses/0/partition_responses/0/error_code");
        assert_eq!(code, 0, "{}", told.0);
    }
}

pub fn fetches(play: &mut Play) {
    make(play, "read", 3);
    let topic = named(play, "read");
    let none = Named { name: "unknown".to_owned(), id: uuid::Uuid::from_u128(79) };
    fill(play, "read", 0, &[batch(&["a", "b", "c"]), batch(&["d"]), batch(&["e", "f"])]);
    fill(play, "read", 1, &[batch(&["g"])]);
    let one = |v, offset| fetch(v, &[(&topic, vec![at(0, offset)])]);
    play.each("good", FETCH, all(FETCH), |v| one(v, 0));
    play.each("at the end", FETCH, all(FETCH), |v| one(v, 6));
    play.each("beyond the end", FETCH, [4, 5, 11, 12, 13, 17], |v| one(v, 7));
    play.each("a negative offset", FETCH, [4, 12, 17], |v| one(v, -1));
    for offset in [1, 2, 3, 5] {
        play.each(&format!("from {offset}"), FETCH, [4, 17], |v| one(v, offset));
    }
    play.each("unknown topic", FETCH, [4, 7, 12, 13, 17], |v| fetch(v, &[(&none, vec![at(0, 0)])]));
    play.each("unknown and known", FETCH, [4, 12, 13, 17], |v| {
        fetch(v, &[(&none, vec![at(0, 0)]), (&topic, vec![at(0, 5)])])
    });
    for partition in [3, -1] {
        play.each(&format!("partition {partition}"), FETCH, [4, 12, 17], |v| {
            fetch(v, &[(&topic, vec![at(partition, 0), at(1, 0)])])
        });
    }
    play.each("three partitions", FETCH, [4, 17], |v| {
        fetch(v, &[(&topic, vec![at(0, 3), at(1, 0), at(2, 0)])])
    });
    play.each("nothing", FETCH, [4, 7, 13, 17], |v| fetch(v, &[]));
    play.each("no partitions", FETCH, [4, 13], |v| fetch(v, &[(&topic, Vec::new())]));
    play.each("read committed", FETCH, [4, 11, 17], |v| one(v, 0).with_isolation_level(1));
    play.ask("isolation 2", FETCH, 11, one(11, 0).with_isolation_level(2));
    let waits = |v| one(v, 6).with_max_wait_ms(50);
    play.each("waits in vain", FETCH, [4, 17], waits);
    play.ask("waits not, as there is an error", FETCH, 11, one(11, 9).with_max_wait_ms(15_000));
    let enough = one(11, 0).with_max_wait_ms(15_000).with_min_bytes(100);
    play.ask("waits not, as there is enough", FETCH, 11, enough);
    let of_nothing = fetch(11, &[]).with_max_wait_ms(15_000);
    play.ask("waits not, as nothing is asked for", FETCH, 11, of_nothing);
    let few = one(11, 0).with_max_wait_ms(50).with_min_bytes(1 << 20);
    play.ask("waits for more, and gets less", FETCH, 11, few);
    play.ask("a negative wait", FETCH, 11, one(11, 6).with_max_wait_ms(-1));
    play.ask("no least", FETCH, 11, one(11, 6).with_max_wait_ms(15_000).with_min_bytes(0));
    let size = batch(&["a", "b", "c"]).len() as i32;
    for (what, most) in [("0", 0), ("1", 1), ("-1", -1), ("all but a byte of the first", size - 1)]
    {
        let of_all = one(11, 0).with_max_bytes(most);
        play.ask(&format!("at most {what} of all"), FETCH, 11, of_all);
        let of_one =
            fetch(11, &[(&topic, vec![at(0, 0).with_partition_max_bytes(most), at(1, 0)])]);
        play.ask(&format!("at most {what} of a partition"), FETCH, 11, of_one);
    }
    let whole = fetch(11, &[(&topic, vec![at(0, 0).with_partition_max_bytes(size)])]);
    play.ask("at most the first batch", FETCH, 11, whole);
    let and_more = fetch(11, &[(&topic, vec![at(0, 0).with_partition_max_bytes(size + 20)])]);
    play.ask("at most the first batch and a little", FETCH, 11, and_more);
}

pub fn fetch_checks(play: &mut Play) {
    make(play, "checked", 2);
    let topic = named(play, "checked");
    fill(play, "checked", 0, &[batch(&["a", "b", "c"])]);
    let with = |v, partition| fetch(v, &[(&topic, vec![partition])]);
    play.each("a later leader epoch", FETCH, [9, 12, 17], |v| {
        with(v, at(0, 0).with_current_leader_epoch(1_000))
    });
    play.ask("leader epoch -5", FETCH, 12, with(12, at(0, 0).with_current_leader_epoch(-5)));
    play.each("last fetched epoch 0", FETCH, [12, 17], |v| {
        with(v, at(0, 1).with_last_fetched_epoch(0))
    });
    play.ask(
        "last fetched epoch 1000",
        FETCH,
        12,
        with(12, at(0, 1).with_last_fetched_epoch(1_000)),
    );
    let twice = fetch(11, &[(&topic, vec![at(0, 0), at(0, 1)])]);
    play.ask("a partition twice", FETCH, 11, twice);
    let topics_twice = fetch(11, &[(&topic, vec![at(0, 0)]), (&topic, vec![at(1, 0)])]);
    play.ask("a topic twice", FETCH, 11, topics_twice);
    let session = |id, epoch| with(11, at(0, 0)).with_session_id(id).with_session_epoch(epoch);
    play.ask("an unknown session", FETCH, 11, session(77, 1));
    play.ask("an unknown session is closed", FETCH, 11, session(77, -1));
    play.ask("an unknown session begins", FETCH, 11, session(77, 0));
    play.ask("session 0, epoch 5", FETCH, 11, session(0, 5));
    play.each("a session begins", FETCH, [7, 12, 17], |v| with(v, at(0, 0)).with_session_epoch(0));
    play.ask("zero id", FETCH, 13, {
        let mut request = with(13, at(0, 0));
        request.topics[0].topic_id = uuid::Uuid::nil();
        request
    });
    play.ask("cluster id", FETCH, 12, with(12, at(0, 0)).with_cluster_id(Some(text("another"))));
    play.ask("a rack", FETCH, 12, with(12, at(0, 0)).with_rack_id(text("rack-1")));
    make(play, "zstandard", 1);
    let squeezed = named(play, "zstandard");
    fill(play, "zstandard", 0, &[compressed(4, &["a", "b"])]);
    play.each("zstd", FETCH, [4, 9, 10, 12], |v| fetch(v, &[(&squeezed, vec![at(0, 0)])]));
}

/// Who waits is woken by what comes.
pub fn a_fetch_that_waits(play: &mut Play) {
    make(play, "slow", 2);
    let topic = named(play, "slow");
    let waits = |v| {
        let both = vec![at(0, 0), at(1, 0)];
        fetch(v, &[(&topic, both)]).with_max_wait_ms(15_000)
    };
    for version in [4, 17] {
        let sent = play.send("reader", "woken by records", FETCH, version, waits(version));
        play.ask(&format!("wakes {version}"), PRODUCE, 9, produce("slow", 1, batch(&["a"])));
        play.receive(sent);
        let all = DeleteRecordsPartition::default().with_partition_index(1).with_offset(-1);
        let told = play.quietly(DELETE_RECORDS, 2, delete_records("slow", vec![all]));
        assert_eq!(told.number("/topics/0/partitions/0/error_code"), 0, "{}", told.0);
        if version == 4 {
            // The next one begins where this one ended.
            let end = fetch(17, &[(&topic, vec![at(1, 1)])]);
            play.ask("behind what was deleted", FETCH, 17, end);
            let before = fetch(17, &[(&topic, vec![at(1, 0)])]);
            play.ask("of what was deleted", FETCH, 17, before);
            break;
        }
    }
}

fn delete_records(name: &str, partitions: Vec<DeleteRecordsPartition>) -> DeleteRecordsRequest {
    let topic = DeleteRecordsTopic::default().with_name(text(name).into());
    let topics = vec![topic.with_partitions(partitions)];
    DeleteRecordsRequest::default().with_topics(topics).with_timeout_ms(10_000)
}

pub fn deleted_records(play: &mut Play) {
    make(play, "trimmed", 2);
    let topic = named(play, "trimmed");
    fill(play, "trimmed", 0, &[batch(&["a", "b", "c"]), batch(&["d", "e"]), batch(&["f"])]);
    let to = |partition, offset| {
        let partition =
            DeleteRecordsPartition::default().with_partition_index(partition).with_offset(offset);
        delete_records("trimmed", vec![partition])
    };
    let all_versions = all(DELETE_RECORDS);
    play.each("nothing yet", DELETE_RECORDS, all_versions.clone(), |_| to(0, 0));
    play.each("good", DELETE_RECORDS, all_versions, |v| to(0, i64::from(v) + 1));
    play.ask("backwards", DELETE_RECORDS, 2, to(0, 1));
    for offset in [7, -2, i64::MAX, i64::MIN] {
        play.ask(&format!("to {offset}"), DELETE_RECORDS, 2, to(0, offset));
    }
    play.ask("of an empty partition", DELETE_RECORDS, 2, to(1, -1));
    play.ask("beyond an empty partition", DELETE_RECORDS, 2, to(1, 1));
    for partition in [2, -1] {
        play.ask(&format!("partition {partition}"), DELETE_RECORDS, 2, to(partition, 0));
    }
    let mut unknown = to(0, 1);
    unknown.topics[0].name = text("unknown").into();
    play.ask("unknown topic", DELETE_RECORDS, 2, unknown);
    play.ask("no topics", DELETE_RECORDS, 2, to(0, 0).with_topics(Vec::new()));
    play.ask("no partitions", DELETE_RECORDS, 2, delete_records("trimmed", Vec::new()));
    for time in [-1, -2, -3, 0, 1_000, 1_001] {
        let request = offsets("trimmed", &[0, 1], time);
        play.ask(&format!("offset at {time}"), LIST_OFFSETS, 7, request);
    }
    let read = |offset| fetch(12, &[(&topic, vec![at(0, offset)])]);
    play.ask("before the beginning", FETCH, 12, read(2));
    play.ask("at the beginning, within a batch", FETCH, 12, read(4));
    play.ask("at the beginning", FETCH, 12, read(3));
    play.ask("appended after it", PRODUCE, 9, produce("trimmed", 0, batch(&["g"])));
    play.ask("all", DELETE_RECORDS, 2, to(0, -1));
    play.ask("all, again", DELETE_RECORDS, 2, to(0, -1));
    play.ask("at the end", FETCH, 12, read(7));
    play.ask("appended after all", PRODUCE, 9, produce("trimmed", 0, batch(&["h"])));
    play.ask("the first that is left", FETCH, 12, read(7));
}

pub fn list_offsets(play: &mut Play) {
    make(play, "listed", 2);
    fill(play, "listed", 0, &[batch(&["a", "b", "c"]), batch(&["d"]), batch(&["e", "f"])]);
    let both = |time| move |_| offsets("listed", &[0, 1], time);
    for (what, time) in [("latest", -1), ("earliest", -2)] {
        play.each(what, LIST_OFFSETS, all(LIST_OFFSETS), both(time));
    }
    play.each("of the greatest time", LIST_OFFSETS, [1, 6, 7, 8, 9], both(-3));
    play.each("earliest local", LIST_OFFSETS, [7, 8, 9], both(-4));
    play.each("latest tiered", LIST_OFFSETS, [8, 9], both(-5));
    for time in [-6, -7, i64::MIN] {
        play.each(&format!("time {time}"), LIST_OFFSETS, [1, 9], both(time));
    }
    for time in [0, 999, 1_000, 1_001, 1_002, 1_003, i64::MAX] {
        play.each(&format!("time {time}"), LIST_OFFSETS, [1, 4, 9], both(time));
    }
    play.each("read committed", LIST_OFFSETS, [2, 9], |_| {
        offsets("listed", &[0, 1], -1).with_isolation_level(1)
    });
    play.ask("isolation 2", LIST_OFFSETS, 7, offsets("listed", &[0], -1).with_isolation_level(2));
    play.each("unknown", LIST_OFFSETS, [1, 4, 9], |_| offsets("unknown", &[0], -1));
    play.each("unknown partitions", LIST_OFFSETS, [1, 9], |_| offsets("listed", &[2, -1, 0], -1));
    play.ask("a partition twice", LIST_OFFSETS, 7, offsets("listed", &[0, 0, 1], -1));
    play.ask("no partitions", LIST_OFFSETS, 7, offsets("listed", &[], -1));
    play.ask("no topics", LIST_OFFSETS, 7, offsets("x", &[], -1).with_topics(Vec::new()));
    play.each("bad names", LIST_OFFSETS, [1, 7], |_| offsets("a b", &[0], -1));
    play.each("a later leader epoch", LIST_OFFSETS, [4, 9], |_| {
        let mut request = offsets("listed", &[0], -1);
        request.topics[0].partitions[0].current_leader_epoch = 1_000;
        request
    });
    for replica in [-2, 0, 5] {
        let request = offsets("listed", &[0], -1).with_replica_id(replica.into());
        play.ask(&format!("as replica {replica}"), LIST_OFFSETS, 7, request);
    }
    make(play, "squeezed", 1);
    fill(play, "squeezed", 0, &[compressed(1, &["a", "b", "c"])]);
    for time in [-3, 1_001, 1_002, 1_003] {
        let request = offsets("squeezed", &[0], time);
        play.ask(&format!("time {time} of compressed records"), LIST_OFFSETS, 7, request);
    }
}

pub fn epochs(play: &mut Play) {
    make(play, "epochs", 2);
    fill(play, "epochs", 0, &[batch(&["a", "b"])]);
    let told = play.ask("the epoch", METADATA, 9, metadata(&["epochs"]));
    let now = told.number("/topics/0/partitions/0/leader_epoch") as i32;
    let ask = |v: i16, name: &str, partition: i32, current: i32, epoch: i32| {
        let partition = OffsetForLeaderPartition::default()
            .with_partition(partition)
            .with_current_leader_epoch(current)
            .with_leader_epoch(epoch);
        let topic = OffsetForLeaderTopic::default()
            .with_topic(text(name).into())
            .with_partitions(vec![partition]);
        let request = OffsetForLeaderEpochRequest::default().with_topics(vec![topic]);
        if v >= 3 { request.with_replica_id((-1).into()) } else { request }
    };
    let api = OFFSET_FOR_LEADER_EPOCH;
    play.each("good", api, all(api), |v| ask(v, "epochs", 0, now, now));
    play.each("whoever leads", api, all(api), |v| ask(v, "epochs", 0, -1, now));
    play.each("of nothing", api, all(api), |v| ask(v, "epochs", 1, -1, now));
    play.each("a later epoch", api, all(api), |v| ask(v, "epochs", 0, -1, 1_000));
    play.each("a later leader", api, all(api), |v| ask(v, "epochs", 0, 1_000, now));
    play.each("a negative epoch", api, [2, 4], |v| ask(v, "epochs", 0, -1, -1));
    play.each("unknown", api, [2, 4], |v| ask(v, "unknown", 0, -1, now));
    play.each("unknown partition", api, [2, 4], |v| ask(v, "epochs", 9, -1, now));
    play.each("negative partition", api, [2, 4], |v| ask(v, "epochs", -1, -1, now));
    let none = ask(4, "epochs", 0, -1, 0).with_topics(Vec::new());
    play.ask("no topics", api, 4, none);
    let _checked: Answer = play.ask(
        "as a debugger",
        api,
        4,
        ask(4, "epochs", 0, -1, now).with_replica_id((-2).into()),
    );
}
