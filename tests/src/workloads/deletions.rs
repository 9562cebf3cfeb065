//! What is deleted while a workload runs: topics that members consume, groups with members and
//! without, offsets.
//!
//! In half of the runs, and there a few times. Who asks is a producer; it has a member of its own
//! in a group of its own as long as it wants to delete that. Draws from a stream of its own. A
//! deletion whose outcome is unknown is asked for again, until somebody says that the thing is
//! gone. In the final phase every topic is there: what was deleted is made again before anybody
//! reads.

use serde_json::{Value, json};

use crate::history::{Micros, Op, Outcome};
use crate::rng::Rng;
use crate::workloads::topics::DEFAULT_PARTITIONS;
use crate::workloads::{PATIENCE_US, Request, Step};

/// The group that is made for its deletion.
const BRIEF: &str = "brief";

/// What is deleted, and what comes after it.
#[derive(Debug)]
pub struct Deletions {
    rng: Rng,
    /// Groups that have members all the time.
    groups: Vec<String>,
    /// When the next one is due; `None` in a run without deletions.
    due_us: Option<Micros>,
    /// What is still to be asked, the next one last.
    todo: Vec<Request>,
    /// Topics that were deleted, and have to be there again in the end.
    owed: Vec<String>,
    /// An unanswered deletion may act until then.
    quiet_us: Micros,
    /// The member's next offsets to commit.
    read_to: Option<Value>,
    next_member: u64,
}

impl Deletions {
    /// None at all.
    pub fn none() -> Self {
        Self { due_us: None, ..Self::new(Rng::new(0, "no deletions"), &[]) }
    }

    /// None yet; these groups have members.
    pub fn new(mut rng: Rng, groups: &[&str]) -> Self {
        let due_us = rng.percent(50).then(|| rng.between(2_000_000, 6_000_000));
        Self {
            rng,
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            due_us,
            todo: Vec::new(),
            owed: Vec::new(),
            quiet_us: 0,
            read_to: None,
            next_member: 0,
        }
    }

    /// What is to be asked now, if anything is.
    pub fn next(&mut self, now_us: Micros) -> Option<Request> {
        if self.todo.is_empty() {
            if self.due_us.is_none_or(|due_us| now_us < due_us) {
                return None;
            }
            self.due_us = Some(now_us + self.rng.between(1_500_000, 6_000_000));
            self.draw();
        }
        let mut request = self.todo.last()?.clone();
        if request.f == "commit" {
            // Of what was read; without any there is nothing to commit.
            for field in ["topic", "partition", "offset"] {
                request.args[field] =
                    self.read_to.as_ref().map_or(Value::Null, |to| to[field].clone());
            }
            if self.read_to.is_none() {
                self.todo.pop();
                return self.next(now_us);
            }
        }
        Some(request)
    }

    fn draw(&mut self) {
        let topic = self.rng.pick(&["t0", "t1"]).copied().unwrap_or("t0");
        let group = self.rng.pick(&self.groups).cloned().unwrap_or_default();
        let mut todo = match self.rng.below(20) {
            0..=8 => {
                let mut todo = vec![Request::new("delete_topic", json!({ "topic": topic }))];
                // Else the next record makes it.
                if self.rng.percent(50) {
                    todo.push(create(topic));
                }
                todo
            }
            9..=14 => self.brief(topic),
            15..=17 => vec![Request::new("delete_group", json!({ "group": group }))],
            _ => vec![Request::new("delete_offsets", json!({ "group": group, "topic": topic }))],
        };
        todo.reverse();
        self.todo = todo;
    }

    /// The whole life of a group, which is refused its deletion while it has a member.
    fn brief(&mut self, topic: &str) -> Vec<Request> {
        // The same name again, or another: neither is known any more.
        self.next_member += u64::from(self.rng.percent(50));
        self.read_to = None;
        let name = format!("d{}", self.next_member);
        let member = json!({ "group": BRIEF, "consumer": name });
        let mut subscribe = member.clone();
        (subscribe["topics"], subscribe["strategy"]) = (json!([topic]), json!("range"));
        (subscribe["session_timeout_ms"], subscribe["rebalance_timeout_ms"]) =
            (json!(3_000), json!(3_000));
        let mut leave = member.clone();
        leave["permanent"] = json!(true);
        let of_group = json!({ "group": BRIEF });
        let offset = json!({ "group": BRIEF, "topic": topic, "partition": 0 });
        vec![
            Request::new("subscribe", subscribe),
            Request::new("poll", member.clone()),
            Request::new("describe_group", of_group.clone()),
            Request::new("commit", member),
            Request::new("delete_group", of_group.clone()),
            Request::new("unsubscribe", leave),
            Request::new("delete_group", of_group),
            Request::new("fetch_offset", offset),
        ]
    }

    /// A request of the producer ended. True where it was one of these.
    pub fn completed(&mut self, op: &Op, now_us: Micros) -> bool {
        let of_topic = op.args["topic"].as_str().unwrap_or_default();
        let unknown = op.outcome == Outcome::Info || op.code == Some(11);
        if op.f == "create_topic" && self.todo.is_empty() {
            // Made good; or one of those that a run begins with.
            if !unknown {
                self.owed.retain(|topic| topic != of_topic);
            }
            return false;
        }
        if self.todo.last().is_none_or(|request| request.f != op.f) {
            return false;
        }
        let deletes = matches!(op.f.as_str(), "delete_topic" | "delete_group");
        if op.f == "delete_topic" && !self.owed.iter().any(|topic| topic == of_topic) {
            self.owed.push(of_topic.to_owned());
        }
        if deletes && op.outcome == Outcome::Info {
            self.quiet_us = now_us + PATIENCE_US;
        }
        if !(unknown && (deletes || op.f == "create_topic")) {
            self.todo.pop();
        }
        if op.f == "poll" {
            let records =
                op.result.as_ref().and_then(|result| result["records"].as_array()?.last());
            self.read_to = records.map(|last| {
                let next = last["offset"].as_u64().map_or(0, |offset| offset + 1);
                json!({ "topic": last["topic"], "partition": last["partition"], "offset": next })
            });
        }
        true
    }

    /// In the final phase: what has still to be done before anybody reads.
    pub fn make_good(&mut self, now_us: Micros) -> Option<Step> {
        self.todo.clear();
        let topic = self.owed.last()?;
        Some(if now_us < self.quiet_us {
            Step::Until(self.quiet_us)
        } else {
            Step::Invoke(create(topic))
        })
    }

    /// Whether all topics are there again, as far as it is known.
    pub fn is_over(&self) -> bool {
        self.owed.is_empty()
    }
}

fn create(topic: &str) -> Request {
    Request::new("create_topic", json!({ "topic": topic, "partitions": DEFAULT_PARTITIONS }))
}
