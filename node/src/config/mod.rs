//! Arguments become a validated configuration. Nothing else reads them.

use std::time::Duration;

use clap::Parser;
use state_machine::command::GroupLimits;

pub(crate) mod raft;

/// The command line as typed.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "cohort",
    version = crate::flaws::VERSION,
    about = "Kafka-style consumer groups, partition logs and committed offsets under Raft.\n\
             Without arguments: a Maelstrom node, JSON lines on standard input and output, logs on standard error."
)]
pub struct Args {
    /// What to log on standard error: error, warn, info, debug, trace, or a filter as of RUST_LOG
    #[arg(long, value_name = "LEVEL")]
    log: Option<String>,

    /// Answer a request at the latest this many ms after it came in. Set it below what clients
    /// wait: Maelstrom's wait 5,000, those of `lin-kv` 1,000 or ten times the latency
    #[arg(long, value_name = "MS", default_value_t = 4_000, value_parser = clap::value_parser!(u32).range(100..=600_000))]
    request_timeout: u32,

    /// Least time between heartbeats of the Raft leader, in ms. Over round trips longer than two
    /// thirds of it, this and all time-outs between nodes grow with what is measured
    #[arg(long, value_name = "MS", default_value_t = 300, value_parser = clap::value_parser!(u32).range(10..=10_000))]
    heartbeat: u32,

    /// Least time without a leader before a node stands for election, in ms; grows as --heartbeat
    /// does
    #[arg(long, value_name = "MS", default_value_t = 500, value_parser = clap::value_parser!(u32).range(20..=60_000))]
    election_min: u32,

    /// Most time without a leader before a node stands for election, in ms; also the leader's
    /// lease; grows as --heartbeat does
    #[arg(long, value_name = "MS", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(30..=60_000))]
    election_max: u32,

    /// How long the leader waits for a follower to acknowledge entries before it sends them again,
    /// in ms; grows as --heartbeat does
    #[arg(long, value_name = "MS", default_value_t = 400, value_parser = clap::value_parser!(u32).range(10..=60_000))]
    append_timeout: u32,

    /// How long the leader waits for a follower to acknowledge a chunk of a snapshot, in ms; grows
    /// as --heartbeat does
    #[arg(long, value_name = "MS", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(10..=60_000))]
    snapshot_timeout: u32,

    /// How long a follower waits for the answer to a request that it passed on before it sends it
    /// again, in ms; grows as --heartbeat does
    #[arg(long, value_name = "MS", default_value_t = 500, value_parser = clap::value_parser!(u32).range(10..=60_000))]
    forward_timeout: u32,

    /// Send nothing to peers until a client or a peer has spoken, or this many ms have passed
    #[arg(long, value_name = "MS", default_value_t = 3_000, value_parser = clap::value_parser!(u32).range(0..=600_000))]
    quiet: u32,

    /// Partitions of a topic that `send` makes
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    default_partitions: u32,

    /// Least session time-out that a member may ask for, in ms
    #[arg(long, value_name = "MS", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    session_timeout_min: u32,

    /// Greatest session time-out that a member may ask for, in ms
    #[arg(long, value_name = "MS", default_value_t = 1_800_000, value_parser = clap::value_parser!(u32).range(1..))]
    session_timeout_max: u32,

    /// Least rebalance time-out that a member may ask for, in ms
    #[arg(long, value_name = "MS", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    rebalance_timeout_min: u32,

    /// Greatest rebalance time-out that a member may ask for, in ms
    #[arg(long, value_name = "MS", default_value_t = 3_600_000, value_parser = clap::value_parser!(u32).range(1..))]
    rebalance_timeout_max: u32,

    /// How many members a group may have
    #[arg(long, value_name = "N", default_value_t = i32::MAX as u32, value_parser = clap::value_parser!(u32).range(1..=i64::from(i32::MAX)))]
    group_max_size: u32,

    /// How long the first rebalance of an empty classic group waits for more members, in ms
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=3_600_000))]
    group_initial_rebalance_delay: u32,

    /// How long committed offsets of a group without members are kept, in minutes
    #[arg(long = "offsets.retention", visible_alias = "offsets-retention", value_name = "MINUTES", default_value_t = 10_080, value_parser = clap::value_parser!(u32).range(1..))]
    offsets_retention: u32,

    /// How often the age of offsets is checked, in ms
    #[arg(long, value_name = "MS", default_value_t = 600_000, value_parser = clap::value_parser!(u32).range(100..))]
    offsets_retention_check: u32,

    /// Take a snapshot when the Raft log has grown by this many entries
    #[arg(long, value_name = "N", default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(10..))]
    snapshot_entries: u64,

    /// Take a snapshot at the latest when the Raft log has grown to this many MiB
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    snapshot_mib: u32,

    /// Longest line of input, in bytes; longer ones are skipped without being held
    #[arg(long, value_name = "BYTES", default_value_t = 16 * 1024 * 1024, value_parser = clap::value_parser!(u32).range(1_024..))]
    max_line: u32,

    /// Requests under way may take this many MiB; more are refused (code 11), or not read where
    /// there are no peers
    #[arg(long, value_name = "MIB", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    max_open: u32,
}

/// Bounds of a time-out that members choose, in ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The least.
    pub min: u32,
    /// The greatest.
    pub max: u32,
}

/// The configuration of a node.
#[derive(Debug, Clone)]
pub struct Config {
    /// What to log, if it was said on the command line.
    pub log: Option<String>,
    /// A request is answered at the latest this long after it came in.
    pub request_timeout: Duration,
    /// Between heartbeats of the Raft leader.
    pub heartbeat: Duration,
    /// Least time without a leader before an election.
    pub election_min: Duration,
    /// Most time without a leader before an election.
    pub election_max: Duration,
    /// For a follower to acknowledge entries.
    pub append_timeout: Duration,
    /// For a follower to acknowledge a piece of a snapshot.
    pub snapshot_timeout: Duration,
    /// For the leader to answer what was passed on to it.
    pub forward_timeout: Duration,
    /// Of silence towards peers after `init`.
    pub quiet: Duration,
    /// Of a topic that `send` makes.
    pub default_partitions: u32,
    /// Of session time-outs.
    pub session_timeout: Bounds,
    /// Of rebalance time-outs.
    pub rebalance_timeout: Bounds,
    /// Of groups.
    pub group_limits: GroupLimits,
    /// Of offsets of groups without members.
    pub offsets_retention: Duration,
    /// Between checks of their age.
    pub offsets_retention_check: Duration,
    /// A snapshot is taken after so many entries.
    pub snapshot_entries: u64,
    /// A snapshot is taken when the log has so many bytes.
    pub snapshot_bytes: usize,
    /// Of a line of input, in bytes.
    pub max_line: usize,
    /// Of requests under way, in bytes.
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
        Ok(Self {
            log: args.log,
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
