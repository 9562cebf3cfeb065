//! `arena WORKLOAD --stage wire`: one run against brokers of Kafka's wire.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::output::{complain, say};
use super::run::{RunArgs, Stage, figures, fresh_seed, nemeses, read_schedule};
use super::{Trouble, write, write_report};
use crate::history::Micros;
use crate::nemesis::Nemesis;
use crate::nemesis::draw::{Ground, draw};
use crate::run::case::{Case, judged};
use crate::targets::brokers::Brokers;
use crate::targets::brokers::cluster::ClusterFile;
use crate::wire::{self, Setup};
use crate::workloads::Kind;

/// What brokers that somebody else runs can be asked to stand.
const OF_CLIENTS: [Nemesis; 4] =
    [Nemesis::Clients, Nemesis::Latency, Nemesis::Reset, Nemesis::Bandwidth];
/// The number of clients that a run has at least, for groups to have members.
const LEAST_CLIENTS: usize = 9;
/// Brokers that somebody else runs have so many seconds to serve again.
const RECOVER_S: u32 = 15;

/// Where the brokers are.
enum Where {
    Running(Vec<String>),
    File { file: ClusterFile, here: PathBuf },
}

impl Where {
    fn of(args: &RunArgs) -> Result<Self, Trouble> {
        if let Some(address) = &args.kafka {
            let found = wire::discover(address)
                .map_err(|problem| Trouble::Use(format!("--kafka {address}: {problem}")))?;
            return Ok(Self::Running(found));
        }
        let path = args.cluster.as_ref().ok_or_else(|| {
            Trouble::Use(
                "--stage wire needs --kafka HOST:PORT, or --cluster FILE (see scripts/brokers)"
                    .to_owned(),
            )
        })?;
        let file = ClusterFile::read(path).map_err(|problem| Trouble::Use(problem.to_string()))?;
        let here = path.parent().filter(|here| !here.as_os_str().is_empty());
        let here = here.unwrap_or(Path::new(".")).canonicalize();
        let here = here.map_err(|source| Trouble::File { path: path.clone(), source })?;
        Ok(Self::File { file, here })
    }

    fn nodes(&self) -> usize {
        match self {
            Self::Running(addresses) => addresses.len(),
            Self::File { file, .. } => file.nodes,
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Running(_) => "kafka",
            Self::File { file, .. } => &file.name,
        }
    }

    fn can(&self, nemesis: Nemesis) -> bool {
        match self {
            Self::Running(_) => OF_CLIENTS.contains(&nemesis),
            Self::File { file, .. } => file.can(nemesis),
        }
    }
}

pub(super) fn run(kind: Kind, args: &RunArgs) -> Result<u8, Trouble> {
    if !Kind::WIRE.contains(&kind) {
        let known: Vec<&str> = Kind::WIRE.iter().map(|kind| kind.name()).collect();
        let (name, known) = (kind.name(), known.join(", "));
        return Err(Trouble::Use(format!("the stage `wire` has {known}, and not `{name}`")));
    }
    let place = Where::of(args)?;
    let seed = args.seed.unwrap_or_else(fresh_seed);
    let nodes = place.nodes();
    let clients = args.clients.map_or(Case::usual_clients(nodes), usize::from);
    let clients = if args.clients.is_none() { clients.max(LEAST_CLIENTS) } else { clients };
    let stage = Stage { name: "wire", can: &|nemesis| place.can(nemesis) };
    let faults_us = Micros::from(args.seconds) * 1_000_000;
    let schedule = match &args.schedule {
        Some(path) => read_schedule(path, nodes, &stage)?,
        None => {
            let ground = Ground {
                nodes,
                slots: clients,
                length_us: faults_us,
                loss_ppm: 0,
                duplicate_ppm: 0,
                latency_max_ms: args.latency_max,
            };
            draw(&nemeses(&args.nemesis, &stage)?, &ground, seed)
        }
    };
    let folder =
        PathBuf::from("arena-out").join(format!("{}-{}-{seed}", kind.name(), place.name()));
    write(&folder.join("schedule.json"), |file| Ok(serde_json::to_writer(file, &schedule)?))?;
    complain!(
        "{} on {nodes} nodes of {} with {clients} clients, seed {seed}",
        kind.name(),
        place.name()
    );
    let setup = Setup {
        workload: kind,
        slots: clients,
        rate: args.rate,
        pipeline: usize::from(args.pipeline),
        faults_us,
        start_us: seconds(&place, |file| file.start_seconds, RECOVER_S),
        recover_us: seconds(&place, |file| file.recover_seconds, RECOVER_S),
        replicas: match &place {
            Where::Running(_) => -1,
            Where::File { file, .. } => file.replicas,
        },
        prefix: match &place {
            Where::Running(_) => format!("arena-{seed:x}-{:x}-", now_s()),
            Where::File { .. } => String::new(),
        },
        schedule,
        seed,
    };
    let mut tell = |at_us, text: &str| complain!("{:9.3} s  {text}", at_us as f64 / 1e6);
    let brokers = || async {
        match &place {
            Where::Running(addresses) => Brokers::elsewhere(addresses, seed).await,
            Where::File { file, here } => Brokers::of_file(file, here, &folder, seed).await,
        }
    };
    let outcome = wire::run(setup, brokers, &mut tell)?;
    let history_file = args.history.clone().unwrap_or_else(|| folder.join("history.jsonl"));
    write(&history_file, |file| outcome.history.write(file))?;
    if let Some(failure) = outcome.failure {
        let logs = folder.display();
        return Err(Trouble::Run(format!("{failure}; what brokers say is in {logs}")));
    }
    figures(&outcome);
    say!("history       {}", history_file.display());
    let judgement = judged(&outcome.history);
    let report_file = args.report.clone().unwrap_or_else(|| folder.join("report.html"));
    write_report(&report_file, &outcome.history, &judgement)?;
    if judgement.exit_code() != 0 {
        say!("repeat with {}", repeat(kind, args, seed, clients));
    }
    say!("{judgement}");
    Ok(judgement.exit_code())
}

fn seconds(place: &Where, of: impl Fn(&ClusterFile) -> u32, elsewhere: u32) -> Micros {
    let seconds = match place {
        Where::Running(_) => elsewhere,
        Where::File { file, .. } => of(file),
    };
    Micros::from(seconds) * 1_000_000
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn repeat(kind: Kind, args: &RunArgs, seed: u64, clients: usize) -> String {
    let place = match (&args.kafka, &args.cluster) {
        (Some(address), _) => format!("--kafka {address}"),
        (None, Some(file)) => format!("--cluster {}", file.display()),
        (None, None) => String::new(),
    };
    let faults = match &args.schedule {
        Some(path) => format!("--schedule {}", path.display()),
        None => format!("--nemesis {}", args.nemesis),
    };
    format!(
        "scripts/arena {} --stage wire {place} --seconds {} {faults} --seed {seed} --rate {} \
         --pipeline {} --clients {clients}",
        kind.name(),
        args.seconds,
        args.rate,
        args.pipeline,
    )
}
