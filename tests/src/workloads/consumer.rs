//! Faithful members of consumer groups of KIP-848, in a group of each of Kafka's server-side
//! assignors, and producers.
//!
//! The broker assigns, each member reconciles, and all of it goes through one request. A member
//! joins with epoch 0, under an id of its own making. It heartbeats as often as the broker says.
//! When an answer takes partitions from it, it stops reading them at once, commits, and after a
//! while, as an application's callback takes, heartbeats without them. Only after the answer to
//! that it adds what is new: it looks up where to begin, fetches, and commits under its epoch. It
//! leaves with epoch -1, or -2 where its seat is static and stays. FENCED_MEMBER_EPOCH and
//! UNKNOWN_MEMBER_ID make it give up everything and join anew under its id. A client whose
//! heartbeat nobody answered either dies or says everything once more, as Java's does.
//!
//! Knows nothing of topic ids: the client looks them up.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::history::{Micros, Op, Outcome};
use crate::rng::Rng;
use crate::workloads::topics::{Topics, fetch};
use crate::workloads::{Cx, Pace, Plan, Request, Step, Workload};

/// After so many of a hundred rises of its epoch a member commits under the one before, as somebody
/// would who has missed a rebalance.
const ZOMBIES_PERCENT: u32 = 10;
/// In the final phase a consumer fetches so often.
const FINAL_FETCH_US: Micros = 30_000;
/// Between two attempts at the same.
const REST_US: Micros = 50_000;
/// Somebody starts a client whose seat is taken again after so long.
const SEAT_TAKEN_US: Micros = 1_000_000;
/// Of a hundred revocations so many take long, and so many of those longer than the time-out.
const SLOW_PERCENT: u32 = 40;
const TOO_SLOW_PERCENT: u32 = 10;
/// Of a hundred stays of a member so many are short.
const HASTY_PERCENT: u32 = 40;
/// Who leaves says so, in so many of a hundred cases.
const LEAVES_PERCENT: u32 = 80;
/// Members of both groups together: few, so that much moves when one comes or goes.
const MOST_MEMBERS: usize = 8;
/// Until a broker has told how often to heartbeat.
const FIRST_INTERVAL_US: Micros = 500_000;
const GROUPS: [&str; 2] = ["uniform", "range"];

type Slot = (String, u64);

/// Partitions on their way out: not read any more, not let go yet.
#[derive(Debug)]
struct Revoking {
    slots: BTreeSet<Slot>,
    /// The application's callback takes so long.
    until_us: Micros,
}

#[derive(Debug)]
struct Consumer {
    group: usize,
    instance: Option<String>,
    /// Not a member, before that time.
    away_us: Micros,
    member_id: String,
    /// 0: it has not joined.
    epoch: i64,
    /// The next heartbeat says everything.
    says_all: bool,
    /// The assignment that was told last.
    target: BTreeSet<Slot>,
    owned: BTreeSet<Slot>,
    /// What the broker was told that it owns.
    told: BTreeSet<Slot>,
    revoking: Option<Revoking>,
    /// Where to fetch next; `None` until the committed offset is known.
    positions: BTreeMap<Slot, Option<u64>>,
    commits: BTreeMap<Slot, u64>,
    /// The high watermark that a fetch told last.
    ends: BTreeMap<Slot, u64>,
    interval_us: Micros,
    heartbeat_us: Micros,
    churn_us: Micros,
    rest_us: Micros,
    turn: usize,
    /// A commit under an epoch that is over.
    zombie: Option<Value>,
    /// A partition that was let go last, and where its reader was.
    let_go: Option<(Slot, u64)>,
    /// Its client lost its connection, and goes on as the same member.
    reconnects: bool,
}

/// The workload.
#[derive(Debug)]
pub struct ConsumerGroups {
    pace: Pace,
    topics: Topics,
    consumers: Vec<Option<Consumer>>,
    rebalance_timeout_ms: u64,
    next_member: u64,
}

fn slot_of(op: &Op) -> Option<Slot> {
    Some((op.args["topic"].as_str()?.to_owned(), op.args["partition"].as_u64()?))
}

