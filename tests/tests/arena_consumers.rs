//! The consumers of the workloads `groups` and `classic` live their whole lives and come to an end:
//! shown on a coordinator in memory, in virtual time, with clients that crash and hang.

use std::collections::BTreeMap;

use arena::history::{History, Micros, Outcome};
use arena::nemesis::Nemesis;
use arena::nemesis::draw::{Ground, draw};
use arena::run::{Run, Setup};
use arena::targets::Action;
use arena::workloads::Kind;
use serde_json::{Value, json};

mod support;

fn run(workload: Kind, seed: u64) -> History {
    let ground = Ground {
        nodes: 3,
        slots: 9,
        length_us: 20_000_000,
        loss_ppm: 0,
        duplicate_ppm: 0,
        latency_max_ms: 100,
    };
    let mut run = Run::new(Setup {
        workload,
        nodes: 3,
        slots: 9,
        rate: 200,
        pipeline: 1,
        latency_us: 0,
        constant_latency: false,
        patience_us: 5_000_000,
        faults_us: 20_000_000,
        recover_us: 3_000_000,
        schedule: draw(&[Nemesis::Clients], &ground, seed),
        seed,
        target: "test".to_owned(),
    });
    let mut coordinator = support::Coordinator::default();
    let mut now_us: Micros = 0;
    run.on_time(0);
    while !run.over() {
        let actions = run.take_actions();
        let mut replies = Vec::new();
        if actions.is_empty() {
            now_us = run.next_wakeup().unwrap_or(now_us).clamp(now_us, now_us + 50_000);
            run.on_time(now_us);
            replies = coordinator.tick(now_us);
        }
        for action in actions {
            match action {
                Action::Deliver { line, .. } => {
                    now_us += 50;
                    let message: Value = serde_json::from_slice(&line).expect("requests are JSON");
                    match message["body"]["type"].as_str() {
                        Some("init") => replies.push((message, json!({ "type": "init_ok" }))),
                        _ => replies.extend(coordinator.take(now_us, &message)),
                    }
                }
                Action::Close(node) => run.on_exit(now_us, node, Some(0)),
                _ => {}
            }
        }
        for (request, mut reply) in replies {
            reply["in_reply_to"] = request["body"]["msg_id"].clone();
            let line = json!({ "src": request["dest"], "dest": request["src"], "body": reply });
            let node = request["dest"].as_str().and_then(|name| name[1..].parse::<usize>().ok());
            run.on_line(now_us, node.expect("n1, n2, …") - 1, line.to_string().into_bytes());
        }
    }
    run.into_outcome().history
}

fn lives(workload: Kind, expected: &[&str]) {
    let mut ok: BTreeMap<String, usize> = BTreeMap::new();
    for seed in 0..15 {
        let history = run(workload, seed);
        let breaches: Vec<_> = history.ops.iter().filter(|op| op.f == "door").collect();
        assert!(breaches.is_empty(), "{} seed {seed}: {breaches:#?}", workload.name());
        let done = history.ops.iter().filter(|op| op.outcome == Outcome::Ok);
        assert!(done.clone().count() > 1_500, "{} seed {seed}", workload.name());
        for op in done {
            *ok.entry(op.f.clone()).or_default() += 1;
        }
    }
    for f in expected {
        assert!(ok.contains_key(*f), "{}: no {f} was ok: {ok:?}", workload.name());
    }
}

#[test]
fn thin_consumers_live_and_end() {
    let all = [
        "subscribe",
        "poll",
        "heartbeat",
        "commit",
        "unsubscribe",
        "send",
        "create_partitions",
        "delete_topic",
        "delete_group",
        "fetch",
        "describe_group",
    ];
    lives(Kind::Groups, &all);
}

#[test]
fn classic_consumers_live_and_end() {
    let all = [
        "join_group",
        "sync_group",
        "heartbeat",
        "fetch",
        "fetch_offset",
        "commit_offset",
        "leave_group",
        "delete_topic",
        "delete_group",
        "send",
        "describe_group",
    ];
    lives(Kind::Classic, &all);
}
