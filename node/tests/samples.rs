//! The samples that the contract was agreed on, word for word: each block is piped into a fresh
//! node at once; the node prints exactly the lines below the arrow, in order, and ends by itself
//! with exit code 0.

mod support;

use serde_json::Value;
use support::{Node, compact};

const RANGE_OF_THREE: &str = r#"
{"src":"c0","dest":"n1","body":{"type":"init","msg_id":1,"node_id":"n1","node_ids":["n1"]}}
{"src":"c1","dest":"n1","body":{"type":"consumer_rebalance","msg_id":2,"group":"g1","consumers":["c1","c2","c3"],"partitions":[0,1,2,3,4,5],"strategy":"range"}}
=>
{"src": "n1", "dest": "c0", "body": {"type": "init_ok", "in_reply_to": 1, "msg_id": 0}}
{"src": "n1", "dest": "c1", "body": {"type": "consumer_rebalance_ok", "in_reply_to": 2, "assignments": {"c1": [0, 1], "c2": [2, 3], "c3": [4, 5]}, "msg_id": 1}}
"#;

const RANGE_OF_TWO: &str = r#"
{"src":"c0","dest":"n1","body":{"type":"init","msg_id":1,"node_id":"n1","node_ids":["n1"]}}
{"src":"c1","dest":"n1","body":{"type":"consumer_rebalance","msg_id":2,"group":"g1","consumers":["c1","c2"],"partitions":[0,1,2,3,4,5],"strategy":"range"}}
=>
{"src": "n1", "dest": "c0", "body": {"type": "init_ok", "in_reply_to": 1, "msg_id": 0}}
{"src": "n1", "dest": "c1", "body": {"type": "consumer_rebalance_ok", "in_reply_to": 2, "assignments": {"c1": [0, 1, 2], "c2": [3, 4, 5]}, "msg_id": 1}}
"#;

const COMMIT_AND_FETCH: &str = r#"
{"src":"c0","dest":"n1","body":{"type":"init","msg_id":1,"node_id":"n1","node_ids":["n1"]}}
{"src":"c1","dest":"n1","body":{"type":"commit_offset","msg_id":2,"group":"g1","topic":"t1","partition":0,"offset":10}}
{"src":"c1","dest":"n1","body":{"type":"fetch_offset","msg_id":3,"group":"g1","topic":"t1","partition":0}}
=>
{"src": "n1", "dest": "c0", "body": {"type": "init_ok", "in_reply_to": 1, "msg_id": 0}}
{"src": "n1", "dest": "c1", "body": {"type": "commit_offset_ok", "in_reply_to": 2, "msg_id": 1}}
{"src": "n1", "dest": "c1", "body": {"type": "fetch_offset_ok", "in_reply_to": 3, "offset": 10, "msg_id": 2}}
"#;

const GROUPS_APART: &str = r#"
{"src":"c0","dest":"n1","body":{"type":"init","msg_id":1,"node_id":"n1","node_ids":["n1"]}}
{"src":"c1","dest":"n1","body":{"type":"commit_offset","msg_id":2,"group":"fast","topic":"t1","partition":0,"offset":100}}
{"src":"c1","dest":"n1","body":{"type":"commit_offset","msg_id":3,"group":"slow","topic":"t1","partition":0,"offset":5}}
{"src":"c1","dest":"n1","body":{"type":"fetch_offset","msg_id":4,"group":"fast","topic":"t1","partition":0}}
{"src":"c1","dest":"n1","body":{"type":"fetch_offset","msg_id":5,"group":"slow","topic":"t1","partition":0}}
=>
{"src": "n1", "dest": "c0", "body": {"type": "init_ok", "in_reply_to": 1, "msg_id": 0}}
{"src": "n1", "dest": "c1", "body": {"type": "commit_offset_ok", "in_reply_to": 2, "msg_id": 1}}
{"src": "n1", "dest": "c1", "body": {"type": "commit_offset_ok", "in_reply_to": 3, "msg_id": 2}}
{"src": "n1", "dest": "c1", "body": {"type": "fetch_offset_ok", "in_reply_to": 4, "offset": 100, "msg_id": 3}}
{"src": "n1", "dest": "c1", "body": {"type": "fetch_offset_ok", "in_reply_to": 5, "offset": 5, "msg_id": 4}}
"#;

const OVER_SEVERAL_LINES: &str = r#"
{
"src": "c0",
"dest": "n1",
"body": {
"type": "init",
"msg_id": 1,
"node_id": "n1",
"node_ids": [
"n1"
]
}
}
=>
{"src":"n1","dest":"c0","body":{"type":"init_ok","in_reply_to":1,"msg_id":0}}
"#;

