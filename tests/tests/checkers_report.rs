//! Figures and report of histories.

mod checkers_support;

use arena::checkers::{all, check_all, state};
use arena::history::History;
use arena::report::{
    Cause, Handover, Latency, PartitionPause, PauseFigures, figures, meaning, pauses, render,
};
use checkers_support::{HistoryBuilder, history_of};
use serde_json::json;

#[test]
fn quantiles_are_by_nearest_rank() {
    let latency = Latency::of((1..=100).rev().collect());
    assert_eq!(
        (latency.p50, latency.p95, latency.p99, latency.max, latency.count),
        (50, 95, 99, 100, 100)
    );
    assert_eq!(Latency::of(vec![7]), Latency { count: 1, p50: 7, p95: 7, p99: 7, max: 7 });
    assert_eq!(Latency::of(vec![]), Latency::default());
}

#[test]
fn counts_availability_and_recovery() {
    let read = || json!({ "key": 0 });
    let history = history_of("lin-kv")
        .fault("partition", 1_000, Some(3_000))
        .ok("a", "read", read(), (0, 10), json!({ "value": 1 }))
        .fail("a", "read", read(), (100, 110), 20, "KEY_NOT_FOUND")
        .fail("a", "read", read(), (1_500, 2_000), 11, "COORDINATOR_NOT_AVAILABLE")
        .info("a", "read", read(), (2_000, 2_900))
        // Sent during the fault, so its answer is no sign of recovery.
        .ok("b", "read", read(), (2_900, 3_100), json!({ "value": 1 }))
        .ok("c", "read", read(), (3_200, 4_000), json!({ "value": 1 }))
        .end();
    let figures = figures(&history);
    assert_eq!((figures.invoked, figures.ok, figures.fail, figures.info), (6, 3, 2, 1));
    assert!((figures.availability - 4.0 / 6.0).abs() < 1e-9, "{}", figures.availability);
    assert!((figures.throughput - 3.0 / 4.0).abs() < 1e-9, "{}", figures.throughput);
    assert_eq!(figures.recoveries[0].recovery_us, Some(1_000_000));
    assert_eq!(figures.recoveries[0].silence_us, 2_000_000);
    assert_eq!(figures.latency.max, 800_000);
    let text = figures.to_string();
    assert!(
        text.contains("availability 66.67%") && text.contains("answered 1.00 s after it"),
        "{text}"
    );
}

#[test]
fn paused_time_is_from_giving_up_to_owning_again() {
    let history = history_of("groups")
        .thin("a", "subscribe", (0, 10), 1, &[0, 1])
        .thin("a", "poll", (40, 50), 1, &[])
        .thin("a", "poll", (60, 70), 1, &[])
        .thin("a", "poll", (100, 120), 2, &[0])
        .end();
    let figures = figures(&history);
    assert_eq!(figures.rebalances["g"], 1);
    assert_eq!((figures.pauses[0].paused_us, figures.pauses[0].pauses), (70_000, 1));
    let classic = history_of("classic")
        .classic("a", (0, 30), 1, &[0])
        .classic("a", (100, 130), 2, &[0])
        .end();
    // From the second join's invocation to its sync's answer.
    assert_eq!(arena::report::figures(&classic).pauses[0].paused_us, 20_000);
}

#[test]
fn the_page_is_one_file_without_a_network() {
    let history = history_of("groups")
        .fault("pause", 20, Some(60))
        .record(0, 0, (0, 5))
        .thin("<b>a</b>", "subscribe", (10, 20), 1, &[0])
        .thin_with("<b>a</b>", "poll", (30, 40), 1, &[0], &[(0, 0)])
        .commit("<b>a</b>", 0, 1, Some(1), (50, 60))
        .commit("<b>a</b>", 0, 5, Some(1), (70, 80))
        .heal(90)
        .end();
    let page = render(&history, &check_all(&history));
    for part in [
        "Group g: generations and owners",
        "t-0",
        "offsets and lag",
        "commit-beyond-end",
        "class=\"fault\"",
        "pause",
    ] {
        assert!(page.contains(part), "{part} is not in the page");
    }
    for outside in ["http:", "https:", "src=", "@import", "url(", "<script"] {
        assert!(!page.contains(outside), "the page reaches out: {outside}");
    }
    assert!(!page.contains("<b>a</b>"), "names are not escaped");
    assert_eq!(page, render(&history, &check_all(&history)), "the same history gives another page");
}

