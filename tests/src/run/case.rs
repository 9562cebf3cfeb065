//! One run from its parameters to its judgement.
//!
//! Owns what determines a run ([`Case`]): a case and the code are all that is needed to repeat it,
//! in the simulator exactly, with real processes as far as time allows. Also draws cases for
//! [`crate::run::soak`]. Knows nothing of how results are shown.

use std::path::PathBuf;

use cohort::config::Config;
use raft_store::flaws::Flaw;

use crate::checkers::protocol_form::ProtocolForm;
use crate::checkers::state::StateTrace;
use crate::checkers::{Checker, Judgement, judge, state};
use crate::history::{History, Micros};
use crate::nemesis::Nemesis;
use crate::nemesis::draw::{Ground, NEAR_MS, draw};
use crate::nemesis::schedule::Schedule;
use crate::rng::Rng;
use crate::run::{Outcome, Run, Setup};
use crate::targets::sim::Sim;
use crate::targets::{Target, TargetError};
use crate::workloads::Kind;

/// How long the clients of [`Case::patient`] wait, in seconds.
const PATIENT_S: u32 = 12;

/// How long nodes may take to serve again, in seconds.
const RECOVER_S: u32 = 5;

/// Over long round trips so many latencies more: an election, and one that failed
/// (`docs/checkers.md` counts the round trips).
const RECOVER_LATENCIES: u32 = 60;

/// The arguments of nodes with short logs.
const SHORT_LOGS: [&str; 2] = ["--snapshot-entries", "20"];

/// What nodes keep of records where records go.
const RETENTIONS: [&[&str]; 4] = [
    &[],
    &["--retention-ms", "2000"],
    &["--retention-bytes", "3000"],
    &["--retention-ms", "4000", "--retention-bytes", "6000"],
];

/// And how often they look.
const RETENTION_CHECK: [&str; 2] = ["--retention-check", "500"];

/// Everything that determines a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// What clients do.
    pub workload: Kind,
    /// `real` or `sim`.
    pub target: &'static str,
    /// How many nodes.
    pub nodes: usize,
    /// How long faults may happen.
    pub seconds: u32,
    /// What goes wrong, where the schedule is drawn.
    pub nemeses: Vec<Nemesis>,
    /// Draws operations and faults.
    pub seed: u64,
    /// Operations a second, over all clients.
    pub rate: u32,
    /// Mean latency between nodes, in milliseconds.
    pub latency_ms: u32,
    /// Whether every line between nodes takes exactly that.
    pub constant_latency: bool,
    /// The longest mean latency of the nemesis `latency`, in milliseconds.
    pub latency_max_ms: u32,
    /// How long a client waits for a reply, in seconds; at least 5.
    pub patience: u32,
    /// Lines that `loss` loses, in percent.
    pub loss: u32,
    /// Lines that `duplicate` doubles, in percent.
    pub duplicate: u32,
    /// Requests that one client may have under way.
    pub pipeline: usize,
    /// How many clients.
    pub clients: usize,
    /// Every node has to serve again so many seconds after the end of all faults.
    pub recover: u32,
    /// The program to test, where it is not the usual one.
    pub bin: Option<PathBuf>,
    /// Its arguments.
    pub args: Vec<String>,
    /// The file of the schedule, where it is not drawn.
    pub schedule: Option<PathBuf>,
    /// What is wrong with every node on purpose (the simulator alone can do that).
    pub flaw: Option<Flaw>,
}

/// A run and what is to be said about it.
#[derive(Debug)]
pub struct Finished {
    /// What happened.
    pub outcome: Outcome,
    /// Whether it should have.
    pub judgement: Judgement,
    /// What the nodes' states were, if the target can see that.
    pub trace: Option<StateTrace>,
}

/// Judges a history by all checkers, the form of the protocol first.
pub fn judged(history: &History) -> Judgement {
    let mut judgement = judge(history);
    judgement.verdicts.insert(0, (ProtocolForm.name(), ProtocolForm.check(history)));
    judgement
}

impl Case {
    /// How many clients a cluster of that size has, where nothing else is asked for.
    pub fn usual_clients(nodes: usize) -> usize {
        nodes * 3
    }

