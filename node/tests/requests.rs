//! Every request of the contract with its reply: form, order of keys, defaults, other names of
//! fields, nulls. Dialogues are compared text by text; see [`support`].

mod support;

use support::Node;

fn play(script: &str) {
    Node::alone().play(script);
}

#[test]
fn the_life_of_a_node() {
    Node::start(&[]).play(
        r#"
        c0 > init {"node_id": "n1", "node_ids": ["n1"]}
        c0 < init_ok
        # The same again is answered again.
        c0 > init {"node_id": "n1", "node_ids": ["n1"]}
        c0 < init_ok
        c1 > echo {"echo": "Please echo 35"}
        c1 < echo_ok {"echo": "Please echo 35"}
        c1 > echo {"echo": {"b": [1, 2.50, 1e3, null], "a": "\u00e9\n", "b2": 123456789012345678901234567890}}
        c1 < echo_ok {"echo": {"b": [1, 2.50, 1e3, null], "a": "\u00e9\n", "b2": 123456789012345678901234567890}}
        c1 > echo {"echo": null}
        c1 < echo_ok {"echo": null}
        c1 > topology {"topology": {"n1": []}}
        c1 < topology_ok
        c1 > topology
        c1 < topology_ok
        "#,
    );
}

#[test]
fn cluster_status_tells_what_the_node_knows() {
    let mut node = Node::alone();
    node.play(
        r#"
        c1 > send {"key": "k", "msg": 1}
        c1 < send_ok {"offset": 0}
        c1 > cluster_status
        c1 < cluster_status_ok {"node_id": "n1", "leader": "n1", "term": $term, "last_log_index": $last, "commit_index": $last, "applied_index": $last, "snapshot_index": null, "voters": ["n1"]}
        "#,
    );
    assert!(node.known("last").parse::<u64>().is_ok_and(|index| index > 0));
    Node::forsaken(&[]).play(
        r#"
        c1 > cluster_status
        c1 < cluster_status_ok {"node_id": "n1", "leader": null, "term": 0, "last_log_index": null, "commit_index": null, "applied_index": null, "snapshot_index": null, "voters": ["n1", "n2", "n3"]}
        "#,
    );
}

/// Maelstrom's checkers refuse a reply with any field more.
#[test]
fn logs_of_the_kafka_workload() {
    play(
        r#"
        c1 > poll {"offsets": {"k1": 0}}
        c1 < poll_ok {"msgs": {}}
        c1 > send {"key": "k1", "msg": 123}
        c1 < send_ok {"offset": 0}
        c1 > send {"key": "k1", "msg": {"b": 1, "a": [1.50, "x"]}}
        c1 < send_ok {"offset": 1}
        c1 > send {"key": "k1", "msg": null}
        c1 < send_ok {"offset": 2}
        c2 > send {"key": "k2", "msg": "other"}
        c2 < send_ok {"offset": 0}
        c2 > poll {"offsets": {"k1": 0, "k2": 0, "k3": 0}}
        c2 < poll_ok {"msgs": {"k1": [[0, 123], [1, {"b": 1, "a": [1.50, "x"]}], [2, null]], "k2": [[0, "other"]]}}
        c2 > poll {"offsets": {"k1": 2, "k2": 1}}
        c2 < poll_ok {"msgs": {"k1": [[2, null]]}}
        c2 > poll {"offsets": {"k1": 9}}
        c2 < poll_ok {"msgs": {}}
        c2 > poll {"offsets": {}}
        c2 < poll_ok {"msgs": {}}
        # A null field counts as absent.
        c2 > poll {"offsets": {"k2": 0}, "group": null, "consumer": null}
        c2 < poll_ok {"msgs": {"k2": [[0, "other"]]}}
        c2 > send {"key": "k2", "msg": 7, "message": null}
        c2 < send_ok {"offset": 1}
        "#,
    );
}

#[test]
fn committed_offsets_of_logs_never_move_back() {
    play(
        r#"
        c1 > list_committed_offsets {"keys": ["k1", "k2"]}
        c1 < list_committed_offsets_ok {"offsets": {}}
        c1 > commit_offsets {"offsets": {"k1": 5, "k2": 2000}}
        c1 < commit_offsets_ok
        c1 > commit_offsets {"offsets": {"k1": 3, "k2": 2001}}
        c1 < commit_offsets_ok
        c1 > list_committed_offsets {"keys": ["k1", "k2", "k3"]}
        c1 < list_committed_offsets_ok {"offsets": {"k1": 5, "k2": 2001}}
        c1 > commit_offsets {"offsets": {}}
        c1 < commit_offsets_ok
        c1 > list_committed_offsets {"keys": []}
        c1 < list_committed_offsets_ok {"offsets": {}}
        "#,
    );
}

/// Logs and topics are namespaces of their own.
#[test]
fn logs_are_apart_from_topics() {
    play(
        r#"
        c1 > send {"key": "default", "msg": 1}
        c1 < send_ok {"offset": 0}
        c1 > list_topics
        c1 < list_topics_ok {"topics": {}}
        c1 > create_topic {"topic": "t", "partitions": 1}
        c1 < create_topic_ok
        c1 > send {"topic": "t", "message": 2}
        c1 < send_ok {"partition": 0, "offset": 0}
        c1 > poll {"offsets": {"t": 0}}
        c1 < poll_ok {"msgs": {}}
        "#,
    );
}

