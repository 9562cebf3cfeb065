//! PlantedBug bugs outside of the node: each breaks the lines between clients and nodes in one way,
//! and the arena has to find it.
//!
//! Each bug is an [`Interceptor`] of the simulator. It does to the lines what a broken node would
//! have done to its state. The node itself stays as it is. `docs/arena.md` lists the bugs.

#![allow(clippy::print_stdout, reason = "the figures of the table in the docs")]

use std::collections::BTreeMap;

use arena::run::case::Case;
use arena::targets::sim::{Interceptor, Passed, Sim, Way};
use arena::workloads::Kind::{self, Classic, Groups, Kafka, LinKv, Offsets};
use cohort::config::Config;
use serde_json::{Value, json};

/// Seeds within which a bug has to be found.
const SEEDS: u64 = 200;

/// Marks the `msg_id` of requests that no client sent; their answers reach nobody.
const GHOST: u64 = 1_000_000_000;

/// What a broken node would have made of a line; `None` leaves it as it is.
type Bug = fn(&mut Memory, Way, &mut Value) -> Option<Broken>;

/// What happens to a line instead.
enum Broken {
    /// It goes on, changed.
    Changed,
    /// It is done twice.
    Twice,
    /// A request never reaches the node, but is answered so.
    Answered(Value),
}

/// What a bug may remember.
#[derive(Debug, Default)]
struct Memory {
    count: u64,
    /// Requests by client and `msg_id`.
    asked: BTreeMap<(String, u64), Value>,
    values: BTreeMap<String, Value>,
    lines: Vec<Value>,
}

impl Memory {
    /// Every `n`th time.
    fn every(&mut self, n: u64) -> bool {
        self.count += 1;
        self.count.is_multiple_of(n)
    }
}

struct PlantedBug {
    bug: Bug,
    memory: Memory,
}

impl std::fmt::Debug for PlantedBug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.memory.fmt(f)
    }
}

fn bytes(message: &Value) -> Vec<u8> {
    message.to_string().into_bytes()
}

impl Interceptor for PlantedBug {
    fn pass(&mut self, way: Way, line: Vec<u8>) -> Passed {
        let untouched = |line| match way {
            Way::Request => Passed { to_node: vec![line], from_node: vec![] },
            Way::Reply => Passed { to_node: vec![], from_node: vec![line] },
        };
        let Ok(mut message) = serde_json::from_slice::<Value>(&line) else {
            return untouched(line);
        };
        let body = &message["body"];
        let id = |field: &str| body[field].as_u64().unwrap_or(0);
        if way == Way::Reply {
            if id("in_reply_to") >= GHOST {
                return Passed::default();
            }
            let client = message["dest"].as_str().unwrap_or_default().to_owned();
            let asked = self.memory.asked.remove(&(client, id("in_reply_to")));
            message["asked"] = asked.unwrap_or(Value::Null);
        } else {
            let client = message["src"].as_str().unwrap_or_default().to_owned();
            self.memory.asked.insert((client, id("msg_id")), body.clone());
        }
        let broken = (self.bug)(&mut self.memory, way, &mut message);
        message.as_object_mut().map(|fields| fields.remove("asked"));
        match broken {
            None => untouched(line),
            Some(Broken::Changed) => untouched(bytes(&message)),
            Some(Broken::Twice) => {
                let mut ghost = message.clone();
                ghost["body"]["msg_id"] =
                    json!(message["body"]["msg_id"].as_u64().unwrap_or(0) + GHOST);
                Passed { to_node: vec![line, bytes(&ghost)], from_node: vec![] }
            }
            Some(Broken::Answered(mut body)) => {
                body["in_reply_to"] = message["body"]["msg_id"].clone();
                let reply = json!({ "src": message["dest"], "dest": message["src"], "body": body });
                Passed { to_node: vec![], from_node: vec![bytes(&reply)] }
            }
        }
    }
}

/// Runs seeds until one of the named checkers finds the bug, and tells how many it took.
#[track_caller]
fn found(name: &str, workload: Kind, bug: Bug, by: &[&str]) {
    let mut seen = Vec::new();
    for seed in 1..=SEEDS {
        let planted = PlantedBug { bug, memory: Memory::default() };
        let mut target = Sim::new(seed, Config::default()).with_interceptor(Box::new(planted));
        let case =
            Case { seconds: 4, nodes: 3, clients: 9, ..Case::swarm(seed, &target, &[workload]) };
        let finished = case
            .perform(&mut target, case.draw_schedule(), &mut |_, _| {})
            .expect("the target can");
        seen = finished.judgement.anomalies().map(|(checker, _)| checker).collect();
        if let Some(checker) = seen.iter().find(|checker| by.contains(*checker)) {
            println!("{name}: found by {checker} after {seed} seeds; all: {seen:?}");
            return;
        }
    }
    panic!("{name} was not found within {SEEDS} seeds; at last {seen:?}");
}

