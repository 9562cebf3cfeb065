//! The command line: `arena WORKLOAD`, `arena all`, `arena check`.
//!
//! Owns arguments, exit status and what is printed: progress on standard error; figures, anomalies and, as the last line, the
//! verdict on standard output. Decides nothing about runs or histories itself.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line prints")]

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::checkers::{Checker, Judgement, judge};
use crate::door::Door;
use crate::history::{self, History, Outcome};
use crate::nemesis::Nemesis;
use crate::nemesis::draw::{Ground, draw};
use crate::play::{self, Play, Setup};
use crate::process::Processes;
use crate::schedule::Schedule;
use crate::stage::Stage;
use crate::workload::Kind;

/// Judges nodes that speak cohort's JSON protocol, under faults.
///
/// Exit status: 0 valid, 1 an anomaly was found, 2 it could not be judged, or wrong use.
#[derive(Debug, Parser)]
#[command(name = "arena", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Maelstrom's `kafka`: sends, polls and offset commits of logs.
    Kafka(RunArgs),
    /// Maelstrom's `lin-kv`: reads, writes and compare-and-set of registers.
    LinKv(RunArgs),
    /// Committed offsets, and groups that declare their membership.
    Offsets(RunArgs),
    /// Thin consumers: the coordinator assigns; eager and cooperative, static ones too.
    Groups(RunArgs),
    /// Kafka's classic consumers: the group's leader assigns.
    Classic(RunArgs),
    /// All five, one after the other.
    All(RunArgs),
    /// Checks a history from a file, whoever recorded it.
    Check {
        /// One JSON object a line: a header, operations, faults.
        file: PathBuf,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StageName {
    /// Processes of a program, over pipes, in real time.
    Real,
    /// All nodes in one thread, in virtual time.
    Sim,
}

#[derive(Debug, Clone, Args)]
struct RunArgs {
    /// Where the nodes run.
    #[arg(long, value_enum, default_value = "real")]
    stage: StageName,
    /// How many nodes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=25))]
    nodes: u16,
    /// How long faults may happen; start, recovery and the final reads come on top.
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// What goes wrong: a list with commas of partition, one-way, latency, loss, duplicate, reorder, pause, kill, clock,
    /// slow, clients, late; or `all` that the stage can do; or `none`.
    #[arg(long, default_value = "partition,pause")]
    nemesis: String,
    /// Draws operations and faults; drawn itself where it is not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Operations a second, over all clients.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: u32,
    /// Mean latency between nodes in milliseconds, also without the nemesis `latency`.
    #[arg(long, default_value_t = 0)]
    latency: u32,
    /// Lines between nodes that the nemesis `loss` loses, in percent.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=100))]
    loss: u32,
    /// Lines between nodes that the nemesis `duplicate` doubles, in percent.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=100))]
    duplicate: u32,
    /// How many clients; three for each node where it is not given.
    #[arg(long)]
    clients: Option<u16>,
    /// Requests that one client may have under way (workloads kafka, lin-kv and offsets).
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pipeline: u16,
    /// Every node has to serve again within so many seconds after the end of all faults.
    #[arg(long, default_value_t = 5)]
    recover: u32,
    /// The program to test; `cohort` beside this one where it is not given.
    #[arg(long, value_name = "PATH")]
    bin: Option<PathBuf>,
    /// Faults from a file (as a run keeps them) instead of drawing them.
    #[arg(long, value_name = "FILE")]
    schedule: Option<PathBuf>,
    /// Where to write the history.
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Where to write the report, one HTML file.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Arguments for the program to test.
    #[arg(last = true)]
    args: Vec<String>,
}

/// Could not be judged, or wrong use.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{0}")]
    Use(String),
    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    History(#[from] history::ReadError),
    #[error(transparent)]
    Stage(#[from] crate::stage::StageError),
    #[error("nothing to judge: {0}")]
    Run(String),
}

/// Runs the command that the arguments ask for.
pub fn main() -> ExitCode {
    let code = match Cli::parse().command {
        Command::Kafka(args) => run(Kind::Kafka, &args),
        Command::LinKv(args) => run(Kind::LinKv, &args),
        Command::Offsets(args) => run(Kind::Offsets, &args),
        Command::Groups(args) => run(Kind::Groups, &args),
        Command::Classic(args) => run(Kind::Classic, &args),
        Command::All(args) => return run_all(&args),
        Command::Check { file } => check(&file),
    };
    finish(code)
}

fn finish(code: Result<u8, Trouble>) -> ExitCode {
    match code {
        Ok(code) => ExitCode::from(code),
        Err(trouble) => {
            eprintln!("arena: {trouble}");
            println!("unknown: {trouble}");
            ExitCode::from(2)
        }
    }
}

fn run_all(args: &RunArgs) -> ExitCode {
    let mut worst = 0;
    let mut all = Vec::new();
    for kind in Kind::ALL {
        let code = run(kind, args).unwrap_or_else(|trouble| {
            println!("unknown: {trouble}");
            2
        });
        // An anomaly says more than a run that could not be judged.
        worst = if worst == 1 || code == 1 { 1 } else { worst.max(code) };
        all.push(format!("{} {}", kind.name(), ["valid", "ANOMALY", "unknown"][usize::from(code.min(2))]));
    }
    println!("{}", all.join(", "));
    ExitCode::from(worst)
}

fn check(file: &Path) -> Result<u8, Trouble> {
    let input = File::open(file).map_err(|source| Trouble::File { path: file.to_owned(), source })?;
    let history = History::read(BufReader::new(input))?;
    let judgement = judged(&history);
    println!("{judgement}");
    Ok(judgement.exit_code())
}

fn judged(history: &History) -> Judgement {
    let mut judgement = judge(history);
    judgement.verdicts.insert(0, (Door.name(), Door.check(history)));
    judgement
}

fn nemeses(list: &str, stage: &dyn Stage) -> Result<Vec<Nemesis>, Trouble> {
    if list == "none" {
        return Ok(Vec::new());
    }
    if list == "all" {
        return Ok(Nemesis::ALL.into_iter().filter(|nemesis| stage.can(*nemesis)).collect());
    }
    let mut all = Vec::new();
    for name in list.split(',').map(str::trim) {
        let nemesis = Nemesis::named(name).ok_or_else(|| {
            let known: Vec<&str> = Nemesis::ALL.iter().map(|nemesis| nemesis.name()).collect();
            Trouble::Use(format!("no nemesis `{name}`; there are {}, all, none", known.join(", ")))
        })?;
        if !stage.can(nemesis) {
            return Err(Trouble::Use(format!("the stage `{}` cannot do the nemesis `{name}`", stage.name())));
        }
        if !all.contains(&nemesis) {
            all.push(nemesis);
        }
    }
    Ok(all)
}

fn program(args: &RunArgs) -> Result<PathBuf, Trouble> {
    if let Some(path) = &args.bin {
        return path.canonicalize().map_err(|source| Trouble::File { path: path.clone(), source });
    }
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join("cohort")));
    beside.filter(|path| path.exists()).ok_or_else(|| {
        Trouble::Use("no `cohort` beside this program: build it, or name a program with --bin".to_owned())
    })
}

