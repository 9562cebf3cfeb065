//! Faithful consumers of Kafka's classic protocol, in an eager group and a cooperative one, and
//! producers.
//!
//! A consumer joins, syncs (as the group's leader with an assignment of its own, for which it looks
//! up how many partitions there are, or leaving that to the coordinator), looks up where to begin,
//! fetches from what it owns, commits under its member id and generation, heartbeats, leaves. It
//! reacts to errors as Kafka's own: UNKNOWN_MEMBER_ID and ILLEGAL_GENERATION make it forget who it
//! was and join anew, REBALANCE_IN_PROGRESS makes it join again under its id, FENCED_INSTANCE_ID
//! and the like are fatal; then a new consumer takes its place after a while.

mod member;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use self::member::{Consumer, Life, REST_US, slot_of};
use crate::history::{Micros, Op, Outcome};
use crate::rng::Rng;
use crate::workloads::spread::{Joined, spread};
use crate::workloads::topics::{Topics, config, fetch};
use crate::workloads::{Cx, MemberFault, PATIENCE_US, Pace, Plan, Request, Step, Workload};

/// Over Kafka's wire so many of a hundred commits of a member are made a second time under the
/// generation before, as somebody would who has missed a rebalance.
const ZOMBIES_PERCENT: u32 = 10;
/// The session and rebalance time-outs of members that come and go seldom; they send a heartbeat
/// four times a session.
const CALM_MS: (u64, u64) = (6_000, 6_000);
/// Records of a fetch beside a join or a sync.
const READ_ON: u64 = 30;
/// In the final phase a consumer fetches so often.
const FINAL_FETCH_US: Micros = 30_000;
/// A name that no coordinator knows: the leader has to assign.
const OWN_PROTOCOL: &str = "arena-spread";

#[derive(Debug)]
struct Group {
    name: String,
    protocol: &'static str,
}

/// The workload.
#[derive(Debug)]
pub struct Classic {
    pace: Pace,
    topics: Topics,
    groups: Vec<Group>,
    consumers: Vec<Option<Consumer>>,
    session_timeout_ms: u64,
    rebalance_timeout_ms: u64,
    /// Whether clients speak Kafka's wire, where a leader always assigns.
    wire: bool,
    /// See [`Plan::calm`].
    calm: bool,
    fault: Option<MemberFault>,
}

/// When a member comes or goes next. Over Kafka's wire runs are short, and sessions begin at once.
fn churn_us(
    rng: &mut Rng,
    (wire, calm): (bool, bool),
    (least_us, most_us): (Micros, Micros),
) -> Micros {
    match (wire, calm) {
        (_, true) => rng.between(2 * least_us, 2 * most_us),
        (true, false) => rng.between(least_us / 3, most_us / 3),
        (false, false) => rng.between(least_us, most_us),
    }
}

impl Classic {
    /// With an eager group and a cooperative one; protocol and time-outs are drawn.
    pub fn new(plan: &Plan, rng: &mut Rng) -> Self {
        let eager =
            rng.pick(&["range", "roundrobin", "sticky", OWN_PROTOCOL]).copied().unwrap_or("range");
        let groups = vec![
            Group { name: "eager".to_owned(), protocol: eager },
            Group { name: "cooperative".to_owned(), protocol: "cooperative-sticky" },
        ];
        let topics = Topics::new(rng, &["eager", "cooperative"], plan.wire);
        let consumers = (0..plan.slots).map(|slot| {
            (slot % 3 != 0).then(|| Consumer {
                group: (slot / 3 + slot) % 2,
                instance: (slot % 9 == 4 || slot % 9 == 5).then(|| format!("i{slot}")),
                life: Life::Joining,
                member_id: String::new(),
                generation: -1,
                owned: BTreeSet::new(),
                positions: BTreeMap::new(),
                commits: BTreeMap::new(),
                ends: BTreeMap::new(),
                heartbeat_us: 0,
                churn_us: churn_us(rng, (plan.wire, plan.calm), (2_000_000, 12_000_000)),
                rest_us: 0,
                turn: slot,
                reads_on: false,
                zombie: None,
                assigned: None,
            })
        });
        let consumers = consumers.collect();
        let mut classic = Self {
            pace: Pace::new(plan.slots, plan.rate),
            wire: plan.wire,
            calm: plan.calm,
            fault: plan.member_fault,
            topics,
            groups,
            consumers,
            session_timeout_ms: rng.pick(&[1_000, 2_000, 3_000]).copied().unwrap_or(2_000),
            rebalance_timeout_ms: rng.pick(&[2_000, 4_000]).copied().unwrap_or(2_000),
        };
        if plan.calm {
            (classic.session_timeout_ms, classic.rebalance_timeout_ms) = CALM_MS;
        }
        classic
    }

