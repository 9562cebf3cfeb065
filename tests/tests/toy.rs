//! The harness proved on real processes of a toy: a right one is found valid under faults, and each
//! planted fault is caught.

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

/// Runs with a planted fault; what is wrong with the outcome, if the fault is not found under its
/// name.
fn missed(plant: &str, by: &str, args: &[&str]) -> Option<String> {
    let all = [args, &["--nodes", "3", "--seed", "11"]].concat();
    let (code, text, _) = arena(&format!("{}-{plant}-{by}", args[0]), plant, &all);
    let repeats = text.contains("repeat with scripts/arena");
    let found = text.lines().any(|line| line.starts_with("ANOMALY") && line.contains(by))
        || text.lines().any(|line| line.contains(&format!(" {by} by n")));
    (code != Some(1) || !repeats || !found).then(|| {
        format!("{plant}: found as `{by}`: {found}, tells how to repeat: {repeats}, status {code:?}\n{text}")
    })
}

#[test]
fn each_planted_fault_is_caught() {
    let kafka = |seconds| vec!["kafka", "--nemesis", "none", "--seconds", seconds];
    let lin_kv = |seconds| vec!["lin-kv", "--nemesis", "none", "--seconds", seconds];
    let cases = [
        ("lost-write", "lost-write", kafka("3")),
        ("double-apply", "duplicate", kafka("3")),
        ("false-refusal", "aborted-read", kafka("3")),
        ("stale-read", "linearizable-register", lin_kv("3")),
        ("late-reply", "late-reply", kafka("7")),
        ("second-reply", "second-reply", kafka("1")),
        ("bad-line", "malformed-line", lin_kv("1")),
        ("die", "died", kafka("5")),
        ("no-exit", "no-exit", kafka("1")),
        ("bad-exit", "exit-status", lin_kv("1")),
        ("mute", "no-recovery", kafka("4")),
        // Nothing planted: the toy itself does not keep the order of what it passes on.
        ("", "order", vec!["kafka", "--nemesis", "reorder", "--seconds", "3", "--pipeline", "4"]),
    ];
    // Mostly they wait; together they take no longer than the longest.
    let missed: Vec<String> = std::thread::scope(|scope| {
        let runs: Vec<_> = cases
            .iter()
            .map(|(plant, by, args)| scope.spawn(move || missed(plant, by, args)))
            .collect();
        runs.into_iter().filter_map(|run| run.join().expect("the run does not panic")).collect()
    });
    assert!(missed.is_empty(), "{}", missed.join("\n\n"));
}

#[test]
fn a_right_node_is_valid_under_faults_and_its_history_checks_again() {
    let nemeses = "partition,one-way,latency,loss,duplicate,reorder,pause,slow,clients";
    for (workload, pipeline) in [("kafka", "1"), ("lin-kv", "4")] {
        let history = format!("{workload}.jsonl");
        let args = [workload, "--nodes", "3", "--seconds", "3", "--seed", "5", "--latency", "5"];
        // The order of registers' replies is not kept by the toy either; without `reorder` the
        // network keeps it.
        let nemeses = if pipeline == "1" { nemeses } else { "partition,pause,slow,clients" };
        let more = ["--pipeline", pipeline, "--nemesis", nemeses, "--history", &history];
        let (code, text, folder) =
            arena(&format!("{workload}-right"), "", &[&args[..], &more].concat());
        assert_eq!(code, Some(0), "{text}");
        assert_eq!(text.lines().filter(|line| line.starts_with("valid:")).count(), 1, "{text}");
        let again = Command::new(env!("CARGO_BIN_EXE_arena"))
            .arg("check")
            .arg(folder.join(history))
            .output()
            .expect("the arena runs");
        assert_eq!(again.status.code(), Some(0));
    }
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
