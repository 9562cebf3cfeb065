//! The workload `apps`: instances of an application under faults are judged valid, and one that
//! does wrong on purpose is found. The application is the arena's own, so that no client library
//! is needed; `docs/arena.md` says what real ones showed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

#[path = "support/cohort.rs"]
mod cohort_binary;

fn of_scripts(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts").join(path);
    path.canonicalize().expect("the file is there").display().to_string()
}

/// A folder of a test's own, where its runs leave their files.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("apps-{name}"));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Runs the workload with these words more. The binary `cohort` is beside the arena.
fn apps(name: &str, words: &[&str]) -> (Option<i32>, String) {
    cohort_binary::binary();
    let mut arena = Command::new(env!("CARGO_BIN_EXE_arena"));
    arena.args(["apps", "--stage", "wire"]).args(words).current_dir(folder(name));
    let Output { status, stdout, stderr } =
        arena.stdin(Stdio::null()).output().expect("the arena runs");
    let (out, err) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    (status.code(), format!("{out}\n{err}"))
}

fn run(name: &str, cluster: &str, nemeses: &str, more: &[&str]) -> (Option<i32>, String) {
    let (cluster, app) = (of_scripts(cluster), of_scripts("apps/arena.toml"));
    let mut words = vec!["--cluster", &cluster, "--app", &app, "--nemesis", nemeses];
    words.extend(more);
    apps(name, &words)
}

#[test]
fn an_application_that_is_killed_stopped_and_cut_off_is_valid() {
    let nemeses = "restart,pause,partition,reset,latency";
    let more = ["--seconds", "8", "--seed", "1"];
    let (code, text) = run("valid", "brokers/cohort-3.toml", nemeses, &more);
    assert_eq!(code, Some(0), "{text}");
    for judged in ["readers-overlap", "read-unowned", "read-skips", "commit-unread"] {
        assert!(text.contains(&format!("valid       {judged} ")), "{judged} in\n{text}");
    }
    // The wire was recorded, and judged by the checkers of groups.
    for judged in ["overlapping-ownership", "fenced-commit", "committed-past", "unseen"] {
        assert!(text.contains(&format!("valid       {judged} ")), "{judged} in\n{text}");
    }
    assert!(text.contains("is killed") && text.contains("is stopped for"), "{text}");
}

/// What an application does wrong on purpose, and which of these predicates says so.
fn found(fault: &str, predicates: &[&str]) {
    let more = ["--seconds", "5", "--seed", "1", "--", "--fault", fault];
    let (code, text) = run(fault, "brokers/cohort.toml", "none", &more);
    assert_eq!(code, Some(1), "{text}");
    for predicate in predicates {
        assert!(text.contains(&format!("ANOMALY     {predicate} ")), "{predicate} in\n{text}");
    }
    // Nothing is laid at the broker's door.
    assert!(text.contains("valid       overlapping-ownership "), "{text}");
    assert!(text.contains(&format!("-- --fault {fault}")), "it says how to repeat it: {text}");
}

#[test]
fn commits_of_what_was_not_read_are_found() {
    found("commit-ahead", &["commit-unread"]);
}

#[test]
fn reads_of_what_was_taken_away_are_found() {
    found("read-on", &["read-unowned"]);
}

#[test]
fn a_record_that_is_passed_over_is_found() {
    found("skip", &["read-skips", "committed-past"]);
}

#[test]
fn a_revocation_that_nobody_is_told_is_found() {
    found("silent-revoke", &["readers-overlap"]);
}

#[test]
fn what_is_wrong_with_a_command_is_said() {
    let (cluster, app) = (of_scripts("brokers/cohort.toml"), of_scripts("apps/arena.toml"));
    let folder = folder("refused");
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let strange = file("strange.toml", "name = \"x\"\nstart = [\"{strange}\"]");
    let silent = file("silent.toml", "name = \"x\"\nstart = [\"sh\", \"-c\", \"echo hello\"]");
    let unready = file("unready.toml", "name = \"x\"\nprepare = [\"false\"]\nstart = [\"x\"]");
    for (mut words, expected) in [
        (vec!["--cluster", &cluster], "`apps` needs --app FILE"),
        (vec!["--cluster", &cluster, "--app", "none.toml"], "none.toml"),
        (vec!["--cluster", &cluster, "--app", &strange], "{strange}"),
        (vec!["--cluster", &cluster, "--app", &silent], "says what is no event (expected value"),
        (vec!["--cluster", &cluster, "--app", &unready], "`false`: exit status: 1"),
        (vec!["--app", &app], "--kafka HOST:PORT, or --cluster FILE"),
    ] {
        words.extend(["--nemesis", "none", "--seconds", "1"]);
        let (code, text) = apps("refused", &words);
        assert_eq!(code, Some(2), "{text}");
        assert!(text.contains(expected), "expected {expected} in\n{text}");
    }
}

#[test]
fn an_application_that_ends_by_itself_is_an_anomaly() {
    let path = folder("ends").join("ends.toml");
    std::fs::write(&path, "name = \"x\"\nstart = [\"false\"]").expect("a file");
    let (cluster, app) = (of_scripts("brokers/cohort.toml"), path.display().to_string());
    let words = ["--cluster", &cluster, "--app", &app, "--seconds", "1", "--nemesis", "none"];
    let (code, text) = apps("ends", &words);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("app1 ended by itself: exit status: 1"), "{text}");
}
