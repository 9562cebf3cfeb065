//! Records that come and go: idempotent producers, readers, and somebody who deletes records and
//! topics beneath them.
//!
//! A producer goes on after everything, a change of leader too: it sends again what nobody
//! answered, under the same sequence number. At times it repeats what was acknowledged, leaves a
//! number out, begins a new epoch, or sends something of the epoch before. Readers commit where
//! they are. The first client administers: it deletes records up to an offset, also all there are,
//! deletes topics and makes them again, and adds partitions. Nodes may have a retention besides
//! ([`crate::run::case::Case::swarm`]).
//!
//! No random case draws this workload unless it is asked for: the seeds of the others keep theirs.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use crate::history::{Micros, Op, Outcome};
use crate::workloads::topics::fetch;
use crate::workloads::{Cx, Pace, Plan, Request, Step, Workload};

const TOPICS: [&str; 2] = ["r0", "r1"];
const PARTITIONS: u64 = 3;
const MOST_PARTITIONS: u64 = 5;
const GROUP: &str = "g";
/// Records of a reader's fetch.
const SOME: u64 = 50;
/// Records of a final read.
const PAGE: u64 = 500;
/// Between two attempts at the same.
const REST_US: Micros = 50_000;
/// So many batches of a producer a partition knows.
const KNOWN: usize = 5;
/// After so many records a producer asks for a new id.
const RECORDS_AN_ID: u64 = 150;

/// A partition, by its topic's number and its own.
type Place = (usize, u64);

/// Why a producer sends what it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// The next record.
    Next,
    /// What was acknowledged.
    Again,
    /// A record whose number is too high.
    Gap,
    /// A record of the epoch before.
    Old,
}

/// An idempotent producer.
#[derive(Debug, Default)]
struct Producer {
    id: Option<i64>,
    epoch: i64,
    next: BTreeMap<Place, u64>,
    /// The numbers of the epoch before.
    before: BTreeMap<Place, u64>,
    sent: u64,
    /// What is under way, or has to be sent again.
    open: Option<(Purpose, Value)>,
    /// The last that were acknowledged in this epoch.
    acknowledged: VecDeque<Value>,
    rest_us: Micros,
}

#[derive(Debug, Default)]
struct Reader {
    at: Place,
    next: BTreeMap<Place, u64>,
    /// What it commits next.
    commit: Option<Value>,
}

#[derive(Debug)]
enum Role {
    Producer(Producer),
    Reader(Reader),
    Administrator,
}

/// The workload.
#[derive(Debug)]
pub struct Records {
    pace: Pace,
    roles: Vec<Role>,
    next_value: u64,
    /// Behind the last record of each partition that was acknowledged.
    ends: BTreeMap<Place, u64>,
    partitions: [u64; TOPICS.len()],
    /// What the administrator still has to ask, the next one last.
    todo: Vec<Request>,
    due_us: Micros,
    made: bool,
    /// In the final phase: what a slot still reads.
    last_reads: Vec<Vec<Request>>,
}

fn topic(number: usize) -> &'static str {
    TOPICS.get(number).copied().unwrap_or(TOPICS[0])
}

fn place(args: &Value) -> Option<Place> {
    let number = TOPICS.iter().position(|topic| args["topic"] == json!(topic))?;
    Some((number, args["partition"].as_u64()?))
}

fn create(topic: &str) -> Request {
    Request::new("create_topic", json!({ "topic": topic, "partitions": PARTITIONS }))
}

impl Records {
    /// The first client administers, a third of the others reads, the rest produces.
    pub fn new(plan: &Plan) -> Self {
        let role = |slot: usize| match slot {
            0 => Role::Administrator,
            _ if slot % 3 == 1 => Role::Reader(Reader::default()),
            _ => Role::Producer(Producer::default()),
        };
        Self {
            pace: Pace::new(plan.slots, plan.rate),
            roles: (0..plan.slots).map(role).collect(),
            next_value: 0,
            ends: BTreeMap::new(),
            partitions: [PARTITIONS; TOPICS.len()],
            todo: TOPICS.map(create).to_vec(),
            due_us: 0,
            made: false,
            last_reads: vec![Vec::new(); plan.slots],
        }
    }

    fn draw_place(&self, cx: &mut Cx<'_>) -> Place {
        let number = usize::from(cx.rng.percent(50));
        (number, cx.rng.below(self.partitions[number]))
    }

    fn administer(&mut self, cx: &mut Cx<'_>) -> Step {
        if cx.draining {
            // What was deleted comes back; nothing else begins.
            self.todo.retain(|request| request.f == "create_topic");
        }
        if self.todo.is_empty() {
            if cx.draining {
                return Step::Await;
            }
            if cx.now_us < self.due_us {
                return Step::Until(self.due_us);
            }
            self.due_us = cx.now_us + cx.rng.between(200_000, 1_000_000);
            self.todo = self.draw(cx);
        }
        self.todo.last().map_or(Step::Await, |request| Step::Invoke(request.clone()))
    }

