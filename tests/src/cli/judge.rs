//! `arena judge`: every workload over many seeds against brokers of cluster files, and a table.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use clap::Args;
use raft_store::flaws::Flaw;

use super::output::{complain, say, say_on};
use super::run::Stage;
use super::wire::{Place, perform};
use super::{Trouble, write};
use crate::checkers;
use crate::nemesis::Nemesis;
use crate::nemesis::draw::{Ground, NEAR_MS, draw};
use crate::nemesis::schedule::{Schedule, Scheduled, Victim, What};
use crate::report::{Latency, PauseFigures, Rebalance, pauses};
use crate::rng::Rng;
use crate::run::case::Finished;
use crate::wire::Setup;
use crate::workloads::Kind;

#[derive(Debug, Clone, Args)]
pub(super) struct JudgeArgs {
    /// How to start the brokers, as TOML; more than once for several.
    #[arg(long, value_name = "FILE", required = true)]
    cluster: Vec<PathBuf>,
    /// How many seeds for each cluster; workloads take turns.
    #[arg(long, default_value_t = 20)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// How long faults may happen in each run, in seconds.
    #[arg(long, default_value_t = 12)]
    seconds: u32,
    /// What goes wrong in every run, a list with commas; by default each seed draws some of what
    /// the cluster can stand.
    #[arg(long, value_name = "LIST", conflicts_with = "pauses")]
    nemesis: Option<String>,
    /// Only this workload.
    #[arg(long, value_name = "NAME")]
    workload: Option<String>,
    /// Puts a bug into every node of cohort on purpose, and stops when it is found.
    #[arg(long, value_name = "NAME")]
    flaw: Option<Flaw>,
    /// With `--flaw`: stops only when this predicate finds it.
    #[arg(long, value_name = "PREDICATE", requires = "flaw")]
    by: Option<String>,
    /// So many clusters at once.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16))]
    jobs: u8,
    /// Measures how long partitions stand still in rebalances, instead of judging under all faults:
    /// ten members a group come and go, and in every other run the coordinator is killed.
    #[arg(long, conflicts_with_all = ["workload", "flaw"])]
    pauses: bool,
    /// Keeps the history and the logs of every run in arena-out/, not only of those with anomalies.
    #[arg(long)]
    keep: bool,
    /// Where to write the table, as Markdown.
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
}

