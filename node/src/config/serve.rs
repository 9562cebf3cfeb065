//! The configuration of `cohort serve`: flags, the environment, a file, defaults.
//!
//! Each setting is a flag, a variable `COHORT_…` and a key of a TOML file. A flag counts before the
//! environment, that before the file, that before the default. Keys of the file are the flags'
//! names, with dots or dashes: `num.partitions`, `num-partitions`. What the file says is read as if
//! it were on the command line, so it is checked in the same way.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, CommandFactory, FromArgMatches, Parser, ValueEnum};

use runtime::files::os::{read_secret, read_text};
use state_machine::command::{GroupLimits, LogLimits};
use state_machine::topics::command::Retention;

use super::{Bounds, Config};
use crate::cluster::addresses::Addresses;
use crate::cluster::secret::{self, Secret};
use crate::limits;

/// The command line of `cohort serve` as typed.
#[derive(Debug, Clone, Parser)]
#[command(name = "cohort serve", about = "A broker for Kafka's clients, over TCP.")]
pub struct ServeArgs {
    /// Read settings from this TOML file
    #[arg(long, env = "COHORT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// Say what every setting is and where it comes from, and end
    #[arg(long)]
    print_config: bool,

    /// This node's number, from 0
    #[arg(
        long,
        env = "COHORT_NODE_ID",
        value_name = "N",
        default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(0..=0x7fff_ffff)
    )]
    node_id: u32,

    /// Keep everything in this folder, which is made if it is missing
    #[arg(long, env = "COHORT_DATA_DIR", value_name = "DIR", default_value = "./cohort-data")]
    data_dir: PathBuf,

    /// The folder was moved here, or is a copy of one that is gone for good
    #[arg(long, env = "COHORT_MOVED")]
    moved: bool,

    /// For tests: keep everything in memory, make no group wait for members, allow short sessions
    #[arg(long, env = "COHORT_DEV")]
    dev: bool,

    /// Where Kafka's clients connect; port 0 takes a free one
    #[arg(long, env = "COHORT_KAFKA", value_name = "HOST:PORT", default_value = "127.0.0.1:9092")]
    kafka: String,

    /// What clients are told to connect to; by default the address of --kafka
    #[arg(long, env = "COHORT_ADVERTISE", value_name = "HOST:PORT")]
    advertise: Option<String>,

    /// Where this node listens for its peers; by default its address in --cluster
    #[arg(long, env = "COHORT_PEERS", value_name = "HOST:PORT", requires = "cluster")]
    peers: Option<String>,

    /// All nodes of the cluster, this one too, and where they listen for each other; by default
    /// this node is alone
    #[arg(long, env = "COHORT_CLUSTER", value_name = "n1=HOST:PORT,n2=…")]
    cluster: Option<String>,

    /// The cluster's name, the same at all its nodes and for ever; by default it is made of
    /// --cluster at the first start
    #[arg(long, env = "COHORT_CLUSTER_ID", value_name = "NAME")]
    cluster_id: Option<String>,

    /// Take messages only of peers that prove that they have the secret in this file
    #[arg(long, env = "COHORT_CLUSTER_SECRET_FILE", value_name = "FILE")]
    cluster_secret_file: Option<PathBuf>,

    /// Where probes, Prometheus and people ask, over HTTP; by default nowhere
    #[arg(long, env = "COHORT_ADMIN", value_name = "HOST:PORT")]
    admin: Option<String>,

    /// With --dev: so many nodes of one cluster in this process, at this port and those after it
    #[arg(
        long,
        env = "COHORT_NODES",
        value_name = "N",
        default_value_t = 1,
        value_parser = clap::value_parser!(u8).range(1..=9)
    )]
    nodes: u8,

    /// What to log on standard error: error, warn, info, debug, trace, or a filter as of RUST_LOG
    #[arg(long, env = "COHORT_LOG", value_name = "LEVEL")]
    log: Option<String>,

    /// How to log: lines for people, or an object of JSON a line
    #[arg(long, env = "COHORT_LOG_FORMAT", value_name = "FORM", default_value = "text")]
    log_format: LogFormat,

    /// Take no records when the disk has less than so many MiB left; 0: never refuse
    #[arg(long, env = "COHORT_FREE_FLOOR", value_name = "MIB", default_value_t = 512)]
    free_floor: u32,

    /// Make topics when a client that allows it asks for one that is not there
    #[arg(
        long = "auto.create.topics.enable",
        env = "COHORT_AUTO_CREATE_TOPICS_ENABLE",
        value_name = "BOOL",
        default_value_t = true,
        action = clap::ArgAction::Set
    )]
    auto_create_topics: bool,

    /// Partitions of a topic if nobody says how many
    #[arg(
        long = "num.partitions",
        env = "COHORT_NUM_PARTITIONS",
        value_name = "N",
        default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..=10_000)
    )]
    num_partitions: u32,

    /// Most bytes of a batch of records
    #[arg(
        long = "message.max.bytes",
        env = "COHORT_MESSAGE_MAX_BYTES",
        value_name = "BYTES",
        default_value_t = limits::KAFKA_BATCH as u32,
        value_parser = clap::value_parser!(u32).range(1_024..=limits::KAFKA_BATCH_MOST as i64)
    )]
    message_max_bytes: u32,

    /// How long the first rebalance of an empty group waits for more members, in ms
    #[arg(
        long = "group.initial.rebalance.delay.ms",
        env = "COHORT_GROUP_INITIAL_REBALANCE_DELAY_MS",
        value_name = "MS",
        default_value_t = 3_000,
        value_parser = clap::value_parser!(u32).range(0..=300_000)
    )]
    initial_rebalance_delay: u32,

    /// Least session time-out that a member may ask for, in ms
    #[arg(
        long = "group.min.session.timeout.ms",
        env = "COHORT_GROUP_MIN_SESSION_TIMEOUT_MS",
        value_name = "MS",
        default_value_t = 6_000,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    min_session: u32,

    /// Greatest session time-out that a member may ask for, in ms
    #[arg(
        long = "group.max.session.timeout.ms",
        env = "COHORT_GROUP_MAX_SESSION_TIMEOUT_MS",
        value_name = "MS",
        default_value_t = 1_800_000,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    max_session: u32,

    /// Drop records that are older, in ms; -1: never
    #[arg(
        long = "retention.ms",
        env = "COHORT_RETENTION_MS",
        value_name = "MS",
        default_value_t = 604_800_000,
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(i64).range(-1..)
    )]
    retention_ms: i64,

    /// Drop the oldest records of a partition while more than so many bytes are left; -1: never
    #[arg(
        long = "retention.bytes",
        env = "COHORT_RETENTION_BYTES",
        value_name = "BYTES",
        default_value_t = -1,
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(i64).range(-1..)
    )]
    retention_bytes: i64,

    /// Bytes of a segment of records
    #[arg(
        long = "segment.bytes",
        env = "COHORT_SEGMENT_BYTES",
        value_name = "BYTES",
        default_value_t = 1 << 30,
        value_parser = clap::value_parser!(u32).range(4_096..)
    )]
    segment_bytes: u32,
}