#[test]
fn a_poll_of_logs_gives_at_most_1000_messages_a_key() {
    let mut node = Node::alone();
    for i in 0..1_005 {
        node.ask("w", &format!(r#"send {{"key": "k", "msg": {i}}}"#));
    }
    for i in 0..1_005 {
        assert_eq!(node.reply("w")["offset"], i);
    }
    for (from, count) in [(0, 1_000), (1, 1_000), (5, 1_000), (6, 999), (1_004, 1)] {
        let reply = node.call("r", &format!(r#"poll {{"offsets": {{"k": {from}}}}}"#));
        let messages = reply["msgs"]["k"].as_array().expect("messages of k");
        assert_eq!(messages.len(), count);
        for (message, offset) in messages.iter().zip(from..) {
            assert_eq!(*message, serde_json::json!([offset, offset]), "contiguous from {from}");
        }
    }
}

#[test]
fn topics_are_created_listed_grown_and_deleted() {
    play(
        r#"
        c1 > list_topics
        c1 < list_topics_ok {"topics": {}}
        c1 > create_topic {"topic": "b", "partitions": 2}
        c1 < create_topic_ok
        c1 > create_topic {"topic": "a", "partitions": 10000}
        c1 < create_topic_ok
        c1 > list_topics
        c1 < list_topics_ok {"topics": {"a": 10000, "b": 2}}
        c1 > create_partitions {"topic": "b", "partitions": 3}
        c1 < create_partitions_ok
        c1 > create_partitions {"topic": "b", "partitions": 3}
        c1 < create_partitions_ok
        c1 > create_partitions {"topic": "b", "partitions": 2}
        c1 < error 12 INVALID_REQUEST b, 3, 2
        c1 > list_topics
        c1 < list_topics_ok {"topics": {"a": 10000, "b": 3}}
        c1 > delete_topic {"topic": "a"}
        c1 < delete_topic_ok
        c1 > delete_topic {"topic": "a"}
        c1 < error 20 UNKNOWN_TOPIC_OR_PARTITION a
        c1 > list_topics
        c1 < list_topics_ok {"topics": {"b": 3}}
        "#,
    );
}

#[test]
fn a_deleted_topic_takes_its_committed_offsets_along() {
    play(
        r#"
        c1 > create_topic {"topic": "t", "partitions": 2}
        c1 < create_topic_ok
        c1 > send {"topic": "t", "partition": 1, "message": "old"}
        c1 < send_ok {"partition": 1, "offset": 0}
        c1 > commit_offset {"group": "g", "topic": "t", "partition": 1, "offset": 1}
        c1 < commit_offset_ok
        c1 > commit_offset {"group": "g", "topic": "u", "partition": 1, "offset": 8}
        c1 < commit_offset_ok
        c1 > delete_topic {"topic": "t"}
        c1 < delete_topic_ok
        c1 > fetch_offset {"group": "g", "topic": "t", "partition": 1}
        c1 < fetch_offset_ok {"offset": 0}
        c1 > fetch_offset {"group": "g", "topic": "u", "partition": 1}
        c1 < fetch_offset_ok {"offset": 8}
        # A new topic of that name begins with nothing.
        c1 > create_topic {"topic": "t", "partitions": 2}
        c1 < create_topic_ok
        c1 > fetch {"topic": "t", "partition": 1, "offset": 0}
        c1 < fetch_ok {"records": [], "high_watermark": 0}
        "#,
    );
}

#[test]
fn records_come_back_as_they_were_sent() {
    play(
        r#"
        c1 > create_topic {"topic": "t", "partitions": 1}
        c1 < create_topic_ok
        c1 > send {"topic": "t", "key": "k\"\\é", "message": {"z": 1, "a": [1.0, 1e2, -0, "\u0041"]}}
        c1 < send_ok {"partition": 0, "offset": 0}
        c1 > send {"topic": "t", "key": null, "message": null}
        c1 < send_ok {"partition": 0, "offset": 1}
        c1 > send {"topic": "t", "key": "", "message": ""}
        c1 < send_ok {"partition": 0, "offset": 2}
        c1 > fetch {"topic": "t", "partition": 0, "offset": 0}
        c1 < fetch_ok {"records": [{"offset": 0, "key": "k\"\\é", "message": {"z": 1, "a": [1.0, 1e2, -0, "\u0041"]}, "timestamp": $_}, {"offset": 1, "key": null, "message": null, "timestamp": $_}, {"offset": 2, "key": "", "message": "", "timestamp": $_}], "high_watermark": 3}
        c1 > fetch {"topic": "t", "partition": 0, "offset": 1, "max_messages": 1}
        c1 < fetch_ok {"records": [{"offset": 1, "key": null, "message": null, "timestamp": $_}], "high_watermark": 3}
        c1 > fetch {"topic": "t", "partition": 0, "offset": 3}
        c1 < fetch_ok {"records": [], "high_watermark": 3}
        c1 > fetch {"topic": "t", "partition": 0, "offset": 99, "max_messages": null}
        c1 < fetch_ok {"records": [], "high_watermark": 3}
        "#,
    );
}

#[test]
fn send_makes_a_topic_of_six_partitions() {
    play(
        r#"
        c1 > send {"message": 1}
        c1 < send_ok {"partition": $_, "offset": 0}
        c1 > send {"topic": "made", "message": 1, "partition": 5}
        c1 < send_ok {"partition": 5, "offset": 0}
        # Not where the partition would be out of range.
        c1 > send {"topic": "not-made", "message": 1, "partition": 6}
        c1 < error 20 UNKNOWN_TOPIC_OR_PARTITION not-made, 6
        c1 > send {"topic": "made", "message": 1, "partition": 6}
        c1 < error 20 UNKNOWN_TOPIC_OR_PARTITION made, 6
        c1 > list_topics
        c1 < list_topics_ok {"topics": {"default": 6, "made": 6}}
        "#,
    );
    Node::alone_with(&["--default-partitions", "3"]).play(
        r#"
        c1 > send {"topic": "t", "message": 1, "partition": 3}
        c1 < error 20 UNKNOWN_TOPIC_OR_PARTITION t, 3
        c1 > send {"topic": "t", "message": 1, "partition": 2}
        c1 < send_ok {"partition": 2, "offset": 0}
        c1 > list_topics
        c1 < list_topics_ok {"topics": {"t": 3}}
        "#,
    );
}

/// Kafka's own test vectors of murmur2 (`UtilsTest.testMurmur2`), and where they put a record.
#[test]
fn keys_are_placed_as_kafkas_producers_place_them() {
    let mut node = Node::alone();
    node.play(
        r#"
        c1 > create_topic {"topic": "t", "partitions": 1000}
        c1 < create_topic_ok
        "#,
    );
    for (key, hash) in [
        ("21", -973_932_308_i32),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ("abc", 479_470_107),
    ] {
        let expected = (hash & 0x7fff_ffff) % 1_000;
        let reply =
            node.call("c1", &format!(r#"send {{"topic": "t", "key": "{key}", "message": 1}}"#));
        assert_eq!(reply["partition"], expected, "{key}");
        // The partition overrides the key.
        let sent =
            format!(r#"send {{"topic": "t", "key": "{key}", "message": 1, "partition": 999}}"#);
        assert_eq!(node.call("c1", &sent)["partition"], 999);
    }
}

#[test]
fn records_without_a_key_go_round() {
    let mut node = Node::alone();
    let mut partitions = Vec::new();
    for _ in 0..12 {
        let reply = node.call("c1", r#"send {"topic": "t", "key": null, "message": 1}"#);
        partitions.push(reply["partition"].as_u64().expect("a partition"));
    }
    for turn in partitions.chunks(6) {
        let mut sorted = turn.to_vec();
        sorted.sort_unstable();
        assert_eq!(sorted, [0, 1, 2, 3, 4, 5], "each once: {partitions:?}");
    }
    assert_eq!(partitions[..6], partitions[6..], "in the same order again");
}

#[test]
fn timestamps_are_the_clocks_and_never_fall() {
    let now_ms = || {
        let now =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        u64::try_from(now.as_millis()).expect("not so late")
    };
    let mut node = Node::alone();
    let before = now_ms();
    for i in 0..50 {
        node.call("c1", &format!(r#"send {{"topic": "t", "message": {i}, "partition": 0}}"#));
    }
    let after = now_ms();
    let reply = node.call("c1", r#"fetch {"topic": "t", "partition": 0, "offset": 0}"#);
    let stamps: Vec<u64> = reply["records"]
        .as_array()
        .expect("records")
        .iter()
        .map(|record| record["timestamp"].as_u64().expect("ms"))
        .collect();
    assert_eq!(stamps.len(), 50);
    assert!(stamps.is_sorted(), "{stamps:?}");
    assert!(before <= stamps[0] && stamps[49] <= after, "{before} {stamps:?} {after}");
}

#[test]
fn the_last_commit_of_an_offset_wins() {
    play(
        r#"
        c1 > fetch_offset {"group": "g", "topic": "t", "partition": 0}
        c1 < fetch_offset_ok {"offset": 0}
        c1 > commit_offset {"group": "g", "topic": "t", "partition": 0, "offset": 10, "metadata": "note"}
        c1 < commit_offset_ok
        c1 > fetch_offset {"group": "g", "topic": "t", "partition": 0}
        c1 < fetch_offset_ok {"offset": 10, "metadata": "note"}
        # It may move back, and has no metadata unless it brings some.
        c1 > commit_offset {"group_id": "g", "topic": "t", "partition": 0, "offset": 4}
        c1 < commit_offset_ok
        c1 > fetch_offset {"group_id": "g", "topic": "t", "partition": 0}
        c1 < fetch_offset_ok {"offset": 4}
        c1 > commit_offset {"group": "g", "topic": "t", "partition": 0, "offset": 5, "metadata": ""}
        c1 < commit_offset_ok
        c1 > fetch_offset {"group": "g", "topic": "t", "partition": 0}
        c1 < fetch_offset_ok {"offset": 5, "metadata": ""}
        c1 > commit_offset {"group": "g", "topic": "t", "partition": 0, "offset": 9223372036854775807, "metadata": null, "member_id": null, "generation": null}
        c1 < commit_offset_ok
        c1 > fetch_offset {"group": "g", "topic": "t", "partition": 0}
        c1 < fetch_offset_ok {"offset": 9223372036854775807}
        c1 > list_groups
        c1 < list_groups_ok {"groups": [{"group": "g", "kind": "simple", "state": "Empty"}]}
        "#,
    );
    let longest = "é".repeat(4_096);
    Node::alone().play(&format!(
        r#"
        c1 > commit_offset {{"group": "g", "topic": "t", "partition": 0, "offset": 1, "metadata": "{longest}"}}
        c1 < commit_offset_ok
        c1 > fetch_offset {{"group": "g", "topic": "t", "partition": 0}}
        c1 < fetch_offset_ok {{"offset": 1, "metadata": "{longest}"}}
        "#
    ));
}

#[test]
fn one_shot_groups_by_every_strategy() {
    play(
        r#"
        # The default is range; consumers and partitions come in any order, and each counts once.
        c1 > consumer_rebalance {"group": "g", "consumers": ["b", "a", "b"], "partitions": [4, 0, 2, 1, 3, 4]}
        c1 < consumer_rebalance_ok {"assignments": {"a": [0, 1, 2], "b": [3, 4]}}
        # Consumers are sorted as strings, partitions as numbers.
        c1 > consumer_rebalance {"group": "g", "consumers": ["c10", "c9", "c1"], "partitions": [10, 9, 8], "strategy": null}
        c1 < consumer_rebalance_ok {"assignments": {"c1": [8], "c10": [9], "c9": [10]}}
        c1 > consumer_rebalance {"group": "rr", "consumers": ["a", "b"], "partitions": [0, 1, 2, 3, 4], "strategy": "roundrobin"}
        c1 < consumer_rebalance_ok {"assignments": {"a": [0, 2, 4], "b": [1, 3]}}
        # A consumer without partitions has an empty list; no consumers, an empty object.
        c1 > consumer_rebalance {"group": "few", "consumers": ["a", "b", "c"], "partitions": [7]}
        c1 < consumer_rebalance_ok {"assignments": {"a": [7], "b": [], "c": []}}
        c1 > consumer_rebalance {"group": "none", "consumers": ["a"], "partitions": []}
        c1 < consumer_rebalance_ok {"assignments": {"a": []}}
        c1 > consumer_rebalance {"group": "few", "consumers": [], "partitions": [7]}
        c1 < consumer_rebalance_ok {"assignments": {}}
        c1 > consumer_rebalance {"group": "few", "consumers": [], "partitions": [7], "strategy": "cooperative-sticky"}
        c1 < consumer_rebalance_ok {"assignments": {}, "revoked": {}}
        c1 > list_groups
        c1 < list_groups_ok {"groups": [{"group": "few", "kind": "declared", "state": "Empty"}, {"group": "g", "kind": "declared", "state": "Stable"}, {"group": "none", "kind": "declared", "state": "Stable"}, {"group": "rr", "kind": "declared", "state": "Stable"}]}
        "#,
    );
}

#[test]
fn sticky_one_shot_groups_remember() {
    play(
        r#"
        c1 > consumer_rebalance {"group": "s", "consumers": ["a", "b", "c"], "partitions": [0, 1, 2, 3, 4, 5], "strategy": "sticky"}
        c1 < consumer_rebalance_ok {"assignments": {"a": [0, 3], "b": [1, 4], "c": [2, 5]}}
        # Who goes gives up its own; who stays keeps all that it had.
        c1 > consumer_rebalance {"group": "s", "consumers": ["a", "c"], "partitions": [0, 1, 2, 3, 4, 5], "strategy": "sticky"}
        c1 < consumer_rebalance_ok {"assignments": {"a": [0, 1, 3], "c": [2, 4, 5]}}
        c1 > consumer_rebalance {"group": "s", "consumers": ["a", "c", "d"], "partitions": [0, 1, 2, 3, 4, 5], "strategy": "cooperative-sticky"}
        c1 < consumer_rebalance_ok {"assignments": {"a": [0, 1], "c": [2, 4], "d": [3, 5]}, "revoked": {"a": [3], "c": [5]}}
        # Another group of the same consumers knows nothing of it.
        c1 > consumer_rebalance {"group_id": "t", "consumers": ["a", "c"], "partitions": [0, 1, 2, 3, 4, 5], "strategy": "sticky"}
        c1 < consumer_rebalance_ok {"assignments": {"a": [0, 2, 4], "c": [1, 3, 5]}}
        "#,
    );
}

#[test]
fn a_declared_group_is_described() {
    play(
        r#"
        c1 > create_topic {"topic": "default", "partitions": 3}
        c1 < create_topic_ok
        c1 > consumer_rebalance {"group": "g", "consumers": ["b", "a"], "partitions": [0, 1, 2]}
        c1 < consumer_rebalance_ok {"assignments": {"a": [0, 1], "b": [2]}}
        c1 > describe_group {"group": "g"}
        c1 < describe_group_ok {"group": "g", "kind": "declared", "state": "Stable", "strategy": "range", "generation": 1, "leader": null, "coordinator": "n1", "rebalances": 1, "rebalances_last_hour": 1, "members": [{"member_id": "a", "instance_id": null, "topics": ["default"], "assignment": {"default": [0, 1]}}, {"member_id": "b", "instance_id": null, "topics": ["default"], "assignment": {"default": [2]}}], "offsets": [{"topic": "default", "partition": 0, "committed": null, "position": null, "log_end_offset": 0, "lag": 0, "lag_percent": 0.0, "metadata": null, "timestamp": null, "member_id": "a"}, {"topic": "default", "partition": 1, "committed": null, "position": null, "log_end_offset": 0, "lag": 0, "lag_percent": 0.0, "metadata": null, "timestamp": null, "member_id": "a"}, {"topic": "default", "partition": 2, "committed": null, "position": null, "log_end_offset": 0, "lag": 0, "lag_percent": 0.0, "metadata": null, "timestamp": null, "member_id": "b"}]}
        # Declared consumers are not members.
        c1 > delete_group {"group": "g"}
        c1 < delete_group_ok
        c1 > list_groups
        c1 < list_groups_ok {"groups": []}
        "#,
    );
}

#[test]
fn a_simple_group_is_described_with_its_lag() {
    play(
        r#"
        c1 > create_topic {"topic": "t", "partitions": 3}
        c1 < create_topic_ok
        c1 > send {"topic": "t", "message": 1, "partition": 0}
        c1 < send_ok {"partition": 0, "offset": 0}
        c1 > send {"topic": "t", "message": 1, "partition": 0}
        c1 < send_ok {"partition": 0, "offset": 1}
        c1 > send {"topic": "t", "message": 1, "partition": 0}
        c1 < send_ok {"partition": 0, "offset": 2}
        c1 > commit_offset {"group": "g", "topic": "t", "partition": 1, "offset": 7, "metadata": "m"}
        c1 < commit_offset_ok
        c1 > commit_offset {"group": "g", "topic": "t", "partition": 0, "offset": 2}
        c1 < commit_offset_ok
        c1 > commit_offset {"group": "g", "topic": "a", "partition": 10, "offset": 0}
        c1 < commit_offset_ok
        c1 > commit_offset {"group": "g", "topic": "a", "partition": 9, "offset": 0}
        c1 < commit_offset_ok
        # Sorted, by number; a third of three is not rounded; beyond the end is no lag below 0; no topic is an empty log.
        c1 > describe_group {"group_id": "g"}
        c1 < describe_group_ok {"group": "g", "kind": "simple", "state": "Empty", "strategy": null, "generation": $gen, "leader": null, "coordinator": "n1", "rebalances": 0, "rebalances_last_hour": 0, "members": [], "offsets": [{"topic": "a", "partition": 9, "committed": 0, "position": null, "log_end_offset": 0, "lag": 0, "lag_percent": 0.0, "metadata": null, "timestamp": $_, "member_id": null}, {"topic": "a", "partition": 10, "committed": 0, "position": null, "log_end_offset": 0, "lag": 0, "lag_percent": 0.0, "metadata": null, "timestamp": $_, "member_id": null}, {"topic": "t", "partition": 0, "committed": 2, "position": null, "log_end_offset": 3, "lag": 1, "lag_percent": 33.33333333333333, "metadata": null, "timestamp": $_, "member_id": null}, {"topic": "t", "partition": 1, "committed": 7, "position": null, "log_end_offset": 0, "lag": 0, "lag_percent": 0.0, "metadata": "m", "timestamp": $_, "member_id": null}]}
        c1 > delete_offsets {"group": "g", "topic": "a", "partitions": [9, 3]}
        c1 < delete_offsets_ok
        c1 > delete_offsets {"group": "g", "topic": "t"}
        c1 < delete_offsets_ok
        c1 > fetch_offset {"group": "g", "topic": "t", "partition": 0}
        c1 < fetch_offset_ok {"offset": 0}
        c1 > describe_group {"group": "g"}
        c1 < describe_group_ok {"group": "g", "kind": "simple", "state": "Empty", "strategy": null, "generation": $gen, "leader": null, "coordinator": "n1", "rebalances": 0, "rebalances_last_hour": 0, "members": [], "offsets": [{"topic": "a", "partition": 10, "committed": 0, "position": null, "log_end_offset": 0, "lag": 0, "lag_percent": 0.0, "metadata": null, "timestamp": $_, "member_id": null}]}
        "#,
    );
}

#[test]
fn a_thin_group_is_described_in_full() {
    play(
        r#"
        p > create_topic {"topic": "t", "partitions": 2}
        p < create_topic_ok
        p > send {"topic": "t", "message": "x", "partition": 0}
        p < send_ok {"partition": 0, "offset": 0}
        p > send {"topic": "t", "message": "y", "partition": 0}
        p < send_ok {"partition": 0, "offset": 1}
        p > send {"topic": "t", "message": "y", "partition": 0}
        p < send_ok {"partition": 0, "offset": 2}
        p > send {"topic": "t", "message": "y", "partition": 0}
        p < send_ok {"partition": 0, "offset": 3}
        b > subscribe {"group": "g", "consumer": "b", "topics": ["t"]}
        b < subscribe_ok {"generation": 1, "state": "Stable", "assignment": {"t": [0, 1]}}
        a > subscribe {"group": "g", "consumer": "a", "topics": ["t", "later", "t"], "instance_id": "i"}
        a < subscribe_ok {"generation": $_, "state": "PreparingRebalance", "assignment": {}}
        b > poll {"group": "g", "consumer": "b"}
        b < poll_ok {"generation": 2, "state": "Stable", "assignment": {"t": [1]}, "records": []}
        a > poll {"group": "g", "consumer": "a", "max_messages": 2}
        a < poll_ok {"generation": 2, "state": "Stable", "assignment": {"t": [0]}, "records": [{"topic": "t", "partition": 0, "offset": 0, "key": null, "message": "x", "timestamp": $_}, {"topic": "t", "partition": 0, "offset": 1, "key": null, "message": "y", "timestamp": $_}]}
        a > commit {"group": "g", "consumer": "a", "topic": "t", "partition": 0, "offset": 1, "metadata": "at 1", "generation": 2}
        a < commit_ok
        c > describe_group {"group": "g"}
        c < describe_group_ok {"group": "g", "kind": "thin", "state": "Stable", "strategy": "range", "generation": 2, "leader": null, "coordinator": "n1", "rebalances": 2, "rebalances_last_hour": 2, "members": [{"member_id": "a", "instance_id": "i", "topics": ["later", "t"], "assignment": {"t": [0]}}, {"member_id": "b", "instance_id": null, "topics": ["t"], "assignment": {"t": [1]}}], "offsets": [{"topic": "t", "partition": 0, "committed": 1, "position": 2, "log_end_offset": 4, "lag": 3, "lag_percent": 75.0, "metadata": "at 1", "timestamp": $_, "member_id": "a"}, {"topic": "t", "partition": 1, "committed": null, "position": 0, "log_end_offset": 0, "lag": 0, "lag_percent": 0.0, "metadata": null, "timestamp": null, "member_id": "b"}]}
        c > list_groups
        c < list_groups_ok {"groups": [{"group": "g", "kind": "thin", "state": "Stable"}]}
        "#,
    );
}

#[test]
fn thin_requests_have_defaults_and_other_names() {
    play(
        r#"
        # No topic yet: no partitions until there is one.
        a > subscribe {"group": "g", "consumer": "a", "topics": null, "strategy": null, "instance_id": null, "session_timeout_ms": null, "rebalance_timeout_ms": null}
        a < subscribe_ok {"generation": 1, "state": "Stable", "assignment": {}}
        a > poll {"group": "g", "consumer": "a"}
        a < poll_ok {"generation": 1, "state": "Stable", "assignment": {}, "records": []}
        p > create_topic {"topic": "default", "partitions": 1}
        p < create_topic_ok
        a > poll {"group_id": "g", "consumer_id": "a", "max_messages": null}
        a < poll_ok {"generation": 2, "state": "Stable", "assignment": {"default": [0]}, "records": []}
        a > heartbeat {"group_id": "g", "consumer_id": "a"}
        a < heartbeat_ok {"generation": 2, "state": "Stable", "assignment": {"default": [0]}}
        a > heartbeat {"group": "g", "consumer": "a", "member_id": null}
        a < heartbeat_ok {"generation": 2, "state": "Stable", "assignment": {"default": [0]}}
        a > commit {"group_id": "g", "consumer_id": "a", "partition": 0, "offset": 0}
        a < commit_ok
        # Without a consumer it is a commit by whoever administers the group.
        a > commit {"group": "g", "partition": 0, "offset": 77}
        a < commit_ok
        a > fetch_offset {"group": "g", "topic": "default", "partition": 0}
        a < fetch_offset_ok {"offset": 77}
        a > unsubscribe {"group_id": "g", "consumer_id": "a", "permanent": null}
        a < unsubscribe_ok
        a > list_groups
        a < list_groups_ok {"groups": [{"group": "g", "kind": "thin", "state": "Empty"}]}
        a > delete_group {"group_id": "g"}
        a < delete_group_ok
        "#,
    );
}

#[test]
fn a_thin_poll_gives_ten_messages_by_default() {
    let mut node = Node::alone();
    node.play(
        r#"
        p > create_topic {"topic": "default", "partitions": 1}
        p < create_topic_ok
        "#,
    );
    for i in 0..25 {
        node.call("p", &format!(r#"send {{"message": {i}}}"#));
    }
    node.call("a", r#"subscribe {"group": "g", "consumer": "a"}"#);
    let mut next = 0;
    for (request, count) in [
        (r#"poll {"group": "g", "consumer": "a"}"#, 10),
        (r#"poll {"group": "g", "consumer": "a", "max_messages": 3}"#, 3),
        (r#"poll {"group": "g", "consumer": "a"}"#, 10),
        (r#"poll {"group": "g", "consumer": "a"}"#, 2),
        (r#"poll {"group": "g", "consumer": "a"}"#, 0),
    ] {
        let reply = node.call("a", request);
        let records = reply["records"].as_array().expect("records");
        assert_eq!(records.len(), count, "{request}: {reply}");
        for record in records {
            assert_eq!((&record["offset"], &record["message"]), (&next.into(), &next.into()));
            next += 1;
        }
    }
}

#[test]
fn the_classic_protocol_of_one_member() {
    play(
        r#"
        p > create_topic {"topic": "t", "partitions": 2}
        p < create_topic_ok
        a > join_group {"group": "g", "member_id": "", "session_timeout_ms": 45000, "rebalance_timeout_ms": 300000, "protocols": [{"name": "range", "topics": ["t"]}, {"name": "mine", "topics": ["t"]}]}
        a < join_group_ok {"generation": 1, "protocol": "range", "leader": "$a", "member_id": "$a", "members": [{"member_id": "$a", "instance_id": null, "topics": ["t"], "owned": {}, "generation": null}]}
        p > describe_group {"group": "g"}
        p < describe_group_ok {"group": "g", "kind": "classic", "state": "CompletingRebalance", "strategy": "range", "generation": 1, "leader": "$a", "coordinator": "n1", "rebalances": 0, "rebalances_last_hour": 0, "members": [{"member_id": "$a", "instance_id": null, "topics": ["t"], "assignment": {}}], "offsets": [{"topic": "t", "partition": 0, "committed": null, "position": null, "log_end_offset": 0, "lag": 0, "lag_percent": 0.0, "metadata": null, "timestamp": null, "member_id": null}, {"topic": "t", "partition": 1, "committed": null, "position": null, "log_end_offset": 0, "lag": 0, "lag_percent": 0.0, "metadata": null, "timestamp": null, "member_id": null}]}
        a > sync_group {"group_id": "g", "member_id": "$a", "generation": 1}
        a < sync_group_ok {"assignment": {"t": [0, 1]}}
        a > heartbeat {"group": "g", "member_id": "$a", "generation": 1}
        a < heartbeat_ok
        a > heartbeat {"group": "g", "member_id": "$a", "generation": 1, "instance_id": null, "consumer": null}
        a < heartbeat_ok
        a > commit_offset {"group": "g", "topic": "t", "partition": 0, "offset": 3, "member_id": "$a", "generation": 1}
        a < commit_offset_ok
        p > describe_group {"group": "g"}
        p < describe_group_ok {"group": "g", "kind": "classic", "state": "Stable", "strategy": "range", "generation": 1, "leader": "$a", "coordinator": "n1", "rebalances": 1, "rebalances_last_hour": 1, "members": [{"member_id": "$a", "instance_id": null, "topics": ["t"], "assignment": {"t": [0, 1]}}], "offsets": [{"topic": "t", "partition": 0, "committed": 3, "position": null, "log_end_offset": 0, "lag": 0, "lag_percent": 0.0, "metadata": null, "timestamp": $_, "member_id": "$a"}, {"topic": "t", "partition": 1, "committed": null, "position": null, "log_end_offset": 0, "lag": 0, "lag_percent": 0.0, "metadata": null, "timestamp": null, "member_id": "$a"}]}
        # What it owns, and since when, is told to the leader, who may also bring the assignments.
        a > join_group {"group": "g", "member_id": "$a", "session_timeout_ms": 45000, "rebalance_timeout_ms": 300000, "protocols": [{"name": "mine", "topics": ["t"], "owned": {"t": [1, 0]}, "generation": 1}]}
        a < join_group_ok {"generation": 2, "protocol": "mine", "leader": "$a", "member_id": "$a", "members": [{"member_id": "$a", "instance_id": null, "topics": ["t"], "owned": {"t": [0, 1]}, "generation": 1}]}
        a > sync_group {"group": "g", "member_id": "$a", "generation": 2, "assignments": {"$a": {"t": [1]}}}
        a < sync_group_ok {"assignment": {"t": [1]}}
        a > leave_group {"group": "g", "member_id": "$a"}
        a < leave_group_ok
        p > list_groups
        p < list_groups_ok {"groups": [{"group": "g", "kind": "classic", "state": "Empty"}]}
        "#,
    );
}

#[test]
fn groups_are_listed_in_order() {
    play(
        r#"
        c1 > list_groups
        c1 < list_groups_ok {"groups": []}
        c1 > commit_offset {"group": "b", "topic": "t", "partition": 0, "offset": 1}
        c1 < commit_offset_ok
        c1 > consumer_rebalance {"group": "c", "consumers": ["x"], "partitions": [0]}
        c1 < consumer_rebalance_ok {"assignments": {"x": [0]}}
        c1 > subscribe {"group": "a", "consumer": "x"}
        c1 < subscribe_ok {"generation": 1, "state": "Stable", "assignment": {}}
        c1 > join_group {"group": "B", "member_id": "", "session_timeout_ms": 1000, "rebalance_timeout_ms": 1000, "protocols": [{"name": "range", "topics": []}]}
        c1 < join_group_ok {"generation": 1, "protocol": "range", "leader": "$x", "member_id": "$x", "members": [{"member_id": "$x", "instance_id": null, "topics": [], "owned": {}, "generation": null}]}
        c1 > list_groups
        c1 < list_groups_ok {"groups": [{"group": "B", "kind": "classic", "state": "CompletingRebalance"}, {"group": "a", "kind": "thin", "state": "Stable"}, {"group": "b", "kind": "simple", "state": "Empty"}, {"group": "c", "kind": "declared", "state": "Stable"}]}
        "#,
    );
}

/// The generation goes on from kind to kind, and begins anew with a new group.
#[test]
fn a_group_of_another_kind_is_taken_over() {
    play(
        r#"
        c1 > commit_offset {"group": "g", "topic": "t", "partition": 0, "offset": 1}
        c1 < commit_offset_ok
        c1 > consumer_rebalance {"group": "g", "consumers": ["x"], "partitions": [0]}
        c1 < consumer_rebalance_ok {"assignments": {"x": [0]}}
        c1 > consumer_rebalance {"group": "g", "consumers": ["x"], "partitions": [0]}
        c1 < consumer_rebalance_ok {"assignments": {"x": [0]}}
        c1 > subscribe {"group": "g", "consumer": "x", "topics": ["t"]}
        c1 < subscribe_ok {"generation": 3, "state": "Stable", "assignment": {}}
        c1 > unsubscribe {"group": "g", "consumer": "x"}
        c1 < unsubscribe_ok
        c1 > describe_group {"group": "g"}
        c1 < describe_group_ok {"group": "g", "kind": "thin", "state": "Empty", "strategy": "range", "generation": 3, "leader": null, "coordinator": "n1", "rebalances": 3, "rebalances_last_hour": 3, "members": [], "offsets": [{"topic": "t", "partition": 0, "committed": 1, "position": null, "log_end_offset": 0, "lag": 0, "lag_percent": 0.0, "metadata": null, "timestamp": $_, "member_id": null}]}
        "#,
    );
}

#[test]
fn lin_kv() {
    play(
        r#"
        c1 > write {"key": 1, "value": {"b": 1, "a": 2}}
        c1 < write_ok
        c1 > read {"key": 1.0}
        c1 < read_ok {"value": {"b": 1, "a": 2}}
        c1 > cas {"key": 1, "from": {"a": 2.0, "b": 1}, "to": 3}
        c1 < cas_ok
        c1 > read {"key": 1}
        c1 < read_ok {"value": 3}
        c1 > cas {"key": 1, "from": 4, "to": 5}
        c1 < error 22 PRECONDITION_FAILED 1, 3, 4
        c1 > cas {"key": "1", "from": 4, "to": 5}
        c1 < error 20 KEY_NOT_FOUND 1
        c1 > cas {"key": "1", "from": 4, "to": 5, "create_if_not_exists": false}
        c1 < error 20 KEY_NOT_FOUND 1
        c1 > cas {"key": "1", "from": 4, "to": 5, "create_if_not_exists": true}
        c1 < cas_ok
        c1 > read {"key": "1"}
        c1 < read_ok {"value": 5}
        # Values are any JSON, null among them, and so are keys.
        c1 > write {"key": {"x": [1]}, "value": null}
        c1 < write_ok
        c1 > read {"key": {"x": [1.0]}}
        c1 < read_ok {"value": null}
        c1 > cas {"key": {"x": [1]}, "from": null, "to": "s"}
        c1 < cas_ok
        c1 > read {"key": {"x": [1]}}
        c1 < read_ok {"value": "s"}
        c1 > write {"key": null, "value": 0}
        c1 < write_ok
        c1 > read {"key": null}
        c1 < read_ok {"value": 0}
        "#,
    );
}

#[test]
fn the_calculators() {
    play(
        r#"
        c1 > calculate_session_timeout {"processing_time_ms": 20000, "num_partitions": 10, "safety_margin": 1.5}
        c1 < calculate_session_timeout_ok {"session_timeout_ms": 60000}
        c1 > calculate_session_timeout {"processing_time_ms": 20000.0, "num_partitions": 10, "safety_margin": null}
        c1 < calculate_session_timeout_ok {"session_timeout_ms": 80000}
        c1 > calculate_session_timeout {"processing_time_ms": 0, "num_partitions": 0}
        c1 < calculate_session_timeout_ok {"session_timeout_ms": 30000}
        c1 > estimate_consumer_throughput {"max_poll_records": 500, "processing_time_per_record_ms": 4, "num_consumers": 3, "num_partitions": 2}
        c1 < estimate_consumer_throughput_ok {"records_per_sec_per_consumer": 250.0, "total_records_per_sec": 750.0, "partitions_per_consumer": 0.6666666666666666, "recommended_consumers": 2}
        # A batch takes at least a millisecond.
        c1 > estimate_consumer_throughput {"max_poll_records": 10, "processing_time_per_record_ms": 0, "num_consumers": 1, "num_partitions": 1}
        c1 < estimate_consumer_throughput_ok {"records_per_sec_per_consumer": 10000.0, "total_records_per_sec": 10000.0, "partitions_per_consumer": 1.0, "recommended_consumers": 1}
        "#,
    );
}

/// What the envelope may have besides.
#[test]
fn the_envelope_is_read_with_good_will() {
    let mut node = Node::alone();
    for (input, expected) in [
        (
            r#"{"id": 12, "src": "c1", "dest": "n1", "body": {"msg_id": 7, "type": "echo", "echo": 1, "more": {}}}"#,
            r#"{"src":"n1","dest":"c1","body":{"type":"echo_ok","in_reply_to":7,"echo":1,"msg_id":1}}"#,
        ),
        (
            "{\"src\": \"c1\",\n\"dest\": \"n1\",\n\"body\": {\"type\": \"echo\",\r\n\"msg_id\": 0, \"echo\": [1,\n2]}}",
            r#"{"src":"n1","dest":"c1","body":{"type":"echo_ok","in_reply_to":0,"echo":[1, 2],"msg_id":2}}"#,
        ),
        (
            r#"  {"src": "\u0063é", "dest": "n1", "body": {"type": "\u0065cho", "msg_id": -3, "echo": "x", "in_reply_to": null}}  "#,
            r#"{"src":"n1","dest":"cé","body":{"type":"echo_ok","in_reply_to":-3,"echo":"x","msg_id":3}}"#,
        ),
        // The last of equal keys counts.
        (
            r#"{"src": "c1", "dest": "n1", "body": {"type": "echo", "echo": 1, "msg_id": 1, "echo": 2}}"#,
            r#"{"src":"n1","dest":"c1","body":{"type":"echo_ok","in_reply_to":1,"echo":2,"msg_id":4}}"#,
        ),
    ] {
        node.write_line(input);
        let line = node.line();
        assert_eq!(support::compact(&line), support::compact(expected));
        assert!(!line.contains('\r'));
    }
}

/// A message over several lines comes back on one.
#[test]
fn values_over_several_lines_are_kept_on_one() {
    let mut node = Node::alone();
    node.write(b"{\"src\":\"c1\",\"dest\":\"n1\",\"body\":{\"type\":\"send\",\"msg_id\":1,\"key\":\"k\",\"msg\":{\n\"a\":\n1}}}\n");
    node.line();
    node.write(
        b"{\"src\":\"c1\",\"dest\":\"n1\",\"body\":{\"type\":\"poll\",\"msg_id\":2,\"offsets\":{\"k\":0}}}\n",
    );
    let line = node.line();
    assert_eq!(
        support::compact(&line),
        r#"{"src":"n1","dest":"c1","body":{"type":"poll_ok","in_reply_to":2,"msgs":{"k":[[0,{"a":1}]]},"msg_id":2}}"#
    );
}
