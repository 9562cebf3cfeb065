//! The file that says how an application is started, as TOML.
//!
//! Owns its form. Starts nothing.
//!
//! ```toml
//! name = "mine"
//! strategies = ["range", "cooperative-sticky"]
//! start = ["my-app", "{bootstrap}", "{group}", "{topic}", "{name}", "{strategy}", "{session_ms}"]
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::targets::brokers::cluster::{BadFile, read_file};

/// A program that reads a topic as a member of a group, and says what it sees.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppFile {
    /// What it is called in reports.
    pub name: String,
    /// The command of one instance. It stays in the foreground, leaves its group and ends when it
    /// is told to (SIGTERM). In braces may stand `bootstrap` (host and port, with commas), `group`,
    /// `topic`, `name` (of the instance, which is its client id too), `strategy`, `session_ms`,
    /// `rebalance_ms`, `here` (the folder of the file) and `arena` (the program).
    pub start: Vec<String>,
    /// Is run once before everything else, to install what is missing.
    #[serde(default)]
    pub prepare: Vec<String>,
    /// Variables of the environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The assignors that it knows. A run draws one, for all its instances.
    #[serde(default = "range")]
    pub strategies: Vec<String>,
    /// The session time-out that it is told.
    #[serde(default = "session_ms")]
    pub session_ms: u64,
    /// How long it may take to come into a rebalance.
    #[serde(default = "rebalance_ms")]
    pub rebalance_ms: u64,
}

fn range() -> Vec<String> {
    vec!["range".to_owned()]
}

fn session_ms() -> u64 {
    6_000
}

fn rebalance_ms() -> u64 {
    20_000
}

impl AppFile {
    /// Reads a file.
    ///
    /// # Errors
    /// Where it cannot be read, or says what such a file does not.
    pub fn read(path: &Path) -> Result<Self, BadFile> {
        read_file(path, Self::parse)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// What is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        let empty = [("start", file.start.is_empty()), ("strategies", file.strategies.is_empty())];
        match empty.iter().find(|(_, empty)| *empty) {
            Some((field, _)) => Err(format!("`{field}` is empty")),
            None => Ok(file),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_how_to_start_an_instance() {
        let file = AppFile::parse("name = \"x\"\nstart = [\"x\", \"{group}\"]").expect("good");
        assert_eq!((file.session_ms, file.strategies.as_slice()), (6_000, &["range".into()][..]));
        for (text, expected) in [
            ("name = \"x\"", "missing field"),
            ("name = \"x\"\nstart = []", "`start` is empty"),
            ("name = \"x\"\nstart = [\"x\"]\nstrategies = []", "`strategies` is empty"),
            ("name = \"x\"\nstart = [\"x\"]\nport = 1", "unknown field"),
        ] {
            let problem = AppFile::parse(text).expect_err("not of the form");
            assert!(problem.contains(expected), "{text}: {problem}");
        }
    }
}