/// `{topic: [partition, …]}`.
fn by_topic(slots: &BTreeSet<Slot>) -> Value {
    let mut topics: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for (topic, partition) in slots {
        topics.entry(topic).or_default().push(*partition);
    }
    json!(topics)
}

fn slots(assignment: &Value) -> Option<BTreeSet<Slot>> {
    let mut slots = BTreeSet::new();
    for (topic, partitions) in assignment.as_object()? {
        let partitions = partitions.as_array().into_iter().flatten().filter_map(Value::as_u64);
        slots.extend(partitions.map(|partition| (topic.clone(), partition)));
    }
    Some(slots)
}

/// When a member comes or goes next. Some only look in: what was to move for them is to move back,
/// while its owners are still giving it up.
fn churn_us(rng: &mut Rng) -> Micros {
    if rng.percent(HASTY_PERCENT) {
        rng.between(200_000, 900_000)
    } else {
        rng.between(1_000_000, 5_000_000)
    }
}

impl Consumer {
    fn new(slot: usize, rng: &mut Rng) -> Self {
        Self {
            group: (slot / 3 + slot) % GROUPS.len(),
            instance: (slot % 9 == 4 || slot % 9 == 5).then(|| format!("i{slot}")),
            away_us: 0,
            member_id: String::new(),
            epoch: 0,
            says_all: true,
            target: BTreeSet::new(),
            owned: BTreeSet::new(),
            told: BTreeSet::new(),
            revoking: None,
            positions: BTreeMap::new(),
            commits: BTreeMap::new(),
            ends: BTreeMap::new(),
            interval_us: FIRST_INTERVAL_US,
            heartbeat_us: 0,
            churn_us: churn_us(rng),
            rest_us: 0,
            turn: slot,
            zombie: None,
            let_go: None,
            reconnects: false,
        }
    }

    /// Joins anew, under its id if it has one.
    fn lose_everything(&mut self) {
        (self.epoch, self.says_all, self.heartbeat_us) = (0, true, 0);
        (self.revoking, self.zombie, self.let_go) = (None, None, None);
        self.target.clear();
        self.owned.clear();
        self.told.clear();
        self.positions.clear();
        self.commits.clear();
        self.ends.clear();
    }

    /// Another client takes its place.
    fn die(&mut self) {
        self.lose_everything();
        self.member_id.clear();
    }

    fn is_read(&self, slot: &Slot) -> bool {
        let leaves = self.revoking.as_ref().is_some_and(|going| going.slots.contains(slot));
        self.owned.contains(slot) && !leaves
    }

    /// What the last assignment asks for next: to give up first, then to add.
    fn reconcile(&mut self, cx: &mut Cx<'_>, timeout_us: Micros) {
        if self.revoking.is_some() {
            return;
        }
        let gone: BTreeSet<Slot> = self.owned.difference(&self.target).cloned().collect();
        if gone.is_empty() {
            if self.owned != self.target {
                self.owned.clone_from(&self.target);
                self.heartbeat_us = cx.now_us;
            }
            for at in &self.owned {
                self.positions.entry(at.clone()).or_insert(None);
            }
            return;
        }
        let takes_us = match (cx.draining, cx.rng.percent(SLOW_PERCENT)) {
            (true, _) => 0,
            (_, false) => cx.rng.between(0, self.interval_us / 2),
            _ if cx.rng.percent(TOO_SLOW_PERCENT) => timeout_us + timeout_us / 4,
            _ => cx.rng.between(self.interval_us, timeout_us / 2),
        };
        self.revoking = Some(Revoking { slots: gone, until_us: cx.now_us + takes_us });
    }

    /// Lets go what is to be given up, where the callback has ended. The next heartbeat says so.
    fn let_go(&mut self, now_us: Micros) {
        let Some(revoking) = self.revoking.take_if(|revoking| revoking.until_us <= now_us) else {
            return;
        };
        for slot in &revoking.slots {
            if let Some(Some(position)) = self.positions.remove(slot) {
                self.let_go = Some((slot.clone(), position));
            }
            self.owned.remove(slot);
            self.commits.remove(slot);
            self.ends.remove(slot);
        }
        self.heartbeat_us = now_us;
    }