    fn cooperative(&self, group: usize) -> bool {
        self.groups[group].protocol == "cooperative-sticky"
    }

    fn settled(&self) -> bool {
        let all = || self.consumers.iter().flatten();
        let covered = (0..self.groups.len()).all(|group| {
            let owned =
                all().filter(|c| c.group == group).flat_map(|c| &c.owned).collect::<BTreeSet<_>>();
            // A growth of a topic whose outcome is unknown may have made more.
            let wanted: u64 = self.topics.partitions().values().sum();
            all().all(|c| c.group != group) || owned.len() as u64 >= wanted
        });
        covered && all().all(Consumer::caught_up)
    }

    fn join(&mut self, slot: usize) -> Step {
        let rebalance_timeout_ms = self.rebalance_timeout_ms;
        let session_timeout_ms = self.session_timeout_ms;
        let Some(consumer) = &mut self.consumers[slot] else { return Step::Await };
        let group = &self.groups[consumer.group];
        let mut protocol = json!({ "name": group.protocol, "topics": ["t0", "t1"] });
        if group.protocol == "cooperative-sticky" {
            let mut owned: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
            for (topic, partition) in &consumer.owned {
                owned.entry(topic).or_default().push(*partition);
            }
            protocol["owned"] = json!(owned);
            if consumer.generation >= 0 {
                protocol["generation"] = json!(consumer.generation);
            }
        } else {
            // Eager: everything is given up before joining.
            consumer.give_up_partitions();
        }
        let mut args = json!({
            "group": group.name, "member_id": consumer.member_id, "protocols": [protocol],
            "session_timeout_ms": session_timeout_ms, "rebalance_timeout_ms": rebalance_timeout_ms,
        });
        if let Some(instance) = &consumer.instance {
            args["instance_id"] = json!(instance);
        }
        Step::Invoke(self.patient(Request::new("join_group", args)))
    }

    /// Joins and syncs are answered when the group is ready.
    fn patient(&self, mut request: Request) -> Request {
        request.patience_us = self.rebalance_timeout_ms * 1_000 + PATIENCE_US;
        request
    }

    /// A request that names the member.
    fn member_args(&self, consumer: &Consumer, generation: bool, instance: bool) -> Value {
        let mut args =
            json!({ "group": self.groups[consumer.group].name, "member_id": consumer.member_id });
        if generation {
            args["generation"] = json!(consumer.generation);
        }
        if let Some(instance) = consumer.instance.as_ref().filter(|_| instance) {
            args["instance_id"] = json!(instance);
        }
        args
    }

    fn churn(&mut self, slot: usize, cx: &mut Cx<'_>) -> Option<Step> {
        let session_us = self.session_timeout_ms * 1_000;
        let due = self.consumers[slot].as_ref().is_some_and(|c| cx.now_us >= c.churn_us);
        if !due {
            return None;
        }
        // Members that say that they go do so when they have nothing else to say.
        let busy = |c: &Consumer| self.calm && c.life != Life::Member;
        if self.consumers[slot].as_ref().is_some_and(busy) {
            return None;
        }
        let leaves = cx.rng.percent(50) || self.calm;
        let (permanent, fresh) = (cx.rng.percent(30), cx.rng.percent(50));
        let until_us = cx.now_us + cx.rng.between(100_000, session_us * 2);
        let churn_us =
            cx.now_us + churn_us(cx.rng, (self.wire, self.calm), (3_000_000, 15_000_000));
        let mut args = {
            let consumer = self.consumers[slot].as_ref()?;
            self.member_args(consumer, false, true)
        };
        let consumer = self.consumers[slot].as_mut()?;
        consumer.churn_us = churn_us;
        if leaves && consumer.life == Life::Member {
            if permanent {
                args["permanent"] = json!(true);
            }
            return Some(Step::Invoke(Request::new("leave_group", args)));
        }
        // A process that is restarted at once, or one that stays away for a while.
        consumer.life = if fresh { Life::Joining } else { Life::Away(until_us) };
        Some(Step::Crash)
    }

    /// Asks where to begin in a partition of which the consumer does not know it.
    fn look_up(&self, consumer: &Consumer) -> Step {
        let Some((topic, partition)) = consumer.unplaced() else { return Step::Await };
        let group = &self.groups[consumer.group].name;
        let args = json!({ "group": group, "topic": topic, "partition": partition });
        Step::Invoke(Request::new("fetch_offset", args))
    }