/// Pipes a sample in at once, as `cohort < file` does.
fn pipe(sample: &str) {
    let (input, expected) = sample.split_once("=>").expect("an arrow");
    let mut node = Node::start(&[]);
    node.write(input.trim_start().as_bytes());
    let printed = node.end().well();
    let expected: Vec<&str> = expected.trim().lines().collect();
    assert_eq!(printed.len(), expected.len(), "{printed:#?}");
    for (line, expected) in printed.iter().zip(expected) {
        let parsed: Value = serde_json::from_str(line).expect("a line is JSON");
        assert_eq!(parsed, serde_json::from_str::<Value>(expected).expect("the sample is JSON"));
        // The same text without blanks: the same order of keys, and a compact line.
        assert_eq!(*line, compact(expected));
    }
}

#[test]
fn range_of_six_over_three() {
    pipe(RANGE_OF_THREE);
}

#[test]
fn range_of_six_over_two() {
    pipe(RANGE_OF_TWO);
}

#[test]
fn an_offset_is_committed_and_fetched() {
    pipe(COMMIT_AND_FETCH);
}

#[test]
fn groups_commit_apart() {
    pipe(GROUPS_APART);
}

#[test]
fn a_message_over_several_lines() {
    pipe(OVER_SEVERAL_LINES);
}

#[test]
fn uneven_ranges() {
    Node::alone().play(
        r#"
        c1 > consumer_rebalance {"group": "g1", "consumers": ["c1", "c2", "c3"], "partitions": [0, 1, 2, 3, 4, 5, 6], "strategy": "range"}
        c1 < consumer_rebalance_ok {"assignments": {"c1": [0, 1, 2], "c2": [3, 4], "c3": [5, 6]}}
        c1 > consumer_rebalance {"group": "g2", "consumers": ["c1", "c2", "c3", "c4"], "partitions": [0, 1, 2, 3, 4, 5], "strategy": "range"}
        c1 < consumer_rebalance_ok {"assignments": {"c1": [0, 1], "c2": [2, 3], "c3": [4], "c4": [5]}}
        "#,
    );
}

#[test]
fn the_queue_behind_the_thin_consumers() {
    Node::alone().play(
        r#"
        p > send {"key": "a", "message": "hello"}
        p < send_ok {"partition": $p, "offset": 0}
        a > subscribe {"group_id": "g", "consumer_id": "a"}
        a < subscribe_ok {"generation": 1, "state": "Stable", "assignment": {"default": [0, 1, 2, 3, 4, 5]}}
        a > poll {"group_id": "g", "consumer_id": "a"}
        a < poll_ok {"generation": 1, "state": "Stable", "assignment": {"default": [0, 1, 2, 3, 4, 5]}, "records": [{"topic": "default", "partition": $p, "offset": 0, "key": "a", "message": "hello", "timestamp": $_}]}
        a > commit {"group_id": "g", "partition": $p, "offset": 1}
        a < commit_ok
        a > fetch_offset {"group": "g", "topic": "default", "partition": $p}
        a < fetch_offset_ok {"offset": 1}
        a > unsubscribe {"group_id": "g", "consumer_id": "a"}
        a < unsubscribe_ok
        "#,
    );
}

#[test]
fn the_calculators() {
    Node::alone().play(
        r#"
        c1 > calculate_session_timeout {"processing_time_ms": 5000, "num_partitions": 10}
        c1 < calculate_session_timeout_ok {"session_timeout_ms": 30000}
        c1 > estimate_consumer_throughput {"max_poll_records": 500, "processing_time_per_record_ms": 1.0, "num_consumers": 6, "num_partitions": 12}
        c1 < estimate_consumer_throughput_ok {"records_per_sec_per_consumer": 1000.0, "total_records_per_sec": 6000.0, "partitions_per_consumer": 2.0, "recommended_consumers": 6}
        "#,
    );
}

#[test]
fn cooperative_in_one_shot() {
    Node::alone().play(
        r#"
        c1 > consumer_rebalance {"group": "g1", "consumers": ["c1", "c2", "c3"], "partitions": [0, 1, 2, 3, 4, 5], "strategy": "cooperative-sticky"}
        c1 < consumer_rebalance_ok {"assignments": {"c1": [0, 3], "c2": [1, 4], "c3": [2, 5]}, "revoked": {}}
        c1 > consumer_rebalance {"group": "g1", "consumers": ["c1", "c2", "c3", "c4"], "partitions": [0, 1, 2, 3, 4, 5], "strategy": "cooperative-sticky"}
        c1 < consumer_rebalance_ok {"assignments": {"c1": [0, 3], "c2": [1, 4], "c3": [2], "c4": [5]}, "revoked": {"c3": [5]}}
        "#,
    );
}
