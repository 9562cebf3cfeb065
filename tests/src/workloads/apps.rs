//! Records for applications that somebody else wrote, and the look at what has become of them.
//!
//! The slots are producers: each sends records of its own, one after the other, and every value is
//! unique. The readers are no slots: they are processes ([`crate::wire::apps`]). In the final phase
//! nothing more is sent. The logs are read once more, and then the group's committed offsets are
//! asked for until they are at the logs' ends: all was read that there was to read.

use serde_json::{Value, json};

use crate::history::Op;
use crate::workloads::topics::fetch;
use crate::workloads::{Cx, Pace, Plan, Request, Step, Workload};

/// The topic that is read.
pub const TOPIC: &str = "apps";
/// The group that reads it.
pub const GROUP: &str = "readers";

const PARTITIONS: u64 = 6;
/// Records of a final read.
const PAGE: u64 = 500;
/// Between two questions in the final phase.
const REST_US: u64 = 100_000;

/// What is known of a partition.
#[derive(Debug, Clone, Copy, Default)]
struct Partition {
    /// Behind the last record that was acknowledged or read.
    end: u64,
    /// What the group has committed, as far as it was told.
    committed: u64,
}

/// The workload.
#[derive(Debug)]
pub struct Apps {
    pace: Pace,
    next_value: u64,
    partitions: [Partition; PARTITIONS as usize],
    rest_us: Vec<u64>,
    /// In the final phase: what a slot still asks.
    last: Vec<Vec<Request>>,
}

fn committed(partition: u64) -> Request {
    let args = json!({ "group": GROUP, "topic": TOPIC, "partition": partition });
    Request::new("fetch_offset", args)
}

impl Apps {
    /// All clients produce.
    pub fn new(plan: &Plan) -> Self {
        Self {
            pace: Pace::new(plan.slots, plan.rate),
            next_value: 0,
            partitions: <_>::default(),
            rest_us: vec![0; plan.slots],
            last: vec![Vec::new(); plan.slots],
        }
    }

    fn partition(&mut self, op: &Op) -> Option<(u64, &mut Partition)> {
        let number = op.args["partition"].as_u64()?;
        Some((number, self.partitions.get_mut(usize::try_from(number).ok()?)?))
    }

    /// A final read has ended: what is asked next.
    fn read(&mut self, slot: usize, op: &Op, cx: &Cx<'_>) {
        let Some(from) = op.args["offset"].as_u64() else { return };
        let Some((number, known)) = self.partition(op) else { return };
        let result = op.result.as_ref();
        let last = result.and_then(|result| result["records"].as_array()?.last());
        let last = last.and_then(|last| last["offset"].as_u64());
        let told = result.and_then(|result| result["high_watermark"].as_u64());
        let next = last.map_or(from, |last| last + 1);
        known.end = known.end.max(told.unwrap_or(0)).max(next);
        if told.is_some() && next >= known.end {
            self.last[slot].push(committed(number));
            return;
        }
        if last.is_none() {
            self.rest_us[slot] = cx.now_us + REST_US;
        }
        self.last[slot].push(fetch(TOPIC, number, next, PAGE));
    }

    /// The group's committed offset was told, or was not.
    fn told(&mut self, slot: usize, op: &Op, cx: &Cx<'_>) {
        let offset = op.result.as_ref().and_then(|result| result["offset"].as_u64());
        let Some((number, known)) = self.partition(op) else { return };
        known.committed = known.committed.max(offset.unwrap_or(0));
        if known.committed < known.end {
            self.rest_us[slot] = cx.now_us + REST_US;
            self.last[slot].insert(0, committed(number));
        }
    }
}

impl Workload for Apps {
    fn config(&self) -> Value {
        json!({ "partitions": { TOPIC: PARTITIONS } })
    }

    fn needs(&self) -> Vec<(String, u64)> {
        vec![(TOPIC.to_owned(), PARTITIONS)]
    }