#[test]
fn a_long_run_stays_a_small_page() {
    let mut builder = history_of("groups");
    for step in 0..20_000u64 {
        let offset = i64::try_from(step).expect("small");
        builder = builder.record(0, offset, (step * 10, step * 10 + 5));
        if step % 10 == 0 {
            builder = builder.thin(
                if step % 200 < 100 { "a" } else { "b" },
                "poll",
                (step * 10, step * 10 + 3),
                offset / 100,
                &[0],
            );
        }
    }
    let page = render(&builder.end(), &[]);
    assert!(page.len() < 400_000, "{} bytes", page.len());
}

#[test]
fn an_empty_history_has_a_page_too() {
    let page = render(&history_of("kafka").end(), &[]);
    assert!(page.contains("Not judged"));
}

/// A fetch of a partition of `t`.
fn read(play: HistoryBuilder, process: &str, partition: i64, at: u64) -> HistoryBuilder {
    let args = json!({ "topic": "t", "partition": partition, "offset": 0 });
    let reply = json!({ "records": [], "high_watermark": 0 });
    play.ok(process, "fetch", args, (at, at + 10), reply)
}

/// a reads both partitions; b joins and takes `t-1`; a leaves, and b takes `t-0`; b's session ends,
/// and c takes both.
fn three_rebalances() -> HistoryBuilder {
    let leave = json!({ "group": "g", "member_id": "a" });
    let play = history_of("classic").classic("a", (0, 30), 1, &[0, 1]);
    let play = read(read(play, "a", 0, 40), "a", 1, 60);
    let play = play.classic("a", (100, 130), 2, &[0]).classic("b", (102, 132), 2, &[1]);
    let play = read(read(play, "a", 0, 140), "b", 1, 150);
    let play = play.ok("a", "leave_group", leave, (200, 210), json!({}));
    let play = play.classic("b", (220, 250), 3, &[0, 1]);
    let play = read(read(play, "b", 1, 260), "b", 0, 300);
    read(read(play.classic("c", (1_700, 1_730), 4, &[0, 1]), "c", 0, 1_740), "c", 1, 1_760)
}

/// A partition, whether it moved, and for how many milliseconds it stood still.
type Pause = (i64, bool, Option<u64>);

/// A process joins as a member, and is told its assignment.
fn joins(
    play: HistoryBuilder,
    (process, member, instance): (&str, &str, Option<&str>),
    at: u64,
    generation: i64,
    partitions: &[i64],
) -> HistoryBuilder {
    let join = json!({ "group": "g", "member_id": member, "instance_id": instance,
                       "session_timeout_ms": 1000, "rebalance_timeout_ms": 2000,
                       "protocols": [{ "name": "range", "topics": ["t"] }] });
    let joined = json!({ "generation": generation, "protocol": "range", "leader": "someone",
                         "member_id": member, "members": [] });
    let sync = json!({ "group": "g", "member_id": member, "generation": generation });
    let told = json!({ "assignment": { "t": partitions } });
    let play = play.ok(process, "join_group", join, (at, at + 10), joined);
    play.ok(process, "sync_group", sync, (at + 10, at + 20), told)
}

#[test]
fn regression_who_leaves_and_comes_back_has_not_kept_a_partition() {
    let leave = json!({ "group": "g", "member_id": "a-1" });
    // p is told again that it has `t-0`, leaves at once, and is another member in generation 3.
    let play = joins(history_of("classic"), ("p", "a-1", None), 0, 1, &[0]);
    let play = joins(read(play, "p", 0, 30), ("p", "a-1", None), 100, 2, &[0]);
    let play = play.ok("p", "leave_group", leave, (130, 140), json!({}));
    let play = joins(play, ("p", "a-2", None), 1_500, 3, &[0]);
    let figures = PauseFigures::of(pauses(&read(play, "p", 0, 1_600).end()).iter());
    assert_eq!((figures.kept.count, figures.moved.max, figures.unread), (0, 1_570_000, 1));
    // A static member is away for a while.
    let play = joins(history_of("classic"), ("p", "a-1", Some("i")), 0, 1, &[0]);
    let play = joins(read(play, "p", 0, 30), ("q", "a-2", Some("i")), 900, 2, &[0]);
    let figures = PauseFigures::of(pauses(&read(play, "q", 0, 950).end()).iter());
    let counts = (figures.kept.count, figures.moved.count, figures.returned.max);
    assert_eq!(counts, (0, 0, 920_000));
}

fn brief(history: &History) -> Vec<(i64, Cause, Vec<Pause>)> {
    let partition = |p: &PartitionPause| {
        let moved = p.handover == Handover::Moved;
        (p.partition, moved, p.pause_us().map(|us| us / 1_000))
    };
    pauses(history)
        .into_iter()
        .map(|r| (r.generation, r.cause, r.partitions.iter().map(partition).collect()))
        .collect()
}

