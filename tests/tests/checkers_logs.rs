//! Each checker of logs catches the history that it is for, and passes a lawful one that is close
//! to it.

mod checkers_support;

use arena::history::History;
use checkers_support::{catches, history_of, lawful, leaves_open, passes};
use serde_json::json;

/// Two records of key `k`, read in two polls by one process.
fn sound() -> History {
    history_of("kafka")
        .sent("c1", "k", 10, (0, 10), 0)
        .sent("c1", "k", 11, (10, 20), 1)
        .polled("c2", "k", 0, (30, 40), &[(0, 10), (1, 11)])
        .sent("c1", "k", 12, (35, 45), 2)
        .polled("c1", "k", 2, (50, 60), &[(2, 12)])
        .heal(70)
        .polled("c2", "k", 3, (80, 90), &[])
        .end()
}

#[test]
fn a_sound_log_passes_every_checker() {
    lawful(&sound());
    for name in [
        "lost-write",
        "unseen",
        "duplicate",
        "inconsistent-offsets",
        "aborted-read",
        "phantom-record",
        "later-write",
        "nonmonotonic-poll",
        "poll-skip",
        "int-nonmonotonic-poll",
        "int-poll-skip",
        "nonmonotonic-send",
        "stale-poll",
        "dense-offsets",
        "twice-applied",
    ] {
        passes(name, &sound());
    }
}

#[test]
fn lost_write() {
    let lost = history_of("kafka")
        .sent("c1", "k", 10, (0, 10), 0)
        .sent("c1", "k", 11, (10, 20), 1)
        .sent("c1", "k", 12, (20, 30), 2)
        .polled("c2", "k", 0, (40, 50), &[(0, 10), (2, 12)])
        .end();
    catches("lost-write", &lost, &["key k", "message 11", "offset 1"]);
    // A reader that began later has lawfully not seen what is before.
    let skipped_by_choice = history_of("kafka")
        .sent("c1", "k", 10, (0, 10), 0)
        .sent("c1", "k", 11, (10, 20), 1)
        .polled("c2", "k", 1, (40, 50), &[(1, 11)])
        .end();
    passes("lost-write", &skipped_by_choice);
}

#[test]
fn an_unanswered_send_may_be_there_or_not() {
    let send = json!({ "key": "k", "msg": 11 });
    let there = |records: &[(i64, i64)]| {
        history_of("kafka")
            .sent("c1", "k", 10, (0, 10), 0)
            .info("c1", "send", send.clone(), (10, 20))
            .polled("c2", "k", 0, (40, 50), records)
            .end()
    };
    lawful(&there(&[(0, 10)]));
    lawful(&there(&[(0, 10), (1, 11)]));
}

#[test]
fn unseen() {
    let start = |heal| history_of("kafka").sent("c1", "k", 10, (0, 10), 0).heal(heal);
    catches(
        "unseen",
        &start(20).polled("c2", "k", 0, (30, 40), &[]).end(),
        &["message 10", "offset 0"],
    );
    // Read to the end before the faults were over, or not read at all: nothing follows.
    leaves_open("unseen", &start(60).polled("c2", "k", 0, (30, 40), &[]).end(), "never read");
    leaves_open("unseen", &start(20).polled("c2", "k", 5, (30, 40), &[]).end(), "never read");
    leaves_open(
        "unseen",
        &history_of("kafka").sent("c1", "k", 10, (0, 10), 0).end(),
        "final phase",
    );
}

#[test]
fn unseen_by_a_fetch_that_tells_the_end() {
    let fetch = |mark: i64| {
        history_of("groups")
            .record(0, 0, (0, 10))
            .heal(20)
            .ok(
                "c",
                "fetch",
                json!({ "topic": "t", "partition": 0, "offset": 0 }),
                (30, 40),
                json!({
                    "records": [], "high_watermark": mark
                }),
            )
            .end()
    };
    catches("unseen", &fetch(0), &["t-0", "end at 0"]);
    leaves_open("unseen", &fetch(1), "never read");
}

#[test]
fn duplicate() {
    let twice = history_of("kafka")
        .sent("c1", "k", 10, (0, 10), 0)
        .polled("c2", "k", 0, (20, 30), &[(0, 10), (1, 10)])
        .end();
    catches("duplicate", &twice, &["message 10", "0, 1"]);
    // Sent twice by the client, it is lawfully there twice.
    let two_sends = history_of("kafka")
        .sent("c1", "k", 10, (0, 10), 0)
        .info("c1", "send", json!({ "key": "k", "msg": 10.0 }), (10, 20))
        .polled("c2", "k", 0, (30, 40), &[(0, 10), (1, 10)])
        .end();
    lawful(&two_sends);
}

