//! `arena WORKLOAD` and `arena all`: one run, its figures, its files and its verdict.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use raft_store::flaws::Flaw;

use super::output::{complain, say, say_on};
use super::{TargetName, Trouble, target, wire, write, write_report};
use crate::nemesis::Nemesis;
use crate::nemesis::schedule::Schedule;
use crate::report;
use crate::run::Outcome;
use crate::run::case::{Case, Finished};
use crate::workloads::{Kind, MemberFault};

#[derive(Debug, Clone, Args)]
pub(super) struct RunArgs {
    /// Where the nodes run.
    #[arg(long, value_enum, default_value = "real")]
    pub(super) stage: TargetName,
    /// How many nodes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=25))]
    pub(super) nodes: u16,
    /// How long faults may happen; start, recovery and the final reads come on top.
    #[arg(long, default_value_t = 10)]
    pub(super) seconds: u32,
    /// What goes wrong: a list with commas of partition, one-way, latency, loss, duplicate,
    /// reorder, pause, kill, clock, slow, clients, late, restart, reset, bandwidth; or `all` that the
    /// target can do;
    /// or `none`.
    #[arg(long, default_value = "partition,pause")]
    pub(super) nemesis: String,
    /// Draws operations and faults; drawn itself where it is not given.
    #[arg(long)]
    pub(super) seed: Option<u64>,
    /// Operations a second, over all clients.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(super) rate: u32,
    /// Mean latency between nodes in milliseconds, also without the nemesis `latency`.
    #[arg(long, default_value_t = 0)]
    pub(super) latency: u32,
    /// Whether every line between nodes takes exactly the mean latency, or a time around it.
    #[arg(long, value_enum, default_value = "spread")]
    pub(super) latency_dist: Distribution,
    /// The longest mean latency of the nemesis `latency`, in milliseconds.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) latency_max: u32,
    /// How long a client waits for a reply, in seconds; nodes have to be told by `--
    /// --request-timeout`.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(5..=600))]
    pub(super) patience: u32,
    /// Lines between nodes that the nemesis `loss` loses, in percent.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub(super) loss: u32,
    /// Lines between nodes that the nemesis `duplicate` doubles, in percent.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub(super) duplicate: u32,
    /// How many clients, at least one for each node; three for each where it is not given.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) clients: Option<u16>,
    /// Requests that one client may have under way (workloads kafka, lin-kv and offsets).
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(super) pipeline: u16,
    /// Every node has to serve again within so many seconds after the end of all faults.
    #[arg(long, default_value_t = 5)]
    pub(super) recover: u32,
    /// The program to test; `cohort` beside this one where it is not given.
    #[arg(long, value_name = "PATH")]
    pub(super) bin: Option<PathBuf>,
    /// Faults from a file (as a run keeps them) instead of drawing them.
    #[arg(long, value_name = "FILE")]
    pub(super) schedule: Option<PathBuf>,
    /// Puts a fault into every node on purpose, to see it found; only with `--stage sim`. A wrong
    /// name lists all.
    #[arg(long, value_name = "NAME")]
    pub(super) flaw: Option<Flaw>,
    /// What the members of `classic` do wrong on purpose, to see it found; only with `--stage wire`.
    #[arg(long, value_name = "NAME")]
    pub(super) member_fault: Option<MemberFault>,
    /// Where to write the history.
    #[arg(long, value_name = "FILE")]
    pub(super) history: Option<PathBuf>,
    /// Where to write what the nodes' states were, as one JSON object; only with `--stage sim`.
    #[arg(long, value_name = "FILE")]
    pub(super) trace: Option<PathBuf>,
    /// Where to write the report, one HTML file; beside the history in arena-out/ where it is not
    /// given.
    #[arg(long, value_name = "FILE")]
    pub(super) report: Option<PathBuf>,
    /// With `--stage wire`: a broker that runs already, which only clients and connections can fail.
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "cluster")]
    pub(super) kafka: Option<String>,
    /// With `--stage wire`: how to start the brokers, as TOML; see scripts/brokers.
    #[arg(long, value_name = "FILE")]
    pub(super) cluster: Option<PathBuf>,
    /// With `--stage wire`, for the workload `apps`: how to start the application, as TOML; see
    /// scripts/apps.
    #[arg(long, value_name = "FILE")]
    pub(super) app: Option<PathBuf>,
    /// Arguments for the program to test; for the workload `apps`: for each instance of the
    /// application.
    #[arg(last = true)]
    pub(super) args: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Distribution {
    /// Every line takes the mean.
    Constant,
    /// Between a fifth and nine fifths of the mean, one in fifty four times as long.
    Spread,
}

