//! The phases of a run over the wire, and the brokers' lives in them.

use std::rc::Rc;
use std::time::Duration;

use serde_json::json;

use super::client::Done;
use super::{Event, Run};
use crate::dialects::Answer;
use crate::history::Micros;
use crate::run::nodes::State;
use crate::targets::TargetError;

/// The workload runs so long before the faults begin.
const WARM_UP_US: Micros = 2_000_000;
/// After the faults the workload runs at least so long.
const CALM_US: Micros = 1_000_000;
/// The final reads may take so long.
const DRAIN_US: Micros = 40_000_000;
/// The same where applications read: they may first have to learn that members were thrown out.
const APPS_DRAIN_US: Micros = 90_000_000;
/// Between two probes of a node.
const PROBE_US: Micros = 100_000;
/// A probe may take so long.
const PROBE_LONG: Duration = Duration::from_secs(6);

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Brokers are being started.
    Start,
    /// What the workload needs is being made.
    Make,
    /// The workload runs, without faults.
    WarmUp,
    /// The workload runs, with faults.
    Faults,
    /// All faults have ended; every node has to serve again.
    Recover,
    /// The final reads.
    Drain,
    /// Applications were told to leave.
    Leave,
    /// Nothing more happens.
    Over,
}

impl Phase {
    /// Whether clients do anything.
    pub(super) fn workload_runs(self) -> bool {
        matches!(self, Self::WarmUp | Self::Faults | Self::Recover | Self::Drain)
    }
}

