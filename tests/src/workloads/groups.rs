//! Thin consumers in eager and cooperative groups, some of them static, and producers that feed
//! their topics.
//!
//! A consumer subscribes, polls, commits what it polled, heartbeats; from time to time it
//! unsubscribes, subscribes to other topics, or falls silent and comes back, under its own or a new
//! name. In the final phase all consumers stay and poll until nothing is left; then every node is
//! asked about every group while they go on polling.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::history::{Micros, Op, Outcome};
use crate::rng::Rng;
use crate::workloads::topics::{Topics, config};
use crate::workloads::{Cx, Pace, Plan, Request, Step, Workload};

/// In the final phase a consumer polls so often.
const FINAL_POLL_US: Micros = 40_000;
/// So many empty polls of a stable group in a row mean that nothing is left.
const ENOUGH: u32 = 3;

#[derive(Debug)]
struct Group {
    name: String,
    strategy: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    /// Not a member, until that time.
    Away(Micros),
    /// Is to subscribe.
    Joining,
    /// Has subscribed.
    Member,
}

#[derive(Debug)]
struct Consumer {
    group: usize,
    name: String,
    instance: Option<String>,
    life: Life,
    topics: Vec<&'static str>,
    generation: Option<u64>,
    /// Next offsets to commit, of partitions that it owns.
    commits: BTreeMap<(String, u64), u64>,
    /// Polls in a row that found nothing in a stable group.
    empty: u32,
    churn_us: Micros,
    rest_us: Micros,
}

/// The workload.
#[derive(Debug)]
pub struct Groups {
    pace: Pace,
    topics: Topics,
    groups: Vec<Group>,
    /// `None` for a producer.
    consumers: Vec<Option<Consumer>>,
    next_name: u64,
    session_timeout_ms: u64,
    rebalance_timeout_ms: u64,
}

impl Groups {
    /// With an eager group and a cooperative one; strategy and time-outs are drawn.
    pub fn new(plan: &Plan, rng: &mut Rng) -> Self {
        let eager = rng.pick(&["range", "roundrobin", "sticky"]).copied().unwrap_or("range");
        let groups = vec![
            Group { name: "eager".to_owned(), strategy: eager },
            Group { name: "cooperative".to_owned(), strategy: "cooperative-sticky" },
        ];
        let mut next_name = 0;
        let topics = Topics::new(rng, &["eager", "cooperative"], false);
        let consumers = (0..plan.slots).map(|slot| {
            // A third of the clients are producers.
            (slot % 3 != 0).then(|| {
                next_name += 1;
                Consumer {
                    group: (slot / 3 + slot) % 2,
                    name: format!("m{next_name}"),
                    instance: (slot % 9 == 4 || slot % 9 == 5).then(|| format!("i{slot}")),
                    life: Life::Joining,
                    topics: vec!["t0", "t1"],
                    generation: None,
                    commits: BTreeMap::new(),
                    empty: 0,
                    churn_us: rng.between(2_000_000, 12_000_000),
                    rest_us: 0,
                }
            })
        });
        let consumers = consumers.collect();
        Self {
            pace: Pace::new(plan.slots, plan.rate),
            topics,
            groups,
            consumers,
            next_name,
            session_timeout_ms: rng.pick(&[1_000, 2_000, 3_000]).copied().unwrap_or(2_000),
            rebalance_timeout_ms: rng.pick(&[2_000, 4_000]).copied().unwrap_or(2_000),
        }
    }

    fn settled(&self) -> bool {
        let done = |consumer: &Consumer| {
            consumer.life == Life::Member && consumer.empty >= ENOUGH && consumer.commits.is_empty()
        };
        self.consumers.iter().flatten().all(done)
    }

