//! `arena WORKLOAD --stage wire`: one run against brokers of Kafka's wire.

use std::path::{Path, PathBuf};

use raft_store::flaws::Flaw;

use super::output::{complain, say};
use super::run::{RunArgs, Stage, figures, fresh_seed, nemeses, read_schedule};
use super::{Trouble, write, write_report};
use crate::history::Micros;
use crate::nemesis::Nemesis;
use crate::nemesis::draw::{Ground, draw};
use crate::nemesis::schedule::Schedule;
use crate::run::case::{Case, Finished, judged};
use crate::targets::brokers::Brokers;
use crate::targets::brokers::cluster::ClusterFile;
use crate::wire::apps::file::AppFile;
use crate::wire::apps::{Apps, AppsSetup};
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
pub(super) enum Place {
    /// They run already, at these addresses.
    Running(Vec<String>),
    /// They are started by a cluster file, which lies in a folder.
    File { file: Box<ClusterFile>, path: PathBuf, here: PathBuf },
}

impl Place {
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
        Self::of_file(path, args.flaw)
    }

    /// By a cluster file; a flaw makes its nodes of cohort those of `arena broker`.
    pub(super) fn of_file(path: &Path, flaw: Option<Flaw>) -> Result<Self, Trouble> {
        let mut file =
            ClusterFile::read(path).map_err(|problem| Trouble::Use(problem.to_string()))?;
        if let Some(flaw) = flaw {
            if file.start.first().map(String::as_str) != Some("{cohort}")
                || file.start.get(1).map(String::as_str) != Some("serve")
            {
                let path = path.display();
                return Err(Trouble::Use(format!(
                    "--flaw is for cohort, and {path} starts another"
                )));
            }
            let flawed = ["{arena}", "broker", "--flaw", flaw.name(), "--"].map(str::to_owned);
            file.start.splice(..2, flawed);
        }
        let here = folder_of(path)?;
        Ok(Self::File { file: Box::new(file), path: path.to_owned(), here })
    }

    pub(super) fn nodes(&self) -> usize {
        match self {
            Self::Running(addresses) => addresses.len(),
            Self::File { file, .. } => file.nodes,
        }
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Self::Running(_) => "kafka",
            Self::File { file, .. } => &file.name,
        }
    }

    pub(super) fn can(&self, nemesis: Nemesis) -> bool {
        match self {
            Self::Running(_) => OF_CLIENTS.contains(&nemesis),
            Self::File { file, .. } => file.can(nemesis),
        }
    }

    pub(super) fn serves(&self, kind: Kind) -> bool {
        match self {
            Self::Running(_) => true,
            Self::File { file, .. } => !file.lacks.iter().any(|name| name == kind.name()),
        }
    }

    /// # Errors
    /// Where the cluster file says that it does not serve the workload.
    pub(super) fn must_serve(&self, kind: Kind) -> Result<(), Trouble> {
        let (cluster, workload) = (self.name(), kind.name());
        let problem =
            || format!("the cluster `{cluster}` does not serve the workload `{workload}`");
        if self.serves(kind) { Ok(()) } else { Err(Trouble::Use(problem())) }
    }

    /// How many clients a run has, where nothing else is asked for.
    pub(super) fn usual_clients(&self) -> usize {
        Case::usual_clients(self.nodes()).max(LEAST_CLIENTS)
    }

    /// The flags that name it.
    pub(super) fn flags(&self) -> String {
        match self {
            Self::Running(addresses) => {
                format!("--kafka {}", addresses.first().map_or("", String::as_str))
            }
            Self::File { path, .. } => format!("--cluster {}", path.display()),
        }
    }

    /// A run here; `pace` is the rate, and how many requests a client may have under way.
    pub(super) fn setup(
        &self,
        workload: Kind,
        slots: usize,
        (rate, pipeline): (u32, usize),
        seconds: u32,
        schedule: Schedule,
        seed: u64,
    ) -> Setup {
        let (start, recover, replicas, prefix) = match self {
            Self::Running(_) => {
                (RECOVER_S, RECOVER_S, -1, format!("arena-{seed:x}-{:x}-", super::now_ms()))
            }
            Self::File { file, .. } => {
                (file.start_seconds, file.recover_seconds, file.replicas, String::new())
            }
        };
        let consumer_session_ms = match self {
            Self::Running(_) => None,
            Self::File { file, .. } => file.consumer_session_ms,
        };
        let us = |seconds: u32| Micros::from(seconds) * 1_000_000;
        Setup {
            workload,
            slots,
            rate,
            pipeline,
            calm: false,
            member_fault: None,
            linearizable: matches!(self, Self::File { file, .. } if file.linearizable),
            faults_us: us(seconds),
            start_us: us(start),
            recover_us: us(recover),
            replicas,
            consumer_session_ms,
            prefix,
            apps: None,
            schedule,
            seed,
        }
    }
}

