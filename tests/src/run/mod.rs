//! A run: clients, faults, the network between nodes and the history, as one deterministic state
//! machine over an abstract time.
//!
//! It is driven by events (a line from a node, a node that ended, time that passed) and produces
//! [`Action`]s. Given the same set-up and the same events at the same times it does the same, to
//! the byte: all randomness comes from the seed, and nothing iterates over unordered maps. It does
//! not know whether time is real, how nodes are run, or whether the history is good: see
//! [`crate::targets`] and [`crate::checkers`].
//!
//! A run goes through phases: nodes start and get `init`; a warm-up without faults; the faults;
//! after healing, the wait until every node serves again; the final reads; the last look at every
//! node's state; end of input.

pub mod case;
pub mod clients;
pub mod kills;
pub mod nodes;
pub mod outage;
mod phases;
pub mod recorder;
mod slots;
pub mod soak;
mod watch;

use serde_json::{Value, json};

use crate::checkers::groups::no_progress;
use crate::dialects::json;
use crate::history::{Fault, Header, History, Micros};
use crate::nemesis::network::{Network, Traffic};
use crate::nemesis::runner::{Effect, ScheduleRunner, World};
use crate::nemesis::schedule::{ClientFault, Schedule, What};
use crate::rng::Rng;
use crate::targets::Action;
use crate::workloads::{Kind, Plan, Workload};
use clients::{Clients, Purpose, Taken};
use nodes::{Nodes, State};
use outage::Outage;
use phases::Phase;
use recorder::Recorder;
use slots::Slot;
use watch::Watch;

/// From this mean latency on Raft's clock runs slower than the nodes'.
const FAR_US: Micros = 100_000;

/// A node whose disk failed is started again so long after the disk was mended.
const SUPERVISOR_US: Micros = 100_000;

/// What a run is made of.
#[derive(Debug, Clone)]
pub struct Setup {
    /// What clients do.
    pub workload: Kind,
    /// How many nodes; they are called `n1`, `n2`, ….
    pub nodes: usize,
    /// How many clients; at least one for each node.
    pub slots: usize,
    /// Operations a second, over all clients.
    pub rate: u32,
    /// Requests that one client may have under way.
    pub pipeline: usize,
    /// Mean latency between nodes, outside of the `latency` nemesis.
    pub latency_us: Micros,
    /// Whether every line between nodes takes exactly that.
    pub constant_latency: bool,
    /// How long a client waits for a reply; at least
    /// [`PATIENCE_US`](crate::workloads::PATIENCE_US).
    pub patience_us: Micros,
    /// How long faults may happen.
    pub faults_us: Micros,
    /// Every node has to serve again so long after the end of all faults.
    pub recover_us: Micros,
    /// What goes wrong.
    pub schedule: Schedule,
    /// Draws operations and the network's random choices. (The schedule was drawn before.)
    pub seed: u64,
    /// The target's name, for the history.
    pub target: String,
}

impl Setup {
    /// How much longer than usual clients wait. Phases last longer by twice that.
    fn more_patience_us(&self) -> Micros {
        self.patience_us.saturating_sub(crate::workloads::PATIENCE_US)
    }
}

/// What came out of a run.
#[derive(Debug)]
pub struct Outcome {
    /// All that happened.
    pub history: History,
    /// What the network did.
    pub traffic: Traffic,
    /// For each node that served to the end, how long after healing it did.
    pub recovered_us: Vec<(String, Option<Micros>)>,
    /// Why the run says nothing about the nodes, if it does not.
    pub failure: Option<String>,
}

