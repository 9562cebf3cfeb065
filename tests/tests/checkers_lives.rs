//! A topic or a group that was deleted and came again is another one to every checker: each
//! predicate catches what is wrong within a life, and passes what is lawful across the lives.

mod checkers_support;

use checkers_support::{
    HistoryBuilder as Play, catches, commit, history_of, lawful, leaves_open, passes,
};
use serde_json::{Value, json};

fn topic() -> Value {
    json!({ "topic": "t" })
}

/// `t` is deleted.
fn deleted(play: Play, span: (u64, u64)) -> Play {
    play.ok("admin", "delete_topic", topic(), span, json!({}))
}

fn created(play: Play, partitions: u64, span: (u64, u64)) -> Play {
    let args = json!({ "topic": "t", "partitions": partitions });
    play.ok("admin", "create_topic", args, span, json!({}))
}

/// `g` is deleted.
fn ended(play: Play, span: (u64, u64)) -> Play {
    play.ok("admin", "delete_group", json!({ "group": "g" }), span, json!({}))
}

fn sent(play: Play, message: &str, offset: i64, span: (u64, u64)) -> Play {
    let args = json!({ "topic": "t", "partition": 0, "message": message });
    play.ok("p", "send", args, span, json!({ "partition": 0, "offset": offset }))
}

fn fetched(play: Play, messages: &[&str], span: (u64, u64)) -> Play {
    let record =
        |(offset, message): (usize, &&str)| json!({ "offset": offset, "message": message });
    let records: Vec<Value> = messages.iter().enumerate().map(record).collect();
    let reply = json!({ "records": records, "high_watermark": messages.len() });
    play.ok("r", "fetch", json!({ "topic": "t", "partition": 0, "offset": 0 }), span, reply)
}

/// A record, and the deletion of its topic.
fn gone() -> Play {
    deleted(sent(history_of("groups"), "old", 0, (0, 10)), (20, 30))
}

#[test]
fn offsets_begin_anew() {
    let again = sent(gone(), "new", 0, (40, 50));
    lawful(&fetched(again, &["new"], (60, 70)).end());
    let not_emptied = sent(gone(), "new", 1, (40, 50)).end();
    catches("dense-offsets", &not_emptied, &["t#2-0", "offset 1", "at most 1"]);
    // What is wrong within a life is wrong.
    let two = sent(sent(gone(), "new", 0, (40, 50)), "other", 0, (60, 70));
    catches("inconsistent-offsets", &two.end(), &["t#2-0"]);
    let lost = fetched(sent(gone(), "new", 0, (40, 50)), &[], (60, 70));
    catches("stale-poll", &lost.end(), &["t#2-0"]);
}

#[test]
fn records_do_not_outlive_their_topic() {
    catches("phantom-record", &fetched(gone(), &["old"], (40, 50)).end(), &["t#2-0", "old"]);
    // While it is being deleted it may still be there.
    lawful(&fetched(gone(), &["old"], (25, 50)).end());
    // A record that was under way goes where the topic is by then.
    let args = json!({ "topic": "t", "partition": 0, "message": "late" });
    let late = history_of("groups").info("p", "send", args, (5, 15));
    lawful(&fetched(deleted(late, (20, 30)), &["late"], (40, 50)).end());
}

#[test]
fn an_unanswered_deletion_may_not_have_happened() {
    let unsure = || {
        sent(history_of("groups"), "old", 0, (0, 10)).info(
            "admin",
            "delete_topic",
            topic(),
            (20, 30),
        )
    };
    let still_there = |at| fetched(unsure(), &["old"], (at, at + 10)).end();
    lawful(&still_there(40));
    lawful(&still_there(12_000));
    lawful(&fetched(unsure(), &[], (40, 50)).end());
    // There was nothing to delete: then it had happened.
    let refused = || {
        unsure().fail("admin", "delete_topic", topic(), (40, 50), 20, "UNKNOWN_TOPIC_OR_PARTITION")
    };
    lawful(&fetched(refused(), &["old"], (35, 45)).end());
    catches(
        "phantom-record",
        &fetched(refused(), &["old"], (20_000, 20_010)).end(),
        &["t#2-0", "old"],
    );
    // The first one may act late, and end the next life too.
    let again = sent(refused(), "new", 0, (60, 70));
    lawful(&fetched(again, &[], (80, 90)).end());
}

