//! A run is deterministic, and its faults do what they say: shown on nodes that are a few lines of
//! this file, in virtual time.

use std::collections::{BTreeMap, BTreeSet};

use arena::history::{Micros, Outcome};
use arena::nemesis::Nemesis;
use arena::nemesis::draw::{Ground, draw};
use arena::nemesis::schedule::{Schedule, Scheduled, Shape, What};
use arena::run::{self, Run, Setup};
use arena::targets::Action;
use arena::workloads::Kind;
use serde_json::{Value, json};

/// Registers that all nodes share: they never disagree, whatever the network does.
#[derive(Default)]
struct Cluster {
    registers: BTreeMap<String, Value>,
    paused: BTreeSet<usize>,
    killed: BTreeSet<usize>,
    waiting: Vec<(usize, Vec<u8>)>,
    seen: Vec<String>,
}

impl Cluster {
    fn answer(&mut self, line: &[u8]) -> Vec<u8> {
        let message: Value = serde_json::from_slice(line).expect("requests are JSON");
        let body = &message["body"];
        let key = body["key"].to_string();
        let error = |code| json!({ "type": "error", "code": code });
        let mut reply = match body["type"].as_str().expect("requests have a type") {
            "read" => self
                .registers
                .get(&key)
                .map_or(error(20), |v| json!({ "type": "read_ok", "value": v })),
            "write" => {
                self.registers.insert(key, body["value"].clone());
                json!({ "type": "write_ok" })
            }
            "cas" => match self.registers.get_mut(&key) {
                Some(value) if *value == body["from"] => {
                    *value = body["to"].clone();
                    json!({ "type": "cas_ok" })
                }
                Some(_) => error(22),
                None => error(20),
            },
            "init" => json!({ "type": "init_ok" }),
            "cluster_status" => {
                json!({ "type": "cluster_status_ok", "leader": "n2", "term": 1, "applied_index": 0 })
            }
            _ => error(10),
        };
        reply["in_reply_to"] = body["msg_id"].clone();
        json!({ "src": message["dest"], "dest": message["src"], "body": reply })
            .to_string()
            .into_bytes()
    }

    fn run(&mut self, run: &mut Run) {
        let mut now_us: Micros = 0;
        run.on_time(0);
        while !run.over() {
            for action in run.take_actions() {
                self.seen.push(format!("{now_us} {}", shown(&action)));
                match action {
                    Action::Deliver { node, line, .. } => self.waiting.push((node, line)),
                    Action::Pause(node) => assert!(self.paused.insert(node)),
                    Action::Resume(node) => assert!(self.paused.remove(&node)),
                    Action::Kill(node) => assert!(self.killed.insert(node)),
                    Action::Start(node) => {
                        self.killed.remove(&node);
                        self.paused.remove(&node);
                    }
                    Action::Close(node) => run.on_exit(now_us, node, Some(0)),
                    _ => {}
                }
            }
            let at = self.waiting.iter().position(|(node, _)| !self.paused.contains(node));
            if let Some(at) = at {
                let (node, line) = self.waiting.remove(at);
                if !self.killed.contains(&node) {
                    let reply = self.answer(&line);
                    now_us += 100;
                    run.on_line(now_us, node, reply);
                }
            } else if let Some(next_us) = run.next_wakeup() {
                assert!(next_us >= now_us || !self.seen.is_empty());
                now_us = now_us.max(next_us);
                run.on_time(now_us);
            }
        }
    }
}

fn shown(action: &Action) -> String {
    match action {
        Action::Deliver { node, line, .. } => {
            format!("to {node}: {}", String::from_utf8_lossy(line))
        }
        other => format!("{other:?}"),
    }
}

fn setup(seed: u64, schedule: Schedule) -> Setup {
    Setup {
        workload: Kind::LinKv,
        nodes: 5,
        slots: 10,
        rate: 300,
        pipeline: 2,
        latency_us: 1_000,
        constant_latency: false,
        patience_us: 5_000_000,
        faults_us: 10_000_000,
        recover_us: 3_000_000,
        schedule,
        seed,
        target: "test".to_owned(),
    }
}

fn run(seed: u64, schedule: Schedule) -> (Vec<String>, run::Outcome) {
    let mut cluster = Cluster::default();
    let mut run = Run::new(setup(seed, schedule));
    cluster.run(&mut run);
    (cluster.seen, run.into_outcome())
}

fn everything(seed: u64) -> Schedule {
    let ground = Ground {
        nodes: 5,
        slots: 10,
        length_us: 10_000_000,
        loss_ppm: 50_000,
        duplicate_ppm: 50_000,
        latency_max_ms: 100,
    };
    draw(&Nemesis::ALL, &ground, seed)
}

#[test]
fn the_same_seed_gives_the_same_play_to_the_byte() {
    for seed in 1..4 {
        let (first, outcome) = run(seed, everything(seed));
        let (second, again) = run(seed, everything(seed));
        assert!(first.len() > 1_500, "{}", first.len());
        assert_eq!(first, second);
        assert_eq!(outcome.history, again.history);
        let (other, _) = run(seed + 100, everything(seed + 100));
        assert_ne!(first, other);
    }
}