/// The form of what is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// An object of JSON a line: `timestamp`, `level`, `target`, `message` and what else is said.
    Json,
}

/// What `cohort serve` is told.
#[derive(Debug, Clone)]
pub struct Serve {
    /// The node's own configuration.
    pub config: Config,
    /// The form of what is logged.
    pub log_format: LogFormat,
    /// This node's number.
    pub node: u64,
    /// Nothing outlives the process.
    pub dev: bool,
    /// Where to listen.
    pub kafka: String,
    /// What clients are told: host, port.
    pub advertise: Option<(String, u16)>,
    /// Where to answer over HTTP, if anywhere.
    pub admin: Option<String>,
    /// Where to listen for peers.
    pub peers: Option<String>,
    /// All nodes of the cluster. `None`: this node is alone.
    pub cluster: Option<Addresses>,
    /// The cluster's name, if that was said.
    pub cluster_id: Option<String>,
    /// What all nodes of the cluster know and nobody else.
    pub secret: Option<Secret>,
    /// How many nodes of a cluster run in this process.
    pub nodes: u8,
    /// See [`Settings`](crate::listeners::kafka::Settings).
    pub auto_create_topics: bool,
    /// Partitions of a topic if nobody says how many.
    pub partitions: u32,
    /// Most bytes of a batch.
    pub max_batch: usize,
    /// What to print instead of serving, if that was asked for.
    pub print: Option<String>,
}