    fn draw(&mut self, cx: &mut Cx<'_>) -> Vec<Request> {
        let (number, partition) = self.draw_place(cx);
        let name = topic(number);
        match cx.rng.below(20) {
            0..=12 => {
                let end = self.ends.get(&(number, partition)).copied().unwrap_or(0);
                let left = if cx.rng.percent(30) { 0 } else { cx.rng.below(8) };
                let offset = end.saturating_sub(left);
                let args = json!({ "topic": name, "partition": partition, "offset": offset });
                vec![Request::new("delete_records", args)]
            }
            13..=15 => {
                self.ends.retain(|(of, _), _| *of != number);
                self.partitions[number] = PARTITIONS;
                vec![create(name), Request::new("delete_topic", json!({ "topic": name }))]
            }
            16 if self.partitions[number] < MOST_PARTITIONS => {
                self.partitions[number] += 1;
                let args = json!({ "topic": name, "partitions": self.partitions[number] });
                vec![Request::new("create_partitions", args)]
            }
            _ => {
                let args = json!({ "group": GROUP, "topic": name, "partition": partition });
                vec![Request::new("fetch_offset", args)]
            }
        }
    }

    /// What a producer sends next; nothing is under way.
    fn produce(&mut self, slot: usize, cx: &mut Cx<'_>) -> Step {
        let (at, draw) = (self.draw_place(cx), cx.rng.below(100));
        self.next_value += 1;
        let value = format!("v{}", self.next_value);
        let Role::Producer(producer) = &mut self.roles[slot] else { return Step::Await };
        let Some(id) = producer.id.filter(|_| producer.sent < RECORDS_AN_ID) else {
            *producer = Producer::default();
            return Step::Invoke(Request::new("init_producer", json!({})));
        };
        let (mut purpose, mut epoch) = (Purpose::Next, producer.epoch);
        let mut number = producer.next.get(&at).copied().unwrap_or(0);
        match draw {
            0..=6 if !producer.acknowledged.is_empty() => {
                let which = cx.rng.below(producer.acknowledged.len() as u64);
                let again = producer.acknowledged.get(usize::try_from(which).unwrap_or(0));
                let args = again.cloned().unwrap_or_default();
                producer.open = Some((Purpose::Again, args.clone()));
                return Step::Invoke(Request::new("send", args));
            }
            7..=9 if number > 0 => (purpose, number) = (Purpose::Gap, number + 2),
            10 | 11 => {
                producer.epoch += 1;
                producer.before = std::mem::take(&mut producer.next);
                producer.acknowledged.clear();
                (epoch, number) = (producer.epoch, 0);
            }
            12..=15 if producer.epoch > 0 => {
                let old = producer.before.get(&at).copied().unwrap_or(0);
                (purpose, epoch, number) = (Purpose::Old, epoch - 1, old);
            }
            _ => {}
        }
        let args = json!({
            "topic": topic(at.0), "partition": at.1, "message": value,
            "producer_id": id, "producer_epoch": epoch, "sequence": number,
        });
        producer.sent += 1;
        producer.open = Some((purpose, args.clone()));
        Step::Invoke(Request::new("send", args))
    }

    fn read(&mut self, slot: usize) -> Step {
        let Role::Reader(reader) = &mut self.roles[slot] else { return Step::Await };
        if let Some(commit) = reader.commit.take() {
            return Step::Invoke(Request::new("commit_offset", commit));
        }
        let next = reader.next.get(&reader.at).copied().unwrap_or(0);
        Step::Invoke(fetch(topic(reader.at.0), reader.at.1, next, SOME))
    }

    fn has_read(&mut self, slot: usize, op: &Op, cx: &mut Cx<'_>) {
        let last = op.result.as_ref().and_then(|result| {
            result["records"].as_array()?.last().and_then(|last| last["offset"].as_u64())
        });
        let elsewhere = self.draw_place(cx);
        let Role::Reader(reader) = &mut self.roles[slot] else { return };
        match last {
            Some(last) => {
                reader.next.insert(reader.at, last + 1);
                reader.commit = cx.rng.percent(30).then(|| {
                    let (topic, partition) = (topic(reader.at.0), reader.at.1);
                    json!({
                        "group": GROUP, "topic": topic, "partition": partition, "offset": last + 1,
                    })
                });
            }
            None => {
                reader.at = elsewhere;
                // The topic is gone, or the reader begins again.
                if op.outcome != Outcome::Ok || cx.rng.percent(20) {
                    reader.next.remove(&reader.at);
                }
            }
        }
    }