/// The type of a request, or of a reply.
fn is(message: &Value, kind: &str) -> bool {
    message["body"]["type"] == kind
}

#[test]
fn an_acknowledged_message_is_lost() {
    found(
        "lost message",
        Kafka,
        |_, way, message| {
            if way != Way::Reply || !is(message, "poll_ok") {
                return None;
            }
            let logs = message["body"]["msgs"].as_object_mut()?;
            for messages in logs.values_mut() {
                messages.as_array_mut()?.retain(|m| !m[1].as_u64().unwrap_or(1).is_multiple_of(20));
            }
            Some(Broken::Changed)
        },
        &["lost-write", "unseen"],
    );
}

#[test]
fn an_acknowledged_write_is_lost() {
    found(
        "lost write",
        LinKv,
        |memory, way, message| {
            let lost = way == Way::Request && is(message, "write") && memory.every(10);
            lost.then(|| Broken::Answered(json!({ "type": "write_ok" })))
        },
        &["linearizable-register"],
    );
}

#[test]
fn a_retry_is_applied_twice() {
    found(
        "applied twice",
        Kafka,
        |memory, way, message| {
            (way == Way::Request && is(message, "send") && memory.every(20))
                .then_some(Broken::Twice)
        },
        &["duplicate"],
    );
}

#[test]
fn a_node_answers_from_an_old_state() {
    found(
        "stale read",
        LinKv,
        |memory, way, message| {
            if way != Way::Reply || !is(message, "read_ok") {
                return None;
            }
            let key = message["asked"]["key"].to_string();
            let new = message["body"]["value"].clone();
            let old = memory.values.insert(key, new)?;
            memory.every(10).then(|| {
                message["body"]["value"] = old;
                Broken::Changed
            })
        },
        &["linearizable-register"],
    );
}

#[test]
fn a_poll_skips_a_message() {
    found(
        "skipping poll",
        Kafka,
        |memory, way, message| {
            if way != Way::Reply || !is(message, "poll_ok") || !memory.every(10) {
                return None;
            }
            let logs = message["body"]["msgs"].as_object_mut()?;
            let messages =
                logs.values_mut().filter_map(Value::as_array_mut).find(|m| m.len() > 1)?;
            messages.remove(0);
            Some(Broken::Changed)
        },
        &["poll-skip"],
    );
}

#[test]
fn a_refused_send_takes_effect() {
    found(
        "aborted read",
        Kafka,
        |memory, way, message| {
            (way == Way::Reply && is(message, "send_ok") && memory.every(20)).then(|| {
                let id = message["body"]["in_reply_to"].clone();
                message["body"] =
                    json!({ "type": "error", "in_reply_to": id, "code": 11, "text": "busy" });
                Broken::Changed
            })
        },
        &["aborted-read"],
    );
}

#[test]
fn two_messages_get_one_offset() {
    found(
        "one offset twice",
        Kafka,
        |memory, way, message| {
            if way != Way::Reply || !is(message, "send_ok") {
                return None;
            }
            let offset = message["body"]["offset"].as_u64()?;
            (offset > 0 && memory.every(20)).then(|| {
                message["body"]["offset"] = json!(offset - 1);
                Broken::Changed
            })
        },
        &["inconsistent-offsets"],
    );
}

#[test]
fn an_old_commit_is_applied_again() {
    found(
        "old commit",
        Offsets,
        |memory, way, message| {
            if way != Way::Request || !is(message, "commit_offset") {
                return None;
            }
            memory.lines.push(message["body"].clone());
            if !memory.every(10) {
                return None;
            }
            // The one of the same partition before this one comes through late, instead of this
            // one.
            let same = |old: &&Value| {
                ["group", "topic", "partition"].iter().all(|f| old[f] == message["body"][f])
            };
            let old = memory.lines.iter().rev().skip(1).find(same)?["offset"].clone();
            message["body"]["offset"] = old;
            Some(Broken::Changed)
        },
        &["linearizable-offset", "offset-goes-back"],
    );
}

#[test]
fn a_snapshot_lacks_a_group() {
    found(
        "forgotten offset",
        Offsets,
        |memory, way, message| {
            if way != Way::Reply || !is(message, "fetch_offset_ok") || !memory.every(20) {
                return None;
            }
            message["body"]["offset"] = json!(0);
            Some(Broken::Changed)
        },
        &["linearizable-offset", "spurious-offset", "offset-goes-back"],
    );
}