/// A run in progress.
#[derive(Debug)]
pub struct Run {
    setup: Setup,
    names: Vec<String>,
    workload: Box<dyn Workload>,
    rng: Rng,
    net: Network,
    nodes: Nodes,
    runner: ScheduleRunner,
    clients: Clients,
    recorder: Recorder,
    slots: Vec<Slot>,
    watch: Watch,
    phase: Phase,
    phase_us: Micros,
    /// The leader hears nobody, and nothing else is wrong.
    outage: Option<Outage>,
    /// When a node was last started again because its disk had failed.
    supervised_us: Micros,
    heal_us: Option<Micros>,
    /// When each node is to be started.
    start_us: Vec<Micros>,
    /// When each node got its `init`.
    init_us: Vec<Option<Micros>>,
    actions: Vec<Action>,
    failure: Option<String>,
    now_us: Micros,
}

impl Run {
    /// Ready to begin at time 0 with [`on_time`](Self::on_time).
    pub fn new(mut setup: Setup) -> Self {
        setup.slots = setup.slots.max(setup.nodes);
        // A sync that has begun when the faults end takes as long as it takes.
        setup.recover_us += setup.schedule.slowest_sync_us();
        let nodes = setup.nodes;
        let mut rng = Rng::new(setup.seed, "workload");
        let plan = Plan {
            nodes,
            slots: setup.slots,
            rate: setup.rate,
            pipeline: setup.pipeline.max(1),
            wire: false,
            calm: false,
            member_fault: None,
        };
        let workload = setup.workload.build(&plan, &mut rng);
        let mut start_us = vec![0; nodes];
        let mut runner = ScheduleRunner::new(&setup.schedule);
        for fault in &setup.schedule.faults {
            if let What::Late { node } = fault.what {
                start_us[node] = fault.at_us + fault.for_us;
                runner.note(Fault {
                    fault: "late".to_owned(),
                    detail: format!("n{} starts {:.1} s late", node + 1, fault.for_us as f64 / 1e6),
                    from_us: 0,
                    to_us: Some(start_us[node]),
                });
            }
        }
        let mut clients = Clients::default();
        let mut net = Network::new(nodes, setup.latency_us, Rng::new(setup.seed, "network"));
        net.constant = setup.constant_latency;
        let slots =
            (0..setup.slots).map(|slot| Slot::new(slot % nodes, &mut clients, slot)).collect();
        Self {
            names: (1..=nodes).map(|n| format!("n{n}")).collect(),
            workload,
            rng,
            net,
            nodes: Nodes::new(nodes),
            runner,
            clients,
            recorder: Recorder::default(),
            slots,
            watch: Watch::new(nodes, setup.schedule.needs_leader()),
            phase: Phase::Start,
            phase_us: 0,
            outage: None,
            supervised_us: 0,
            heal_us: None,
            start_us,
            init_us: vec![None; nodes],
            actions: Vec::new(),
            failure: None,
            now_us: 0,
            setup,
        }
    }

    /// The names of the nodes, in order.
    pub fn node_names(&self) -> &[String] {
        &self.names
    }

    /// Whether nodes are started again or their disks fail, so that they need disks.
    pub fn needs_disks(&self) -> bool {
        self.setup.schedule.needs_disks()
    }

    /// What is to be done now, in order.
    pub fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// A node printed a line (given without its line feed).
    pub fn on_line(&mut self, now_us: Micros, node: usize, line: Vec<u8>) {
        self.now_us = now_us.max(self.now_us);
        self.line(node, line);
        self.advance();
    }

    /// A node's process ended; `code` is `None` where a signal ended it. All its lines were handed
    /// over before.
    pub fn on_exit(&mut self, now_us: Micros, node: usize, code: Option<i32>) {
        self.now_us = now_us.max(self.now_us);
        self.exited(node, code);
        self.advance();
    }

    /// Time passed.
    pub fn on_time(&mut self, now_us: Micros) {
        self.now_us = now_us.max(self.now_us);
        self.advance();
    }

    /// When the run wants to be told of the time next, unless something else happens before; `None`
    /// at its end.
    pub fn next_wakeup(&self) -> Option<Micros> {
        if self.phase == Phase::Over {
            return None;
        }
        let due = [
            self.net.next_due(),
            self.runner.next_due(),
            self.next_phase_due(),
            self.next_watch_due(),
        ];
        due.into_iter().flatten().chain(self.next_slot_due()).min()
    }

