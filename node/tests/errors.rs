//! The contract's table of errors, row by row: code, name, and a text that names the value at
//! fault. Then what is wrong with single fields, for every type of request, and what stands before
//! and after `init`.

mod support;

use serde_json::{Value, json};
use support::Node;

/// What is there before the rows: topic `t` with 2 partitions, a simple, a thin and a classic
/// group.
const GROUND: &str = r#"
    p > create_topic {"topic": "t", "partitions": 2}
    p < create_topic_ok
    p > commit_offset {"group": "simple", "topic": "t", "partition": 0, "offset": 1}
    p < commit_offset_ok
    p > consumer_rebalance {"group": "declared", "consumers": ["x"], "partitions": [0]}
    p < consumer_rebalance_ok {"assignments": {"x": [0]}}
    p > subscribe {"group": "thin", "consumer": "a", "topics": ["t"]}
    p < subscribe_ok {"generation": 1, "state": "Stable", "assignment": {"t": [0, 1]}}
    p > join_group {"group": "classic", "member_id": "", "session_timeout_ms": 45000, "rebalance_timeout_ms": 300000, "protocols": [{"name": "range", "topics": ["t"]}]}
    p < join_group_ok {"generation": 1, "protocol": "range", "leader": "$m", "member_id": "$m", "members": [{"member_id": "$m", "instance_id": null, "topics": ["t"], "owned": {}, "generation": null}]}
    p > sync_group {"group": "classic", "member_id": "$m", "generation": 1}
    p < sync_group_ok {"assignment": {"t": [0, 1]}}
    p > write {"key": "k", "value": 1}
    p < write_ok
"#;

/// Plays rows of `request => error`, each against the ground, and looks that none has changed
/// anything.
fn rows(rows: &str) {
    let mut node = Node::alone();
    node.play(GROUND);
    let before = state(&mut node);
    for row in rows.lines().map(str::trim).filter(|row| !row.is_empty() && !row.starts_with('#')) {
        let (request, error) = row.split_once(" => ").unwrap_or_else(|| panic!("no row: {row}"));
        node.play(&format!("c1 > {request}\nc1 < error {error}"));
    }
    assert_eq!(state(&mut node), before, "a refused request changes nothing");
}

