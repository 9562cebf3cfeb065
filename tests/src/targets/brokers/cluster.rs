//! The file that says how a cluster of brokers is started, as TOML.
//!
//! Owns its form and what may stand in braces. Starts nothing.
//!
//! ```toml
//! name = "cohort"
//! nodes = 3
//! faults = ["restart", "pause", "partition", "clients", "reset"]
//! start = ["{cohort}", "serve", "--node-id", "{n}", "--kafka", "{kafka}", "--data-dir", "{data}"]
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::nemesis::Nemesis;

/// A cluster that the arena starts itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterFile {
    /// What it is called in reports.
    pub name: String,
    /// How many nodes.
    #[serde(default = "one")]
    pub nodes: usize,
    /// The nemeses that it can be asked to stand.
    pub faults: Vec<String>,
    /// The command of a node. It stays in the foreground, and ends when it is told to (SIGTERM).
    /// What may stand in braces: see [`Places`].
    pub start: Vec<String>,
    /// Is run once for each node before its first start, if there is one.
    #[serde(default)]
    pub prepare: Vec<String>,
    /// Variables of the environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// So many seconds after its start a node has to serve.
    #[serde(default = "start_seconds")]
    pub start_seconds: u32,
    /// So many seconds after the end of all faults every node has to serve again.
    #[serde(default = "recover_seconds")]
    pub recover_seconds: u32,
    /// How many copies of a topic there are; -1: as many as the broker likes.
    #[serde(default = "as_it_likes")]
    pub replicas: i16,
    /// The session of members of KIP-848, as `start` sets it: these members do not choose it.
    #[serde(default)]
    pub consumer_session_ms: Option<u64>,
    /// Whether a read tells all that was acknowledged before it, whoever leads. Kafka does not
    /// promise that: the high watermark of a new leader may be old for a while.
    #[serde(default)]
    pub linearizable: bool,
    /// Workloads that it does not serve.
    #[serde(default)]
    pub lacks: Vec<String>,
}

fn one() -> usize {
    1
}

fn start_seconds() -> u32 {
    15
}

fn recover_seconds() -> u32 {
    10
}

fn as_it_likes() -> i16 {
    -1
}

/// Why a file of settings is not one.
#[derive(Debug, thiserror::Error)]
pub enum BadFile {
    /// It cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is not of the form.
    #[error("{path}: {problem}")]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

/// Reads a file as what `parse` makes of its text.
///
/// # Errors
/// Where it cannot be read, or `parse` says what is wrong.
pub fn read_file<T>(path: &Path, parse: fn(&str) -> Result<T, String>) -> Result<T, BadFile> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| BadFile::Unreadable { path: path.to_owned(), source })?;
    parse(&text).map_err(|problem| BadFile::Form { path: path.to_owned(), problem })
}

impl ClusterFile {
    /// Reads a file.
    ///
    /// # Errors
    /// Where it cannot be read, or says what a cluster file does not.
    pub fn read(path: &Path) -> Result<Self, BadFile> {
        read_file(path, Self::parse)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// What is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        if !(1..=25).contains(&file.nodes) {
            return Err(format!("`nodes` is {}, expected 1 to 25", file.nodes));
        }
        if file.start.is_empty() {
            return Err("`start` is empty, expected a command".to_owned());
        }
        if let Some(name) = file.faults.iter().find(|name| Nemesis::named(name).is_none()) {
            let known: Vec<&str> = Nemesis::ALL.iter().map(|nemesis| nemesis.name()).collect();
            return Err(format!("`faults` has `{name}`, expected some of {}", known.join(", ")));
        }
        Ok(file)
    }

    /// Whether the cluster can be asked to stand this.
    #[must_use]
    pub fn can(&self, nemesis: Nemesis) -> bool {
        self.faults.iter().any(|name| name == nemesis.name())
    }
}

/// What stands for the braces in the commands of a node.
///
/// | in braces | |
/// | --- | --- |
/// | `n` | its number, from 1 |
/// | `kafka`, `kafka.port` | where it listens for clients: host and port, or the port |
/// | `peers`, `peers.port` | where it listens for its peers |
/// | `peer.1`, `peer.2`, … | where it reaches another node: a proxy of the arena, which can fail |
/// | `own.1`, `own.2`, … | where another node listens for its peers, without a proxy |
/// | `data` | a folder of its own |
/// | `here` | the folder of the cluster file |
/// | `cohort`, `arena` | the programs |
#[derive(Debug, Clone, Default)]
pub struct Places(BTreeMap<String, String>);

impl Places {
    /// Says what stands for a name.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }

    /// A text with all braces filled in.
    ///
    /// # Errors
    /// Where a name in braces is not known.
    pub fn fill(&self, text: &str) -> Result<String, String> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) =
                after.split_once('}').ok_or_else(|| format!("`{text}` has no end of its brace"))?;
            let value = self.0.get(name).ok_or_else(|| {
                let known: Vec<&str> = self.0.keys().map(String::as_str).collect();
                format!("`{text}` has `{{{name}}}`, expected one of {}", known.join(", "))
            })?;
            filled.push_str(before);
            filled.push_str(value);
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_how_to_start_a_node() {
        let text =
            "name = \"x\"\nfaults = [\"pause\"]\nstart = [\"x\", \"--port\", \"{kafka.port}\"]";
        let file = ClusterFile::parse(text).expect("good");
        assert_eq!((file.nodes, file.recover_seconds, file.replicas), (1, 10, -1));
        assert!(file.can(Nemesis::Pause) && !file.can(Nemesis::Restart));
        let mut places = Places::default();
        places.set("kafka.port", "9092");
        assert_eq!(places.fill(&file.start[2]).as_deref(), Ok("9092"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, expected) in [
            ("name = \"x\"", "missing field"),
            ("name = \"x\"\nfaults = []\nstart = []", "`start` is empty"),
            ("name = \"x\"\nfaults = [\"rain\"]\nstart = [\"x\"]", "`rain`"),
            ("name = \"x\"\nfaults = []\nstart = [\"x\"]\nnodes = 0", "`nodes` is 0"),
            ("name = \"x\"\nfaults = []\nstart = [\"x\"]\nport = 1", "unknown field"),
        ] {
            let problem = ClusterFile::parse(text).expect_err("not of the form");
            assert!(problem.contains(expected), "{text}: {problem}");
        }
        let problem = Places::default().fill("{data}").expect_err("nothing is known");
        assert!(problem.contains("{data}"), "{problem}");
    }
}
