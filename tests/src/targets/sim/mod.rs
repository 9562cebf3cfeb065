//! The target of the simulator: all nodes in one thread, in virtual time, from one seed.
//!
//! Runs the production code of the node ([`cohort::listeners::maelstrom::stdio::run`]) for each
//! node inside a simulated machine of its own ([`Host`]), on one tokio runtime whose clock stands
//! still while anybody has something to do. Transport, clock, randomness and process life are the
//! run's and the hosts', and where nodes restart or disks fail, their disks (`disk`) and how often
//! they take snapshots; everything else is what the binary runs. The same case gives the same
//! history, to the byte. Owns the machines and the driving; knows nothing of what lines mean.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cohort::config::Config;
use cohort::listeners::maelstrom::outbox::Outbox;
use cohort::listeners::maelstrom::stdio::{self, Chunk, NodeError};
use raft_store::flaws::{self, Flaw};
use raft_store::{StateMachine, Storage, WalSizes, observe};
use runtime::Host;
use runtime::files::Files;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::checkers::state::StateTrace;
use crate::history::Micros;
use crate::nemesis::Nemesis;
use crate::rng::Rng;
use crate::run::Run;
use crate::targets::{Action, Target, TargetError};
use disk::MachineDisk;
use watch::Watch;

mod disk;
mod log_facts;
mod replay;
mod watch;

/// Lines that may wait for a node that does not read; more than any run has under way.
const INPUT_LINES: usize = 1 << 18;
/// Nodes' wall clocks begin here, in ms since 1970: any time will do, as long as it is the same.
const EPOCH_MS: u64 = 1_700_000_000_000;
/// A segment of a log has at most so many bytes: a few messages, some more, or all of a run.
const SEGMENT_BYTES: [u32; 3] = [300, 5_000, 64 << 20];
/// A node's write-ahead log has files so small that a run fills some.
const WAL_SIZES: WalSizes = WalSizes { segment: 256 * 1024, zeroed: 64 * 1024 };
/// More events than this without time passing mean that the simulation turns on the spot.
const MOST_EVENTS_AT_ONCE: u32 = 2_000_000;

/// Which way a line goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From a client to a node.
    Request,
    /// From a node to a client or to another node.
    Reply,
}

/// What becomes of a line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Passed {
    /// The node reads these instead.
    pub to_node: Vec<Vec<u8>>,
    /// The node is heard to print these instead.
    pub from_node: Vec<Vec<u8>>,
}

/// Breaks the system on purpose, between clients and nodes, to show that the checkers notice. A run
/// has none.
pub trait Interceptor: std::fmt::Debug {
    /// Decides what becomes of a line.
    fn pass(&mut self, way: Way, line: Vec<u8>) -> Passed;
}

enum Event {
    Lines(usize, Vec<u8>),
    /// Why a node ends.
    Said(usize, String),
    /// A node ended with this status.
    End(usize, i32),
}

struct Machine {
    host: Host,
    /// What outlives the node's process, where anything does.
    disk: Option<MachineDisk>,
    /// `None` once its input is closed.
    input: Option<mpsc::Sender<Chunk>>,
    /// Hands on what the node prints.
    reader: tokio::task::AbortHandle,
}

/// The simulator.
#[derive(Debug)]
pub struct Sim {
    seed: u64,
    config: Config,
    interceptor: Option<Box<dyn Interceptor>>,
    flaw: Option<Flaw>,
    trace: Option<StateTrace>,
}

impl Sim {
    /// A cluster whose machines draw from this seed, and whose nodes have this configuration.
    pub fn new(seed: u64, config: Config) -> Self {
        Self { seed, config, interceptor: None, flaw: None, trace: None }
    }

    /// The same cluster with somebody between it and its clients.
    #[must_use]
    pub fn with_interceptor(self, interceptor: Box<dyn Interceptor>) -> Self {
        Self { interceptor: Some(interceptor), ..self }
    }

    /// The same cluster with a flaw in every node.
    #[must_use]
    pub fn with_flaw(self, flaw: Flaw) -> Self {
        Self { flaw: Some(flaw), ..self }
    }

    /// A machine for a node that is started for the first time.
    fn hardware(&self, node: usize, durable: bool) -> (Host, Option<MachineDisk>) {
        let host = Host::new(Rng::new(self.seed, &format!("machine {node}")).u64(), EPOCH_MS);
        (host, durable.then(|| MachineDisk::new(self.seed, node)))
    }

