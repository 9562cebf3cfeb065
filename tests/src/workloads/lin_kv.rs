//! Maelstrom's `lin-kv`: reads, writes and compare-and-set on a few registers.
//!
//! Every value written is unique, and a compare-and-set mostly expects what its client saw last:
//! that is sharper than Maelstrom's five values. A key is given up for a fresh one after some
//! operations, and sooner where outcomes are unknown, so that judging stays cheap.

use serde_json::{Value, json};

use crate::history::{Op, Outcome};
use crate::workloads::{Cx, Pace, Plan, Request, Step, Workload};

const ACTIVE_KEYS: usize = 3;
const OPS_A_KEY: u32 = 120;
const UNKNOWNS_A_KEY: u32 = 12;

#[derive(Debug)]
struct Register {
    key: u64,
    ops: u32,
    unknowns: u32,
}

/// The workload.
#[derive(Debug)]
pub struct LinKv {
    pace: Pace,
    pipeline: usize,
    registers: Vec<Register>,
    next_key: u64,
    next_value: u64,
    /// What each slot saw last: key and value.
    seen: Vec<Option<(u64, u64)>>,
    /// In the final phase: the keys that a slot still reads.
    last_reads: Vec<Vec<u64>>,
}

impl LinKv {
    /// With fresh registers.
    pub fn new(plan: &Plan) -> Self {
        let register = |key| Register { key, ops: 0, unknowns: 0 };
        Self {
            pace: Pace::new(plan.slots, plan.rate),
            pipeline: plan.pipeline,
            registers: (0..ACTIVE_KEYS as u64).map(register).collect(),
            next_key: ACTIVE_KEYS as u64,
            next_value: 0,
            seen: vec![None; plan.slots],
            last_reads: vec![Vec::new(); plan.slots],
        }
    }

    fn fresh_value(&mut self) -> u64 {
        self.next_value += 1;
        self.next_value
    }
}

impl Workload for LinKv {
    fn config(&self) -> Value {
        json!({})
    }

    fn step(&mut self, slot: usize, cx: &mut Cx<'_>) -> Step {
        if cx.in_flight >= self.pipeline {
            return Step::Await;
        }
        if cx.draining {
            return match self.last_reads[slot].pop() {
                Some(key) => Step::Invoke(Request::new("read", json!({ "key": key }))),
                None => Step::Await,
            };
        }
        if let Some(due_us) = self.pace.wait(slot, cx) {
            return Step::Until(due_us);
        }
        let which = cx.rng.index(self.registers.len());
        let register = &mut self.registers[which];
        register.ops += 1;
        let key = register.key;
        if register.ops > OPS_A_KEY || register.unknowns > UNKNOWNS_A_KEY {
            *register = Register { key: self.next_key, ops: 0, unknowns: 0 };
            self.next_key += 1;
        }
        // Half of the clients only read, as in Maelstrom.
        let request = if slot % 2 == 1 {
            Request::new("read", json!({ "key": key }))
        } else if cx.rng.percent(40) {
            Request::new("write", json!({ "key": key, "value": self.fresh_value() }))
        } else {
            let from = match self.seen[slot] {
                Some((of, value)) if of == key && cx.rng.percent(90) => value,
                _ => cx.rng.between(0, self.next_value),
            };
            Request::new("cas", json!({ "key": key, "from": from, "to": self.fresh_value() }))
        };
        Step::Invoke(request)
    }

    fn completed(&mut self, slot: usize, op: &Op, cx: &mut Cx<'_>) {
        let Some(key) = op.args["key"].as_u64() else { return };
        if cx.draining && (op.outcome == Outcome::Info || op.code == Some(11)) {
            self.last_reads[slot].push(key);
        }
        if op.outcome == Outcome::Info {
            if let Some(register) = self.registers.iter_mut().find(|register| register.key == key) {
                register.unknowns += 1;
            }
            return;
        }
        let value = match (op.outcome, op.f.as_str()) {
            (Outcome::Ok, "read") => op.result.as_ref().and_then(|r| r["value"].as_u64()),
            (Outcome::Ok, "write") => op.args["value"].as_u64(),
            (Outcome::Ok, "cas") => op.args["to"].as_u64(),
            _ => None,
        };
        let Some(value) = value else { return };
        self.seen[slot] = Some((key, value));
        // What readers see, writers of the neighbouring slot build upon.
        if let Some(writer) = self.seen.get_mut(slot - slot % 2) {
            *writer = Some((key, value));
        }
    }

    fn renewed(&mut self, slot: usize, _cx: &mut Cx<'_>) {
        self.seen[slot] = None;
    }

    fn drain(&mut self, readers: &[usize]) {
        for slot in readers {
            self.last_reads[*slot] = self.registers.iter().map(|register| register.key).collect();
        }
    }

    fn drained(&self) -> bool {
        self.last_reads.iter().all(Vec::is_empty)
    }

    fn probe(&self) -> Request {
        Request::new("read", json!({ "key": "probe" }))
    }
}
