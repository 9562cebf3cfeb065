//! Carries a schedule of faults out, and takes every fault back at its end.
//!
//! Owns which faults are on, and what to undo. Effects go to the network, to the nodes and out as
//! actions; which clients fail is handed back to the run, which owns them.

use std::collections::VecDeque;

use crate::history::{Fault, Micros};
use crate::nemesis::network::Network;
use crate::nemesis::schedule::{ClientFault, Schedule, Scheduled, Shape, Victim, What};
use crate::run::nodes::{Nodes, State};
use crate::run::outage::{NEAR_US, SETTLED_US};
use crate::targets::{Action, DiskFault};

/// What faults act upon.
#[derive(Debug)]
pub struct World<'a> {
    /// The links between nodes.
    pub net: &'a mut Network,
    /// What each node is doing.
    pub nodes: &'a mut Nodes,
    /// Who leads, as far as the arena knows.
    pub leader: Option<usize>,
    /// The latency outside of faults, and whether every line takes exactly that.
    pub base_latency: (Micros, bool),
    /// What the target must do.
    pub actions: &'a mut Vec<Action>,
}

/// What a step asks of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// These clients fail now, until the given time.
    Clients {
        /// How.
        how: ClientFault,
        /// Which.
        slots: Vec<usize>,
        /// When the fault ends.
        until_us: Micros,
    },
    /// This node crashed, and will come back.
    Crashed(usize),
    /// This node hears no other any more, and nothing else was wrong for a while.
    Deaf(usize),
    /// Tell people.
    Tell(String),
}

#[derive(Debug)]
enum Undo {
    Nothing,
    Mend(Vec<(usize, usize)>),
    Resume(usize),
    Start(usize),
    Slow { node: usize, run_us: Micros, stop_us: Micros, stopped: bool, toggle_us: Micros },
    Latency,
    Loss,
    Duplicate,
    Reorder,
    Reset,
    Bandwidth,
    Clock(usize),
    Disk(usize),
}

#[derive(Debug)]
struct Active {
    until_us: Micros,
    undo: Undo,
    /// Its place among the recorded faults.
    record: usize,
}

/// Carries out one schedule.
#[derive(Debug)]
pub struct ScheduleRunner {
    waiting: VecDeque<Scheduled>,
    active: Vec<Active>,
    /// Every fault that began, for the history.
    record: Vec<Fault>,
    begun_us: Option<Micros>,
}

impl ScheduleRunner {
    /// Without the faults that begin with the run itself ([`What::Late`]), which the run sees to.
    pub fn new(schedule: &Schedule) -> Self {
        let mut waiting: Vec<Scheduled> = schedule
            .faults
            .iter()
            .filter(|f| !matches!(f.what, What::Late { .. }))
            .cloned()
            .collect();
        waiting.sort_by_key(|fault| fault.at_us);
        Self { waiting: waiting.into(), active: Vec::new(), record: Vec::new(), begun_us: None }
    }

    /// The fault phase begins.
    pub fn begin(&mut self, now_us: Micros) {
        self.begun_us = Some(now_us);
    }

    /// When there is something to do next.
    pub fn next_due(&self) -> Option<Micros> {
        let begun_us = self.begun_us?;
        let next = self.waiting.front().map(|fault| begun_us + fault.at_us);
        let ends = self.active.iter().map(|active| match active.undo {
            Undo::Slow { toggle_us, .. } => toggle_us.min(active.until_us),
            _ => active.until_us,
        });
        ends.chain(next).min()
    }

    /// All faults that began so far.
    pub fn faults(&self) -> &[Fault] {
        &self.record
    }

    /// Whether one fault is on, and no other.
    pub fn is_single(&self) -> bool {
        self.active.len() == 1
    }

    /// Whether nothing is wrong, nor was for a while, and nodes are near each other.
    fn is_settled(&self, now_us: Micros, world: &World<'_>) -> bool {
        let over = |fault: &Fault| fault.to_us.is_some_and(|to_us| to_us + SETTLED_US <= now_us);
        self.active.is_empty() && self.record.iter().all(over) && world.net.latency_us <= NEAR_US
    }

    /// Adds a fault that the run itself made.
    pub fn note(&mut self, fault: Fault) {
        self.record.push(fault);
    }