#[test]
fn rebalances_have_a_cause_and_pauses() {
    let history = three_rebalances().end();
    // From the last answered fetch of the old owner to the first of the new one.
    let expected = vec![
        (2, Cause::Join("b".into()), vec![(0, false, Some(100)), (1, true, Some(90))]),
        (3, Cause::Leave("a".into()), vec![(0, true, Some(160)), (1, false, Some(110))]),
        (4, Cause::Session("b".into()), vec![(0, true, Some(1_440)), (1, true, Some(1_500))]),
    ];
    assert_eq!(brief(&history), expected);
    let figures = PauseFigures::of(pauses(&history).iter());
    assert_eq!((figures.moved.count, figures.moved.max), (4, 1_500_000));
    assert_eq!((figures.kept.count, figures.kept.p50, figures.unread), (2, 100_000, 0));
    let rebalances = pauses(&history);
    assert_eq!((rebalances[1].began_us, rebalances[1].members), (200_000, 1));
}

#[test]
fn a_session_that_ended_is_a_cause_and_so_is_a_second_round() {
    let play = history_of("classic").classic("a", (0, 30), 1, &[0]).classic("b", (1, 31), 1, &[1]);
    let play = read(read(play, "a", 0, 40), "b", 1, 40);
    let silent = read(play.classic("a", (1_500, 1_530), 2, &[0, 1]), "a", 1, 1_540).end();
    let expected = vec![(0, false, None), (1, true, Some(1_500))];
    assert_eq!(brief(&silent), [(2, Cause::Session("b".into()), expected)]);
    // The first round takes t-1 from a, the second gives it to b.
    let cooperative = json!({ "strategy": "cooperative-sticky" });
    let offer = json!({ "group": "g", "member_id": "a", "protocols": [{ "name": "cooperative-sticky", "topics": ["t"] }] });
    let play = history_of("classic").config(cooperative).classic("a", (0, 30), 1, &[0, 1]);
    let play = play.fail("a", "join_group", offer, (31, 32), 14, "MEMBER_ID_REQUIRED");
    let play = read(play, "a", 1, 40);
    let play = play.classic("a", (100, 130), 2, &[0]).classic("b", (101, 131), 2, &[]);
    let play = play.classic("a", (140, 170), 3, &[0]).classic("b", (141, 171), 3, &[1]);
    let rounds = brief(&read(play, "b", 1, 180).end());
    assert_eq!(rounds[0], (2, Cause::Join("b".into()), vec![]));
    assert_eq!(rounds[1], (3, Cause::SecondRound, vec![(1, true, Some(140))]));
}

#[test]
fn the_page_shows_rebalances_and_what_happened_to_partitions() {
    let commit = json!({ "group": "g", "topic": "t", "partition": 0, "offset": 5,
                         "member_id": "b", "generation": 3 });
    let history = three_rebalances()
        .fault("kill", 400, Some(900))
        .ok("b", "commit_offset", commit, (310, 320), json!({}))
        .end();
    let page = render(&history, &check_all(&history));
    for part in [
        "Group g: rebalances",
        "b joined",
        "a left",
        "moved to another member",
        ">faults<",
        "class=\"commit\"",
        "t-0 committed at 5",
        "class=\"gap\"",
        "t-1 was not fetched for 1.49 s",
    ] {
        assert!(page.contains(part), "{part} is not in the page");
    }
    // Thin groups have no such table.
    let thin = render(&checkers_support::two().end(), &[]);
    assert!(!thin.contains(": rebalances"));
}

#[test]
fn an_anomaly_is_explained_and_proved_by_its_operations() {
    let history = three_rebalances()
        .ok(
            "<i>",
            "commit_offset",
            json!({ "group": "g", "topic": "t", "partition": 0, "offset": 5, "metadata": "x<y" }),
            (310, 320),
            json!({}),
        )
        .fetched("q", 0, (400, 410), 3)
        .end();
    let page = render(&history, &check_all(&history));
    for part in [
        "<b>spurious-offset</b>",
        "`auto.offset.reset` applies",
        "<summary>operations</summary>",
        "<td>commit_offset",
        "&quot;offset&quot;:5",
        "{&quot;offset&quot;:3}",
        "0.310s",
        "x&lt;y",
        "&lt;i&gt;",
    ] {
        assert!(page.contains(part), "{part} is not in the page");
    }
    assert!(!page.contains("x<y"), "fields are not escaped");
}

#[test]
fn every_checker_has_a_meaning_for_users() {
    let named = all().into_iter().map(|checker| checker.name());
    for name in named.chain(state::all().into_iter().map(|checker| checker.name())) {
        assert!(meaning(name).is_some(), "{name} has no meaning");
    }
}
