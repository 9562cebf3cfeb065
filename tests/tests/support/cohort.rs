//! The `cohort` binary beside the tests: built where it is not there or is older than its source.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

/// What the program is made of.
const SOURCES: [&str; 6] = [
    "node/src",
    "raft-store/src",
    "raft-store/runtime/src",
    "raft-store/state-machine/src",
    "assignors/src",
    "wire/src",
];

/// The program of this very source, built with the profile of the tests' own programs.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let arena = Path::new(env!("CARGO_BIN_EXE_arena"));
        let cohort = arena.with_file_name("cohort");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        // Not the tests beside them: cargo does not build the program anew for those, and what is
        // built here lacks the planted bugs that the workspace's own build has.
        let newest = SOURCES.map(|folder| newest(&root.join(folder)));
        let built = cohort.metadata().and_then(|metadata| metadata.modified()).ok();
        if built < newest.into_iter().max().flatten() {
            build(arena);
        }
        assert!(cohort.exists(), "{} was not built", cohort.display());
        cohort
    })
}

/// When the newest Rust file in a folder was changed.
fn newest(folder: &Path) -> Option<SystemTime> {
    let entries = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    let changed = |path: PathBuf| match path.extension() {
        Some(extension) if extension == "rs" => path.metadata().and_then(|m| m.modified()).ok(),
        _ if path.is_dir() => newest(&path),
        _ => None,
    };
    entries.filter_map(changed).max()
}

fn build(arena: &Path) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--package", "cohort", "--bin", "cohort"]);
    build.arg("--manifest-path").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"));
    let folder = arena.parent().unwrap_or(arena);
    let release = folder.file_name().is_some_and(|name| name == "release");
    build.args(["--profile", if release { "release" } else { "test" }]);
    if let Some(target) = folder.parent() {
        build.arg("--target-dir").arg(target);
    }
    let status = build.status().unwrap_or_else(|e| panic!("cannot run {build:?}: {e}"));
    assert!(status.success(), "{build:?} failed");
}