#[test]
fn inconsistent_offsets() {
    let reused = history_of("kafka")
        .sent("c1", "k", 10, (0, 10), 0)
        .info("c3", "send", json!({ "key": "k", "msg": 11 }), (0, 50))
        .polled("c2", "k", 0, (20, 30), &[(0, 11)])
        .end();
    catches("inconsistent-offsets", &reused, &["offset 0", "10", "11"]);
    // The same offset of another key is another matter.
    let keys =
        history_of("kafka").sent("c1", "k", 10, (0, 10), 0).sent("c1", "l", 11, (10, 20), 0).end();
    passes("inconsistent-offsets", &keys);
}

#[test]
fn aborted_read() {
    let start = |outcome_is_known: bool| {
        let send = json!({ "key": "k", "msg": 10 });
        let builder = history_of("kafka");
        let builder = if outcome_is_known {
            builder.fail("c1", "send", send, (0, 10), 14, "ABORTED")
        } else {
            builder.info("c1", "send", send, (0, 10))
        };
        builder.polled("c2", "k", 0, (20, 30), &[(0, 10)]).end()
    };
    catches("aborted-read", &start(true), &["message 10", "error 14"]);
    passes("aborted-read", &start(false));
}

#[test]
fn phantom_record() {
    let log = history_of("kafka").sent("c1", "k", 10, (0, 10), 0);
    let from_nowhere = log.polled("c2", "k", 0, (20, 30), &[(0, 10), (1, 99)]).end();
    catches("phantom-record", &from_nowhere, &["99", "nobody"]);
    let from_the_future = history_of("kafka")
        .sent("c1", "k", 10, (0, 10), 0)
        .polled("c2", "k", 0, (20, 30), &[(0, 10), (1, 11)])
        .sent("c1", "k", 11, (40, 50), 1)
        .end();
    catches("phantom-record", &from_the_future, &["before it was sent"]);
    // A log to which the history has no sends was filled by others.
    let foreign = history_of("kafka").polled("c2", "k", 0, (20, 30), &[(0, 10)]).end();
    leaves_open("phantom-record", &foreign, "no records");
}

#[test]
fn later_write() {
    let history = |read: (u64, u64), sent: (u64, u64)| {
        history_of("kafka")
            .polled("c1", "k", 0, read, &[(0, 10)])
            .sent("c1", "k", 10, sent, 0)
            .end()
    };
    catches("later-write", &history((0, 50), (10, 40)), &["c1", "message 10"]);
    passes("later-write", &history((10, 50), (0, 40)));
    let others = history_of("kafka")
        .polled("c1", "k", 0, (0, 50), &[(0, 10)])
        .sent("c2", "k", 10, (10, 40), 0)
        .end();
    leaves_open("later-write", &others, "no client read");
}

#[test]
fn polls_with_a_position() {
    let log =
        || {
            history_of("kafka")
                .sent("c1", "k", 10, (0, 10), 0)
                .sent("c1", "k", 11, (10, 20), 1)
                .sent("c1", "k", 12, (20, 30), 2)
        };
    catches(
        "nonmonotonic-poll",
        &log().polled("c2", "k", 1, (40, 50), &[(0, 10), (1, 11)]).end(),
        &["offset 1", "got 0"],
    );
    catches(
        "poll-skip",
        &log().polled("c2", "k", 1, (40, 50), &[(2, 12)]).end(),
        &["offset 1", "got 2"],
    );
    // Nobody knows of a record at 3, so whoever begins at 4 has skipped nothing that is known.
    passes("poll-skip", &log().polled("c2", "k", 3, (40, 50), &[(4, 14)]).end());
    catches(
        "dense-offsets",
        &log().polled("c2", "k", 3, (40, 50), &[(4, 14)]).end(),
        &["offset 3", "from 4"],
    );
    // A consumer that is assigned anew may lawfully ask again from the beginning.
    let all = [(0, 10), (1, 11), (2, 12)];
    let again =
        log().polled("c2", "k", 0, (40, 50), &all).polled("c2", "k", 0, (60, 70), &all).end();
    passes("nonmonotonic-poll", &again);
    lawful(&again);
}

#[test]
fn inside_one_reply() {
    let log =
        || {
            history_of("kafka")
                .sent("c1", "k", 10, (0, 10), 0)
                .sent("c1", "k", 11, (10, 20), 1)
                .sent("c1", "k", 12, (20, 30), 2)
        };
    let back = log().polled("c2", "k", 0, (40, 50), &[(0, 10), (2, 12), (1, 11)]).end();
    catches("int-nonmonotonic-poll", &back, &["offset 1", "offset 2"]);
    let hole = log().polled("c2", "k", 0, (40, 50), &[(0, 10), (2, 12)]).end();
    catches("int-poll-skip", &hole, &["leaves out 1"]);
    catches("dense-offsets", &hole, &["from offset 0 to 2"]);
    passes("int-nonmonotonic-poll", &hole);
}

