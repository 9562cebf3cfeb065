//! What a rebalance of a large polling group costs in the state machine, and what its members'
//! requests cost outside of one.
//!
//! A rebalance is measured where its work is done: in an eager group in the poll by which the last
//! member gives up what it holds, in a cooperative group in the `subscribe` that sets it off. Each
//! run begins with the group as it was, so that the copy which a snapshot under way makes necessary
//! is in the figure.
#![allow(missing_docs, reason = "criterion's macro makes a public function")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use state_machine::State;
use state_machine::command::{Batch, Command, Query, Stamp, Write};
use state_machine::groups::command::GroupQuery;
use state_machine::groups::polling::command::{PollingCommand, Subscription};
use state_machine::ids::MemberId;
use state_machine::offsets::command::{OffsetCommand, OffsetCommit};
use state_machine::topics::command::TopicCommand;

fn apply(state: &mut State, command: Command) {
    state.begin(&Batch { stamp: Stamp::default(), ..Batch::default() });
    let outcome = state.apply(&Write { request_id: None, command }, None);
    assert!(outcome.is_ok(), "{outcome:?}");
    black_box(outcome).ok();
}

fn name(i: u32) -> MemberId {
    format!("consumer-{i:05}").into()
}

fn subscribe(i: u32, strategy: &str) -> Command {
    PollingCommand::Subscribe {
        group: "g".into(),
        member: name(i),
        subscription: Subscription {
            topics: vec!["t".into()],
            strategy: strategy.into(),
            instance_id: None,
            session_timeout_ms: 45_000,
            rebalance_timeout_ms: 300_000,
        },
    }
    .into()
}

fn poll(i: u32) -> Command {
    PollingCommand::Poll { group: "g".into(), member: name(i), max_messages: 10 }.into()
}

/// A Stable group whose members all read what they should.
fn group(members: u32, partitions: u32, strategy: &str) -> State {
    let mut state = State::default();
    for i in 0..members {
        apply(&mut state, subscribe(i, strategy));
    }
    // Only now there is something to assign, so that building the group is one rebalance.
    apply(&mut state, TopicCommand::create("t", partitions).into());
    for i in 0..members {
        apply(&mut state, poll(i));
    }
    state
}

fn rebalances(c: &mut Criterion) {
    let mut bench = c.benchmark_group("one joins 1,000 members over 10,000 partitions");
    bench.sample_size(20);
    for strategy in ["range", "roundrobin", "sticky"] {
        let mut state = group(1_000, 10_000, strategy);
        apply(&mut state, subscribe(1_000, strategy));
        for i in 0..999 {
            apply(&mut state, poll(i));
        }
        bench.bench_function(format!("{strategy}: the last poll"), |b| {
            b.iter_batched(
                || state.clone(),
                |mut state| {
                    apply(&mut state, poll(999));
                    state
                },
                BatchSize::PerIteration,
            );
        });
    }
    let state = group(1_000, 10_000, "cooperative-sticky");
    bench.bench_function("cooperative-sticky: the subscribe", |b| {
        b.iter_batched(
            || state.clone(),
            |mut state| {
                apply(&mut state, subscribe(1_000, "cooperative-sticky"));
                state
            },
            BatchSize::PerIteration,
        );
    });
    bench.finish();
}

fn requests(c: &mut Criterion) {
    let mut state = group(10_000, 10_000, "cooperative-sticky");
    let mut bench = c.benchmark_group("10,000 members over 10,000 partitions, Stable");
    let mut i = 0;
    let mut next = move || {
        i = (i + 7_919) % 10_000;
        i
    };
    bench.bench_function("heartbeat", |b| {
        b.iter(|| {
            let query: Query =
                GroupQuery::PollingHeartbeat { group: "g".into(), member: name(next()) }.into();
            black_box(state.query(&query)).expect("a member");
        });
    });
    bench.bench_function("poll", |b| b.iter(|| apply(&mut state, poll(next()))));
    bench.bench_function("commit", |b| {
        b.iter(|| {
            // With as many members as partitions each one owns the partition of its own number.
            let i = next();
            let commit = OffsetCommit {
                group: "g".into(),
                topic: "t".into(),
                partition: i,
                offset: 0,
                leader_epoch: None,
                metadata: None,
            };
            apply(
                &mut state,
                OffsetCommand::PollingCommit { commit, member: name(i), generation: None }.into(),
            );
        });
    });
    bench.finish();
}

criterion_group!(benches, rebalances, requests);
criterion_main!(benches);
