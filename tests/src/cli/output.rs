//! What the commands print: verdicts and figures on standard output, progress on standard error.
//!
//! Owns what happens where that fails. A verdict that nobody can read is no verdict: the command
//! ends with exit code 2 and says why. Progress that nobody can read is not missed.

use std::fmt;
use std::io::Write;

/// Prints a line on standard output.
macro_rules! say {
    ($($arg:tt)*) => { $crate::cli::output::print(format_args!($($arg)*), "\n") };
}

/// Prints on standard output without ending the line.
macro_rules! say_on {
    ($($arg:tt)*) => { $crate::cli::output::print(format_args!($($arg)*), "") };
}

/// Prints a line on standard error.
macro_rules! complain {
    ($($arg:tt)*) => { $crate::cli::output::progress(format_args!($($arg)*)) };
}

pub(super) use {complain, say, say_on};

/// Prints, or ends the process where nobody can read it.
pub(super) fn print(text: fmt::Arguments<'_>, end: &str) {
    let mut stdout = std::io::stdout().lock();
    if let Err(error) = write!(stdout, "{text}{end}").and_then(|()| stdout.flush()) {
        progress(format_args!("arena: cannot write to standard output: {error}"));
        // Nodes that still run are ended by the run's guard.
        std::process::exit(2);
    }
}

pub(super) fn progress(text: fmt::Arguments<'_>) {
    // There is nobody left to tell.
    let _unread = writeln!(std::io::stderr().lock(), "{text}");
}
