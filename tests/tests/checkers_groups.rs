//! Each predicate of groups catches the history that it is for, and passes a lawful one that is
//! close to it.

mod checkers_support;

use arena::history::History;
use checkers_support::{
    HistoryBuilder, catches, history_of, lawful, leaves_open, member, passes, subscribe, told, two,
};
use serde_json::json;

/// A cooperative consumer's subscription.
fn cooperative(
    builder: HistoryBuilder,
    consumer: &str,
    span: (u64, u64),
    generation: i64,
    partitions: &[i64],
) -> HistoryBuilder {
    builder.ok(
        consumer,
        "subscribe",
        subscribe(consumer, "cooperative-sticky"),
        span,
        told(generation, partitions),
    )
}

#[test]
fn a_sound_group_passes() {
    let history = two().described((95, 99), 2, "Stable", &[("a", &[0]), ("b", &[1])]).end();
    lawful(&history);
    for name in [
        "double-ownership",
        "overlapping-ownership",
        "two-generations",
        "generation-reuse",
        "not-covering",
        "outside-subscription",
        "starved-member",
        "accepted-after-removal",
        "lost-member",
    ] {
        passes(name, &history);
    }
}

#[test]
fn g1_double_ownership() {
    catches(
        "double-ownership",
        &two().thin("b", "heartbeat", (92, 95), 2, &[0, 1]).end(),
        &["generation 2", "t-0", "a and b"],
    );
    catches(
        "double-ownership",
        &two().described((95, 99), 2, "Stable", &[("a", &[0]), ("b", &[0, 1])]).end(),
        &["t-0"],
    );
    passes(
        "double-ownership",
        &two()
            .thin("b", "unsubscribe", (92, 95), 2, &[])
            .thin("a", "poll", (96, 98), 3, &[0, 1])
            .end(),
    );
}

#[test]
fn g1_a_static_seat_is_taken_over() {
    let seat = |consumer: &str, instance: &str| {
        let mut args = subscribe(consumer, "range");
        args["instance_id"] = json!(instance);
        args
    };
    let taken = |instance: &str| {
        history_of("groups")
            .ok("a", "subscribe", seat("a", "i"), (0, 10), told(1, &[0]))
            .ok("b", "subscribe", seat("b", instance), (20, 30), told(1, &[0]))
            .end()
    };
    lawful(&taken("i"));
    catches("double-ownership", &taken("j"), &["t-0"]);
    catches("overlapping-ownership", &taken("j"), &["t-0"]);
}

#[test]
fn g1_cooperative_heartbeats_do_not_read() {
    let start = || {
        cooperative(
            cooperative(history_of("groups"), "a", (0, 10), 1, &[0, 1]),
            "b",
            (20, 30),
            2,
            &[],
        )
    };
    let reply = |partitions: &[i64]| {
        let mut reply = told(2, partitions);
        reply["records"] = json!([]);
        reply
    };
    // Told of the new generation before it gives up with its next poll.
    let lawful_move = start()
        .ok("a", "heartbeat", member("a"), (40, 50), told(2, &[0, 1]))
        .ok("a", "poll", member("a"), (60, 70), reply(&[0]))
        .ok("b", "poll", member("b"), (80, 90), reply(&[1]))
        .end();
    lawful(&lawful_move);
    let read_twice = start()
        .ok("a", "poll", member("a"), (60, 70), reply(&[0, 1]))
        .ok("b", "poll", member("b"), (80, 90), reply(&[1]))
        .end();
    catches("double-ownership", &read_twice, &["generation 2", "t-1"]);
}

