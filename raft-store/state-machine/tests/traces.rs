//! The golden traces: `traces/*.trace`, each a story that someone who knows Kafka can read and
//! judge.
//!
//! `UPDATE_TRACES=1 cargo test -p state-machine --test traces` writes the output anew. Read every
//! line of the difference before committing it.

mod support;

use std::path::PathBuf;
use std::{env, fs};

use support::script::World;

#[test]
fn every_trace_is_as_it_was_judged() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("traces");
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("traces/")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    assert!(files.len() > 10, "the traces were found");
    let update = env::var_os("UPDATE_TRACES").is_some();
    let mut different = Vec::new();
    for file in files {
        let name = file.file_name().expect("a file").to_string_lossy().into_owned();
        let before = fs::read_to_string(&file).expect("a trace");
        assert!(
            before.starts_with("# "),
            "{name} begins with the sentence that says why it exists"
        );
        let after = World::run(&before);
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
