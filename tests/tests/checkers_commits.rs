//! Each predicate of a group's commits catches the history that it is for, and passes a lawful one
//! that is close to it.

mod checkers_support;

use arena::history::History;
use checkers_support::{catches, commit, history_of, lawful, leaves_open, member, passes, two};
use serde_json::json;

#[test]
fn g12_commit_beyond_end() {
    let start = || two().record(0, 0, (91, 92));
    passes("commit-beyond-end", &start().commit("a", 0, 1, Some(2), (93, 95)).end());
    catches(
        "commit-beyond-end",
        &start().commit("a", 0, 2, Some(2), (93, 95)).end(),
        &["commit of 2 by a", "1 records"],
    );
    catches(
        "commit-beyond-end",
        &start().commit("a", 0, -1, Some(2), (93, 95)).end(),
        &["commit of -1"],
    );
    // An administrator may commit what he likes.
    let admin = json!({ "group": "g", "topic": "t", "partition": 0, "offset": 99 });
    leaves_open(
        "commit-beyond-end",
        &start().ok("x", "commit_offset", admin, (93, 95), json!({})).end(),
        "no thin consumer",
    );
}

#[test]
fn g13_fenced_commit() {
    let moved =
        || two().thin("a", "poll", (91, 92), 2, &[]).thin("b", "poll", (93, 94), 3, &[0, 1]);
    catches(
        "fenced-commit",
        &moved().commit("a", 0, 0, Some(2), (100, 110)).end(),
        &["by a was accepted", "b, with t-0,", "generation 3"],
    );
    // A member that was not told of the newer generation yet may name the older one, if nobody else
    // has the partition.
    passes("fenced-commit", &two().commit("a", 0, 0, Some(2), (100, 110)).end());
    let own =
        two().thin("a", "poll", (91, 92), 3, &[0]).commit("a", 0, 0, Some(2), (100, 110)).end();
    catches("fenced-commit", &own, &["it had been told generation 3"]);
    let refused = moved()
        .fail("a", "commit", commit("a", 0, 0, Some(2)), (100, 110), 22, "ILLEGAL_GENERATION")
        .end();
    leaves_open("fenced-commit", &refused, "no member");
}

#[test]
fn g13_in_a_classic_group() {
    let args = json!({ "group": "g", "topic": "t", "partition": 0, "offset": 0, "member_id": "a", "generation": 1 });
    let start = || {
        history_of("classic").classic("a", (0, 30), 1, &[0]).classic("b", (1_100, 1_130), 2, &[0])
    };
    catches(
        "fenced-commit",
        &start().ok("a", "commit_offset", args.clone(), (1_200, 1_210), json!({})).end(),
        &["generation 2"],
    );
    passes(
        "fenced-commit",
        &start().ok("a", "commit_offset", args, (1_110, 1_210), json!({})).end(),
    );
}

/// a reads two records of `t-0` and commits, then b owns the partition.
fn handed_over(committed: bool, first: i64) -> History {
    let builder = history_of("groups")
        .record(0, 0, (0, 5))
        .record(0, 1, (5, 10))
        .record(0, 2, (10, 15))
        .thin("a", "subscribe", (20, 30), 1, &[0])
        .thin_with("a", "poll", (40, 50), 1, &[0], &[(0, 0), (0, 1)]);
    let builder = if committed { builder.commit("a", 0, 2, Some(1), (60, 70)) } else { builder };
    builder
        .ok("a", "unsubscribe", member("a"), (80, 90), json!({}))
        .thin("b", "subscribe", (100, 110), 2, &[0])
        .thin_with(
            "b",
            "poll",
            (120, 130),
            2,
            &[0],
            &(first..3).map(|offset| (0, offset)).collect::<Vec<_>>(),
        )
        .end()
}

#[test]
fn g18_commit_reassign_gap() {
    catches("commit-reassign-gap", &handed_over(true, 0), &["b began", "at 0", "2 was committed"]);
    passes("commit-reassign-gap", &handed_over(true, 2));
    passes("commit-reassign-gap", &handed_over(false, 0));
    lawful(&handed_over(true, 2));
    lawful(&handed_over(false, 0));
}

#[test]
fn g19_at_least_once() {
    // Nothing was committed, b begins at 2 and commits 3: with a's reading all were given to the
    // group.
    let builder = |given: &[(i64, i64)], ghost: bool| {
        let builder =
            history_of("groups").record(0, 0, (0, 5)).record(0, 1, (5, 10)).record(0, 2, (10, 15));
        let builder = builder.thin("b", "subscribe", (20, 30), 1, &[0]);
        let builder = if ghost {
            builder.info("b", "poll", member("b"), (32, 35)).thin(
                "b",
                "subscribe",
                (36, 38),
                1,
                &[0],
            )
        } else {
            builder
        };
        builder
            .thin_with("b", "poll", (40, 50), 1, &[0], given)
            .commit("b", 0, 3, Some(1), (60, 70))
            .end()
    };
    passes("at-least-once", &builder(&[(0, 0), (0, 1), (0, 2)], false));
    catches("at-least-once", &builder(&[(0, 2)], false), &["3 was committed", "record at 0"]);
    passes("at-least-once", &builder(&[(0, 2)], true));
    // A member that commits what it was not given has skipped by itself.
    leaves_open("at-least-once", &builder(&[(0, 0)], false), "just what they were given");
}
