//! Groups of KIP-848: who owns what by its own heartbeats, and what a broker must not do with it.

mod checkers_support;

use arena::history::History;
use checkers_support::{HistoryBuilder, catches, history_of, lawful, leaves_open, passes};
use serde_json::{Value, json};

/// Members of KIP-848 on one broker, whose sessions last a second.
fn wire() -> HistoryBuilder {
    let config = json!({ "consumer_session_timeout_ms": 1000, "rebalance_timeout_ms": 2000 });
    history_of("consumer").stage("wire").config(config)
}

/// The history, of one broker instead of three.
fn of_one(play: HistoryBuilder) -> History {
    let mut history = play.end();
    history.header.nodes.truncate(1);
    history
}

fn args(member: &str, epoch: i64, owned: Option<&[i64]>) -> Value {
    let mut args = json!({ "group": "g", "member_id": member, "member_epoch": epoch });
    if epoch == 0 {
        (args["topics"], args["rebalance_timeout_ms"]) = (json!(["t"]), json!(2000));
    }
    if let Some(owned) = owned {
        args["owned"] = json!({ "t": owned });
    }
    args
}

/// A heartbeat: the epoch and `owned` as sent, the epoch and the assignment as told.
fn beat(
    play: HistoryBuilder,
    member: &str,
    span: (u64, u64),
    (epoch, owned): (i64, Option<&[i64]>),
    (told_epoch, told): (i64, Option<&[i64]>),
) -> HistoryBuilder {
    let mut reply = json!({ "member_id": member, "member_epoch": told_epoch,
                            "heartbeat_interval_ms": 100 });
    if let Some(told) = told {
        reply["assignment"] = json!({ "t": told });
    }
    play.ok(member, "consumer_heartbeat", args(member, epoch, owned), span, reply)
}

fn joins(
    play: HistoryBuilder,
    member: &str,
    span: (u64, u64),
    told: (i64, &[i64]),
) -> HistoryBuilder {
    beat(play, member, span, (0, Some(&[])), (told.0, Some(told.1)))
}

fn refused(
    play: HistoryBuilder,
    member: &str,
    span: (u64, u64),
    epoch: i64,
    error: &str,
) -> HistoryBuilder {
    play.fail(member, "consumer_heartbeat", args(member, epoch, None), span, 22, error)
}

fn commit(member: &str, epoch: i64, offset: i64) -> Value {
    json!({ "group": "g", "member_id": member, "member_epoch": epoch, "topic": "t",
            "partition": 0, "offset": offset })
}

/// a owns both partitions, and b has joined: a is to give up partition 1.
fn moving() -> HistoryBuilder {
    let play = joins(wire(), "a", (0, 10), (1, &[0, 1]));
    let play = beat(play, "a", (20, 30), (1, Some(&[0, 1])), (1, None));
    let play = joins(play, "b", (40, 50), (2, &[]));
    beat(play, "a", (120, 130), (1, None), (1, Some(&[0])))
}

#[test]
fn a_partition_is_given_on_when_its_owner_has_let_it_go() {
    let play = beat(moving(), "a", (140, 150), (1, Some(&[0])), (2, Some(&[0])));
    let play = beat(play, "b", (160, 170), (2, None), (2, Some(&[1])));
    let play = beat(play, "b", (180, 190), (2, Some(&[1])), (2, None));
    let history = of_one(beat(play, "a", (240, 250), (2, None), (2, None)));
    passes("overlapping-ownership", &history);
    passes("double-ownership", &history);
    lawful(&history);
}

#[test]
fn a_partition_is_given_on_before_its_owner_has_let_it_go() {
    // KAFKA-16147: b is given partition 1 while a, which was told to give it up, still has it.
    let play = beat(moving(), "b", (140, 150), (2, None), (2, Some(&[1])));
    let history = of_one(beat(play, "a", (240, 250), (1, Some(&[0])), (2, Some(&[0]))));
    catches("overlapping-ownership", &history, &["t-1", "a (epoch 1)", "b (epoch 2)"]);
    // The same by heartbeats alone, where nobody knows the session.
    let mut unknown = history.clone();
    unknown.header.config = json!({});
    passes("overlapping-ownership", &unknown);
    let play = beat(moving(), "b", (140, 150), (2, None), (2, Some(&[1])));
    let play = beat(play, "b", (160, 170), (2, Some(&[1])), (2, None));
    let play = beat(play, "a", (180, 190), (1, None), (1, None));
    let mut unknown = of_one(beat(play, "b", (200, 210), (2, None), (2, None)));
    unknown.header.config = json!({});
    catches("overlapping-ownership", &unknown, &["t-1"]);
}

