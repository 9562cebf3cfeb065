//! How much one poll hands out: never more than a reply may carry, and never more than is then
//! found.

mod support;

use state_machine::command::{Command, Write};
use state_machine::groups::polling::command::{PollingCommand, Subscription};
use state_machine::groups::polling::reply::PollingReply;
use state_machine::groups::reply::GroupReply;
use state_machine::reply::{Decided, Decision, Reply};
use state_machine::topics::budget::MAX_REPLY_BYTES;
use state_machine::topics::command::TopicCommand;
use state_machine::topics::placement::Placement;
use state_machine::values::{Found, Records};
use support::script::World;

fn apply(world: &mut World, command: Command) -> Decided {
    world.apply(Write { request_id: None, command }, &mut Vec::new())
}

fn poll(world: &mut World, max_messages: u32) -> PollingReply {
    let poll = PollingCommand::Poll { group: "g".into(), member: "c".into(), max_messages };
    match apply(world, poll.into()) {
        Ok(Decision::Reply(mut reply)) => {
            world.store.fill(&mut reply);
            match reply {
                Reply::Group(GroupReply::Polling(reply)) => reply,
                other => panic!("not a poll's reply: {other:?}"),
            }
        }
        other => panic!("not a reply: {other:?}"),
    }
}

/// A group whose only consumer reads a topic with these batches: partition, records, bytes.
fn world_of(batches: &[(u32, u32, usize)]) -> World {
    let mut world = World::default();
    apply(&mut world, TopicCommand::create("t", 3).into()).expect("a new topic");
    for (partition, count, len) in batches {
        let command = TopicCommand::Produce {
            topic: "t".into(),
            placement: Placement::Partition(*partition),
            new_topic_partitions: 3,
            records: Records {
                count: *count,
                bytes: vec![7; *len].into(),
                created: None,
                escapes: 0,
            },
        }
        .into();
        apply(&mut world, command).expect("a record");
    }
    let subscription = Subscription {
        topics: vec!["t".into()],
        strategy: "range".into(),
        instance_id: None,
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
    };
    apply(
        &mut world,
        PollingCommand::Subscribe { group: "g".into(), member: "c".into(), subscription }.into(),
    )
    .expect("the only member");
    world
}

/// Polls until there is nothing more. Each reply is checked; the result is how many records each
/// one had.
fn drain(world: &mut World, max_messages: u32) -> Vec<u64> {
    let mut sizes = Vec::new();
    let mut next = [0_u64; 3];
    loop {
        let PollingReply::Polled { records, .. } = poll(world, max_messages) else {
            panic!("no records");
        };
        if records.is_empty() {
            return sizes;
        }
        let all = || records.iter().flat_map(|(_, found)| &found.batches);
        let (bytes, batches) = (all().map(|b| b.bytes.len()).sum::<usize>(), all().count());
        assert!(bytes <= MAX_REPLY_BYTES || batches == 1, "{bytes} bytes in {batches} batches");
        let mut handed = 0;
        for (partition, Found { extent, batches }) in &records {
            let at = &mut next[partition.partition as usize];
            assert_eq!(extent.from, *at, "contiguous in each partition");
            *at = extent.to;
            let first = batches.first().expect("there are records");
            let last = batches.last().expect("there are records");
            assert!(first.base_offset <= extent.from, "all of them are there");
            assert!(last.base_offset + u64::from(last.count) >= extent.to, "all of them are there");
            handed += extent.to - extent.from;
        }
        assert!(handed <= u64::from(max_messages));
        sizes.push(handed);
    }
}

#[test]
fn a_poll_of_large_records_stays_within_what_a_reply_may_carry() {
    let mut world = world_of(&[(0, 1, 700 << 10); 7].map(|(_, n, len)| (0, n, len)));
    assert_eq!(drain(&mut world, 10), [2, 2, 2, 1]);

    let spread: Vec<_> = (0..9).map(|i| (i % 3, 1, 1 << 20)).collect();
    assert_eq!(drain(&mut world_of(&spread), 10), [2, 2, 2, 2, 1]);
}

#[test]
fn a_record_larger_than_a_reply_may_be_goes_alone() {
    assert_eq!(drain(&mut world_of(&[(0, 1, 3 << 20), (1, 1, 10), (2, 1, 10)]), 10), [1, 2]);
}

#[test]
fn a_batch_of_several_records_is_cut_by_offsets() {
    assert_eq!(drain(&mut world_of(&[(0, 10, 100), (0, 5, 100)]), 4), [4, 4, 4, 3]);
}

#[test]
fn a_poll_for_no_records_tells_where_the_consumer_stands() {
    let mut world = world_of(&[(0, 1, 1)]);
    let PollingReply::Polled { view, records } = poll(&mut world, 0) else { panic!("no records") };
    assert!(records.is_empty());
    assert_eq!(view.assignment, [("t".into(), vec![0, 1, 2])]);
}