fn state(node: &mut Node) -> Vec<Value> {
    let groups = ["simple", "declared", "thin", "classic"];
    let mut requests: Vec<String> =
        groups.iter().map(|group| format!(r#"describe_group {{"group": "{group}"}}"#)).collect();
    requests.push("list_topics".to_owned());
    requests.push("list_groups".to_owned());
    requests.push(r#"read {"key": "k"}"#.to_owned());
    let body = |request: &String| {
        let mut body = node.call("state", request);
        let fields = body.as_object_mut().expect("a body");
        fields.retain(|name, _| name != "msg_id" && name != "in_reply_to");
        body
    };
    requests.iter().map(body).collect()
}

#[test]
fn every_row_of_the_table() {
    rows(
        r#"
        nonsense {"group": "g"} => 10 UNSUPPORTED_VERSION nonsense
        echo_ok {"echo": 1} => 10 UNSUPPORTED_VERSION echo_ok
        create_topic {"topic": "t2", "partitions": 10001} => 12 INVALID_REQUEST partitions, 10001, 10000
        send {"key": "k", "msg": 1, "message": 2} => 12 INVALID_REQUEST msg, message
        describe_group {"group": ""} => 12 INVALID_GROUP_ID group, ""
        consumer_rebalance {"group": "g", "consumers": [], "partitions": [], "strategy": "best"} => 12 UNSUPPORTED_ASSIGNOR best, cooperative-sticky
        subscribe {"group": "g", "consumer": "c", "strategy": "uniform"} => 12 UNSUPPORTED_ASSIGNOR uniform, cooperative-sticky
        subscribe {"group": "g", "consumer": "c", "session_timeout_ms": 99} => 12 INVALID_SESSION_TIMEOUT session_timeout_ms, 99, 100
        subscribe {"group": "g", "consumer": "c", "session_timeout_ms": 1800001} => 12 INVALID_SESSION_TIMEOUT session_timeout_ms, 1800001, 1800000
        subscribe {"group": "g", "consumer": "c", "rebalance_timeout_ms": 99} => 12 INVALID_SESSION_TIMEOUT rebalance_timeout_ms, 99, 100
        subscribe {"group": "g", "consumer": "c", "rebalance_timeout_ms": 3600001} => 12 INVALID_SESSION_TIMEOUT rebalance_timeout_ms, 3600001, 3600000
        join_group {"group": "g", "member_id": "", "session_timeout_ms": 0, "rebalance_timeout_ms": 1000, "protocols": [{"name": "range", "topics": []}]} => 12 INVALID_SESSION_TIMEOUT session_timeout_ms, 0, 100
        join_group {"group": "g", "member_id": "", "session_timeout_ms": 1000, "rebalance_timeout_ms": -1, "protocols": [{"name": "range", "topics": []}]} => 12 INVALID_SESSION_TIMEOUT rebalance_timeout_ms, -1, 100
        send {"topic": "t", "message": 1, "partition": 2} => 20 UNKNOWN_TOPIC_OR_PARTITION t, 2
        fetch {"topic": "t", "partition": 2, "offset": 0} => 20 UNKNOWN_TOPIC_OR_PARTITION t, 2
        fetch {"topic": "nowhere", "partition": 0, "offset": 0} => 20 UNKNOWN_TOPIC_OR_PARTITION nowhere
        create_partitions {"topic": "nowhere", "partitions": 3} => 20 UNKNOWN_TOPIC_OR_PARTITION nowhere
        delete_topic {"topic": "nowhere"} => 20 UNKNOWN_TOPIC_OR_PARTITION nowhere
        read {"key": "absent"} => 20 KEY_NOT_FOUND absent
        cas {"key": "absent", "from": 1, "to": 2} => 20 KEY_NOT_FOUND absent
        describe_group {"group": "nobody"} => 20 GROUP_ID_NOT_FOUND nobody
        delete_group {"group": "nobody"} => 20 GROUP_ID_NOT_FOUND nobody
        delete_offsets {"group": "nobody", "topic": "t"} => 20 GROUP_ID_NOT_FOUND nobody
        create_topic {"topic": "t", "partitions": 2} => 21 TOPIC_ALREADY_EXISTS t
        # A member that is not in the group, no such group, a group of another kind.
        poll {"group": "thin", "consumer": "ghost"} => 22 UNKNOWN_MEMBER_ID thin, ghost
        poll {"group": "nobody", "consumer": "a"} => 22 UNKNOWN_MEMBER_ID nobody, a
        poll {"group": "classic", "consumer": "a"} => 22 UNKNOWN_MEMBER_ID classic, a
        poll {"group": "declared", "consumer": "x"} => 22 UNKNOWN_MEMBER_ID declared, x
        heartbeat {"group": "thin", "consumer": "ghost"} => 22 UNKNOWN_MEMBER_ID thin, ghost
        heartbeat {"group": "nobody", "consumer": "a"} => 22 UNKNOWN_MEMBER_ID nobody, a
        commit {"group": "thin", "consumer": "ghost", "topic": "t", "partition": 0, "offset": 0} => 22 UNKNOWN_MEMBER_ID thin, ghost
        commit {"group": "nobody", "consumer": "a", "topic": "t", "partition": 0, "offset": 0} => 22 UNKNOWN_MEMBER_ID nobody, a
        unsubscribe {"group": "thin", "consumer": "ghost"} => 22 UNKNOWN_MEMBER_ID thin, ghost
        unsubscribe {"group": "simple", "consumer": "a"} => 22 UNKNOWN_MEMBER_ID simple, a
        heartbeat {"group": "classic", "member_id": "ghost", "generation": 1} => 22 UNKNOWN_MEMBER_ID classic, ghost
        heartbeat {"group": "thin", "member_id": "a", "generation": 1} => 22 UNKNOWN_MEMBER_ID thin, a
        sync_group {"group": "classic", "member_id": "ghost", "generation": 1} => 22 UNKNOWN_MEMBER_ID classic, ghost
        sync_group {"group": "nobody", "member_id": "$m", "generation": 1} => 22 UNKNOWN_MEMBER_ID nobody, $m
        leave_group {"group": "classic", "member_id": "ghost"} => 22 UNKNOWN_MEMBER_ID classic, ghost
        leave_group {"group": "thin", "member_id": "a"} => 22 UNKNOWN_MEMBER_ID thin, a
        join_group {"group": "classic", "member_id": "ghost", "session_timeout_ms": 1000, "rebalance_timeout_ms": 1000, "protocols": [{"name": "range", "topics": ["t"]}]} => 22 UNKNOWN_MEMBER_ID classic, ghost
        join_group {"group": "nobody", "member_id": "ghost", "session_timeout_ms": 1000, "rebalance_timeout_ms": 1000, "protocols": [{"name": "range", "topics": ["t"]}]} => 22 UNKNOWN_MEMBER_ID nobody, ghost
        commit_offset {"group": "classic", "topic": "t", "partition": 0, "offset": 1} => 22 UNKNOWN_MEMBER_ID classic
        commit {"group": "classic", "topic": "t", "partition": 0, "offset": 1} => 22 UNKNOWN_MEMBER_ID classic
        commit_offset {"group": "classic", "topic": "t", "partition": 0, "offset": 1, "member_id": "ghost", "generation": 1} => 22 UNKNOWN_MEMBER_ID classic, ghost
        commit_offset {"group": "classic", "topic": "t", "partition": 0, "offset": 1, "generation": 1} => 22 UNKNOWN_MEMBER_ID classic
        commit_offset {"group": "thin", "topic": "t", "partition": 0, "offset": 0, "member_id": "ghost"} => 22 UNKNOWN_MEMBER_ID thin, ghost
        commit_offset {"group": "thin", "topic": "t", "partition": 0, "offset": 0, "generation": 1} => 22 UNKNOWN_MEMBER_ID thin
        commit_offset {"group": "simple", "topic": "t", "partition": 0, "offset": 1, "member_id": "ghost", "generation": 1} => 22 UNKNOWN_MEMBER_ID simple, ghost
        commit_offset {"group": "nobody", "topic": "t", "partition": 0, "offset": 1, "member_id": "ghost", "generation": 1} => 22 UNKNOWN_MEMBER_ID nobody, ghost
        # A wrong generation.
        commit {"group": "thin", "consumer": "a", "topic": "t", "partition": 0, "offset": 0, "generation": 0} => 22 ILLEGAL_GENERATION thin, 0, 1
        commit {"group": "thin", "consumer": "a", "topic": "t", "partition": 0, "offset": 0, "generation": 2} => 22 ILLEGAL_GENERATION thin, 2, 1
        commit_offset {"group": "thin", "topic": "t", "partition": 0, "offset": 0, "member_id": "a", "generation": 2} => 22 ILLEGAL_GENERATION thin, 2, 1
        commit_offset {"group": "classic", "topic": "t", "partition": 0, "offset": 0, "member_id": "$m", "generation": 2} => 22 ILLEGAL_GENERATION classic, 2, 1
        commit_offset {"group": "classic", "topic": "t", "partition": 0, "offset": 0, "member_id": "$m"} => 22 ILLEGAL_GENERATION classic, 1
        heartbeat {"group": "classic", "member_id": "$m", "generation": 0} => 22 ILLEGAL_GENERATION classic, 0, 1
        sync_group {"group": "classic", "member_id": "$m", "generation": 5} => 22 ILLEGAL_GENERATION classic, 5, 1
        # Not the member's partition.
        commit {"group": "thin", "consumer": "a", "topic": "other", "partition": 0, "offset": 0} => 22 REBALANCE_IN_PROGRESS thin, other, a
        # Beyond the log's end.
        commit {"group": "thin", "consumer": "a", "topic": "t", "partition": 0, "offset": 1} => 12 INVALID_REQUEST offset, 1
        # Members of another kind, or with another strategy.
        subscribe {"group": "classic", "consumer": "b"} => 22 INCONSISTENT_GROUP_PROTOCOL classic
        subscribe {"group": "thin", "consumer": "b", "strategy": "sticky"} => 22 INCONSISTENT_GROUP_PROTOCOL thin, range, sticky
        join_group {"group": "thin", "member_id": "", "session_timeout_ms": 1000, "rebalance_timeout_ms": 1000, "protocols": [{"name": "range", "topics": ["t"]}]} => 22 INCONSISTENT_GROUP_PROTOCOL thin
        join_group {"group": "classic", "member_id": "", "session_timeout_ms": 1000, "rebalance_timeout_ms": 1000, "protocols": [{"name": "sticky", "topics": ["t"]}]} => 22 INCONSISTENT_GROUP_PROTOCOL classic, range
        consumer_rebalance {"group": "thin", "consumers": ["a"], "partitions": [0]} => 22 INCONSISTENT_GROUP_PROTOCOL thin
        consumer_rebalance {"group": "classic", "consumers": ["a"], "partitions": [0]} => 22 INCONSISTENT_GROUP_PROTOCOL classic
        delete_group {"group": "thin"} => 22 NON_EMPTY_GROUP thin
        delete_group {"group": "classic"} => 22 NON_EMPTY_GROUP classic
        delete_offsets {"group": "thin", "topic": "t"} => 22 GROUP_SUBSCRIBED_TO_TOPIC thin, t
        delete_offsets {"group": "classic", "topic": "t", "partitions": [0]} => 22 GROUP_SUBSCRIBED_TO_TOPIC classic, t
        cas {"key": "k", "from": 2, "to": 3} => 22 PRECONDITION_FAILED k, 2, 1
    "#,
    );
}

#[test]
fn a_group_may_be_full() {
    Node::alone_with(&["--group-max-size", "1"]).play(
        r#"
        a > subscribe {"group": "thin", "consumer": "a"}
        a < subscribe_ok {"generation": 1, "state": "Stable", "assignment": {}}
        b > subscribe {"group": "thin", "consumer": "b"}
        b < error 22 GROUP_MAX_SIZE_REACHED thin, 1
        c > join_group {"group": "classic", "member_id": "", "session_timeout_ms": 1000, "rebalance_timeout_ms": 1000, "protocols": [{"name": "range", "topics": []}]}
        c < join_group_ok {"generation": 1, "protocol": "range", "leader": "$m", "member_id": "$m", "members": [{"member_id": "$m", "instance_id": null, "topics": [], "owned": {}, "generation": null}]}
        d > join_group {"group": "classic", "member_id": "", "session_timeout_ms": 1000, "rebalance_timeout_ms": 1000, "protocols": [{"name": "range", "topics": []}]}
        d < error 22 GROUP_MAX_SIZE_REACHED classic, 1
        "#,
    );
}

#[test]
fn metadata_has_at_most_4096_characters() {
    let long = "é".repeat(4_097);
    for request in [
        format!(
            r#"commit_offset {{"group": "g", "topic": "t", "partition": 0, "offset": 1, "metadata": "{long}"}}"#
        ),
        format!(
            r#"commit {{"group": "g", "consumer": "c", "partition": 0, "offset": 1, "metadata": "{long}"}}"#
        ),
    ] {
        Node::alone().play(&format!(
            "c1 > {request}\nc1 < error 12 OFFSET_METADATA_TOO_LARGE metadata, 4097, 4096"
        ));
    }
}

#[test]
fn a_message_has_at_most_1_mib() {
    let mut node = Node::alone();
    // With its quotes, a string of so many letters is a message of exactly 1 MiB.
    let fits = "x".repeat(1024 * 1024 - 2);
    for request in [
        format!(r#"send {{"key": "k", "msg": "{fits}"}}"#),
        format!(r#"send {{"topic": "t", "message": "{fits}"}}"#),
    ] {
        let reply = node.call("c1", &request);
        assert_ne!(reply["type"], "error", "{reply}");
        let over = request.replacen("\"x", "\"xx", 1);
        let reply = node.call("c1", &over);
        assert_eq!(
            (&reply["code"], &reply["error"]),
            (&json!(12), &json!("MESSAGE_TOO_LARGE")),
            "{reply}"
        );
        assert!(reply["text"].as_str().is_some_and(|text| text.contains("1048577")), "{reply}");
        assert!(
            reply["text"].as_str().is_some_and(|text| text.len() < 1_000),
            "the text does not repeat it"
        );
    }
    let reply = node.call("c1", r#"poll {"offsets": {"k": 0}}"#);
    assert_eq!(reply["msgs"]["k"], json!([[0, fits]]));
}

/// For every type: each field that it needs, left out; and values of a wrong type, or out of range.
#[test]
fn every_type_names_the_field_at_fault() {
    let join = r#""group":"g","member_id":"","session_timeout_ms":1000,"rebalance_timeout_ms":1000,"protocols":[{"name":"range","topics":[]}]"#;
    let types: &[(&str, &str, &[&str])] = &[
        // Type, a body that is right, fields that have to be there.
        ("echo", r#""echo":1"#, &["echo"]),
        ("commit_offsets", r#""offsets":{"k":1}"#, &["offsets"]),
        ("list_committed_offsets", r#""keys":["k"]"#, &["keys"]),
        ("create_topic", r#""topic":"new","partitions":1"#, &["topic", "partitions"]),
        ("create_partitions", r#""topic":"t","partitions":2"#, &["topic", "partitions"]),
        ("delete_topic", r#""topic":"nowhere""#, &["topic"]),
        ("fetch", r#""topic":"t","partition":0,"offset":0"#, &["topic", "partition", "offset"]),
        (
            "commit_offset",
            r#""group":"g","topic":"t","partition":0,"offset":0"#,
            &["group", "topic", "partition", "offset"],
        ),
        (
            "fetch_offset",
            r#""group":"g","topic":"t","partition":0"#,
            &["group", "topic", "partition"],
        ),
        (
            "consumer_rebalance",
            r#""group":"g","consumers":[],"partitions":[]"#,
            &["group", "consumers", "partitions"],
        ),
        ("subscribe", r#""group":"g","consumer":"c""#, &["group", "consumer"]),
        ("poll", r#""group":"g","consumer":"c""#, &["group", "consumer"]),
        ("heartbeat", r#""group":"g","consumer":"c""#, &["group", "consumer"]),
        (
            "commit",
            r#""group":"g","consumer":"c","partition":0,"offset":0"#,
            &["group", "partition", "offset"],
        ),
        ("unsubscribe", r#""group":"g","consumer":"c""#, &["group", "consumer"]),
        ("join_group", join, &["group", "session_timeout_ms", "rebalance_timeout_ms", "protocols"]),
        (
            "sync_group",
            r#""group":"g","member_id":"m","generation":1"#,
            &["group", "member_id", "generation"],
        ),
        (
            "heartbeat",
            r#""group":"g","member_id":"m","generation":1"#,
            &["group", "member_id", "generation"],
        ),
        ("leave_group", r#""group":"g","member_id":"m""#, &["group", "member_id"]),
        ("describe_group", r#""group":"g""#, &["group"]),
        ("delete_group", r#""group":"g""#, &["group"]),
        ("delete_offsets", r#""group":"g","topic":"t""#, &["group", "topic"]),
        (
            "calculate_session_timeout",
            r#""processing_time_ms":1,"num_partitions":1"#,
            &["processing_time_ms", "num_partitions"],
        ),
        (
            "estimate_consumer_throughput",
            r#""max_poll_records":1,"processing_time_per_record_ms":1,"num_consumers":1,"num_partitions":1"#,
            &[
                "max_poll_records",
                "processing_time_per_record_ms",
                "num_consumers",
                "num_partitions",
            ],
        ),
        ("read", r#""key":1"#, &["key"]),
        ("write", r#""key":1,"value":1"#, &["key", "value"]),
        ("cas", r#""key":1,"from":1,"to":1"#, &["key", "from", "to"]),
        ("send", r#""key":"k","msg":1"#, &["key"]),
    ];
    let any = ["echo", "read", "write", "cas"];
    let mut node = Node::alone();
    for (kind, body, needed) in types {
        let right: Value = serde_json::from_str(&format!("{{{body}}}")).expect("a right body");
        for field in *needed {
            let mut bodies = vec![];
            let mut without = right.clone();
            without.as_object_mut().expect("an object").remove(*field);
            bodies.push(("left out", without));
            // What may be any JSON value may be null, and has no wrong type.
            if !any.contains(kind) {
                for wrong in [
                    json!(null),
                    json!(true),
                    json!(1.5),
                    json!("-"),
                    json!([[]]),
                    json!({"x": {}}),
                ] {
                    // Some of these are right: a name may be "-", a time 1.5.
                    let is_name = wrong == "-" && right[*field].is_string();
                    let is_number = wrong == 1.5 && field.contains("processing_time");
                    if !is_name && !is_number {
                        let mut with = right.clone();
                        with[*field] = wrong;
                        bodies.push(("wrong", with));
                    }
                }
            }
            for (how, body) in bodies {
                let reply = node.call("c1", &format!("{kind} {body}"));
                let told = (&reply["type"], &reply["code"], &reply["error"]);
                assert_eq!(
                    told,
                    (&json!("error"), &json!(12), &json!("INVALID_REQUEST")),
                    "{kind}: {field} {how}: {body} => {reply}"
                );
                let text = reply["text"].as_str().expect("a text");
                assert!(text.contains(field), "{kind}: {field} {how}: {body} => {reply}");
            }
        }
    }
}

#[test]
fn records_that_go_and_idempotent_producers() {
    rows(
        r#"
        send {"topic": "t", "message": 1, "partition": 0, "producer_id": 1} => 12 INVALID_REQUEST producer_epoch
        send {"topic": "t", "message": 1, "partition": 0, "sequence": 0} => 12 INVALID_REQUEST producer_id
        send {"topic": "t", "message": 1, "producer_id": 1, "producer_epoch": 0, "sequence": 0} => 12 INVALID_REQUEST partition
        send {"topic": "t", "message": 1, "partition": 0, "producer_id": 1, "producer_epoch": 32768, "sequence": 0} => 12 INVALID_REQUEST producer_epoch, 32768
        send {"topic": "t", "message": 1, "partition": 0, "producer_id": 1, "producer_epoch": 0, "sequence": 2147483648} => 12 INVALID_REQUEST sequence, 2147483648
        delete_records {"partition": 0, "offset": 0} => 12 INVALID_REQUEST topic
        delete_records {"topic": "t", "offset": 0} => 12 INVALID_REQUEST partition
        delete_records {"topic": "t", "partition": 0} => 12 INVALID_REQUEST offset
        delete_records {"topic": "t", "partition": 0, "offset": -1} => 12 INVALID_REQUEST offset, -1
        "#,
    );
}

#[test]
fn values_out_of_range_and_fields_of_two_forms() {
    let long = "n".repeat(250);
    let longest = "é".repeat(249);
    rows(&format!(
        r#"
        create_topic {{"topic": "t2", "partitions": 0}} => 12 INVALID_REQUEST partitions, 0, 1
        create_topic {{"topic": "t2", "partitions": -1}} => 12 INVALID_REQUEST partitions, -1
        create_topic {{"topic": "t2", "partitions": 18446744073709551617}} => 12 INVALID_REQUEST partitions, 18446744073709551617
        create_topic {{"topic": "", "partitions": 1}} => 12 INVALID_REQUEST topic
        create_topic {{"topic": "{long}", "partitions": 1}} => 12 INVALID_REQUEST topic, nnn, 249
        create_partitions {{"topic": "t", "partitions": 1}} => 12 INVALID_REQUEST t, 2, 1
        create_partitions {{"topic": "t", "partitions": 10001}} => 12 INVALID_REQUEST partitions, 10001
        send {{"topic": "t"}} => 12 INVALID_REQUEST msg, message
        send {{"key": "k"}} => 12 INVALID_REQUEST msg, message
        send {{"topic": "t", "message": 1, "partition": -1}} => 12 INVALID_REQUEST partition, -1
        send {{"topic": "t", "message": 1, "partition": "0"}} => 12 INVALID_REQUEST partition, "0"
        send {{"topic": "t", "message": 1, "key": 5}} => 12 INVALID_REQUEST key, 5
        send {{"topic": 5, "message": 1}} => 12 INVALID_REQUEST topic, 5
        send {{"key": 5, "msg": 1}} => 12 INVALID_REQUEST key, 5
        send {{"key": null, "msg": 1}} => 12 INVALID_REQUEST key
        poll {{}} => 12 INVALID_REQUEST offsets, group, consumer
        poll {{"offsets": {{"k": 0}}, "group": "thin", "consumer": "a"}} => 12 INVALID_REQUEST offsets, group
        poll {{"offsets": {{"k": 0}}, "consumer": "a"}} => 12 INVALID_REQUEST offsets, consumer
        poll {{"offsets": {{"k": -1}}}} => 12 INVALID_REQUEST offsets, -1
        poll {{"offsets": {{"k": 1.5}}}} => 12 INVALID_REQUEST offsets, 1.5
        poll {{"offsets": {{"k": "0"}}}} => 12 INVALID_REQUEST offsets
        poll {{"offsets": []}} => 12 INVALID_REQUEST offsets
        poll {{"group": "thin", "consumer": "a", "max_messages": 0}} => 12 INVALID_REQUEST max_messages, 0
        poll {{"group": "thin", "consumer": "a", "max_messages": -5}} => 12 INVALID_REQUEST max_messages, -5
        commit_offsets {{"offsets": {{"k": -1}}}} => 12 INVALID_REQUEST offsets, -1
        list_committed_offsets {{"keys": [1]}} => 12 INVALID_REQUEST keys
        fetch {{"topic": "t", "partition": 0, "offset": -1}} => 12 INVALID_REQUEST offset, -1
        fetch {{"topic": "t", "partition": -1, "offset": 0}} => 12 INVALID_REQUEST partition, -1
        fetch {{"topic": "t", "partition": 0, "offset": 0, "max_messages": 0}} => 12 INVALID_REQUEST max_messages, 0
        commit_offset {{"group": "g", "topic": "t", "partition": 0, "offset": -1}} => 12 INVALID_REQUEST offset, -1
        commit_offset {{"group": "g", "topic": "t", "partition": 0, "offset": 9223372036854775808}} => 12 INVALID_REQUEST offset, 9223372036854775808
        commit_offset {{"group": "g", "topic": "t", "partition": 0, "offset": 1, "metadata": 5}} => 12 INVALID_REQUEST metadata, 5
        commit_offset {{"group": "g", "topic": "t", "partition": 0, "offset": 1, "generation": "1"}} => 12 INVALID_REQUEST generation
        commit_offset {{"group": "g", "topic": "t", "partition": 0, "offset": 1, "member_id": 1}} => 12 INVALID_REQUEST member_id, 1
        commit_offset {{"group": "{long}", "topic": "t", "partition": 0, "offset": 1}} => 12 INVALID_GROUP_ID group, nnn, 249
        commit_offset {{"group": "{longest}é", "topic": "t", "partition": 0, "offset": 1}} => 12 INVALID_GROUP_ID group, 249
        fetch_offset {{"group": "", "topic": "t", "partition": 0}} => 12 INVALID_GROUP_ID group
        fetch_offset {{"group_id": "", "topic": "t", "partition": 0}} => 12 INVALID_GROUP_ID group_id
        consumer_rebalance {{"group": "", "consumers": [], "partitions": []}} => 12 INVALID_GROUP_ID group
        consumer_rebalance {{"group": "g", "consumers": [""], "partitions": []}} => 12 INVALID_REQUEST consumers
        consumer_rebalance {{"group": "g", "consumers": ["{long}"], "partitions": []}} => 12 INVALID_REQUEST consumers, nnn
        consumer_rebalance {{"group": "g", "consumers": [1], "partitions": []}} => 12 INVALID_REQUEST consumers, 1
        consumer_rebalance {{"group": "g", "consumers": [], "partitions": [-1]}} => 12 INVALID_REQUEST partitions, -1
        consumer_rebalance {{"group": "g", "consumers": [], "partitions": ["0"]}} => 12 INVALID_REQUEST partitions
        consumer_rebalance {{"group": "g", "consumers": [], "partitions": 6}} => 12 INVALID_REQUEST partitions, 6
        consumer_rebalance {{"group": "g", "consumers": [], "partitions": [], "strategy": 1}} => 12 INVALID_REQUEST strategy, 1
        consumer_rebalance {{"group": "g", "consumers": [], "partitions": [], "strategy": ""}} => 12 UNSUPPORTED_ASSIGNOR strategy
        subscribe {{"group": "", "consumer": "c"}} => 12 INVALID_GROUP_ID group
        subscribe {{"group": "g", "consumer": ""}} => 12 INVALID_REQUEST consumer
        subscribe {{"group": "g", "consumer": "{long}"}} => 12 INVALID_REQUEST consumer, nnn
        subscribe {{"group": "g", "consumer": "c", "topics": "t"}} => 12 INVALID_REQUEST topics
        subscribe {{"group": "g", "consumer": "c", "topics": [""]}} => 12 INVALID_REQUEST topics
        subscribe {{"group": "g", "consumer": "c", "instance_id": ""}} => 12 INVALID_REQUEST instance_id
        subscribe {{"group": "g", "consumer": "c", "session_timeout_ms": "1000"}} => 12 INVALID_REQUEST session_timeout_ms
        unsubscribe {{"group": "thin", "consumer": "a", "permanent": 1}} => 12 INVALID_REQUEST permanent, 1
        heartbeat {{"group": "thin"}} => 12 INVALID_REQUEST consumer, member_id
        heartbeat {{"group": "thin", "consumer": "a", "member_id": "a"}} => 12 INVALID_REQUEST consumer, member_id
        heartbeat {{"group": "classic", "member_id": "$m"}} => 12 INVALID_REQUEST generation
        join_group {{"group": "", "member_id": "", "session_timeout_ms": 1000, "rebalance_timeout_ms": 1000, "protocols": [{{"name": "range", "topics": []}}]}} => 12 INVALID_GROUP_ID group
        join_group {{"group": "g", "member_id": "", "session_timeout_ms": 1000, "rebalance_timeout_ms": 1000, "protocols": [{{"name": "", "topics": []}}]}} => 12 INVALID_REQUEST name
        join_group {{"group": "g", "member_id": "", "session_timeout_ms": 1000, "rebalance_timeout_ms": 1000, "protocols": [{{"name": "range"}}]}} => 12 INVALID_REQUEST topics
        join_group {{"group": "g", "member_id": "", "session_timeout_ms": 1000, "rebalance_timeout_ms": 1000, "protocols": [{{"name": "range", "topics": [], "owned": {{"t": [-1]}}}}]}} => 12 INVALID_REQUEST owned, -1
        join_group {{"group": "g", "member_id": 5, "session_timeout_ms": 1000, "rebalance_timeout_ms": 1000, "protocols": [{{"name": "range", "topics": []}}]}} => 12 INVALID_REQUEST member_id, 5
        sync_group {{"group": "classic", "member_id": "$m", "generation": 1, "assignments": []}} => 12 INVALID_REQUEST assignments
        sync_group {{"group": "classic", "member_id": "$m", "generation": 1, "assignments": {{"x": {{"t": "0"}}}}}} => 12 INVALID_REQUEST assignments
        delete_offsets {{"group": "simple", "topic": "t", "partitions": [-1]}} => 12 INVALID_REQUEST partitions, -1
        cas {{"key": "k", "from": 1, "to": 2, "create_if_not_exists": "yes"}} => 12 INVALID_REQUEST create_if_not_exists, yes
        calculate_session_timeout {{"processing_time_ms": -1, "num_partitions": 1}} => 12 INVALID_REQUEST processing_time_ms, -1
        calculate_session_timeout {{"processing_time_ms": 1, "num_partitions": -1}} => 12 INVALID_REQUEST num_partitions, -1
        calculate_session_timeout {{"processing_time_ms": 1, "num_partitions": 1, "safety_margin": -0.5}} => 12 INVALID_REQUEST safety_margin, -0.5
        calculate_session_timeout {{"processing_time_ms": 1e300, "num_partitions": 1, "safety_margin": 1e300}} => 12 INVALID_REQUEST large
        calculate_session_timeout {{"processing_time_ms": 1e999, "num_partitions": 1}} => 12 INVALID_REQUEST processing_time_ms, 1e999
        estimate_consumer_throughput {{"max_poll_records": 1, "processing_time_per_record_ms": 1, "num_consumers": 0, "num_partitions": 1}} => 12 INVALID_REQUEST num_consumers, 0
        estimate_consumer_throughput {{"max_poll_records": 1, "processing_time_per_record_ms": -1, "num_consumers": 1, "num_partitions": 1}} => 12 INVALID_REQUEST processing_time_per_record_ms, -1
        estimate_consumer_throughput {{"max_poll_records": -1, "processing_time_per_record_ms": 1, "num_consumers": 1, "num_partitions": 1}} => 12 INVALID_REQUEST max_poll_records, -1
    "#
    ));
    Node::alone().play(&format!(
        r#"
        c1 > create_topic {{"topic": "{longest}", "partitions": 1}}
        c1 < create_topic_ok
        c1 > commit_offset {{"group": "{longest}", "topic": "t", "partition": 0, "offset": 1}}
        c1 < commit_offset_ok
        "#
    ));
}

#[test]
fn the_leaders_assignments_have_to_fit() {
    Node::alone().play(
        r#"
        p > create_topic {"topic": "t", "partitions": 2}
        p < create_topic_ok
        a > join_group {"group": "g", "member_id": "", "session_timeout_ms": 45000, "rebalance_timeout_ms": 300000, "protocols": [{"name": "mine", "topics": ["t"]}]}
        a < join_group_ok {"generation": 1, "protocol": "mine", "leader": "$a", "member_id": "$a", "members": [{"member_id": "$a", "instance_id": null, "topics": ["t"], "owned": {}, "generation": null}]}
        b > join_group {"group": "g", "member_id": "", "session_timeout_ms": 45000, "rebalance_timeout_ms": 300000, "protocols": [{"name": "mine", "topics": ["t"]}]}
        a > join_group {"group": "g", "member_id": "$a", "session_timeout_ms": 45000, "rebalance_timeout_ms": 300000, "protocols": [{"name": "mine", "topics": ["t"]}]}
        b < join_group_ok {"generation": 2, "protocol": "mine", "leader": "$a", "member_id": "$b", "members": []}
        a < join_group_ok {"generation": 2, "protocol": "mine", "leader": "$a", "member_id": "$a", "members": [{"member_id": "$a", "instance_id": null, "topics": ["t"], "owned": {}, "generation": null}, {"member_id": "$b", "instance_id": null, "topics": ["t"], "owned": {}, "generation": null}]}
        # Overlapping, a stranger, a topic that it does not subscribe to.
        a > sync_group {"group": "g", "member_id": "$a", "generation": 2, "assignments": {"$a": {"t": [0, 1]}, "$b": {"t": [1]}}}
        a < error 12 INVALID_REQUEST $a, $b, t, 1
        a > sync_group {"group": "g", "member_id": "$a", "generation": 2, "assignments": {"ghost": {"t": [0]}}}
        a < error 12 INVALID_REQUEST ghost
        a > sync_group {"group": "g", "member_id": "$a", "generation": 2, "assignments": {"$b": {"u": [0]}}}
        a < error 12 INVALID_REQUEST $b, u
        # `mine` is none that the coordinator could run.
        a > sync_group {"group": "g", "member_id": "$a", "generation": 2}
        a < error 12 UNSUPPORTED_ASSIGNOR mine
        a > sync_group {"group": "g", "member_id": "$a", "generation": 2, "assignments": {"$b": {"t": [0, 1]}}}
        a < sync_group_ok {"assignment": {}}
        b > sync_group {"group": "g", "member_id": "$b", "generation": 2}
        b < sync_group_ok {"assignment": {"t": [0, 1]}}
        "#,
    );
}

/// The reply's `src` is what the request called the node; like every reply to a client it has a
/// number.
#[test]
fn before_init_there_is_nobody_to_answer() {
    let mut node = Node::start(&[]);
    for (i, body) in
        [r#""type":"echo","echo":1"#, r#""type":"list_topics""#, r#""type":"nonsense""#]
            .iter()
            .enumerate()
    {
        node.write_line(&format!(r#"{{"src":"c1","dest":"n7","body":{{"msg_id":5,{body}}}}}"#));
        let line = node.line();
        let head = r#"{"src":"n7","dest":"c1","body":{"type":"error","in_reply_to":5,"code":11,"error":"COORDINATOR_NOT_AVAILABLE","text":""#;
        assert!(line.starts_with(head), "{line}");
        assert!(line.contains("init"), "{line}");
        assert!(line.ends_with(&format!(r#"","msg_id":{i}}}}}"#)), "{line}");
    }
    node.write_line(
        r#"{"src":"c0","dest":"n7","body":{"type":"init","msg_id":1,"node_id":"n7","node_ids":["n7"]}}"#,
    );
    assert_eq!(
        node.line(),
        r#"{"src":"n7","dest":"c0","body":{"type":"init_ok","in_reply_to":1,"msg_id":3}}"#
    );
}

#[test]
fn a_wrong_init_may_be_repaired_and_another_one_may_not_follow() {
    Node::start(&[]).play(
        r#"
        c0 > init {"node_ids": ["n1"]}
        c0 < error 12 INVALID_REQUEST node_id
        c0 > init {"node_id": "n1"}
        c0 < error 12 INVALID_REQUEST node_ids
        c0 > init {"node_id": 1, "node_ids": ["n1"]}
        c0 < error 12 INVALID_REQUEST node_id
        c0 > init {"node_id": "n1", "node_ids": []}
        c0 < error 12 INVALID_REQUEST node_ids, n1
        c0 > init {"node_id": "n1", "node_ids": ["n2", "n3"]}
        c0 < error 12 INVALID_REQUEST node_ids, n1
        c0 > init {"node_id": "n1", "node_ids": ["n1", ""]}
        c0 < error 12 INVALID_REQUEST node_ids
        c0 > init {"node_id": "n1", "node_ids": ["n1"]}
        c0 < init_ok
        c1 > init {"node_id": "n1", "node_ids": ["n1"]}
        c1 < init_ok
        c1 > init {"node_id": "n1", "node_ids": ["n1", "n2"]}
        c1 < error 22 INVALID_REQUEST n1
        c1 > init {"node_id": "n2", "node_ids": ["n1"]}
        c1 < error 22 INVALID_REQUEST n1
        c1 > list_topics
        c1 < list_topics_ok {"topics": {}}
        "#,
    );
}

/// A request without a type, or with one that is no string, has a `msg_id` and so an answer.
#[test]
fn a_request_without_a_type_is_refused() {
    let mut node = Node::alone();
    for body in [
        r#"{"msg_id":3}"#,
        r#"{"msg_id":3,"type":null}"#,
        r#"{"msg_id":3,"type":7}"#,
        r#"{"msg_id":3,"type":["echo"]}"#,
    ] {
        node.write_line(&format!(r#"{{"src":"c1","dest":"n1","body":{body}}}"#));
        let line = node.line();
        let head = r#"{"src":"n1","dest":"c1","body":{"type":"error","in_reply_to":3,"code":12,"error":"INVALID_REQUEST","text":""#;
        assert!(line.starts_with(head) && line.contains("type"), "{line}");
    }
}

/// An error's text is not as long as the value that it names.
#[test]
fn texts_are_short() {
    let mut node = Node::alone();
    let long = "y".repeat(100_000);
    for request in [
        format!("{long} {{}}"),
        format!(r#"fetch_offset {{"group": "{long}", "topic": "t", "partition": 0}}"#),
        format!(r#"create_topic {{"topic": "{long}", "partitions": 1}}"#),
        format!(r#"subscribe {{"group": "g", "consumer": "c", "strategy": "{long}"}}"#),
        format!(r#"create_topic {{"topic": "t", "partitions": "{long}"}}"#),
        format!(
            r#"sync_group {{"group": "g", "member_id": "m", "generation": 1, "assignments": {{"{long}": {{}}}}}}"#
        ),
    ] {
        let reply = node.call("c1", &request);
        assert_eq!(reply["type"], "error", "{reply}");
        let text = reply["text"].as_str().expect("a text");
        assert!(text.contains("yyy") && text.len() < 1_000, "{text}");
    }
}
