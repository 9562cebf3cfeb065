//! The search for linearizations against a brute-force oracle, and the checkers that use it.

mod checkers_support;

use arena::checkers::linear::{Answer, Effect, Operation, STEPS, linearizable};
use checkers_support::{catches, history_of, lawful, leaves_open, passes};
use proptest::prelude::{
    ProptestConfig, Strategy, any, prop, prop_assert_eq, prop_oneof, proptest,
};
use serde_json::json;

/// Tries every order of every subset that has all answered operations, the definition word for
/// word.
fn by_brute_force(state: u32, left: &[Operation]) -> bool {
    if left.iter().all(|operation| operation.complete.is_none()) {
        return true;
    }
    (0..left.len()).any(|first| {
        let candidate = left[first];
        // It can be next only if no other one had completed before it was invoked.
        let may_be_next = left
            .iter()
            .all(|other| other.complete.is_none_or(|complete| complete >= candidate.invoke));
        let rest: Vec<Operation> = left
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != first)
            .map(|(_, operation)| *operation)
            .collect();
        // An unanswered operation may also never act.
        let never = candidate.complete.is_none() && by_brute_force(state, &rest);
        never
            || (may_be_next
                && candidate.effect.act(state).is_some_and(|next| by_brute_force(next, &rest)))
    })
}

