//! Groups on Kafka's wire: what Kafka's coordinator does lawfully passes, and what it must not do
//! is caught. Each lawful history says what cohort, on its own protocol, would be blamed for.

mod checkers_support;

use arena::history::History;
use checkers_support::{HistoryBuilder, catches, history_of, lawful, leaves_open, passes};
use serde_json::{Value, json};

/// Classic members on Kafka's wire.
fn wire() -> HistoryBuilder {
    history_of("classic").stage("wire")
}

/// The same history as if it had been cohort's own protocol.
fn own(mut history: History) -> History {
    history.header.stage = "sim".to_owned();
    history
}

fn named(member: &str, generation: i64) -> Value {
    json!({ "group": "g", "member_id": member, "generation": generation })
}

fn committed(member: &str, generation: i64, offset: i64) -> Value {
    let mut args = named(member, generation);
    (args["topic"], args["partition"], args["offset"]) = (json!("t"), json!(0), json!(offset));
    args
}

fn joined(play: HistoryBuilder, member: &str, span: (u64, u64), generation: i64) -> HistoryBuilder {
    let args = json!({ "group": "g", "member_id": member, "session_timeout_ms": 1000,
                       "rebalance_timeout_ms": 2000,
                       "protocols": [{ "name": "range", "topics": ["t"] }] });
    let reply = json!({ "generation": generation, "protocol": "range", "leader": member,
                        "member_id": member, "members": [{ "member_id": member }] });
    play.ok(member, "join_group", args, span, reply)
}

fn synced(
    play: HistoryBuilder,
    member: &str,
    span: (u64, u64),
    generation: i64,
    (own, assignments): (&[i64], Value),
) -> HistoryBuilder {
    let mut args = named(member, generation);
    if !assignments.is_null() {
        args["assignments"] = assignments;
    }
    play.ok(member, "sync_group", args, span, json!({ "assignment": { "t": own } }))
}

/// Described as Kafka does: without a generation.
fn described(
    play: HistoryBuilder,
    span: (u64, u64),
    state: &str,
    members: &[(&str, &[i64])],
) -> HistoryBuilder {
    let member = |(id, partitions): &(&str, &[i64])| json!({ "member_id": id, "topics": ["t"], "assignment": { "t": partitions } });
    let members: Vec<Value> = members.iter().map(member).collect();
    let reply = json!({ "group": "g", "state": state, "members": members });
    play.ok("admin", "describe_group", json!({ "group": "g" }), span, reply)
}

#[test]
fn a_coordinator_that_loads_accepts_any_heartbeat() {
    // b took over when a's session was over. a wakes up while the next coordinator loads.
    let taken = || wire().classic("a", (0, 30), 1, &[0]).classic("b", (1_100, 1_130), 2, &[0]);
    let woken = taken().ok("a", "heartbeat", named("a", 1), (1_200, 1_210), json!({}));
    lawful(&woken.end());
    let woken = taken().ok("a", "heartbeat", named("a", 1), (1_200, 1_210), json!({}));
    catches("two-generations", &own(woken.end()), &["a was answered in generation 1"]);
    // A commit is not accepted while it loads.
    let commit = taken().ok("a", "commit_offset", committed("a", 1, 5), (1_200, 1_210), json!({}));
    catches("fenced-commit", &commit.end(), &["generation 2"]);
    let commit = taken().ok("a", "commit_offset", committed("a", 1, 5), (1_200, 1_210), json!({}));
    catches("two-generations", &commit.end(), &["a was answered in generation 1"]);
}

#[test]
fn a_generation_without_an_assignment_is_given_away_again() {
    // b led generation 2 and had not assigned when the coordinator changed; then c leads it.
    let play = || {
        let play = joined(wire().classic("a", (0, 30), 1, &[0]), "b", (40, 50), 2);
        let play = play.ok("a", "commit_offset", committed("a", 1, 5), (60, 70), json!({}));
        let none = (&[0][..], Value::Null);
        synced(joined(play, "c", (1_100, 1_110), 2), "c", (1_120, 1_130), 2, none)
    };
    lawful(&play().end());
    catches("generation-reuse", &own(play().end()), &["made leader of generation 2"]);
    catches("fenced-commit", &own(play().end()), &["generation 2"]);
    // What was assigned stays: nobody is served in an older generation.
    let late = play().ok("a", "commit_offset", committed("a", 1, 6), (1_200, 1_210), json!({}));
    catches("fenced-commit", &late.end(), &["generation 2"]);
    let back = joined(play(), "c", (1_200, 1_210), 1);
    catches("generation-reuse", &back.end(), &["c was told generation 1", "after generation 2"]);
    let other = synced(play(), "c", (1_200, 1_210), 2, (&[0, 1], Value::Null));
    catches("generation-reuse", &other.end(), &["two assignments in generation 2"]);
}