    fn caught_up(&self) -> bool {
        let read = |slot: &Slot| match (self.positions.get(slot), self.ends.get(slot)) {
            (Some(Some(next)), Some(end)) => next >= end,
            _ => false,
        };
        let reconciled = self.revoking.is_none() && self.owned == self.target;
        self.epoch > 0 && reconciled && self.commits.is_empty() && self.owned.iter().all(read)
    }

    fn args(&self) -> Value {
        json!({
            "group": GROUPS[self.group], "member_id": self.member_id, "member_epoch": self.epoch,
        })
    }

    fn commit_args(&self, at: &Slot, offset: u64) -> Value {
        let mut args = self.args();
        (args["topic"], args["partition"], args["offset"]) =
            (json!(at.0), json!(at.1), json!(offset));
        args
    }

    fn heartbeat(&mut self, now_us: Micros, rebalance_timeout_ms: u64) -> Request {
        let mut args = self.args();
        if let Some(instance) = &self.instance {
            args["instance_id"] = json!(instance);
        }
        if self.says_all {
            args["topics"] = json!(["t0", "t1"]);
            args["assignor"] = json!(GROUPS[self.group]);
            args["rebalance_timeout_ms"] = json!(rebalance_timeout_ms);
        }
        if self.says_all || self.owned != self.told {
            args["owned"] = by_topic(&self.owned);
        }
        self.heartbeat_us = now_us + self.interval_us;
        Request::new("consumer_heartbeat", args)
    }

    /// An answered heartbeat.
    fn told(&mut self, op: &Op, result: &Value, cx: &mut Cx<'_>, timeout_us: Micros) {
        let before = self.epoch;
        self.epoch = result["member_epoch"].as_i64().unwrap_or(before);
        if let Some(owned) = slots(&op.args["owned"]) {
            self.told = owned;
        }
        self.says_all = false;
        if let Some(interval_ms) = result["heartbeat_interval_ms"].as_u64().filter(|ms| *ms > 0) {
            self.interval_us = interval_ms * 1_000;
            self.heartbeat_us = cx.now_us + self.interval_us;
        }
        if let Some(target) = slots(&result["assignment"]) {
            self.target = target;
        }
        if before > 0 && self.epoch > before && !cx.draining && cx.rng.percent(ZOMBIES_PERCENT) {
            let held = self.positions.iter().find_map(|(at, next)| Some((at.clone(), (*next)?)));
            if let Some((at, offset)) = self.let_go.take().or(held) {
                let mut args = self.commit_args(&at, offset);
                args["member_epoch"] = json!(before);
                self.zombie = Some(args);
            }
        }
        self.reconcile(cx, timeout_us);
    }

    fn refused(&mut self, op: &Op, cx: &mut Cx<'_>) {
        self.rest_us = cx.now_us + REST_US;
        let is_heartbeat = op.f == "consumer_heartbeat";
        match op.error.as_deref() {
            Some("FENCED_MEMBER_EPOCH" | "UNKNOWN_MEMBER_ID" | "GROUP_ID_NOT_FOUND")
                if is_heartbeat =>
            {
                self.lose_everything();
            }
            // Fatal: somebody starts another one later.
            Some(
                "UNRELEASED_INSTANCE_ID"
                | "FENCED_INSTANCE_ID"
                | "GROUP_MAX_SIZE_REACHED"
                | "INVALID_REQUEST",
            ) => {
                self.die();
                self.away_us = cx.now_us + SEAT_TAKEN_US;
            }
            // Java's client says everything once more after any failure.
            _ if is_heartbeat => self.says_all = true,
            // The coordinator is to be looked up again: the same is asked once more.
            _ if op.code == Some(11) => {}
            // The next heartbeat tells what is wrong.
            error => {
                self.heartbeat_us = cx.now_us;
                if op.f == "commit_offset" && error != Some("STALE_MEMBER_EPOCH") {
                    slot_of(op).map(|at| self.commits.remove(&at));
                }
            }
        }
    }