    /// Begins and ends what is due.
    pub fn step(&mut self, now_us: Micros, world: &mut World<'_>) -> Vec<Effect> {
        let mut effects = Vec::new();
        let Some(begun_us) = self.begun_us else { return effects };
        self.end(now_us, world, &mut effects, |active| active.until_us <= now_us);
        for active in &mut self.active {
            if let Undo::Slow { node, run_us, stop_us, stopped, toggle_us } = &mut active.undo
                && *toggle_us <= now_us
            {
                if *stopped {
                    world.nodes.resume(*node, now_us, world.actions);
                } else {
                    world.nodes.pause(*node, now_us, world.actions);
                }
                *stopped = !*stopped;
                *toggle_us = now_us + if *stopped { *stop_us } else { *run_us };
            }
        }
        while self.waiting.front().is_some_and(|fault| begun_us + fault.at_us <= now_us) {
            if let Some(fault) = self.waiting.pop_front() {
                self.start(now_us, &fault, world, &mut effects);
            }
        }
        effects
    }

    /// Ends every fault, begins no more.
    pub fn heal(&mut self, now_us: Micros, world: &mut World<'_>) -> Vec<Effect> {
        self.waiting.clear();
        let mut effects = Vec::new();
        self.end(now_us, world, &mut effects, |_| true);
        effects
    }

    fn end(
        &mut self,
        now_us: Micros,
        world: &mut World<'_>,
        effects: &mut Vec<Effect>,
        over: impl Fn(&Active) -> bool,
    ) {
        let all = std::mem::take(&mut self.active);
        let (ended, active): (Vec<_>, Vec<_>) = all.into_iter().partition(over);
        self.active = active;
        for mut fault in ended {
            fault.undo.apply(now_us, world);
            let record = &mut self.record[fault.record];
            record.to_us = Some(now_us);
            effects.push(Effect::Tell(format!("end of {}: {}", record.fault, record.detail)));
        }
    }

    fn start(
        &mut self,
        now_us: Micros,
        fault: &Scheduled,
        world: &mut World<'_>,
        effects: &mut Vec<Effect>,
    ) {
        let until_us = now_us + fault.for_us;
        let name = fault.what.name();
        let settled = self.is_settled(now_us, world);
        let leader = world.leader;
        let Some((detail, undo)) = apply(now_us, until_us, &fault.what, world, effects) else {
            effects.push(Effect::Tell(format!("{name} skipped: there is nobody to do it to")));
            return;
        };
        effects.push(Effect::Tell(format!("{name}: {detail}")));
        if let (What::Deaf { who: Victim::Leader }, true, Some(leader)) =
            (&fault.what, settled, leader)
        {
            effects.push(Effect::Deaf(leader));
        }
        let lasts = matches!(fault.what, What::Kill { .. });
        self.record.push(Fault { fault: name.to_owned(), detail, from_us: now_us, to_us: None });
        if !lasts {
            self.active.push(Active { until_us, undo, record: self.record.len() - 1 });
        }
    }
}

impl Undo {
    fn apply(&mut self, now_us: Micros, world: &mut World<'_>) {
        match self {
            Self::Nothing => {}
            Self::Mend(links) => links.iter().for_each(|(from, to)| world.net.mend(*from, *to)),
            Self::Resume(node) => world.nodes.resume(*node, now_us, world.actions),
            // The run starts whoever waits to be started.
            Self::Start(node) => {
                debug_assert_eq!(
                    world.nodes.state(*node),
                    State::Down,
                    "it has stayed where it crashed"
                );
                world.nodes.set(*node, State::Waiting);
            }
            Self::Slow { node, stopped, .. } => {
                if *stopped {
                    world.nodes.resume(*node, now_us, world.actions);
                }
            }
            Self::Latency => (world.net.latency_us, world.net.constant) = world.base_latency,
            Self::Loss => world.net.loss_ppm = 0,
            Self::Duplicate => world.net.duplicate_ppm = 0,
            Self::Reorder => world.net.reorder_ppm = 0,
            Self::Reset => world.net.breaks_ppm = 0,
            Self::Bandwidth => world.net.bytes_per_s = 0,
            Self::Clock(node) => {
                world.actions.push(Action::SetClock { node: *node, rate_ppm: 0, jump_us: 0 });
            }
            Self::Disk(node) => {
                world.nodes.disk_is_mended(*node, now_us);
                world.actions.push(Action::Disk(*node, DiskFault::None));
            }
        }
    }
}

