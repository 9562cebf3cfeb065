//! The clients' part of a run: asking the workload what each does next, sending it, and telling it
//! how that ended.

use crate::dialects::json;
use crate::history::{Micros, Outcome};
use crate::run::Run;
use crate::run::clients::{Clients, Purpose, Taken};
use crate::run::nodes::State;
use crate::run::phases::Phase;
use crate::workloads::{Cx, Step};

#[derive(Debug)]
struct Pending {
    msg_id: u64,
    op: u64,
    asked_us: Micros,
    deadline_us: Micros,
}

/// A place for one client after the other.
#[derive(Debug)]
pub(super) struct Slot {
    client: String,
    pub(super) node: usize,
    pending: Vec<Pending>,
    /// When to ask the workload again; `None`: not before something happens.
    ask_us: Option<Micros>,
    /// Its client does nothing before that time.
    pub(super) silent_until_us: Micros,
}

impl Slot {
    pub(super) fn new(node: usize, clients: &mut Clients, slot: usize) -> Self {
        let client = clients.open(Purpose::Slot(slot), node);
        Self { client, node, pending: Vec::new(), ask_us: Some(0), silent_until_us: 0 }
    }

    /// Whether it waits for no answer.
    pub(super) fn idle(&self) -> bool {
        self.pending.is_empty()
    }

    /// Since when it waits for an answer.
    pub(super) fn waits_since_us(&self) -> Option<Micros> {
        self.pending.iter().map(|pending| pending.asked_us).min()
    }
}

impl Run {
    pub(super) fn next_slot_due(&self) -> Option<Micros> {
        let asking = self.phase.workload_runs();
        let due = self.slots.iter().flat_map(|slot| {
            let usable = asking && self.nodes.state(slot.node) == State::Running;
            let ask = slot.ask_us.filter(|_| usable).map(|ask_us| ask_us.max(slot.silent_until_us));
            slot.pending.iter().map(|pending| pending.deadline_us).chain(ask)
        });
        due.min()
    }

    pub(super) fn idle(&self) -> bool {
        self.slots.iter().all(Slot::idle)
    }

    /// Everyone is asked again: a phase has begun.
    pub(super) fn rouse(&mut self) {
        for slot in &mut self.slots {
            slot.ask_us = Some(self.now_us);
            slot.silent_until_us = 0;
        }
    }

    /// Gives up what nobody answered in time.
    pub(super) fn time_out(&mut self) {
        for i in 0..self.slots.len() {
            let slot = &mut self.slots[i];
            if let Some(at) =
                slot.pending.iter().position(|pending| pending.deadline_us <= self.now_us)
            {
                let pending = slot.pending.remove(at);
                self.clients.give_up(&slot.client, pending.msg_id);
                self.recorder.given_up(self.now_us, pending.op);
                self.told(i, pending.op);
                self.renew(i);
            }
        }
    }

    pub(super) fn step_slots(&mut self) {
        if !self.phase.workload_runs() {
            return;
        }
        for i in 0..self.slots.len() {
            // A client may do several things at once, but not for ever without time passing.
            for _ in 0..64 {
                if !self.step_slot(i) {
                    break;
                }
            }
        }
    }

    /// Whether the slot may have more to do now.
    fn step_slot(&mut self, i: usize) -> bool {
        let slot = &mut self.slots[i];
        if slot.silent_until_us > self.now_us
            || slot.ask_us.is_none_or(|ask_us| ask_us > self.now_us)
        {
            return false;
        }
        match self.nodes.state(slot.node) {
            State::Running => {}
            State::Killed | State::Exited if slot.pending.is_empty() => {
                // Its connection broke: it looks for another node.
                if self.nodes.running().is_empty() {
                    return false;
                }
                self.renew(i);
                return true;
            }
            _ => return false,
        }
        let slot = &self.slots[i];
        let mut cx = Cx {
            now_us: self.now_us,
            rng: &mut self.rng,
            draining: self.phase == Phase::Drain,
            node: slot.node,
            in_flight: slot.pending.len(),
        };
        match self.workload.step(i, &mut cx) {
            Step::Invoke(request) => {
                let slot = &mut self.slots[i];
                let node = &self.names[slot.node];
                let line_args = request.args.clone();
                let op =
                    self.recorder.invoke(self.now_us, &slot.client, node, request.f, request.args);
                let patience_us = request.patience_us + self.setup.more_patience_us();
                let msg_id =
                    self.clients.ask(&slot.client, request.f, Some(op), self.now_us, patience_us);
                let line = json::request(&slot.client, node, request.f, msg_id, &line_args);
                let (asked_us, deadline_us) = (self.now_us, self.now_us + patience_us);
                slot.pending.push(Pending { msg_id, op, asked_us, deadline_us });
                let node = slot.node;
                self.deliver(node, line);
                true
            }
            Step::Until(at_us) => {
                // Time must pass, or the run would turn on the spot.
                self.slots[i].ask_us = Some(at_us.max(self.now_us + 1));
                false
            }
            Step::Await => {
                self.slots[i].ask_us = None;
                false
            }
            Step::Crash => {
                self.renew(i);
                true
            }
        }
    }

    /// A reply came in time.
    pub(super) fn answered(&mut self, i: usize, taken: Taken) {
        let slot = &mut self.slots[i];
        let Some(at) =
            slot.pending.iter().position(|p| p.msg_id == taken.msg_id && Some(p.op) == taken.op)
        else {
            return;
        };
        let pending = slot.pending.remove(at);
        self.recorder.answered(self.now_us, pending.op, taken.answer);
        let outcome = self.told(i, pending.op);
        if outcome == Some(Outcome::Info) {
            self.renew(i);
        }
    }

    fn told(&mut self, i: usize, op: u64) -> Option<Outcome> {
        let op = self.recorder.op(op)?;
        let slot = &mut self.slots[i];
        let mut cx = Cx {
            now_us: self.now_us,
            rng: &mut self.rng,
            draining: self.phase == Phase::Drain,
            node: slot.node,
            in_flight: slot.pending.len(),
        };
        self.workload.completed(i, op, &mut cx);
        slot.ask_us = Some(self.now_us);
        let (node, outcome, is_decided) = (slot.node, op.outcome, op.is_decided());
        let asked_us = op.invoke_us;
        if is_decided {
            self.watch.served(node, asked_us, self.now_us);
            self.outage_sees(node);
        }
        Some(outcome)
    }

    /// The slot's client is gone, with all that it had under way; a new one takes its place.
    pub(super) fn renew(&mut self, i: usize) {
        for pending in std::mem::take(&mut self.slots[i].pending) {
            self.clients.give_up(&self.slots[i].client, pending.msg_id);
            self.recorder.given_up(self.now_us, pending.op);
            self.told(i, pending.op);
        }
        let running = self.nodes.running();
        let slot = &mut self.slots[i];
        if !self.nodes.alive(slot.node)
            && let Some(node) = running.get(i % running.len().max(1))
        {
            slot.node = *node;
        }
        slot.client = self.clients.open(Purpose::Slot(i), slot.node);
        slot.ask_us = Some(self.now_us);
        let mut cx = Cx {
            now_us: self.now_us,
            rng: &mut self.rng,
            draining: self.phase == Phase::Drain,
            node: slot.node,
            in_flight: 0,
        };
        self.workload.renewed(i, &mut cx);
    }
}
