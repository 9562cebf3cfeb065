//! Partition logs over Kafka's wire: plain and idempotent producers, and readers.
//!
//! Every record's value is unique. An idempotent producer sends again what nobody answered, under
//! the same sequence number; at times it also sends again what was acknowledged, and leaves a
//! sequence number out, which a broker has to refuse. A reader goes through one partition after the
//! other, and at times begins again further back.

use serde_json::{Value, json};

use crate::history::{Micros, Op, Outcome};
use crate::workloads::topics::fetch;
use crate::workloads::{Cx, Pace, Plan, Request, Step, Workload};

const TOPIC: &str = "log";
const PARTITIONS: u64 = 4;
/// Records of a reader's fetch.
const SOME: u64 = 50;
/// Records of a final read.
const PAGE: u64 = 500;
/// Between two attempts at the same.
const REST_US: Micros = 50_000;
/// Of a hundred sends of an idempotent producer so many are repeated for no reason,
const AGAIN_PERCENT: u32 = 5;
/// and so many leave a sequence number out.
const GAP_PERCENT: u32 = 2;
/// After so many records a producer asks for a new id.
const RECORDS_AN_ID: u64 = 400;

/// Why an idempotent producer sends what it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// The next record.
    Next,
    /// What was acknowledged.
    Again,
    /// A record whose number is too high.
    Gap,
}

#[derive(Debug, Default)]
struct Producer {
    id: Option<(i64, i64)>,
    next: [u64; PARTITIONS as usize],
    sent: u64,
    /// What is under way, or has to be sent again.
    open: Option<(Purpose, Value)>,
    acknowledged: Option<Value>,
    rest_us: Micros,
}

#[derive(Debug)]
struct Reader {
    partition: u64,
    next: [u64; PARTITIONS as usize],
}

impl Reader {
    /// Where it goes on in its partition.
    fn next(&mut self) -> &mut u64 {
        &mut self.next[usize::try_from(self.partition).unwrap_or(0)]
    }
}

#[derive(Debug)]
enum Role {
    Plain,
    Idempotent(Producer),
    Reader(Reader),
}

/// The workload.
#[derive(Debug)]
pub struct Log {
    pace: Pace,
    pipeline: usize,
    roles: Vec<Role>,
    next_value: u64,
    /// Behind the last record of each partition that was acknowledged.
    acknowledged: [u64; PARTITIONS as usize],
    /// In the final phase: when a slot reads next, as records are still missing.
    rest_us: Vec<Micros>,
    /// In the final phase: what a slot still reads.
    last_reads: Vec<Vec<Request>>,
}

impl Log {
    /// A third of the clients each produces plainly, produces idempotently, reads.
    pub fn new(plan: &Plan) -> Self {
        let role = |slot: usize| match slot % 3 {
            0 => Role::Idempotent(Producer::default()),
            1 => Role::Reader(Reader {
                partition: slot as u64 % PARTITIONS,
                next: [0; PARTITIONS as usize],
            }),
            _ => Role::Plain,
        };
        Self {
            pace: Pace::new(plan.slots, plan.rate),
            pipeline: plan.pipeline,
            roles: (0..plan.slots).map(role).collect(),
            next_value: 0,
            acknowledged: [0; PARTITIONS as usize],
            rest_us: vec![0; plan.slots],
            last_reads: vec![Vec::new(); plan.slots],
        }
    }

    fn value(&mut self) -> String {
        self.next_value += 1;
        format!("v{}", self.next_value)
    }