    fn fetched(&mut self, op: &Op, result: &Value) {
        let Some(at) = slot_of(op).filter(|at| self.is_read(at)) else { return };
        let last = result["records"].as_array().and_then(|all| all.last()?["offset"].as_u64());
        if let Some(last) = last {
            self.positions.insert(at.clone(), Some(last + 1));
            self.commits.insert(at.clone(), last + 1);
        }
        if let Some(end) = result["high_watermark"].as_u64() {
            self.ends.insert(at, end);
        }
    }
}

impl ConsumerGroups {
    /// The rebalance time-out is drawn.
    pub fn new(plan: &Plan, rng: &mut Rng) -> Self {
        let topics = Topics::new(rng, &GROUPS, plan.wire);
        let is_consumer = |slot: usize| !slot.is_multiple_of(3) && slot < MOST_MEMBERS * 3 / 2;
        let consumers =
            (0..plan.slots).map(|slot| is_consumer(slot).then(|| Consumer::new(slot, rng)));
        Self {
            pace: Pace::new(plan.slots, plan.rate),
            topics,
            consumers: consumers.collect(),
            rebalance_timeout_ms: rng.pick(&[2_000, 4_000]).copied().unwrap_or(2_000),
            next_member: 0,
        }
    }

    fn settled(&self) -> bool {
        let all = || self.consumers.iter().flatten();
        let covered = (0..GROUPS.len()).all(|group| {
            let owned: usize = all().filter(|c| c.group == group).map(|c| c.owned.len()).sum();
            // A growth of a topic whose outcome is unknown may have made more.
            let wanted: u64 = self.topics.partitions().values().sum();
            all().all(|c| c.group != group) || owned as u64 >= wanted
        });
        covered && all().all(Consumer::caught_up)
    }

    fn churn(&mut self, slot: usize, cx: &mut Cx<'_>) -> Option<Step> {
        let consumer = self.consumers[slot].as_mut()?;
        if cx.now_us < consumer.churn_us {
            return None;
        }
        consumer.churn_us = cx.now_us + churn_us(cx.rng);
        let (leaves, stays) = (cx.rng.percent(LEAVES_PERCENT), cx.rng.percent(70));
        let fresh = cx.rng.percent(50);
        let until_us = cx.now_us + cx.rng.between(100_000, 3_000_000);
        consumer.away_us = if fresh { cx.now_us } else { until_us };
        if !leaves || consumer.epoch <= 0 {
            return Some(Step::Crash);
        }
        let mut args = consumer.args();
        args["member_epoch"] = json!(-1);
        if let Some(instance) = &consumer.instance {
            args["instance_id"] = json!(instance);
            args["member_epoch"] = json!(if stays { -2 } else { -1 });
        }
        Some(Step::Invoke(Request::new("consumer_heartbeat", args)))
    }

    /// What a client that is not away does next.
    fn work(&mut self, slot: usize, cx: &mut Cx<'_>) -> Step {
        let timeout_ms = self.rebalance_timeout_ms;
        let Some(consumer) = &mut self.consumers[slot] else { return Step::Await };
        if consumer.member_id.is_empty() {
            self.next_member += 1;
            consumer.member_id = format!("m{}-{slot}", self.next_member);
        }
        if consumer.epoch <= 0 {
            return Step::Invoke(consumer.heartbeat(cx.now_us, timeout_ms));
        }
        if let Some(args) = consumer.zombie.take() {
            return Step::Invoke(Request::new("commit_offset", args));
        }
        if cx.now_us < consumer.heartbeat_us
            && let Some((at, offset)) = consumer.commits.first_key_value()
        {
            let args = consumer.commit_args(at, *offset);
            return Step::Invoke(Request::new("commit_offset", args));
        }
        if consumer.commits.is_empty() {
            consumer.let_go(cx.now_us);
        }
        if cx.now_us >= consumer.heartbeat_us {
            return Step::Invoke(consumer.heartbeat(cx.now_us, timeout_ms));
        }
        let mut wake_us = consumer.heartbeat_us;
        if let Some(revoking) = &consumer.revoking {
            wake_us = wake_us.min(revoking.until_us.max(cx.now_us + 1));
        }
        let readable = |(at, _): &(&Slot, &Option<u64>)| consumer.is_read(at);
        let mut readable = consumer.positions.iter().filter(readable);
        if let Some((at, _)) = readable.clone().find(|(_, position)| position.is_none()) {
            let mut args = consumer.args();
            (args["topic"], args["partition"]) = (json!(at.0), json!(at.1));
            return Step::Invoke(Request::new("fetch_offset", args));
        }
        if !cx.draining
            && let Some(due_us) = self.pace.wait(slot, cx)
        {
            return Step::Until(due_us.min(wake_us));
        }
        let most = if cx.draining { 400 } else { cx.rng.between(1, 40) };
        let at = consumer.turn.wrapping_add(1) % readable.clone().count().max(1);
        let request = match readable.nth(at) {
            Some(((topic, partition), Some(next))) => fetch(topic, *partition, *next, most),
            _ => return Step::Until(wake_us),
        };
        consumer.turn = consumer.turn.wrapping_add(1);
        Step::Invoke(request)
    }
}

