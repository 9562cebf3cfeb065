//! From start to end of a process: flags, logs, the order of replies, deadlines without a leader,
//! silence towards peers, end of input.

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Node, PATIENCE, cohort};

#[test]
fn help_says_what_there_is() {
    for (flag, expected) in
        [("--help", "--request-timeout"), ("-h", "--heartbeat"), ("--version", "cohort 0")]
    {
        let output = cohort(&[flag]).output().expect("the binary under test starts");
        assert_eq!(output.status.code(), Some(0), "{flag}");
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(text.contains(expected), "{flag}: {text}");
        assert!(output.stderr.is_empty(), "{flag}");
    }
}

#[test]
fn a_wrong_flag_gets_one_line_and_exit_code_2() {
    let rows: &[(&[&str], &str)] = &[
        (&["--no-such-flag"], "--no-such-flag"),
        (&["stray"], "stray"),
        (&["--request-timeout"], "--request-timeout"),
        (&["--request-timeout", "soon"], "soon"),
        (&["--request-timeout", "99"], "99"),
        (&["--request-timeout", "-1"], "-1"),
        (&["--default-partitions", "0"], "0"),
        (&["--default-partitions", "10001"], "10001"),
        (&["--heartbeat", "600", "--election-min", "500"], "--heartbeat 600"),
        (&["--election-min", "900", "--election-max", "800"], "--election-min 900"),
        (
            &["--session-timeout-min", "500", "--session-timeout-max", "400"],
            "--session-timeout-min 500",
        ),
        (
            &["--rebalance-timeout-min", "5", "--rebalance-timeout-max", "4"],
            "--rebalance-timeout-min 5",
        ),
        (&["--log", "not=a=filter"], "not=a=filter"),
        (&["--max-line", "10"], "10"),
    ];
    for (args, named) in rows {
        let output = cohort(args).output().expect("the binary under test starts");
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}");
        let text = String::from_utf8(output.stderr).expect("text");
        assert_eq!(text.lines().count(), 1, "{args:?}: {text}");
        assert!(text.contains(named), "{args:?}: {text}");
    }
}

#[test]
fn logs_go_to_stderr_alone() {
    let mut node = Node::alone_with(&["--log", "trace"]);
    node.play("c1 > send {\"key\": \"k\", \"msg\": 1}\nc1 < send_ok {\"offset\": 0}");
    node.write_line("nonsense");
    node.play("c1 > echo {\"echo\": 1}\nc1 < echo_ok {\"echo\": 1}");
    let stderr = node
        .wait_for_stderr("a level below warn, and the line that was skipped", |stderr| {
            stderr.contains("DEBUG") && stderr.contains("nonsense")
        });
    assert!(stderr.contains("WARN"), "{stderr}");
    assert_eq!(node.end().well(), Vec::<String>::new());
    // By default nothing is logged where nothing is wrong.
    let mut node = Node::alone();
    node.play("c1 > send {\"key\": \"k\", \"msg\": 1}\nc1 < send_ok {\"offset\": 0}");
    let ended = node.end();
    assert_eq!(ended.stderr, "");
    ended.well();
}

#[test]
fn the_end_of_input_is_the_end() {
    // Before anything was said, after `init`, and in the middle of a line.
    assert!(Node::start(&[]).end().well().is_empty());
    assert!(Node::alone().end().well().is_empty());
    let mut node = Node::alone();
    node.write(br#"{"src":"c1","dest":"n1","body":{"type":"echo","msg_"#);
    assert!(node.end().well().is_empty());
    // A last line without its end is a line.
    let mut node = Node::alone();
    node.write(br#"{"src":"c1","dest":"n1","body":{"type":"send","msg_id":1,"key":"k","msg":1}}"#);
    assert_eq!(node.end().well().len(), 1);
}

#[test]
fn input_that_cannot_be_read_is_no_end_of_input() {
    let folder = std::fs::File::open(std::env::temp_dir()).expect("a folder");
    let output = cohort(&[]).stdin(folder).output().expect("the binary under test starts");
    let text = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("standard input cannot be read"), "{text}");
    assert!(text.contains("Is a directory"), "{text}");
}

#[test]
fn regression_a_node_whose_output_nobody_reads_any_more_ends_at_once() {
    use std::io::Write;
    use std::process::Stdio;

    // The first has output waiting when its reader goes, more than it takes before it stops to read.
    for (requests, bytes) in [(120, 1_000_000), (1, 10)] {
        let mut child = cohort(&[])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary under test starts");
        let mut input = child.stdin.take().expect("a pipe");
        let text = "x".repeat(bytes);
        let asked = std::thread::spawn(move || {
            for id in 1..=requests {
                let body = json!({ "type": "echo", "msg_id": id, "echo": &text });
                let line = json!({ "src": "c1", "dest": "n1", "body": body });
                // It may well have ended before it has read all.
                if writeln!(input, "{line}").is_err() {
                    break;
                }
            }
            input
        });
        drop(child.stdout.take());
        // The input stays open until it has ended.
        let output = child.wait_with_output().expect("it ends");
        drop(asked.join().expect("no panic"));
        let text = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("standard output cannot be written"), "{text}");
    }
}

