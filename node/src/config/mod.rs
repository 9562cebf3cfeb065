//! The configuration of a node: the command line (`args`), checked, and what of it is Raft's
//! (`raft`). Nothing else reads arguments.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use state_machine::command::{GroupLimits, LogLimits};
use state_machine::topics::command::Retention;

mod args;
pub mod dev;
pub(crate) mod raft;
pub mod serve;

use args::{Args, Command};

/// Bounds of a time-out that members choose, in ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The least.
    pub min: u32,
    /// The greatest.
    pub max: u32,
}

/// A data folder that is to be looked into, instead of running a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspect {
    /// The folder.
    pub dir: PathBuf,
    /// Whether each group of the write-ahead log gets a line.
    pub groups: bool,
}

/// The configuration of a node.
#[derive(Debug, Clone)]
pub struct Config {
    /// What is asked for instead of a node, if anything is.
    pub inspect: Option<Inspect>,
    /// What to log, if it was said on the command line.
    pub log: Option<String>,
    /// Where everything is kept. `None`: in memory.
    pub data_dir: Option<PathBuf>,
    /// Whether the folder may stand somewhere else than before.
    pub moved: bool,
    /// No records are taken from this node's clients when its disk has fewer bytes left.
    pub free_floor: u64,
    /// A request is answered at the latest this long after it came in.
    pub request_timeout: Duration,
    /// Between heartbeats of the Raft leader, at a pace of 1.
    pub heartbeat: Duration,
    /// Least time without a leader before an election.
    pub election_min: Duration,
    /// Most time without a leader before an election.
    pub election_max: Duration,
    /// So long the leader waits for a follower to acknowledge entries, at a pace of 1.
    pub append_timeout: Duration,
    /// So long the leader waits for a follower to acknowledge a chunk of a snapshot, at a pace of
    /// 1.
    pub snapshot_timeout: Duration,
    /// So long a follower waits for the leader to answer a forward, at a pace of 1.
    pub forward_timeout: Duration,
    /// So long after `init` a node is silent towards peers, unless somebody speaks to it.
    pub quiet: Duration,
    /// Partitions of a topic that `send` makes.
    pub default_partitions: u32,
    /// Bounds of session time-outs.
    pub session_timeout: Bounds,
    /// Bounds of rebalance time-outs.
    pub rebalance_timeout: Bounds,
    /// Limits of groups.
    pub group_limits: GroupLimits,
    /// Limits of logs.
    pub log_limits: LogLimits,
    /// What is kept of records.
    pub retention: Retention,
    /// Between checks of the age and the size of records.
    pub retention_check: Duration,
    /// So long the offsets of a group without members are kept.
    pub offsets_retention: Duration,
    /// Between checks of the age of offsets.
    pub offsets_retention_check: Duration,
    /// A snapshot is taken after so many entries.
    pub snapshot_entries: u64,
    /// A snapshot is taken when the log has so many bytes.
    pub snapshot_bytes: usize,
    /// The longest line of input, in bytes.
    pub max_line: usize,
    /// The most that requests in flight may take, in bytes.
    pub max_open: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self::parse_from(["cohort"]).expect("the defaults are valid")
    }
}

fn ms(ms: u32) -> Duration {
    Duration::from_millis(ms.into())
}

impl Config {
    /// Reads a command line, program name first.
    ///
    /// # Errors
    /// One line that names the flag, its value and what was expected; or the text of `--help`,
    /// `--version`.
    pub fn parse_from<I, T>(args: I) -> Result<Self, clap::Error>
    where
        I: IntoIterator<Item = T>,
        T: Into<std::ffi::OsString> + Clone,
    {
        Self::validate(Args::try_parse_from(args)?)
    }