    fn step(&mut self, slot: usize, cx: &mut Cx<'_>) -> Step {
        if cx.in_flight > 0 {
            return Step::Await;
        }
        if cx.draining {
            if self.rest_us[slot] > cx.now_us {
                return Step::Until(self.rest_us[slot]);
            }
            return self.last[slot].pop().map_or(Step::Await, Step::Invoke);
        }
        if let Some(due_us) = self.pace.wait(slot, cx) {
            return Step::Until(due_us);
        }
        self.next_value += 1;
        let (partition, message) = (cx.rng.below(PARTITIONS), format!("v{}", self.next_value));
        let args = json!({ "topic": TOPIC, "partition": partition, "message": message });
        Step::Invoke(Request::new("send", args))
    }

    fn completed(&mut self, slot: usize, op: &Op, cx: &mut Cx<'_>) {
        match op.f.as_str() {
            "send" => {
                let offset = op.result.as_ref().and_then(|result| result["offset"].as_u64());
                if let (Some(offset), Some((_, known))) = (offset, self.partition(op)) {
                    known.end = known.end.max(offset + 1);
                }
            }
            "fetch" if cx.draining => self.read(slot, op, cx),
            "fetch_offset" if cx.draining => self.told(slot, op, cx),
            _ => {}
        }
    }

    fn renewed(&mut self, _slot: usize, _cx: &mut Cx<'_>) {}

    fn drain(&mut self, readers: &[usize]) {
        for slot in readers {
            let all = (0..PARTITIONS).map(|partition| fetch(TOPIC, partition, 0, PAGE));
            self.last[*slot].extend(all);
        }
    }

    fn drained(&self) -> bool {
        self.last.iter().all(Vec::is_empty)
    }

    fn unfinished(&self) -> Option<String> {
        let behind: Vec<String> = (0..)
            .zip(&self.partitions)
            .filter(|(_, known)| known.committed < known.end)
            .map(|(number, known): (u64, _)| {
                format!("{TOPIC}-{number} at {} of {}", known.committed, known.end)
            })
            .collect();
        (!behind.is_empty())
            .then(|| format!("the group has not committed what there is: {}", behind.join(", ")))
    }

    fn probe(&self) -> Request {
        Request::new("list_topics", json!({}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use crate::workloads::answered;

    #[test]
    fn it_waits_until_the_group_has_committed_everything() {
        let plan = Plan {
            nodes: 1,
            slots: 1,
            rate: 1,
            pipeline: 1,
            wire: true,
            calm: false,
            member_fault: None,
        };
        let mut apps = Apps::new(&plan);
        let mut rng = Rng::new(1, "test");
        let mut cx = Cx { now_us: 0, rng: &mut rng, draining: false, node: 0, in_flight: 0 };
        let at = json!({ "topic": TOPIC, "partition": 5, "message": "v1" });
        apps.completed(0, &answered("send", &at, json!({ "partition": 5, "offset": 0 })), &mut cx);
        cx.draining = true;
        let read = fetch(TOPIC, 5, 0, PAGE).args;
        let empty = json!({ "records": [], "high_watermark": 0 });
        apps.completed(0, &answered("fetch", &read, empty), &mut cx);
        assert_eq!(apps.step(0, &mut cx), Step::Until(REST_US), "the record is to be found");
        cx.now_us = REST_US;
        assert_eq!(apps.step(0, &mut cx), Step::Invoke(fetch(TOPIC, 5, 0, PAGE)));
        let whole = json!({ "records": [{ "offset": 0, "message": "v1" }], "high_watermark": 1 });
        apps.completed(0, &answered("fetch", &read, whole), &mut cx);
        assert_eq!(apps.step(0, &mut cx), Step::Invoke(committed(5)));
        let asked = committed(5).args;
        apps.completed(0, &answered("fetch_offset", &asked, json!({ "offset": null })), &mut cx);
        assert!(!apps.drained());
        assert_eq!(
            apps.unfinished().as_deref(),
            Some("the group has not committed what there is: apps-5 at 0 of 1")
        );
        apps.last[0].clear();
        apps.completed(0, &answered("fetch_offset", &asked, json!({ "offset": 1 })), &mut cx);
        assert!(apps.drained() && apps.unfinished().is_none());
    }
}
