//! The stage `wire`: cohort over TCP as its users have it, judged under faults; and bugs behind its
//! Kafka listener, found.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

#[path = "support/cohort.rs"]
mod cohort_binary;

/// A folder of a test's own, where its runs leave their files.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("wire-{name}"));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn brokers(file: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../scripts/brokers")
        .join(file)
        .canonicalize()
        .expect("the cluster files are there")
        .display()
        .to_string()
}

/// Runs the arena with these words. The binary `cohort` is beside it.
fn arena(name: &str, words: &[&str]) -> Output {
    cohort_binary::binary();
    let mut arena = Command::new(env!("CARGO_BIN_EXE_arena"));
    arena.args(words).current_dir(folder(name)).stdin(Stdio::null());
    arena.output().expect("the arena runs")
}

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}\n{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

/// A run that has to be valid.
fn valid(name: &str, workload: &str, cluster: &str, nemeses: &str, seed: &str) {
    let cluster = brokers(cluster);
    let words = [
        workload,
        "--stage",
        "wire",
        "--cluster",
        &cluster,
        "--seconds",
        "8",
        "--nemesis",
        nemeses,
        "--seed",
        seed,
    ];
    let output = arena(name, &words);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
}

const FAULTS: &str = "restart,pause,partition,one-way,clients,reset,latency";

#[test]
fn logs_of_three_nodes() {
    valid("log-3", "log", "cohort-3.toml", FAULTS, "1");
}

#[test]
fn classic_groups_of_three_nodes() {
    valid("classic-3", "classic", "cohort-3.toml", FAULTS, "2");
}

#[test]
fn offsets_of_three_nodes() {
    valid("offsets-3", "offsets", "cohort-3.toml", FAULTS, "3");
}

#[test]
fn logs_of_one_node_that_is_killed() {
    valid("log-1", "log", "cohort.toml", "restart,clients,reset,bandwidth", "4");
}

#[test]
fn classic_groups_of_one_node_that_is_killed() {
    valid("classic-1", "classic", "cohort.toml", "restart,pause,slow,clients", "5");
}

/// A bug behind the Kafka listener, which one of these predicates has to find within so many seeds.
fn found(flaw: &str, workload: &str, predicates: &[&str]) {
    let text = judged(flaw, workload, "20", &[]);
    let is_found = |predicate: &&str| text.contains(&format!("ANOMALY     {predicate} "));
    assert!(predicates.iter().any(is_found), "expected one of {predicates:?} in\n{text}");
}

/// The same, which this predicate has to find, whatever else others find.
fn found_by(flaw: &str, workload: &str, predicate: &str) {
    let text = judged(flaw, workload, "50", &["--by", predicate]);
    assert!(text.contains(&format!("ANOMALY     {predicate} ")), "{text}");
}

/// What is said of a bug that is looked for in so many seeds, and found.
fn judged(flaw: &str, workload: &str, seeds: &str, more: &[&str]) -> String {
    let cluster = brokers("cohort-3.toml");
    let mut words = vec!["judge", "--cluster", &cluster, "--flaw", flaw, "--workload", workload];
    words.extend(["--seeds", seeds, "--seconds", "6"]);
    words.extend(more);
    let output = arena(&[&[flaw], more].concat().join("-"), &words);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    text
}

#[test]
fn a_hand_over_that_waits_for_nobody_is_found() {
    found("joins-not-waited-for", "classic", &["overlapping-ownership", "early-eviction"]);
}

#[test]
fn offsets_of_before_a_change_of_leader_are_found() {
    found("old-offsets", "offsets", &["offset-goes-back", "linearizable-offset"]);
}

#[test]
fn fencing_that_is_switched_off_is_found() {
    found("generation-not-checked", "classic", &["fenced-commit"]);
}

#[test]
fn a_duplicate_after_a_retried_produce_is_found() {
    found("sequences-not-checked", "log", &["idempotent-duplicate"]);
}

#[test]
fn a_lost_acknowledged_commit_is_found() {
    found("commits-lost", "offsets", &["offset-goes-back", "linearizable-offset"]);
}

#[test]
fn a_record_that_is_taken_for_known_is_found() {
    found_by("taken-for-known", "log", "idempotent-gap");
}

#[test]
fn logs_that_begin_anew_with_a_leader_are_found() {
    found_by("logs-begin-anew", "log", "idempotent-reorder");
}

#[test]
fn members_that_begin_at_an_older_offset_are_found() {
    found_by("commits-lost", "classic", "reset-position");
}

/// A fault of the arena's own members, which this predicate has to find within so many seeds.
fn found_in_members(fault: &str, predicate: &str) {
    let cluster = brokers("cohort.toml");
    for seed in 1..=50 {
        let seed = seed.to_string();
        let mut words = vec!["classic", "--stage", "wire", "--cluster", &cluster];
        words.extend(["--member-fault", fault, "--nemesis", "none"]);
        words.extend(["--seconds", "10", "--seed", &seed]);
        let text = text(&arena(fault, &words));
        if text.contains(&format!("ANOMALY     {predicate} ")) {
            return;
        }
    }
    panic!("{fault} was not found by {predicate}");
}

#[test]
fn members_that_start_over_are_found() {
    found_in_members("starts-over", "reset-position");
}

#[test]
fn members_that_leave_a_partition_unread_are_found() {
    found_in_members("leaves-unread", "unread-partition");
}

#[test]
fn a_broker_that_runs_already_needs_no_more_than_its_address() {
    let mut broker = Command::new(cohort_binary::binary());
    broker.args(["serve", "--dev", "--nodes", "3", "--kafka", "127.0.0.1:0"]);
    broker.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut broker = broker.spawn().expect("cohort starts");
    let mut line = String::new();
    let ready = broker.stdout.take().expect("piped");
    BufReader::new(ready).read_line(&mut line).expect("a line");
    let ready: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    let address = ready["kafka"].as_str().and_then(|all| all.split(',').next()).expect("one");
    let words = [
        "classic",
        "--stage",
        "wire",
        "--kafka",
        address,
        "--seconds",
        "5",
        "--nemesis",
        "clients,reset,latency",
        "--seed",
        "6",
    ];
    let output = arena("elsewhere", &words);
    broker.kill().expect("it runs");
    broker.wait().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
}

#[test]
fn what_cannot_be_done_is_refused_by_name() {
    let cluster = brokers("cohort.toml");
    let kafka = brokers("kafka.toml");
    let wire = |words: &[&str]| {
        let mut all = vec!["log", "--stage", "wire", "--seconds", "1"];
        all.extend(words);
        arena("refused", &all)
    };
    for (output, expected) in [
        (wire(&[]), "--kafka HOST:PORT, or --cluster FILE"),
        (wire(&["--kafka", "127.0.0.1:1"]), "--kafka 127.0.0.1:1: "),
        (wire(&["--cluster", "none.toml"]), "none.toml"),
        (wire(&["--cluster", &cluster, "--nemesis", "rain"]), "no nemesis `rain`"),
        (wire(&["--cluster", &cluster, "--nemesis", "partition"]), "cannot do the nemesis"),
        (wire(&["--cluster", &kafka, "--flaw", "stale-read"]), "--flaw is for cohort"),
        (arena("refused", &["groups", "--stage", "wire", "--cluster", &cluster]), "not `groups`"),
        (arena("refused", &["log"]), "add --stage wire"),
    ] {
        let text = text(&output);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(expected), "expected {expected} in\n{text}");
    }
}