fn write(path: &Path, with: impl FnOnce(BufWriter<File>) -> std::io::Result<()>) -> Result<(), Trouble> {
    let failed = |source| Trouble::File { path: path.to_owned(), source };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    File::create(path).and_then(|file| with(BufWriter::new(file))).map_err(failed)
}

fn run(kind: Kind, args: &RunArgs) -> Result<u8, Trouble> {
    let seed = args.seed.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::from(now.subsec_nanos()) ^ (now.as_secs() & 0xffff) << 16
    });
    let stage_name = if args.stage == StageName::Real { "real" } else { "sim" };
    let folder = PathBuf::from("arena-out").join(format!("{}-{stage_name}-{seed}", kind.name()));
    let mut stage: Box<dyn Stage> = match args.stage {
        StageName::Real => Box::new(Processes::new(&program(args)?, args.args.clone(), &folder)),
        StageName::Sim => return Err(Trouble::Use("the stage `sim` is not there yet".to_owned())),
    };
    let nodes = usize::from(args.nodes);
    let slots = args.clients.map_or(nodes * 3, usize::from).max(nodes);
    let faults_us = u64::from(args.seconds) * 1_000_000;
    let schedule = schedule(args, &*stage, slots, faults_us, seed)?;
    let setup = Setup {
        workload: kind,
        nodes,
        slots,
        rate: args.rate,
        pipeline: usize::from(args.pipeline),
        latency_us: u64::from(args.latency) * 1_000,
        faults_us,
        recover_us: u64::from(args.recover) * 1_000_000,
        schedule: schedule.clone(),
        seed,
        stage: stage_name.to_owned(),
    };
    eprintln!("{} on {nodes} {stage_name} nodes with {slots} clients, seed {seed}", kind.name());
    let mut play = Play::new(setup);
    stage.run(&mut play, &mut |at_us, text| eprintln!("{:9.3} s  {text}", at_us as f64 / 1e6))?;
    let outcome = play.into_outcome();

    let history_file = args.history.clone().unwrap_or_else(|| folder.join("history.jsonl"));
    write(&history_file, |file| outcome.history.write(file))?;
    let schedule_file = folder.join("schedule.json");
    write(&schedule_file, |file| Ok(serde_json::to_writer(file, &schedule)?))?;
    if let Some(failure) = outcome.failure {
        return Err(Trouble::Run(failure));
    }
    let judgement = judged(&outcome.history);
    figures(&outcome);
    println!("history     {}", history_file.display());
    if judgement.exit_code() != 0 {
        println!("repeat with {}", again(kind, args, seed));
    }
    println!("{judgement}");
    Ok(judgement.exit_code())
}

