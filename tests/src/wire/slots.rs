//! The clients' part of a run over the wire: asking the workload what each does next, having it
//! done, and telling the workload how that ended.

use std::rc::Rc;

use tokio::task::AbortHandle;

use super::client::{Client, Done};
use super::{Event, Run};
use crate::history::Micros;
use crate::wire::phases::Phase;
use crate::workloads::{Cx, PATIENCE_US, Step};

#[derive(Debug)]
struct Pending {
    op: u64,
    deadline_us: Micros,
    task: AbortHandle,
}

/// A place for one client after the other.
#[derive(Debug)]
pub(super) struct Slot {
    client: Rc<Client>,
    name: String,
    /// Which of all clients it is.
    life: u64,
    pub(super) node: usize,
    pending: Vec<Pending>,
    /// When to ask the workload again; `None`: not before something happens.
    ask_us: Option<Micros>,
    /// Its client does nothing before that time.
    pub(super) silent_until_us: Micros,
}

/// Half of the clients wait less for what is answered at once. So they see what comes after a
/// leader that hangs, while the others still wait for it.
const IMPATIENT_US: Micros = 1_000_000;

fn patience_us(slot: usize, asked_us: Micros) -> Micros {
    if slot % 2 == 1 && asked_us <= PATIENCE_US { IMPATIENT_US } else { asked_us }
}

impl Slot {
    /// Whether it waits for no answer.
    pub(super) fn idle(&self) -> bool {
        self.pending.is_empty()
    }
}

impl Run<'_> {
    /// A new client.
    pub(super) fn fresh_slot(&mut self, node: usize) -> Slot {
        self.next_client += 1;
        let (life, name) = (self.next_client, format!("c{}", self.next_client));
        let client = Rc::new(Client::new(name.clone(), node, Rc::clone(&self.shared)));
        let (pending, ask_us) = (Vec::new(), Some(self.now_us));
        Slot { client, name, life, node, pending, ask_us, silent_until_us: 0 }
    }

    pub(super) fn next_slot_due(&self) -> Option<Micros> {
        let asking = self.phase.workload_runs();
        let due = self.slots.iter().flat_map(|slot| {
            let ask = slot.ask_us.filter(|_| asking);
            let ask = ask.map(|ask_us| ask_us.max(slot.silent_until_us));
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
        let now_us = self.now_us;
        for i in 0..self.slots.len() {
            let late = |pending: &Pending| pending.deadline_us <= now_us;
            if !self.slots[i].pending.iter().any(late) {
                continue;
            }
            if !self.setup.calm {
                self.renew(i);
                continue;
            }
            let pending = std::mem::take(&mut self.slots[i].pending);
            let (given_up, still) = pending.into_iter().partition(late);
            self.slots[i].pending = still;
            self.slots[i].client.look_again();
            self.give_up(i, given_up);
        }
    }

    fn give_up(&mut self, i: usize, all: Vec<Pending>) {
        for pending in all {
            pending.task.abort();
            self.recorder.given_up(self.now_us, pending.op);
            self.told(i, pending.op);
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
                let args = request.args.clone();
                let op =
                    self.recorder.invoke(self.now_us, &slot.name, node, request.f, request.args);
                let (client, events) = (Rc::clone(&slot.client), self.events.clone());
                let life = slot.life;
                let task = tokio::task::spawn_local(async move {
                    let done = client.perform(request.f, args).await;
                    // The run is over where nobody listens.
                    let _over = events.send(Event::Done { slot: i, life, op, done });
                });
                let patience_us = patience_us(i, request.patience_us);
                let deadline_us = self.now_us + patience_us;
                slot.pending.push(Pending { op, deadline_us, task: task.abort_handle() });
                true
            }
            Step::Until(at_us) => {
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

    /// An operation has ended.
    pub(super) fn ended(&mut self, i: usize, life: u64, op: u64, done: Done) {
        let slot = &mut self.slots[i];
        let Some(at) = slot.pending.iter().position(|pending| pending.op == op) else { return };
        if slot.life != life {
            return;
        }
        slot.pending.remove(at);
        // A client that got an answer goes on, whatever that leaves open. So do members that are
        // there to stay, as Kafka's own clients do.
        let unanswered = done.answer.is_none() && !self.setup.calm;
        self.write_down(op, done);
        self.told(i, op);
        if unanswered {
            self.renew(i);
        }
    }

    /// Completes an operation of the history.
    pub(super) fn write_down(&mut self, op: u64, done: Done) {
        let node = done.node.map(|node| self.names[node].as_str());
        self.recorder.sent(op, node, done.args);
        match done.answer {
            Some(answer) => self.recorder.answered(self.now_us, op, answer),
            None => self.recorder.given_up(self.now_us, op),
        }
    }

    fn told(&mut self, i: usize, op: u64) {
        let Some(op) = self.recorder.op(op) else { return };
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
    }

    /// The slot's client is gone, with all that it had under way; a new one takes its place.
    pub(super) fn renew(&mut self, i: usize) {
        let pending = std::mem::take(&mut self.slots[i].pending);
        self.give_up(i, pending);
        let (node, silent_until_us) = (self.slots[i].node, self.slots[i].silent_until_us);
        let node = if self.nodes.alive(node) {
            node
        } else {
            let running = self.nodes.running();
            running.get(i % running.len().max(1)).copied().unwrap_or(node)
        };
        self.slots[i] = Slot { silent_until_us, ..self.fresh_slot(node) };
        let mut cx = Cx {
            now_us: self.now_us,
            rng: &mut self.rng,
            draining: self.phase == Phase::Drain,
            node,
            in_flight: 0,
        };
        self.workload.renewed(i, &mut cx);
    }
}