impl Run<'_> {
    fn enter(&mut self, phase: Phase) {
        (self.phase, self.phase_us) = (phase, self.now_us);
    }

    fn say(&mut self, text: &str) {
        (self.tell)(self.now_us, text);
    }

    /// Starts who waits, asks who was started, and sees who has ended.
    pub(super) fn look_after_nodes(&mut self) -> Result<(), TargetError> {
        if self.now_us < self.looked_us + super::LOOK_US && self.looked_us > 0 {
            return Ok(());
        }
        self.looked_us = self.now_us;
        for node in 0..self.names.len() {
            match self.nodes.state(node) {
                State::Waiting => {
                    self.shared.brokers.borrow_mut().start(node)?;
                    self.nodes.set(node, State::Starting);
                    self.seen[node].started_us = self.now_us;
                    if self.nodes.paused(node) {
                        self.shared.brokers.borrow().pause(node)?;
                    }
                }
                State::Starting | State::Running => {
                    let ended = self.shared.brokers.borrow_mut().ended(node)?;
                    if let Some(status) = ended {
                        self.died(node, &status.to_string());
                    }
                }
                _ => {}
            }
            self.probe(node);
        }
        Ok(())
    }

    fn died(&mut self, node: usize, how: &str) {
        let has_run = self.nodes.has_run(node);
        self.nodes.set(node, State::Exited);
        if has_run {
            self.breach(node, "died", &format!("ended by itself: {how}"));
        } else {
            let name = &self.names[node];
            self.failure.get_or_insert(format!("{name} ended before it served: {how}"));
        }
    }

    /// Asks a node whether it serves, where that is of interest.
    fn probe(&mut self, node: usize) {
        let wanted = match self.nodes.state(node) {
            State::Starting => true,
            State::Running => {
                self.phase == Phase::Recover && self.seen[node].recovered_us.is_none()
            }
            _ => false,
        };
        let seen = &mut self.seen[node];
        if !wanted || seen.asking || seen.ask_us > self.now_us {
            return;
        }
        seen.asking = true;
        let all = (0..self.names.len()).filter(|node| self.nodes.alive(*node)).count();
        // Others may be away while faults happen.
        let brokers = if self.phase == Phase::Faults { 1 } else { all };
        let (client, events) = (Rc::clone(&self.prober[node]), self.events.clone());
        tokio::task::spawn_local(async move {
            let asked = tokio::time::timeout(PROBE_LONG, client.probe(node, brokers)).await;
            // The run is over where nobody listens.
            let _over = events.send(Event::Probed { node, served: asked.unwrap_or(false) });
        });
    }

    pub(super) fn probed(&mut self, node: usize, served: bool) {
        let seen = &mut self.seen[node];
        (seen.asking, seen.ask_us) = (false, self.now_us + PROBE_US);
        if !served {
            return;
        }
        if self.nodes.state(node) == State::Starting {
            self.nodes.set(node, State::Running);
            let after_ms = (self.now_us - self.seen[node].started_us) / 1_000;
            let name = self.names[node].clone();
            self.say(&format!("{name} serves {after_ms} ms after its start"));
        }
        if self.phase == Phase::Recover {
            self.seen[node].recovered_us.get_or_insert(self.now_us);
        }
    }

    pub(super) fn step_phase(&mut self) -> Result<(), TargetError> {
        if self.failure.is_some() {
            self.enter(Phase::Over);
        }
        let elapsed_us = self.now_us - self.phase_us;
        match self.phase {
            Phase::Start => self.starting(elapsed_us),
            Phase::Make => self.make(elapsed_us)?,
            Phase::WarmUp if elapsed_us >= WARM_UP_US => {
                self.say("faults begin");
                self.runner.begin(self.now_us);
                self.trouble_apps();
                self.enter(Phase::Faults);
            }
            Phase::Faults if elapsed_us >= self.setup.faults_us => self.heal()?,
            Phase::Recover => self.recover(elapsed_us),
            Phase::Drain => self.drain(elapsed_us)?,
            Phase::Leave => {
                if self.apps_are_gone(elapsed_us) {
                    self.enter(Phase::Over);
                }
            }
            Phase::WarmUp | Phase::Faults | Phase::Over => {}
        }
        Ok(())
    }

    fn starting(&mut self, elapsed_us: Micros) {
        if (0..self.names.len()).all(|node| self.nodes.state(node) == State::Running) {
            self.say("all nodes serve");
            self.enter(Phase::Make);
        } else if elapsed_us > self.setup.start_us {
            let late = (0..self.names.len()).find(|node| self.nodes.state(*node) != State::Running);
            let name = late.map_or("a node", |node| self.names[node].as_str());
            let seconds = self.setup.start_us / 1_000_000;
            self.failure = Some(format!("{name} did not serve within {seconds} s of its start"));
        }
    }

    /// Asks all nodes whether they serve what the workload cannot do without.
    fn survey(&mut self) {
        let keys = self.workload.requests();
        if keys.is_empty() || self.making {
            self.surveyed |= keys.is_empty();
            return;
        }
        self.making = true;
        let (clients, events) = (self.prober.clone(), self.events.clone());
        tokio::task::spawn_local(async move {
            let mut lacking = None;
            for (node, client) in clients.iter().enumerate() {
                lacking = lacking.or(client.lacks(node, keys).await.map(|key| (node, key)));
            }
            // The run is over where nobody listens.
            let _over = events.send(Event::Surveyed { lacking });
        });
    }

    pub(super) fn surveyed(&mut self, lacking: Option<(usize, i16)>) {
        (self.making, self.surveyed) = (false, true);
        if let Some((node, key)) = lacking {
            let (name, workload) = (&self.names[node], self.setup.workload.name());
            self.failure.get_or_insert(format!(
                "{name} does not advertise request {key}, which the workload `{workload}` needs"
            ));
        }
    }

    /// Makes what the workload needs, one after the other.
    fn make(&mut self, elapsed_us: Micros) -> Result<(), TargetError> {
        if !self.surveyed {
            self.survey();
            return Ok(());
        }
        let Some((topic, partitions)) = self.missing.last().cloned() else {
            self.enter(Phase::WarmUp);
            return self.begin_apps();
        };
        if elapsed_us > self.setup.start_us {
            self.failure = Some(format!("the topic {topic} could not be made"));
        }
        if self.making || self.failure.is_some() {
            return Ok(());
        }
        self.making = true;
        let args = json!({
            "topic": topic, "partitions": partitions, "replicas": self.setup.replicas,
        });
        let op = self.recorder.invoke(self.now_us, "arena", "n1", "create_topic", args.clone());
        let (client, events) = (Rc::clone(&self.prober[0]), self.events.clone());
        tokio::task::spawn_local(async move {
            let done = client.perform("create_topic", args).await;
            // The run is over where nobody listens.
            let _over = events.send(Event::Made { op, done });
        });
        Ok(())
    }

    pub(super) fn made(&mut self, op: u64, done: Done) {
        self.making = false;
        let is_there = match &done.answer {
            Some(Answer::Ok(_)) => true,
            Some(Answer::Error { error, .. }) => error.as_deref() == Some("TOPIC_ALREADY_EXISTS"),
            None => false,
        };
        self.write_down(op, done);
        if is_there {
            self.missing.pop();
        }
    }

    fn heal(&mut self) -> Result<(), TargetError> {
        let mut actions = Vec::new();
        let effects =
            self.with_world(&mut actions, |runner, now_us, world| runner.heal(now_us, world));
        self.carry_out(actions)?;
        self.effects(effects);
        self.heal_apps()?;
        self.heal_us = Some(self.now_us);
        self.say("all faults have ended");
        self.rouse();
        self.enter(Phase::Recover);
        Ok(())
    }

    /// The final reads begin when every node serves again, or should.
    fn recover(&mut self, elapsed_us: Micros) {
        let away =
            |node: &usize| self.nodes.alive(*node) && self.seen[*node].recovered_us.is_none();
        let away: Vec<usize> = (0..self.names.len()).filter(away).collect();
        let late = elapsed_us >= self.setup.recover_us;
        if elapsed_us < CALM_US || !(away.is_empty() || late) {
            return;
        }
        for node in away {
            let seconds = self.setup.recover_us / 1_000_000;
            let account = format!("does not serve {seconds} s after the end of all faults");
            self.breach(node, "not-back", &account);
        }
        let readers: Vec<usize> = self
            .nodes
            .running()
            .iter()
            .filter_map(|node| self.slots.iter().position(|slot| slot.node == *node))
            .collect();
        self.workload.drain(&readers);
        self.say("the final reads begin");
        self.enter(Phase::Drain);
        self.rouse();
    }

    fn drain(&mut self, elapsed_us: Micros) -> Result<(), TargetError> {
        let done = self.workload.drained() && self.idle();
        let long_us = match &self.apps {
            None => DRAIN_US,
            // Nobody reads any more.
            Some(apps) if apps.are_gone() => 0,
            Some(_) => APPS_DRAIN_US,
        };
        if !done && elapsed_us < long_us {
            return Ok(());
        }
        if !done {
            let mut account = format!("not done after {} s", elapsed_us / 1_000_000);
            if let Some(what) = self.workload.unfinished() {
                account = format!("{account}: {what}");
            }
            self.breach(0, "drain-unfinished", &account);
        }
        self.say("the final reads are done");
        self.dismiss_apps()?;
        self.enter(Phase::Leave);
        Ok(())
    }
}