fn schedule(
    args: &RunArgs,
    stage: &dyn Stage,
    slots: usize,
    length_us: u64,
    seed: u64,
) -> Result<Schedule, Trouble> {
    let nodes = usize::from(args.nodes);
    let Some(path) = &args.schedule else {
        let ground = Ground {
            nodes,
            slots,
            length_us,
            loss_ppm: args.loss * 10_000,
            duplicate_ppm: args.duplicate * 10_000,
        };
        return Ok(draw(&nemeses(&args.nemesis, stage)?, &ground, seed));
    };
    let file = File::open(path).map_err(|source| Trouble::File { path: path.clone(), source })?;
    let schedule: Schedule = serde_json::from_reader(BufReader::new(file))
        .map_err(|e| Trouble::Use(format!("{} is no schedule: {e}", path.display())))?;
    if let Some(node) = schedule.stranger(nodes) {
        return Err(Trouble::Use(format!(
            "{} names node {node}, counted from 0; there are {nodes}",
            path.display()
        )));
    }
    let unable = schedule
        .faults
        .iter()
        .map(|fault| fault.what.name())
        .find(|name| Nemesis::named(name).is_none_or(|nemesis| !stage.can(nemesis)));
    match unable {
        Some(name) => {
            Err(Trouble::Use(format!("the stage `{}` cannot do the nemesis `{name}`", stage.name())))
        }
        None => Ok(schedule),
    }
}

/// The line that repeats a run.
fn again(kind: Kind, args: &RunArgs, seed: u64) -> String {
    let stage = if args.stage == StageName::Real { "real" } else { "sim" };
    let mut line = format!(
        "scripts/arena {} --stage {stage} --nodes {} --seconds {} --nemesis {} --seed {seed} --rate {} --latency {} \
         --loss {} --duplicate {} --pipeline {} --recover {}",
        kind.name(),
        args.nodes,
        args.seconds,
        args.nemesis,
        args.rate,
        args.latency,
        args.loss,
        args.duplicate,
        args.pipeline,
        args.recover,
    );
    let mut add = |flag: &str, value: Option<String>| {
        if let Some(value) = value {
            line.push_str(&format!(" {flag} {value}"));
        }
    };
    add("--clients", args.clients.map(|n| n.to_string()));
    add("--bin", args.bin.as_ref().map(|path| path.display().to_string()));
    add("--schedule", args.schedule.as_ref().map(|path| path.display().to_string()));
    add("--", (!args.args.is_empty()).then(|| args.args.join(" ")));
    line
}

fn figures(outcome: &play::Outcome) {
    let count =
        |wanted| outcome.history.ops.iter().filter(|op| op.outcome == wanted && op.f != "door").count();
    let (ok, fail, info) = (count(Outcome::Ok), count(Outcome::Fail), count(Outcome::Info));
    let traffic = outcome.traffic;
    println!("operations  {ok} ok, {fail} failed, {info} unknown; {} faults", outcome.history.faults.len());
    println!(
        "network     {} lines between nodes, {} lost, {} doubled, {} cut",
        traffic.sent, traffic.lost, traffic.duplicated, traffic.cut
    );
    let recovered: Vec<String> = outcome
        .recovered_us
        .iter()
        .map(|(node, after_us)| {
            let after = after_us.map_or("never".to_owned(), |us| format!("{} ms", us / 1000));
            format!("{node} {after}")
        })
        .collect();
    println!("recovery    {}", recovered.join(", "));
}