pub(super) fn run_all(args: &RunArgs) -> ExitCode {
    let mut worst = 0;
    let mut all = Vec::new();
    let kinds: &[Kind] = if args.stage == TargetName::Wire { &Kind::WIRE } else { &Kind::ALL };
    for kind in kinds.iter().copied() {
        let code = run(kind, args).unwrap_or_else(|trouble| {
            say!("unknown: {trouble}");
            2
        });
        // An anomaly says more than a run that could not be judged.
        worst = if worst == 1 || code == 1 { 1 } else { worst.max(code) };
        all.push(format!(
            "{} {}",
            kind.name(),
            ["valid", "ANOMALY", "unknown"][usize::from(code.min(2))]
        ));
    }
    say!("{}", all.join(", "));
    ExitCode::from(worst)
}

pub(super) fn run(kind: Kind, args: &RunArgs) -> Result<u8, Trouble> {
    if args.stage == TargetName::Wire {
        return wire::run(kind, args);
    }
    refuse_wire(kind, args)?;
    let nodes = usize::from(args.nodes);
    let mut case = Case {
        workload: kind,
        target: if args.stage == TargetName::Real { "real" } else { "sim" },
        nodes,
        seconds: args.seconds,
        nemeses: Vec::new(),
        seed: args.seed.unwrap_or_else(fresh_seed),
        rate: args.rate,
        latency_ms: args.latency,
        constant_latency: args.latency_dist == Distribution::Constant,
        latency_max_ms: args.latency_max,
        patience: args.patience,
        loss: args.loss,
        duplicate: args.duplicate,
        pipeline: usize::from(args.pipeline),
        clients: args.clients.map_or(Case::usual_clients(nodes), usize::from).max(nodes),
        recover: args.recover,
        bin: args.bin.clone(),
        args: args.args.clone(),
        schedule: args.schedule.clone(),
        flaw: args.flaw,
    };
    let folder = folder_of(&case);
    let mut target = target(&case, &folder)?;
    if args.trace.is_some() && case.target == "real" {
        return Err(Trouble::Use(
            "--trace is for the stage `sim`: nobody sees the states of processes".to_owned(),
        ));
    }
    let schedule = match &args.schedule {
        Some(path) => read_schedule(
            path,
            nodes,
            &Stage { name: case.target, can: &|nemesis| target.can(nemesis) },
        )?,
        None => {
            case.nemeses = nemeses(
                &args.nemesis,
                &Stage { name: case.target, can: &|nemesis| target.can(nemesis) },
            )?;
            case.draw_schedule()
        }
    };
    complain!(
        "{} on {nodes} {} nodes with {} clients, seed {}",
        kind.name(),
        case.target,
        case.clients,
        case.seed
    );
    write(&folder.join("schedule.json"), |file| Ok(serde_json::to_writer(file, &schedule)?))?;
    let mut tell = |at_us, text: &str| complain!("{:9.3} s  {text}", at_us as f64 / 1e6);
    let Finished { outcome, judgement, trace } = case.perform(&mut *target, schedule, &mut tell)?;

    let history_file = args.history.clone().unwrap_or_else(|| folder.join("history.jsonl"));
    write(&history_file, |file| outcome.history.write(file))?;
    if let (Some(file), Some(trace)) = (&args.trace, &trace) {
        write(file, |file| Ok(serde_json::to_writer(file, trace)?))?;
    }
    if let Some(failure) = outcome.failure {
        return Err(Trouble::Run(failure));
    }
    figures(&outcome);
    say!("history       {}", history_file.display());
    let report_file = args.report.clone().unwrap_or_else(|| folder.join("report.html"));
    write_report(&report_file, &outcome.history, &judgement)?;
    if judgement.exit_code() != 0 {
        say!("repeat with {}", case.repeat());
    }
    say!("{judgement}");
    Ok(judgement.exit_code())
}