fn effect() -> impl Strategy<Value = Effect> {
    let state = 0u32..3;
    prop_oneof![
        3 => state.clone().prop_map(Effect::Saw),
        3 => state.clone().prop_map(Effect::Set),
        2 => (state.clone(), state.clone()).prop_map(|(from, to)| Effect::Swap(from, to)),
        1 => (state.clone(), state.clone()).prop_map(|(a, b)| Effect::SawNeither(a, b)),
        1 => (state.clone(), state.clone(), state.clone()).prop_map(|(a, b, to)| Effect::SwapEither(a, b, to)),
        1 => state.prop_map(Effect::Raise),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    (0u64..12, 0u64..8, any::<bool>(), 0u8..4, effect()).prop_map(
        |(invoke, length, _, unanswered, effect)| Operation {
            invoke,
            complete: (unanswered > 0).then_some(invoke + length),
            effect,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_search_agrees_with_brute_force(operations in prop::collection::vec(operation(), 0..7)) {
        let found = linearizable(0, &operations, STEPS);
        prop_assert_eq!(found == Answer::Linearizable, by_brute_force(0, &operations), "{:?}", found);
    }

    #[test]
    fn few_steps_never_give_a_wrong_answer(operations in prop::collection::vec(operation(), 0..7), steps in 0usize..6) {
        match linearizable(0, &operations, steps) {
            Answer::GaveUp(_) => {}
            answer => prop_assert_eq!(answer, linearizable(0, &operations, STEPS)),
        }
    }
}

/// The oracle is worth something only if both answers are common among what is drawn.
#[test]
fn both_answers_are_drawn() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let drawn = prop::collection::vec(operation(), 3..7);
    let yes = (0..500).filter(|_| {
        let operations = drawn.new_tree(&mut runner).expect("a draw").current();
        by_brute_force(0, &operations)
    });
    let yes = yes.count();
    assert!((50..450).contains(&yes), "{yes} of 500 are linearizable");
}

#[test]
fn the_unexplained_operation_is_named() {
    let operation =
        |invoke, complete, effect| Operation { invoke, complete: Some(complete), effect };
    let history = [
        operation(0, 1, Effect::Set(1)),
        operation(2, 3, Effect::Set(2)),
        operation(4, 6, Effect::Saw(1)),
        operation(5, 9, Effect::Set(3)),
    ];
    let expected =
        Answer::Not { unexplained: 2, states: vec![2], setters: vec![1], pending: vec![3] };
    assert_eq!(linearizable(0, &history, STEPS), expected);
}

#[test]
fn unanswered_writes_do_not_multiply() {
    // 400 writes without an answer, and readers that see some of them, in order: 2^400 subsets.
    let mut history = Vec::new();
    for value in 1..=400u64 {
        let state = u32::try_from(value).expect("small");
        history.push(Operation { invoke: value * 10, complete: None, effect: Effect::Set(state) });
        if value % 3 == 0 {
            history.push(Operation {
                invoke: value * 10 + 5,
                complete: Some(value * 10 + 6),
                effect: Effect::Saw(state),
            });
        }
    }
    assert_eq!(linearizable(0, &history, STEPS), Answer::Linearizable);
    // A value can come back only by a write of its own, and it has one.
    history.push(Operation { invoke: 9_000, complete: Some(9_001), effect: Effect::Saw(3) });
    assert!(
        matches!(linearizable(0, &history, STEPS), Answer::Not { unexplained, .. } if unexplained == history.len() - 1)
    );
}

#[test]
fn a_search_that_is_given_up_says_so() {
    let history = [Operation { invoke: 0, complete: Some(1), effect: Effect::Set(1) }];
    assert_eq!(linearizable(0, &history, 0), Answer::GaveUp(0));
}

fn key(value: i64) -> serde_json::Value {
    json!({ "key": 0, "value": value })
}

#[test]
fn registers() {
    let read = json!({ "key": 0 });
    let write = || {
        history_of("lin-kv").ok("a", "write", key(1), (0, 10), json!({})).ok(
            "a",
            "write",
            key(2),
            (20, 30),
            json!({}),
        )
    };
    let stale = write().ok("b", "read", read.clone(), (40, 50), json!({ "value": 1 })).end();
    catches("linearizable-register", &stale, &["key 0", "by b", "held 2"]);
    let concurrent = write().ok("b", "read", read.clone(), (25, 50), json!({ "value": 1.0 })).end();
    passes("linearizable-register", &concurrent);
    let absent = |at| write().fail("b", "read", read.clone(), at, 20, "KEY_NOT_FOUND").end();
    catches("linearizable-register", &absent((40, 50)), &["error 20"]);
    passes("linearizable-register", &absent((5, 50)));
}

#[test]
fn a_refused_cas_shows_the_state() {
    let cas = json!({ "key": 0, "from": 1, "to": 5 });
    let start = || history_of("lin-kv").ok("a", "write", key(1), (0, 10), json!({}));
    // It holds 1, so a cas from 1 must not be refused for another value, nor for the lack of one.
    let refused =
        |code| start().fail("b", "cas", cas.clone(), (20, 30), code, "PRECONDITION_FAILED").end();
    catches("linearizable-register", &refused(22), &["error 22", "held 1"]);
    catches("linearizable-register", &refused(20), &["error 20"]);
    // Error 11 says nothing of the state.
    passes("linearizable-register", &refused(11));
    let other = history_of("lin-kv")
        .ok("a", "write", key(2), (0, 10), json!({}))
        .fail("b", "cas", cas, (20, 30), 22, "PRECONDITION_FAILED")
        .end();
    passes("linearizable-register", &other);
}

#[test]
fn a_cas_that_creates() {
    let cas = json!({ "key": 0, "from": 7, "to": 5, "create_if_not_exists": true });
    let read = |value: i64| {
        history_of("lin-kv")
            .ok("b", "cas", cas.clone(), (20, 30), json!({}))
            .ok("b", "read", json!({ "key": 0 }), (40, 50), json!({ "value": value }))
            .end()
    };
    passes("linearizable-register", &read(5));
    catches("linearizable-register", &read(7), &["held 5"]);
}

#[test]
fn an_unanswered_write_may_act_late_or_never() {
    let start = || {
        history_of("lin-kv").ok("a", "write", key(1), (0, 10), json!({})).info(
            "b",
            "write",
            key(2),
            (20, 30),
        )
    };
    let read = |value: i64| json!({ "value": value });
    let args = json!({ "key": 0 });
    let late = start()
        .ok("a", "read", args.clone(), (40, 50), read(1))
        .ok("a", "read", args.clone(), (60, 70), read(2))
        .end();
    passes("linearizable-register", &late);
    let twice = start()
        .ok("a", "read", args.clone(), (40, 50), read(2))
        .ok("a", "write", key(3), (55, 58), json!({}))
        .ok("a", "read", args, (60, 70), read(2))
        .end();
    catches("linearizable-register", &twice, &["held 3"]);
}

#[test]
fn committed_offsets() {
    let admin =
        |offset: i64| json!({ "group": "g", "topic": "t", "partition": 0, "offset": offset });
    let start = || {
        history_of("offsets").ok("a", "commit_offset", admin(10), (0, 10), json!({})).ok(
            "a",
            "commit_offset",
            admin(4),
            (20, 30),
            json!({}),
        )
    };
    // Moving back is legal: the last commit wins.
    lawful(&start().fetched("b", 0, (40, 50), 4).end());
    let stale = start().fetched("b", 0, (40, 50), 10).end();
    catches("linearizable-offset", &stale, &["group g, t-0", "held 4"]);
    catches("offset-goes-back", &stale, &["read 10", "by 4"]);
    passes("spurious-offset", &stale);
    // Two readers that see a commit under way in different orders: each is possible, both are not.
    let split = start()
        .info("c", "commit_offset", admin(7), (40, 100))
        .fetched("b", 0, (50, 60), 7)
        .fetched("d", 0, (70, 80), 4)
        .end();
    catches("linearizable-offset", &split, &["held 7"]);
    passes("offset-goes-back", &split);
}

#[test]
fn committed_offsets_that_nobody_wrote() {
    let admin =
        |offset: i64| json!({ "group": "g", "topic": "t", "partition": 0, "offset": offset });
    let start = || history_of("offsets").ok("a", "commit_offset", admin(10), (0, 10), json!({}));
    let zero = start().fetched("b", 0, (40, 50), 0).end();
    catches("spurious-offset", &zero, &["read 0", "as if nothing"]);
    catches("linearizable-offset", &zero, &["held 10"]);
    passes("offset-goes-back", &zero);
    catches(
        "spurious-offset",
        &start().fetched("b", 0, (40, 50), 3).end(),
        &["read 3", "nobody had committed"],
    );
    catches("spurious-offset", &start().fetched("b", 0, (40, 50), -1).end(), &["read -1"]);
    lawful(&start().fetched("b", 0, (5, 50), 0).end());
    let deleted = start()
        .info(
            "a",
            "delete_offsets",
            json!({ "group": "g", "topic": "t", "partitions": [0] }),
            (20, 30),
        )
        .fetched("b", 0, (40, 50), 10)
        .fetched("b", 0, (60, 70), 0)
        .end();
    lawful(&deleted);
    passes("linearizable-offset", &deleted);
}

#[test]
fn a_description_reads_committed_offsets_too() {
    let admin = json!({ "group": "g", "topic": "t", "partition": 0, "offset": 10 });
    let told = |committed: serde_json::Value| {
        let line = json!({ "topic": "t", "partition": 0, "committed": committed });
        history_of("offsets")
            .ok("a", "commit_offset", admin.clone(), (0, 10), json!({}))
            .ok("b", "describe_group", json!({ "group": "g" }), (20, 30), json!({
                "group": "g", "kind": "simple", "state": "Empty", "generation": 0, "members": [], "offsets": [line]
            }))
            .end()
    };
    catches("linearizable-offset", &told(json!(null)), &["held 10"]);
    passes("linearizable-offset", &told(json!(10)));
}

#[test]
fn offsets_of_keys_never_move_back() {
    let commit = |offset: i64| json!({ "offsets": { "k": offset } });
    let list = json!({ "keys": ["k"] });
    let start = || {
        history_of("kafka").ok("a", "commit_offsets", commit(5), (0, 10), json!({})).ok(
            "b",
            "commit_offsets",
            commit(3),
            (20, 30),
            json!({}),
        )
    };
    let told = |offsets: serde_json::Value| {
        start()
            .ok(
                "c",
                "list_committed_offsets",
                list.clone(),
                (40, 50),
                json!({ "offsets": offsets }),
            )
            .end()
    };
    lawful(&told(json!({ "k": 5 })));
    passes("linearizable-offset", &told(json!({ "k": 5 })));
    catches("linearizable-offset", &told(json!({ "k": 3 })), &["key k", "held 5"]);
    catches("offset-goes-back", &told(json!({ "k": 3 })), &["key k", "listed offset 3"]);
    catches("spurious-offset", &told(json!({})), &["key k", "left out"]);
    catches("spurious-offset", &told(json!({ "k": 9 })), &["nobody had committed"]);
}

#[test]
fn a_history_without_registers_is_left_open() {
    leaves_open("linearizable-register", &history_of("kafka").end(), "no operations");
    leaves_open("linearizable-offset", &history_of("kafka").end(), "no committed offsets");
}
