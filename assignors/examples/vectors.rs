//! Runs the cases of files like `testdata/assignors.json` against the assignors.
//!
//! ```text
//! cargo run -q --release -p assignors --example vectors -- FILE…
//! ```
//!
//! Prints a line for each case that fails, with the reasons, and `N passed, M failed` at the end.
//! Exit code 0 if all passed, 1 if any failed, 2 if called without files or if a file cannot be
//! read.

use std::process::ExitCode;

#[path = "../tests/support/properties.rs"]
mod properties;
#[path = "../tests/support/vectors.rs"]
mod vectors;

fn main() -> ExitCode {
    let files: Vec<_> = std::env::args_os().skip(1).collect();
    let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr().lock());
    // Nobody reads the output: nothing was checked as far as anyone can tell.
    ExitCode::from(vectors::run_files(&files, &mut out, &mut err).unwrap_or(2))
}
