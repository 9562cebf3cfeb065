//! `arena judge`: every workload over many seeds against brokers of cluster files, and a table.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use clap::Args;
use raft_store::flaws::Flaw;

use super::output::{complain, say, say_on};
use super::wire::{Place, perform};
use super::{Trouble, write};
use crate::nemesis::Nemesis;
use crate::nemesis::draw::{Ground, NEAR_MS, draw};
use crate::rng::Rng;
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
    /// Only this workload.
    #[arg(long, value_name = "NAME")]
    workload: Option<String>,
    /// Puts a bug into every node of cohort on purpose, and stops when it is found.
    #[arg(long, value_name = "NAME")]
    flaw: Option<Flaw>,
    /// So many clusters at once.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16))]
    jobs: u8,
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
    /// Runs that could not be judged.
    unknown: u64,
    /// By predicate: in how many runs it was judged and held.
    held: BTreeMap<String, u64>,
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

fn one(
    args: &JudgeArgs,
    place: &Place,
    todo: &Todo,
    tallies: &Mutex<Vec<Tally>>,
) -> Result<bool, Trouble> {
    let (kind, seed) = (todo.kind, todo.seed);
    let nemeses = nemeses(place, seed);
    // Few clients that ask often, or many that ask seldom: those still ask a leader that hangs.
    let mut rng = Rng::new(seed, "clients of a judge");
    let (many, rate) = if rng.percent(50) { (3, 40) } else { (1, 200) };
    let clients = many * place.usual_clients();
    let ground = Ground {
        nodes: place.nodes(),
        slots: clients,
        length_us: u64::from(args.seconds) * 1_000_000,
        loss_ppm: 0,
        duplicate_ppm: 0,
        latency_max_ms: NEAR_MS,
    };
    let schedule = draw(&nemeses, &ground, seed);
    let setup = place.setup(kind, clients, (rate, 1), args.seconds, schedule, seed);
    let folder =
        PathBuf::from("arena-out").join(format!("judge-{}-{}-{seed}", place.name(), kind.name()));
    let finished = perform(place, setup, &folder, &mut |_, _| {})?;
    let mut tallies = tallies.lock().unwrap_or_else(PoisonError::into_inner);
    let tally = &mut tallies[todo.cluster];
    tally.runs += 1;
    let names: Vec<&str> = nemeses.iter().map(|nemesis| nemesis.name()).collect();
    let faults = if names.is_empty() { "none".to_owned() } else { names.join(",") };
    let repeat = format!(
        "scripts/arena {} --stage wire {} --seconds {} --nemesis {faults} --seed {seed} --rate {rate} \
         --pipeline 1 --clients {clients}",
        kind.name(),
        place.flags(),
        args.seconds,
    );
    let (name, outcome) = (place.name(), &finished.outcome);
    if let Some(failure) = &outcome.failure {
        tally.unknown += 1;
        say!("{name} {} seed {seed}: unknown: {failure}\n  repeat with {repeat}", kind.name());
        return Ok(false);
    }
    tally.operations += outcome.history.ops.len();
    tally.faults += outcome.history.faults.len();
    for (predicate, verdict) in &finished.judgement.verdicts {
        if verdict.is_valid() {
            *tally.held.entry((*predicate).to_owned()).or_default() += 1;
        }
    }
    let summary = finished.judgement.summary();
    complain!("{name} {} seed {seed}: {summary}", kind.name());
    if finished.judgement.exit_code() != 1 {
        tally.valid += 1;
        // Nobody reads the logs of a run that went well.
        let _gone = std::fs::remove_dir_all(&folder);
        return Ok(false);
    }
    for (predicate, _) in finished.judgement.anomalies() {
        tally.broken.entry(predicate.to_owned()).or_default().push((seed, kind.name()));
    }
    write(&folder.join("history.jsonl"), |file| outcome.history.write(file))?;
    say!("{name} {} seed {seed}: {summary}\n  repeat with {repeat}", kind.name());
    say!("{}", finished.judgement);
    Ok(true)
}

fn table(args: &JudgeArgs, places: &[Place], tallies: &[Tally]) -> String {
    let mut text = String::from("| broker | nodes | runs | valid | operations | faults |\n");
    text.push_str("| --- | --- | --- | --- | --- | --- |\n");
    for (place, tally) in places.iter().zip(tallies) {
        let Tally { runs, valid, operations, faults, .. } = tally;
        let (name, nodes) = (place.name(), place.nodes());
        // Writing to a string does not fail.
        let _ = writeln!(text, "| {name} | {nodes} | {runs} | {valid} | {operations} | {faults} |");
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
    let _ = writeln!(
        text,
        "\nSeeds {} to {}, {} s of faults each, workloads in turn.",
        args.from,
        args.from + args.seeds - 1,
        args.seconds
    );
    text
}
