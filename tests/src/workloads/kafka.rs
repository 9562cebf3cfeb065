//! Maelstrom's `kafka`: its operations, and the behaviour of its client.
//!
//! A client polls the keys that it was assigned, from the positions that it keeps itself, and
//! commits what it polled at once. Now and then it is assigned the keys of what it would have done
//! (which forgets the positions of others, and starts at 0, as Maelstrom's does), or crashes. In
//! the final phase one client of every node reads every key from the beginning until it has seen
//! the last message that was acknowledged. Keys are retired after a few sends.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::history::{Micros, Op, Outcome};
use crate::workloads::{Cx, Pace, Plan, Request, Step, Workload};

const ACTIVE_KEYS: usize = 10;
const SENDS_A_KEY: u32 = 16;
/// One operation in so many is an assign.
const ASSIGN_ONE_IN: u64 = 64;
/// Each client crashes about so often.
const CRASH_EVERY_US: Micros = 30_000_000;

#[derive(Debug, Default)]
struct Consumer {
    /// Next offset to read, by key.
    positions: BTreeMap<String, u64>,
    /// What was polled, and is to be committed next.
    commit: BTreeMap<String, u64>,
    /// A poll, commit or assign is under way: positions are in doubt until it ends.
    busy: bool,
    crash_us: Micros,
    /// In the final phase: reads everything.
    reads_all: bool,
    /// In the final phase: has not begun to.
    start_over: bool,
    /// Nothing before that time.
    rest_us: Micros,
}

/// The workload.
#[derive(Debug)]
pub struct Kafka {
    pace: Pace,
    pipeline: usize,
    keys: Vec<(u64, u32)>,
    next_key: u64,
    next_message: u64,
    consumers: Vec<Consumer>,
    /// Highest offset known of each key, from acknowledged sends and from polls.
    highest: BTreeMap<String, u64>,
    /// All keys that were sent to, with the highest offset acknowledged.
    sent: BTreeMap<String, Option<u64>>,
}

impl Kafka {
    /// Without messages.
    pub fn new(plan: &Plan) -> Self {
        let consumers = (0..plan.slots).map(|slot| Consumer {
            crash_us: CRASH_EVERY_US * (slot as u64 + 1) / plan.slots as u64,
            ..Consumer::default()
        });
        Self {
            pace: Pace::new(plan.slots, plan.rate),
            pipeline: plan.pipeline,
            keys: (0..ACTIVE_KEYS as u64).map(|key| (key, 0)).collect(),
            next_key: ACTIVE_KEYS as u64,
            next_message: 0,
            consumers: consumers.collect(),
            highest: BTreeMap::new(),
            sent: BTreeMap::new(),
        }
    }

    /// Skewed: each key is drawn twice as often as the one before it.
    fn draw_key(&mut self, cx: &mut Cx<'_>) -> usize {
        let drawn = cx.rng.below(1 << ACTIVE_KEYS);
        let skewed = (drawn + 1).checked_ilog2().unwrap_or(0) as usize;
        skewed.min(ACTIVE_KEYS - 1)
    }

    fn assign(&mut self, slot: usize, cx: &mut Cx<'_>) -> Step {
        let first = self.draw_key(cx);
        let mut keys: BTreeSet<String> = [self.keys[first].0.to_string()].into();
        for _ in 0..cx.rng.below(4) {
            let more = self.draw_key(cx);
            keys.insert(self.keys[more].0.to_string());
        }
        if cx.rng.percent(33) {
            // What was sent and nobody has read yet.
            let highest = &self.highest;
            let unread = self.sent.iter().filter(|(key, last)| highest.get(*key) < last.as_ref());
            keys.extend(unread.map(|(key, _)| key.clone()));
        }
        let consumer = &mut self.consumers[slot];
        consumer.busy = true;
        Step::Invoke(Request::new("list_committed_offsets", json!({ "keys": keys })))
    }

    fn poll(&mut self, slot: usize) -> Step {
        let consumer = &mut self.consumers[slot];
        consumer.busy = true;
        Step::Invoke(Request::new("poll", json!({ "offsets": consumer.positions })))
    }

    fn polled(&mut self, slot: usize, msgs: &Map<String, Value>) {
        let consumer = &mut self.consumers[slot];
        for (key, messages) in msgs {
            let last =
                messages.as_array().into_iter().flatten().filter_map(|m| m[0].as_u64()).max();
            let Some(last) = last else { continue };
            let position = consumer.positions.entry(key.clone()).or_default();
            *position = (*position).max(last + 1);
            consumer.commit.insert(key.clone(), last);
            let highest = self.highest.entry(key.clone()).or_default();
            *highest = (*highest).max(last);
        }
    }