#[test]
fn nobody_owes_the_records_of_a_life_that_is_over() {
    let drained = |read: &[&str]| {
        let play = sent(gone(), "new", 0, (40, 50)).heal(55);
        fetched(play, read, (60, 70)).end()
    };
    passes("unseen", &drained(&["new"]));
    catches("unseen", &drained(&[]), &["t#2-0"]);
}

#[test]
fn committed_offsets_go_with_their_topic_and_with_their_group() {
    let args = json!({ "group": "g", "topic": "t", "partition": 0, "offset": 5 });
    let committed =
        || history_of("groups").ok("a", "commit_offset", args.clone(), (0, 10), json!({}));
    for delete in [deleted, ended] {
        let after = |offset| delete(committed(), (20, 30)).fetched("r", 0, (40, 50), offset).end();
        passes("linearizable-offset", &after(0));
        lawful(&after(0));
        catches("linearizable-offset", &after(5), &["5"]);
        catches("spurious-offset", &after(5), &["nobody had committed"]);
        // Read while the deletion is under way, and committed by somebody who had no answer by
        // then.
        lawful(&delete(committed(), (20, 30)).fetched("r", 0, (25, 50), 5).end());
        let late = history_of("groups").info("a", "commit_offset", args.clone(), (0, 10));
        lawful(&delete(late, (20, 30)).fetched("r", 0, (40, 50), 5).end());
    }
    // A refused deletion deletes nothing.
    let refused = committed().fail(
        "admin",
        "delete_group",
        json!({ "group": "g" }),
        (20, 30),
        22,
        "NON_EMPTY_GROUP",
    );
    catches(
        "spurious-offset",
        &refused.fetched("r", 0, (40, 50), 0).end(),
        &["nothing had been committed"],
    );
}

/// Two eager consumers, one partition each in generation 2; then their topic is deleted and made
/// again.
fn two() -> Play {
    history_of("groups")
        .thin("a", "subscribe", (0, 10), 1, &[0, 1])
        .thin("b", "subscribe", (20, 30), 1, &[])
        .thin("a", "poll", (40, 50), 1, &[])
        .thin("b", "poll", (60, 70), 2, &[1])
        .thin("a", "poll", (80, 90), 2, &[0])
}

/// Both leave.
fn left(play: Play) -> Play {
    play.thin("a", "unsubscribe", (92, 95), 2, &[]).thin("b", "unsubscribe", (96, 99), 2, &[])
}

fn anew() -> Play {
    created(deleted(two(), (100, 110)), 2, (120, 130))
}

#[test]
fn g1_g2_g3_ownership_ends_with_the_topic() {
    // a has not polled since, and its time-outs run; but what it owned is no more.
    lawful(&anew().thin("b", "poll", (200, 210), 3, &[0, 1]).end());
    let not_deleted = two().thin("b", "poll", (200, 210), 3, &[0, 1]).end();
    catches("overlapping-ownership", &not_deleted, &["t-0"]);
    let again =
        || anew().thin("b", "poll", (140, 150), 3, &[1]).thin("a", "poll", (160, 170), 3, &[0]);
    lawful(&again().end());
    let stolen = again().thin("b", "poll", (180, 190), 4, &[0, 1]);
    catches("overlapping-ownership", &stolen.end(), &["t#2-0", "a (generation 3)"]);
    let doubled = again().thin("b", "heartbeat", (180, 190), 3, &[0, 1]);
    catches("double-ownership", &doubled.end(), &["generation 3", "t#2-0"]);
    let older = again().thin("b", "poll", (180, 190), 2, &[1]);
    catches("two-generations", &older.end(), &["generation 2"]);
}