/// What is known of one cluster file.
#[derive(Debug, Default)]
struct Tally {
    runs: u64,
    valid: u64,
    operations: usize,
    faults: usize,
    /// How often a node was killed.
    kills: usize,
    /// Runs that could not be judged.
    unknown: u64,
    /// By predicate: in how many runs it was judged and held.
    held: BTreeMap<String, u64>,
    /// Rebalances: of each group, and whether brokers were killed.
    rebalances: BTreeMap<(String, bool), Vec<Rebalance>>,
    /// By predicate: the seeds of the runs in which it did not hold.
    broken: BTreeMap<String, Vec<(u64, &'static str)>>,
}

/// A run that is still to be made.
struct Todo {
    cluster: usize,
    kind: Kind,
    seed: u64,
}

pub(super) fn judge(args: &JudgeArgs) -> Result<u8, Trouble> {
    if let Some(by) = &args.by
        && !checkers::all().iter().any(|checker| checker.name() == by)
    {
        return Err(Trouble::Use(format!("no predicate `{by}`: docs/checkers.md lists them")));
    }
    let places: Vec<Place> = args
        .cluster
        .iter()
        .map(|path| Place::of_file(path, args.flaw))
        .collect::<Result<_, _>>()?;
    let kinds: Vec<Kind> = match &args.workload {
        Some(name) => {
            let known = Kind::WIRE.into_iter().find(|kind| kind.name() == name);
            let kind =
                known.ok_or_else(|| Trouble::Use(format!("no workload `{name}` on the wire")))?;
            places.iter().try_for_each(|place| place.must_serve(kind))?;
            vec![kind]
        }
        None if args.pauses => vec![Kind::Classic],
        None => Kind::WIRE.to_vec(),
    };
    let mut todo = Vec::new();
    for (cluster, place) in places.iter().enumerate() {
        let served: Vec<Kind> = kinds.iter().copied().filter(|kind| place.serves(*kind)).collect();
        let seeds = (args.from..args.from + args.seeds).zip(served.iter().cycle());
        todo.extend(seeds.map(|(seed, kind)| Todo { cluster, kind: *kind, seed }));
    }
    let next = AtomicUsize::new(0);
    let tallies: Mutex<Vec<Tally>> = Mutex::new(places.iter().map(|_| Tally::default()).collect());
    let found = AtomicBool::new(false);
    let work = || -> Result<(), Trouble> {
        while let Some(todo) = todo.get(next.fetch_add(1, Ordering::Relaxed)) {
            let anomaly = one(args, &places[todo.cluster], todo, &tallies)?;
            if found.fetch_or(anomaly && args.flaw.is_some(), Ordering::Relaxed) {
                break;
            }
        }
        Ok(())
    };
    let ended: Vec<Result<(), Trouble>> = std::thread::scope(|scope| {
        let jobs: Vec<_> = (0..args.jobs).map(|_| scope.spawn(work)).collect();
        let panicked = |_| Err(Trouble::Run("a run panicked".to_owned()));
        jobs.into_iter().map(|job| job.join().unwrap_or_else(panicked)).collect()
    });
    ended.into_iter().collect::<Result<(), Trouble>>()?;
    let tallies = tallies.into_inner().unwrap_or_else(PoisonError::into_inner);
    let table = table(args, &places, &tallies);
    say_on!("{table}");
    if let Some(path) = &args.table {
        write(path, |mut file| std::io::Write::write_all(&mut file, table.as_bytes()))?;
    }
    let wrong = tallies.iter().any(|tally| !tally.broken.is_empty());
    let unknown: u64 = tallies.iter().map(|tally| tally.unknown).sum();
    say!(
        "{}",
        if wrong {
            "anomaly"
        } else if unknown > 0 {
            "unknown"
        } else {
            "valid"
        }
    );
    Ok(if wrong {
        1
    } else if unknown > 0 {
        2
    } else {
        0
    })
}

/// Some of the nemeses that the cluster can stand: each with a probability of the seed's.
fn nemeses(place: &Place, seed: u64) -> Vec<Nemesis> {
    let mut rng = Rng::new(seed, "nemeses of a judge");
    let percent = u32::try_from(rng.between(10, 60)).unwrap_or(10);
    let able = Nemesis::ALL.into_iter().filter(|nemesis| place.can(*nemesis));
    able.filter(|_| rng.percent(percent)).collect()
}

/// The coordinator dies every six seconds, and comes back two seconds later.
fn kills_of_coordinators(seconds: u32) -> Schedule {
    let what = What::Restart { who: Victim::Leader };
    let at = (2..seconds).step_by(6).map(|at| u64::from(at) * 1_000_000);
    let faults = at.map(|at_us| Scheduled { at_us, for_us: 2_000_000, what: what.clone() });
    Schedule { faults: faults.collect() }
}

/// A run, and the line that repeats it.
fn case(args: &JudgeArgs, place: &Place, todo: &Todo) -> Result<(Setup, String), Trouble> {
    let (kind, seed) = (todo.kind, todo.seed);
    let nemeses = match &args.nemesis {
        Some(list) => {
            super::run::nemeses(list, &Stage { name: "wire", can: &|nemesis| place.can(nemesis) })?
        }
        None if args.pauses => Vec::new(),
        None => nemeses(place, seed),
    };
    // Few clients that ask often, or many that ask seldom: those still ask a leader that hangs.
    let mut rng = Rng::new(seed, "clients of a judge");
    let (many, rate) = if rng.percent(50) { (3, 40) } else { (1, 200) };
    // A third of the clients produce, the others are in two groups.
    let (clients, rate) =
        if args.pauses { (30, 2_000) } else { (many * place.usual_clients(), rate) };
    let ground = Ground {
        nodes: place.nodes(),
        slots: clients,
        length_us: u64::from(args.seconds) * 1_000_000,
        loss_ppm: 0,
        duplicate_ppm: 0,
        latency_max_ms: NEAR_MS,
    };
    let schedule = if todo.coordinator_dies(args) {
        kills_of_coordinators(args.seconds)
    } else {
        draw(&nemeses, &ground, seed)
    };
    let mut setup = place.setup(kind, clients, (rate, 1), args.seconds, schedule, seed);
    setup.calm = args.pauses;
    let names: Vec<&str> = nemeses.iter().map(|nemesis| nemesis.name()).collect();
    let faults = if names.is_empty() { "none".to_owned() } else { names.join(",") };
    let flaw = args.flaw.map_or(String::new(), |flaw| format!(" --flaw {flaw}"));
    if args.pauses {
        let (flags, seconds) = (place.flags(), args.seconds);
        let repeat =
            format!("scripts/judge --pauses {flags} --seeds 1 --from {seed} --seconds {seconds}");
        return Ok((setup, repeat));
    }
    let repeat = format!(
        "scripts/arena {} --stage wire {}{flaw} --seconds {} --nemesis {faults} --seed {seed} \
         --rate {rate} --pipeline 1 --clients {clients}",
        kind.name(),
        place.flags(),
        args.seconds,
    );
    Ok((setup, repeat))
}

/// Makes one run. Whether it found an anomaly, or the one that is looked for.
fn one(
    args: &JudgeArgs,
    place: &Place,
    todo: &Todo,
    tallies: &Mutex<Vec<Tally>>,
) -> Result<bool, Trouble> {
    let (name, kind, seed) = (place.name(), todo.kind.name(), todo.seed);
    let (setup, repeat) = case(args, place, todo)?;
    let folder = PathBuf::from("arena-out").join(format!("judge-{name}-{kind}-{seed}"));
    let finished = perform(place, setup, &folder, &mut |_, _| {})?;
    let anomaly = finished.judgement.exit_code() == 1;
    if anomaly || args.keep {
        write(&folder.join("history.jsonl"), |file| finished.outcome.history.write(file))?;
    }
    let mut tallies = tallies.lock().unwrap_or_else(PoisonError::into_inner);
    let tally = &mut tallies[todo.cluster];
    tally.add(&finished, todo);
    if let Some(failure) = &finished.outcome.failure {
        say!("{name} {kind} seed {seed}: unknown: {failure}\n  repeat with {repeat}");
        return Ok(false);
    }
    if args.pauses {
        for rebalance in pauses(&finished.outcome.history) {
            let of = (rebalance.group.clone(), todo.coordinator_dies(args));
            tally.rebalances.entry(of).or_default().push(rebalance);
        }
    }
    let summary = finished.judgement.summary();
    complain!("{name} {kind} seed {seed}: {summary}");
    if !anomaly {
        if !args.keep {
            // Nobody reads the logs of a run that went well.
            let _gone = std::fs::remove_dir_all(&folder);
        }
        return Ok(false);
    }
    say!("{name} {kind} seed {seed}: {summary}\n  repeat with {repeat}");
    say!("{}", finished.judgement);
    let mut broken = finished.judgement.anomalies().map(|(predicate, _)| predicate);
    Ok(args.by.as_ref().is_none_or(|by| broken.any(|predicate| predicate == by)))
}

impl Todo {
    /// Whether the coordinator is killed in this run, of those that measure pauses.
    fn coordinator_dies(&self, args: &JudgeArgs) -> bool {
        args.pauses && self.seed.is_multiple_of(2)
    }
}

impl Tally {
    /// Adds a run.
    fn add(&mut self, finished: &Finished, todo: &Todo) {
        let outcome = &finished.outcome;
        self.runs += 1;
        if outcome.failure.is_some() {
            self.unknown += 1;
            return;
        }
        self.operations += outcome.history.ops.len();
        self.faults += outcome.history.faults.len();
        let kills = outcome.history.faults.iter().filter(|fault| fault.fault == "restart");
        self.kills += kills.count();
        for (predicate, verdict) in &finished.judgement.verdicts {
            if verdict.is_valid() {
                *self.held.entry((*predicate).to_owned()).or_default() += 1;
            }
        }
        for (predicate, _) in finished.judgement.anomalies() {
            let broken = self.broken.entry(predicate.to_owned()).or_default();
            broken.push((todo.seed, todo.kind.name()));
        }
        match finished.judgement.exit_code() {
            0 => self.valid += 1,
            1 => {}
            _ => self.unknown += 1,
        }
    }
}

/// How long partitions stood still, by broker and group.
fn table_of_pauses(places: &[Place], tallies: &[Tally]) -> String {
    let mut text = String::from(
        "\n| broker | group | coordinator | rebalances | kept: p50 | p99 | worst | moved: p50 | p99 | \
         worst |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for (place, tally) in places.iter().zip(tallies) {
        for ((group, kills), rebalances) in &tally.rebalances {
            let figures = PauseFigures::of(rebalances.iter());
            let of = |latency: Latency| {
                // Nothing measured is not no pause.
                if latency.count == 0 {
                    return "- | - | -".to_owned();
                }
                let ms = |us: u64| format!("{:.1} ms", us as f64 / 1e3);
                format!("{} | {} | {}", ms(latency.p50), ms(latency.p99), ms(latency.max))
            };
            let (name, count) = (place.name(), rebalances.len());
            let killed = if *kills { "killed at times" } else { "stays" };
            let (kept, moved) = (of(figures.kept), of(figures.moved));
            // Writing to a string does not fail.
            let _ = writeln!(text, "| {name} | {group} | {killed} | {count} | {kept} | {moved} |");
        }
    }
    text
}

fn table(args: &JudgeArgs, places: &[Place], tallies: &[Tally]) -> String {
    let mut text =
        String::from("| broker | nodes | runs | valid | operations | faults | of them kills |\n");
    text.push_str("| --- | --- | --- | --- | --- | --- | --- |\n");
    for (place, tally) in places.iter().zip(tallies) {
        let Tally { runs, valid, operations, faults, kills, .. } = tally;
        let (name, nodes) = (place.name(), place.nodes());
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| {name} | {nodes} | {runs} | {valid} | {operations} | {faults} | {kills} |"
        );
    }
    let names: Vec<&str> = places.iter().map(Place::name).collect();
    let _ = writeln!(text, "\n| predicate | {} |", names.join(" | "));
    let _ = writeln!(text, "| --- |{}", " --- |".repeat(places.len()));
    let mut all: Vec<&String> =
        tallies.iter().flat_map(|tally| tally.held.keys().chain(tally.broken.keys())).collect();
    all.sort();
    all.dedup();
    for predicate in all {
        let cell = |tally: &Tally| match (tally.broken.get(predicate), tally.held.get(predicate)) {
            (Some(broken), held) => {
                let (seed, kind) = broken.first().copied().unwrap_or_default();
                let runs = broken.len() as u64 + held.copied().unwrap_or(0);
                format!("**{} of {runs}**, first `{kind}` seed {seed}", broken.len())
            }
            (None, Some(held)) => format!("holds ({held})"),
            (None, None) => "not judged".to_owned(),
        };
        let cells: Vec<String> = tallies.iter().map(cell).collect();
        let _ = writeln!(text, "| `{predicate}` | {} |", cells.join(" | "));
    }
    if args.pauses {
        text.push_str(&table_of_pauses(places, tallies));
    }
    let _ = writeln!(
        text,
        "\nSeeds {} to {}, {} s of faults each, workloads in turn.",
        args.from,
        args.from + args.seeds - 1,
        args.seconds
    );
    text
}