/// Begins a fault: what it is called, and how to take it back. `None` where it cannot be done now.
fn apply(
    now_us: Micros,
    until_us: Micros,
    what: &What,
    world: &mut World<'_>,
    effects: &mut Vec<Effect>,
) -> Option<(String, Undo)> {
    Some(match what {
        What::Partition { .. }
        | What::OneWay { .. }
        | What::Deaf { .. }
        | What::Latency { .. }
        | What::Loss { .. }
        | What::Duplicate { .. }
        | What::Reorder { .. }
        | What::Reset { .. }
        | What::Bandwidth { .. } => return apply_to_network(what, world),
        What::Pause { who } => {
            let node = running(*who, world)?;
            world.nodes.pause(node, now_us, world.actions);
            (named(*who, node), Undo::Resume(node))
        }
        What::Slow { who, run_us, stop_us } => {
            let node = running(*who, world)?;
            let (run_ms, stop_ms) = (run_us / 1000, stop_us / 1000);
            let undo = Undo::Slow {
                node,
                run_us: (*run_us).max(1_000),
                stop_us: (*stop_us).max(1_000),
                stopped: false,
                toggle_us: now_us,
            };
            (format!("{} runs {run_ms} ms, then stands {stop_ms} ms", named(*who, node)), undo)
        }
        What::Kill { who } => {
            let node = running(*who, world)?;
            if world.nodes.dead() >= world.nodes.count().saturating_sub(1) / 2 {
                return None;
            }
            world.nodes.set(node, State::Killed);
            world.actions.push(Action::Kill(node));
            (named(*who, node), Undo::Nothing)
        }
        What::Restart { who } => {
            let node = running(*who, world)?;
            crash(*who, node, world, effects)
        }
        What::Clock { node, rate_ppm, jump_us } => {
            world.actions.push(Action::SetClock {
                node: *node,
                rate_ppm: *rate_ppm,
                jump_us: *jump_us,
            });
            let (rate, jump_ms) = (f64::from(*rate_ppm) / 10_000.0, jump_us / 1000);
            (format!("{} runs {rate:+}%, jumps {jump_ms} ms", name(*node)), Undo::Clock(*node))
        }
        What::Clients { how, slots } => {
            effects.push(Effect::Clients { how: *how, slots: slots.clone(), until_us });
            let how = match how {
                ClientFault::Crash => "crash",
                ClientFault::Hang => "hang",
            };
            (format!("{} clients {how}: {slots:?}", slots.len()), Undo::Nothing)
        }
        What::SlowDisk { .. }
        | What::FailingDisk { .. }
        | What::FullDisk { .. }
        | What::BitRot { .. } => return apply_to_disk(until_us, what, world, effects),
        What::Late { .. } => return None,
    })
}

/// The same for a fault of a disk. A disk has one at a time.
fn apply_to_disk(
    until_us: Micros,
    what: &What,
    world: &mut World<'_>,
    effects: &mut Vec<Effect>,
) -> Option<(String, Undo)> {
    let (who, detail, fault, may_end) = match *what {
        What::SlowDisk { who, least_us, most_us } => {
            let detail = format!("a sync takes {} to {} ms", least_us / 1000, most_us / 1000);
            (who, detail, DiskFault::Slow { least_us, most_us }, false)
        }
        What::FailingDisk { who, nth, evicted } => {
            let forgets = if evicted { ", and is forgotten" } else { "" };
            let detail = format!("sync {nth} from now on fails{forgets}");
            (who, detail, DiskFault::Failing { nth, evicted }, true)
        }
        What::FullDisk { who, bytes } => {
            (who, format!("{bytes} bytes are left"), DiskFault::Full(bytes), true)
        }
        What::BitRot { who, bit } => {
            let node = running(who, world)?;
            if !world.nodes.may_rot(node) {
                return None;
            }
            world.nodes.rots(node);
            world.actions.push(Action::Disk(node, DiskFault::Rotten(bit)));
            let (detail, undo) = crash(who, node, world, effects);
            return Some((format!("{detail}: a bit turns round"), undo));
        }
        _ => return None,
    };
    let node = running(who, world)?;
    if !world.nodes.disk_fails(node, until_us, may_end) {
        return None;
    }
    world.actions.push(Action::Disk(node, fault));
    Some((format!("{}: {detail}", named(who, node)), Undo::Disk(node)))
}

/// A node ends at once, and is started at the end of the fault.
fn crash(
    who: Victim,
    node: usize,
    world: &mut World<'_>,
    effects: &mut Vec<Effect>,
) -> (String, Undo) {
    world.nodes.set(node, State::Down);
    world.actions.push(Action::Kill(node));
    effects.push(Effect::Crashed(node));
    (named(who, node), Undo::Start(node))
}

