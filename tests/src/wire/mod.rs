//! A run against brokers that speak Kafka's wire: the workload, the faults and the history.
//!
//! As [`crate::run::Run`] it takes its operations and its faults from a seed. But it runs in real
//! time over real connections, so it does not repeat itself to the byte. It goes through the same
//! phases and leaves the same history. It does not know how brokers are started
//! ([`crate::targets::brokers`]) nor whether the history is good.

pub mod apps;
pub mod client;
pub mod connection;
mod members;
mod phases;
mod slots;
pub mod toy;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use ::wire::kafka_protocol::messages::metadata_response::MetadataResponseBroker;
use ::wire::kafka_protocol::messages::{MetadataRequest, ResponseKind};
use ::wire::versions;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::history::{Header, History, Micros};
use crate::nemesis::network::Network;
use crate::nemesis::runner::{Effect, ScheduleRunner, World};
use crate::nemesis::schedule::{ClientFault, Schedule};
use crate::rng::Rng;
use crate::run::Outcome;
use crate::run::nodes::Nodes;
use crate::run::recorder::Recorder;
use crate::targets::brokers::Brokers;
use crate::targets::{Action, TargetError};
use crate::workloads::{Kind, MemberFault, Plan, Workload};
use apps::{Apps, AppsSetup, Said};
use client::{Client, Done, Shared};
use connection::Connection;
use phases::Phase;
use slots::Slot;

/// Processes are looked after so often.
const LOOK_US: Micros = 50_000;
/// A broker that runs already has so long to say who there is.
const DISCOVER_LONG: Duration = Duration::from_secs(10);

/// What a run is made of.
#[derive(Debug, Clone)]
pub struct Setup {
    /// What clients do.
    pub workload: Kind,
    /// How many clients.
    pub slots: usize,
    /// Operations a second, over all clients.
    pub rate: u32,
    /// Requests that one client may have under way.
    pub pipeline: usize,
    /// How long faults may happen.
    pub faults_us: Micros,
    /// Every node has to serve so long after its first start.
    pub start_us: Micros,
    /// Every node has to serve again so long after the end of all faults.
    pub recover_us: Micros,
    /// Whether members come and go seldom, and never without a word.
    pub calm: bool,
    /// What members do wrong on purpose.
    pub member_fault: Option<MemberFault>,
    /// Whether the broker promises that a read tells all that was acknowledged before it.
    pub linearizable: bool,
    /// How many copies of a topic there are; -1: as many as the broker likes.
    pub replicas: i16,
    /// The session of members of KIP-848, where it is known: the broker alone decides it.
    pub consumer_session_ms: Option<u64>,
    /// Goes before the names of topics and groups.
    pub prefix: String,
    /// The applications that read, if there are any.
    pub apps: Option<AppsSetup>,
    /// What goes wrong.
    pub schedule: Schedule,
    /// Draws operations.
    pub seed: u64,
}

/// What comes back from a task.
#[derive(Debug)]
enum Event {
    /// A client's operation has ended.
    Done { slot: usize, life: u64, op: u64, done: Done },
    /// A topic that the workload needs is there, or is not.
    Made { op: u64, done: Done },
    /// All nodes said what they serve; which request one of them does not, if there is one.
    Surveyed { lacking: Option<(usize, i16)> },
    /// An application has said something.
    Said(Said),
    /// A node answers, or does not.
    Probed { node: usize, served: bool },
}

/// What is known of a node beyond its state.
#[derive(Debug, Clone, Default)]
struct Seen {
    /// When it was started last.
    started_us: Micros,
    /// A probe is under way.
    asking: bool,
    /// When the next probe is due.
    ask_us: Micros,
    /// It answered after the end of all faults; when.
    recovered_us: Option<Micros>,
}

struct Run<'a> {
    setup: Setup,
    names: Vec<String>,
    shared: Rc<Shared>,
    prober: Vec<Rc<Client>>,
    workload: Box<dyn Workload>,
    rng: Rng,
    net: Network,
    nodes: Nodes,
    seen: Vec<Seen>,
    runner: ScheduleRunner,
    recorder: Recorder,
    slots: Vec<Slot>,
    apps: Option<Apps>,
    next_client: u64,
    phase: Phase,
    phase_us: Micros,
    /// What is still to be made before the workload begins.
    missing: Vec<(String, u64)>,
    making: bool,
    /// Nodes are known to serve what the workload needs.
    surveyed: bool,
    looked_us: Micros,
    heal_us: Option<Micros>,
    failure: Option<String>,
    begun: Instant,
    now_us: Micros,
    events: mpsc::UnboundedSender<Event>,
    tell: &'a mut dyn FnMut(Micros, &str),
}