    fn has_read_all(&self, slot: usize) -> bool {
        let consumer = &self.consumers[slot];
        let read =
            |key: &String, last: &u64| consumer.positions.get(key).is_some_and(|next| next > last);
        !consumer.start_over
            && consumer.commit.is_empty()
            && self.sent.iter().all(|(key, last)| last.as_ref().is_none_or(|last| read(key, last)))
            && self.highest.iter().all(|(key, last)| read(key, last))
    }
}

impl Workload for Kafka {
    fn config(&self) -> Value {
        json!({})
    }

    fn step(&mut self, slot: usize, cx: &mut Cx<'_>) -> Step {
        let consumer = &mut self.consumers[slot];
        if !consumer.commit.is_empty() && cx.in_flight < self.pipeline {
            let offsets = std::mem::take(&mut consumer.commit);
            consumer.busy = true;
            return Step::Invoke(Request::new("commit_offsets", json!({ "offsets": offsets })));
        }
        if cx.draining {
            if !consumer.reads_all || consumer.busy || cx.in_flight > 0 {
                return Step::Await;
            }
            if consumer.rest_us > cx.now_us {
                return Step::Until(consumer.rest_us);
            }
            if consumer.start_over {
                return Step::Crash;
            }
            if self.has_read_all(slot) {
                // A send that was still under way may make the logs longer than they were.
                return Step::Until(cx.now_us + 100_000);
            }
            return self.poll(slot);
        }
        if cx.in_flight >= self.pipeline {
            return Step::Await;
        }
        if let Some(due_us) = self.pace.wait(slot, cx) {
            return Step::Until(due_us);
        }
        let consumer = &mut self.consumers[slot];
        if cx.now_us > consumer.crash_us && !consumer.busy {
            consumer.crash_us =
                cx.now_us + cx.rng.between(CRASH_EVERY_US / 2, CRASH_EVERY_US * 3 / 2);
            return Step::Crash;
        }
        let consumes = cx.rng.percent(50) && !self.consumers[slot].busy;
        if consumes && cx.rng.below(ASSIGN_ONE_IN / 2) == 0 {
            return self.assign(slot, cx);
        }
        if consumes {
            return self.poll(slot);
        }
        let which = self.draw_key(cx);
        let (key, sends) = &mut self.keys[which];
        *sends += 1;
        let name = key.to_string();
        if *sends >= SENDS_A_KEY {
            (*key, *sends) = (self.next_key, 0);
            self.next_key += 1;
        }
        self.next_message += 1;
        self.sent.entry(name.clone()).or_default();
        Step::Invoke(Request::new("send", json!({ "key": name, "msg": self.next_message })))
    }

    fn completed(&mut self, slot: usize, op: &Op, cx: &mut Cx<'_>) {
        let consumer = &mut self.consumers[slot];
        if op.f != "send" {
            consumer.busy = false;
        }
        if op.outcome != Outcome::Ok {
            consumer.rest_us = cx.now_us + 200_000;
            return;
        }
        let result = op.result.as_ref().unwrap_or(&Value::Null);
        match op.f.as_str() {
            "send" => {
                if let (Some(key), Some(offset)) =
                    (op.args["key"].as_str(), result["offset"].as_u64())
                {
                    let last = self.sent.entry(key.to_owned()).or_default();
                    *last = (*last).max(Some(offset));
                }
            }
            "poll" => {
                if let Some(msgs) = result["msgs"].as_object() {
                    if msgs.is_empty() {
                        consumer.rest_us = cx.now_us + 200_000;
                    }
                    self.polled(slot, msgs);
                }
            }
            "list_committed_offsets" => {
                let keys =
                    op.args["keys"].as_array().into_iter().flatten().filter_map(Value::as_str);
                let old = std::mem::take(&mut consumer.positions);
                consumer.positions =
                    keys.map(|key| (key.to_owned(), old.get(key).copied().unwrap_or(0))).collect();
            }
            _ => {}
        }
    }

    fn renewed(&mut self, slot: usize, cx: &mut Cx<'_>) {
        let old = &self.consumers[slot];
        let mut new =
            Consumer { crash_us: old.crash_us, reads_all: old.reads_all, ..Consumer::default() };
        if cx.draining {
            new.positions = self.sent.keys().map(|key| (key.clone(), 0)).collect();
        }
        self.consumers[slot] = new;
    }

    fn drain(&mut self, readers: &[usize]) {
        for slot in readers {
            let consumer = &mut self.consumers[*slot];
            (consumer.reads_all, consumer.start_over) = (true, true);
        }
    }

    fn drained(&self) -> bool {
        (0..self.consumers.len())
            .filter(|slot| self.consumers[*slot].reads_all)
            .all(|slot| self.has_read_all(slot))
    }

    fn probe(&self) -> Request {
        Request::new("list_committed_offsets", json!({ "keys": ["probe"] }))
    }
}