    /// A case with a workload, a size and a mix of faults of its own; in one of four of those
    /// without members round trips are long. (Sessions of members are too short for that.)
    pub fn swarm(seed: u64, target: &dyn Target, workloads: &[Kind]) -> Self {
        let case = Self::swarm_nearby(seed, target, workloads);
        let case = case.with_retention();
        // From a stream of its own, so that seeds keep the rest of their case.
        let mut rng = Rng::new(seed, "case with long round trips");
        let members = matches!(case.workload, Kind::Groups | Kind::Classic);
        if members || !rng.percent(25) {
            return case;
        }
        let mut case = Self {
            latency_ms: rng.pick(&[0, 160, 200, 500, 1_000]).copied().unwrap_or(0),
            constant_latency: rng.percent(50),
            rate: rng.pick(&[2, 20, case.rate]).copied().unwrap_or(2),
            ..case
        };
        if case.latency_ms == 0 || rng.percent(50) {
            case.latency_max_ms = 1_000;
            if !case.nemeses.contains(&Nemesis::Latency) {
                case.nemeses.push(Nemesis::Latency);
            }
        }
        case.patient()
    }

    /// Where records go, in three of four cases nodes keep them only for a while, or only so many.
    fn with_retention(mut self) -> Self {
        if self.workload == Kind::Records {
            let mut rng = Rng::new(self.seed, "case with retention");
            let of = rng.pick(&RETENTIONS).copied().unwrap_or_default();
            self.args.extend(of.iter().chain(&RETENTION_CHECK).map(|arg| (*arg).to_owned()));
        }
        self
    }

    /// With clients that wait for as long as round trips of 2 s need, and nodes that know it. They
    /// have as long to serve again as its latencies need.
    #[must_use]
    pub fn patient(mut self) -> Self {
        let latency_ms = self.latency_ms.max(self.latency_max_ms);
        self.patience = PATIENT_S;
        self.recover = RECOVER_S + (RECOVER_LATENCIES * latency_ms).div_ceil(1_000);
        let timeout_ms = 1_000 * (PATIENT_S - 1);
        self.args.extend(["--request-timeout".to_owned(), timeout_ms.to_string()]);
        self
    }

    /// As [`swarm`](Self::swarm), but with latencies of 100 ms at most.
    pub fn swarm_nearby(seed: u64, target: &dyn Target, workloads: &[Kind]) -> Self {
        let mut rng = Rng::new(seed, "case");
        let nodes = if rng.percent(60) { 3 } else { 5 };
        let able: Vec<Nemesis> =
            Nemesis::ALL.into_iter().filter(|nemesis| target.can(*nemesis)).collect();
        // Each with its own probability in this case, so that also few at once and none at all come
        // up.
        let percent = u32::try_from(rng.between(0, 60)).unwrap_or(0);
        // Whoever was added later draws from a stream of its own, so that seeds keep the rest of
        // their case.
        let mut later = Rng::new(seed, "case with restarts");
        // Disks fail in few cases: a node that is away shows less of everything else.
        let mut disks = Rng::new(seed, "case with disk faults");
        let bad_disks = if disks.percent(20) { 50 } else { 0 };
        let drawn = |nemesis: &Nemesis| match nemesis {
            Nemesis::Restart => later.percent(percent),
            nemesis if nemesis.is_of_disks() => disks.percent(bad_disks),
            _ => rng.percent(percent),
        };
        let nemeses = able.into_iter().filter(drawn).collect();
        let pick = |rng: &mut Rng, of: &[u32]| rng.pick(of).copied().unwrap_or(1);
        Self {
            workload: rng.pick(workloads).copied().unwrap_or(Kind::Kafka),
            target: target.name(),
            nodes,
            seconds: pick(&mut rng, &[4, 8, 12]),
            nemeses,
            seed,
            rate: pick(&mut rng, &[50, 100, 200]),
            latency_ms: pick(&mut rng, &[0, 0, 2, 10]),
            constant_latency: false,
            latency_max_ms: NEAR_MS,
            patience: 5,
            loss: pick(&mut rng, &[2, 5, 10]),
            duplicate: pick(&mut rng, &[2, 5, 20]),
            pipeline: if rng.percent(30) { 4 } else { 1 },
            clients: Self::usual_clients(nodes),
            recover: RECOVER_S,
            bin: None,
            // Logs so short that nodes which are behind need snapshots.
            args: if rng.percent(40) { SHORT_LOGS.map(str::to_owned).to_vec() } else { Vec::new() },
            schedule: None,
            flaw: None,
        }
    }

