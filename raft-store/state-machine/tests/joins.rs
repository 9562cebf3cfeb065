//! Members come and go, one at a time: what one of them costs follows what changes, and not how
//! many there are; and it is decided as if everything had been computed anew.

use std::fmt::Write as _;

use proptest::prelude::*;
use state_machine::State;
use state_machine::command::{Batch, Command, Write};
use state_machine::event::Event;
use state_machine::groups::event::GroupEvent;
use state_machine::groups::polling::command::{PollingCommand, Subscription};
use state_machine::ids::{GroupId, MemberId, TopicName};
use state_machine::invariants::check;
use state_machine::reply::Decided;
use state_machine::topics::command::TopicCommand;

const STRATEGIES: [&str; 4] = ["range", "roundrobin", "sticky", "cooperative-sticky"];

fn group() -> GroupId {
    "g".into()
}

fn subscribe(
    member: MemberId,
    topics: &[&str],
    strategy: &str,
    instance: Option<String>,
) -> Command {
    let subscription = Subscription {
        topics: topics.iter().map(|topic| TopicName::from(*topic)).collect(),
        strategy: strategy.into(),
        instance_id: instance.map(Into::into),
        session_timeout_ms: 45_000,
        rebalance_timeout_ms: 300_000,
    };
    PollingCommand::Subscribe { group: group(), member, subscription }.into()
}

fn apply(state: &mut State, command: Command) -> (Decided, Vec<Event>) {
    state.begin(&Batch::default());
    let mut events = Vec::new();
    let decided = state.apply(&Write { request_id: None, command }, Some(&mut events));
    (decided, events)
}

/// A state from its written form: it has no note of what has happened since the targets were
/// computed, so that it computes them anew.
fn restored(state: &State) -> State {
    let bytes = postcard::to_stdvec(state).expect("a state is written");
    postcard::from_bytes(&bytes).expect("and read")
}

/// What is done in a random world; members are named by number.
#[derive(Debug, Clone)]
enum Op {
    Join { name: usize, topics: usize, instance: bool },
    Leave { name: usize, permanent: bool },
    Poll { name: usize },
    Heartbeat { name: usize },
    Topic { topic: usize, partitions: u32 },
    Grow { topic: usize, by: u32 },
    Delete { topic: usize },
}

fn op() -> impl Strategy<Value = Op> {
    let name = || 0..24_usize;
    // Nearly always all read the same.
    let topics = prop_oneof![30 => Just(2_usize), 1 => 0..3_usize];
    prop_oneof![
        12 => (name(), topics, prop::bool::weighted(0.2))
            .prop_map(|(name, topics, instance)| Op::Join { name, topics, instance }),
        5 => (name(), prop::bool::weighted(0.7))
            .prop_map(|(name, permanent)| Op::Leave { name, permanent }),
        6 => name().prop_map(|name| Op::Poll { name }),
        2 => name().prop_map(|name| Op::Heartbeat { name }),
        1 => (0..2_usize, 1..40_u32)
            .prop_map(|(topic, partitions)| Op::Topic { topic, partitions }),
        1 => (0..2_usize, 1..9_u32).prop_map(|(topic, by)| Op::Grow { topic, by }),
        1 => (0..2_usize).prop_map(|topic| Op::Delete { topic }),
    ]
}

/// The order of names as Kafka has it differs from that of their bytes in the last two.
fn name(i: usize) -> String {
    match i {
        22 => "\u{1f600}".to_owned(),
        23 => "\u{e000}".to_owned(),
        i => format!("c{i}"),
    }
}