#[test]
fn g2_overlapping_ownership() {
    // b is told t-0 in a newer generation, while a's time-outs still run and it has not polled.
    let stolen = |at: u64| two().thin("b", "poll", (at, at + 10), 3, &[0, 1]).end();
    catches(
        "overlapping-ownership",
        &stolen(200),
        &["t-0", "a (generation 2)", "b (generation 3)"],
    );
    // After a's session it is b's, lawfully.
    passes("overlapping-ownership", &stolen(1_085));
    // a gave up by a poll that was answered, or may have.
    let gave_up =
        two().thin("a", "poll", (100, 110), 2, &[]).thin("b", "poll", (200, 210), 3, &[0, 1]).end();
    lawful(&gave_up);
    let may_have = two()
        .info("a", "poll", member("a"), (100, 110))
        .thin("b", "poll", (200, 210), 3, &[0, 1])
        .end();
    passes("overlapping-ownership", &may_have);
    // Skewed clocks take the time-outs from us, but not what was told on both sides.
    let skewed = two().fault("clock", 0, Some(50)).thin("b", "poll", (200, 210), 3, &[0, 1]).end();
    passes("overlapping-ownership", &skewed);
    let both_sides = two()
        .fault("clock", 0, Some(50))
        .thin("b", "poll", (200, 210), 3, &[0, 1])
        .thin("a", "heartbeat", (220, 230), 2, &[0])
        .thin("b", "poll", (240, 250), 3, &[0, 1])
        .end();
    catches("overlapping-ownership", &both_sides, &["t-0"]);
}

#[test]
fn g2_an_old_request_may_give_up_late() {
    // A poll that nobody answered waits in a paused node, and gives up what a was told in between.
    let ghost = history_of("groups")
        .fault("pause", 5, Some(150))
        .thin("a", "subscribe", (0, 4), 1, &[])
        .info("a", "poll", member("a"), (6, 20))
        .thin("a", "subscribe", (30, 40), 2, &[0])
        .thin("b", "subscribe", (50, 60), 2, &[])
        .thin("b", "poll", (170, 180), 3, &[0])
        .end();
    lawful(&ghost);
}

#[test]
fn seed_865216_a_join_that_nobody_was_told_of_may_have_taken_the_seat() {
    let joined_as = |instance: &str| {
        let beat = json!({ "group": "g", "member_id": "a", "generation": 1, "instance_id": "i" });
        let join = json!({ "group": "g", "member_id": "", "instance_id": instance,
                           "session_timeout_ms": 1000, "rebalance_timeout_ms": 2000,
                           "protocols": [{ "name": "range", "topics": ["t"] }] });
        history_of("classic")
            .classic("a", (0, 30), 1, &[0])
            .ok("a", "heartbeat", beat, (40, 50), json!({}))
            .info("c", "join_group", join, (60, 5_000))
            .classic("b", (100, 130), 2, &[0])
            .end()
    };
    passes("overlapping-ownership", &joined_as("i"));
    catches("overlapping-ownership", &joined_as("j"), &["t-0"]);
}

#[test]
fn g2_ends_where_the_member_was_told_that_it_is_out() {
    // Wrongly thrown out perhaps, but from the answer on it knows: that is for early-eviction to
    // say.
    for error in ["UNKNOWN_MEMBER_ID", "FENCED_INSTANCE_ID"] {
        let told = |at: u64| {
            two()
                .fail("a", "heartbeat", member("a"), (150, 160), 25, error)
                .thin("b", "poll", (at, at + 10), 3, &[0, 1])
                .end()
        };
        passes("overlapping-ownership", &told(200));
        catches(
            "overlapping-ownership",
            &told(100),
            &["t-0", "a (generation 2)", "b (generation 3)"],
        );
    }
    let told = |generation: i64| {
        let beat = json!({ "group": "g", "member_id": "a", "generation": generation });
        history_of("classic")
            .classic("a", (0, 30), 1, &[0])
            .fail("a", "heartbeat", beat, (60, 70), 22, "ILLEGAL_GENERATION")
            .classic("b", (100, 130), 2, &[0])
            .end()
    };
    passes("overlapping-ownership", &told(1));
    // About another generation than the one in which it owned the partition.
    catches("overlapping-ownership", &told(0), &["t-0"]);
}

