//! The harness proved on real processes of a toy: a right one is found valid under faults, and each planted fault is caught.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The toy is an example of this package; Cargo builds it with the tests, beside the programs.
fn toy() -> PathBuf {
    let arena = Path::new(env!("CARGO_BIN_EXE_arena"));
    arena.with_file_name("examples").join("toy_node")
}

/// Runs the arena in a folder of its own.
fn arena(name: &str, plant: &str, args: &[&str]) -> (Option<i32>, String, PathBuf) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).expect("a folder for the run");
    let output: Output = Command::new(env!("CARGO_BIN_EXE_arena"))
        .args(args)
        .arg("--bin")
        .arg(toy())
        .env("TOY_PLANT", plant)
        .current_dir(&folder)
        .output()
        .expect("the arena runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), format!("{text}\n{}", String::from_utf8_lossy(&output.stderr)), folder)
}

/// The planted fault is found, under this name.
fn caught(workload: &str, plant: &str, seconds: &str, by: &str) {
    let args = [workload, "--nodes", "3", "--seconds", seconds, "--seed", "11", "--nemesis", "none"];
    let (code, text, _) = arena(&format!("{workload}-{plant}"), plant, &args);
    assert_eq!(code, Some(1), "{plant} must be found:\n{text}");
    let anomalies: Vec<&str> = text.lines().filter(|line| line.starts_with("ANOMALY")).collect();
    assert!(anomalies.iter().any(|line| line.contains(by)) || text.contains(by), "{by} expected:\n{text}");
    assert!(text.contains("repeat with scripts/arena"), "a failing run says how to repeat it:\n{text}");
}

#[test]
fn a_right_node_is_valid_under_faults_and_its_history_checks_again() {
    for workload in ["kafka", "lin-kv"] {
        let history = format!("{workload}.jsonl");
        let args = [
            workload,
            "--nodes",
            "3",
            "--seconds",
            "3",
            "--seed",
            "5",
            "--latency",
            "5",
            "--pipeline",
            "4",
            "--nemesis",
            "partition,one-way,latency,loss,duplicate,reorder,pause,slow,clients",
            "--history",
            &history,
        ];
        let (code, text, folder) = arena(&format!("{workload}-right"), "", &args);
        assert_eq!(code, Some(0), "{text}");
        let verdict = text.lines().filter(|line| line.starts_with("valid:")).count();
        assert_eq!(verdict, 1, "{text}");
        let again = Command::new(env!("CARGO_BIN_EXE_arena"))
            .arg("check")
            .arg(folder.join(history))
            .output()
            .expect("the arena runs");
        assert_eq!(again.status.code(), Some(0));
    }
}

#[test]
fn a_lost_write_is_caught() {
    caught("kafka", "lost-write", "3", "lost-write");
}

#[test]
fn a_message_stored_twice_is_caught() {
    caught("kafka", "double-apply", "3", "duplicate");
}

#[test]
fn a_refused_write_that_takes_effect_is_caught() {
    caught("kafka", "false-refusal", "3", "aborted-read");
}

#[test]
fn a_stale_read_is_caught() {
    caught("lin-kv", "stale-read", "3", "linearizable-register");
}

#[test]
fn a_late_reply_is_caught() {
    caught("kafka", "late-reply", "7", "late-reply");
}

#[test]
fn a_second_reply_is_caught() {
    caught("kafka", "second-reply", "1", "second-reply");
}

#[test]
fn a_line_that_is_no_message_is_caught() {
    caught("lin-kv", "bad-line", "1", "malformed-line");
}

#[test]
fn a_node_that_dies_is_caught() {
    caught("kafka", "die", "5", "died");
}

#[test]
fn a_node_that_stays_at_the_end_of_its_input_is_caught() {
    caught("kafka", "no-exit", "1", "no-exit");
}

#[test]
fn a_node_that_ends_with_an_error_is_caught() {
    caught("kafka", "bad-exit", "1", "exit-status");
}

#[test]
fn a_node_that_falls_silent_is_caught() {
    caught("kafka", "mute", "4", "no-recovery");
}

#[test]
fn wrong_use_is_told_and_ends_with_2() {
    let refused = |args: &[&str], by: &str| {
        let (code, text, _) = arena("wrong-use", "", args);
        assert_eq!(code, Some(2), "{args:?}: {text}");
        assert!(text.contains(by), "{args:?}: {text}");
    };
    refused(&["kafka", "--nemesis", "clock"], "the stage `real` cannot do the nemesis `clock`");
    refused(&["kafka", "--nemesis", "earthquake"], "no nemesis `earthquake`");
    refused(&["kafka", "--nodes", "0"], "--nodes");
    refused(&["kafka", "--schedule", "/nowhere"], "/nowhere");
}