impl Workload for ConsumerGroups {
    fn config(&self) -> Value {
        json!({ "rebalance_timeout_ms": self.rebalance_timeout_ms })
    }

    fn requests(&self) -> &'static [i16] {
        &[wire::versions::CONSUMER_GROUP_HEARTBEAT]
    }

    fn step(&mut self, slot: usize, cx: &mut Cx<'_>) -> Step {
        let settled = cx.draining && !self.topics.is_reading() && self.settled();
        // Kafka describes these groups by another request.
        if let Some(step) = self.topics.before_all(slot, cx, settled, std::iter::empty()) {
            return step;
        }
        if cx.draining && self.drained() {
            return Step::Until(cx.now_us + FINAL_FETCH_US);
        }
        let Some(consumer) = &self.consumers[slot] else {
            if cx.draining {
                return Step::Until(cx.now_us + FINAL_FETCH_US);
            }
            return match self.pace.wait(slot, cx) {
                Some(due_us) => Step::Until(due_us),
                None => Step::Invoke(self.topics.produce(slot, cx)),
            };
        };
        let away_us = if cx.draining { 0 } else { consumer.away_us };
        let idle_us = away_us.max(consumer.rest_us);
        if idle_us > cx.now_us {
            return Step::Until(idle_us);
        }
        if !cx.draining
            && let Some(step) = self.churn(slot, cx)
        {
            return step;
        }
        self.work(slot, cx)
    }

    fn completed(&mut self, slot: usize, op: &Op, cx: &mut Cx<'_>) {
        if self.topics.completed(slot, op, cx) {
            return;
        }
        let timeout_us = self.rebalance_timeout_ms * 1_000;
        let Some(consumer) = &mut self.consumers[slot] else { return };
        let left = op.args["member_epoch"].as_i64().is_some_and(|epoch| epoch < 0);
        if op.outcome == Outcome::Info {
            consumer.reconnects =
                op.f == "consumer_heartbeat" && !left && cx.rng.percent(50) && !cx.draining;
            return;
        }
        if left {
            return consumer.die();
        }
        if op.f == "commit_offset" && op.args["member_epoch"] != consumer.epoch {
            // Whatever became of it: it was not meant.
            return;
        }
        if cx.draining && op.f == "fetch" {
            consumer.rest_us = cx.now_us + FINAL_FETCH_US;
        }
        let Some(result) = op.result.as_ref() else { return consumer.refused(op, cx) };
        match op.f.as_str() {
            "consumer_heartbeat" => consumer.told(op, result, cx, timeout_us),
            "fetch_offset" => {
                if let Some(at) = slot_of(op).filter(|at| consumer.is_read(at)) {
                    // Null is what Kafka says where nothing was committed.
                    consumer.positions.insert(at, Some(result["offset"].as_u64().unwrap_or(0)));
                }
            }
            "commit_offset" => {
                slot_of(op).map(|at| consumer.commits.remove(&at));
            }
            "fetch" => consumer.fetched(op, result),
            _ => {}
        }
    }

    fn renewed(&mut self, slot: usize, _cx: &mut Cx<'_>) {
        let Some(consumer) = &mut self.consumers[slot] else { return };
        if std::mem::take(&mut consumer.reconnects) {
            (consumer.says_all, consumer.heartbeat_us) = (true, 0);
        } else {
            consumer.die();
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
