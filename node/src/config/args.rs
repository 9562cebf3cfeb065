//! The command line as it is typed.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::limits;

/// The command line as typed.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "cohort",
    version = crate::flaws::VERSION,
    about = "Kafka-style consumer groups, partition logs and committed offsets under Raft.\n\
             Without arguments: a Maelstrom node, JSON lines on standard input and output, logs on standard error."
)]
pub struct Args {
    #[command(subcommand)]
    pub(super) command: Option<Command>,

    /// What to log on standard error: error, warn, info, debug, trace, or a filter as of RUST_LOG
    #[arg(long, value_name = "LEVEL")]
    pub(super) log: Option<String>,

    /// Keep everything in this folder, which is made if it is missing. Without it nothing outlives
    /// the process
    #[arg(long, value_name = "DIR")]
    pub(super) data_dir: Option<PathBuf>,

    /// The folder of --data-dir was moved here, or is a copy of one that is gone for good. Never
    /// start a node on two copies of its folder
    #[arg(long, requires = "data_dir")]
    pub(super) moved: bool,

    /// Take no records from clients of this node when the disk of --data-dir has less than so many
    /// MiB left; 0: never refuse
    #[arg(long, value_name = "MIB", default_value_t = 512)]
    pub(super) free_floor: u32,

    /// Answer a request at the latest this many ms after it came in. Set it below what clients
    /// wait: Maelstrom's wait 5,000, those of `lin-kv` 1,000 or ten times the latency
    #[arg(
        long,
        value_name = "MS",
        default_value_t = 4_000,
        value_parser = clap::value_parser!(u32).range(100..=600_000)
    )]
    pub(super) request_timeout: u32,

    /// Least time between heartbeats of the Raft leader, in ms. Over round trips longer than two
    /// thirds of it, this and all time-outs between nodes grow with what is measured
    #[arg(
        long,
        value_name = "MS",
        default_value_t = 300,
        value_parser = clap::value_parser!(u32).range(10..=10_000)
    )]
    pub(super) heartbeat: u32,

    /// Least time without a leader before a node stands for election, in ms; grows as --heartbeat
    /// does
    #[arg(
        long,
        value_name = "MS",
        default_value_t = 500,
        value_parser = clap::value_parser!(u32).range(20..=60_000)
    )]
    pub(super) election_min: u32,

    /// Most time without a leader before a node stands for election, in ms; also the leader's
    /// lease; grows as --heartbeat does
    #[arg(
        long,
        value_name = "MS",
        default_value_t = 1_000,
        value_parser = clap::value_parser!(u32).range(30..=60_000)
    )]
    pub(super) election_max: u32,

    /// How long the leader waits for a follower to acknowledge entries before it sends them again,
    /// in ms; grows as --heartbeat does
    #[arg(
        long,
        value_name = "MS",
        default_value_t = 400,
        value_parser = clap::value_parser!(u32).range(10..=60_000)
    )]
    pub(super) append_timeout: u32,

    /// How long the leader waits for a follower to acknowledge a chunk of a snapshot, in ms; grows
    /// as --heartbeat does
    #[arg(
        long,
        value_name = "MS",
        default_value_t = 1_000,
        value_parser = clap::value_parser!(u32).range(10..=60_000)
    )]
    pub(super) snapshot_timeout: u32,

    /// How long a follower waits for the answer to a request that it passed on before it sends it
    /// again, in ms; grows as --heartbeat does
    #[arg(
        long,
        value_name = "MS",
        default_value_t = 500,
        value_parser = clap::value_parser!(u32).range(10..=60_000)
    )]
    pub(super) forward_timeout: u32,

    /// Send nothing to peers until a client or a peer has spoken, or this many ms have passed
    #[arg(
        long,
        value_name = "MS",
        default_value_t = 3_000,
        value_parser = clap::value_parser!(u32).range(0..=600_000)
    )]
    pub(super) quiet: u32,

    /// Partitions of a topic that `send` makes
    #[arg(
        long,
        value_name = "N",
        default_value_t = 6,
        value_parser = clap::value_parser!(u32).range(1..=10_000)
    )]
    pub(super) default_partitions: u32,

    /// Least session time-out that a member may ask for, in ms
    #[arg(
        long,
        value_name = "MS",
        default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub(super) session_timeout_min: u32,

    /// Greatest session time-out that a member may ask for, in ms
    #[arg(
        long,
        value_name = "MS",
        default_value_t = 1_800_000,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub(super) session_timeout_max: u32,

    /// Least rebalance time-out that a member may ask for, in ms
    #[arg(
        long,
        value_name = "MS",
        default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub(super) rebalance_timeout_min: u32,

    /// Greatest rebalance time-out that a member may ask for, in ms
    #[arg(
        long,
        value_name = "MS",
        default_value_t = 3_600_000,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub(super) rebalance_timeout_max: u32,

    /// How many members a group may have
    #[arg(
        long,
        value_name = "N",
        default_value_t = i32::MAX as u32,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(i32::MAX))
    )]
    pub(super) group_max_size: u32,

    /// How long the first rebalance of an empty classic group waits for more members, in ms
    #[arg(
        long,
        value_name = "MS",
        default_value_t = 0,
        value_parser = clap::value_parser!(u32).range(0..=3_600_000)
    )]
    pub(super) group_initial_rebalance_delay: u32,

    /// How long committed offsets of a group without members are kept, in minutes
    #[arg(
        long = "offsets.retention",
        visible_alias = "offsets-retention",
        value_name = "MINUTES",
        default_value_t = 10_080,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub(super) offsets_retention: u32,

    /// Drop a segment of records whose last record is older than this many ms; without it, none is
    /// too old
    #[arg(
        long = "retention.ms",
        visible_alias = "retention-ms",
        value_name = "MS",
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    pub(super) retention_ms: Option<u64>,

    /// Drop a partition's first segment of records while this many bytes are left without it;
    /// without it, none is too much
    #[arg(
        long = "retention.bytes",
        visible_alias = "retention-bytes",
        value_name = "BYTES",
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    pub(super) retention_bytes: Option<u64>,

    /// How often the age and the size of records are checked, in ms
    #[arg(
        long,
        value_name = "MS",
        default_value_t = 300_000,
        value_parser = clap::value_parser!(u32).range(100..)
    )]
    pub(super) retention_check: u32,

    /// A segment of records has at most this many bytes (but at least one record)
    #[arg(
        long = "segment.bytes",
        visible_alias = "segment-bytes",
        value_name = "BYTES",
        default_value_t = limits::SEGMENT,
        value_parser = clap::value_parser!(u32).range(4_096..=i64::from(limits::SEGMENT))
    )]
    pub(super) segment_bytes: u32,

    /// How often the age of offsets is checked, in ms
    #[arg(
        long,
        value_name = "MS",
        default_value_t = 600_000,
        value_parser = clap::value_parser!(u32).range(100..)
    )]
    pub(super) offsets_retention_check: u32,

    /// Take a snapshot when the Raft log has grown by this many entries
    #[arg(
        long,
        value_name = "N",
        default_value_t = 5_000,
        value_parser = clap::value_parser!(u64).range(10..)
    )]
    pub(super) snapshot_entries: u64,

    /// Take a snapshot at the latest when the Raft log has grown to this many MiB
    #[arg(
        long,
        value_name = "MIB",
        default_value_t = 64,
        value_parser = clap::value_parser!(u32).range(1..=65_536)
    )]
    pub(super) snapshot_mib: u32,

    /// Longest line of input, in bytes; longer ones are skipped without being held
    #[arg(
        long,
        value_name = "BYTES",
        default_value_t = 16 * 1024 * 1024,
        value_parser = clap::value_parser!(u32).range(1_024..)
    )]
    pub(super) max_line: u32,

    /// Requests under way may take this many MiB; more are refused (code 11), or not read where
    /// there are no peers
    #[arg(
        long,
        value_name = "MIB",
        default_value_t = 128,
        value_parser = clap::value_parser!(u32).range(1..=65_536)
    )]
    pub(super) max_open: u32,
}

/// What else than a node is asked for.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum Command {
    /// A broker for Kafka's clients, over TCP; `cohort serve --help` has its settings
    #[command(disable_help_flag = true)]
    Serve {
        /// Its settings
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        settings: Vec<String>,
    },
    /// Hands on time, for tests: asks a node that runs with `serve --dev`; `cohort dev --help`
    #[command(disable_help_flag = true)]
    Dev {
        /// What to do
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        action: Vec<String>,
    },
    /// Say what is in a data folder. Writes nothing
    Inspect {
        /// The folder
        dir: PathBuf,
        /// A line for each group of the write-ahead log, too
        #[arg(long)]
        groups: bool,
    },
}
