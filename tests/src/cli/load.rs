//! `arena load`, and what `scripts/bench` runs.

use std::error::Error;
use std::process::ExitCode;

use super::output::{complain, say, say_on};
use super::{Trouble, beside, program};
use crate::load::{bench, durable, figures, joins};

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
    say!("{figures}");
    Ok(u8::from(figures.failed()))
}

pub(super) fn join(args: &joins::Args) -> Result<u8, Trouble> {
    let cohort = program(args.bin.as_ref())?;
    let (table, well) = joins::measure(args, &cohort, &tell);
    say_on!("{table}");
    Ok(u8::from(!well))
}

pub(super) fn compare(args: &bench::Args) -> ExitCode {
    compared(bench::measure(args, &tell))
}

pub(super) fn compare_durable(args: &durable::Args) -> ExitCode {
    compared(durable::measure(args, &tell))
}

fn compared(measured: Result<String, Box<dyn Error>>) -> ExitCode {
    match measured {
        Ok(table) => {
            say_on!("{table}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            complain!("scripts/bench: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// A progress line.
fn tell(text: &str) {
    complain!("{text}");
}