#[test]
fn g4_a_deleted_topic_leaves_within_a_generation() {
    let told = |play: Play, span, assignment: Value| {
        play.thin_told("a", "heartbeat", span, 2, "Stable", assignment, &[])
    };
    let both = || told(history_of("groups"), (0, 10), json!({ "t": [0], "u": [0] }));
    let without = json!({ "u": [0] });
    passes("generation-reuse", &told(deleted(both(), (20, 30)), (40, 50), without.clone()).end());
    catches(
        "generation-reuse",
        &told(both(), (40, 50), without).end(),
        &["two assignments", "t-0"],
    );
    // The other topic was not deleted.
    let moved = told(deleted(both(), (20, 30)), (40, 50), json!({ "u": [1] }));
    catches("generation-reuse", &moved.end(), &["two assignments", "u-1"]);
}

#[test]
fn g4_a_deleted_group_begins_anew() {
    let again = || ended(left(two()), (100, 110)).thin("a", "subscribe", (120, 130), 1, &[0, 1]);
    passes("generation-reuse", &again().end());
    lawful(&again().end());
    catches(
        "generation-reuse",
        &left(two()).thin("a", "subscribe", (120, 130), 1, &[0, 1]).end(),
        &["group g:"],
    );
    let falls =
        again().thin("a", "poll", (140, 150), 3, &[0, 1]).thin("a", "poll", (160, 170), 2, &[0, 1]);
    catches("generation-reuse", &falls.end(), &["group g#2:", "generation 2"]);
}

#[test]
fn g5_g6_g8_a_topic_that_came_again_is_covered() {
    let described = |at, members: &[(&str, &[i64])]| {
        anew().described((at, at + 10), 3, "Stable", members).end()
    };
    passes("not-covering", &described(3_000, &[("a", &[0]), ("b", &[1])]));
    catches("not-covering", &described(3_000, &[("a", &[0]), ("b", &[])]), &["t#2-1"]);
    catches(
        "outside-subscription",
        &anew().thin("a", "poll", (3_000, 3_010), 3, &[2]).end(),
        &["t#2-2"],
    );
    // Described while it was being deleted.
    let halfway =
        deleted(two(), (100, 200)).described((150, 160), 2, "Stable", &[("a", &[]), ("b", &[])]);
    lawful(&halfway.end());
}

#[test]
fn g14_a_member_that_left_is_out_in_every_life() {
    let again = || ended(left(two()), (100, 110)).thin("a", "subscribe", (120, 130), 1, &[0, 1]);
    lawful(&again().thin("a", "poll", (140, 150), 1, &[0, 1]).end());
    let served = again().thin("a", "unsubscribe", (140, 150), 1, &[]).thin(
        "a",
        "poll",
        (160, 170),
        1,
        &[0, 1],
    );
    catches("accepted-after-removal", &served.end(), &["group g#2:", "poll by a"]);
    // It subscribes again while the group is being deleted: which came first nobody knows.
    let meanwhile = left(two()).thin("a", "subscribe", (105, 120), 1, &[]);
    lawful(&ended(meanwhile, (100, 110)).thin("a", "poll", (140, 150), 1, &[0, 1]).end());
}