    /// The simulator for it.
    ///
    /// # Errors
    /// Where its arguments are not those of a node.
    pub fn simulator(&self) -> Result<Sim, TargetError> {
        let words = std::iter::once("cohort").chain(self.args.iter().map(String::as_str));
        let config = Config::parse_from(words).map_err(|e| TargetError::Unable(e.to_string()))?;
        let sim = Sim::new(self.seed, config);
        Ok(match self.flaw {
            Some(flaw) => sim.with_flaw(flaw),
            None => sim,
        })
    }

    /// Draws the faults.
    pub fn draw_schedule(&self) -> Schedule {
        let ground = Ground {
            nodes: self.nodes,
            slots: self.clients,
            length_us: self.faults_us(),
            loss_ppm: self.loss * 10_000,
            duplicate_ppm: self.duplicate * 10_000,
            latency_max_ms: self.latency_max_ms,
        };
        draw(&self.nemeses, &ground, self.seed)
    }

    fn faults_us(&self) -> Micros {
        Micros::from(self.seconds) * 1_000_000
    }

    /// Runs it and judges the history, if there is one worth judging (see [`Outcome::failure`]).
    ///
    /// # Errors
    /// Where the target cannot do it.
    pub fn perform(
        &self,
        target: &mut dyn Target,
        schedule: Schedule,
        tell: &mut dyn FnMut(Micros, &str),
    ) -> Result<Finished, TargetError> {
        let mut run = Run::new(Setup {
            workload: self.workload,
            nodes: self.nodes,
            slots: self.clients,
            rate: self.rate,
            pipeline: self.pipeline,
            latency_us: Micros::from(self.latency_ms) * 1_000,
            constant_latency: self.constant_latency,
            patience_us: Micros::from(self.patience) * 1_000_000,
            faults_us: self.faults_us(),
            recover_us: Micros::from(self.recover) * 1_000_000,
            schedule,
            seed: self.seed,
            target: self.target.to_owned(),
        });
        target.run(&mut run, tell)?;
        let outcome = run.into_outcome();
        let mut judgement = judged(&outcome.history);
        let trace = target.take_trace();
        if let Some(trace) = &trace {
            judgement.verdicts.extend(state::check_all(trace));
        }
        Ok(Finished { outcome, judgement, trace })
    }

    /// The line that repeats it.
    pub fn repeat(&self) -> String {
        let nemeses: Vec<&str> = self.nemeses.iter().map(|nemesis| nemesis.name()).collect();
        let nemeses = if nemeses.is_empty() { "none".to_owned() } else { nemeses.join(",") };
        let mut line = format!(
            "scripts/arena {} --stage {} --nodes {} --seconds {} --nemesis {nemeses} --seed {} --rate {} --latency {} \
             --latency-dist {} --latency-max {} --patience {} --loss {} --duplicate {} --pipeline {} --clients {} --recover {}",
            self.workload.name(),
            self.target,
            self.nodes,
            self.seconds,
            self.seed,
            self.rate,
            self.latency_ms,
            if self.constant_latency { "constant" } else { "spread" },
            self.latency_max_ms,
            self.patience,
            self.loss,
            self.duplicate,
            self.pipeline,
            self.clients,
            self.recover,
        );
        let mut add = |flag: &str, value: Option<String>| {
            if let Some(value) = value {
                line.push_str(&format!(" {flag} {value}"));
            }
        };
        add("--bin", self.bin.as_ref().map(|path| path.display().to_string()));
        add("--flaw", self.flaw.map(|flaw| flaw.to_string()));
        add("--schedule", self.schedule.as_ref().map(|path| path.display().to_string()));
        add("--", (!self.args.is_empty()).then(|| self.args.join(" ")));
        line
    }
}