/// Refuses what only the stage `wire` has.
fn refuse_wire(kind: Kind, args: &RunArgs) -> Result<(), Trouble> {
    if args.member_fault.is_some() {
        return Err(Trouble::Use("--member-fault is for --stage wire".to_owned()));
    }
    let known = Kind::with_lines(kind.name()).is_some();
    if args.kafka.is_none() && args.cluster.is_none() && args.app.is_none() && known {
        return Ok(());
    }
    let what = if known {
        "--kafka, --cluster and --app are".to_owned()
    } else {
        format!("`{}` is", kind.name())
    };
    Err(Trouble::Use(format!("{what} for brokers of Kafka's wire: add --stage wire")))
}

/// A stage, and what it can do.
pub(super) struct Stage<'a> {
    pub(super) name: &'a str,
    pub(super) can: &'a dyn Fn(Nemesis) -> bool,
}

pub(super) fn nemeses(list: &str, stage: &Stage<'_>) -> Result<Vec<Nemesis>, Trouble> {
    if list == "none" {
        return Ok(Vec::new());
    }
    if list == "all" {
        return Ok(Nemesis::ALL.into_iter().filter(|nemesis| (stage.can)(*nemesis)).collect());
    }
    let mut all = Vec::new();
    for name in list.split(',').map(str::trim) {
        let nemesis = Nemesis::named(name).ok_or_else(|| {
            let known: Vec<&str> = Nemesis::ALL.iter().map(|nemesis| nemesis.name()).collect();
            let known = known.join(", ");
            Trouble::Use(if ["all", "none"].contains(&name) {
                format!("nemesis `{name}` stands alone; a list may have {known}")
            } else {
                format!("no nemesis `{name}`; there are {known}; or all, or none, alone")
            })
        })?;
        if !(stage.can)(nemesis) {
            return Err(Trouble::Use(format!(
                "the stage `{}` cannot do the nemesis `{name}`",
                stage.name
            )));
        }
        if !all.contains(&nemesis) {
            all.push(nemesis);
        }
    }
    Ok(all)
}

pub(super) fn read_schedule(
    path: &Path,
    nodes: usize,
    stage: &Stage<'_>,
) -> Result<Schedule, Trouble> {
    let file =
        File::open(path).map_err(|source| Trouble::File { path: path.to_owned(), source })?;
    let schedule: Schedule = serde_json::from_reader(BufReader::new(file))
        .map_err(|e| Trouble::Use(format!("{} is no schedule: {e}", path.display())))?;
    if let Some(node) = schedule.stranger(nodes) {
        let account =
            format!("{} names node {node}, counted from 0; there are {nodes}", path.display());
        return Err(Trouble::Use(account));
    }
    let mut names = schedule.faults.iter().map(|fault| fault.what.name());
    match names.find(|name| Nemesis::named(name).is_none_or(|nemesis| !(stage.can)(nemesis))) {
        Some(name) => {
            Err(Trouble::Use(format!("the stage `{}` cannot do the nemesis `{name}`", stage.name)))
        }
        None => Ok(schedule),
    }
}

pub(super) fn fresh_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::from(now.subsec_nanos()) ^ (now.as_secs() & 0xffff) << 16
}

fn folder_of(case: &Case) -> PathBuf {
    PathBuf::from("arena-out").join(format!(
        "{}-{}-{}",
        case.workload.name(),
        case.target,
        case.seed
    ))
}

pub(super) fn figures(outcome: &Outcome) {
    say_on!("{}", report::figures(&outcome.history));
    let traffic = outcome.traffic;
    say!(
        "network       {} lines between nodes, {} lost, {} doubled, {} cut",
        traffic.sent,
        traffic.lost,
        traffic.duplicated,
        traffic.cut
    );
    let recovered: Vec<String> = outcome
        .recovered_us
        .iter()
        .map(|(node, after_us)| {
            let after = after_us.map_or("never".to_owned(), |us| format!("{} ms", us / 1000));
            format!("{node} {after}")
        })
        .collect();
    say!("recovery      after all faults: {}", recovered.join(", "));
}