#[test]
fn two_members_are_given_a_partition_in_one_epoch() {
    let play = joins(joins(wire(), "a", (0, 10), (2, &[0])), "b", (20, 30), (2, &[0]));
    let history = of_one(beat(play, "a", (100, 110), (2, Some(&[0])), (2, None)));
    catches("double-ownership", &history, &["in epoch 2", "a and b"]);
    // In the order of their epochs, each after the other had left.
    let play = joins(wire(), "a", (0, 10), (2, &[0]));
    let play = beat(play, "a", (20, 30), (-1, None), (-1, None));
    passes("double-ownership", &of_one(joins(play, "b", (40, 50), (2, &[0]))));
}

#[test]
fn who_is_silent_for_a_session_owns_nothing_any_more() {
    // a's last heartbeat was sent at 20 ms, so its session runs until 1,020 ms at least.
    let silent = || {
        let play = joins(wire(), "a", (0, 10), (1, &[0]));
        beat(play, "a", (20, 30), (1, Some(&[0])), (1, None))
    };
    let late = joins(silent(), "b", (1_000, 1_030), (3, &[0]));
    let late = refused(late, "a", (1_100, 1_110), 1, "UNKNOWN_MEMBER_ID");
    passes("overlapping-ownership", &of_one(late));
    let early = joins(silent(), "b", (900, 930), (3, &[0]));
    let early = refused(early, "a", (950, 960), 1, "UNKNOWN_MEMBER_ID");
    let early = of_one(early);
    catches("overlapping-ownership", &early, &["t-0", "until 0.960s"]);
    catches("early-eviction", &early, &["a was out"]);
    let late = refused(silent(), "a", (1_010, 1_030), 1, "UNKNOWN_MEMBER_ID");
    passes("early-eviction", &of_one(late));
}

#[test]
fn who_does_not_give_up_in_time_is_thrown_out() {
    // a goes on heartbeating, but does not let partition 1 go for longer than 2 s.
    let mut play = moving();
    for at in (200..2_200).step_by(200) {
        play = beat(play, "a", (at, at + 10), (1, None), (1, None));
    }
    let history = of_one(joins(play, "c", (2_040, 2_110), (3, &[1])));
    passes("overlapping-ownership", &history);
    let mut play = moving();
    for at in (200..2_000).step_by(200) {
        play = beat(play, "a", (at, at + 10), (1, None), (1, None));
    }
    let history = of_one(joins(play, "c", (1_600, 1_700), (3, &[1])));
    catches("overlapping-ownership", &history, &["t-1"]);
}

#[test]
fn what_was_told_and_never_said_is_owned_until_the_next_heartbeat() {
    // a was given partition 0 and gave it back, for it had not taken it up yet.
    let play = joins(wire(), "a", (0, 10), (1, &[0]));
    let play = joins(play, "b", (20, 30), (2, &[]));
    let play = beat(play, "a", (40, 50), (1, Some(&[])), (2, Some(&[])));
    let history = of_one(beat(play, "b", (60, 70), (2, None), (2, Some(&[0]))));
    passes("overlapping-ownership", &history);
    lawful(&history);
    let play = joins(wire(), "a", (0, 10), (1, &[0]));
    let play = joins(play, "b", (20, 30), (2, &[0]));
    catches("overlapping-ownership", &of_one(play), &["t-0"]);
}

#[test]
fn a_heartbeat_that_nobody_answered_may_give_up_later() {
    // The lost one says that a has nothing. It may be read after the next one.
    let play = joins(wire(), "a", (0, 10), (1, &[0]));
    let play = play.info("a", "consumer_heartbeat", args("a", 1, Some(&[])), (20, 100));
    let play = beat(play, "a", (110, 120), (1, Some(&[0])), (1, Some(&[0])));
    let history = of_one(joins(play, "b", (130, 140), (2, &[0])));
    passes("overlapping-ownership", &history);
    // It says that a has partition 0: nothing comes of it but what was so.
    let play = joins(wire(), "a", (0, 10), (1, &[0]));
    let play = play.info("a", "consumer_heartbeat", args("a", 1, Some(&[0])), (20, 100));
    let play = beat(play, "a", (110, 120), (1, Some(&[0])), (1, Some(&[0])));
    let history = of_one(joins(play, "b", (130, 140), (2, &[0])));
    catches("overlapping-ownership", &history, &["t-0"]);
}