    fn produce(&mut self, slot: usize, cx: &mut Cx<'_>) -> Step {
        let value = self.value();
        let Role::Idempotent(producer) = &mut self.roles[slot] else { return Step::Await };
        let Some((id, epoch)) = producer.id.filter(|_| producer.sent < RECORDS_AN_ID) else {
            *producer = Producer::default();
            return Step::Invoke(Request::new("init_producer", json!({})));
        };
        let draw = cx.rng.below(100);
        if let Some(args) =
            producer.acknowledged.clone().filter(|_| draw < u64::from(AGAIN_PERCENT))
        {
            producer.open = Some((Purpose::Again, args.clone()));
            return Step::Invoke(Request::new("send", args));
        }
        let partition = cx.rng.below(PARTITIONS);
        let next = producer.next[usize::try_from(partition).unwrap_or(0)];
        let gap = draw >= u64::from(100 - GAP_PERCENT) && next > 0;
        let args = json!({
            "topic": TOPIC, "partition": partition, "message": value,
            "producer_id": id, "producer_epoch": epoch, "sequence": next + 2 * u64::from(gap),
        });
        producer.sent += 1;
        producer.open = Some((if gap { Purpose::Gap } else { Purpose::Next }, args.clone()));
        Step::Invoke(Request::new("send", args))
    }

    fn acknowledge(&mut self, op: &Op) {
        let offset = op.result.as_ref().and_then(|result| result["offset"].as_u64());
        let partition =
            op.args["partition"].as_u64().and_then(|number| usize::try_from(number).ok());
        let end = partition.and_then(|partition| self.acknowledged.get_mut(partition));
        if let (Some(offset), Some(end)) = (offset, end) {
            *end = (*end).max(offset + 1);
        }
    }

    /// A final read has ended: what is read next. A broker may tell an old end for a while after its
    /// leader has changed, so a log that ends too early is read again.
    fn read(&mut self, slot: usize, op: &Op, last: Option<Option<u64>>, cx: &Cx<'_>) {
        let (Some(from), Some(partition)) =
            (op.args["offset"].as_u64(), op.args["partition"].as_u64())
        else {
            return;
        };
        let next = last.flatten().map_or(from, |last| last + 1);
        let told = op.result.as_ref().and_then(|result| result["high_watermark"].as_u64());
        let at = usize::try_from(partition).unwrap_or(0);
        let end = self.acknowledged.get(at).copied().unwrap_or(0).max(told.unwrap_or(u64::MAX));
        if next < end {
            if last.flatten().is_none() {
                self.rest_us[slot] = cx.now_us + REST_US;
            }
            self.last_reads[slot].push(fetch(TOPIC, partition, next, PAGE));
        }
    }

    fn produced(producer: &mut Producer, op: &Op, cx: &Cx<'_>) {
        let Some((purpose, args)) = producer.open.take() else { return };
        let there =
            op.outcome == Outcome::Ok || op.error.as_deref() == Some("DUPLICATE_SEQUENCE_NUMBER");
        let again = op.outcome == Outcome::Info || op.code == Some(11);
        match purpose {
            Purpose::Again => {}
            // Whether the broker took it is not known, or it did: the numbers are of no more use.
            Purpose::Gap if there || op.outcome == Outcome::Info => producer.id = None,
            Purpose::Gap => {}
            Purpose::Next if there => {
                let partition = args["partition"].as_u64().and_then(|p| usize::try_from(p).ok());
                producer.next[partition.unwrap_or(0)] += 1;
                producer.acknowledged = Some(args);
            }
            Purpose::Next if again => {
                producer.rest_us = cx.now_us + REST_US;
                producer.open = Some((purpose, args));
            }
            // Refused for good.
            Purpose::Next => producer.id = None,
        }
    }
}

impl Workload for Log {
    fn config(&self) -> Value {
        json!({ "partitions": { TOPIC: PARTITIONS } })
    }

    fn needs(&self) -> Vec<(String, u64)> {
        vec![(TOPIC.to_owned(), PARTITIONS)]
    }

