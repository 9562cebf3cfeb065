//! The phases of a run, and what leads from one to the next.

use serde_json::json;

use crate::dialects::Answer;
use crate::history::Micros;
use crate::run::Run;
use crate::run::clients::Purpose;
use crate::run::nodes::State;
use crate::targets::Action;

/// Maelstrom waits so long for `init_ok`.
const INIT_US: Micros = 10_000_000;
/// Without a fault every node has to serve within this time, where lines between nodes take none.
const WARM_UP_US: Micros = 15_000_000;
/// Where they do, so many latencies more: 5 until a leader serves, 8 for a request through a
/// follower, and twice a line may be held up, for 7 each.
const WARM_UP_LATENCIES: Micros = 30;
/// The final reads may take so long, where lines between nodes take no time.
const DRAIN_US: Micros = 20_000_000;
/// Where they do, a client's final reads may take so many latencies longer. `offsets` reads nine
/// times, one read after the other. Each waits for the round under way and for its own, and through
/// a follower for the way to the leader and back: six latencies, or eight where they are spread.
/// One in fifty lines takes four times as long and holds up its link, so where a bare majority is
/// left one read in three is late, refused, and asked again.
const DRAIN_LATENCIES: Micros = 120;
/// Nodes may take so long to agree on their state when nobody writes any more.
const AGREE_US: Micros = 6_000_000;
/// A node has to end so long after the end of its input; half a second more is for a busy machine.
const EXIT_US: Micros = 4_500_000;

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nodes are being started.
    Start,
    /// The workload runs, without faults.
    WarmUp,
    /// The workload runs, with faults.
    Faults,
    /// All faults have ended; every node has to serve again.
    Recover,
    /// The final reads.
    Drain,
    /// The last look at every node.
    Agree,
    /// The nodes' input is closed.
    Close,
    /// Nothing more happens.
    Over,
}

impl Phase {
    /// Whether clients do anything.
    pub(super) fn workload_runs(self) -> bool {
        matches!(self, Self::WarmUp | Self::Faults | Self::Recover | Self::Drain)
    }
}

impl Run {
    /// How long the final reads may take.
    fn drain_us(&self) -> Micros {
        DRAIN_US + 2 * self.setup.more_patience_us() + DRAIN_LATENCIES * self.setup.latency_us
    }

    /// How long the warm-up may take.
    fn warm_up_us(&self) -> Micros {
        WARM_UP_US + 2 * self.setup.more_patience_us() + WARM_UP_LATENCIES * self.setup.latency_us
    }

    /// When every node has to serve again. A disk may strike a node that is started after the last
    /// fault. It has as long as the others, from when it is started again.
    fn recovered_by_us(&self) -> Micros {
        self.phase_us.max(self.supervised_us) + self.setup.recover_us
    }

    /// When the phase may have to change by time alone.
    pub(super) fn next_phase_due(&self) -> Option<Micros> {
        let starts = (0..self.names.len())
            .filter(|node| self.nodes.state(*node) == State::Waiting)
            .map(|node| self.start_us[node]);
        let unanswered = (0..self.names.len())
            .filter(|node| self.nodes.state(*node) == State::Starting)
            .filter_map(|node| self.init_due(node));
        let more_us = 2 * self.setup.more_patience_us();
        let limit_us = match self.phase {
            Phase::Start | Phase::Over => None,
            Phase::WarmUp if self.phase_us + 1_000_000 > self.now_us => Some(1_000_000),
            Phase::WarmUp => Some(self.warm_up_us()),
            Phase::Faults => Some(self.setup.faults_us),
            Phase::Recover if self.phase_us + 1_000_000 > self.now_us => Some(1_000_000),
            Phase::Recover => Some(self.recovered_by_us() - self.phase_us),
            Phase::Drain => Some(self.drain_us()),
            Phase::Agree => Some(AGREE_US + more_us),
            Phase::Close => Some(EXIT_US),
        };
        let limit = limit_us.map(|limit_us| self.phase_us + limit_us);
        starts.chain(unanswered).chain(limit).min()
    }

    pub(super) fn step_phase(&mut self) {
        self.start_nodes();
        if self.failure.is_some() && self.phase != Phase::Over {
            self.actions.push(Action::Done);
            return self.enter(Phase::Over);
        }
        let elapsed_us = self.now_us - self.phase_us;
        let more_us = 2 * self.setup.more_patience_us();
        match self.phase {
            Phase::Start => {
                let due = |node: &usize| self.start_us[*node] == 0;
                if (0..self.names.len())
                    .filter(due)
                    .all(|node| self.nodes.state(node) == State::Running)
                {
                    self.tell("all nodes answered init".to_owned());
                    self.watch.expect(self.nodes.running());
                    self.enter(Phase::WarmUp);
                }
            }
            Phase::WarmUp => self.warm_up(elapsed_us),
            Phase::Faults if elapsed_us >= self.setup.faults_us => self.heal(),
            Phase::Recover => self.recover(elapsed_us),
            Phase::Drain => {
                let done = self.workload.drained() && self.idle();
                if !done && elapsed_us < self.drain_us() {
                    return;
                }
                if !done {
                    let account = format!(
                        "the final reads were not done after {} s",
                        self.drain_us() / 1_000_000
                    );
                    self.breach(0, "drain-unfinished", &account);
                }
                self.tell("the final reads are done".to_owned());
                self.watch.agree();
                self.enter(Phase::Agree);
            }
            Phase::Agree => {
                let late = elapsed_us >= AGREE_US + more_us;
                if !late && !self.watch.settled(&self.nodes.running()) {
                    return;
                }
                self.record_states(late);
                self.close();
            }
            Phase::Close => self.end(elapsed_us),
            Phase::Faults | Phase::Over => {}
        }
    }

