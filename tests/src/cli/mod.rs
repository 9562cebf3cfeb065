//! The command line: `arena WORKLOAD`, `arena all`, `arena soak`, `arena check`, `arena load`;
//! `scripts/bench` is here too.
//!
//! Owns arguments, exit status and what is printed: progress on standard error; figures, anomalies
//! and, as the last line, the verdict on standard output. Decides nothing about runs or histories
//! itself.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line prints")]

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::{Args, Parser, Subcommand, ValueEnum};
use cohort::config::Config;
use raft_store::flaws::Flaw;

use crate::checkers::Judgement;
use crate::history::{self, History};
use crate::load::{bench, figures};
use crate::nemesis::Nemesis;
use crate::nemesis::schedule::Schedule;
use crate::report;
use crate::run;
use crate::run::case::{Case, Finished, judged};
use crate::run::soak::soak;
use crate::targets::process::Processes;
use crate::targets::sim::Sim;
use crate::targets::{Target, TargetError};
use crate::workloads::Kind;

/// Judges nodes that speak cohort's JSON protocol, under faults.
///
/// Exit status: 0 valid, 1 an anomaly was found, 2 it could not be judged, or wrong use. Of `load`:
/// 0 every request was answered right, 1 one was not.
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
    /// Case after case, each with its own workload, size and mix of faults, drawn from its seed.
    Soak(SoakArgs),
    /// Checks a history from a file, whoever recorded it.
    Check {
        /// One JSON object a line: a header, operations, faults.
        file: PathBuf,
        /// Where to write the report, one HTML file.
        #[arg(long, value_name = "FILE")]
        report: Option<PathBuf>,
    },
    /// Measures throughput and latency of every operation, at several sizes, with the floor beside
    /// it.
    Load(figures::Args),
    /// What `scripts/bench` runs.
    #[command(hide = true)]
    Bench(bench::Args),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TargetName {
    /// Processes of a program, over pipes, in real time.
    Real,
    /// All nodes in one thread, in virtual time.
    Sim,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Distribution {
    /// Every line takes the mean.
    Constant,
    /// Between a fifth and nine fifths of the mean, one in fifty four times as long.
    Spread,
}

#[derive(Debug, Clone, Args)]
struct RunArgs {
    /// Where the nodes run.
    #[arg(long, value_enum, default_value = "real")]
    stage: TargetName,
    /// How many nodes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=25))]
    nodes: u16,
    /// How long faults may happen; start, recovery and the final reads come on top.
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// What goes wrong: a list with commas of partition, one-way, latency, loss, duplicate,
    /// reorder, pause, kill, clock, slow, clients, late, restart; or `all` that the target can do;
    /// or `none`.
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
    /// Whether every line between nodes takes exactly the mean latency, or a time around it.
    #[arg(long, value_enum, default_value = "spread")]
    latency_dist: Distribution,
    /// The longest mean latency of the nemesis `latency`, in milliseconds.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    latency_max: u32,
    /// How long a client waits for a reply, in seconds; nodes have to be told by `--
    /// --request-timeout`.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(5..=600))]
    patience: u32,
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
    /// Puts a fault into every node on purpose, to see it found; only with `--stage sim`. A wrong
    /// name lists all.
    #[arg(long, value_name = "NAME")]
    flaw: Option<Flaw>,
    /// Where to write the history.
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Where to write what the nodes' states were, as one JSON object; only with `--stage sim`.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Where to write the report, one HTML file; beside the history in arena-out/ where it is not
    /// given.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Arguments for the program to test.
    #[arg(last = true)]
    args: Vec<String>,
}

#[derive(Debug, Clone, Args)]
struct SoakArgs {
    /// Where the nodes run.
    #[arg(long, value_enum, default_value = "sim")]
    stage: TargetName,
    /// Stops after so many minutes.
    #[arg(long)]
    minutes: Option<f64>,
    /// Stops after so many cases; 100 where no time is given either.
    #[arg(long)]
    cases: Option<u64>,
    /// The first seed; each case takes the next one.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// One workload instead of all five.
    #[arg(long)]
    workload: Option<String>,
    /// Tells where it stands after so many cases each.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,
    /// Puts a fault into every node on purpose, to see it found; only with `--stage sim`. A wrong
    /// name lists all.
    #[arg(long, value_name = "NAME")]
    flaw: Option<Flaw>,
    /// The program to test; `cohort` beside this one where it is not given.
    #[arg(long, value_name = "PATH")]
    bin: Option<PathBuf>,
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
    Target(#[from] crate::targets::TargetError),
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
        Command::Soak(args) => soak_cases(&args),
        Command::Check { file, report } => check(&file, report.as_deref()),
        Command::Load(args) => load(&args),
        Command::Bench(args) => return compare(&args),
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
        all.push(format!(
            "{} {}",
            kind.name(),
            ["valid", "ANOMALY", "unknown"][usize::from(code.min(2))]
        ));
    }
    println!("{}", all.join(", "));
    ExitCode::from(worst)
}

fn check(file: &Path, report: Option<&Path>) -> Result<u8, Trouble> {
    let input =
        File::open(file).map_err(|source| Trouble::File { path: file.to_owned(), source })?;
    let history = History::read(BufReader::new(input))?;
    let judgement = judged(&history);
    if let Some(path) = report {
        write_report(path, &history, &judgement)?;
    }
    println!("{judgement}");
    Ok(judgement.exit_code())
}

/// A progress line.
fn tell(text: &str) {
    eprintln!("{text}");
}

fn load(args: &figures::Args) -> Result<u8, Trouble> {
    let cohort = program(args.bin.as_ref())?;
    let floor = match &args.floor {
        Some(path) => Some(program(Some(path))?),
        None => beside("examples/floor"),
    };
    if floor.is_none() {
        tell("no `examples/floor` beside this program: measuring without it");
    }
    let figures = figures::measure(args, &cohort, floor.as_deref(), &tell)
        .map_err(|source| Trouble::File { path: "/proc".into(), source })?;
    println!("{figures}");
    Ok(u8::from(figures.failed()))
}

fn compare(args: &bench::Args) -> ExitCode {
    match bench::measure(args, &tell) {
        Ok(table) => {
            print!("{table}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("scripts/bench: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn nemeses(list: &str, target: &dyn Target) -> Result<Vec<Nemesis>, Trouble> {
    if list == "none" {
        return Ok(Vec::new());
    }
    if list == "all" {
        return Ok(Nemesis::ALL.into_iter().filter(|nemesis| target.can(*nemesis)).collect());
    }
    let mut all = Vec::new();
    for name in list.split(',').map(str::trim) {
        let nemesis = Nemesis::named(name).ok_or_else(|| {
            let known: Vec<&str> = Nemesis::ALL.iter().map(|nemesis| nemesis.name()).collect();
            Trouble::Use(format!("no nemesis `{name}`; there are {}, all, none", known.join(", ")))
        })?;
        if !target.can(nemesis) {
            return Err(Trouble::Use(format!(
                "the stage `{}` cannot do the nemesis `{name}`",
                target.name()
            )));
        }
        if !all.contains(&nemesis) {
            all.push(nemesis);
        }
    }
    Ok(all)
}

fn program(bin: Option<&PathBuf>) -> Result<PathBuf, Trouble> {
    if let Some(path) = bin {
        return path.canonicalize().map_err(|source| Trouble::File { path: path.clone(), source });
    }
    beside("cohort").ok_or_else(|| {
        Trouble::Use(
            "no `cohort` beside this program: build it, or name a program with --bin".to_owned(),
        )
    })
}

/// A file beside this program, if there is one.
fn beside(name: &str) -> Option<PathBuf> {
    let path = std::env::current_exe().ok()?.parent()?.join(name);
    path.exists().then_some(path)
}

fn write(
    path: &Path,
    with: impl FnOnce(BufWriter<File>) -> std::io::Result<()>,
) -> Result<(), Trouble> {
    let failed = |source| Trouble::File { path: path.to_owned(), source };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    File::create(path).and_then(|file| with(BufWriter::new(file))).map_err(failed)
}

fn fresh_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::from(now.subsec_nanos()) ^ (now.as_secs() & 0xffff) << 16
}

/// The target of a run; `logs` is where real processes leave theirs.
fn target(case: &Case, logs: &Path) -> Result<Box<dyn Target>, Trouble> {
    if case.target == "real" {
        if case.flaw.is_some() {
            return Err(Trouble::Use(
                "--flaw is for the stage `sim`: released nodes have no flaws".to_owned(),
            ));
        }
        return Ok(Box::new(Processes::new(&program(case.bin.as_ref())?, case.args.clone(), logs)));
    }
    if case.bin.is_some() {
        return Err(Trouble::Use(
            "the stage `sim` runs cohort's own code; --bin is for real processes".to_owned(),
        ));
    }
    Ok(Box::new(case.simulator()?))
}

fn folder_of(case: &Case) -> PathBuf {
    PathBuf::from("arena-out").join(format!(
        "{}-{}-{}",
        case.workload.name(),
        case.target,
        case.seed
    ))
}

fn run(kind: Kind, args: &RunArgs) -> Result<u8, Trouble> {
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
        Some(path) => read_schedule(path, nodes, &*target)?,
        None => {
            case.nemeses = nemeses(&args.nemesis, &*target)?;
            case.draw_schedule()
        }
    };
    eprintln!(
        "{} on {nodes} {} nodes with {} clients, seed {}",
        kind.name(),
        case.target,
        case.clients,
        case.seed
    );
    write(&folder.join("schedule.json"), |file| Ok(serde_json::to_writer(file, &schedule)?))?;
    let mut tell = |at_us, text: &str| eprintln!("{:9.3} s  {text}", at_us as f64 / 1e6);
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
    println!("history       {}", history_file.display());
    let report_file = args.report.clone().unwrap_or_else(|| folder.join("report.html"));
    write_report(&report_file, &outcome.history, &judgement)?;
    if judgement.exit_code() != 0 {
        println!("repeat with {}", case.repeat());
    }
    println!("{judgement}");
    Ok(judgement.exit_code())
}

fn read_schedule(path: &Path, nodes: usize, target: &dyn Target) -> Result<Schedule, Trouble> {
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
    match names.find(|name| Nemesis::named(name).is_none_or(|nemesis| !target.can(nemesis))) {
        Some(name) => Err(Trouble::Use(format!(
            "the stage `{}` cannot do the nemesis `{name}`",
            target.name()
        ))),
        None => Ok(schedule),
    }
}

/// Case after case; a failing one keeps its history and says how to repeat it.
fn soak_cases(args: &SoakArgs) -> Result<u8, Trouble> {
    let until = args
        .minutes
        .map(|minutes| Instant::now() + Duration::from_secs_f64(minutes.max(0.0) * 60.0));
    let cases = args.cases.unwrap_or(if until.is_some() { u64::MAX } else { 100 });
    let workloads: Vec<Kind> = match &args.workload {
        Some(name) => {
            vec![Kind::named(name).ok_or_else(|| Trouble::Use(format!("no workload `{name}`")))?]
        }
        None => Kind::ALL.to_vec(),
    };
    let logs = |case: &Case| {
        PathBuf::from("arena-out").join(format!("soak-{}-{}", case.target, case.seed))
    };
    let target_name = if args.stage == TargetName::Real { "real" } else { "sim" };
    // What a target can do is the same for every case.
    let as_asked = |case: &Case| Case { bin: args.bin.clone(), flaw: args.flaw, ..case.clone() };
    let any =
        Case { target: target_name, ..Case::swarm(0, &Sim::new(0, Config::default()), &workloads) };
    let able = target(&as_asked(&any), Path::new("arena-out"))?;
    let mut target_of = |case: &Case| target(&as_asked(case), &logs(case));
    let mut trouble = None;
    let mut end = |case: &Case,
                   finished: &Result<Finished, TargetError>,
                   tally: &crate::run::soak::Tally| {
        let case = as_asked(case);
        let folder = logs(&case);
        let failed = match finished {
            Err(trouble) => Some(trouble.to_string()),
            Ok(Finished { outcome, judgement, .. }) => {
                let wrong = (judgement.exit_code() != 0).then(|| judgement.summary());
                outcome.failure.clone().or(wrong)
            }
        };
        if let Some(what) = failed {
            println!("seed {}: {what}\n  repeat with {}", case.seed, case.repeat());
            if let Ok(Finished { outcome, .. }) = finished {
                let file = folder.join("history.jsonl");
                println!("  history     {}", file.display());
                trouble = write(&file, |file| outcome.history.write(file)).err().or(trouble.take());
            }
        } else if args.stage == TargetName::Real {
            // Nobody reads the logs of a run that went well.
            let _kept = std::fs::remove_dir_all(folder);
        }
        if tally.cases.is_multiple_of(args.every) {
            eprintln!("{}", tally.summary());
        }
    };
    let seeds = (args.from..).take(usize::try_from(cases).unwrap_or(usize::MAX));
    let tally = soak(seeds, until, &workloads, &mut target_of, &*able, &mut end)?;
    if let Some(trouble) = trouble {
        return Err(trouble);
    }
    for (fault, count) in &tally.faults {
        println!("faults      {count} {fault}");
    }
    println!("{}", tally.summary());
    let code = if tally.anomalies > 0 { 1 } else { u8::from(tally.unknown > 0) * 2 };
    println!("{} from seed {}", ["valid", "anomaly", "unknown"][usize::from(code)], args.from);
    Ok(code)
}

fn figures(outcome: &run::Outcome) {
    print!("{}", report::figures(&outcome.history));
    let traffic = outcome.traffic;
    println!(
        "network       {} lines between nodes, {} lost, {} doubled, {} cut",
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
    println!("recovery      after all faults: {}", recovered.join(", "));
}

fn write_report(path: &Path, history: &History, judgement: &Judgement) -> Result<(), Trouble> {
    let page = report::render(history, &judgement.verdicts);
    write(path, |mut file| {
        file.write_all(page.as_bytes())?;
        file.flush()
    })?;
    println!("report        {}", path.display());
    Ok(())
}