    /// Whether nothing more will happen.
    pub fn over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// What came out.
    pub fn into_outcome(self) -> Outcome {
        let recovered_us = self.recovered_us();
        let mut config = self.workload.config();
        let latency_us = self.setup.latency_us.max(self.setup.schedule.farthest_us());
        if latency_us > FAR_US {
            // An election over such round trips takes longer than `no-progress` waits by itself.
            let patience_us = no_progress::PATIENCE + no_progress::LATENCIES * latency_us;
            config["progress_timeout_ms"] = json!(patience_us / 1_000);
        }
        let history = History {
            header: Header {
                arena: 1,
                workload: self.setup.workload.name().to_owned(),
                stage: self.setup.target,
                nodes: self.names,
                seed: self.setup.seed,
                heal_us: self.heal_us,
                config,
            },
            ops: self.recorder.into_ops(),
            faults: self.runner.faults().to_vec(),
        };
        Outcome { history, traffic: self.net.traffic(), recovered_us, failure: self.failure }
    }

    /// Does everything that is due, again and again until nothing is.
    fn advance(&mut self) {
        loop {
            let before = (self.actions.len(), self.phase);
            while let Some((node, line)) = self.net.arrived(self.now_us) {
                if self.nodes.reachable(node) {
                    self.actions.push(Action::Deliver { node, line, peer: true });
                }
            }
            let effects = self.with_world(|runner, now_us, world| runner.step(now_us, world));
            self.effects(effects);
            self.time_out();
            self.step_phase();
            self.step_watch();
            self.step_outage();
            self.step_slots();
            if (self.actions.len(), self.phase) == before || self.phase == Phase::Over {
                return;
            }
        }
    }