/// Keys of a file, each a flag's name with dashes, and their values as text.
type FileSettings = BTreeMap<String, String>;

impl Serve {
    /// Reads the arguments after `serve`.
    ///
    /// # Errors
    /// One line that names the setting, its value and what was expected; or the text of `--help`.
    pub fn parse_from(args: Vec<OsString>) -> Result<Self, clap::Error> {
        let command = || ServeArgs::command().args_override_self(true);
        let with = |args: &[OsString]| {
            let name = OsString::from("cohort serve");
            command().try_get_matches_from([name].into_iter().chain(args.iter().cloned()))
        };
        let typed = with(&args)?;
        let Some(path) = typed.get_one::<PathBuf>("config") else {
            return Self::from_matches(&typed, &FileSettings::new());
        };
        let from_file = read_file(path).map_err(wrong)?;
        let mut joined = Vec::new();
        for (key, value) in &from_file {
            let command = command();
            let Some(arg) = command.get_arguments().find(|arg| key_of(arg) == *key) else {
                return Err(wrong(format!("{}: unknown key `{key}`", path.display())));
            };
            let id = arg.get_id().as_str();
            if matches!(
                typed.value_source(id),
                Some(ValueSource::CommandLine | ValueSource::EnvVariable)
            ) {
                continue;
            }
            let flag = arg.get_long().unwrap_or(id);
            match (arg.get_action().takes_values(), value.as_str()) {
                (true, value) => joined.push(format!("--{flag}={value}").into()),
                (false, "true") => joined.push(format!("--{flag}").into()),
                (false, "false") => {}
                (false, other) => {
                    let problem = format!("`{key}` is `{other}`, expected true or false");
                    return Err(wrong(format!("{}: {problem}", path.display())));
                }
            }
        }
        joined.extend(args);
        Self::from_matches(&with(&joined)?, &from_file)
    }

    fn from_matches(matches: &ArgMatches, file: &FileSettings) -> Result<Self, clap::Error> {
        let args = ServeArgs::from_arg_matches(matches)?;
        let is_default = |id: &str| matches.value_source(id) == Some(ValueSource::DefaultValue);
        let initial_rebalance_delay = match args.initial_rebalance_delay {
            _ if args.dev && is_default("initial_rebalance_delay") => 0,
            delay => delay,
        };
        let min_session = match args.min_session {
            _ if args.dev && is_default("min_session") => 1,
            min => min,
        };
        if min_session > args.max_session {
            let max = args.max_session;
            return Err(wrong(format!(
                "group.min.session.timeout.ms {min_session} is above group.max.session.timeout.ms \
                 {max}"
            )));
        }
        let advertise = args.advertise.as_deref().map(advertised).transpose().map_err(wrong)?;
        if advertise.is_none() && is_wildcard(&args.kafka) {
            return Err(wrong(format!(
                "--kafka {} listens everywhere: --advertise has to say where clients connect",
                args.kafka
            )));
        }
        let cluster = cluster(&args).map_err(wrong)?;
        let secret = secret(&args).map_err(wrong)?;
        let group_limits = GroupLimits {
            initial_rebalance_delay_ms: initial_rebalance_delay,
            ..GroupLimits::default()
        };
        let config = Config {
            log: args.log,
            data_dir: (!args.dev).then_some(args.data_dir),
            moved: args.moved,
            free_floor: u64::from(args.free_floor) * 1024 * 1024,
            request_timeout: limits::KAFKA_REQUEST,
            session_timeout: Bounds { min: min_session, max: args.max_session },
            group_limits,
            log_limits: LogLimits { segment_bytes: args.segment_bytes },
            retention: Retention {
                ms: u64::try_from(args.retention_ms).ok(),
                bytes: u64::try_from(args.retention_bytes).ok(),
            },
            ..Config::default()
        };
        let changed = [
            ("initial_rebalance_delay", config.group_limits.initial_rebalance_delay_ms.to_string()),
            ("min_session", config.session_timeout.min.to_string()),
            ("data_dir", "-".to_owned()),
        ];
        let changed = if args.dev { &changed[..] } else { &[] };
        let print = args.print_config.then(|| printed(matches, file, changed));
        Ok(Self {
            config,
            log_format: args.log_format,
            node: args.node_id.into(),
            dev: args.dev,
            kafka: args.kafka,
            advertise,
            admin: args.admin,
            peers: args.peers,
            cluster,
            cluster_id: args.cluster_id,
            secret,
            nodes: args.nodes,
            auto_create_topics: args.auto_create_topics,
            partitions: args.num_partitions,
            max_batch: args.message_max_bytes as usize,
            print,
        })
    }
}