#[test]
fn a_coordinator_that_was_replaced_may_accept_a_heartbeat() {
    // It stood still, and answers what waited for it; its follower had thrown a out.
    let zombie = || {
        let play = joins(wire(), "a", (0, 10), (1, &[0])).fault("pause", 20, Some(2_000));
        let play = joins(play, "b", (1_200, 1_220), (3, &[0]));
        beat(play, "a", (30, 2_010), (1, Some(&[0])), (1, None))
    };
    passes("overlapping-ownership", &zombie().end());
    // One broker is replaced by nobody.
    let own = || {
        let play = joins(wire(), "a", (0, 10), (1, &[0])).fault("pause", 20, Some(1_000));
        let play = beat(play, "a", (30, 1_010), (1, Some(&[0])), (1, None));
        let play = joins(play, "b", (1_020, 1_025), (3, &[0]));
        beat(play, "a", (1_100, 1_110), (1, None), (1, None))
    };
    catches("overlapping-ownership", &of_one(own()), &["t-0"]);
}

#[test]
fn an_epoch_that_is_over_commits_for_what_its_member_holds_alone() {
    let gone = |play| {
        let play = joins(play, "a", (0, 10), (1, &[0, 1]));
        let play = beat(play, "a", (20, 30), (1, Some(&[0, 1])), (1, Some(&[1])));
        beat(play, "a", (40, 50), (1, Some(&[1])), (3, None))
    };
    let stale = gone(wire()).ok("a", "commit_offset", commit("a", 1, 5), (60, 70), json!({}));
    catches("fenced-commit", &of_one(stale), &["it had let go t-0", "epoch 3"]);
    let own = gone(wire()).ok("a", "commit_offset", commit("a", 3, 5), (60, 70), json!({}));
    passes("fenced-commit", &of_one(own));
    // KIP-1251: a still holds partition 0, so its older epoch will do.
    let held = joins(wire(), "a", (0, 10), (1, &[0]));
    let held = beat(held, "a", (20, 30), (1, Some(&[0])), (2, None));
    let held = held.ok("a", "commit_offset", commit("a", 1, 5), (40, 50), json!({}));
    passes("fenced-commit", &of_one(held));
    // It is told to give partition 0 up, and has not said that it did.
    let pending = joins(wire(), "a", (0, 10), (1, &[0]));
    let pending = beat(pending, "a", (20, 30), (1, Some(&[0])), (2, Some(&[])));
    let pending = pending.ok("a", "commit_offset", commit("a", 1, 5), (40, 50), json!({}));
    passes("fenced-commit", &of_one(pending));
}

#[test]
fn who_has_left_does_not_commit() {
    let left = || {
        let play = joins(wire(), "a", (0, 10), (1, &[0]));
        beat(play, "a", (20, 30), (-1, None), (-1, None))
    };
    let play = left().ok("a", "commit_offset", commit("a", 1, 5), (40, 50), json!({}));
    catches("fenced-commit", &of_one(play), &["it had left"]);
    let again = joins(left(), "a", (32, 38), (3, &[0]));
    let again = again.ok("a", "commit_offset", commit("a", 3, 5), (40, 50), json!({}));
    passes("fenced-commit", &of_one(again));
}

#[test]
fn an_epoch_does_not_fall() {
    let play = joins(wire(), "a", (0, 10), (4, &[0]));
    let play = beat(play, "a", (20, 30), (4, Some(&[0])), (3, None));
    catches("generation-reuse", &of_one(play), &["epoch 4", "epoch 3"]);
    // Another life begins where the group is now.
    let play = joins(wire(), "a", (0, 10), (4, &[0]));
    let play = beat(play, "a", (20, 30), (4, Some(&[0])), (5, None));
    let play = beat(play, "a", (40, 50), (-1, None), (-1, None));
    passes("generation-reuse", &of_one(joins(play, "a", (60, 70), (2, &[0]))));
}

#[test]
fn what_is_not_judged_of_them_says_so() {
    let history = of_one(moving().heal(1_000));
    for name in ["two-generations", "no-convergence", "accepted-after-removal", "lost-member"] {
        leaves_open(name, &history, "KIP-848");
    }
}