    /// What a member with an assignment does next.
    fn work(&mut self, slot: usize, cx: &mut Cx<'_>) -> Step {
        let session_us = self.session_timeout_ms * 1_000;
        let Some(consumer) = &mut self.consumers[slot] else { return Step::Await };
        if let Some(args) = consumer.zombie.take() {
            return Step::Invoke(Request::new("commit_offset", args));
        }
        let Some(consumer) = &self.consumers[slot] else { return Step::Await };
        if let Some((at, offset)) = consumer.commits.first_key_value() {
            let mut args = self.member_args(consumer, true, false);
            (args["topic"], args["partition"], args["offset"]) =
                (json!(at.0), json!(at.1), json!(offset));
            return Step::Invoke(Request::new("commit_offset", args));
        }
        if consumer.unplaced().is_some() {
            return self.look_up(consumer);
        }
        let heartbeat = self.member_args(consumer, true, true);
        let Some(consumer) = &mut self.consumers[slot] else { return Step::Await };
        if cx.now_us >= consumer.heartbeat_us || consumer.owned.is_empty() {
            consumer.heartbeat_us = cx.now_us + session_us / 4;
            return Step::Invoke(Request::new("heartbeat", heartbeat));
        }
        consumer.turn = consumer.turn.wrapping_add(1);
        let all = consumer.positions.len().max(1);
        let passed_over = self.fault == Some(MemberFault::LeavesUnread) && all > 1 && !cx.draining;
        let first = usize::from(passed_over);
        let at = first + consumer.turn % (all - first);
        match consumer.positions.iter().nth(at) {
            Some(((topic, partition), Some(next))) => {
                let most = if cx.draining { 400 } else { cx.rng.between(1, 40) };
                Step::Invoke(fetch(topic, *partition, *next, most))
            }
            _ => Step::Until(cx.now_us + FINAL_FETCH_US),
        }
    }

    /// Whether the leader of a group has assigned fewer partitions than there are. Over Kafka's wire
    /// it has to see that itself.
    fn has_grown(&self, consumer: &Consumer) -> bool {
        let there: u64 = self.topics.partitions().values().sum();
        consumer.assigned.is_some_and(|assigned| assigned < there)
    }

    /// Over Kafka's wire a cooperative member goes on reading what it keeps while it waits for its
    /// group, as Kafka's own consumers do.
    fn read_on(&mut self, slot: usize, cx: &Cx<'_>) -> Option<Step> {
        let consumer = self.consumers.get_mut(slot)?.as_mut()?;
        let waits = matches!(consumer.life, Life::Joining | Life::Syncing(_)) && cx.in_flight == 1;
        let cooperative = self.groups[consumer.group].protocol == "cooperative-sticky";
        if !(self.wire && cooperative && waits) || consumer.reads_on {
            return None;
        }
        // Where to begin is the coordinator's to say, whose connection waits for the group too.
        let placed = consumer.positions.iter().filter_map(|(at, next)| Some((at, (*next)?)));
        let placed: Vec<_> = placed.collect();
        consumer.turn = consumer.turn.wrapping_add(1);
        let ((topic, partition), next) = placed.get(consumer.turn % placed.len().max(1))?;
        let request = fetch(topic, *partition, *next, READ_ON);
        consumer.reads_on = true;
        Some(Step::Invoke(request))
    }

    fn joined(&mut self, slot: usize, result: &Value, cx: &mut Cx<'_>) {
        let sends = cx.rng.percent(70) || self.wire;
        let Some(consumer) = &mut self.consumers[slot] else { return };
        consumer.member_id = result["member_id"].as_str().unwrap_or_default().to_owned();
        consumer.generation = result["generation"].as_i64().unwrap_or(-1);
        consumer.assigned = None;
        let protocol = self.groups[consumer.group].protocol;
        let leads = result["leader"] == consumer.member_id.as_str();
        consumer.life = if leads && (sends || protocol == OWN_PROTOCOL) {
            let members = result["members"].as_array().into_iter().flatten();
            Life::Surveying(members.filter_map(Joined::read).collect())
        } else {
            Life::Syncing(None)
        };
    }

