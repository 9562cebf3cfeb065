//! Applications by their own words: what they must not be told, read or commit, and what is lawful
//! close by.

mod checkers_support;

use arena::history::History;
use checkers_support::{HistoryBuilder, catches, history_of, lawful, leaves_open, passes};
use serde_json::{Value, json};

/// A story: records 0 to 9 of t-0 were acknowledged at once, and what instances said comes after.
struct Story {
    play: HistoryBuilder,
    line: u64,
}

impl Story {
    fn new() -> Self {
        let config = json!({
            "app_clock": true, "session_timeout_ms": 1_000, "rebalance_timeout_ms": 3_000,
        });
        let play = history_of("apps").stage("wire").config(config);
        let play = (0..10).fold(play, |play, offset| play.record(0, offset, (0, 10)));
        Self { play, line: 0 }
    }

    fn says(self, app: &str, f: &str, mut args: Value, (from, to): (u64, u64)) -> Self {
        args["group"] = json!("g");
        args["line"] = json!(self.line);
        Self { play: self.play.ok(app, f, args, (from, to), json!({})), line: self.line + 1 }
    }

    /// The application says that it was assigned, revoked or lost t-0.
    fn holds(self, app: &str, what: &str, at: u64) -> Self {
        self.says(app, &format!("app_{what}"), json!({ "topics": { "t": [0] } }), (at, at + 2))
    }

    fn reads(mut self, app: &str, offsets: impl IntoIterator<Item = i64>, at: u64) -> Self {
        for offset in offsets {
            let message = format!("0:{offset}");
            let args =
                json!({ "topic": "t", "partition": 0, "offset": offset, "message": message });
            self = self.says(app, "app_read", args, (at, at + 1));
        }
        self
    }

    /// It says that it commits, and does.
    fn commits(self, app: &str, member: &str, offset: i64, at: u64) -> Self {
        let args = json!({ "topic": "t", "partition": 0, "offset": offset });
        let mut story = self.says(app, "app_commit", args.clone(), (at, at + 5));
        let mut args = args;
        args["group"] = json!("g");
        args["member_id"] = json!(member);
        args["generation"] = json!(if member == "m1" { 1 } else { 2 });
        let process = format!("{app}-3");
        story.play = story.play.ok(&process, "commit_offset", args, (at + 1, at + 3), json!({}));
        story
    }

    fn told(mut self, app: &str, offset: Value, at: u64) -> Self {
        let args = json!({ "group": "g", "topic": "t", "partition": 0 });
        let process = format!("{app}-3");
        let told = json!({ "offset": offset });
        self.play = self.play.ok(&process, "fetch_offset", args, (at, at + 1), told);
        self
    }

    /// Its client joins, and is told t-0.
    fn synced(mut self, app: &str, member: &str, generation: i64, at: u64) -> Self {
        let args = json!({ "group": "g", "member_id": member, "generation": generation });
        let process = format!("{app}-3");
        let told = json!({ "assignment": { "t": [0] } });
        self.play = self.play.ok(&process, "sync_group", args, (at, at + 1), told);
        self
    }

    fn signal(self, app: &str, signal: &str, at: u64) -> Self {
        self.says(app, "app_signal", json!({ "signal": signal }), (at, at))
    }

    fn end(self) -> History {
        self.play.end()
    }
}

/// app1 has t-0, reads 0 to 4 and commits them.
fn begun() -> Story {
    let story = Story::new().synced("app1", "m1", 1, 20).holds("app1", "assigned", 25);
    story.told("app1", Value::Null, 30).reads("app1", 0..5, 40).commits("app1", "m1", 5, 50)
}