#[test]
fn g15_a_group_is_deleted_only_when_nobody_is_in_it() {
    let of_group = || json!({ "group": "g" });
    catches("early-eviction", &ended(two(), (100, 110)).end(), &["b was out", "delete_group"]);
    let none =
        two().fail("admin", "delete_group", of_group(), (100, 110), 20, "GROUP_ID_NOT_FOUND");
    catches("early-eviction", &none.end(), &["b was out", "delete_group"]);
    let refused =
        two().fail("admin", "delete_group", of_group(), (100, 110), 22, "NON_EMPTY_GROUP");
    lawful(&refused.end());
    // Their sessions were over, or may have been; or they left, or may have.
    passes("early-eviction", &ended(two(), (2_000, 2_010)).end());
    passes("early-eviction", &ended(two(), (500, 2_010)).end());
    lawful(&ended(left(two()), (100, 110)).end());
    let leaves = |play: Play, who: &str| {
        play.info(who, "unsubscribe", json!({ "group": "g", "consumer": who }), (95, 99))
    };
    lawful(&ended(leaves(leaves(two(), "a"), "b"), (100, 110)).end());
    // One may not have left.
    catches("early-eviction", &ended(leaves(two(), "b"), (100, 110)).end(), &["a was out"]);
    // Nor does an unanswered deletion show anything.
    lawful(&two().info("admin", "delete_group", of_group(), (100, 110)).end());
    // The next life has its own members.
    let again = || ended(left(two()), (100, 110)).thin("a", "subscribe", (120, 130), 1, &[0, 1]);
    catches("early-eviction", &ended(again(), (140, 150)).end(), &["group g#2:", "a was out"]);
}

/// `a` reads and commits the only record of `t`, which is deleted and made again with two records.
fn read_twice() -> Play {
    let first = history_of("groups")
        .record(0, 0, (0, 5))
        .thin("a", "subscribe", (6, 8), 1, &[0])
        .thin_with("a", "poll", (10, 20), 1, &[0], &[(0, 0)])
        .commit("a", 0, 1, Some(1), (22, 25));
    let again = created(deleted(first, (30, 40)), 1, (50, 60));
    sent(sent(again, "n0", 0, (62, 65)), "n1", 1, (66, 69))
}

fn reads(play: Play, span: (u64, u64), generation: i64, from: i64) -> Play {
    let record = |offset: i64| {
        let message = format!("n{offset}");
        json!({ "topic": "t", "partition": 0, "offset": offset, "message": message })
    };
    let records: Vec<Value> = (from..2).map(record).collect();
    let reply = json!({ "generation": generation, "state": "Stable", "assignment": { "t": [0] },
                        "records": records });
    play.ok("a", "poll", json!({ "group": "g", "consumer": "a" }), span, reply)
}

#[test]
fn g12_g18_g19_positions_begin_anew() {
    let whole = || reads(read_twice(), (70, 80), 2, 0).commit("a", 0, 2, Some(2), (82, 85));
    lawful(&whole().end());
    for checker in ["at-least-once", "commit-beyond-end", "commit-reassign-gap"] {
        passes(checker, &whole().end());
    }
    // The position of the first life, in the second: a record is passed over.
    let skipped = reads(read_twice(), (70, 80), 2, 1).commit("a", 0, 2, Some(2), (82, 85)).end();
    catches("poll-skip", &skipped, &["t#2-0"]);
    catches("at-least-once", &skipped, &["t#2-0", "record at 0"]);
    let beyond = whole().commit("a", 0, 3, Some(2), (86, 89)).end();
    catches("commit-beyond-end", &beyond, &["commit of 3", "2 records"]);
    let again = whole().thin("a", "subscribe", (90, 95), 2, &[0]);
    catches(
        "commit-reassign-gap",
        &reads(again, (96, 99), 2, 0).end(),
        &["t#2-0", "2 was committed"],
    );
    // A commit of the first life that nobody answered may act in the second.
    let unsure = |play: Play| play.info("a", "commit", commit("a", 0, 1, Some(1)), (26, 28));
    let play =
        unsure(history_of("groups").record(0, 0, (0, 5)).thin("a", "subscribe", (6, 8), 1, &[0]));
    let again = created(deleted(play, (30, 40)), 1, (50, 60));
    lawful(&reads(sent(sent(again, "n0", 0, (62, 65)), "n1", 1, (66, 69)), (70, 80), 2, 1).end());
}

#[test]
fn a_deletion_that_is_never_proved_leaves_the_rest_open() {
    let unsure = two().info("admin", "delete_topic", topic(), (100, 110));
    let after =
        created(unsure, 2, (120, 130)).described((30_000, 30_010), 3, "Stable", &[("a", &[0])]);
    leaves_open("not-covering", &after.end(), "no description");
}
