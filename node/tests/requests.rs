//! Every request of the contract but those of groups (`group_requests.rs`) with its reply: form,
//! order of keys, defaults, other names of fields, nulls. Dialogues are compared text by text; see
//! [`support`].

mod support;

use support::Node;

fn say(script: &str) {
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
    say(r#"
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
        "#);
}

#[test]
fn committed_offsets_of_logs_never_move_back() {
    say(r#"
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
        "#);
}

/// Logs and topics are namespaces of their own.
#[test]
fn logs_are_apart_from_topics() {
    say(r#"
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
        "#);
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
    say(r#"
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
        "#);
}

#[test]
fn records_are_deleted_up_to_an_offset() {
    say(r#"
        c1 > create_topic {"topic": "t", "partitions": 1}
        c1 < create_topic_ok
        c1 > send {"topic": "t", "message": "a"}
        c1 < send_ok {"partition": 0, "offset": 0}
        c1 > send {"topic": "t", "message": "b"}
        c1 < send_ok {"partition": 0, "offset": 1}
        c1 > delete_records {"topic": "t", "partition": 0, "offset": 3}
        c1 < error 12 INVALID_REQUEST t, 3, 2
        c1 > delete_records {"topic": "t", "partition": 1, "offset": 0}
        c1 < error 20 UNKNOWN_TOPIC_OR_PARTITION t
        c1 > delete_records {"topic": "t", "partition": 0, "offset": 1}
        c1 < delete_records_ok
        c1 > delete_records {"topic": "t", "partition": 0, "offset": 0}
        c1 < delete_records_ok
        "#);
    let mut node = Node::alone();
    for message in 0..4 {
        node.call("p", &format!(r#"send {{"topic": "t", "partition": 0, "message": {message}}}"#));
    }
    node.call("p", r#"delete_records {"topic": "t", "partition": 0, "offset": 3}"#);
    let reply = node.call("p", r#"fetch {"topic": "t", "partition": 0, "offset": 0}"#);
    let offsets = |reply: &serde_json::Value| {
        let records = reply["records"].as_array().expect("records").iter();
        records.map(|record| record["offset"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(offsets(&reply), [3]);
    assert_eq!(reply["high_watermark"], 4);
}

#[test]
fn an_idempotent_producer_sends_each_record_once() {
    say(r#"
        p > init_producer
        p < init_producer_ok {"producer_id": 0, "producer_epoch": 0}
        q > init_producer
        q < init_producer_ok {"producer_id": 1, "producer_epoch": 0}
        p > send {"topic": "t", "partition": 1, "message": "a", "producer_id": 0, "producer_epoch": 0, "sequence": 0}
        p < error 20 UNKNOWN_TOPIC_OR_PARTITION t
        p > create_topic {"topic": "t", "partitions": 2}
        p < create_topic_ok
        p > send {"topic": "t", "partition": 1, "message": "a", "producer_id": 0, "producer_epoch": 0, "sequence": 0}
        p < send_ok {"partition": 1, "offset": 0}
        p > send {"topic": "t", "partition": 1, "message": "b", "producer_id": 0, "producer_epoch": 0, "sequence": 1}
        p < send_ok {"partition": 1, "offset": 1}
        p > send {"topic": "t", "partition": 1, "message": "a", "producer_id": 0, "producer_epoch": 0, "sequence": 0}
        p < send_ok {"partition": 1, "offset": 0}
        p > send {"topic": "t", "partition": 1, "message": "d", "producer_id": 0, "producer_epoch": 0, "sequence": 3}
        p < error 22 OUT_OF_ORDER_SEQUENCE_NUMBER 3, 2
        p > send {"topic": "t", "partition": 1, "message": "a", "producer_id": 0, "producer_epoch": 1, "sequence": 0}
        p < send_ok {"partition": 1, "offset": 2}
        p > send {"topic": "t", "partition": 1, "message": "c", "producer_id": 0, "producer_epoch": 0, "sequence": 2}
        p < error 22 INVALID_PRODUCER_EPOCH 0, 1
        "#);
}

#[test]
fn a_deleted_topic_takes_its_committed_offsets_along() {
    say(r#"
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
        "#);
}

#[test]
fn records_come_back_as_they_were_sent() {
    say(r#"
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
        "#);
}

#[test]
fn send_makes_a_topic_of_six_partitions() {
    say(r#"
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
        "#);
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
    say(r#"
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
        "#);
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
fn lin_kv() {
    say(r#"
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
        "#);
}

#[test]
fn the_calculators() {
    say(r#"
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
        "#);
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