    /// Starts a node with what its disk has, if it has one.
    fn start(
        &self,
        node: usize,
        (host, mut disk): (Host, Option<MachineDisk>),
        watch: &Watch,
        events: &mpsc::UnboundedSender<Event>,
    ) -> Machine {
        let (mut config, machine) = (self.config.clone(), StateMachine::default());
        let mut files: Option<Arc<dyn Files>> = None;
        // It goes with what a leader proposes, so nodes may differ.
        let mut rng = Rng::new(self.seed, &format!("segments {node}"));
        config.log_limits.segment_bytes =
            rng.pick(&SEGMENT_BYTES).copied().unwrap_or(config.log_limits.segment_bytes);
        if let Some(disk) = &mut disk {
            config.snapshot_entries = config.snapshot_entries.min(disk.snapshot_entries());
            watch.ended(node);
            let disk = Arc::new(disk.begin_life());
            files = Some(match self.flaw {
                Some(flaw) => flaws::files(flaw, disk),
                None => disk,
            });
        }
        host.revive();
        let host = observe::attach(host, watch.observer(node, machine.clone()));
        let host = match self.flaw {
            Some(flaw) => flaws::attach(host, flaw),
            None => host,
        };
        let (sender, input) = mpsc::channel(INPUT_LINES);
        let outbox = Outbox::default();
        let mut running = host.spawn(run_node(config, files, machine, input, outbox.clone()));
        let events = events.clone();
        let reader = tokio::spawn(async move {
            let status = loop {
                tokio::select! {
                    biased;
                    Some(lines) = outbox.take() => {
                        let _over = events.send(Event::Lines(node, lines));
                    },
                    ended = &mut running => break match ended {
                        Ok(Ok(())) => 0,
                        Ok(Err((status, reason))) => {
                            let _over = events.send(Event::Said(node, reason));
                            status
                        }
                        Err(_) => 101,
                    },
                }
            };
            while outbox.backlog() > 0
                && let Some(lines) = outbox.take().await
            {
                let _over = events.send(Event::Lines(node, lines));
            }
            let _over = events.send(Event::End(node, status));
        });
        Machine { host, disk, input: Some(sender), reader: reader.abort_handle() }
    }

    async fn drive(
        &self,
        run: &mut Run,
        watch: &Watch,
        mut interceptor: Option<Box<dyn Interceptor>>,
        tell: &mut dyn FnMut(Micros, &str),
    ) -> Result<(), TargetError> {
        let begun = Instant::now();
        let now_us = || Micros::try_from(begun.elapsed().as_micros()).unwrap_or(Micros::MAX);
        let (sender, mut events) = mpsc::unbounded_channel();
        let mut machines: BTreeMap<usize, Machine> = BTreeMap::new();
        let mut at_once = (0, 0);
        run.on_time(0);
        loop {
            let mut forged = Vec::new();
            for action in run.take_actions() {
                match (action, &mut interceptor) {
                    (Action::Deliver { node, line, peer: false }, Some(interceptor)) => {
                        let passed = interceptor.pass(Way::Request, line);
                        for line in passed.to_node {
                            act(&mut machines, Action::Deliver { node, line, peer: false })?;
                        }
                        forged.extend(passed.from_node.into_iter().map(|line| (node, line)));
                    }
                    (Action::Start(node), _) => {
                        let crashed =
                            machines.remove(&node).map(|machine| (machine.host, machine.disk));
                        let hardware =
                            crashed.unwrap_or_else(|| self.hardware(node, run.needs_disks()));
                        machines.insert(node, self.start(node, hardware, watch, &sender));
                    }
                    (Action::Tell(text), _) => tell(now_us(), &text),
                    (Action::Done, _) => return Ok(()),
                    (other, _) => act(&mut machines, other)?,
                }
            }
            if !forged.is_empty() {
                forged.into_iter().for_each(|(node, line)| run.on_line(now_us(), node, line));
                continue;
            }
            let wake_us = run.next_wakeup().unwrap_or_else(|| now_us() + 100_000);
            tokio::select! {
                biased;
                Some(event) = events.recv() => match event {
                    Event::Lines(node, lines) => {
                        for line in lines.split_inclusive(|byte| *byte == b'\n') {
                            let line = line.strip_suffix(b"\n").unwrap_or(line).to_vec();
                            let heard = match &mut interceptor {
                                Some(interceptor) => interceptor.pass(Way::Reply, line).from_node,
                                None => vec![line],
                            };
                            heard.into_iter().for_each(|line| run.on_line(now_us(), node, line));
                        }
                    },
                    Event::Said(node, text) => tell(now_us(), &format!("node {node}: {text}")),
                    Event::End(node, status) => {
                        if let Some(machine) = machines.get_mut(&node).filter(|_| status != 0) {
                            machine.ended();
                        }
                        run.on_exit(now_us(), node, Some(status));
                    }
                },
                () = tokio::time::sleep_until(begun + Duration::from_micros(wake_us)) => {
                    run.on_time(now_us());
                }
            }
            let now_us = now_us();
            at_once = if at_once.0 == now_us { (now_us, at_once.1 + 1) } else { (now_us, 0) };
            if at_once.1 > MOST_EVENTS_AT_ONCE {
                return Err(TargetError::Unable(format!(
                    "virtual time stands still at {now_us} us"
                )));
            }
        }
    }
}