/// The members of the cluster, this node among them.
fn cluster(args: &ServeArgs) -> Result<Option<Addresses>, String> {
    if let Some(id) = &args.cluster_id
        && (id.is_empty() || id.len() > 249 || !id.bytes().all(|byte| byte.is_ascii_graphic()))
    {
        return Err(format!("--cluster-id {id:?}: expected 1 to 249 visible ASCII characters"));
    }
    let for_one = args.cluster.is_some() || args.advertise.is_some();
    if args.nodes > 1 && (!args.dev || for_one) {
        let nodes = args.nodes;
        return Err(format!(
            "--nodes {nodes} needs --dev, and goes without --cluster and --advertise"
        ));
    }
    let Some(list) = &args.cluster else { return Ok(None) };
    let addresses =
        Addresses::parse(list).map_err(|problem| format!("--cluster {list}: {problem}"))?;
    let node = args.node_id;
    match addresses.of(node.into()) {
        Some(_) => Ok(Some(addresses)),
        None => Err(format!("--cluster {list}: n{node} is not in it, and --node-id is {node}")),
    }
}

/// What only the nodes of the cluster know.
fn secret(args: &ServeArgs) -> Result<Option<Secret>, String> {
    let Some(path) = &args.cluster_secret_file else { return Ok(None) };
    let problem = |problem: String| format!("--cluster-secret-file {}: {problem}", path.display());
    if args.cluster.is_none() && args.nodes == 1 {
        return Err(problem("a node without peers needs none; is --cluster missing?".to_owned()));
    }
    let bytes = read_secret(path, secret::MOST).map_err(|error| problem(error.to_string()))?;
    Secret::new(&bytes).map(Some).map_err(|error| problem(error.to_string()))
}

fn wrong(problem: String) -> clap::Error {
    clap::Error::raw(clap::error::ErrorKind::ValueValidation, problem)
}

/// The key of a setting in a file.
fn key_of(arg: &Arg) -> String {
    arg.get_long().unwrap_or(arg.get_id().as_str()).replace(['.', '_'], "-")
}

fn read_file(path: &Path) -> Result<FileSettings, String> {
    let name = path.display();
    let text = read_text(path).map_err(|error| format!("{name}: {error}"))?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        format!("{name}: {}", error.to_string().lines().collect::<Vec<_>>().join(" "))
    })?;
    let mut settings = FileSettings::new();
    flatten("", &table, &mut settings).map_err(|problem| format!("{name}: {problem}"))?;
    Ok(settings)
}

/// Tables within tables are dots within names.
fn flatten(within: &str, table: &toml::Table, settings: &mut FileSettings) -> Result<(), String> {
    for (key, value) in table {
        let key = format!("{within}{}", key.replace(['.', '_'], "-"));
        let text = match value {
            toml::Value::Table(table) => {
                flatten(&format!("{key}-"), table, settings)?;
                continue;
            }
            toml::Value::String(text) => text.clone(),
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Boolean(is) => is.to_string(),
            other => {
                let kind = other.type_str();
                return Err(format!("`{key}` is of type {kind}, expected text, number or boolean"));
            }
        };
        if key == "config" {
            return Err("`config` cannot be set in a file".to_owned());
        }
        settings.insert(key, text);
    }
    Ok(())
}

