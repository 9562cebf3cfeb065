//! `arena load`, and what `scripts/bench` runs.

use std::process::ExitCode;

use super::{Trouble, beside, program};
use crate::load::{bench, figures};

pub(super) fn load(args: &figures::Args) -> Result<u8, Trouble> {
    let cohort = program(args.bin.as_ref())?;
    let floor = match &args.floor {
        Some(path) => Some(program(Some(path))?),
        None => beside("examples/floor"),
    };
    if floor.is_none() {
        tell("no `examples/floor` beside this program: measuring without it");
    }
    let figures = figures::measure(args, &cohort, floor.as_deref(), &tell)
        .map_err(|source| Trouble::File { path: "/proc".into(), source })?;
    println!("{figures}");
    Ok(u8::from(figures.failed()))
}

pub(super) fn compare(args: &bench::Args) -> ExitCode {
    match bench::measure(args, &tell) {
        Ok(table) => {
            print!("{table}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("scripts/bench: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// A progress line.
fn tell(text: &str) {
    eprintln!("{text}");
}