#[test]
fn g2_a_classic_member_that_misses_a_rebalance_is_out_before_its_session_ends() {
    // The rebalance began at 110 ms, after the last accepted heartbeat; commits are accepted still.
    let missed = |at: u64| {
        let args = json!({ "group": "g", "member_id": "a", "generation": 1, "topic": "t", "partition": 0, "offset": 0 });
        let mut history = history_of("classic")
            .classic("a", (0, 90), 1, &[0])
            .ok("a", "commit_offset", args, (400, 410), json!({}))
            .classic("b", (at, at + 30), 2, &[0])
            .end();
        for op in history.ops.iter_mut().filter(|op| op.f == "join_group") {
            op.args["session_timeout_ms"] = json!(5_000);
            op.args["rebalance_timeout_ms"] = json!(500);
        }
        history
    };
    passes("overlapping-ownership", &missed(640));
    catches("overlapping-ownership", &missed(500), &["t-0", "generation 1", "generation 2"]);
}

#[test]
fn g2_a_static_classic_seat_is_taken_over_under_a_new_name() {
    let taken = |instance: &str| {
        let mut history = history_of("classic")
            .classic("a", (0, 30), 1, &[0])
            .classic("b", (60, 90), 1, &[0])
            .end();
        for op in history.ops.iter_mut().filter(|op| op.f == "join_group") {
            let instance = if op.process == "a" { "i" } else { instance };
            op.args["instance_id"] = json!(instance);
        }
        history
    };
    for name in ["overlapping-ownership", "double-ownership"] {
        passes(name, &taken("i"));
        catches(name, &taken("j"), &["t-0"]);
    }
}

#[test]
fn g2_and_g3_in_a_classic_group() {
    let start = || history_of("classic").classic("a", (0, 30), 1, &[0]);
    lawful(&start().classic("b", (1_100, 1_130), 2, &[0]).end());
    let early = start().classic("b", (100, 130), 2, &[0]);
    catches("overlapping-ownership", &early.end(), &["t-0", "generation 1", "generation 2"]);
    let beat = json!({ "group": "g", "member_id": "a", "generation": 1 });
    let both = start()
        .classic("b", (1_100, 1_130), 2, &[0])
        .ok("a", "heartbeat", beat.clone(), (1_200, 1_210), json!({}))
        .end();
    catches("two-generations", &both, &["a was answered in generation 1", "generation 2"]);
    let under_way = start()
        .classic("b", (1_100, 1_130), 2, &[0])
        .ok("a", "heartbeat", beat, (1_105, 1_210), json!({}))
        .end();
    passes("two-generations", &under_way);
}

#[test]
fn g3_two_generations() {
    let old = two()
        .thin("b", "poll", (1_200, 1_210), 3, &[0, 1])
        .thin("a", "heartbeat", (1_220, 1_230), 2, &[0])
        .end();
    catches("two-generations", &old, &["a was answered in generation 2", "b", "generation 3"]);
    // Who has given up everything is told the generation that ends.
    lawful(
        &two()
            .thin("b", "poll", (1_200, 1_210), 3, &[0, 1])
            .thin("a", "heartbeat", (1_220, 1_230), 2, &[])
            .end(),
    );
    // Cooperative members are of different generations for a while, as long as they read other
    // partitions.
    let apart = |partitions: &[i64]| {
        let builder = cooperative(
            cooperative(history_of("groups"), "a", (0, 10), 1, &[0, 1]),
            "b",
            (1_200, 1_210),
            2,
            &[2],
        );
        builder.ok("a", "heartbeat", member("a"), (1_220, 1_230), told(1, partitions)).end()
    };
    passes("two-generations", &apart(&[0, 1]));
    catches("two-generations", &apart(&[0, 2]), &["t-2"]);
}

#[test]
fn g4_generation_reuse() {
    catches(
        "generation-reuse",
        &two().thin("a", "heartbeat", (92, 95), 1, &[0, 1]).end(),
        &["generation 1", "generation 2"],
    );
    catches(
        "generation-reuse",
        &two().thin("a", "heartbeat", (92, 95), 2, &[0, 1]).end(),
        &["two assignments", "generation 2"],
    );
    passes("generation-reuse", &two().thin("a", "heartbeat", (92, 95), 2, &[]).end());
    let stable: &[(&str, &[i64])] = &[("a", &[0]), ("b", &[1])];
    let swapped: &[(&str, &[i64])] = &[("a", &[1]), ("b", &[0])];
    let twice = |second| {
        two()
            .described((95, 99), 2, "Stable", stable)
            .described((100, 105), 2, "Stable", second)
            .end()
    };
    catches("generation-reuse", &twice(swapped), &["described twice", "t-0"]);
    passes("generation-reuse", &twice(stable));
}