/// Where a user may have no more threads.
#[cfg(target_os = "linux")]
#[test]
fn a_json_node_that_gets_no_thread_ends_with_a_reason() {
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    // Root has no such limit. Nobody may not be allowed to look where the binary is.
    let is_root = std::fs::metadata("/proc/self").expect("this process").uid() == 0;
    let binary = std::env::temp_dir().join(format!("cohort-{}", std::process::id()));
    std::fs::copy(env!("CARGO_BIN_EXE_cohort"), &binary).expect("copied");
    let mut command = Command::new("prlimit");
    command.arg("--nproc=1:1").arg(&binary).stdin(Stdio::null());
    if is_root {
        command.uid(65_534);
    }
    let output = command.output().expect("prlimit is there");
    let text = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("no thread") && text.contains("os error 11"), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    std::fs::remove_file(&binary).expect("it was copied");
}

#[test]
fn what_was_taken_in_is_finished() {
    let mut node = Node::alone();
    for i in 0..2_000 {
        node.ask("c1", &format!(r#"send {{"key": "k", "msg": {i}}}"#));
    }
    node.ask("c1", r#"poll {"offsets": {"k": 1999}}"#);
    let lines = node.end().well();
    assert_eq!(lines.len(), 2_001);
    for (line, offset) in lines.iter().zip(0..2_000) {
        let reply: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(
            (&reply["body"]["type"], &reply["body"]["offset"]),
            (&json!("send_ok"), &json!(offset))
        );
    }
    assert!(lines[2_000].contains(r#""msgs":{"k":[[1999,1999]]}"#), "{}", lines[2_000]);
}

const JOIN: &str = r#""session_timeout_ms":60000,"rebalance_timeout_ms":60000,"protocols":[{"name":"range","topics":[]}]"#;

#[test]
fn a_waiting_join_and_a_waiting_sync_are_answered_at_the_end() {
    let mut node = Node::alone();
    // A second member waits for the first to join again.
    node.call("a", &format!(r#"join_group {{"group":"g","member_id":"",{JOIN}}}"#));
    node.ask("b", &format!(r#"join_group {{"group":"g","member_id":"",{JOIN}}}"#));
    // In another group a follower waits for the leader's assignment.
    let first = node.call("c", &format!(r#"join_group {{"group":"h","member_id":"",{JOIN}}}"#));
    node.ask("d", &format!(r#"join_group {{"group":"h","member_id":"",{JOIN}}}"#));
    let leader = first["member_id"].as_str().expect("an id").to_owned();
    node.ask("c", &format!(r#"join_group {{"group":"h","member_id":"{leader}",{JOIN}}}"#));
    let (joined, _) = (node.reply("d"), node.reply("c"));
    let (member, generation) = (&joined["member_id"], &joined["generation"]);
    node.ask(
        "d",
        &format!(r#"sync_group {{"group":"h","member_id":{member},"generation":{generation}}}"#),
    );
    // Neither holds anybody up, not even its own client.
    node.play("e > list_topics\ne < list_topics_ok {\"topics\": {}}");
    node.write_line(r#"{"src":"b","dest":"n1","body":{"type":"echo","msg_id":900,"echo":1}}"#);
    assert!(node.line_to("b").contains("echo_ok"));
    let lines = node.end().well();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for client in ["b", "d"] {
        let found = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut found = found.filter(|line| line["dest"] == client);
        let body = &found.next().unwrap_or_else(|| panic!("an answer to {client}"))["body"];
        assert_eq!((&body["code"], &body["error"]), (&json!(22), &json!("REBALANCE_IN_PROGRESS")));
    }
}

/// Requests of several clients at once: one node answers all of them in the order in which they
/// came, whether it needs the replicated state for that or not.
#[test]
fn one_node_answers_everyone_in_the_order_of_requests() {
    let mut node = Node::alone();
    let mut input = String::new();
    for i in 0..900 {
        let body = match i % 9 {
            0 => format!(r#""type":"send","key":"k","msg":{i}"#),
            1 => r#""type":"poll","offsets":{"k":0}"#.to_owned(),
            2 => format!(r#""type":"echo","echo":{i}"#),
            3 => r#""type":"nonsense""#.to_owned(),
            4 => format!(r#""type":"write","key":1,"value":{i}"#),
            5 => r#""type":"read","key":1"#.to_owned(),
            6 => r#""type":"cluster_status""#.to_owned(),
            7 => r#""type":"topology""#.to_owned(),
            _ => r#""type":"calculate_session_timeout","processing_time_ms":1,"num_partitions":1"#
                .to_owned(),
        };
        let client = i % 5;
        input += &format!(
            "{{\"src\":\"c{client}\",\"dest\":\"n1\",\"body\":{{\"msg_id\":{i},{body}}}}}\n"
        );
    }
    node.write(input.as_bytes());
    for i in 0..900 {
        let line = node.line();
        let reply: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(reply["body"]["in_reply_to"], i, "{line}");
        assert_eq!(reply["dest"], format!("c{}", i % 5), "{line}");
        if i % 9 == 5 {
            assert_eq!(reply["body"]["value"], i - 1, "a read sees the write before it: {line}");
        }
        if i % 9 == 1 {
            let messages = reply["body"]["msgs"]["k"].as_array().map_or(0, Vec::len);
            assert_eq!(messages, i / 9 + 1, "a poll sees the send before it: {line}");
        }
    }
}

/// Three nodes, two of them nowhere: no leader. Nothing was handed to Raft or printed, so refusals
/// are definite; but `commit_offsets` is never told a definite one.
#[test]
fn without_a_leader_requests_wait_until_their_deadline() {
    let mut node = Node::forsaken(&["--request-timeout", "600", "--quiet", "600000"]);
    // These need no leader.
    node.play(
        r#"
        c1 > echo {"echo": 1}
        c1 < echo_ok {"echo": 1}
        c1 > topology {"topology": {}}
        c1 < topology_ok
        c1 > calculate_session_timeout {"processing_time_ms": 1, "num_partitions": 1}
        c1 < calculate_session_timeout_ok {"session_timeout_ms": 30000}
        c1 > estimate_consumer_throughput {"max_poll_records": 1, "processing_time_per_record_ms": 1, "num_consumers": 1, "num_partitions": 1}
        c1 < estimate_consumer_throughput_ok {"records_per_sec_per_consumer": 1000.0, "total_records_per_sec": 1000.0, "partitions_per_consumer": 1.0, "recommended_consumers": 1}
        c1 > fetch {"topic": "t", "partition": -1, "offset": 0}
        c1 < error 12 INVALID_REQUEST partition
        "#,
    );
    let rows = [
        (r#"read {"key": 1}"#, 11, "COORDINATOR_NOT_AVAILABLE"),
        (r#"poll {"offsets": {"k": 0}}"#, 11, "COORDINATOR_NOT_AVAILABLE"),
        (r#"list_groups"#, 11, "COORDINATOR_NOT_AVAILABLE"),
        (r#"heartbeat {"group": "g", "consumer": "a"}"#, 11, "COORDINATOR_NOT_AVAILABLE"),
        (r#"write {"key": 1, "value": 1}"#, 11, "COORDINATOR_NOT_AVAILABLE"),
        (r#"send {"key": "k", "msg": 1}"#, 11, "COORDINATOR_NOT_AVAILABLE"),
        (
            r#"commit_offset {"group": "g", "topic": "t", "partition": 0, "offset": 1}"#,
            11,
            "COORDINATOR_NOT_AVAILABLE",
        ),
        (r#"commit_offsets {"offsets": {"k": 0}}"#, 0, "REQUEST_TIMED_OUT"),
    ];
    for (i, (request, code, name)) in rows.iter().enumerate() {
        let client = format!("d{i}");
        let began = Instant::now();
        let reply = node.call(&client, request);
        let took = began.elapsed();
        assert_eq!(
            (&reply["code"], &reply["error"]),
            (&json!(code), &json!(name)),
            "{request}: {reply}"
        );
        assert!(reply["text"].as_str().is_some_and(|text| text.contains("600")), "{reply}");
        assert!(took >= Duration::from_millis(590), "{request} was refused after {took:?}");
        assert!(took < Duration::from_millis(1_400), "{request} was refused after {took:?}");
    }
    // All of one client at once: in its order.
    for (request, ..) in rows {
        node.ask("c2", request);
    }
    node.ask("c2", r#"echo {"echo": "last"}"#);
    node.ask("c2", "cluster_status");
    for (request, code, _) in rows {
        assert_eq!(node.reply("c2")["code"], code, "{request}");
    }
    assert_eq!(node.reply("c2")["echo"], "last");
    assert_eq!(node.reply("c2")["leader"], Value::Null);
}

/// At the end of its input a node of a cluster has nobody left to ask.
#[test]
fn without_a_leader_the_end_of_input_is_the_deadline() {
    let mut node = Node::forsaken(&["--quiet", "600000"]);
    node.ask("c1", r#"write {"key": 1, "value": 1}"#);
    node.ask("c1", r#"commit_offsets {"offsets": {"k": 0}}"#);
    node.ask("c1", r#"read {"key": 1}"#);
    node.ask("c2", &format!(r#"join_group {{"group":"g","member_id":"",{JOIN}}}"#));
    // Messages to peers, if any, are not looked at here.
    let lines = node.end().well();
    let replies: Vec<Value> =
        lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let codes = |client: &str| -> Vec<&Value> {
        replies
            .iter()
            .filter(|reply| reply["dest"] == client)
            .map(|reply| &reply["body"]["code"])
            .collect()
    };
    assert_eq!(codes("c1"), [&json!(11), &json!(0), &json!(11)], "{lines:?}");
    assert_eq!(codes("c2").len(), 1, "{lines:?}");
}

/// Maelstrom adds its nodes one by one, and a line to one that is not there yet would silence this
/// one.
#[test]
fn nothing_is_printed_to_peers_before_somebody_has_spoken() {
    // Not before the time is over …
    let began = Instant::now();
    let mut node = Node::forsaken(&["--quiet", "1000"]);
    node.play("c1 > echo {\"echo\": 1}\nc1 < echo_ok {\"echo\": 1}");
    node.play("c1 > cluster_status\nc1 < cluster_status_ok {\"node_id\": \"n1\", \"leader\": null, \"term\": $_, \"last_log_index\": null, \"commit_index\": null, \"applied_index\": null, \"snapshot_index\": null, \"voters\": [\"n1\", \"n2\", \"n3\"]}");
    let line = node.line();
    assert!(began.elapsed() >= Duration::from_millis(1_000), "after {:?}: {line}", began.elapsed());
    let message: Value = serde_json::from_str(&line).expect("JSON");
    assert!(message["dest"] == "n2" || message["dest"] == "n3", "{line}");
    assert_eq!(message["src"], "n1");
    let keys: Vec<&String> = message["body"].as_object().expect("a body").keys().collect();
    assert_eq!(keys.len(), 3, "{line}");
    assert!(
        message["body"]["incarnation"].is_u64() && message["body"]["data"].is_string(),
        "{line}"
    );
    // … or the first request that needs the cluster.
    let mut node = Node::forsaken(&["--quiet", "600000"]);
    assert_eq!(node.line_within(Duration::from_millis(1_500)), None);
    let asked = Instant::now();
    node.ask("c1", r#"read {"key": 1}"#);
    let line = node.line();
    assert!(asked.elapsed() < PATIENCE);
    let message: Value = serde_json::from_str(&line).expect("JSON");
    assert!(message["dest"] == "n2" || message["dest"] == "n3", "{line}");
}

#[test]
fn the_first_replies_come_soon() {
    let (mut init, mut replicated) = (Duration::MAX, Duration::MAX);
    for _ in 0..5 {
        let began = Instant::now();
        let mut node = Node::start(&[]);
        node.play(
            "c0 > init {\"node_id\": \"n1\", \"node_ids\": [\"n1\"]}\nc0 > send {\"key\": \"k\", \"msg\": 1}",
        );
        node.play("c0 < init_ok");
        init = init.min(began.elapsed());
        node.play("c0 < send_ok {\"offset\": 0}");
        replicated = replicated.min(began.elapsed());
    }
    // 5 and 60 ms on an idle machine; the machine of a test is not idle.
    assert!(init < Duration::from_millis(500), "{init:?}");
    assert!(replicated < Duration::from_millis(1_000), "{replicated:?}");
}