    fn step(&mut self, slot: usize, cx: &mut Cx<'_>) -> Step {
        if cx.draining {
            if cx.in_flight > 0 {
                return Step::Await;
            }
            if self.rest_us[slot] > cx.now_us {
                return Step::Until(self.rest_us[slot]);
            }
            return self.last_reads[slot].pop().map_or(Step::Await, Step::Invoke);
        }
        match &mut self.roles[slot] {
            Role::Plain if cx.in_flight >= self.pipeline => Step::Await,
            Role::Idempotent(_) | Role::Reader(_) if cx.in_flight > 0 => Step::Await,
            Role::Idempotent(producer) if producer.open.is_some() => {
                let (rest_us, open) = (producer.rest_us, producer.open.clone());
                match open {
                    Some((_, args)) if rest_us <= cx.now_us => {
                        Step::Invoke(Request::new("send", args))
                    }
                    _ => Step::Until(rest_us),
                }
            }
            _ => {
                if let Some(due_us) = self.pace.wait(slot, cx) {
                    return Step::Until(due_us);
                }
                match &mut self.roles[slot] {
                    Role::Idempotent(_) => self.produce(slot, cx),
                    Role::Reader(reader) => {
                        Step::Invoke(fetch(TOPIC, reader.partition, *reader.next(), SOME))
                    }
                    Role::Plain => {
                        let mut args = json!({ "topic": TOPIC, "message": self.value() });
                        args["partition"] = json!(cx.rng.below(PARTITIONS));
                        Step::Invoke(Request::new("send", args))
                    }
                }
            }
        }
    }

    fn completed(&mut self, slot: usize, op: &Op, cx: &mut Cx<'_>) {
        let result = op.result.as_ref();
        let last = result.and_then(|result| {
            let last = result["records"].as_array()?.last();
            Some(last.and_then(|last| last["offset"].as_u64()))
        });
        if op.f == "send" {
            self.acknowledge(op);
        }
        if cx.draining && op.f == "fetch" && op.args["max_messages"] == json!(PAGE) {
            return self.read(slot, op, last, cx);
        }
        match &mut self.roles[slot] {
            Role::Idempotent(producer) if op.f == "send" => Self::produced(producer, op, cx),
            Role::Idempotent(producer) => {
                let number = |field: &str| result.and_then(|result| result[field].as_i64());
                producer.id = number("producer_id").zip(number("producer_epoch"));
                producer.next = [0; PARTITIONS as usize];
                producer.rest_us = cx.now_us + REST_US;
            }
            Role::Reader(reader) => match last {
                Some(Some(last)) => *reader.next() = last + 1,
                Some(None) => {
                    reader.partition = (reader.partition + 1) % PARTITIONS;
                    if cx.rng.percent(10) {
                        *reader.next() = 0;
                    }
                }
                // It may have asked beyond the end, of a partition that is shorter.
                None if op.error.as_deref() == Some("OFFSET_OUT_OF_RANGE") => {
                    *reader.next() = 0;
                }
                None => {}
            },
            Role::Plain => {}
        }
    }

    fn renewed(&mut self, _slot: usize, _cx: &mut Cx<'_>) {}

    fn drain(&mut self, readers: &[usize]) {
        for slot in readers {
            let all = (0..PARTITIONS).map(|partition| fetch(TOPIC, partition, 0, PAGE));
            self.last_reads[*slot].extend(all);
        }
    }

    fn drained(&self) -> bool {
        self.last_reads.iter().all(Vec::is_empty)
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
    fn a_log_that_ends_before_what_was_acknowledged_is_read_again() {
        let plan = Plan {
            nodes: 1,
            slots: 3,
            rate: 1,
            pipeline: 1,
            wire: true,
            calm: false,
            member_fault: None,
        };
        let mut log = Log::new(&plan);
        let mut rng = Rng::new(1, "test");
        let mut cx = Cx { now_us: 0, rng: &mut rng, draining: false, node: 0, in_flight: 0 };
        let at = json!({ "topic": TOPIC, "partition": 0 });
        log.completed(2, &answered("send", &at, json!({ "partition": 0, "offset": 0 })), &mut cx);
        cx.draining = true;
        let read = fetch(TOPIC, 0, 0, PAGE).args;
        let empty = json!({ "records": [], "high_watermark": 0 });
        log.completed(2, &answered("fetch", &read, empty), &mut cx);
        assert!(!log.drained(), "what was acknowledged is still to be found");
        log.last_reads[2].clear();
        let records = json!([{ "offset": 0, "message": "v1" }]);
        let whole = json!({ "records": records, "high_watermark": 1 });
        log.completed(2, &answered("fetch", &read, whole), &mut cx);
        assert!(log.drained());
    }
}