    fn with_world<T>(
        &mut self,
        f: impl FnOnce(&mut ScheduleRunner, Micros, &mut World<'_>) -> T,
    ) -> T {
        let mut world = World {
            net: &mut self.net,
            nodes: &mut self.nodes,
            leader: self.watch.leader(),
            base_latency: (self.setup.latency_us, self.setup.constant_latency),
            actions: &mut self.actions,
        };
        f(&mut self.runner, self.now_us, &mut world)
    }

    fn effects(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Tell(text) => self.tell(text),
                Effect::Crashed(node) => self.crashed(node),
                Effect::Deaf(node) => self.outage_begins(node),
                Effect::Clients { how, slots, until_us } => {
                    for slot in slots {
                        self.fail_client(slot % self.slots.len().max(1), how, until_us);
                    }
                }
            }
        }
    }

    /// A node is gone for a while: whoever waits for an answer of it will not get it.
    fn crashed(&mut self, node: usize) {
        self.watch_crashed(node);
        for slot in 0..self.slots.len() {
            if self.slots[slot].node == node && !self.slots[slot].idle() {
                self.renew(slot);
            }
        }
    }

    fn fail_client(&mut self, slot: usize, how: ClientFault, until_us: Micros) {
        if how == ClientFault::Crash {
            self.renew(slot);
        }
        self.slots[slot].silent_until_us = until_us;
    }

    fn tell(&mut self, text: String) {
        self.actions.push(Action::Tell(text));
    }

    fn breach(&mut self, node: usize, kind: &str, account: &str) {
        let first = self.recorder.breaches() < 5;
        self.recorder.breach(self.now_us, &self.names[node], kind, account);
        if first {
            self.tell(format!("{kind} by {}: {account}", self.names[node]));
        }
    }

    fn line(&mut self, node: usize, line: Vec<u8>) {
        let (dest, body) = match json::envelope(&line) {
            Ok(envelope) => {
                if let Some(to) = self.names.iter().position(|name| *name == envelope.dest) {
                    return self.net.send(self.now_us, node, to, line);
                }
                if envelope.src != self.names[node] {
                    let account =
                        format!("a line to {} says it is from {}", envelope.dest, envelope.src);
                    return self.breach(node, "false-source", &account);
                }
                (envelope.dest.into_owned(), envelope.body.get().to_owned())
            }
            Err(why) => {
                let text = String::from_utf8_lossy(&line);
                let account = format!("{why}; the line: {text:.200}");
                return self.breach(node, "malformed-line", &account);
            }
        };
        let (nodes, now_us) = (&self.nodes, self.now_us);
        let stood_us = |since_us| nodes.stood_us(node, since_us, now_us);
        let (taken, breaches) = self.clients.reply(now_us, node, &dest, &body, stood_us);
        for (kind, account) in breaches {
            self.breach(node, kind, &account);
        }
        if let Some(taken) = taken {
            self.taken(taken);
        }
    }

    fn taken(&mut self, taken: Taken) {
        match taken.purpose {
            Purpose::Init(node) => self.initialised(node, taken.answer),
            Purpose::Status(node) => self.status(node, taken.answer),
            Purpose::Probe(node) => self.probed(node, taken),
            Purpose::Slot(slot) => self.answered(slot, taken),
        }
    }

    /// Sends a request that is not the workload's.
    fn ask(&mut self, client: &str, node: usize, f: &str, args: &Value, op: Option<u64>) -> u64 {
        let patience_us = self.setup.patience_us;
        let msg_id = self.clients.ask(client, f, op, self.now_us, patience_us);
        self.deliver(node, json::request(client, &self.names[node], f, msg_id, args));
        msg_id
    }

    fn deliver(&mut self, node: usize, line: Vec<u8>) {
        if self.nodes.reachable(node) {
            self.actions.push(Action::Deliver { node, line, peer: false });
        }
    }

    /// A node does not come up. If it never did, the run says nothing about it; one that served and
    /// comes back has to.
    fn not_up(&mut self, node: usize, how: &str) {
        self.nodes.set(node, State::Exited);
        if self.nodes.has_run(node) {
            self.breach(node, "not-back", how);
        } else {
            self.failure.get_or_insert(format!("{} {how}", self.names[node]));
        }
    }

    /// A node ended because its disk failed, as it should: whoever looks after it starts it again
    /// when the disk is mended.
    fn ended_by_its_disk(&mut self, node: usize, mended_us: Micros) {
        self.nodes.set(node, State::Waiting);
        self.start_us[node] = mended_us.max(self.now_us) + SUPERVISOR_US;
        self.supervised_us = self.supervised_us.max(self.start_us[node]);
        self.crashed(node);
        self.tell(format!("{} has ended because of its disk", self.names[node]));
    }

    fn exited(&mut self, node: usize, code: Option<i32>) {
        let how = code.map_or("a signal".to_owned(), |code| format!("status {code}"));
        let state = self.nodes.state(node);
        match (state, code, self.nodes.may_have_ended(node, self.now_us)) {
            (State::Starting | State::Running, Some(1), Some(mended_us)) => {
                return self.ended_by_its_disk(node, mended_us);
            }
            // A folder that cannot be read or written is refused.
            (State::Starting, Some(3), Some(mended_us)) if self.nodes.disk_is_bad(node) => {
                return self.ended_by_its_disk(node, mended_us);
            }
            (State::Starting, Some(3), _) if self.nodes.rotten(node) => {
                self.nodes.set(node, State::Exited);
                return self.tell(format!("{} refuses what it finds", self.names[node]));
            }
            _ => {}
        }
        match state {
            State::Killed | State::Exited | State::Down => {}
            State::Closing => {
                self.nodes.set(node, State::Exited);
                if code != Some(0) {
                    self.breach(
                        node,
                        "exit-status",
                        &format!("ended with {how} at the end of its input"),
                    );
                }
            }
            State::Starting => {
                self.not_up(node, &format!("ended with {how} before it answered init"))
            }
            State::Waiting | State::Running => {
                self.nodes.set(node, State::Exited);
                self.breach(node, "died", &format!("ended with {how} while it was in use"));
            }
        }
    }
}
