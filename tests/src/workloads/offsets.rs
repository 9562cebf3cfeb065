//! Committed offsets, and groups that declare their whole membership at once.
//!
//! Clients commit and fetch offsets of a few partitions of a few groups, and declare changing
//! memberships of the same groups. Every offset committed is unique. A group is given up for a
//! fresh one after some operations, and sooner where outcomes are unknown, so that judging stays
//! cheap.

use serde_json::{Value, json};

use crate::history::{Op, Outcome};
use crate::rng::Rng;
use crate::workloads::{Cx, Pace, Plan, Request, Step, Workload};

const ACTIVE_GROUPS: usize = 3;
const PARTITIONS: u64 = 2;
const OPS_A_GROUP: u32 = 200;
const UNKNOWNS_A_GROUP: u32 = 16;
const STRATEGIES: [&str; 4] = ["range", "roundrobin", "sticky", "cooperative-sticky"];

#[derive(Debug)]
struct Group {
    name: String,
    strategy: &'static str,
    ops: u32,
    unknowns: u32,
}

/// The workload.
#[derive(Debug)]
pub struct Offsets {
    pace: Pace,
    pipeline: usize,
    groups: Vec<Group>,
    next_group: u64,
    next_offset: u64,
    /// Whether clients speak Kafka's wire, which has no groups that declare their members.
    wire: bool,
    /// In the final phase: what a slot still reads.
    last_reads: Vec<Vec<Request>>,
}

impl Offsets {
    /// With fresh groups.
    pub fn new(plan: &Plan, rng: &mut Rng) -> Self {
        let mut all = Self {
            pace: Pace::new(plan.slots, plan.rate),
            pipeline: plan.pipeline,
            groups: Vec::new(),
            next_group: 0,
            next_offset: 0,
            wire: plan.wire,
            last_reads: vec![Vec::new(); plan.slots],
        };
        for _ in 0..ACTIVE_GROUPS {
            let group = all.fresh_group(rng);
            all.groups.push(group);
        }
        all
    }

    fn fresh_group(&mut self, rng: &mut Rng) -> Group {
        self.next_group += 1;
        let name = format!("g{}", self.next_group);
        let strategy = rng.pick(&STRATEGIES).copied().unwrap_or("range");
        Group { name, strategy, ops: 0, unknowns: 0 }
    }

    fn declare(group: &Group, rng: &mut Rng) -> Request {
        let mut consumers: Vec<String> = (1..=6).map(|n| format!("m{n}")).collect();
        rng.shuffle(&mut consumers);
        consumers.truncate(rng.index(7));
        let partitions: Vec<u64> = (0..rng.below(9)).collect();
        let args = json!({
            "group": group.name, "consumers": consumers, "partitions": partitions, "strategy": group.strategy,
        });
        Request::new("consumer_rebalance", args)
    }
}

impl Workload for Offsets {
    fn config(&self) -> Value {
        json!({})
    }

    fn needs(&self) -> Vec<(String, u64)> {
        vec![("t".to_owned(), PARTITIONS)]
    }

    fn step(&mut self, slot: usize, cx: &mut Cx<'_>) -> Step {
        if cx.in_flight >= self.pipeline {
            return Step::Await;
        }
        if cx.draining {
            return self.last_reads[slot].pop().map_or(Step::Await, Step::Invoke);
        }
        if let Some(due_us) = self.pace.wait(slot, cx) {
            return Step::Until(due_us);
        }
        let which = cx.rng.index(self.groups.len());
        self.groups[which].ops += 1;
        if self.groups[which].ops > OPS_A_GROUP || self.groups[which].unknowns > UNKNOWNS_A_GROUP {
            self.groups[which] = self.fresh_group(cx.rng);
        }
        let group = &self.groups[which];
        let partition = cx.rng.below(PARTITIONS);
        let mut args = json!({ "group": group.name, "topic": "t", "partition": partition });
        Step::Invoke(match cx.rng.below(20) {
            draw @ (0..=7 | 18..) if draw <= 7 || self.wire => {
                self.next_offset += 1;
                args["offset"] = json!(self.next_offset);
                if cx.rng.percent(20) {
                    args["metadata"] = json!(format!("at {}", self.next_offset));
                }
                Request::new("commit_offset", args)
            }
            8..=16 => Request::new("fetch_offset", args),
            17 => Request::new("describe_group", json!({ "group": group.name })),
            _ => Self::declare(group, cx.rng),
        })
    }

    fn completed(&mut self, slot: usize, op: &Op, cx: &mut Cx<'_>) {
        if op.outcome == Outcome::Info
            && let Some(group) =
                self.groups.iter_mut().find(|group| op.args["group"] == group.name.as_str())
        {
            group.unknowns += 1;
        }
        let again = op.outcome == Outcome::Info || op.code == Some(11);
        let read = match op.f.as_str() {
            "fetch_offset" => "fetch_offset",
            "describe_group" => "describe_group",
            _ => return,
        };
        if cx.draining && again {
            self.last_reads[slot].push(Request::new(read, op.args.clone()));
        }
    }

    fn renewed(&mut self, _slot: usize, _cx: &mut Cx<'_>) {}

    fn drain(&mut self, readers: &[usize]) {
        for slot in readers {
            for group in &self.groups {
                let name = &group.name;
                let reads = &mut self.last_reads[*slot];
                reads.push(Request::new("describe_group", json!({ "group": name })));
                for partition in 0..PARTITIONS {
                    let args = json!({ "group": name, "topic": "t", "partition": partition });
                    reads.push(Request::new("fetch_offset", args));
                }
            }
        }
    }

    fn drained(&self) -> bool {
        self.last_reads.iter().all(Vec::is_empty)
    }

    fn probe(&self) -> Request {
        Request::new("fetch_offset", json!({ "group": "probe", "topic": "probe", "partition": 0 }))
    }
}