/// The same for a fault of the network.
fn apply_to_network(what: &What, world: &mut World<'_>) -> Option<(String, Undo)> {
    let percent = |ppm: u32| f64::from(ppm) / 10_000.0;
    Some(match what {
        What::Partition { shape } => {
            let (detail, links) = links_of(shape, world)?;
            (detail, cut(links, world))
        }
        What::OneWay { from, to } => {
            let links = from.iter().flat_map(|from| to.iter().map(|to| (*from, *to))).collect();
            (format!("lines from {} to {} are lost", names(from), names(to)), cut(links, world))
        }
        What::Deaf { who } => {
            let node = running(*who, world)?;
            let others = (0..world.nodes.count()).filter(|other| *other != node);
            let links = others.map(|other| (other, node)).collect();
            let detail = format!("lines to {} are lost, its own arrive", named(*who, node));
            (detail, cut(links, world))
        }
        What::Latency { mean_us, constant } => {
            (world.net.latency_us, world.net.constant) = (*mean_us, *constant);
            let exactly = if *constant { "exactly " } else { "" };
            (format!("{exactly}{} ms between nodes", mean_us / 1000), Undo::Latency)
        }
        What::Loss { ppm } => {
            world.net.loss_ppm = *ppm;
            (format!("{}% of lines between nodes", percent(*ppm)), Undo::Loss)
        }
        What::Duplicate { ppm } => {
            world.net.duplicate_ppm = *ppm;
            (format!("{}% of lines between nodes", percent(*ppm)), Undo::Duplicate)
        }
        What::Reorder { ppm } => {
            world.net.reorder_ppm = *ppm;
            (format!("{}% of lines between nodes are held back", percent(*ppm)), Undo::Reorder)
        }
        What::Reset { ppm } => {
            world.net.breaks_ppm = *ppm;
            (format!("{}% of pieces break their connection", percent(*ppm)), Undo::Reset)
        }
        What::Bandwidth { bytes_per_s } => {
            world.net.bytes_per_s = *bytes_per_s;
            (format!("{} KiB a second on each connection", bytes_per_s / 1024), Undo::Bandwidth)
        }
        _ => return None,
    })
}

fn cut(links: Vec<(usize, usize)>, world: &mut World<'_>) -> Undo {
    for (from, to) in &links {
        world.net.cut(*from, *to);
    }
    Undo::Mend(links)
}

fn running(who: Victim, world: &World<'_>) -> Option<usize> {
    let node = match who {
        Victim::Node(node) => node,
        Victim::Leader => world.leader?,
    };
    (world.nodes.state(node) == State::Running).then_some(node)
}

fn links_of(shape: &Shape, world: &World<'_>) -> Option<(String, Vec<(usize, usize)>)> {
    let nodes = world.nodes.count();
    let others = |node: usize| (0..nodes).filter(|other| *other != node).collect::<Vec<_>>();
    let (prefix, sides) = match shape {
        Shape::Ring(order) => {
            let majority = order.len() / 2 + 1;
            let mut links = Vec::new();
            for (i, to) in order.iter().enumerate() {
                let first = i + order.len() - (majority - 1) / 2;
                let heard: Vec<usize> =
                    (0..majority).map(|k| order[(first + k) % order.len()]).collect();
                links.extend(
                    order.iter().filter(|from| !heard.contains(from)).map(|from| (*from, *to)),
                );
            }
            return Some((format!("overlapping majorities in the ring {}", names(order)), links));
        }
        Shape::Sides(sides) => ("", sides.clone()),
        Shape::LeaderAlone => {
            let leader = world.leader?;
            ("the leader alone, ", vec![vec![leader], others(leader)])
        }
        Shape::LeaderAndFollower(which) => {
            let leader = world.leader?;
            let mut rest = others(leader);
            if rest.is_empty() {
                return None;
            }
            let follower = rest.remove(which % rest.len());
            ("the leader and one follower, ", vec![vec![leader, follower], rest])
        }
    };
    let mut links = Vec::new();
    for (i, side) in sides.iter().enumerate() {
        for other in sides.iter().skip(i + 1) {
            for a in side {
                links.extend(other.iter().flat_map(|b| [(*a, *b), (*b, *a)]));
            }
        }
    }
    let sides: Vec<String> = sides.iter().map(|side| names(side)).collect();
    Some((format!("{prefix}{}", sides.join(" | ")), links))
}

fn name(node: usize) -> String {
    format!("n{}", node + 1)
}

fn names(nodes: &[usize]) -> String {
    nodes.iter().map(|node| name(*node)).collect::<Vec<_>>().join(" ")
}

fn named(who: Victim, node: usize) -> String {
    match who {
        Victim::Node(_) => name(node),
        Victim::Leader => format!("{} (the leader)", name(node)),
    }
}