#[test]
fn a_commit_of_an_old_generation_is_accepted() {
    found(
        "commit not fenced",
        Classic,
        |_, way, message| {
            let error = &message["body"]["error"];
            let fenced = way == Way::Reply
                && (error == "ILLEGAL_GENERATION" || error == "UNKNOWN_MEMBER_ID");
            (fenced && message["asked"]["type"] == "commit_offset").then(|| {
                let id = message["body"]["in_reply_to"].clone();
                message["body"] = json!({ "type": "commit_offset_ok", "in_reply_to": id });
                Broken::Changed
            })
        },
        &["fenced-commit"],
    );
}

#[test]
fn a_partition_is_handed_over_before_it_was_given_up() {
    found(
        "handed over too early",
        Groups,
        |memory, way, message| {
            if way != Way::Reply || !is(message, "poll_ok") {
                return None;
            }
            // Everybody is told also what the first one in this generation was told.
            let at = format!("{} {}", message["asked"]["group"], message["body"]["generation"]);
            let told = message["body"]["assignment"].clone();
            if told.as_object()?.is_empty() {
                return None;
            }
            message["body"]["assignment"] = memory.values.entry(at).or_insert(told).clone();
            Some(Broken::Changed)
        },
        &["double-ownership", "overlapping-ownership"],
    );
}

#[test]
fn a_member_is_expired_though_it_showed_life() {
    found(
        "expired too early",
        Classic,
        |_, way, message| {
            let beat = way == Way::Request && is(message, "heartbeat");
            beat.then(|| Broken::Answered(json!({ "type": "heartbeat_ok" })))
        },
        &["early-eviction"],
    );
}

#[test]
fn a_join_makes_two_members() {
    found(
        "two members of one join",
        Classic,
        |_, way, message| {
            let join = way == Way::Request
                && is(message, "join_group")
                && message["body"]["member_id"] == "";
            join.then_some(Broken::Twice)
        },
        &["lost-member", "no-convergence", "not-covering"],
    );
}

#[test]
fn a_generation_is_used_again() {
    found(
        "generation used again",
        Groups,
        |_, way, message| {
            let generation = message["body"]["generation"].as_u64()?;
            (way == Way::Reply && is(message, "poll_ok") && generation > 1).then(|| {
                message["body"]["generation"] = json!(generation / 2 + 1);
                Broken::Changed
            })
        },
        &["generation-reuse", "double-ownership"],
    );
}

#[test]
fn a_member_is_served_after_it_was_thrown_out() {
    found(
        "served after removal",
        Classic,
        |_, way, message| {
            let unknown = way == Way::Reply && message["body"]["error"] == "UNKNOWN_MEMBER_ID";
            (unknown && message["asked"]["type"] == "heartbeat").then(|| {
                let id = message["body"]["in_reply_to"].clone();
                message["body"] = json!({ "type": "heartbeat_ok", "in_reply_to": id });
                Broken::Changed
            })
        },
        &["accepted-after-removal", "two-generations"],
    );
}

#[test]
fn a_group_is_deleted_though_it_has_members() {
    found(
        "deleted with members",
        Groups,
        |_, way, message| {
            let refused = way == Way::Reply && message["body"]["error"] == "NON_EMPTY_GROUP";
            (refused && message["asked"]["type"] == "delete_group").then(|| {
                let id = message["body"]["in_reply_to"].clone();
                message["body"] = json!({ "type": "delete_group_ok", "in_reply_to": id });
                Broken::Changed
            })
        },
        &["early-eviction"],
    );
}

#[test]
fn a_deleted_topic_keeps_its_records() {
    found(
        "records outlive their topic",
        Classic,
        |_, way, message| {
            let deleted = way == Way::Request && is(message, "delete_topic");
            deleted.then(|| Broken::Answered(json!({ "type": "delete_topic_ok" })))
        },
        &["phantom-record"],
    );
}

#[test]
fn who_changes_nothing_is_not_found() {
    for (seed, workload) in (1..).zip(Kind::ALL) {
        let planted =
            PlantedBug { bug: |_, _, _| Some(Broken::Changed), memory: Memory::default() };
        let mut target = Sim::new(seed, Config::default()).with_interceptor(Box::new(planted));
        let case =
            Case { seconds: 4, nodes: 3, clients: 9, ..Case::swarm(seed, &target, &[workload]) };
        let finished = case
            .perform(&mut target, case.draw_schedule(), &mut |_, _| {})
            .expect("the target can");
        assert_eq!(finished.outcome.failure, None);
        assert_eq!(finished.judgement.exit_code(), 0, "{}", finished.judgement);
    }
}