#[test]
fn a_removal_is_forgotten_with_the_coordinator() {
    let left = || {
        let leave = json!({ "group": "g", "member_id": "a" });
        let play = wire().classic("a", (0, 30), 1, &[0]);
        play.ok("a", "leave_group", leave, (40, 50), json!({}))
            .ok("a", "heartbeat", named("a", 1), (60, 70), json!({}))
            .ok("a", "commit_offset", committed("a", 1, 5), (80, 90), json!({}))
            .end()
    };
    lawful(&left());
    leaves_open("accepted-after-removal", &left(), "may not know of a removal");
    catches("accepted-after-removal", &own(left()), &["heartbeat by a"]);
    catches("fenced-commit", &own(left()), &["out of the group"]);
}

#[test]
fn a_session_runs_from_a_join_or_a_commit() {
    let unknown = |play: HistoryBuilder, at| {
        play.fail("a", "heartbeat", named("a", 1), (at, at + 10), 22, "UNKNOWN_MEMBER_ID").end()
    };
    let start = || wire().classic("a", (0, 30), 1, &[0]);
    catches("early-eviction", &unknown(start(), 500), &["a was out"]);
    passes("early-eviction", &unknown(start(), 1_100));
    // An accepted heartbeat may have come while the coordinator loaded.
    let beat = || start().ok("a", "heartbeat", named("a", 1), (900, 910), json!({}));
    passes("early-eviction", &unknown(beat(), 1_100));
    catches("early-eviction", &own(unknown(beat(), 1_100)), &["a was out"]);
    let commit = || start().ok("a", "commit_offset", committed("a", 1, 5), (900, 910), json!({}));
    catches("early-eviction", &unknown(commit(), 1_100), &["a was out", "until 1.900s"]);
    // A partition is taken from a member whose session runs.
    let stolen = |play: HistoryBuilder| play.classic("b", (1_000, 1_030), 2, &[0]).end();
    catches("overlapping-ownership", &stolen(commit()), &["t-0", "a (generation 1)"]);
    passes("overlapping-ownership", &stolen(beat()));
}

#[test]
fn a_refusal_of_the_coordinator_leaves_open_whether_it_acted() {
    let start = || {
        let commit =
            |offset| json!({ "group": "g", "topic": "t", "partition": 0, "offset": offset });
        wire().ok("a", "commit_offset", commit(5), (0, 10), json!({})).fail(
            "a",
            "commit_offset",
            commit(7),
            (20, 30),
            11,
            "COORDINATOR_NOT_AVAILABLE",
        )
    };
    for told in [5, 7] {
        lawful(&start().fetched("b", 0, (40, 50), told).end());
    }
    let read = start().fetched("b", 0, (40, 50), 7).end();
    catches("spurious-offset", &own(read), &["read 7", "nobody had committed"]);
    catches("spurious-offset", &start().fetched("b", 0, (40, 50), 6).end(), &["read 6"]);
    // The same of records: the leader changed while they were replicated.
    let args = json!({ "topic": "t", "partition": 0, "message": "x" });
    let read = |play: HistoryBuilder| {
        let reply = json!({ "records": [{ "offset": 0, "message": "x" }], "high_watermark": 1 });
        let at = json!({ "topic": "t", "partition": 0, "offset": 0 });
        play.ok("r", "fetch", at, (20, 30), reply).end()
    };
    let sent = || wire().fail("p", "send", args.clone(), (0, 10), 11, "NOT_LEADER_OR_FOLLOWER");
    lawful(&read(sent()));
    catches("aborted-read", &own(read(sent())), &["refused"]);
}

#[test]
fn a_coordinator_that_was_cut_off_tells_old_offsets() {
    let commit = |offset| json!({ "group": "g", "topic": "t", "partition": 0, "offset": offset });
    let read = |play: HistoryBuilder, told| {
        play.ok("a", "commit_offset", commit(5), (0, 10), json!({}))
            .ok("a", "commit_offset", commit(7), (1_500, 1_510), json!({}))
            .fetched("b", 0, (2_000, 2_010), told)
            .end()
    };
    let cut = || wire().fault("partition", 1_000, Some(1_900));
    lawful(&read(cut(), 5));
    lawful(&read(cut(), 7));
    // What it had not before the fault either, it cannot tell.
    catches("spurious-offset", &read(cut(), 0), &["read 0"]);
    catches("offset-goes-back", &own(read(cut(), 5)), &["read 5"]);
    // Who was killed does not go on, and whoever follows has all that was acknowledged.
    catches("offset-goes-back", &read(wire().fault("kill", 1_000, None), 5), &["read 5"]);
    catches("offset-goes-back", &read(wire(), 5), &["read 5"]);
}

#[test]
fn a_deleted_topic_goes_little_by_little() {
    let commit = json!({ "group": "g", "topic": "t", "partition": 0, "offset": 5 });
    let play = wire()
        .ok("a", "commit_offset", commit, (0, 10), json!({}))
        .ok("admin", "delete_topic", json!({ "topic": "t" }), (20, 30), json!({}))
        .fetched("b", 0, (40, 50), 5)
        .end();
    lawful(&play);
    catches("spurious-offset", &own(play), &["t#2-0", "read 5"]);
}