impl Op {
    fn command(&self, state: &State, strategy: &str) -> Command {
        let topics = ["\u{1f600}", "\u{e000}"];
        match *self {
            Self::Join { name: i, topics: which, instance } => {
                let read = [&topics[..1], &topics[1..], &["\u{e000}", "\u{1f600}"][..]][which];
                let mut read = read.to_vec();
                read.sort_unstable();
                let instance = instance.then(|| format!("i{}", 12 - i % 12));
                subscribe(name(i).into(), &read, strategy, instance)
            }
            Self::Leave { name: i, permanent } => {
                let member = name(i).into();
                PollingCommand::Unsubscribe { group: group(), member, permanent }.into()
            }
            Self::Poll { name: i } => {
                let member = name(i).into();
                PollingCommand::Poll { group: group(), member, max_messages: 1 }.into()
            }
            Self::Heartbeat { name: i } => {
                PollingCommand::Heartbeat { group: group(), member: name(i).into() }.into()
            }
            Self::Topic { topic, partitions } => {
                TopicCommand::create(topics[topic], partitions).into()
            }
            Self::Grow { topic, by } => {
                let topic = TopicName::from(topics[topic]);
                let now = state.topic(&topic).map_or(0, |topic| topic.partition_count());
                TopicCommand::Grow { topic, partitions: now + by }.into()
            }
            Self::Delete { topic } => TopicCommand::Delete { topic: topics[topic].into() }.into(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn members_that_come_and_go_get_what_a_computation_of_everything_gives(
        strategy in 0..4_usize,
        ops in prop::collection::vec(op(), 1..80),
    ) {
        let mut state = State::default();
        for op in &ops {
            let command = op.command(&state, STRATEGIES[strategy]);
            let mut anew = restored(&state);
            let found = apply(&mut state, command.clone());
            let computed = apply(&mut anew, command);
            prop_assert_eq!(found, computed, "{:?}", op);
            prop_assert_eq!(&state, &anew, "{:?}", op);
            let broken = check(&state);
            prop_assert!(broken.is_empty(), "{:?} broke {:?}", op, broken);
        }
    }
}

/// A group that many join, one after another, without a word in between.
struct Crowd {
    state: State,
    strategy: &'static str,
    members: u32,
    /// How many targets the events have told.
    told: usize,
}

impl Crowd {
    fn new(strategy: &'static str, partitions: Option<u32>) -> Self {
        let mut state = State::default();
        if let Some(partitions) = partitions {
            let create = TopicCommand::create("t", partitions);
            apply(&mut state, create.into()).0.expect("made");
        }
        Self { state, strategy, members: 0, told: 0 }
    }

    fn join(&mut self) {
        let mut name = String::new();
        write!(name, "c{:06}", self.members).expect("a string");
        self.members += 1;
        let command = subscribe(name.into(), &["t"], self.strategy, None);
        let (decided, events) = apply(&mut self.state, command);
        assert!(decided.is_ok(), "{decided:?}");
        for event in events {
            if let Event::Group { event: GroupEvent::Assigned { targets, .. }, .. } = event {
                self.told += targets.len();
            }
        }
    }

    fn grow(&mut self, members: u32) {
        while self.members < members {
            self.join();
        }
    }
}

/// Each group that completes a rebalance, or begins a generation, with every join.
fn crowds() -> [Crowd; 4] {
    // Of a range group those that have a share have not asked for it.
    let mut silent = Crowd::new("range", Some(4));
    silent.grow(8);
    let leave = |i: u32| {
        let member = format!("c{i:06}").into();
        PollingCommand::Unsubscribe { group: group(), member, permanent: true }.into()
    };
    apply(&mut silent.state, leave(0)).0.expect("a member goes");
    [
        Crowd::new("cooperative-sticky", Some(100)),
        Crowd::new("cooperative-sticky", None),
        Crowd::new("range", None),
        silent,
    ]
}

#[test]
fn regression_a_join_tells_only_the_targets_that_change() {
    for mut crowd in crowds() {
        crowd.grow(100);
        let before = crowd.told;
        let generation = |crowd: &Crowd| crowd.state.group(&group()).expect("made").generation.0;
        let first = generation(&crowd);
        crowd.grow(600);
        assert_eq!(generation(&crowd), first + 500, "{}: one a join", crowd.strategy);
        assert_eq!(crowd.told, before, "{}: all partitions are with others", crowd.strategy);
    }
    // While there are more partitions than members, what moves is what the new ones get.
    let mut crowd = Crowd::new("cooperative-sticky", Some(10_000));
    crowd.grow(1_000);
    let most: usize = (1..=1_000).map(|members| 1 + 10_000 / members).sum();
    assert!(crowd.told <= 2 * most, "{} targets were told, {most} partitions moved", crowd.told);
}