#[test]
fn a_run_with_every_fault_comes_to_its_end_and_records_what_it_did() {
    for seed in 0..20 {
        let (_, outcome) = run(seed, everything(seed));
        assert_eq!(outcome.failure, None);
        let history = outcome.history;
        let breaches: Vec<_> = history.ops.iter().filter(|op| op.f == "door").collect();
        assert!(breaches.is_empty(), "seed {seed}: {breaches:#?}");
        assert!(history.ops.iter().filter(|op| op.outcome == Outcome::Ok).count() > 500);
        let names: BTreeSet<&str> =
            history.faults.iter().map(|fault| fault.fault.as_str()).collect();
        assert!(names.len() >= 10, "{names:?}");
        let heal_us = history.header.heal_us.expect("healed");
        for fault in &history.faults {
            assert!(
                fault.fault == "kill" || fault.to_us.is_some_and(|to_us| to_us <= heal_us),
                "{fault:?}"
            );
        }
    }
}

#[test]
fn a_schedule_does_exactly_what_it_says() {
    let one = |at_us, for_us, what| Scheduled { at_us, for_us, what };
    let leader = arena::nemesis::schedule::Victim::Leader;
    let schedule = Schedule {
        faults: vec![
            one(1_000_000, 500_000, What::Pause { who: leader }),
            one(
                1_200_000,
                1_000_000,
                What::Pause { who: arena::nemesis::schedule::Victim::Node(1) },
            ),
            one(3_000_000, 1_000_000, What::Partition { shape: Shape::LeaderAlone }),
            one(5_000_000, 0, What::Kill { who: arena::nemesis::schedule::Victim::Node(4) }),
            one(0, 2_500_000, What::Late { node: 3 }),
        ],
    };
    let (seen, outcome) = run(1, schedule);
    let count = |what: &str| seen.iter().filter(|line| line.ends_with(what)).count();
    assert_eq!((count("Pause(1)"), count("Resume(1)")), (1, 1), "overlapping pauses are one");
    assert_eq!(count("Kill(4)"), 1);
    let details: Vec<&str> =
        outcome.history.faults.iter().map(|fault| fault.detail.as_str()).collect();
    assert!(details.contains(&"n2 (the leader)"), "{details:?}");
    assert!(details.contains(&"the leader alone, n2 | n1 n3 n4 n5"), "{details:?}");
    let first = seen.iter().find(|line| line.contains("to 3: ")).expect("n4 was started");
    assert!(first.starts_with("2500000 "), "{first}");
    let after_kill =
        outcome.history.ops.iter().filter(|op| op.node == "n5" && op.invoke_us > 8_000_000);
    assert_eq!(after_kill.count(), 0, "clients leave a dead node");
}

#[test]
fn a_node_that_restarts_gets_init_again_and_its_clients_come_back() {
    let one = |at_us, for_us, node| {
        let who = arena::nemesis::schedule::Victim::Node(node);
        Scheduled { at_us, for_us, what: What::Restart { who } }
    };
    // All at once, each away for a time of its own; one of them once more, until the end of the
    // faults.
    let mut faults: Vec<Scheduled> =
        (0..5).map(|node| one(1_000_000, 500_000 + 100_000 * node, node as usize)).collect();
    faults.push(one(9_000_000, 2_000_000, 2));
    // A fault that stops the node is on when it crashes, and still when it comes back.
    let who = arena::nemesis::schedule::Victim::Node(4);
    faults.push(Scheduled { at_us: 900_000, for_us: 2_000_000, what: What::Pause { who } });
    let (seen, outcome) = run(1, Schedule { faults });
    assert_eq!(outcome.failure, None);
    let count = |what: &str| seen.iter().filter(|line| line.ends_with(what)).count();
    for node in 0..5 {
        let starts = if node == 2 { 3 } else { 2 };
        assert_eq!(count(&format!("Start({node})")), starts);
        assert_eq!(count(&format!("Kill({node})")), starts - 1);
        let inits = seen
            .iter()
            .filter(|line| line.contains(&format!("to {node}: ")) && line.contains("init"));
        assert_eq!(inits.count(), starts, "as often as it is started");
    }
    assert_eq!(
        (count("Pause(4)"), count("Resume(4)")),
        (2, 1),
        "stopped again as soon as it is back"
    );
    let history = outcome.history;
    assert!(history.ops.iter().all(|op| op.f != "door"), "{:#?}", history.ops);
    let heal_us = history.header.heal_us.expect("healed");
    let restarts: Vec<_> = history.faults.iter().filter(|fault| fault.fault == "restart").collect();
    assert_eq!(restarts.len(), 6);
    assert!(
        restarts.iter().all(|fault| fault.to_us.is_some_and(|to_us| to_us <= heal_us)),
        "{restarts:#?}"
    );
    // What was under way was lost; nothing is asked of a node that is away; then its clients ask it
    // again.
    for (i, node) in ["n1", "n2", "n3", "n4", "n5"].iter().enumerate() {
        let (from_us, to_us) = (restarts[i].from_us, restarts[i].to_us.expect("it ended"));
        let mut of_node =
            history.ops.iter().filter(|op| op.node == **node && op.process != "arena");
        assert!(!of_node.clone().any(|op| (from_us..to_us).contains(&op.invoke_us)), "{node}");
        let later = of_node.find(|op| op.invoke_us >= to_us && op.outcome == Outcome::Ok);
        assert!(later.is_some(), "{node}");
    }
    let recovered: Vec<_> =
        outcome.recovered_us.iter().filter(|(_, after_us)| after_us.is_some()).collect();
    assert_eq!(recovered.len(), 5, "every node has to serve again: {recovered:?}");
}

#[test]
fn a_node_that_never_answers_fails_the_run_rather_than_the_node() {
    let mut run = Run::new(setup(1, Schedule::default()));
    run.on_time(0);
    while let Some(next_us) = run.next_wakeup() {
        run.on_time(next_us);
    }
    assert_eq!(run.into_outcome().failure.as_deref(), Some("n1 did not answer init within 10 s"));
}