impl Machine {
    /// The node's process has ended by itself; the machine goes on.
    fn ended(&mut self) {
        self.host.kill();
        self.input = None;
        if let Some(disk) = &mut self.disk {
            disk.process_ended();
        }
    }
}

/// A node's process, from its start on. Ends with a status where the node cannot go on.
async fn run_node(
    config: Config,
    files: Option<Arc<dyn Files>>,
    machine: StateMachine,
    input: mpsc::Receiver<Chunk>,
    outbox: Outbox,
) -> Result<(), (i32, String)> {
    let storage = match files {
        Some(files) => match Storage::open(files, machine, WAL_SIZES).await {
            Ok(storage) => storage,
            Err(refused) => return Err((3, refused.to_string())),
        },
        None => Storage::in_memory(machine),
    };
    stdio::run(config, storage, input, outbox).await.map_err(|error| {
        (if matches!(error, NodeError::Folder(_)) { 3 } else { 1 }, error.to_string())
    })
}

fn act(machines: &mut BTreeMap<usize, Machine>, action: Action) -> Result<(), TargetError> {
    match action {
        Action::Deliver { node, mut line, peer } => {
            line.push(b'\n');
            let input = machines.get(&node).and_then(|machine| machine.input.as_ref());
            let refused = input.and_then(|input| input.try_send(line.into()).err());
            if let (Some(mpsc::error::TrySendError::Full(_)), false) = (refused, peer) {
                return Err(TargetError::Unable(format!("node {node} reads nothing any more")));
            }
        }
        Action::Kill(node) => {
            if let Some(machine) = machines.get_mut(&node) {
                machine.host.kill();
                machine.reader.abort();
                machine.input = None;
            }
        }
        Action::Close(node) => {
            if let Some(machine) = machines.get_mut(&node) {
                machine.input = None;
            }
        }
        Action::SetClock { node, rate_ppm, jump_us } => {
            if let Some(machine) = machines.get(&node) {
                let rate = u64::try_from(1_000_000 + i64::from(rate_ppm)).unwrap_or(1);
                machine.host.set_clock(rate, Duration::from_micros(jump_us));
            }
        }
        Action::Disk(node, fault) => {
            if let Some(disk) = machines.get_mut(&node).and_then(|m| m.disk.as_mut()) {
                disk.set(fault);
            }
        }
        // Lines for a machine that stands queue up; its clock goes on.
        Action::Pause(node) => {
            if let Some(machine) = machines.get(&node) {
                machine.host.pause();
            }
        }
        Action::Resume(node) => {
            if let Some(machine) = machines.get(&node) {
                machine.host.resume();
            }
        }
        Action::Start(_) | Action::Tell(_) | Action::Done => {}
    }
    Ok(())
}

impl Target for Sim {
    fn name(&self) -> &'static str {
        "sim"
    }

    fn can(&self, nemesis: Nemesis) -> bool {
        !nemesis.is_of_connections()
    }

    fn run(
        &mut self,
        run: &mut Run,
        tell: &mut dyn FnMut(Micros, &str),
    ) -> Result<(), TargetError> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.map_err(|source| TargetError::System {
            what: "cannot make a runtime".to_owned(),
            source,
        })?;
        let interceptor = self.interceptor.take();
        runtime.block_on(async {
            let watch = Watch::new();
            let driven = self.drive(run, &watch, interceptor, tell).await;
            self.trace = Some(replay::trace(watch.into_notes()));
            driven
        })
    }

    fn take_trace(&mut self) -> Option<StateTrace> {
        self.trace.take()
    }
}
