//! Predicates about who is in a group: each catches the history that it is for, and passes a lawful
//! one that is close to it.

mod checkers_support;

use checkers_support::{catches, history_of, leaves_open, member, passes, subscribe, two};
use serde_json::json;

#[test]
fn g14_accepted_after_removal() {
    let out = || two().fail("a", "heartbeat", member("a"), (2_000, 2_010), 22, "UNKNOWN_MEMBER_ID");
    catches(
        "accepted-after-removal",
        &out().thin("a", "heartbeat", (2_020, 2_030), 2, &[0]).end(),
        &["heartbeat by a"],
    );
    catches(
        "fenced-commit",
        &out().commit("a", 0, 0, None, (2_020, 2_030)).end(),
        &["out of the group"],
    );
    passes(
        "accepted-after-removal",
        &out()
            .thin("a", "subscribe", (2_012, 2_015), 3, &[])
            .thin("a", "poll", (2_020, 2_030), 4, &[0])
            .end(),
    );
    // An unanswered subscription may have let it in again, also one from before.
    let ghost = two()
        .info("a", "subscribe", subscribe("a", "range"), (1_900, 1_950))
        .fail("a", "heartbeat", member("a"), (2_000, 2_010), 22, "UNKNOWN_MEMBER_ID")
        .thin("a", "heartbeat", (2_020, 2_030), 3, &[0])
        .end();
    passes("accepted-after-removal", &ghost);
    let left = two()
        .ok("a", "unsubscribe", member("a"), (100, 110), json!({}))
        .thin("a", "poll", (120, 130), 2, &[0])
        .end();
    catches("accepted-after-removal", &left, &["poll by a"]);
    let gone = two()
        .described((2_000, 2_010), 3, "Stable", &[("b", &[0, 1])])
        .thin("a", "poll", (2_020, 2_030), 3, &[])
        .end();
    catches("accepted-after-removal", &gone, &["poll by a"]);
}

#[test]
fn g15_early_eviction() {
    let out =
        |at: u64| two().fail("a", "heartbeat", member("a"), (at, at + 10), 22, "UNKNOWN_MEMBER_ID");
    catches("early-eviction", &out(500).end(), &["a was out", "sent at 0.080s", "until 1.080s"]);
    passes("early-eviction", &out(1_100).end());
    // Heartbeats extend the session, but a consumer that does not poll is removed at the rebalance
    // time-out.
    let beats = |at: u64| {
        (1..30u64)
            .fold(two(), |builder, beat| {
                builder.thin("a", "heartbeat", (beat * 90, beat * 90 + 5), 2, &[0])
            })
            .fail("a", "heartbeat", member("a"), (at, at + 10), 22, "UNKNOWN_MEMBER_ID")
            .end()
    };
    passes("early-eviction", &beats(2_700));
    let left = two()
        .info("a", "unsubscribe", member("a"), (100, 110))
        .fail("a", "heartbeat", member("a"), (200, 210), 22, "UNKNOWN_MEMBER_ID")
        .end();
    leaves_open("early-eviction", &left, "no member");
    leaves_open("early-eviction", &out(500).fault("clock", 0, Some(100)).end(), "skewed");
    let missing = |at| two().described((at, at + 10), 3, "Stable", &[("b", &[0, 1])]).end();
    catches("early-eviction", &missing(500), &["a was out", "describe_group"]);
    passes("early-eviction", &missing(1_100));
}

#[test]
fn g15_in_a_classic_group() {
    let beat = json!({ "group": "g", "member_id": "a", "generation": 1 });
    let out = |at: u64| {
        history_of("classic")
            .classic("a", (0, 30), 1, &[0])
            .fail("a", "heartbeat", beat.clone(), (at, at + 10), 22, "UNKNOWN_MEMBER_ID")
            .end()
    };
    catches("early-eviction", &out(500), &["a was out"]);
    passes("early-eviction", &out(1_100));
}

#[test]
fn g16_dead_member_kept() {
    let described = |at: u64| {
        two().heal(100).described((at, at + 10), 2, "Stable", &[("a", &[0]), ("b", &[1])]).end()
    };
    catches("dead-member-kept", &described(12_000), &["is a member", "last request"]);
    passes("dead-member-kept", &described(5_000));
    leaves_open("dead-member-kept", &two().end(), "final phase");
}

#[test]
fn g20_lost_member() {
    let strange =
        two().described((95, 99), 2, "Stable", &[("a", &[0]), ("b", &[1]), ("x", &[])]).end();
    catches("lost-member", &strange, &["members x", "0 joins"]);
    catches(
        "lost-member",
        &two().described((95, 99), 2, "Stable", &[("a", &[0]), ("a", &[1])]).end(),
        &["a twice"],
    );
    // A classic join whose answer was lost leaves one member that nobody knows, not two.
    let join = json!({ "group": "g", "member_id": "", "session_timeout_ms": 1000, "rebalance_timeout_ms": 2000,
                       "protocols": [{ "name": "range", "topics": ["t"] }] });
    let unknown = |members: &[(&str, &[i64])]| {
        history_of("classic")
            .classic("a", (0, 30), 1, &[0])
            .info("b", "join_group", join.clone(), (40, 50))
            .described((60, 70), 2, "PreparingRebalance", members)
            .end()
    };
    passes("lost-member", &unknown(&[("a", &[]), ("x", &[])]));
    catches("lost-member", &unknown(&[("a", &[]), ("x", &[]), ("y", &[])]), &["x, y", "1 joins"]);
}
