//! C1 to C4: what users of groups complain of. C1 and C2 are judged by checkers that were there
//! before; their histories are here to show that those find them. C3 and C4 have their own.

mod checkers_support;

use arena::history::History;
use checkers_support::{HistoryBuilder, catches, history_of, lawful, leaves_open, passes};
use serde_json::{Value, json};

fn commit(offset: i64) -> Value {
    json!({ "group": "g", "topic": "t", "partition": 0, "offset": offset })
}

fn committed(play: HistoryBuilder, offset: i64, span: (u64, u64)) -> HistoryBuilder {
    play.ok("a", "commit_offset", commit(offset), span, json!({}))
}

fn on_both_stages(history: &History, each: impl Fn(&History)) {
    for stage in ["sim", "wire"] {
        let mut history = history.clone();
        history.header.stage = stage.to_owned();
        each(&history);
    }
}

#[test]
fn c1_a_committed_offset_goes_back() {
    let start = || committed(committed(history_of("classic"), 3, (0, 10)), 5, (20, 30));
    // One that had been overwritten.
    let back = start().fetched("b", 0, (40, 50), 5).fetched("b", 0, (60, 70), 3).end();
    on_both_stages(&back, |history| {
        catches("offset-goes-back", history, &["read 3", "overwritten since"]);
        catches("linearizable-offset", history, &[]);
    });
    // One that was never there.
    let never = start().fetched("b", 0, (60, 70), 4).end();
    on_both_stages(&never, |history| catches("spurious-offset", history, &["read 4"]));
    // Shown by a read, though its commit had no answer: only the order of all tells.
    let shown = committed(history_of("classic"), 3, (0, 10))
        .info("a", "commit_offset", commit(5), (20, 30))
        .fetched("b", 0, (40, 50), 5)
        .fetched("b", 0, (60, 70), 3)
        .end();
    on_both_stages(&shown, |history| {
        passes("offset-goes-back", history);
        catches("linearizable-offset", history, &[]);
    });
    // Somebody may have written the lower one: an administrator, or an unanswered commit.
    let reset = || start().fetched("b", 0, (32, 35), 5);
    let admin = reset().ok("x", "commit_offset", commit(3), (40, 50), json!({}));
    on_both_stages(&admin.fetched("b", 0, (60, 70), 3).end(), lawful);
    let late = reset().info("x", "commit_offset", commit(3), (0, 5));
    on_both_stages(&late.fetched("b", 0, (60, 70), 3).end(), lawful);
    let gone = json!({ "group": "g", "topic": "t", "partitions": [0] });
    let gone = reset().ok("x", "delete_offsets", gone, (40, 50), json!({}));
    on_both_stages(&gone.fetched("b", 0, (60, 70), 0).end(), lawful);
}

#[test]
fn c2_an_acknowledged_commit_is_lost_with_its_coordinator() {
    let killed = |told: Value| {
        let play = committed(history_of("classic").fault("kill", 40, None), 5, (0, 10));
        let args = json!({ "group": "g", "topic": "t", "partition": 0 });
        play.ok("b", "fetch_offset", args, (3_000, 3_010), json!({ "offset": told })).end()
    };
    on_both_stages(&killed(json!(5)), lawful);
    for nothing in [Value::Null, json!(0), json!(-1)] {
        on_both_stages(&killed(nothing.clone()), |history| {
            catches("spurious-offset", history, &["it can have been 5"]);
        });
    }
    let older = committed(committed(history_of("classic"), 3, (0, 10)), 5, (20, 30));
    let older = older.fault("kill", 40, None).fetched("b", 0, (3_000, 3_010), 3).end();
    on_both_stages(&older, |history| catches("offset-goes-back", history, &["read 3"]));
}

/// a committed 5 and is gone; b gets the partition, is told `told`, and begins at `from`.
fn handed_over(told: Option<Value>, seeks: bool, from: i64) -> History {
    let play = committed(history_of("classic"), 5, (0, 10)).classic("b", (100, 130), 2, &[0]);
    let at = json!({ "topic": "t", "partition": 0 });
    let play = match told {
        Some(told) => {
            let mut args = at.clone();
            args["group"] = json!("g");
            play.ok("b", "fetch_offset", args, (140, 150), json!({ "offset": told }))
        }
        None => play,
    };
    let mut ends = at.clone();
    ends["timestamp"] = json!(-2);
    let play = match seeks {
        true => play.ok("b", "list_offsets", ends, (152, 155), json!({ "offset": 0 })),
        false => play,
    };
    let mut fetch = at;
    fetch["offset"] = json!(from);
    play.ok("b", "fetch", fetch, (160, 170), json!({ "records": [], "high_watermark": 9 })).end()
}

