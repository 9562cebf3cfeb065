//! How much one poll hands out: never more than a reply may carry, and never more than `fill` then
//! finds.

use state_machine::State;
use state_machine::command::{Batch, Command, Write};
use state_machine::groups::polling::command::{PollingCommand, Subscription};
use state_machine::groups::polling::reply::PollingReply;
use state_machine::groups::reply::GroupReply;
use state_machine::reply::{Decided, Decision, Reply};
use state_machine::topics::command::TopicCommand;
use state_machine::topics::partitions::MAX_REPLY_BYTES;
use state_machine::topics::placement::Placement;
use state_machine::values::Records;

fn apply(state: &mut State, command: Command) -> Decided {
    state.begin(&Batch::default());
    state.apply(&Write { request_id: None, command }, None)
}

fn poll(state: &mut State, max_messages: u32) -> PollingReply {
    let mut outcome = apply(
        state,
        PollingCommand::Poll { group: "g".into(), member: "c".into(), max_messages }.into(),
    );
    state.fill(&mut outcome);
    match outcome {
        Ok(Decision::Reply(Reply::Group(GroupReply::Polling(reply)))) => reply,
        other => panic!("not a poll's reply: {other:?}"),
    }
}

/// A group whose only consumer reads a topic with these batches: partition, records, bytes.
fn world(batches: &[(u32, u32, usize)]) -> State {
    let mut state = State::default();
    apply(&mut state, TopicCommand::Create { topic: "t".into(), partitions: 3 }.into())
        .expect("a new topic");
    for (partition, count, len) in batches {
        let command = TopicCommand::Produce {
            topic: "t".into(),
            placement: Placement::Partition(*partition),
            new_topic_partitions: 3,
            records: Records { count: *count, bytes: vec![7; *len].into() },
        }
        .into();
        apply(&mut state, command).expect("a record");
    }
    let subscription = Subscription {
        topics: vec!["t".into()],
        strategy: "range".into(),
        instance_id: None,
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
    };
    apply(
        &mut state,
        PollingCommand::Subscribe { group: "g".into(), member: "c".into(), subscription }.into(),
    )
    .expect("the only member");
    state
}

/// Polls until there is nothing more. Each reply is checked; the result is how many records each
/// one had.
fn drain(state: &mut State, max_messages: u32) -> Vec<u64> {
    let mut sizes = Vec::new();
    let mut next = [0_u64; 3];
    loop {
        let PollingReply::Polled { spans, records, .. } = poll(state, max_messages) else {
            panic!("no records");
        };
        if spans.is_empty() {
            return sizes;
        }
        let bytes: usize = records.iter().flat_map(|(_, found)| found).map(|b| b.bytes.len()).sum();
        let batches: usize = records.iter().map(|(_, found)| found.len()).sum();
        assert!(bytes <= MAX_REPLY_BYTES || batches == 1, "{bytes} bytes in {batches} batches");
        let mut handed = 0;
        assert_eq!(spans.len(), records.len());
        for (span, (partition, found)) in spans.iter().zip(&records) {
            assert_eq!(&span.partition, partition);
            let at = &mut next[partition.partition as usize];
            assert_eq!(span.from, *at, "contiguous in each partition");
            *at = span.to;
            let first = found.first().expect("a span has records");
            let last = found.last().expect("a span has records");
            assert!(first.base_offset <= span.from, "all of the span is there");
            assert!(
                last.base_offset + u64::from(last.count) >= span.to,
                "all of the span is there"
            );
            handed += span.to - span.from;
        }
        assert!(handed <= u64::from(max_messages));
        sizes.push(handed);
    }
}

#[test]
fn a_poll_of_large_records_stays_within_what_a_reply_may_carry() {
    let mut state = world(&[(0, 1, 700 << 10); 7].map(|(_, n, len)| (0, n, len)));
    assert_eq!(drain(&mut state, 10), [2, 2, 2, 1]);

    let spread: Vec<_> = (0..9).map(|i| (i % 3, 1, 1 << 20)).collect();
    assert_eq!(drain(&mut world(&spread), 10), [2, 2, 2, 2, 1]);
}

#[test]
fn a_record_larger_than_a_reply_may_be_goes_alone() {
    assert_eq!(drain(&mut world(&[(0, 1, 3 << 20), (1, 1, 10), (2, 1, 10)]), 10), [1, 2]);
}

#[test]
fn a_batch_of_several_records_is_cut_by_offsets() {
    assert_eq!(drain(&mut world(&[(0, 10, 100), (0, 5, 100)]), 4), [4, 4, 4, 3]);
}

#[test]
fn a_poll_for_no_records_tells_where_the_consumer_stands() {
    let mut state = world(&[(0, 1, 1)]);
    let PollingReply::Polled { view, spans, records } = poll(&mut state, 0) else {
        panic!("no records")
    };
    assert!(spans.is_empty() && records.is_empty());
    assert_eq!(view.assignment, [("t".into(), vec![0, 1, 2])]);
}
