//! The command line: `arena WORKLOAD`, `arena all`, `arena soak`, `arena kills`, `arena check`,
//! `arena watch`, `arena load`, `arena joins`; `scripts/bench` is here too.
//!
//! Owns arguments, exit status and what is printed: progress on standard error; figures, anomalies
//! and, as the last line, the verdict on standard output. Decides nothing about runs or histories
//! itself.

mod output;
use output::{complain, say};

mod broker;
mod check;
mod judge;
mod kills;
mod load;
mod run;
mod soak;
mod toy;
mod watch;
mod wire;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Parser, Subcommand, ValueEnum};

use crate::checkers::Judgement;
use crate::history::{self, History};
use crate::load::{bench, durable, figures, joins};
use crate::report;
use crate::run::case::Case;
use crate::targets::Target;
use crate::targets::process::Processes;
use crate::workloads::Kind;
use kills::KillsArgs;
use run::{RunArgs, run, run_all};
use soak::SoakArgs;
use watch::WatchArgs;

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
    /// Idempotent producers, while records and topics are deleted beneath them; not with
    /// `--stage wire`.
    Records(RunArgs),
    /// Partition logs: plain and idempotent producers, and readers; only with `--stage wire`.
    Log(RunArgs),
    /// Kafka's consumers of KIP-848, over Kafka's wire.
    Consumer(RunArgs),
    /// Applications that somebody else wrote, as a group; only with `--stage wire` and `--app`.
    Apps(RunArgs),
    /// All that the stage has, one after the other.
    All(RunArgs),
    /// Case after case, each with its own workload, size and mix of faults, drawn from its seed.
    Soak(SoakArgs),
    /// Real processes are killed at random moments and come back, many times; all histories are
    /// judged.
    Kills(KillsArgs),
    /// Checks a history from a file, whoever recorded it.
    Check {
        /// One JSON object a line: a header, operations, faults.
        file: PathBuf,
        /// Where to write the report, one HTML file.
        #[arg(long, value_name = "FILE")]
        report: Option<PathBuf>,
    },
    /// Every workload over many seeds against brokers of Kafka's wire, and a table of what held.
    Judge(judge::JudgeArgs),
    /// A node of `cohort serve` with a planted bug, to see it found.
    Broker(broker::BrokerArgs),
    /// Passes on what an application and its brokers of Kafka's say to each other, writes it down
    /// as a history, and judges it.
    Watch(WatchArgs),
    /// An application for the workload `apps`, which needs no client library.
    #[command(hide = true)]
    ToyApp(toy::ToyArgs),
    /// Measures throughput and latency of every operation, at several sizes, with the floor beside
    /// it.
    Load(figures::Args),
    /// Has many consumers join a group at once, and measures what that costs them and others.
    ///
    /// Exit status: 1 if a reply came long after its deadline.
    Joins(joins::Args),
    /// What `scripts/bench` runs.
    #[command(hide = true)]
    Bench(bench::Args),
    /// What `scripts/bench --durable` runs.
    #[command(hide = true)]
    Durable(durable::Args),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TargetName {
    /// Processes of a program, over pipes, in real time.
    Real,
    /// All nodes in one thread, in virtual time.
    Sim,
    /// Brokers that speak Kafka's wire, over TCP, in real time.
    Wire,
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
        Command::Records(args) => run(Kind::Records, &args),
        Command::Log(args) => run(Kind::Log, &args),
        Command::Consumer(args) => run(Kind::Consumer, &args),
        Command::Apps(args) => run(Kind::Apps, &args),
        Command::All(args) => return run_all(&args),
        Command::Soak(args) => soak::soak_cases(&args),
        Command::Kills(args) => kills::kill_processes(&args),
        Command::Check { file, report } => check::check(&file, report.as_deref()),
        Command::Judge(args) => judge::judge(&args),
        Command::ToyApp(args) => toy::read(&args),
        Command::Broker(args) => broker::serve(&args),
        Command::Watch(args) => watch::watch_brokers(&args),
        Command::Load(args) => load::load(&args),
        Command::Joins(args) => load::join(&args),
        Command::Bench(args) => return load::compare(&args),
        Command::Durable(args) => return load::compare_durable(&args),
    };
    finish(code)
}

/// The wall clock, in ms since 1970.
fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(0)
}

fn finish(code: Result<u8, Trouble>) -> ExitCode {
    match code {
        Ok(code) => ExitCode::from(code),
        Err(trouble) => {
            complain!("arena: {trouble}");
            say!("unknown: {trouble}");
            ExitCode::from(2)
        }
    }
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

fn write_report(path: &Path, history: &History, judgement: &Judgement) -> Result<(), Trouble> {
    let page = report::render(history, &judgement.verdicts);
    write(path, |mut file| {
        file.write_all(page.as_bytes())?;
        file.flush()
    })?;
    say!("report        {}", path.display());
    Ok(())
}