    fn validate(args: Args) -> Result<Self, clap::Error> {
        let wrong =
            |text: String| Err(clap::Error::raw(clap::error::ErrorKind::ValueValidation, text));
        for (min, max, name) in [
            (args.session_timeout_min, args.session_timeout_max, "session-timeout"),
            (args.rebalance_timeout_min, args.rebalance_timeout_max, "rebalance-timeout"),
        ] {
            if min > max {
                return wrong(format!("--{name}-min {min} is above --{name}-max {max}"));
            }
        }
        if args.election_min >= args.election_max {
            let (min, max) = (args.election_min, args.election_max);
            return wrong(format!("--election-min {min} has to be below --election-max {max}"));
        }
        if args.heartbeat >= args.election_min {
            let (heartbeat, min) = (args.heartbeat, args.election_min);
            return wrong(format!("--heartbeat {heartbeat} has to be below --election-min {min}"));
        }
        let inspect = match args.command {
            Some(Command::Inspect { dir, groups }) => Some(Inspect { dir, groups }),
            Some(Command::Serve { .. }) => {
                return wrong("`serve` has to be the first argument".to_owned());
            }
            Some(Command::Dev { .. }) => {
                return wrong("`dev` has to be the first argument".to_owned());
            }
            None => None,
        };
        Ok(Self {
            inspect,
            log: args.log,
            data_dir: args.data_dir,
            moved: args.moved,
            free_floor: u64::from(args.free_floor) * 1024 * 1024,
            request_timeout: ms(args.request_timeout),
            heartbeat: ms(args.heartbeat),
            election_min: ms(args.election_min),
            election_max: ms(args.election_max),
            append_timeout: ms(args.append_timeout),
            snapshot_timeout: ms(args.snapshot_timeout),
            forward_timeout: ms(args.forward_timeout),
            quiet: ms(args.quiet),
            default_partitions: args.default_partitions,
            session_timeout: Bounds {
                min: args.session_timeout_min,
                max: args.session_timeout_max,
            },
            rebalance_timeout: Bounds {
                min: args.rebalance_timeout_min,
                max: args.rebalance_timeout_max,
            },
            group_limits: GroupLimits {
                max_size: args.group_max_size,
                initial_rebalance_delay_ms: args.group_initial_rebalance_delay,
            },
            log_limits: LogLimits { segment_bytes: args.segment_bytes },
            retention: Retention { ms: args.retention_ms, bytes: args.retention_bytes },
            retention_check: ms(args.retention_check),
            offsets_retention: Duration::from_secs(60 * u64::from(args.offsets_retention)),
            offsets_retention_check: ms(args.offsets_retention_check),
            snapshot_entries: args.snapshot_entries,
            snapshot_bytes: args.snapshot_mib as usize * 1024 * 1024,
            max_line: args.max_line as usize,
            max_open: args.max_open as usize * 1024 * 1024,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Config;

    #[test]
    fn a_wrong_flag_is_named_with_its_value() {
        for (args, expected) in [
            (vec!["--heartbeat", "soon"], "'soon'"),
            (vec!["--hartbeat", "100"], "--hartbeat"),
            (vec!["--default-partitions", "0"], "'0'"),
            (vec!["--heartbeat", "600"], "--heartbeat 600 has to be below --election-min 500"),
            (
                vec!["--election-max", "400"],
                "--election-min 500 has to be below --election-max 400",
            ),
            (vec!["--session-timeout-max", "50"], "--session-timeout-min 100 is above"),
            (vec!["stray"], "'stray'"),
            (vec!["--log", "info", "serve", "--dev"], "`serve` has to be the first argument"),
            (vec!["--log", "info", "dev", "fail"], "`dev` has to be the first argument"),
        ] {
            let error = Config::parse_from(["cohort"].into_iter().chain(args.iter().copied()));
            let text = error.expect_err("a wrong flag").to_string();
            assert!(text.contains(expected), "{args:?}: {text}");
        }
    }

    #[test]
    fn the_defaults_keep_the_contract() {
        let config = Config::default();
        assert_eq!(config.request_timeout.as_millis(), 4_000, "below Maelstrom's 5 s");
        assert_eq!(config.default_partitions, 6);
        assert_eq!((config.session_timeout.min, config.session_timeout.max), (100, 1_800_000));
        assert_eq!((config.rebalance_timeout.min, config.rebalance_timeout.max), (100, 3_600_000));
        assert_eq!(config.offsets_retention.as_secs(), 7 * 24 * 3600);
        assert_eq!(config.max_line, 16 << 20);
    }
}