#[test]
fn nonmonotonic_send() {
    let back =
        history_of("kafka").sent("c1", "k", 10, (0, 10), 1).sent("c2", "k", 11, (20, 30), 0).end();
    catches("nonmonotonic-send", &back, &["offset 0", "offset 1"]);
    // Under way at the same time, either may come first.
    let concurrent = history_of("kafka")
        .sent("c1", "k", 10, (0, 25), 1)
        .sent("c2", "k", 11, (20, 30), 0)
        .sent("c2", "k", 12, (40, 50), 2)
        .end();
    passes("nonmonotonic-send", &concurrent);
}

#[test]
fn stale_poll() {
    let log =
        || history_of("kafka").sent("c1", "k", 10, (0, 10), 0).sent("c1", "k", 11, (10, 20), 1);
    catches(
        "stale-poll",
        &log().polled("c2", "k", 0, (30, 40), &[(0, 10)]).end(),
        &["end at 1", "offset 1"],
    );
    catches("stale-poll", &log().polled("c2", "k", 1, (30, 40), &[]).end(), &["end at 1"]);
    // Sent before the acknowledgement, or from behind the record: lawful.
    passes("stale-poll", &log().polled("c2", "k", 0, (15, 40), &[(0, 10)]).end());
    passes("stale-poll", &log().polled("c2", "k", 2, (30, 40), &[]).end());
}

#[test]
fn a_full_reply_may_end_early() {
    let mut log = history_of("kafka");
    for offset in 0..1_100 {
        log = log.sent("c1", "k", offset, (0, 10), offset);
    }
    let full: Vec<(i64, i64)> = (0..1_000).map(|offset| (offset, offset)).collect();
    passes("dense-offsets", &log.polled("c2", "k", 0, (30, 40), &full).end());
    let mut log = history_of("kafka");
    for offset in 0..1_100 {
        log = log.sent("c1", "k", offset, (0, 10), offset);
    }
    let short: Vec<(i64, i64)> = (0..999).map(|offset| (offset, offset)).collect();
    catches("stale-poll", &log.polled("c2", "k", 0, (30, 40), &short).end(), &["end at 999"]);
}

#[test]
fn a_stale_fetch_shows_by_its_high_watermark() {
    let fetch = |mark: i64| {
        let args = json!({ "topic": "t", "partition": 0, "offset": 0, "max_messages": 1 });
        let record = json!({ "offset": 0, "key": null, "message": "0:0", "timestamp": 0 });
        history_of("groups")
            .record(0, 0, (0, 10))
            .record(0, 1, (10, 20))
            .ok(
                "c",
                "fetch",
                args,
                (30, 40),
                json!({ "records": [record], "high_watermark": mark }),
            )
            .end()
    };
    catches("stale-poll", &fetch(1), &["t-0", "end at 1"]);
    passes("stale-poll", &fetch(2));
}

#[test]
fn acknowledged_offsets_are_counted() {
    // Offset 2 with one record in the world: a hole, a duplicate, or a log that does not begin at
    // 0.
    catches(
        "dense-offsets",
        &history_of("kafka").sent("c1", "k", 10, (0, 10), 2).end(),
        &["offset 2", "at most 1"],
    );
    let unanswered = history_of("kafka")
        .info("c1", "send", json!({ "key": "k", "msg": 9 }), (0, 10))
        .sent("c1", "k", 10, (20, 30), 1)
        .end();
    passes("dense-offsets", &unanswered);
    let refused = history_of("kafka")
        .fail(
            "c1",
            "send",
            json!({ "key": "k", "msg": 9 }),
            (0, 10),
            11,
            "COORDINATOR_NOT_AVAILABLE",
        )
        .sent("c1", "k", 10, (20, 30), 1)
        .end();
    catches("dense-offsets", &refused, &["at most 1"]);
}

#[test]
fn twice_applied_in_two_partitions() {
    let send = json!({ "topic": "t", "message": "x" });
    let twice = history_of("groups")
        .ok("p", "send", send, (0, 10), json!({ "partition": 0, "offset": 0 }))
        .ok(
            "c",
            "fetch",
            json!({ "topic": "t", "partition": 1, "offset": 0 }),
            (20, 30),
            json!({
                "records": [{ "offset": 0, "key": null, "message": "x", "timestamp": 0 }], "high_watermark": 1
            }),
        )
        .end();
    catches("twice-applied", &twice, &["t-0 offset 0", "t-1 offset 0"]);
    passes(
        "twice-applied",
        &history_of("groups").record(0, 0, (0, 10)).record(1, 0, (10, 20)).end(),
    );
}

