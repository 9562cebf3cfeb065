//! Topics and their producers, which the workloads of consumer groups share; and the final reads of
//! both.
//!
//! Owns which topics there are, what is sent to them, and who reads what in the end. Every record's
//! value is unique. What is deleted in between, [`Deletions`] decides.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::history::{Micros, Op, Outcome};
use crate::rng::Rng;
use crate::workloads::deletions::Deletions;
use crate::workloads::{Cx, Request, Step};

/// How many partitions a topic has that is made by its first record.
pub const DEFAULT_PARTITIONS: u64 = 6;
/// A topic does not grow beyond this.
const MOST_PARTITIONS: u64 = 9;
const GROW_EVERY_US: Micros = 7_000_000;
const PAGE: u64 = 500;
/// In so many of a hundred runs some keys are long.
const RUNS_WITH_LONG_KEYS: u32 = 25;
/// There so many of a hundred records have one.
const LONG_KEYS: u32 = 4;
/// As JSON each of these characters takes six: a few such keys are more than a reply can tell.
const LONG_KEY: &str = "\u{1}";
const LONG_KEY_CHARS: usize = 170_000;

/// The topics of a run.
#[derive(Debug)]
pub struct Topics {
    /// With the number of partitions that was acknowledged last.
    partitions: BTreeMap<String, u64>,
    /// Still to be made.
    missing: Vec<(&'static str, u64)>,
    next_value: u64,
    grow_us: Micros,
    deletions: Deletions,
    /// Which records have a long key, in a run that has such.
    long_keys: Option<Rng>,
    /// A topic that was owed was there all the same: nobody knows which, so its partitions have to be
    /// looked up.
    unsure: bool,
    /// Whether clients speak Kafka's wire.
    wire: bool,
    /// Who reads in the end.
    readers: Vec<usize>,
    /// In the final phase, once reading has begun: what each slot still reads.
    reads: Option<Vec<Vec<Request>>>,
}

impl Topics {
    /// Two topics, not made yet, which these groups read. Takes nothing from the workload's stream.
    ///
    /// Over Kafka's wire nothing is deleted, because a broker may go on serving what was deleted for
    /// as long as it has not heard of it; and keys are short.
    pub fn new(rng: &Rng, groups: &[&str], wire: bool) -> Self {
        let mut long_keys = Rng::new(rng.clone().u64(), "long keys");
        Self {
            deletions: if wire {
                Deletions::none()
            } else {
                Deletions::new(Rng::new(rng.clone().u64(), "deletions"), groups)
            },
            long_keys: (long_keys.percent(RUNS_WITH_LONG_KEYS) && !wire).then_some(long_keys),
            wire,
            partitions: BTreeMap::new(),
            missing: vec![("t1", 4), ("t0", 6)],
            next_value: 0,
            grow_us: GROW_EVERY_US,
            unsure: false,
            readers: Vec::new(),
            reads: None,
        }
    }

    /// What every slot does before anything of its own: it waits for its request, sees that the
    /// topics are there, and in the final phase reads once consumers are `settled`.
    pub fn before_all<'a>(
        &mut self,
        slot: usize,
        cx: &Cx<'_>,
        settled: bool,
        groups: impl Iterator<Item = &'a str> + Clone,
    ) -> Option<Step> {
        if cx.in_flight > 0 {
            return Some(Step::Await);
        }
        if let Some(step) = self.make(slot, cx) {
            return Some(step);
        }
        if !cx.draining {
            return None;
        }
        if slot == 0
            && let Some(step) = self.deletions.make_good(cx.now_us)
        {
            return Some(step);
        }
        if slot == 0 && self.unsure {
            return Some(Step::Invoke(Request::new("list_topics", json!({}))));
        }
        self.read(slot, settled && self.deletions.is_over() && !self.unsure, groups)
    }

    /// What a slot does as long as there are topics to be made; the first slot makes them.
    fn make(&mut self, slot: usize, cx: &Cx<'_>) -> Option<Step> {
        let (topic, partitions) = *self.missing.last()?;
        if slot == 0 && cx.in_flight == 0 {
            let args = json!({ "topic": topic, "partitions": partitions });
            return Some(Step::Invoke(Request::new("create_topic", args)));
        }
        Some(if slot == 0 { Step::Await } else { Step::Until(cx.now_us + 20_000) })
    }

    /// All topics, with their partitions as far as known.
    pub fn partitions(&self) -> &BTreeMap<String, u64> {
        &self.partitions
    }

    /// What a producer asks next.
    pub fn produce(&mut self, slot: usize, cx: &mut Cx<'_>) -> Request {
        if let Some(request) = (slot == 0).then(|| self.deletions.next(cx.now_us)).flatten() {
            return request;
        }
        if slot == 0 && cx.now_us > self.grow_us {
            self.grow_us = cx.now_us + cx.rng.between(GROW_EVERY_US / 2, GROW_EVERY_US * 2);
            if let Some(partitions) = self.partitions.get("t1").filter(|n| **n < MOST_PARTITIONS) {
                return Request::new(
                    "create_partitions",
                    json!({ "topic": "t1", "partitions": partitions + 1 }),
                );
            }
        }
        self.next_value += 1;
        let topic = if cx.rng.percent(60) { "t0" } else { "t1" };
        let mut args = json!({ "topic": topic, "message": format!("v{}", self.next_value) });
        match cx.rng.below(3) {
            0 => args["key"] = json!(format!("k{}", cx.rng.below(20))),
            // The first partitions are there in any case.
            1 => args["partition"] = json!(cx.rng.below(4)),
            _ => {}
        }
        if self.long_keys.as_mut().is_some_and(|rng| rng.percent(LONG_KEYS)) {
            args = json!({
                "topic": "t0", "message": args["message"],
                "key": LONG_KEY.repeat(LONG_KEY_CHARS), "partition": 0,
            });
        }
        Request::new("send", args)
    }