    /// Now and then a consumer does something else than its work. `None` where it works on.
    fn churn(&mut self, slot: usize, cx: &mut Cx<'_>) -> Option<Step> {
        let session_us = self.session_timeout_ms * 1_000;
        let consumer = self.consumers[slot].as_mut()?;
        if cx.now_us < consumer.churn_us {
            return None;
        }
        consumer.churn_us = cx.now_us + cx.rng.between(3_000_000, 15_000_000);
        let until_us = cx.now_us + cx.rng.between(100_000, session_us * 2);
        match cx.rng.below(4) {
            0 => {
                let mut args =
                    json!({ "group": self.groups[consumer.group].name, "consumer": consumer.name });
                if cx.rng.percent(30) {
                    args["permanent"] = json!(true);
                }
                Some(Step::Invoke(Request::new("unsubscribe", args)))
            }
            1 => {
                consumer.topics =
                    if consumer.topics.len() == 2 { vec!["t0"] } else { vec!["t0", "t1"] };
                consumer.life = Life::Joining;
                None
            }
            2 => {
                // Restarted at once, under another name; a static member takes its seat over.
                self.next_name += 1;
                consumer.name = format!("m{}", self.next_name);
                Some(Step::Crash)
            }
            _ => {
                consumer.life = Life::Away(until_us);
                Some(Step::Crash)
            }
        }
    }

    fn subscribe(&self, consumer: &Consumer) -> Step {
        let group = &self.groups[consumer.group];
        let mut args = json!({
            "group": group.name, "consumer": consumer.name, "topics": consumer.topics, "strategy": group.strategy,
            "session_timeout_ms": self.session_timeout_ms, "rebalance_timeout_ms": self.rebalance_timeout_ms,
        });
        if let Some(instance) = &consumer.instance {
            args["instance_id"] = json!(instance);
        }
        Step::Invoke(Request::new("subscribe", args))
    }

    fn work(&mut self, slot: usize, cx: &mut Cx<'_>) -> Step {
        if self.consumers[slot].is_none() {
            return if cx.draining {
                Step::Await
            } else {
                Step::Invoke(self.topics.produce(slot, cx))
            };
        }
        if !cx.draining
            && let Some(step) = self.churn(slot, cx)
        {
            return step;
        }
        let Some(consumer) = &self.consumers[slot] else { return Step::Await };
        if consumer.life == Life::Joining {
            return self.subscribe(consumer);
        }
        let mut args =
            json!({ "group": self.groups[consumer.group].name, "consumer": consumer.name });
        if !cx.draining && cx.rng.percent(15) {
            return Step::Invoke(Request::new("heartbeat", args));
        }
        args["max_messages"] = json!(if cx.draining { 500 } else { cx.rng.between(1, 40) });
        Step::Invoke(Request::new("poll", args))
    }

    /// The reply tells the member's generation and what it owns.
    fn told(consumer: &mut Consumer, result: &Value) {
        consumer.generation = result["generation"].as_u64();
        let owned = &result["assignment"];
        consumer.commits.retain(|(topic, partition), _| {
            owned[topic.as_str()]
                .as_array()
                .into_iter()
                .flatten()
                .any(|p| p.as_u64() == Some(*partition))
        });
    }

    fn refused(consumer: &mut Consumer, f: &str, op: &Op, next_name: &mut u64, now_us: Micros) {
        consumer.empty = 0;
        consumer.rest_us = now_us + 50_000;
        match op.error.as_deref() {
            Some("UNKNOWN_MEMBER_ID") => {
                consumer.commits.clear();
                consumer.life = Life::Joining;
            }
            Some("FENCED_INSTANCE_ID") => {
                // Somebody else has the seat; this one goes on without.
                *next_name += 1;
                (consumer.name, consumer.instance) = (format!("m{next_name}"), None);
                consumer.commits.clear();
                consumer.life = Life::Joining;
            }
            _ if f == "commit" => {
                // Another generation, or no longer its partition: whoever owns it reads on from the
                // last commit.
                let partition = op.args["partition"].as_u64().unwrap_or(0);
                let topic = op.args["topic"].as_str().unwrap_or_default().to_owned();
                if op.code != Some(11) {
                    consumer.commits.remove(&(topic, partition));
                }
            }
            _ => {}
        }
    }
}

impl Workload for Groups {
    fn config(&self) -> Value {
        let strategies = self.groups.iter().map(|group| (group.name.as_str(), group.strategy));
        config(self.session_timeout_ms, self.rebalance_timeout_ms, strategies)
    }

