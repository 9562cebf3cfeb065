//! The workloads: what clients ask of the nodes.
//!
//! A workload is one state machine over all its clients (*slots*). The run asks a slot what it
//! wants to do next and tells it how its requests ended; a workload knows no network, no fault and
//! no node beyond the one that a slot talks to, and it judges nothing: checkers do, from the
//! history.

pub mod apps;
pub mod classic;
pub mod consumer;
pub mod deletions;
pub mod groups;
pub mod kafka;
pub mod lin_kv;
pub mod log;
pub mod member_fault;
pub mod offsets;
pub mod records;
pub mod spread;
pub mod topics;

use serde_json::Value;

pub use member_fault::MemberFault;

use crate::history::{Micros, Op};
use crate::rng::Rng;

/// A client waits so long for a reply, as Maelstrom's does.
pub const PATIENCE_US: Micros = 5_000_000;

/// A workload by its name on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Maelstrom's `kafka`: sends, polls, offset commits.
    Kafka,
    /// Maelstrom's `lin-kv`: reads, writes, compare-and-set.
    LinKv,
    /// Committed offsets, and one-shot rebalances.
    Offsets,
    /// Thin consumers.
    Groups,
    /// Kafka's classic consumers.
    Classic,
    /// Partition logs over Kafka's wire.
    Log,
    /// Kafka's consumers of KIP-848.
    Consumer,
    /// Records, and topics, that are deleted beneath idempotent producers and readers.
    Records,
    /// Records for applications that somebody else wrote. Not among the others: it needs one.
    Apps,
}

impl Kind {
    /// Those that speak Kafka's wire.
    pub const WIRE: [Self; 4] = [Self::Log, Self::Classic, Self::Offsets, Self::Consumer];

    /// Those that speak the JSON protocol.
    pub const ALL: [Self; 5] =
        [Self::Kafka, Self::LinKv, Self::Offsets, Self::Groups, Self::Classic];

    /// Those that speak it too, and that no random case draws unless they are asked for: the seeds
    /// of the others keep their cases.
    pub const APART: [Self; 1] = [Self::Records];

    /// As on the command line and in a history.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::LinKv => "lin-kv",
            Self::Offsets => "offsets",
            Self::Groups => "groups",
            Self::Classic => "classic",
            Self::Log => "log",
            Self::Consumer => "consumer",
            Self::Records => "records",
            Self::Apps => "apps",
        }
    }

    /// The workload of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::with_lines(name).or_else(|| Self::WIRE.into_iter().find(|kind| kind.name() == name))
    }

    /// The workload of that name, if it speaks the JSON protocol.
    pub fn with_lines(name: &str) -> Option<Self> {
        Self::ALL.into_iter().chain(Self::APART).find(|kind| kind.name() == name)
    }

    /// The workload, ready to begin.
    pub fn build(self, plan: &Plan, rng: &mut Rng) -> Box<dyn Workload> {
        match self {
            Self::Kafka => Box::new(kafka::Kafka::new(plan)),
            Self::LinKv => Box::new(lin_kv::LinKv::new(plan)),
            Self::Offsets => Box::new(offsets::Offsets::new(plan, rng)),
            Self::Groups => Box::new(groups::Groups::new(plan, rng)),
            Self::Classic => Box::new(classic::Classic::new(plan, rng)),
            Self::Log => Box::new(log::Log::new(plan)),
            Self::Consumer => Box::new(consumer::ConsumerGroups::new(plan, rng)),
            Self::Records => Box::new(records::Records::new(plan)),
            Self::Apps => Box::new(apps::Apps::new(plan)),
        }
    }
}

/// What a workload needs to know before it begins.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How many nodes.
    pub nodes: usize,
    /// How many clients; at least one for each node.
    pub slots: usize,
    /// Operations a second, over all clients.
    pub rate: u32,
    /// Requests that one client may have under way.
    pub pipeline: usize,
    /// Whether clients speak Kafka's wire, which knows fewer operations.
    pub wire: bool,
    /// Whether members come and go seldom, and never without a word.
    pub calm: bool,
    /// What members do wrong on purpose.
    pub member_fault: Option<MemberFault>,
}