#[test]
fn read_unowned() {
    let after = begun().holds("app1", "revoked", 60).reads("app1", [5], 70).end();
    catches("read-unowned", &after, &["app1 read t-0@5", "had taken that from it"]);
    let never = Story::new().holds("app2", "assigned", 25).reads("app1", [0], 40).end();
    catches("read-unowned", &never, &["never assigned"]);
    let lost = begun().holds("app1", "lost", 60).reads("app1", [5], 70).end();
    catches("read-unowned", &lost, &[]);
    let again = begun().holds("app1", "revoked", 60).holds("app1", "assigned", 65);
    let again = again.reads("app1", [5], 70).end();
    passes("read-unowned", &again);
    lawful(&again);
}

#[test]
fn read_skips() {
    let skipped = begun().reads("app1", [6], 60).end();
    catches("read-skips", &skipped, &["t-0@4 and then @6", "the acknowledged @5"]);
    let back = begun().reads("app1", [2], 60).end();
    catches("read-skips", &back, &["t-0@2 after @4"]);
    // Nobody knows of a record at 10: offsets need not be dense.
    let hole = begun().reads("app1", (5..10).chain([11]), 60).end();
    passes("read-skips", &hole);
    // Who lets a partition go and gets it again begins at what was committed.
    let again = begun().reads("app1", [5, 6], 55).holds("app1", "revoked", 60);
    let again = again.holds("app1", "assigned", 65).told("app1", json!(5), 70);
    let again = again.reads("app1", [5, 6], 75).end();
    passes("read-skips", &again);
    lawful(&again);
}

#[test]
fn read_skips_where_it_begins() {
    let hands_over = |told: Value, begins: i64| {
        let story = begun().holds("app1", "revoked", 60).synced("app2", "m2", 2, 70);
        let story = story.holds("app2", "assigned", 75).told("app2", told, 80);
        story.reads("app2", [begins], 90).end()
    };
    passes("read-skips", &hands_over(json!(5), 5));
    lawful(&hands_over(json!(5), 5));
    for begins in [0, 7] {
        let elsewhere = hands_over(json!(5), begins);
        catches("read-skips", &elsewhere, &["app2 began to read t-0", "was told 5"]);
    }
    // It asked beyond the end of the log, and began anew.
    let mut beyond = begun().holds("app1", "revoked", 60).holds("app2", "assigned", 75);
    beyond = beyond.told("app2", json!(99), 80);
    let args = json!({ "topic": "t", "partition": 0, "offset": 99 });
    let out = "OFFSET_OUT_OF_RANGE";
    beyond.play = beyond.play.fail("app2-4", "fetch", args, (82, 85), 20, out);
    passes("read-skips", &beyond.reads("app2", [0], 90).end());
    // What it was told was wrong. That is another's fault.
    passes("read-skips", &hands_over(Value::Null, 0));
    catches("spurious-offset", &hands_over(Value::Null, 0), &[]);
    // It was not told anything: an answer that nobody saw.
    let unseen = begun().holds("app1", "revoked", 60).holds("app2", "assigned", 75);
    passes("read-skips", &unseen.reads("app2", [0], 90).end());
}

#[test]
fn commit_unread() {
    passes("commit-unread", &begun().end());
    let ahead = begun().commits("app1", "m1", 6, 60).end();
    catches("commit-unread", &ahead, &["app1 committed 6 of t-0", "had not read @5"]);
    // It reads it later; by then the record might have been lost.
    let late = begun().commits("app1", "m1", 6, 60).reads("app1", [5], 70).end();
    catches("commit-unread", &late, &[]);
    // What others have read and committed is not its own to read.
    let story = begun().holds("app1", "revoked", 60).holds("app2", "assigned", 75);
    let follows = story.reads("app2", [5], 80).commits("app2", "m2", 6, 90).end();
    passes("commit-unread", &follows);
    let story = begun().holds("app1", "revoked", 60).holds("app2", "assigned", 75);
    let again = story.commits("app2", "m2", 5, 90).end();
    passes("commit-unread", &again);
    let story = begun().holds("app1", "revoked", 60).holds("app2", "assigned", 75);
    let blind = story.commits("app2", "m2", 6, 90).end();
    catches("commit-unread", &blind, &["app2 committed 6"]);
    // What it reads may be committed while it is taken from it.
    let last = begun().reads("app1", [5], 55).holds("app1", "revoked", 60);
    let last = last.commits("app1", "m1", 6, 70).end();
    passes("commit-unread", &last);
    lawful(&last);
}