    /// Faults begin when every node has served.
    fn warm_up(&mut self, elapsed_us: Micros) {
        let serving = self.watch.all_served();
        if serving && elapsed_us >= 1_000_000 {
            self.tell("every node serves; faults begin".to_owned());
            self.runner.begin(self.now_us);
            self.enter(Phase::Faults);
        } else if elapsed_us >= self.warm_up_us() {
            for node in self.watch.not_served() {
                let account = format!(
                    "answered nothing with ok in the first {} s, without any fault",
                    self.warm_up_us() / 1_000_000
                );
                self.breach(node, "no-service", &account);
            }
            self.close();
        }
    }

    /// The final reads begin when every node serves again, or should.
    fn recover(&mut self, elapsed_us: Micros) {
        let late = self.now_us >= self.recovered_by_us();
        if late {
            self.watch.count_clients();
            for node in self.watch.not_recovered() {
                let account = format!(
                    "did not serve within {:.1} s of the end of all faults",
                    elapsed_us as f64 / 1e6
                );
                self.breach(node, "no-recovery", &account);
            }
        }
        let here = (0..self.names.len()).all(|node| self.nodes.state(node) != State::Starting);
        if here && (late || elapsed_us >= 1_000_000 && self.watch.not_recovered().is_empty()) {
            self.drain();
        }
    }

    /// The run is over when every node has ended, or should have.
    fn end(&mut self, elapsed_us: Micros) {
        let lingering: Vec<usize> = (0..self.names.len())
            .filter(|node| self.nodes.state(*node) == State::Closing)
            .collect();
        let late = elapsed_us >= EXIT_US;
        if late {
            for node in &lingering {
                self.breach(*node, "no-exit", "was still there 4 s after the end of its input");
            }
        }
        if late || lingering.is_empty() {
            self.actions.push(Action::Done);
            self.enter(Phase::Over);
        }
    }

    fn enter(&mut self, phase: Phase) {
        (self.phase, self.phase_us) = (phase, self.now_us);
    }

    fn start_nodes(&mut self) {
        for node in 0..self.names.len() {
            match self.nodes.state(node) {
                State::Waiting
                    if self.start_us[node] <= self.now_us && self.phase != Phase::Over =>
                {
                    self.nodes.set(node, State::Starting);
                    self.actions.push(Action::Start(node));
                    if self.nodes.paused(node) {
                        // A fault that stops the node began before it crashed, or while it was
                        // away.
                        self.actions.push(Action::Pause(node));
                    }
                    let client = self.clients.open(Purpose::Init(node), node);
                    let args = json!({ "node_id": self.names[node], "node_ids": self.names });
                    self.ask(&client, node, "init", &args, None);
                    self.init_us[node] = Some(self.now_us);
                }
                State::Starting
                    if self.init_due(node).is_some_and(|due_us| due_us <= self.now_us) =>
                {
                    self.not_up(node, "did not answer init within 10 s");
                }
                _ => {}
            }
        }
    }

    /// When a node that is starting has to have answered `init`. A start syncs several times, so
    /// the time counts from when its disk is well.
    fn init_due(&self, node: usize) -> Option<Micros> {
        let at_us = self.init_us[node].filter(|_| !self.nodes.disk_is_bad(node))?;
        Some(at_us.max(self.nodes.disk_trouble_us(node)) + INIT_US)
    }

    pub(super) fn initialised(&mut self, node: usize, answer: Answer) {
        match answer {
            Answer::Ok(_) => {
                self.nodes.set(node, State::Running);
                if self.phase == Phase::Recover {
                    self.watch.recover_also(node);
                }
                if self.phase != Phase::Start {
                    self.tell(format!("{} is here", self.names[node]));
                }
            }
            Answer::Error { code, .. } => {
                self.not_up(node, &format!("answered init with error {code}"));
            }
        }
    }

    fn heal(&mut self) {
        let effects = self.with_world(|runner, now_us, world| runner.heal(now_us, world));
        self.effects(effects);
        // Whoever is still to come comes now.
        for at_us in &mut self.start_us {
            *at_us = (*at_us).min(self.now_us);
        }
        self.heal_us = Some(self.now_us);
        self.tell("all faults have ended".to_owned());
        self.rouse();
        self.watch.recover(self.nodes.running(), self.now_us);
        self.enter(Phase::Recover);
    }

    fn drain(&mut self) {
        for (name, after_us) in self.recovered_us() {
            if let Some(after_us) = after_us {
                self.tell(format!(
                    "{name} served again {} ms after the end of all faults",
                    after_us / 1000
                ));
            }
        }
        let nodes = self.nodes.running();
        let readers: Vec<usize> = nodes
            .iter()
            .filter_map(|node| self.slots.iter().position(|slot| slot.node == *node))
            .collect();
        self.workload.drain(&readers);
        self.enter(Phase::Drain);
        self.rouse();
    }

    fn close(&mut self) {
        for node in 0..self.names.len() {
            if self.nodes.reachable(node) {
                self.nodes.set(node, State::Closing);
                self.actions.push(Action::Close(node));
            }
        }
        self.enter(Phase::Close);
    }
}
