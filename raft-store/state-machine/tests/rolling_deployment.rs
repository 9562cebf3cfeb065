//! Ten members are restarted one after another. With static identities within their session
//! time-out that costs nothing; without, each stop and each start is a rebalance, whose price
//! depends on the protocol.

mod support;

use state_machine::command::Command;
use state_machine::groups::group::GroupState;
use state_machine::groups::polling::command::{PollingCommand, Subscription};
use state_machine::groups::polling::reply::PollingReply;
use state_machine::groups::reply::GroupReply;
use state_machine::ids::MemberId;
use state_machine::reply::{Decision, Reply};
use state_machine::topics::command::TopicCommand;
use state_machine::topics::placement::Placement;
use state_machine::values::Records;
use support::ops;
use support::script::World;

const MEMBERS: usize = 10;
const PARTITIONS: u32 = 30;

/// What a deployment cost.
#[derive(Debug, PartialEq, Eq)]
struct Cost {
    /// Rebalances that were completed.
    rebalances: u64,
    /// Polls that gave nothing, of members that ran all the while.
    paused_polls: usize,
}

struct Deployment {
    world: World,
    seq: u64,
    strategy: &'static str,
    is_static: bool,
    paused_polls: usize,
}

fn name(i: usize) -> MemberId {
    format!("c{i}").into()
}

impl Deployment {
    fn say(&mut self, command: impl Into<Command>) -> Decision {
        self.seq += 1;
        let mut events = Vec::new();
        let decided = self.world.apply(ops::write(command.into(), self.seq), &mut events);
        decided.expect("not refused")
    }

    fn subscribe(&mut self, i: usize) {
        let subscription = Subscription {
            topics: vec!["t".into()],
            strategy: self.strategy.into(),
            instance_id: self.is_static.then(|| format!("i{i}").into()),
            session_timeout_ms: 45_000,
            rebalance_timeout_ms: 300_000,
        };
        self.say(PollingCommand::Subscribe { group: ops::group(), member: name(i), subscription });
    }

    /// Every member polls once, and there is always something to read. The one that restarts may be
    /// `stopped`, and its own polls are not counted.
    fn all_poll(&mut self, restarts: Option<usize>, stopped: bool) {
        for i in (0..MEMBERS).filter(|i| !(stopped && Some(*i) == restarts)) {
            let poll =
                PollingCommand::Poll { group: ops::group(), member: name(i), max_messages: 1 };
            let Decision::Reply(Reply::Group(GroupReply::Polling(PollingReply::Polled {
                records,
                ..
            }))) = self.say(poll)
            else {
                panic!("a poll");
            };
            self.paused_polls += usize::from(records.is_empty() && Some(i) != restarts);
        }
    }

    fn rebalances(&self) -> u64 {
        self.world.state.group(&ops::group()).expect("a group").rebalances
    }

    fn run(strategy: &'static str, is_static: bool) -> Cost {
        let mut d = Self { world: World::default(), seq: 0, strategy, is_static, paused_polls: 0 };
        d.say(TopicCommand::create("t", PARTITIONS));
        for partition in 0..PARTITIONS {
            d.say(TopicCommand::Produce {
                topic: "t".into(),
                placement: Placement::Partition(partition),
                new_topic_partitions: 1,
                records: Records {
                    count: 10_000,
                    bytes: vec![0].into(),
                    created: None,
                    escapes: 0,
                },
            });
        }
        (0..MEMBERS).for_each(|i| d.subscribe(i));
        (0..4).for_each(|_| d.all_poll(None, false));
        let before = d.rebalances();
        d.paused_polls = 0;
        for i in 0..MEMBERS {
            d.say(PollingCommand::Unsubscribe {
                group: ops::group(),
                member: name(i),
                permanent: false,
            });
            (0..3).for_each(|_| d.all_poll(Some(i), true));
            d.subscribe(i);
            (0..3).for_each(|_| d.all_poll(Some(i), false));
            let state = d.world.state.group(&ops::group()).expect("a group").state();
            assert_eq!(state, GroupState::Stable, "three rounds of polls are enough");
        }
        Cost { rebalances: d.rebalances() - before, paused_polls: d.paused_polls }
    }
}

#[test]
fn static_members_restart_for_nothing() {
    for strategy in ["range", "roundrobin", "sticky", "cooperative-sticky"] {
        let cost = Deployment::run(strategy, true);
        assert_eq!(cost, Cost { rebalances: 0, paused_polls: 0 }, "{strategy}");
    }
}

#[test]
fn dynamic_members_pay_with_two_rebalances_each_and_eager_ones_with_pauses() {
    for strategy in ["range", "roundrobin", "sticky"] {
        let cost = Deployment::run(strategy, false);
        // In each rebalance the first poll of each of the nine that run gives up all it has, but
        // the last one's ends the rebalance and reads.
        assert_eq!(cost, Cost { rebalances: 20, paused_polls: 10 * (8 + 8) }, "{strategy}");
    }
}

#[test]
fn cooperative_members_that_keep_partitions_read_on_through_every_rebalance() {
    let cost = Deployment::run("cooperative-sticky", false);
    assert_eq!(cost, Cost { rebalances: 20, paused_polls: 0 });
}