/// A consumer that reads `t-0` in one generation.
fn reader() -> checkers_support::HistoryBuilder {
    history_of("groups")
        .record(0, 0, (0, 10))
        .record(0, 1, (10, 20))
        .record(0, 2, (20, 30))
        .thin("a", "subscribe", (40, 50), 1, &[0])
        .thin_with("a", "poll", (60, 70), 1, &[0], &[(0, 0)])
}

#[test]
fn thin_polls_go_on_where_they_were() {
    let goes_on = reader().thin_with("a", "poll", (80, 90), 1, &[0], &[(0, 1), (0, 2)]).end();
    lawful(&goes_on);
    passes("nonmonotonic-poll", &goes_on);
    passes("poll-skip", &goes_on);
    let skips = reader().thin_with("a", "poll", (80, 90), 1, &[0], &[(0, 2)]).end();
    catches("poll-skip", &skips, &["consumer a", "got 2", "at 1"]);
    let again = |offset: i64| {
        reader()
            .commit("a", 0, 1, None, (72, 75))
            .thin_with("a", "poll", (80, 90), 1, &[0], &[(0, 1)])
            .thin_with("a", "poll", (92, 95), 1, &[0], &[(0, offset)])
            .end()
    };
    catches("nonmonotonic-poll", &again(0), &["consumer a", "got 0 again", "committed was 1"]);
    lawful(&again(1));
}

#[test]
fn thin_polls_go_back_to_what_was_committed_after_a_change_of_leader() {
    // Nothing was committed: from the start is lawful. Committed at 1 by a request without an
    // answer: both are.
    lawful(&reader().thin_with("a", "poll", (80, 90), 1, &[0], &[(0, 0)]).end());
    let commit = checkers_support::commit("a", 0, 2, None);
    let unsure = || reader().info("a", "commit", commit.clone(), (71, 75));
    lawful(&unsure().thin_with("a", "poll", (80, 90), 1, &[0], &[(0, 2)]).end());
    lawful(&unsure().thin_with("a", "poll", (80, 90), 1, &[0], &[(0, 0)]).end());
}

#[test]
fn an_unanswered_poll_may_have_taken_records() {
    let poll = json!({ "group": "g", "consumer": "a" });
    let haunted = || {
        reader().info("a", "poll", poll.clone(), (71, 75)).thin("a", "subscribe", (76, 78), 1, &[0])
    };
    lawful(&haunted().thin_with("a", "poll", (80, 90), 1, &[0], &[(0, 2)]).end());
    // But not for ever: no fault holds it back, so ten seconds later it is gone.
    let later = haunted()
        .thin_with("a", "poll", (80, 90), 1, &[0], &[(0, 0)])
        .thin("a", "poll", (10_200, 10_300), 1, &[0])
        .thin("a", "subscribe", (10_400, 10_450), 1, &[0])
        .thin_with("a", "poll", (10_500, 10_600), 1, &[0], &[(0, 2)])
        .end();
    catches("poll-skip", &later, &["consumer a", "got 2"]);
}

#[test]
fn stale_thin_poll() {
    let args = json!({ "group": "g", "consumer": "a" });
    let reply = |state: &str| json!({ "generation": 1, "state": state, "assignment": { "t": [0] }, "records": [] });
    let empty = |state: &str| reader().ok("a", "poll", args.clone(), (80, 90), reply(state)).end();
    catches("stale-poll", &empty("Stable"), &["t-0", "end at 1", "offset 2"]);
    lawful(&empty("PreparingRebalance"));
}

#[test]
fn only_a_broker_that_promises_it_has_to_tell_the_newest_end() {
    let seen = |stage: &str, linearizable: bool| {
        history_of("log")
            .stage(stage)
            .config(json!({ "linearizable": linearizable }))
            .ok(
                "c1",
                "send",
                json!({ "topic": "t", "partition": 0, "message": "a" }),
                (0, 10),
                json!({ "partition": 0, "offset": 0 }),
            )
            .ok(
                "c2",
                "fetch",
                json!({ "topic": "t", "partition": 0, "offset": 0, "max_messages": 10 }),
                (20, 30),
                json!({ "records": [], "high_watermark": 0 }),
            )
            .end()
    };
    catches("stale-poll", &seen("wire", true), &["t-0"]);
    catches("stale-poll", &seen("sim", false), &["t-0"]);
    leaves_open("stale-poll", &seen("wire", false), "need not promise");
}
