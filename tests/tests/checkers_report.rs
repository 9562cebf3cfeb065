//! Figures and report of histories.

mod checkers_support;

use arena::checkers::check_all;
use arena::report::{Latency, figures, render};
use checkers_support::history_of;
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