    fn surveyed(&mut self, slot: usize, result: &Value) {
        let Some(consumer) = &mut self.consumers[slot] else { return };
        let cooperative = self.groups[consumer.group].protocol == "cooperative-sticky";
        if let Life::Surveying(members) = &consumer.life {
            let topics = result["topics"].as_object().into_iter().flatten();
            let partitions =
                topics.filter_map(|(topic, count)| Some((topic.clone(), count.as_u64()?)));
            let partitions: BTreeMap<String, u64> = partitions.collect();
            consumer.assigned = Some(partitions.values().sum());
            let assignments = json!(spread(members, &partitions, cooperative));
            consumer.life = Life::Syncing(Some(assignments));
        }
    }

    fn synced(&mut self, slot: usize, result: &Value, cx: &Cx<'_>) {
        let Some(group) = self.consumers[slot].as_ref().map(|consumer| consumer.group) else {
            return;
        };
        let cooperative = self.cooperative(group);
        let Some(consumer) = &mut self.consumers[slot] else { return };
        let mut assigned = BTreeSet::new();
        for (topic, partitions) in result["assignment"].as_object().into_iter().flatten() {
            let partitions = partitions.as_array().into_iter().flatten().filter_map(Value::as_u64);
            assigned.extend(partitions.map(|partition| (topic.clone(), partition)));
        }
        let revoked = consumer.owned.difference(&assigned).next().is_some();
        consumer.owned = assigned;
        consumer.retain_owned();
        for at in &consumer.owned {
            consumer.positions.entry(at.clone()).or_insert(None);
        }
        consumer.heartbeat_us = cx.now_us + self.session_timeout_ms * 250;
        // Cooperative: what was given up can be handed out in the next round only.
        consumer.life = if cooperative && revoked { Life::Joining } else { Life::Member };
    }

    fn refused(consumer: &mut Consumer, op: &Op, cx: &mut Cx<'_>) {
        consumer.rest_us = cx.now_us + REST_US;
        match op.error.as_deref() {
            Some("UNKNOWN_MEMBER_ID" | "ILLEGAL_GENERATION") => {
                consumer.lose_everything();
                consumer.life = Life::Joining;
            }
            Some("REBALANCE_IN_PROGRESS") => consumer.life = Life::Joining,
            // Fatal: somebody starts another one later.
            Some(
                "FENCED_INSTANCE_ID" | "INCONSISTENT_GROUP_PROTOCOL" | "GROUP_MAX_SIZE_REACHED",
            ) => {
                consumer.lose_everything();
                consumer.life = Life::Away(cx.now_us + 1_000_000);
            }
            // The coordinator is to be looked up again: the same is asked once more. What is
            // refused for another reason would be refused again.
            _ if op.code == Some(11) => {}
            _ => match op.f.as_str() {
                "commit_offset" => {
                    slot_of(op).map(|at| consumer.commits.remove(&at));
                }
                "sync_group" => consumer.life = Life::Joining,
                _ => {}
            },
        }
    }
}

impl Workload for Classic {
    fn config(&self) -> Value {
        let strategies = self.groups.iter().map(|group| (group.name.as_str(), group.protocol));
        config(self.session_timeout_ms, self.rebalance_timeout_ms, strategies)
    }

    fn step(&mut self, slot: usize, cx: &mut Cx<'_>) -> Step {
        if let Some(step) = self.read_on(slot, cx) {
            return step;
        }
        let settled = cx.draining && !self.topics.is_reading() && self.settled();
        let groups = self.groups.iter().map(|group| group.name.as_str());
        if let Some(step) = self.topics.before_all(slot, cx, settled, groups) {
            return step;
        }
        if cx.draining {
            // As long as somebody joins, the others have to join too, or it would wait in vain.
            let grown = self.consumers.iter().flatten().any(|c| self.wire && self.has_grown(c));
            if self.drained()
                && !grown
                && self.consumers.iter().flatten().all(|c| c.life == Life::Member)
            {
                return Step::Until(cx.now_us + FINAL_FETCH_US);
            }
        }
        let Some(consumer) = &mut self.consumers[slot] else {
            if cx.draining {
                return Step::Until(cx.now_us + FINAL_FETCH_US);
            }
            return match self.pace.wait(slot, cx) {
                Some(due_us) => Step::Until(due_us),
                None => Step::Invoke(self.topics.produce(slot, cx)),
            };
        };
        if let Life::Away(until_us) = consumer.life {
            if cx.now_us < until_us && !cx.draining {
                return Step::Until(until_us);
            }
            consumer.life = Life::Joining;
        }
        if consumer.rest_us > cx.now_us {
            return Step::Until(consumer.rest_us);
        }
        if !cx.draining
            && let Some(step) = self.churn(slot, cx)
        {
            return step;
        }
        let Some(consumer) = &self.consumers[slot] else { return Step::Await };
        let joins = self.wire && consumer.life == Life::Member && self.has_grown(consumer);
        if joins && let Some(consumer) = &mut self.consumers[slot] {
            consumer.life = Life::Joining;
        }
        let Some(consumer) = &self.consumers[slot] else { return Step::Await };
        match consumer.life.clone() {
            // Who measures pauses does not want to measure those that a client makes for itself.
            Life::Joining if self.calm && consumer.unplaced().is_some() => self.look_up(consumer),
            Life::Joining => self.join(slot),
            Life::Surveying(_) => Step::Invoke(Request::new("list_topics", json!({}))),
            Life::Syncing(assignments) => {
                let mut args = self.member_args(consumer, true, true);
                if let Some(assignments) = assignments {
                    args["assignments"] = assignments;
                }
                Step::Invoke(self.patient(Request::new("sync_group", args)))
            }
            _ => {
                if !cx.draining
                    && let Some(due_us) = self.pace.wait(slot, cx)
                {
                    return Step::Until(due_us);
                }
                self.work(slot, cx)
            }
        }
    }