    /// The final phase begins: these slots will read everything.
    pub fn read_by(&mut self, readers: &[usize]) {
        self.readers = readers.to_vec();
    }

    /// A slot's next final read. They begin once consumers are `settled`: all logs from the
    /// beginning, and what these groups are.
    fn read<'a>(
        &mut self,
        slot: usize,
        settled: bool,
        groups: impl Iterator<Item = &'a str> + Clone,
    ) -> Option<Step> {
        if self.reads.is_none() && settled {
            self.reads = Some(self.final_reads(groups));
        }
        self.reads.as_mut()?.get_mut(slot)?.pop().map(Step::Invoke)
    }

    fn final_reads<'a>(&self, groups: impl Iterator<Item = &'a str> + Clone) -> Vec<Vec<Request>> {
        let slots = self.readers.iter().max().map_or(0, |last| last + 1);
        let mut all = vec![Vec::new(); slots];
        for slot in &self.readers {
            let reads = &mut all[*slot];
            for (topic, partitions) in &self.partitions {
                reads.extend((0..*partitions).map(|partition| fetch(topic, partition, 0, PAGE)));
            }
            let describe = |group| Request::new("describe_group", json!({ "group": group }));
            reads.extend(groups.clone().map(describe));
            // From the end: groups first, before anything else changes them.
            if !self.wire {
                reads.push(Request::new("list_groups", json!({})));
            }
        }
        all
    }

    /// Whether the final reads have begun.
    pub fn is_reading(&self) -> bool {
        self.reads.is_some()
    }

    /// Whether all final reads are done.
    pub fn all_read(&self) -> bool {
        self.reads.as_ref().is_some_and(|reads| reads.iter().all(Vec::is_empty))
    }

    /// A request of a slot ended. True where it was one of those made here.
    pub fn completed(&mut self, slot: usize, op: &Op, cx: &mut Cx<'_>) -> bool {
        let ok = op.outcome == Outcome::Ok;
        if slot == 0 && self.deletions.completed(op, cx.now_us) {
            if let ("delete_topic", true, Some(topic)) =
                (op.f.as_str(), ok || op.code == Some(20), op.args["topic"].as_str())
            {
                // Whoever makes it again.
                self.partitions.insert(topic.to_owned(), DEFAULT_PARTITIONS);
            }
            return true;
        }
        match op.f.as_str() {
            "create_topic" | "create_partitions" => {
                let (topic, partitions) =
                    (op.args["topic"].as_str(), op.args["partitions"].as_u64());
                let is_there = op.code == Some(21);
                if let (true, Some(topic), Some(partitions)) = (ok || is_there, topic, partitions) {
                    let missing = self.missing.len();
                    self.missing.retain(|(missing, _)| *missing != topic);
                    // One that a run begins with is its own. Another one may be that of before a
                    // deletion that never acted.
                    if is_there && missing == self.missing.len() {
                        self.unsure = op.f == "create_topic";
                    } else {
                        self.partitions.insert(topic.to_owned(), partitions);
                    }
                }
            }
            "list_topics" if slot == 0 && self.unsure => {
                let counts = op.result.as_ref().and_then(|result| result["topics"].as_object());
                for (topic, partitions) in counts.into_iter().flatten() {
                    if let Some(partitions) = partitions.as_u64() {
                        self.partitions.insert(topic.clone(), partitions);
                    }
                }
                self.unsure = counts.is_none();
            }
            "send" => {}
            "fetch" | "describe_group" | "list_groups" if cx.draining => {
                self.read_ended(slot, op);
                // A consumer's own fetches are its own.
                return op.f != "fetch" || op.args["max_messages"] == json!(PAGE);
            }
            _ => return false,
        }
        true
    }

    fn read_ended(&mut self, slot: usize, op: &Op) {
        let f = match op.f.as_str() {
            "fetch" if op.args["max_messages"] == json!(PAGE) => "fetch",
            "describe_group" => "describe_group",
            "list_groups" => "list_groups",
            _ => return,
        };
        let Some(reads) = self.reads.as_mut().and_then(|reads| reads.get_mut(slot)) else { return };
        if op.outcome == Outcome::Info || op.code == Some(11) {
            reads.push(Request::new(f, op.args.clone()));
        }
        let Some(result) = op.result.as_ref().filter(|_| f == "fetch") else { return };
        let last =
            result["records"].as_array().and_then(|records| records.last()?["offset"].as_u64());
        let (Some(last), Some(end)) = (last, result["high_watermark"].as_u64()) else { return };
        if let (true, Some(topic), Some(partition)) =
            (last + 1 < end, op.args["topic"].as_str(), op.args["partition"].as_u64())
        {
            reads.push(fetch(topic, partition, last + 1, PAGE));
        }
    }
}

/// What checkers need to know of the groups: their time-outs, and the strategy of each.
pub fn config<'a>(
    session_timeout_ms: u64,
    rebalance_timeout_ms: u64,
    strategies: impl Iterator<Item = (&'a str, &'a str)>,
) -> Value {
    json!({
        "session_timeout_ms": session_timeout_ms,
        "rebalance_timeout_ms": rebalance_timeout_ms,
        "strategies": strategies.collect::<BTreeMap<_, _>>(),
    })
}

/// A `fetch` of records from an offset on.
pub fn fetch(topic: &str, partition: u64, offset: u64, max_messages: u64) -> Request {
    let args = json!({
        "topic": topic, "partition": partition, "offset": offset, "max_messages": max_messages,
    });
    Request::new("fetch", args)
}