#[test]
fn committed_past() {
    passes("committed-past", &begun().end());
    let story = begun().holds("app1", "revoked", 60).holds("app2", "assigned", 75);
    let past = story.reads("app2", [6], 80).commits("app2", "m2", 7, 90).end();
    catches("committed-past", &past, &["committed 7 of t-0", "nobody read @5"]);
    // Killed after it had said what it read, and before the commit was known to be made.
    let story = begun().reads("app1", [5], 55).signal("app1", "kill", 60);
    let story = story.holds("app2", "assigned", 75).reads("app2", [6], 80);
    passes("committed-past", &story.commits("app2", "m2", 7, 90).end());
    // Somebody else has set the offset.
    let mut story = begun();
    let args = json!({ "group": "g", "topic": "t", "partition": 0, "offset": 8 });
    story.play = story.play.ok("admin-9", "commit_offset", args, (60, 65), json!({}));
    leaves_open("committed-past", &story.end(), "no application");
}

/// app1 shows at 500 that it is still a member; app2 says at 1,000 that it has the partition, and
/// shows the same at 1,100.
fn both(between: impl FnOnce(Story) -> Story, late: u64) -> History {
    let story = between(begun().reads("app1", [5], 480).commits("app1", "m1", 6, 500));
    let story = story.synced("app2", "m2", 2, late - 10).holds("app2", "assigned", late);
    let story = story.told("app2", json!(6), late + 10).reads("app2", [6], late + 50);
    story.commits("app2", "m2", 7, late + 100).end()
}

#[test]
fn readers_overlap() {
    let same = |story: Story| story;
    catches("readers-overlap", &both(same, 1_000), &["app1 held t-0", "and app2 from"]);
    // It let go first; or it was lost; or its session was over by its last accepted request.
    for what in ["revoked", "lost"] {
        let gone = both(|story| story.holds("app1", what, 900), 1_000);
        passes("readers-overlap", &gone);
    }
    passes("readers-overlap", &both(same, 1_600));
    // A rebalance may have ended without who lives on, but not before its time-out is over.
    let lives =
        |story: Story| (1..=8).fold(story, |story, i| story.commits("app1", "m1", 5, 500 * i));
    catches("readers-overlap", &both(lives, 2_900), &["app1 held t-0", "and app2 from"]);
    passes("readers-overlap", &both(lives, 3_500));
    // Who is stopped or killed may be out and not know.
    for signal in ["stop", "kill", "term"] {
        passes("readers-overlap", &both(|story| story.signal("app1", signal, 600), 1_000));
    }
    // Its client has left the group.
    let leaves = |mut story: Story| {
        let args = json!({ "group": "g", "member_id": "m1" });
        story.play = story.play.ok("app1-3", "leave_group", args, (600, 610), json!({}));
        story
    };
    passes("readers-overlap", &both(leaves, 1_000));
    let mut clock = both(same, 1_000);
    clock.header.config["app_clock"] = json!(false);
    leaves_open("readers-overlap", &clock, "the clock of the machine was set");
    lawful(&both(|story| story.holds("app1", "revoked", 900), 1_000));
}

#[test]
fn nothing_is_judged_without_applications_nor_of_topics_that_end() {
    let all = ["readers-overlap", "read-unowned", "read-skips", "commit-unread", "committed-past"];
    let none = history_of("classic").record(0, 0, (0, 10)).end();
    for checker in all {
        leaves_open(checker, &none, "no application told");
    }
    let mut story = begun();
    story.play = story.play.ok("x", "delete_topic", json!({ "topic": "t" }), (80, 90), json!({}));
    let deleted = story.end();
    for checker in &all[2..] {
        leaves_open(checker, &deleted, "its offsets began anew");
    }
}
