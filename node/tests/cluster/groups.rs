//! A group's walk on three real nodes, each request through another node: whoever leads, every node
//! answers alike.

use crate::network::Cluster;
use serde_json::{Value, json};

/// Asks the next node each time.
struct Round {
    cluster: Cluster,
    turn: usize,
}

impl Round {
    fn start() -> Self {
        let mut cluster = Cluster::start(3, &[]);
        cluster.leader();
        Self { cluster, turn: 0 }
    }

    fn ask(&mut self, body: Value) -> Value {
        self.turn += 1;
        self.cluster.ask(self.turn % 3, body)
    }

    /// As [`ask`](Self::ask), where it has to be done.
    fn ok(&mut self, body: Value) -> Value {
        let expected = format!("{}_ok", body["type"].as_str().expect("a type"));
        let reply = self.ask(body);
        assert_eq!(reply["type"], expected, "{reply}");
        reply
    }

    fn refused(&mut self, body: Value, error: &str) {
        let reply = self.ask(body);
        assert_eq!((&reply["code"], &reply["error"]), (&json!(22), &json!(error)), "{reply}");
    }
}

#[test]
fn a_thin_group_walks_through_every_node() {
    for strategy in ["range", "cooperative-sticky"] {
        let mut round = Round::start();
        let subscribe = |consumer: &str| json!({"type": "subscribe", "group": "g", "consumer": consumer, "strategy": strategy});
        let poll = |consumer: &str| json!({"type": "poll", "group": "g", "consumer": consumer, "max_messages": 100});
        round.ok(json!({"type": "create_topic", "topic": "default", "partitions": 4}));
        for i in 0..8 {
            round.ok(json!({"type": "send", "message": i}));
        }
        assert_eq!(round.ok(subscribe("a"))["assignment"], json!({"default": [0, 1, 2, 3]}));
        let mut read = round.ok(poll("a"))["records"].as_array().expect("records").len();
        round.ok(subscribe("b"));
        // Every member polls until all have what they should: a gives up, b gets.
        let mut owned = Vec::new();
        for _ in 0..4 {
            owned = ["a", "b"]
                .map(|consumer| {
                    let reply = round.ok(poll(consumer));
                    read += reply["records"].as_array().expect("records").len();
                    (
                        reply["generation"].clone(),
                        reply["state"].clone(),
                        reply["assignment"]["default"].clone(),
                    )
                })
                .to_vec();
        }
        assert_eq!(owned[0].0, owned[1].0, "one generation: {owned:?}");
        assert!(owned.iter().all(|(_, state, _)| state == "Stable"), "{owned:?}");
        let mut partitions: Vec<_> =
            owned.iter().flat_map(|o| o.2.as_array().expect("two each").clone()).collect();
        assert!(owned.iter().all(|o| o.2.as_array().is_some_and(|p| p.len() == 2)), "{owned:?}");
        partitions.sort_by_key(Value::as_u64);
        assert_eq!(partitions, [0, 1, 2, 3].map(|p| json!(p)));
        assert!(read >= 8, "everything was delivered");

        let generation = owned[0].0.clone();
        let (of_a, of_b) = (owned[0].2[0].clone(), owned[1].2[0].clone());
        let commit = |consumer: &str, partition: &Value, generation: &Value| json!({"type": "commit", "group": "g", "consumer": consumer, "partition": partition, "offset": 2, "generation": generation});
        round.ok(commit("a", &of_a, &generation));
        round.refused(commit("stranger", &of_a, &generation), "UNKNOWN_MEMBER_ID");
        round.refused(
            commit("a", &of_a, &json!(generation.as_i64().map(|g| g - 1))),
            "ILLEGAL_GENERATION",
        );
        round.refused(commit("a", &of_b, &generation), "REBALANCE_IN_PROGRESS");

        let described: Vec<Value> = (0..3)
            .map(|_| {
                let mut reply = round.ok(json!({"type": "describe_group", "group": "g"}));
                for field in ["msg_id", "in_reply_to"] {
                    reply.as_object_mut().expect("a body").remove(field);
                }
                reply
            })
            .collect();
        assert!(
            described.iter().all(|d| *d == described[0]),
            "every node tells the same: {described:?}"
        );
        let offset = described[0]["offsets"]
            .as_array()
            .expect("offsets")
            .iter()
            .find(|o| o["partition"] == of_a);
        let offset = offset.expect("the partition is described");
        assert_eq!(
            (&offset["committed"], &offset["lag"], &offset["member_id"]),
            (&json!(2), &json!(0), &json!("a"))
        );
        assert!(round.cluster.end().iter().all(std::process::ExitStatus::success));
    }
}

#[test]
fn a_classic_group_learns_of_a_rebalance_by_heartbeat_through_every_node() {
    let mut round = Round::start();
    round.ok(json!({"type": "create_topic", "topic": "t", "partitions": 4}));
    let join = |member: &Value| {
        json!({"type": "join_group", "group": "g", "member_id": member, "session_timeout_ms": 30_000,
               "rebalance_timeout_ms": 30_000, "protocols": [{"name": "range", "topics": ["t"]}]})
    };
    let sync = |member: &Value, generation: u32| json!({"type": "sync_group", "group": "g", "member_id": member, "generation": generation});
    let heartbeat = |member: &Value, generation: u32| json!({"type": "heartbeat", "group": "g", "member_id": member, "generation": generation});
    let first = round.ok(join(&json!("")));
    let a = first["member_id"].clone();
    assert_eq!((&first["generation"], &first["leader"]), (&json!(1), &a));
    assert_eq!(round.ok(sync(&a, 1))["assignment"], json!({"t": [0, 1, 2, 3]}));
    round.ok(heartbeat(&a, 1));

    // The second one's join waits for the first, which learns of it by heartbeat.
    round.turn += 1;
    let waiting = round.cluster.send(round.turn % 3, join(&json!("")));
    let begun = std::time::Instant::now();
    while round.ask(heartbeat(&a, 1))["error"] != "REBALANCE_IN_PROGRESS" {
        assert!(begun.elapsed().as_secs() < 10, "the first member was never told");
    }
    round.turn += 1;
    let rejoined = round.cluster.send(round.turn % 3, join(&a));
    let replies = [round.cluster.reply(), round.cluster.reply()];
    let of = |msg_id: u64| {
        replies.iter().find(|r| r["in_reply_to"] == msg_id).expect("both are answered").clone()
    };
    let b = of(waiting)["member_id"].clone();
    assert_eq!(of(waiting)["generation"], 2);
    assert_eq!(
        of(rejoined)["members"].as_array().map(Vec::len),
        Some(2),
        "the leader is told of both"
    );

    // The leader syncs without assignments: the coordinator runs the elected strategy.
    let synced = [round.ok(sync(&a, 2)), round.ok(sync(&b, 2))];
    let mut all: Vec<u64> = synced
        .iter()
        .flat_map(|s| {
            s["assignment"]["t"]
                .as_array()
                .expect("two each")
                .iter()
                .filter_map(Value::as_u64)
                .collect::<Vec<_>>()
        })
        .collect();
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2, 3]);
    round.refused(heartbeat(&a, 1), "ILLEGAL_GENERATION");
    round.refused(heartbeat(&json!("stranger"), 2), "UNKNOWN_MEMBER_ID");
    round.ok(json!({"type": "leave_group", "group": "g", "member_id": b}));
    round.refused(heartbeat(&a, 2), "REBALANCE_IN_PROGRESS");
    assert!(round.cluster.end().iter().all(std::process::ExitStatus::success));
}
