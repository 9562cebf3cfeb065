//! What a topic's own configuration does where no reply tells it.

mod support;

use state_machine::command::Write;
use state_machine::ids::TopicPartition;
use state_machine::topics::command::TopicCommand;
use state_machine::topics::config::TopicConfig;
use state_machine::values::Records;
use support::script::World;

/// How many segments a partition has after ten batches of 600 bytes.
fn segments(config: &[(&str, &str)]) -> usize {
    let mut world = World::default();
    let mut apply = |command: TopicCommand| {
        let write = Write { request_id: None, command: command.into() };
        world.apply(write, &mut Vec::new()).expect("a good command");
    };
    let config = TopicConfig::of(config.iter().copied()).expect("good values");
    apply(TopicCommand::Create { topic: "t".into(), partitions: 1, config });
    for created in 0..10 {
        let bytes = vec![7; 600].into();
        apply(TopicCommand::Append {
            topic: "t".into(),
            partition: 0,
            sequence: None,
            records: Records { count: 1, bytes, created: Some(created), escapes: 0 },
            keyless: true,
            max_bytes: u32::MAX,
        });
    }
    let at = TopicPartition { topic: "t".into(), partition: 0 };
    world.state.partition(&at).expect("it exists").segments().count()
}

#[test]
fn a_topic_says_how_large_its_segments_are() {
    assert_eq!(segments(&[]), 1, "the nodes' segments are larger");
    assert_eq!(segments(&[("segment.bytes", "2000")]), 4);
    assert_eq!(segments(&[("segment.bytes", "1024")]), 10);
}
