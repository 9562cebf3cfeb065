//! A follower that was cut off while much was written catches up by snapshot; the Raft log is
//! purged, memory stays in proportion to the data, and no line between nodes is longer than it may
//! be.

use crate::network::Cluster;
use serde_json::json;

const SENDS: u64 = 150_000;
const KEYS: u64 = 10;
const WINDOW: u64 = 5_000;

#[test]
fn a_follower_that_was_cut_off_catches_up_by_snapshot() {
    let mut cluster = Cluster::start(3, &["--snapshot-mib", "2"]);
    let leader = cluster.leader();
    let follower = (leader + 1) % 3;
    cluster.cut(follower);

    let (mut sent, mut answered) = (0, 0);
    while answered < SENDS {
        while sent < SENDS && sent - answered < WINDOW {
            cluster.send(
                leader,
                json!({"type": "send", "key": (sent % KEYS).to_string(), "msg": sent}),
            );
            sent += 1;
        }
        let reply = cluster.reply();
        assert_eq!(
            (&reply["type"], &reply["offset"]),
            (&json!("send_ok"), &json!(answered / KEYS))
        );
        answered += 1;
    }
    let status = cluster.ask(leader, json!({"type": "cluster_status"}));
    let snapshot = status["snapshot_index"].as_u64().expect("the leader has taken a snapshot");
    let behind = cluster.ask(follower, json!({"type": "cluster_status"}));
    assert!(behind["applied_index"].as_u64() < Some(snapshot), "{behind} is behind {snapshot}");

    cluster.heal();
    let applied = status["applied_index"].as_u64();
    let caught_up = cluster.ask_until(follower, &json!({"type": "cluster_status"}), |reply| {
        reply["applied_index"].as_u64() >= applied
    });
    // It may have got one that the leader took earlier, and the entries after that from the log.
    assert!(
        caught_up["snapshot_index"].as_u64() > behind["applied_index"].as_u64(),
        "by snapshot: {caught_up}"
    );

    // The follower has it all, and goes on from there.
    let last = SENDS / KEYS - 1;
    let poll = json!({"type": "poll", "offsets": {"3": last}});
    let reply = cluster.ask(follower, poll.clone());
    assert_eq!(reply["msgs"], json!({"3": [[last, last * KEYS + 3]]}));
    let reply = cluster.ask(follower, json!({"type": "send", "key": "3", "msg": "on"}));
    assert_eq!(reply["offset"], last + 1);
    assert_eq!(
        cluster.ask(follower, poll)["msgs"],
        json!({"3": [[last, last * KEYS + 3], [last + 1, "on"]]})
    );

    assert!(cluster.longest_line() <= 4 * 1024 * 1024, "{} bytes", cluster.longest_line());
    // 150,000 records of about 110 bytes are 16 MiB: several copies of that, and far below what an
    // unpurged log of it all would add over and over.
    for node in 0..3 {
        let peak = cluster.peak_memory_kib(node);
        assert!(peak < 256 * 1024, "{} held {peak} KiB", cluster.name(node));
    }
    assert!(cluster.end().iter().all(std::process::ExitStatus::success));
}

#[test]
fn requests_pipelined_through_a_follower_are_answered_in_order() {
    let mut cluster = Cluster::start(3, &[]);
    let follower = (cluster.leader() + 1) % 3;
    let mut expected = Vec::new();
    for i in 0..500_u64 {
        let offset = i + 1;
        let commit = json!({"type": "commit_offset", "group": "g", "topic": "t", "partition": 0, "offset": offset});
        expected.push((cluster.send(follower, commit), None));
        let fetch = json!({"type": "fetch_offset", "group": "g", "topic": "t", "partition": 0});
        expected.push((cluster.send(follower, fetch), Some(offset)));
    }
    for (msg_id, offset) in expected {
        let reply = cluster.reply();
        assert_eq!(reply["in_reply_to"], msg_id, "{reply}");
        assert_eq!(reply.get("offset").and_then(serde_json::Value::as_u64), offset, "{reply}");
    }
    assert!(cluster.end().iter().all(std::process::ExitStatus::success));
}

#[test]
fn a_node_that_comes_back_without_its_memory_is_not_taken_for_the_one_that_had_it() {
    let mut cluster = Cluster::start(3, &[]);
    let leader = cluster.leader();
    let victim = (leader + 1) % 3;
    assert_eq!(
        cluster.ask(leader, json!({"type": "write", "key": 1, "value": 1}))["type"],
        "write_ok"
    );
    // Its first life has been heard.
    assert_eq!(cluster.ask(victim, json!({"type": "read", "key": 1}))["value"], 1);
    cluster.restart(victim);
    // Its peers ignore the new life, so it serves nobody; they go on without it.
    assert_eq!(cluster.ask(victim, json!({"type": "read", "key": 1}))["code"], 11);
    assert_eq!(cluster.ask(leader, json!({"type": "read", "key": 1}))["value"], 1);
    let status = cluster.ask(victim, json!({"type": "cluster_status"}));
    assert_eq!(status["commit_index"], serde_json::Value::Null, "{status}");
}