/// One run and its judgement; logs and data go to `folder`.
pub(super) fn perform(
    place: &Place,
    setup: Setup,
    folder: &Path,
    tell: &mut dyn FnMut(Micros, &str),
) -> Result<Finished, Trouble> {
    let seed = setup.seed;
    let brokers = || async {
        match place {
            Place::Running(addresses) => Brokers::elsewhere(addresses, seed).await,
            Place::File { file, here, .. } => Brokers::of_file(file, here, folder, seed).await,
        }
    };
    let outcome = wire::run(setup, brokers, tell)?;
    let judgement = judged(&outcome.history);
    Ok(Finished { outcome, judgement, trace: None })
}

pub(super) fn run(kind: Kind, args: &RunArgs) -> Result<u8, Trouble> {
    if !Kind::WIRE.contains(&kind) && kind != Kind::Apps {
        let known: Vec<&str> = Kind::WIRE.iter().map(|kind| kind.name()).collect();
        let (name, known) = (kind.name(), known.join(", "));
        return Err(Trouble::Use(format!("the stage `wire` has {known}, and not `{name}`")));
    }
    if args.member_fault.is_some() && kind != Kind::Classic {
        let name = kind.name();
        return Err(Trouble::Use(format!("--member-fault is for `classic`, and not for `{name}`")));
    }
    let place = Place::of(args)?;
    place.must_serve(kind)?;
    let seed = args.seed.unwrap_or_else(fresh_seed);
    let nodes = place.nodes();
    let clients = args.clients.map_or(place.usual_clients(), usize::from);
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
    let apps = applications(kind, args, &folder)?;
    write(&folder.join("schedule.json"), |file| Ok(serde_json::to_writer(file, &schedule)?))?;
    complain!(
        "{} on {nodes} nodes of {} with {clients} clients, seed {seed}",
        kind.name(),
        place.name()
    );
    let pace = (args.rate, usize::from(args.pipeline));
    let mut setup = place.setup(kind, clients, pace, args.seconds, schedule, seed);
    (setup.apps, setup.member_fault) = (apps, args.member_fault);
    let mut tell = |at_us, text: &str| complain!("{:9.3} s  {text}", at_us as f64 / 1e6);
    let Finished { outcome, judgement, .. } = perform(&place, setup, &folder, &mut tell)?;
    let history_file = args.history.clone().unwrap_or_else(|| folder.join("history.jsonl"));
    write(&history_file, |file| outcome.history.write(file))?;
    if let Some(failure) = outcome.failure {
        let logs = folder.display();
        return Err(Trouble::Run(format!("{failure}; what brokers say is in {logs}")));
    }
    figures(&outcome);
    say!("history       {}", history_file.display());
    let report_file = args.report.clone().unwrap_or_else(|| folder.join("report.html"));
    write_report(&report_file, &outcome.history, &judgement)?;
    if judgement.exit_code() != 0 {
        say!("repeat with {}", repeat(kind, args, &place, seed, clients));
    }
    say!("{judgement}");
    Ok(judgement.exit_code())
}

/// The applications of the workload `apps`, with all that they need.
fn applications(kind: Kind, args: &RunArgs, logs: &Path) -> Result<Option<AppsSetup>, Trouble> {
    let path = match (&args.app, kind) {
        (None, Kind::Apps) => {
            return Err(Trouble::Use("`apps` needs --app FILE (see scripts/apps)".to_owned()));
        }
        (Some(_), kind) if kind != Kind::Apps => {
            let kind = kind.name();
            return Err(Trouble::Use(format!("--app is for the workload `apps`, not `{kind}`")));
        }
        (None, _) => return Ok(None),
        (Some(path), _) => path,
    };
    let file = AppFile::read(path).map_err(|problem| Trouble::Use(problem.to_string()))?;
    let setup = AppsSetup {
        file,
        here: folder_of(path)?,
        args: args.args.clone(),
        logs: logs.to_owned(),
        rough: args.nemesis != "none",
    };
    Apps::prepare(&setup)?;
    Ok(Some(setup))
}

/// The folder of a file, from the root on.
fn folder_of(path: &Path) -> Result<PathBuf, Trouble> {
    let here = path.parent().filter(|here| !here.as_os_str().is_empty());
    let here = here.unwrap_or(Path::new(".")).canonicalize();
    here.map_err(|source| Trouble::File { path: path.to_owned(), source })
}

fn repeat(kind: Kind, args: &RunArgs, place: &Place, seed: u64, clients: usize) -> String {
    let flaw = args.flaw.map_or(String::new(), |flaw| format!(" --flaw {flaw}"));
    let app = args.app.as_ref().map_or(String::new(), |path| format!(" --app {}", path.display()));
    let member =
        args.member_fault.map_or(String::new(), |it| format!(" --member-fault {}", it.name()));
    let faults = match &args.schedule {
        Some(path) => format!("--schedule {}", path.display()),
        None => format!("--nemesis {}", args.nemesis),
    };
    let extra =
        if args.args.is_empty() { String::new() } else { format!(" -- {}", args.args.join(" ")) };
    format!(
        "scripts/arena {} --stage wire {}{app}{flaw}{member} --seconds {} {faults} --seed {seed} --rate {} \
         --pipeline {} --clients {clients}{extra}",
        kind.name(),
        place.flags(),
        args.seconds,
        args.rate,
        args.pipeline,
    )
}