/// The addresses of all brokers, as one of them tells them.
///
/// # Errors
/// What is wrong, where nobody answers there.
pub fn discover(address: &str) -> Result<Vec<String>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let found = tokio::net::lookup_host(address).await.map_err(|error| error.to_string())?;
        let mut last = "it has no address".to_owned();
        for address in found {
            match Connection::open(address, "arena-probe").await {
                Ok(connection) => return brokers_of(&connection).await,
                Err(error) => last = error.to_string(),
            }
        }
        Err(last)
    })
}

async fn brokers_of(connection: &Connection) -> Result<Vec<String>, String> {
    let body = MetadataRequest::default().with_topics(Some(Vec::new()));
    let body = body.into();
    let answer = connection.ask(versions::METADATA, 9, &body);
    let answer = tokio::time::timeout(DISCOVER_LONG, answer).await;
    match answer.map_err(|_| "no answer to Metadata".to_owned())? {
        Ok(ResponseKind::Metadata(metadata)) => {
            let address = |broker: &MetadataResponseBroker| {
                format!("{}:{}", broker.host.as_str(), broker.port)
            };
            Ok(metadata.brokers.iter().map(address).collect())
        }
        Ok(other) => Err(format!("Metadata was answered by {other:?}")),
        Err(problem) => Err(problem.to_string()),
    }
}

/// Runs until the final reads are done, on a thread of its own making: the caller's.
///
/// # Errors
/// Where brokers cannot be started or signalled. One that misbehaves is no error: that is recorded.
pub fn run<F>(
    setup: Setup,
    brokers: impl FnOnce() -> F,
    tell: &mut dyn FnMut(Micros, &str),
) -> Result<Outcome, TargetError>
where
    F: Future<Output = Result<Brokers, TargetError>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime
        .map_err(|source| TargetError::System { what: "start a runtime".to_owned(), source })?;
    let tasks = tokio::task::LocalSet::new();
    let (prefix, begun) = (setup.prefix.clone(), Instant::now());
    let (mut outcome, recorded) = tasks.block_on(&runtime, async {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let brokers = brokers().await?;
        let told: Vec<String> =
            (0..brokers.count()).map(|node| brokers.told_at(node).to_owned()).collect();
        let (recorded, apps) = match &setup.apps {
            Some(apps) => {
                let prepared = members::prepare(apps, &setup, &brokers, begun.into_std()).await?;
                (Some((prepared.0, told)), Some(prepared.1))
            }
            None => (None, None),
        };
        let mut run = Run::new((setup, begun), brokers, sender, tell);
        run.apps = apps;
        while run.phase != Phase::Over {
            run.now_us = run.now();
            run.advance()?;
            let due = run.begun + Duration::from_micros(run.next_due());
            let event = tokio::select! {
                event = receiver.recv() => event,
                () = tokio::time::sleep_until(due) => None,
            };
            run.now_us = run.now();
            for event in event.into_iter().chain(std::iter::from_fn(|| receiver.try_recv().ok())) {
                run.happened(event);
            }
        }
        Ok::<_, TargetError>((run.into_outcome(), recorded))
    })?;
    // A recording ends with its connections.
    drop(tasks);
    if let Some((recording, nodes)) = recorded {
        members::merge(&mut outcome.history, recording, &nodes, &prefix)?;
    }
    Ok(outcome)
}

impl<'a> Run<'a> {
    fn new(
        (setup, begun): (Setup, Instant),
        brokers: Brokers,
        events: mpsc::UnboundedSender<Event>,
        tell: &'a mut dyn FnMut(Micros, &str),
    ) -> Self {
        let count = brokers.count();
        let mut rng = Rng::new(setup.seed, "workload");
        let plan = Plan {
            nodes: count,
            slots: setup.slots,
            rate: setup.rate,
            pipeline: setup.pipeline.max(1),
            wire: true,
            calm: setup.calm,
            member_fault: setup.member_fault,
        };
        let workload = setup.workload.build(&plan, &mut rng);
        let shared = Rc::new(Shared {
            brokers: RefCell::new(brokers),
            prefix: setup.prefix.clone(),
            coordinator: RefCell::new(None),
        });
        let prober = (0..count)
            .map(|node| Rc::new(Client::new("arena-probe".to_owned(), node, Rc::clone(&shared))));
        let prober = prober.collect();
        let mut run = Self {
            names: (1..=count).map(|n| format!("n{n}")).collect(),
            prober,
            missing: workload.needs(),
            workload,
            net: Network::new(count, 0, Rng::new(setup.seed, "network")),
            nodes: Nodes::new(count),
            seen: vec![Seen::default(); count],
            runner: ScheduleRunner::new(&setup.schedule),
            recorder: Recorder::default(),
            slots: Vec::new(),
            apps: None,
            next_client: 0,
            phase: Phase::Start,
            phase_us: 0,
            making: false,
            surveyed: false,
            looked_us: 0,
            heal_us: None,
            failure: None,
            begun,
            now_us: 0,
            rng,
            shared,
            events,
            tell,
            setup,
        };
        for slot in 0..run.setup.slots {
            let fresh = run.fresh_slot(slot % count);
            run.slots.push(fresh);
        }
        run
    }

