//! Runs the cases of files like `testdata/assignors.json` against the assignors.
//!
//! ```text
//! cargo run -q --release -p assignors --example vectors -- FILE…
//! ```
//!
//! Prints a line for each case that fails, with the reasons, and `N passed, M failed` at the end. Exit code 0 if all
//! passed, 1 if any failed, 2 if called without files or if a file cannot be read.

use std::io::Write;
use std::process::ExitCode;

#[path = "../tests/support/properties.rs"]
mod properties;
#[path = "../tests/support/vectors.rs"]
mod vectors;

fn main() -> ExitCode {
    let files: Vec<_> = std::env::args_os().skip(1).collect();
    let mut out = std::io::stdout().lock();
    let mut err = std::io::stderr().lock();
    if files.is_empty() {
        _ = writeln!(
            err,
            "usage: vectors FILE…   (JSON files of the form of assignors/testdata/assignors.json)"
        );
        return ExitCode::from(2);
    }
    let (mut passed, mut failed) = (0, 0);
    for file in &files {
        let text = std::fs::read_to_string(file).map_err(|error| error.to_string());
        let cases = match text.and_then(|text| vectors::parse(&text)) {
            Ok(cases) => cases,
            Err(error) => {
                _ = writeln!(err, "{}: {error}", file.display());
                return ExitCode::from(2);
            }
        };
        for case in &cases {
            match vectors::run(case) {
                Ok(()) => passed += 1,
                Err(reason) => {
                    failed += 1;
                    _ = writeln!(out, "{} {}: {reason}", case.id, case.assignor);
                }
            }
        }
    }
    _ = writeln!(out, "{passed} passed, {failed} failed");
    ExitCode::from(u8::from(failed > 0))
}
