//! `arena check`: judges a history from a file.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use super::output::say;
use super::{Trouble, write_report};
use crate::history::History;
use crate::run::case::judged;

pub(super) fn check(file: &Path, report: Option<&Path>) -> Result<u8, Trouble> {
    let input =
        File::open(file).map_err(|source| Trouble::File { path: file.to_owned(), source })?;
    let history = History::read(BufReader::new(input))?;
    let judgement = judged(&history);
    if let Some(path) = report {
        write_report(path, &history, &judgement)?;
    }
    say!("{judgement}");
    Ok(judgement.exit_code())
}