    fn now(&self) -> Micros {
        Micros::try_from(self.begun.elapsed().as_micros()).unwrap_or(Micros::MAX)
    }

    fn next_due(&self) -> Micros {
        let faults = self.runner.next_due();
        let apps = self.apps.as_ref().and_then(Apps::next_due);
        let due = [Some(self.looked_us + LOOK_US), faults, apps, self.next_slot_due()];
        due.into_iter().flatten().min().unwrap_or(self.now_us)
    }

    fn advance(&mut self) -> Result<(), TargetError> {
        let mut actions = Vec::new();
        let effects =
            self.with_world(&mut actions, |runner, now_us, world| runner.step(now_us, world));
        self.carry_out(actions)?;
        self.effects(effects);
        self.look_after_nodes()?;
        self.step_apps()?;
        self.time_out();
        self.step_phase()?;
        self.step_slots();
        Ok(())
    }

    fn with_world<T>(
        &mut self,
        actions: &mut Vec<Action>,
        f: impl FnOnce(&mut ScheduleRunner, Micros, &mut World<'_>) -> T,
    ) -> T {
        let mut world = World {
            net: &mut self.net,
            nodes: &mut self.nodes,
            leader: *self.shared.coordinator.borrow(),
            base_latency: (0, false),
            actions,
        };
        let result = f(&mut self.runner, self.now_us, &mut world);
        self.shared.brokers.borrow().behave(&self.net);
        result
    }

    fn carry_out(&mut self, actions: Vec<Action>) -> Result<(), TargetError> {
        for action in actions {
            match action {
                Action::Kill(node) => self.shared.brokers.borrow_mut().kill(node)?,
                Action::Pause(node) => self.shared.brokers.borrow().pause(node)?,
                Action::Resume(node) => self.shared.brokers.borrow().resume(node)?,
                Action::Tell(text) => (self.tell)(self.now_us, &text),
                other => {
                    let problem = format!("the stage `wire` cannot do this: {other:?}");
                    return Err(TargetError::Unable(problem));
                }
            }
        }
        Ok(())
    }

    fn effects(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Tell(text) => (self.tell)(self.now_us, &text),
                // Connections break by themselves, and a deaf leader is judged in other stages.
                Effect::Crashed(_) | Effect::Deaf(_) => {}
                Effect::Clients { how, slots, until_us } => {
                    for slot in slots {
                        let slot = slot % self.slots.len().max(1);
                        if how == ClientFault::Crash {
                            self.renew(slot);
                        }
                        self.slots[slot].silent_until_us = until_us;
                    }
                }
            }
        }
    }

    fn happened(&mut self, event: Event) {
        match event {
            Event::Done { slot, life, op, done } => self.ended(slot, life, op, done),
            Event::Made { op, done } => self.made(op, done),
            Event::Surveyed { lacking } => self.surveyed(lacking),
            Event::Said(said) => self.said(said),
            Event::Probed { node, served } => self.probed(node, served),
        }
    }

    fn breach(&mut self, node: usize, kind: &str, account: &str) {
        let name = self.names[node].clone();
        self.recorder.breach(self.now_us, &name, kind, account);
        (self.tell)(self.now_us, &format!("{kind} by {name}: {account}"));
    }

    fn into_outcome(self) -> Outcome {
        let mut config = self.workload.config();
        if let Value::Object(config) = &mut config {
            match self.apps.as_ref().map(Apps::config) {
                Some(Value::Object(apps)) => config.extend(apps),
                // Whoever leads a group assigns by the arena's own rule.
                _ => drop(config.insert("assignor".to_owned(), json!("arena"))),
            }
            config.insert("linearizable".to_owned(), json!(self.setup.linearizable));
            if let Some(session_ms) = self.setup.consumer_session_ms {
                config.insert("consumer_session_timeout_ms".to_owned(), json!(session_ms));
            }
        }
        let since = |at: Micros| at.saturating_sub(self.heal_us.unwrap_or(at));
        let recovered_us = (0..self.names.len())
            .filter(|node| self.nodes.alive(*node))
            .map(|node| (self.names[node].clone(), self.seen[node].recovered_us.map(since)))
            .collect();
        let (mut ops, mut faults) = (self.recorder.into_ops(), self.runner.faults().to_vec());
        if let Some(apps) = self.apps {
            let (said, done) = apps.into_parts();
            ops.extend(said);
            faults.extend(done);
            faults.sort_by_key(|fault| fault.from_us);
        }
        let history = History {
            header: Header {
                arena: 1,
                workload: self.setup.workload.name().to_owned(),
                stage: "wire".to_owned(),
                nodes: self.names,
                seed: self.setup.seed,
                heal_us: self.heal_us,
                config,
            },
            ops,
            faults,
        };
        Outcome { history, traffic: self.net.traffic(), recovered_us, failure: self.failure }
    }
}
