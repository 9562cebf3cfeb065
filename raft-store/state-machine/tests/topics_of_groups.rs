//! A topic's change concerns the groups that name the topic, and looks at no other: which these are
//! is kept beside the groups, and has to be what a look at all of them finds.

use proptest::prelude::*;
use state_machine::State;
use state_machine::command::{Batch, Command, Stamp, Write};
use state_machine::event::Event;
use state_machine::groups::command::GroupCommand;
use state_machine::groups::event::{GroupEvent, RebalanceReason};
use state_machine::groups::polling::command::{PollingCommand, Subscription};
use state_machine::ids::{GroupId, MemberId, TopicName};
use state_machine::invariants::check;
use state_machine::offsets::command::{OffsetCommand, OffsetCommit};
use state_machine::topics::command::TopicCommand;

const TOPICS: [&str; 3] = ["t", "u", "v"];

/// What is done in a random world; groups, members and topics are named by number.
#[derive(Debug, Clone)]
enum Op {
    Subscribe { group: usize, member: usize, topics: usize },
    Unsubscribe { group: usize, member: usize },
    Declare { group: usize, topic: usize },
    Commit { group: usize, topic: usize },
    DeleteOffsets { group: usize, topic: usize },
    DeleteGroup { group: usize },
    ExpireOffsets,
    Create { topic: usize },
    DeleteTopic { topic: usize },
}

fn op() -> impl Strategy<Value = Op> {
    let (group, member, topic) = (|| 0..5_usize, || 0..3_usize, || 0..TOPICS.len());
    prop_oneof![
        8 => (group(), member(), 1..8_usize)
            .prop_map(|(group, member, topics)| Op::Subscribe { group, member, topics }),
        5 => (group(), member()).prop_map(|(group, member)| Op::Unsubscribe { group, member }),
        1 => (group(), topic()).prop_map(|(group, topic)| Op::Declare { group, topic }),
        4 => (group(), topic()).prop_map(|(group, topic)| Op::Commit { group, topic }),
        2 => (group(), topic()).prop_map(|(group, topic)| Op::DeleteOffsets { group, topic }),
        2 => group().prop_map(|group| Op::DeleteGroup { group }),
        1 => Just(Op::ExpireOffsets),
        4 => topic().prop_map(|topic| Op::Create { topic }),
        3 => topic().prop_map(|topic| Op::DeleteTopic { topic }),
    ]
}

fn topics(mask: usize) -> Vec<TopicName> {
    let named = TOPICS.iter().enumerate().filter(|(i, _)| mask & (1 << i) != 0);
    named.map(|(_, name)| TopicName::from(*name)).collect()
}

impl Op {
    fn command(&self) -> Command {
        let group = |i: usize| GroupId::from(format!("g{i}"));
        let member = |i: usize| MemberId::from(format!("c{i}"));
        let topic = |i: usize| TopicName::from(TOPICS[i]);
        match *self {
            Self::Subscribe { group: g, member: m, topics: mask } => {
                let subscription = Subscription {
                    topics: topics(mask),
                    strategy: "cooperative-sticky".into(),
                    instance_id: None,
                    session_timeout_ms: 45_000,
                    rebalance_timeout_ms: 300_000,
                };
                let (group, member) = (group(g), member(m));
                PollingCommand::Subscribe { group, member, subscription }.into()
            }
            Self::Unsubscribe { group: g, member: m } => {
                let (group, member) = (group(g), member(m));
                PollingCommand::Unsubscribe { group, member, permanent: true }.into()
            }
            Self::Declare { group: g, topic: t } => GroupCommand::Declare {
                group: group(g),
                topic: topic(t),
                consumers: vec![member(0)],
                partitions: vec![0],
                strategy: "range".into(),
            }
            .into(),
            Self::Commit { group: g, topic: t } => {
                let (group, topic) = (group(g), topic(t));
                let commit = OffsetCommit {
                    group,
                    topic,
                    partition: 0,
                    offset: 0,
                    leader_epoch: None,
                    metadata: None,
                };
                OffsetCommand::Commit { commit, fence: None }.into()
            }
            Self::DeleteOffsets { group: g, topic: t } => {
                let (group, topic) = (group(g), topic(t));
                OffsetCommand::Delete { group, topic, partitions: None }.into()
            }
            Self::DeleteGroup { group: g } => GroupCommand::Delete { group: group(g) }.into(),
            Self::ExpireOffsets => OffsetCommand::Expire { retention_ms: 5 }.into(),
            Self::Create { topic: t } => TopicCommand::create(topic(t), 2).into(),
            Self::DeleteTopic { topic: t } => TopicCommand::Delete { topic: topic(t) }.into(),
        }
    }
}

/// By a look at all groups.
fn scan(state: &State, topic: &TopicName, commits: bool) -> Vec<GroupId> {
    let names = state.groups().filter(|(_, group)| {
        group.subscribes_to(topic) || commits && group.offsets.of_topic(topic).next().is_some()
    });
    names.map(|(id, _)| id.clone()).collect()
}

/// The groups that a topic's change made rebalance.
fn rebalanced(events: &[Event]) -> Vec<GroupId> {
    let topic_changed = |event: &Event| {
        let Event::Group { group, event: GroupEvent::RebalanceStarted { reason, .. } } = event
        else {
            return None;
        };
        matches!(reason, RebalanceReason::TopicChanged(_)).then(|| group.clone())
    };
    events.iter().filter_map(topic_changed).collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_groups_of_a_topic_are_those_that_a_look_at_all_finds(
        ops in prop::collection::vec(op(), 1..60),
    ) {
        let mut state = State::default();
        for (now_ms, op) in (0..).zip(&ops) {
            let before = state.clone();
            state.begin(&Batch { stamp: Stamp { now_ms, ..Stamp::default() }, ..Batch::default() });
            let mut events = Vec::new();
            let write = Write { request_id: None, command: op.command() };
            let done = state.apply(&write, Some(&mut events)).is_ok();
            prop_assert_eq!(check(&state), vec![]);
            for topic in topics(usize::MAX) {
                let found = state.groups_of_topic(&topic).map(|(id, _)| id.clone());
                prop_assert_eq!(found.collect::<Vec<_>>(), scan(&state, &topic, true));
            }
            if let (true, Op::Create { topic } | Op::DeleteTopic { topic }) = (done, op) {
                let readers = scan(&before, &TOPICS[*topic].into(), false);
                prop_assert_eq!(rebalanced(&events), readers);
            }
            let bytes = postcard::to_stdvec(&state).expect("a state is written");
            let restored: State = postcard::from_bytes(&bytes).expect("and read");
            prop_assert_eq!(&restored, &state);
        }
    }
}