#[test]
fn what_the_leader_assigned_twice_is_not_the_brokers_doing() {
    let play = |assignments: Value| {
        let play = joined(wire(), "a", (0, 10), 1);
        let play = joined(play, "b", (1, 11), 1);
        let play = synced(play, "a", (20, 30), 1, (&[0], assignments));
        synced(play, "b", (21, 31), 1, (&[0], Value::Null)).end()
    };
    // b's own `leader` makes two of them, which only the own protocol minds.
    let twice = json!({ "a": { "t": [0] }, "b": { "t": [0] } });
    passes("double-ownership", &play(twice));
    let once = json!({ "a": { "t": [0] }, "b": { "t": [1] } });
    catches("double-ownership", &play(once), &["t-0", "a and b"]);
    // Who led is not in the history.
    leaves_open("double-ownership", &play(Value::Null), "clients assign");
}

#[test]
fn assignments_are_the_clients_unless_they_are_the_arenas() {
    let play = |config: Value| {
        let play = wire().config(config).classic("a", (0, 30), 1, &[0]);
        described(play, (40, 50), "Stable", &[("a", &[0])]).end()
    };
    let partitions = json!({ "t": 2 });
    for name in ["not-covering", "starved-member", "outside-subscription"] {
        leaves_open(name, &play(json!({ "partitions": partitions })), "clients assign");
    }
    let arena = json!({ "partitions": partitions, "assignor": "arena" });
    catches("not-covering", &play(arena.clone()), &["t-1 belongs to nobody"]);
    lawful(&play(json!({ "partitions": { "t": 1 }, "assignor": "arena" })));
    // A topic that grew after the members joined: a broker does not rebalance for that.
    let grown = wire()
        .config(json!({ "partitions": { "t": 1 }, "assignor": "arena" }))
        .classic("a", (0, 30), 1, &[0])
        .ok(
            "x",
            "create_partitions",
            json!({ "topic": "t", "partitions": 2 }),
            (40, 50),
            json!({}),
        );
    let grown = described(grown, (9_000, 9_010), "Stable", &[("a", &[0])]).end();
    lawful(&grown);
}

#[test]
fn a_seat_that_is_taken_over_keeps_its_assignment() {
    let seat = |play: HistoryBuilder, member: &str, topic: &str, from: u64| {
        let join = json!({ "group": "g", "member_id": "", "instance_id": "i",
                           "session_timeout_ms": 1000, "rebalance_timeout_ms": 2000,
                           "protocols": [{ "name": "range", "topics": [topic] }] });
        let reply = json!({ "generation": 1, "protocol": "range", "leader": "a", "member_id": member, "members": [] });
        let play = play.ok(member, "join_group", join, (from, from + 10), reply);
        let mut args = named(member, 1);
        args["instance_id"] = json!("i");
        let reply = json!({ "assignment": { "t": [0] } });
        play.ok(member, "sync_group", args, (from + 20, from + 30), reply)
    };
    let config = json!({ "assignor": "arena" });
    let play = || seat(seat(wire().config(config.clone()), "a", "t", 0), "b", "other", 100).end();
    lawful(&play());
    catches("outside-subscription", &own(play()), &["b was given t-0"]);
}

#[test]
fn a_member_id_is_asked_for_before_one_joins() {
    let join = |member: &str| {
        json!({ "group": "g", "member_id": member, "session_timeout_ms": 1000,
                "rebalance_timeout_ms": 2000, "protocols": [{ "name": "range", "topics": ["t"] }] })
    };
    let play = wire().heal(0).fail("a", "join_group", join(""), (0, 5), 14, "MEMBER_ID_REQUIRED");
    let play = play.classic("a", (10, 40), 1, &[0]);
    // A rebalance is under way for as long as somebody joins, and may take its time-out then.
    let beats = (1..40u64).fold(play, |play, beat| {
        play.ok("a", "heartbeat", named("a", 1), (beat * 400, beat * 400 + 5), json!({}))
    });
    let waiting = described(beats, (15_900, 15_910), "PreparingRebalance", &[("a", &[])]).end();
    lawful(&waiting);
    catches("no-convergence", &own(waiting), &["PreparingRebalance"]);
}

#[test]
fn an_administrator_commits_without_a_member() {
    let commit = |offset| json!({ "group": "g", "topic": "t", "partition": 0, "offset": offset, "member_id": "", "generation": -1 });
    let play = wire()
        .classic("a", (0, 30), 1, &[0])
        .ok("a", "commit_offset", committed("a", 1, 9), (40, 50), json!({}))
        .classic("b", (2_000, 2_030), 2, &[0])
        .ok("admin", "commit_offset", commit(3), (5_000, 5_010), json!({}))
        .fetched("b", 0, (5_020, 5_030), 3)
        .end();
    lawful(&play);
}

#[test]
fn members_of_somebody_else_are_no_strangers() {
    let play = || {
        described(
            wire().classic("a", (0, 30), 1, &[0]),
            (40, 50),
            "Stable",
            &[("a", &[0]), ("x", &[])],
        )
    };
    catches("lost-member", &play().end(), &["members x"]);
    passes("lost-member", &play().stage("watch").end());
    lawful(&play().stage("watch").end());
}
