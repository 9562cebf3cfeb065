//! White-box traces of the service: `traces/*.trace`, each a story that somebody who knows Raft can
//! read and judge.
//!
//! A trace has three services (or one), no listeners, and a network whose messages it can hold,
//! lose and deliver. What a line may say is in [`script`]. `UPDATE_TRACES=1 cargo test -p cohort
//! --test service` writes the output anew. Read every line of the difference before committing it.

mod cluster;
mod network;
mod panics;
mod script;
#[path = "../../../raft-store/state-machine/tests/support/show.rs"]
#[allow(
    dead_code,
    reason = "the words of the state machine's traces, of which a service says a part"
)]
mod show;
mod snapshots;
#[path = "../../../raft-store/state-machine/tests/support/words/mod.rs"]
#[allow(
    dead_code,
    reason = "the words of the state machine's traces, of which a service hears a part"
)]
mod words;

use std::path::PathBuf;
use std::{env, fs};

#[test]
fn every_trace_is_as_it_was_judged() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("traces");
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("traces/")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    assert!(files.len() >= 20, "the traces were found");
    let update = env::var_os("UPDATE_TRACES").is_some();
    let mut different = Vec::new();
    for file in files {
        let name = file.file_name().expect("a file").to_string_lossy().into_owned();
        let before = fs::read_to_string(&file).expect("a trace");
        assert!(
            before.starts_with("# "),
            "{name} begins with the sentence that says why it exists"
        );
        let after = script::run(&before);
        if update {
            fs::write(&file, after).expect("the trace is written");
        } else if before != after {
            let line = before.lines().zip(after.lines()).position(|(a, b)| a != b).unwrap_or(0);
            let now = after.lines().nth(line).unwrap_or("(the end)");
            different.push(format!("{name}, line {}: is now\n{now}", line + 1));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn a_trace_repeats_itself() {
    let trace = "cluster nodes=3\nn2 c1 write k 1\nrun 2s\n";
    assert_eq!(script::run(trace), script::run(trace));
}