    /// A final read has ended: what is read next.
    fn read_on(&mut self, slot: usize, op: &Op) {
        let Some(result) = &op.result else {
            // Whoever was asked could not say. A topic that is not there has nothing to read.
            if op.outcome == Outcome::Info || op.code == Some(11) {
                self.last_reads[slot].push(Request::new("fetch", op.args.clone()));
            }
            return;
        };
        let last = result["records"].as_array().and_then(|records| records.last());
        let next = last.and_then(|last| last["offset"].as_u64()).map(|last| last + 1);
        let end = result["high_watermark"].as_u64();
        if let (Some(next), Some(end), Some((number, partition))) = (next, end, place(&op.args))
            && next < end
        {
            self.last_reads[slot].push(fetch(topic(number), partition, next, PAGE));
        }
    }
}

impl Producer {
    fn sent(&mut self, op: &Op, cx: &Cx<'_>) {
        let Some((purpose, args)) = self.open.take() else { return };
        let Some(at) = place(&args) else { return };
        let (there, unknown) = (op.outcome == Outcome::Ok, op.outcome == Outcome::Info);
        match purpose {
            Purpose::Again => {}
            // Whether it was taken is not known, or it was: the numbers are of no more use.
            Purpose::Gap | Purpose::Old if unknown => self.id = None,
            Purpose::Gap if there => self.id = None,
            Purpose::Gap => {}
            Purpose::Old if there => *self.before.entry(at).or_default() += 1,
            Purpose::Old => {}
            Purpose::Next if there => {
                *self.next.entry(at).or_default() += 1;
                self.acknowledged.push_back(args);
                if self.acknowledged.len() > KNOWN {
                    self.acknowledged.pop_front();
                }
            }
            Purpose::Next if unknown || op.code == Some(11) => {
                self.rest_us = cx.now_us + REST_US;
                self.open = Some((purpose, args));
            }
            // The topic is gone for now.
            Purpose::Next if op.code == Some(20) => self.rest_us = cx.now_us + REST_US,
            // It began anew, and does not know the numbers.
            Purpose::Next => self.id = None,
        }
    }
}

impl Workload for Records {
    fn config(&self) -> Value {
        json!({ "records_go": true })
    }

    fn step(&mut self, slot: usize, cx: &mut Cx<'_>) -> Step {
        if cx.in_flight > 0 {
            return Step::Await;
        }
        if matches!(self.roles[slot], Role::Administrator)
            && (!cx.draining || !self.todo.is_empty())
        {
            return self.administer(cx);
        }
        if cx.draining {
            return self.last_reads[slot].pop().map_or(Step::Await, Step::Invoke);
        }
        if !self.made {
            return Step::Until(cx.now_us + 20_000);
        }
        if let Role::Producer(producer) = &self.roles[slot] {
            if producer.rest_us > cx.now_us {
                return Step::Until(producer.rest_us);
            }
            if let Some((_, args)) = &producer.open {
                return Step::Invoke(Request::new("send", args.clone()));
            }
        }
        if let Some(due_us) = self.pace.wait(slot, cx) {
            return Step::Until(due_us);
        }
        match &self.roles[slot] {
            Role::Producer(_) => self.produce(slot, cx),
            Role::Reader(_) | Role::Administrator => self.read(slot),
        }
    }

    fn completed(&mut self, slot: usize, op: &Op, cx: &mut Cx<'_>) {
        if cx.draining && op.f == "fetch" {
            return self.read_on(slot, op);
        }
        if let ("send", Some(at), Some(result)) = (op.f.as_str(), place(&op.args), &op.result)
            && let Some(offset) = result["offset"].as_u64()
        {
            let end = self.ends.entry(at).or_default();
            *end = (*end).max(offset + 1);
        }
        match &mut self.roles[slot] {
            Role::Administrator => {
                let unknown = op.outcome == Outcome::Info || op.code == Some(11);
                let matters = matches!(op.f.as_str(), "create_topic" | "delete_topic");
                if !(unknown && matters) {
                    self.todo.pop();
                }
                self.made |= self.todo.is_empty();
            }
            Role::Producer(producer) if op.f == "send" => producer.sent(op, cx),
            Role::Producer(producer) => {
                producer.id = op.result.as_ref().and_then(|result| result["producer_id"].as_i64());
                producer.rest_us = cx.now_us + REST_US;
            }
            Role::Reader(_) if op.f == "fetch" => self.has_read(slot, op, cx),
            Role::Reader(_) => {}
        }
    }

    fn renewed(&mut self, _slot: usize, _cx: &mut Cx<'_>) {}

    fn drain(&mut self, readers: &[usize]) {
        for slot in readers {
            for (number, partitions) in self.partitions.iter().enumerate() {
                let all = (0..*partitions).map(|at| fetch(topic(number), at, 0, PAGE));
                self.last_reads[*slot].extend(all);
            }
        }
    }

    fn drained(&self) -> bool {
        self.todo.is_empty() && self.last_reads.iter().all(Vec::is_empty)
    }

    fn probe(&self) -> Request {
        Request::new("list_topics", json!({}))
    }
}