#[test]
fn g4_two_leaders() {
    let join = |member: &str, generation: i64| {
        let args = json!({ "group": "g", "member_id": member, "session_timeout_ms": 1000, "rebalance_timeout_ms": 2000,
                           "protocols": [{ "name": "range", "topics": ["t"] }] });
        (
            args,
            json!({ "generation": generation, "protocol": "range", "leader": member, "member_id": member, "members": [] }),
        )
    };
    let second = |generation| {
        let ((a, a_told), (b, b_told)) = (join("a", 1), join("b", generation));
        history_of("classic")
            .ok("a", "join_group", a, (0, 10), a_told)
            .ok("b", "join_group", b, (5, 15), b_told)
            .end()
    };
    catches("generation-reuse", &second(1), &["leader of generation 1"]);
    passes("generation-reuse", &second(2));
}

#[test]
fn g5_g6_g7_what_a_stable_group_owns() {
    let described =
        |members: &[(&str, &[i64])]| two().described((3_000, 3_010), 2, "Stable", members).end();
    catches("not-covering", &described(&[("a", &[0])]), &["t-1 belongs to nobody"]);
    catches(
        "outside-subscription",
        &two().thin("a", "heartbeat", (92, 95), 2, &[0, 7]).end(),
        &["t-7", "does not exist"],
    );
    catches("starved-member", &described(&[("a", &[0, 1]), ("b", &[])]), &["b owns nothing"]);
    // More members than partitions: somebody lawfully has nothing.
    passes("not-covering", &described(&[("a", &[0]), ("b", &[1]), ("c", &[])]));
    leaves_open(
        "starved-member",
        &described(&[("a", &[0]), ("b", &[1]), ("c", &[])]),
        "no description",
    );
    // While it rebalances, nothing is promised.
    let preparing = two().described((3_000, 3_010), 2, "PreparingRebalance", &[("a", &[0])]).end();
    leaves_open("not-covering", &preparing, "no description");
    // A topic that is growing is not settled.
    let grown = two()
        .ok(
            "x",
            "create_partitions",
            json!({ "topic": "t", "partitions": 3 }),
            (2_000, 2_500),
            json!({}),
        )
        .described((3_000, 3_010), 2, "Stable", &[("a", &[0]), ("b", &[1])])
        .end();
    leaves_open("not-covering", &grown, "no description");
}

#[test]
fn g6_another_topic() {
    let other = |topic: &str| {
        let mut reply = told(2, &[]);
        reply["assignment"] = json!({ topic: [0] });
        two().ok("a", "heartbeat", member("a"), (92, 95), reply).end()
    };
    catches("outside-subscription", &other("u"), &["u-0", "never subscribed"]);
    passes("outside-subscription", &other("t"));
}

#[test]
fn g7_starved_for_a_long_time() {
    let hungry = |generations: [i64; 2]| {
        let mut builder = history_of("groups").config(json!({ "partitions": { "t": 1 } })).thin(
            "a",
            "subscribe",
            (0, 10),
            1,
            &[],
        );
        for second in 1..20u64 {
            let generation = generations[usize::from(second > 9)];
            builder =
                builder.thin("a", "poll", (second * 1_000, second * 1_000 + 10), generation, &[]);
        }
        builder
    };
    catches("starved-member", &hungry([1, 1]).end(), &["a was told an empty assignment"]);
    // Rebalances in between, or a fault, may be the cause.
    leaves_open("starved-member", &hungry([1, 2]).end(), "no description");
    leaves_open(
        "starved-member",
        &hungry([1, 1]).fault("partition", 5_000, Some(6_000)).end(),
        "no description",
    );
}