/// What a slot may look at when it decides.
#[derive(Debug)]
pub struct Cx<'a> {
    /// The run's time.
    pub now_us: Micros,
    /// The workload's own stream.
    pub rng: &'a mut Rng,
    /// Whether the final reads have begun.
    pub draining: bool,
    /// The node that the slot talks to.
    pub node: usize,
    /// How many requests of the slot are under way.
    pub in_flight: usize,
}

/// A request to send.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Its `type`.
    pub f: &'static str,
    /// Its body without `type` and `msg_id`.
    pub args: Value,
    /// How long the client waits.
    pub patience_us: Micros,
}

impl Request {
    /// With the usual patience.
    pub fn new(f: &'static str, args: Value) -> Self {
        Self { f, args, patience_us: PATIENCE_US }
    }
}

/// What a slot does next.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Send this now.
    Invoke(Request),
    /// Nothing before that time.
    Until(Micros),
    /// Nothing before one of its requests ends, or the final phase begins.
    Await,
    /// The client dies and a new one takes its place.
    Crash,
}

/// Clients of one kind.
pub trait Workload: std::fmt::Debug {
    /// What a checker may need to know.
    fn config(&self) -> Value;

    /// The topics that have to be there before it begins, and their partitions; where clients
    /// speak Kafka's wire.
    fn needs(&self) -> Vec<(String, u64)> {
        Vec::new()
    }

    /// Requests of Kafka's, by key, that not every broker of today serves, and that it cannot do
    /// without.
    fn requests(&self) -> &'static [i16] {
        &[]
    }

    /// A slot may do something.
    fn step(&mut self, slot: usize, cx: &mut Cx<'_>) -> Step;

    /// A request of a slot ended. Where the outcome is `info`, [`renewed`](Self::renewed) follows.
    fn completed(&mut self, slot: usize, op: &Op, cx: &mut Cx<'_>);

    /// A new client has taken the slot: it has forgotten everything, and may talk to another node.
    fn renewed(&mut self, slot: usize, cx: &mut Cx<'_>);

    /// The final phase begins: no more writing, everything is to be read once more. Told once, with
    /// one slot for every node that serves.
    fn drain(&mut self, readers: &[usize]);

    /// In the final phase: whether all has been read that is to be read.
    fn drained(&self) -> bool;

    /// In the final phase: what is still to be waited for, for people.
    fn unfinished(&self) -> Option<String> {
        None
    }

    /// A read that changes nothing, to find out whether a node serves.
    fn probe(&self) -> Request;
}

/// Spreads the operations of each slot over time: on average `rate` a second in all.
#[derive(Debug)]
pub struct Pace {
    mean_gap_us: Micros,
    due_us: Vec<Micros>,
}

impl Pace {
    /// For so many slots, together at `rate` operations a second.
    pub fn new(slots: usize, rate: u32) -> Self {
        let mean_gap_us = 1_000_000 * slots as u64 / u64::from(rate.max(1));
        Self { mean_gap_us, due_us: vec![0; slots] }
    }

    /// `None` where the slot's next operation is due, and then the one after is put off; otherwise
    /// when it is due.
    pub fn wait(&mut self, slot: usize, cx: &mut Cx<'_>) -> Option<Micros> {
        let due_us = &mut self.due_us[slot];
        if *due_us > cx.now_us {
            return Some(*due_us);
        }
        // A client that fell behind does not catch up in a burst.
        *due_us = cx.now_us + cx.rng.between(0, 2 * self.mean_gap_us);
        None
    }
}

/// An operation that was answered, for tests.
#[cfg(test)]
fn answered(f: &str, args: &Value, result: Value) -> Op {
    Op {
        id: 0,
        process: "c1".to_owned(),
        node: "n1".to_owned(),
        f: f.to_owned(),
        args: args.clone(),
        invoke_us: 0,
        complete_us: Some(1),
        outcome: crate::history::Outcome::Ok,
        result: Some(result),
        code: None,
        error: None,
    }
}