#[test]
fn c3_reset_position() {
    passes("reset-position", &handed_over(Some(json!(5)), false, 5));
    on_both_stages(&handed_over(Some(json!(5)), false, 5), lawful);
    // Told that nothing was committed, it begins anew.
    let reset = handed_over(Some(Value::Null), true, 0);
    on_both_stages(&reset, |history| {
        catches("reset-position", history, &["b was assigned t-0", "at 0", "can only have been 5"]);
        catches("spurious-offset", history, &["it can have been 5"]);
    });
    // Told the offset, it begins elsewhere: only after a seek.
    on_both_stages(&handed_over(Some(json!(5)), false, 9), |history| {
        catches("reset-position", history, &["at 9", "it was told 5"]);
    });
    let seeks = handed_over(Some(json!(5)), true, 0);
    leaves_open("reset-position", &seeks, "no classic member looked up");
    on_both_stages(&seeks, lawful);
    // It keeps its offsets elsewhere.
    leaves_open("reset-position", &handed_over(None, false, 0), "no classic member looked up");
    let mut watched = handed_over(Some(json!(5)), false, 9);
    watched.header.stage = "watch".to_owned();
    leaves_open("reset-position", &watched, "seek unseen");
}

#[test]
fn c3_where_nothing_need_be_committed() {
    // The commit is not answered when the new owner looks, so nothing may have been committed.
    let play = history_of("classic").info("a", "commit_offset", commit(5), (0, 10));
    let play = play.classic("b", (100, 130), 2, &[0]).ok(
        "b",
        "fetch_offset",
        json!({ "group": "g", "topic": "t", "partition": 0 }),
        (140, 150),
        json!({ "offset": null }),
    );
    let fetch = json!({ "topic": "t", "partition": 0, "offset": 7 });
    let reply = json!({ "records": [], "high_watermark": 9 });
    let play = play.ok("b", "fetch", fetch, (160, 170), reply).end();
    passes("reset-position", &play);
    on_both_stages(&play, lawful);
}

/// a owns `t-0` and `t-1` from 30 ms on, and fetches what `reads` says at each multiple of 100 ms.
fn reading(reads: impl Fn(u64) -> i64) -> HistoryBuilder {
    let play = history_of("classic").classic("a", (0, 30), 1, &[0, 1]);
    let play = play.record(1, 0, (1_010, 1_020));
    (1..60u64).fold(play, |play, step| {
        let at = json!({ "topic": "t", "partition": reads(step), "offset": 0 });
        let reply = json!({ "records": [], "high_watermark": 0 });
        let beat = json!({ "group": "g", "member_id": "a", "generation": 1 });
        play.ok("a", "fetch", at, (step * 100, step * 100 + 10), reply).ok(
            "a",
            "heartbeat",
            beat,
            (step * 100 + 20, step * 100 + 30),
            json!({}),
        )
    })
}

#[test]
fn c4_unread_partition() {
    catches("unread-partition", &reading(|_| 0).end(), &["a owned t-1", "unread", "59 times"]);
    passes("unread-partition", &reading(|step| i64::from(step % 2 == 0)).end());
    // Now and then, within the session.
    passes("unread-partition", &reading(|step| i64::from(step % 9 == 0)).end());
    // Somebody else reads it.
    let fetch = |at: u64| (json!({ "topic": "t", "partition": 1, "offset": 0 }), (at, at + 5));
    let others = (1..12u64).fold(reading(|_| 0), |play, step| {
        let (args, span) = fetch(step * 500);
        play.ok("b", "fetch", args, span, json!({ "records": [], "high_watermark": 1 }))
    });
    passes("unread-partition", &others.end());
    // Its leader was away, or a fault was on.
    let args = json!({ "topic": "t", "partition": 1, "message": "m" });
    let away = reading(|_| 0).fail("p", "send", args, (3_000, 3_010), 11, "LEADER_NOT_AVAILABLE");
    passes("unread-partition", &away.end());
    passes("unread-partition", &reading(|_| 0).fault("pause", 2_000, Some(2_500)).end());
    leaves_open("unread-partition", &reading(|_| 0).stage("watch").end(), "only watched");
}