    fn completed(&mut self, slot: usize, op: &Op, cx: &mut Cx<'_>) {
        let unanswered = op.outcome == Outcome::Info && !(self.wire && op.error.is_some());
        if self.topics.completed(slot, op, cx) {
            return;
        }
        if unanswered {
            if let Some(consumer) = &mut self.consumers[slot] {
                consumer.unanswered(op, cx.now_us);
            }
            return;
        }
        let zombies = self.wire && !cx.draining && cx.rng.percent(ZOMBIES_PERCENT);
        let Some(consumer) = &mut self.consumers[slot] else { return };
        if op.f == "fetch" {
            consumer.reads_on = false;
        }
        if op.f == "commit_offset" && op.args["generation"] != consumer.generation {
            // Whatever became of it: it was not meant.
            return;
        }
        if cx.draining && op.f != "list_topics" {
            consumer.rest_us = cx.now_us + FINAL_FETCH_US;
        }
        let Some(result) = op.result.as_ref() else { return Self::refused(consumer, op, cx) };
        match op.f.as_str() {
            "join_group" => self.joined(slot, result, cx),
            "list_topics" => self.surveyed(slot, result),
            "sync_group" => self.synced(slot, result, cx),
            "leave_group" => {
                consumer.lose_everything();
                consumer.life = Life::Away(cx.now_us + cx.rng.between(100_000, 3_000_000));
            }
            "fetch_offset" => {
                if let Some(at) = slot_of(op).filter(|at| consumer.owned.contains(at)) {
                    // Null is what Kafka says where nothing was committed.
                    let told = result["offset"].as_u64().unwrap_or(0);
                    let starts_over = self.fault == Some(MemberFault::StartsOver);
                    consumer.positions.insert(at, Some(if starts_over { 0 } else { told }));
                    consumer.rest_us = cx.now_us;
                }
            }
            "commit_offset" => {
                slot_of(op).map(|at| consumer.commits.remove(&at));
                consumer.rest_us = cx.now_us;
                if zombies && consumer.generation > 1 {
                    let mut args = op.args.clone();
                    args["generation"] = json!(consumer.generation - 1);
                    consumer.zombie = Some(args);
                }
            }
            "fetch" => {
                let Some(at) = slot_of(op).filter(|at| consumer.owned.contains(at)) else { return };
                let last =
                    result["records"].as_array().and_then(|all| all.last()?["offset"].as_u64());
                if let Some(last) = last {
                    consumer.positions.insert(at.clone(), Some(last + 1));
                    consumer.commits.insert(at.clone(), last + 1);
                }
                if let Some(end) = result["high_watermark"].as_u64() {
                    // The topic came again, and is shorter: from the beginning.
                    if let Some(Some(next)) =
                        consumer.positions.get_mut(&at).filter(|_| last.is_none())
                    {
                        *next = if *next > end { 0 } else { *next };
                    }
                    consumer.ends.insert(at, end);
                }
            }
            _ => {}
        }
    }

    fn renewed(&mut self, slot: usize, _cx: &mut Cx<'_>) {
        if let Some(consumer) = &mut self.consumers[slot] {
            consumer.lose_everything();
            if !matches!(consumer.life, Life::Away(_)) {
                consumer.life = Life::Joining;
            }
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