/// Two consumers that poll on through the final phase, a being told `generation` from half-time on.
fn final_phase(generation: i64, state: &str, last: (i64, &str)) -> History {
    let mut builder = two().heal(100);
    for step in 0..20u64 {
        let at = 11_000 + step * 100;
        let now = if step < 10 { 2 } else { generation };
        builder = builder
            .thin_told("a", "poll", (at, at + 10), now, state, json!({ "t": [0] }), &[])
            .thin_told("b", "poll", (at + 20, at + 30), now, state, json!({ "t": [1] }), &[]);
    }
    builder.described((12_950, 12_960), last.0, last.1, &[("a", &[0]), ("b", &[1])]).end()
}

#[test]
fn g8_no_convergence() {
    let sound = final_phase(2, "Stable", (2, "Stable"));
    passes("no-convergence", &sound);
    lawful(&sound);
    catches(
        "no-convergence",
        &final_phase(2, "Stable", (2, "PreparingRebalance")),
        &["state PreparingRebalance"],
    );
    catches(
        "no-convergence",
        &final_phase(2, "Stable", (3, "Stable")),
        &["generation 3", "was last told 2"],
    );
    catches(
        "no-convergence",
        &final_phase(2, "PreparingRebalance", (2, "Stable")),
        &["was told state PreparingRebalance"],
    );
    leaves_open("no-convergence", &two().end(), "final phase");
    // Somebody joined just before: it may lawfully be under way.
    let joined = two()
        .heal(100)
        .thin("c", "subscribe", (200, 210), 2, &[])
        .described((250, 260), 2, "PreparingRebalance", &[("a", &[0]), ("b", &[1])])
        .end();
    leaves_open("no-convergence", &joined, "group g");
}

#[test]
fn g8_nobody_answers() {
    let ask = |at: u64| {
        two()
            .heal(100)
            .info("admin", "describe_group", json!({ "group": "g" }), (at, at + 5_000))
            .end()
    };
    catches("no-convergence", &ask(12_000), &["no description was answered"]);
    leaves_open("no-convergence", &ask(5_000), "no group was described");
}

#[test]
fn g9_rebalance_storm() {
    passes("rebalance-storm", &final_phase(3, "Stable", (3, "Stable")));
    catches("rebalance-storm", &final_phase(4, "Stable", (4, "Stable")), &["rose from 2 to 4"]);
    leaves_open("rebalance-storm", &two().end(), "described");
}

#[test]
fn g17_stale_leader() {
    let term = |first: u64, second: u64| {
        history_of("lin-kv")
            .ok("a", "read", json!({ "key": 0 }), (0, 10), json!({ "value": 1, "term": first }))
            .ok("b", "read", json!({ "key": 0 }), (20, 30), json!({ "value": 1, "term": second }))
            .end()
    };
    catches("stale-leader", &term(5, 4), &["term 4", "term 5"]);
    passes("stale-leader", &term(5, 5));
    leaves_open("stale-leader", &two().end(), "no `term`");
}

#[test]
fn g21_and_g22_are_named_as_not_judged() {
    leaves_open("replica-divergence", &two().end(), "simulator");
    leaves_open("nondeterministic-apply", &two().end(), "simulator");
}

#[test]
fn g24_no_progress() {
    let read = || json!({ "key": 0 });
    let silent = |fault: bool| {
        let builder = history_of("lin-kv").ok("a", "read", read(), (0, 10), json!({ "value": 1 }));
        let builder = if fault { builder.fault("partition", 500, Some(30_000)) } else { builder };
        (1..7u64)
            .fold(builder, |builder, step| {
                builder.info("a", "read", read(), (step * 5_000, step * 5_000 + 4_900))
            })
            .ok("a", "read", read(), (34_000, 34_010), json!({ "value": 1 }))
            .end()
    };
    catches("no-progress", &silent(false), &["from 5.000s to 34.010s"]);
    leaves_open("no-progress", &silent(true), "no stretch");
    let mut promised = silent(true);
    promised.header.config = json!({ "majority_connected": true });
    catches("no-progress", &promised, &["nothing was answered"]);
    // Refusals by the state are answers too.
    let refused = (0..8u64).fold(history_of("lin-kv"), |builder, step| {
        builder.fail("a", "read", read(), (step * 5_000, step * 5_000 + 10), 20, "KEY_NOT_FOUND")
    });
    passes("no-progress", &refused.end());
}
