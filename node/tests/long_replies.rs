//! Records whose text is far longer than their bytes. Whatever is taken in can be read, and a reply
//! that would not fit a line is cut short, so that the next one goes on there.

mod support;

use serde_json::Value;
use support::Node;

/// As JSON this character takes six.
const LONG: &str = r"\u0001";

/// No line that a node prints is longer.
const LINE: usize = 4 << 20;

fn ok(node: &mut Node, request: &str) -> Value {
    let reply = node.call("c1", request);
    let shown: String = reply.to_string().chars().take(200).collect();
    assert_ne!(reply["type"], "error", "{shown}");
    assert!(reply.to_string().len() <= LINE, "{shown}");
    reply
}

fn subscribed(topic: &str) -> Node {
    let mut node = Node::alone();
    ok(&mut node, &format!(r#"create_topic {{"topic":"{topic}","partitions":1}}"#));
    let subscribe = format!(r#"subscribe {{"group":"g","consumer":"a","topics":["{topic}"]}}"#);
    ok(&mut node, &subscribe);
    node
}

/// Polls until nothing is left: all offsets that were given, and how many polls gave some.
fn drained(node: &mut Node, max_messages: u32) -> (Vec<u64>, usize) {
    let poll = format!(r#"poll {{"group":"g","consumer":"a","max_messages":{max_messages}}}"#);
    let (mut offsets, mut polls) = (Vec::new(), 0);
    loop {
        let reply = ok(node, &poll);
        let records = reply["records"].as_array().expect("records");
        if records.is_empty() {
            return (offsets, polls);
        }
        offsets.extend(records.iter().map(|record| record["offset"].as_u64().expect("offset")));
        polls += 1;
    }
}

#[test]
fn a_poll_skips_no_record_because_the_reply_would_not_fit() {
    let mut node = subscribed("t");
    let key = LONG.repeat(70_000);
    for _ in 0..10 {
        ok(&mut node, &format!(r#"send {{"topic":"t","key":"{key}","message":1}}"#));
    }
    let (offsets, polls) = drained(&mut node, 10);
    assert_eq!(offsets, (0..10).collect::<Vec<_>>());
    assert_eq!(polls, 2, "ten keys of 420,000 bytes do not fit one line");
}

#[test]
fn many_records_with_escapes_are_given_piece_by_piece() {
    let mut node = subscribed("t");
    let key = LONG.repeat(1_000);
    for _ in 0..800 {
        ok(&mut node, &format!(r#"send {{"topic":"t","key":"{key}","message":1}}"#));
    }
    assert_eq!(drained(&mut node, 1_000).0, (0..800).collect::<Vec<_>>());
    ok(&mut node, r#"subscribe {"group":"g","consumer":"a","topics":["t"]}"#);
    assert_eq!(drained(&mut node, 1_000).0.len(), 800, "a restart begins again");
    let mut next = 0;
    while next < 800 {
        let fetch = format!(r#"fetch {{"topic":"t","partition":0,"offset":{next}}}"#);
        let reply = ok(&mut node, &fetch);
        let records = reply["records"].as_array().expect("records").len() as u64;
        assert!(records > 0, "a fetch goes on");
        next += records;
    }
}

#[test]
fn small_records_of_a_topic_with_a_long_name_are_cut_by_what_the_name_takes() {
    let topic = LONG.repeat(249);
    let mut node = subscribed(&topic);
    let send = format!(r#"send {{"topic":"{topic}","message":1}}"#);
    for _ in 0..4_000 {
        node.ask("c1", &send);
    }
    for _ in 0..4_000 {
        assert_eq!(node.reply("c1")["type"], "send_ok");
    }
    assert_eq!(drained(&mut node, 1_000_000).0, (0..4_000).collect::<Vec<_>>());
}

#[test]
fn a_key_that_no_reply_could_tell_is_not_taken_in() {
    let mut node = subscribed("t");
    let (fits, long) = (LONG.repeat(174_762), LONG.repeat(174_763));
    for field in ["msg", "message"] {
        let reply = node.call("c1", &format!(r#"send {{"key":"{long}","{field}":1}}"#));
        assert_eq!((&reply["code"], &reply["error"]), (&12.into(), &"MESSAGE_TOO_LARGE".into()));
        let text = reply["text"].as_str().expect("a text");
        assert!(text.contains("1048578") && text.contains("1048576"), "{text}");
    }
    let value = "v".repeat((1 << 20) - 2);
    for i in 0..4 {
        ok(&mut node, &format!(r#"send {{"topic":"t","key":"{fits}","message":"{value}"}}"#));
        let other = format!("{}{i}", LONG.repeat(174_000));
        ok(&mut node, &format!(r#"send {{"key":"{other}","msg":"{value}"}}"#));
        let offsets = format!(r#"{{"{other}":0}}"#);
        assert_eq!(
            ok(&mut node, &format!(r#"poll {{"offsets":{offsets}}}"#))["msgs"]
                .as_object()
                .map(|msgs| msgs.len()),
            Some(1)
        );
        ok(&mut node, &format!(r#"commit_offsets {{"offsets":{offsets}}}"#));
        let listed = ok(&mut node, &format!(r#"list_committed_offsets {{"keys":["{other}"]}}"#));
        assert_eq!(listed["offsets"].as_object().map(|offsets| offsets.len()), Some(1));
    }
    assert_eq!(drained(&mut node, 10).0, [0, 1, 2, 3]);
}

#[test]
fn a_poll_of_many_logs_leaves_out_what_does_not_fit() {
    let mut node = Node::alone();
    let keys: Vec<String> = (0..6).map(|i| format!("{i}{}", LONG.repeat(150_000))).collect();
    for key in &keys {
        ok(&mut node, &format!(r#"send {{"key":"{key}","msg":1}}"#));
    }
    let offsets: Vec<String> = keys.iter().map(|key| format!(r#""{key}":0"#)).collect();
    let reply = ok(&mut node, &format!(r#"poll {{"offsets":{{{}}}}}"#, offsets.join(",")));
    assert_eq!(reply["msgs"].as_object().map(|msgs| msgs.len()), Some(4));
}

#[test]
fn a_classic_group_takes_in_what_its_leader_can_be_told_and_no_more() {
    let mut node = Node::alone_with(&["--group-initial-rebalance-delay", "1000"]);
    let topics: Vec<String> = (0..1_000).map(|i| format!("\"a-topic-with-a-name-{i}\"")).collect();
    let join = format!(
        r#"join_group {{"group":"g","member_id":"","session_timeout_ms":30000,"rebalance_timeout_ms":30000,"protocols":[{{"name":"range","topics":[{}]}}]}}"#,
        topics.join(",")
    );
    for i in 0..131 {
        node.ask(&format!("m{i}"), &join);
    }
    let (mut joined, mut refused) = (0, 0);
    for i in 0..131 {
        let reply = node.reply(&format!("m{i}"));
        if reply["type"] == "join_group_ok" {
            joined += 1;
            let leads = reply["leader"] == reply["member_id"];
            assert_eq!(leads, reply["members"].as_array().is_some_and(|all| !all.is_empty()));
        } else {
            let (error, text) = (&reply["error"], reply["text"].as_str().expect("a text"));
            assert_eq!(error, "GROUP_MAX_SIZE_REACHED", "{text}");
            assert!(text.contains("4186112") && text.contains("fewer topics"), "{text}");
            refused += 1;
        }
    }
    assert!(joined > 100 && refused > 0, "{joined} joined, {refused} were refused");
}

/// It was declared, and then error 13 said that the reply would not fit.
#[test]
fn regression_a_rebalance_that_could_not_be_told_is_refused_before_it_acts() {
    let mut node = Node::alone();
    let rebalance = |count: u32| {
        let numbers: Vec<String> = (0..count).map(|i| (2_000_000_000 + i).to_string()).collect();
        format!(
            r#"consumer_rebalance {{"group":"g","consumers":["a"],"partitions":[{}]}}"#,
            numbers.join(",")
        )
    };
    let reply = node.call("c1", &rebalance(390_000));
    let text = reply["text"].as_str().expect("a text");
    assert_eq!(reply["error"], "GROUP_MAX_SIZE_REACHED", "{text}");
    assert!(text.contains("4186112") && text.contains("fewer topics or partitions"), "{text}");
    let described = node.call("c1", r#"describe_group {"group":"g"}"#);
    assert_eq!(described["error"], "GROUP_ID_NOT_FOUND", "nothing was done");
    let reply = ok(&mut node, &rebalance(340_000));
    assert_eq!(reply["assignments"]["a"].as_array().map(Vec::len), Some(340_000));
}

#[test]
fn of_equal_keys_the_last_counts_wherever_they_stand() {
    let mut node = Node::alone();
    let mut said = |line: &str| {
        node.write_line(line);
        serde_json::from_str::<Value>(&node.line()).expect("a reply")
    };
    let reply = said(
        r#"{"src":"x","src":"c1","dest":"n1","body":5,"body":{"type":"echo","msg_id":1,"echo":1,"echo":2}}"#,
    );
    assert_eq!((&reply["dest"], &reply["body"]["echo"]), (&"c1".into(), &2.into()));
    said(r#"{"src":"c1","dest":"n1","body":{"type":"send","msg_id":2,"key":"k","msg":7}}"#);
    let reply = said(
        r#"{"src":"c1","dest":"n1","body":{"type":"poll","msg_id":3,"offsets":{"k":5,"k":-1,"k":0}}}"#,
    );
    assert_eq!(reply["body"]["msgs"].to_string(), r#"{"k":[[0,7]]}"#);
    let commit = r#"{"src":"c1","dest":"n1","body":{"type":"commit_offsets","msg_id":4,"offsets":{"k":5,"k":0}}}"#;
    assert_eq!(said(commit)["body"]["type"], "commit_offsets_ok");
    let list = r#"{"src":"c1","dest":"n1","body":{"type":"list_committed_offsets","msg_id":5,"keys":["k"]}}"#;
    assert_eq!(said(list)["body"]["offsets"].to_string(), r#"{"k":0}"#);
}