/// A host and a port that clients can connect to.
fn advertised(address: &str) -> Result<(String, u16), String> {
    let expected = "expected HOST:PORT that clients can connect to";
    let split = address.rsplit_once(':');
    let (host, port) = split.ok_or_else(|| format!("--advertise {address}: {expected}"))?;
    let port: u16 = port.parse().map_err(|_| format!("--advertise {address}: {expected}"))?;
    if host.is_empty() || host.len() > 255 || is_wildcard(address) {
        return Err(format!("--advertise {address}: {expected}"));
    }
    Ok((host.trim_matches(['[', ']']).to_owned(), port))
}

/// Whether an address is every address of the machine.
fn is_wildcard(address: &str) -> bool {
    matches!(address.rsplit_once(':'), Some(("0.0.0.0" | "[::]" | "", _)))
}

/// Each setting on a line of its own: its name, its value, where that comes from. `by_dev`: what
/// --dev changed.
fn printed(matches: &ArgMatches, file: &FileSettings, by_dev: &[(&str, String)]) -> String {
    let mut lines = String::new();
    for arg in ServeArgs::command().get_arguments() {
        let id = arg.get_id().as_str();
        if matches!(id, "config" | "print_config" | "help") {
            continue;
        }
        let values = matches.get_raw(id).into_iter().flatten();
        let value: Vec<_> = values.map(|value| value.to_string_lossy().into_owned()).collect();
        let key = key_of(arg);
        let source = match matches.value_source(id) {
            Some(ValueSource::EnvVariable) => "environment",
            Some(ValueSource::CommandLine) if file.contains_key(&key) => "file or command line",
            Some(ValueSource::CommandLine) => "command line",
            _ if by_dev.iter().any(|(changed, _)| *changed == id) => "--dev",
            _ => "default",
        };
        let value = match by_dev.iter().find(|(changed, _)| *changed == id) {
            Some((_, changed)) => vec![changed.clone()],
            None => value,
        };
        let name = arg.get_long().unwrap_or(id);
        let value = if value.is_empty() { "-".to_owned() } else { value.join(",") };
        lines.push_str(&format!("{name} = {value}  # {source}\n"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{Serve, advertised};

    fn parse(args: &[&str]) -> Result<Serve, String> {
        Serve::parse_from(args.iter().map(Into::into).collect()).map_err(|e| e.to_string())
    }

    #[test]
    fn dev_changes_what_nobody_set() {
        let dev = parse(&["--dev"]).expect("good arguments");
        assert_eq!(dev.config.group_limits.initial_rebalance_delay_ms, 0);
        assert_eq!((dev.config.session_timeout.min, dev.config.data_dir), (1, None));
        let dev = parse(&["--dev", "--group.min.session.timeout.ms", "50"]).expect("good");
        assert_eq!(dev.config.session_timeout.min, 50);
        let durable = parse(&[]).expect("good arguments");
        assert_eq!(durable.config.group_limits.initial_rebalance_delay_ms, 3_000);
        assert!(durable.config.data_dir.is_some());
    }

    #[test]
    fn wrong_settings_are_named() {
        for (args, expected) in [
            (vec!["--kafka", "0.0.0.0:9092"], "--advertise has to say"),
            (vec!["--advertise", "0.0.0.0:9092"], "that clients can connect to"),
            (vec!["--advertise", "here"], "expected HOST:PORT"),
            (vec!["--num.partitions", "0"], "'0'"),
            (vec!["--group.min.session.timeout.ms", "2000000"], "is above"),
            (vec!["--kafak", "x"], "--kafak"),
            (vec!["--cluster", "n1=a"], "`n1=a`, expected"),
            (vec!["--cluster", "n2=a:1,n3=a:2"], "n1 is not in it"),
            (vec!["--peers", "a:1"], "--cluster"),
            (vec!["--nodes", "3"], "needs --dev"),
            (vec!["--dev", "--nodes", "0"], "0"),
            (vec!["--cluster-id", "a b"], "visible ASCII"),
            (vec!["--cluster-secret-file", "x"], "is --cluster missing?"),
            (
                vec!["--dev", "--nodes", "3", "--cluster-secret-file", "/no/such"],
                "/no/such: No such",
            ),
        ] {
            let problem = parse(&args).expect_err("a wrong setting");
            assert!(problem.contains(expected), "{args:?}: {problem}");
        }
        assert_eq!(advertised("[::1]:9"), Ok(("::1".to_owned(), 9)));
    }
}