    fn step(&mut self, slot: usize, cx: &mut Cx<'_>) -> Step {
        let settled = cx.draining && !self.topics.is_reading() && self.settled();
        let groups = self.groups.iter().map(|group| group.name.as_str());
        if let Some(step) = self.topics.before_all(slot, cx, settled, groups) {
            return step;
        }
        if cx.draining && self.drained() {
            return Step::Await;
        }
        if let Some(consumer) = &mut self.consumers[slot] {
            if let Life::Away(until_us) = consumer.life {
                if cx.now_us < until_us && !cx.draining {
                    return Step::Until(until_us);
                }
                consumer.life = Life::Joining;
            }
            if consumer.rest_us > cx.now_us {
                return Step::Until(consumer.rest_us);
            }
            let commits = consumer.life == Life::Member && (cx.draining || cx.rng.percent(85));
            if let Some(((topic, partition), offset)) =
                consumer.commits.first_key_value().filter(|_| commits)
            {
                let mut args = json!({
                    "group": self.groups[consumer.group].name, "consumer": consumer.name,
                    "topic": topic, "partition": partition, "offset": offset,
                });
                if cx.rng.percent(70) {
                    args["generation"] = json!(consumer.generation);
                }
                return Step::Invoke(Request::new("commit", args));
            }
        } else if cx.draining {
            // A producer may be a reader, once reading begins.
            return Step::Until(cx.now_us + FINAL_POLL_US);
        }
        if !cx.draining
            && let Some(due_us) = self.pace.wait(slot, cx)
        {
            return Step::Until(due_us);
        }
        self.work(slot, cx)
    }

    fn completed(&mut self, slot: usize, op: &Op, cx: &mut Cx<'_>) {
        if self.topics.completed(slot, op, cx) || op.outcome == Outcome::Info {
            return;
        }
        let Some(consumer) = &mut self.consumers[slot] else { return };
        if cx.draining {
            consumer.rest_us = cx.now_us + FINAL_POLL_US;
        }
        let Some(result) = op.result.as_ref() else {
            return Self::refused(consumer, &op.f, op, &mut self.next_name, cx.now_us);
        };
        match op.f.as_str() {
            "subscribe" => {
                consumer.life = Life::Member;
                consumer.commits.clear();
                consumer.empty = 0;
                Self::told(consumer, result);
            }
            "poll" => {
                Self::told(consumer, result);
                let records = result["records"].as_array().map_or(&[][..], Vec::as_slice);
                for record in records {
                    let of =
                        (record["topic"].as_str().map(str::to_owned), record["partition"].as_u64());
                    if let ((Some(topic), Some(partition)), Some(offset)) =
                        (of, record["offset"].as_u64())
                    {
                        consumer.commits.insert((topic, partition), offset + 1);
                    }
                }
                let idle = records.is_empty() && result["state"] == "Stable";
                consumer.empty = if idle { consumer.empty + 1 } else { 0 };
                if !records.is_empty() {
                    consumer.rest_us = cx.now_us;
                }
            }
            "heartbeat" => Self::told(consumer, result),
            "commit" => {
                let partition = op.args["partition"].as_u64().unwrap_or(0);
                let topic = op.args["topic"].as_str().unwrap_or_default().to_owned();
                consumer.commits.remove(&(topic, partition));
                consumer.rest_us = cx.now_us;
            }
            "unsubscribe" => {
                consumer.life = Life::Away(cx.now_us + cx.rng.between(100_000, 3_000_000));
                consumer.commits.clear();
                if cx.rng.percent(50) {
                    self.next_name += 1;
                    consumer.name = format!("m{}", self.next_name);
                }
            }
            _ => {}
        }
    }

    fn renewed(&mut self, slot: usize, _cx: &mut Cx<'_>) {
        if let Some(consumer) = &mut self.consumers[slot] {
            // Whether its last request arrived is unknown: it subscribes again.
            if consumer.life == Life::Member {
                consumer.life = Life::Joining;
            }
            consumer.commits.clear();
            (consumer.generation, consumer.empty) = (None, 0);
        }
    }

    fn drain(&mut self, readers: &[usize]) {
        self.topics.read_by(readers);
    }

    fn drained(&self) -> bool {
        self.topics.all_read()
    }

    fn probe(&self) -> Request {
        Request::new("list_topics", json!({}))
    }
}
