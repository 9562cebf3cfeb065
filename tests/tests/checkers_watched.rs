//! Histories of a watch: what others may have done is no anomaly, and what nobody may do is one.

mod checkers_support;

use arena::history::History;
use checkers_support::{HistoryBuilder, catches, history_of, leaves_open, passes};
use serde_json::{Value, json};

/// A watch that saw every client, or not.
fn watch(partial: bool) -> HistoryBuilder {
    let config = json!({ "partial": partial, "transactions": false });
    history_of("watch").stage("watch").config(config)
}

fn sent(play: HistoryBuilder, message: &str, span: (u64, u64), offset: i64) -> HistoryBuilder {
    let args = json!({ "topic": "t", "partition": 0, "message": message });
    play.ok("p", "send", args, span, json!({ "partition": 0, "offset": offset }))
}

fn fetched(
    play: HistoryBuilder,
    (from, end): (i64, i64),
    span: (u64, u64),
    records: &[(i64, &str)],
) -> HistoryBuilder {
    let args = json!({ "topic": "t", "partition": 0, "offset": from });
    let record = |(offset, message): &(i64, &str)| json!({ "offset": offset, "message": message });
    let records: Vec<Value> = records.iter().map(record).collect();
    play.ok("c", "fetch", args, span, json!({ "records": records, "high_watermark": end }))
}

fn committed(play: HistoryBuilder, told: Option<i64>) -> HistoryBuilder {
    let args = json!({ "group": "g", "topic": "t", "partition": 0 });
    play.ok("c", "fetch_offset", args, (50, 60), json!({ "offset": told }))
}

/// Only who saw everybody may say that it is wrong.
fn takes_all_clients(checker: &str, history: impl Fn(bool) -> History) {
    catches(checker, &history(false), &[]);
    leaves_open(checker, &history(true), "others may have been");
}

#[test]
fn what_others_may_have_sent_is_judged_only_where_all_are_seen() {
    takes_all_clients("phantom-record", |partial| {
        let play = sent(watch(partial), "a", (0, 10), 0);
        fetched(play, (0, 2), (20, 30), &[(0, "a"), (1, "strange")]).end()
    });
    for checker in ["duplicate", "twice-applied"] {
        takes_all_clients(checker, |partial| {
            let play = sent(watch(partial), "a", (0, 10), 0);
            fetched(play, (0, 2), (20, 30), &[(0, "a"), (1, "a")]).end()
        });
    }
    takes_all_clients("aborted-read", |partial| {
        let args = json!({ "topic": "t", "partition": 0, "message": "a" });
        let play = watch(partial).fail("p", "send", args, (0, 10), 12, "INVALID_RECORD");
        fetched(play, (0, 1), (20, 30), &[(0, "a")]).end()
    });
}

#[test]
fn what_others_may_have_committed_is_judged_only_where_all_are_seen() {
    for checker in ["spurious-offset", "linearizable-offset"] {
        takes_all_clients(checker, |partial| committed(watch(partial), Some(7)).end());
        let config = json!({ "partial": false, "transactions": true });
        let play = watch(false).config(config);
        leaves_open(checker, &committed(play, Some(7)).end(), "transactions may");
        passes(checker, &committed(watch(false), None).end());
    }
}

#[test]
fn a_lost_record_is_one_whoever_else_is_there() {
    let lost = |partial| {
        let play = sent(watch(partial), "a", (0, 10), 0);
        let play = sent(play, "b", (0, 10), 1);
        let play = sent(play, "c", (0, 10), 2);
        fetched(play, (0, 3), (20, 30), &[(0, "a"), (2, "c")])
    };
    for partial in [false, true] {
        catches("lost-write", &lost(partial).end(), &[]);
        catches("int-poll-skip", &lost(partial).end(), &[]);
        let found = fetched(lost(partial), (1, 3), (40, 50), &[(1, "b"), (2, "c")]);
        passes("lost-write", &found.end());
    }
}

#[test]
fn what_kafka_does_not_promise_is_not_judged() {
    let stale = sent(watch(false), "a", (0, 10), 0);
    let stale = fetched(stale, (0, 0), (20, 30), &[]);
    leaves_open("stale-poll", &stale.end(), "need not promise");
    let marker = sent(watch(false), "a", (0, 10), 0);
    let marker = fetched(sent(marker, "b", (0, 10), 2), (0, 3), (20, 30), &[(0, "a"), (2, "b")]);
    leaves_open("dense-offsets", &marker.end(), "need not promise");
    let silent = watch(false).ok("c", "list_topics", json!({}), (0, 10), json!({ "topics": {} }));
    let silent = silent.info("c", "list_topics", json!({}), (20, 100_000));
    leaves_open("no-progress", &silent.end(), "when brokers were stopped");
}
