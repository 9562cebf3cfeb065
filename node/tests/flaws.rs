//! Planted bugs are absent from every build that does not ask for them.
//!
//! The feature `flaws` compiles them in, and package `arena` alone switches it on. Cargo unites the
//! features of all packages that it builds at once, so `cargo test --workspace` tests a node that
//! has them compiled in, and `cargo test -p cohort` one that has not. `scripts/check` looks at a
//! release.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a build with planted bugs adds to its version.
const MARK: &str = "planted bugs";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the node is a folder of the repository")
        .into()
}

/// All files below a folder whose names end so, as path and text.
fn files(folder: &Path, end: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of the repository can be read") {
        let path = entry.expect("an entry of a folder").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && !["target", ".git", "arena-out", "store"].contains(&name) {
            found.extend(files(&path, end));
        } else if name.ends_with(end) {
            let text = fs::read_to_string(&path).expect("a source can be read");
            found.push((path, text));
        }
    }
    found
}

/// What is wrong with the code of one file.
fn wrong(path: &Path, text: &str) -> Vec<String> {
    let code: Vec<&str> =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join("\n");
    let mut wrong = Vec::new();
    for word in ["Flaw", "planted"] {
        if code.contains(word) {
            wrong.push(format!("{}: names `{word}`", path.display()));
        }
    }
    let hooks = code.matches("flaws::").count();
    if hooks > 1 {
        wrong.push(format!("{}: {hooks} hooks", path.display()));
    }
    if code.contains("feature = \"flaws\"") && !path.ends_with("raft-store/src/lib.rs") {
        wrong.push(format!("{}: asks for the feature", path.display()));
    }
    wrong
}

#[test]
fn a_build_says_whether_it_can_have_planted_bugs() {
    let output = Command::new(env!("CARGO_BIN_EXE_cohort")).arg("--version").output();
    let output = output.expect("the binary under test starts");
    let version = String::from_utf8(output.stdout).expect("text");
    assert_eq!(version.contains(MARK), cfg!(feature = "flaws"), "{version}");
    let expected = concat!("cohort ", env!("CARGO_PKG_VERSION"));
    assert!(version.starts_with(expected), "{version}");
}

#[test]
fn no_command_line_asks_a_node_for_a_planted_bug() {
    let output = Command::new(env!("CARGO_BIN_EXE_cohort")).args(["--flaw", "stale-read"]).output();
    let output = output.expect("the binary under test starts");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn planted_bugs_stand_in_files_of_their_own() {
    for bad in [
        "if has(Flaw::StaleRead) {",
        "planted::f()",
        "flaws::a(); flaws::b()",
        "#[cfg(feature = \"flaws\")]",
    ] {
        assert!(!wrong(Path::new("x.rs"), bad).is_empty(), "{bad}");
    }
    let mut production = Vec::new();
    for folder in ["assignors/src", "raft-store", "node/src"] {
        production.extend(files(&root().join(folder), ".rs"));
    }
    production.retain(|(path, _)| {
        let planted = [
            "src/flaws.rs",
            "src/flaws/planted.rs",
            "src/flaws/planted_files.rs",
            "src/flaws/planted_offsets.rs",
            "src/flaws/planted_records.rs",
        ];
        !planted.iter().any(|file| path.ends_with(file))
    });
    assert!(production.len() > 50, "the sources were found");
    let found: Vec<String> = production.iter().flat_map(|(path, text)| wrong(path, text)).collect();
    assert!(
        found.is_empty(),
        "at most one hook a file, and nothing else:\n  {}",
        found.join("\n  ")
    );
}

#[test]
fn the_arena_alone_switches_planted_bugs_on() {
    let on: Vec<PathBuf> = files(&root(), "Cargo.toml")
        .into_iter()
        .filter(|(_, text)| text.contains("features = [\"flaws\"]") || text.contains("default = "))
        .map(|(path, _)| path.strip_prefix(root()).expect("below the root").into())
        .collect();
    assert_eq!(on, [PathBuf::from("tests/Cargo.toml")]);
}
