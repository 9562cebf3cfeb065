//! The command line of `arena load`: every operation is answered right, and what cannot be is told.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

#[path = "support/cohort.rs"]
mod cohort_binary;

fn load(arguments: &[&str], program: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_arena"));
    command.arg("load").args(arguments).arg("--bin").arg(program);
    command.output().expect("the arena runs")
}

#[test]
fn a_node_answers_every_operation_right_under_a_quick_load() {
    let output = load(&["--quick", "--nodes", "1"], cohort_binary::binary());
    let (table, told) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{table}{told}");
    let rows = |of: &str| {
        let mut lines = table.lines().skip_while(|line| !line.starts_with(of)).skip(2);
        let rows: Vec<&str> = lines.by_ref().take_while(|line| line.starts_with('|')).collect();
        rows
    };
    assert_eq!((rows("| throughput").len(), rows("| latency").len()), (14, 14), "{table}");
    assert!(rows("| throughput").iter().all(|row| row.contains(" | 1 | ")), "{table}");
    assert!(
        !table.contains("failed")
            && table.trim_end().lines().last().is_some_and(|line| line.contains("60 clients"))
    );
}

#[test]
fn a_program_that_is_no_node_fails_and_says_so() {
    // It ends at once.
    let output = load(&["--quick", "--nodes", "1", "--only", "cas"], Path::new("/bin/true"));
    let (table, told) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{table}{told}");
    assert!(told.contains("cas, 1 node: FAILED: 1 of 1 nodes ended"), "{told}");
    assert!(table.contains("| `cas` | 1 | failed |"), "{table}");
}

#[test]
fn one_wrong_reply_fails_the_figure() {
    let liar = Path::new(env!("CARGO_TARGET_TMPDIR")).join("liar");
    let cohort = cohort_binary::binary().display();
    // The register holds what was never written.
    let script = format!("#!/bin/sh\n'{cohort}' | sed -u 's/\"value\":1,/\"value\":2,/'\n");
    std::fs::write(&liar, script).expect("a script can be written");
    std::fs::set_permissions(&liar, PermissionsExt::from_mode(0o755))
        .expect("a script can be executed");
    let output = load(&["--quick", "--nodes", "1", "--only", "read,write"], &liar);
    let (table, told) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{table}{told}");
    assert!(told.contains("read, 1 node: FAILED: 0 requests were refused, "), "{told}");
    assert!(
        told.contains("\"value\":2,") && table.contains("| `read` | 1 | failed |"),
        "{table}{told}"
    );
    assert!(
        !table.contains("| `write` | 1 | failed |"),
        "the others are taken all the same: {table}"
    );
}

#[test]
fn wrong_use_is_refused_before_anything_runs() {
    for wrong in
        [["--nodes", "0"], ["--only", "nothing"], ["--seconds", "-1"], ["--floor", "/no/such/file"]]
    {
        let output = load(&wrong, Path::new("/bin/true"));
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {output:?}");
        assert!(!String::from_utf8_lossy(&output.stderr).contains("FAILED"), "{wrong:?}");
    }
}

#[test]
fn regression_replies_are_never_late_under_mass_joins() {
    // Cheap joins, and such as make the node compute everything for each of them.
    let joins = |only: &str, members: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_arena"));
        command.args(["joins", "--nodes", "1,3", "--only", only, "--members", members]);
        command.arg("--bin").arg(cohort_binary::binary()).output().expect("the arena runs")
    };
    for (only, members) in [("cooperative,holds-nothing", "3000"), ("different", "3000")] {
        let output = joins(only, members);
        let (table, told) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{table}{told}");
        let all = table.lines().filter(|row| row.contains(" | 3000, 0, 0 | "));
        assert!(only == "different" || all.count() == 4, "everyone is in:\n{table}{told}");
    }
}
