//! Whatever comes in: an answer, or a skip that is counted and logged with the line's first 200
//! characters; the node lives on, and its memory is bounded.

mod support;

use std::io::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use support::{Node, PATIENCE, peak_mib};

/// Writes bad lines, then asks something: the node has skipped as many as expected, and answers
/// nothing but the request.
fn skipped(node: &mut Node, input: &[u8], count: usize) {
    let before = skips(&node.stderr());
    node.write(input);
    node.write(b"\n");
    node.play("after > echo {\"echo\": \"alive\"}\nafter < echo_ok {\"echo\": \"alive\"}");
    let shown = String::from_utf8_lossy(&input[..input.len().min(100)]).into_owned();
    let stderr = node
        .wait_for_stderr(&format!("{shown:?}: {count} skips more than {before}"), |stderr| {
            skips(stderr) >= before + count
        });
    assert_eq!(skips(&stderr), before + count, "{shown:?}: {stderr}");
    // They are counted.
    assert!(stderr.contains(&format!("skipped={}", before + count)), "{shown:?}: {stderr}");
}

fn skips(stderr: &str) -> usize {
    stderr.matches("skipped=").count()
}

const GOOD: &str = r#"{"src":"c1","dest":"n1","body":{"type":"echo","msg_id":1,"echo":1}}"#;

#[test]
fn lines_that_are_no_message_are_skipped() {
    let mut node = Node::alone();
    for line in [
        "nonsense",
        "}",
        "]",
        "[1,2,3]",
        "\"text\"",
        "12",
        "null",
        "{\"a\":1}}",
        "{]",
        "{}",
        r#"{"src":"c1","dest":"n1"}"#,
        r#"{"src":"c1","dest":"n1","body":{}}"#,
        r#"{"src":"c1","dest":"n1","body":[]}"#,
        r#"{"src":"c1","dest":"n1","body":"echo"}"#,
        r#"{"src":"c1","dest":"n1","body":null}"#,
        r#"{"dest":"n1","body":{"type":"echo","msg_id":1,"echo":1}}"#,
        r#"{"src":null,"dest":"n1","body":{"type":"echo","msg_id":1,"echo":1}}"#,
        r#"{"src":7,"dest":"n1","body":{"type":"echo","msg_id":1,"echo":1}}"#,
        r#"{"src":"c1","dest":7,"body":{"type":"echo","msg_id":1,"echo":1}}"#,
        // Nobody could tell to what it is the answer.
        r#"{"src":"c1","dest":"n1","body":{"type":"echo","echo":1}}"#,
        r#"{"src":"c1","dest":"n1","body":{"type":"echo","echo":1,"msg_id":null}}"#,
        r#"{"src":"c1","dest":"n1","body":{"type":"echo","echo":1,"msg_id":"1"}}"#,
        r#"{"src":"c1","dest":"n1","body":{"type":"echo","echo":1,"msg_id":1.5}}"#,
        r#"{"src":"c1","dest":"n1","body":{"type":"echo","echo":1,"msg_id":18446744073709551616}}"#,
        // For another node.
        r#"{"src":"c1","dest":"n2","body":{"type":"echo","echo":1,"msg_id":1}}"#,
        r#"{"src":"c1","dest":"","body":{"type":"echo","echo":1,"msg_id":1}}"#,
        // Replies to nothing.
        r#"{"src":"c1","dest":"n1","body":{"type":"echo_ok","echo":1,"in_reply_to":1}}"#,
        r#"{"src":"c1","dest":"n1","body":{"type":"echo_ok","echo":1,"in_reply_to":1,"msg_id":4}}"#,
        r#"{"src":"c1","dest":"n1","body":{"type":"error","code":0,"in_reply_to":1,"msg_id":4}}"#,
        // Raft of a node that is not in the cluster.
        r#"{"src":"n2","dest":"n1","body":{"type":"raft_append","incarnation":1,"data":"AAAA"}}"#,
    ] {
        skipped(&mut node, line.as_bytes(), 1);
    }
}

#[test]
fn invalid_utf8_is_skipped() {
    let mut node = Node::alone();
    for line in [
        &b"\xff\xfe\xfd"[..],
        b"{\"src\":\"c\xff\",\"dest\":\"n1\",\"body\":{\"type\":\"echo\",\"msg_id\":1,\"echo\":1}}",
        b"{\"src\":\"c1\",\"dest\":\"n1\",\"body\":{\"type\":\"echo\",\"msg_id\":1,\"echo\":\"\xc3\"}}",
        b"{\"src\":\"c1\",\"dest\":\"n1\",\"body\":{\"type\":\"echo\",\"msg_id\":1,\"echo\":1},\"x\xff\":1}",
    ] {
        skipped(&mut node, line, 1);
    }
}

/// A line that breaks off anywhere never costs the good one after it.
#[test]
fn a_message_cut_off_does_not_cost_the_next() {
    let mut node = Node::alone();
    let mut echoes = 0;
    for cut in 1..GOOD.len() {
        node.write(format!("{}\n{GOOD}\n", &GOOD[..cut]).as_bytes());
        let line = node.line();
        echoes += 1;
        assert_eq!(
            line,
            format!(
                r#"{{"src":"n1","dest":"c1","body":{{"type":"echo_ok","in_reply_to":1,"echo":1,"msg_id":{echoes}}}}}"#
            ),
            "cut at {cut}"
        );
    }
    node.wait_for_stderr("every cut line", |stderr| skips(stderr) == GOOD.len() - 1);
    // A message over several lines, broken off, and one over several lines after it.
    let pretty = GOOD.replace(',', ",\n");
    node.write(format!("{}\n{pretty}\n", &pretty[..30]).as_bytes());
    assert!(node.line().contains("echo_ok"));
}

#[test]
fn the_first_200_characters_are_logged_and_no_more() {
    let mut node = Node::alone();
    let line = format!("{}{}END", "é".repeat(200), "z".repeat(10_000));
    skipped(&mut node, line.as_bytes(), 1);
    let stderr = node.stderr();
    assert!(stderr.contains(&"é".repeat(200)), "{stderr}");
    assert!(!stderr.contains('z') || !stderr.contains("zz"), "{stderr}");
}

#[test]
fn a_line_over_the_limit_is_skipped_without_being_held() {
    let mut node = Node::alone();
    let long = "x".repeat(64 << 20);
    let line = format!(
        r#"{{"src":"c1","dest":"n1","body":{{"type":"echo","msg_id":1,"echo":"{long}"}}}}"#
    );
    skipped(&mut node, line.as_bytes(), 1);
    skipped(&mut node, long.as_bytes(), 1);
    // Lines that each would do, but join to more than a line may be.
    let join = format!("{{\"a\":[\n{}", "1,\n".repeat(6 << 20));
    node.write(join.as_bytes());
    node.play("c1 > echo {\"echo\": 1}\nc1 < echo_ok {\"echo\": 1}");
    let peak = peak_mib(node.pid());
    assert!(peak < 100, "{peak} MiB for lines of 64 MiB, of which 16 are held");
}

#[test]
fn deep_nesting_is_skipped() {
    let mut node = Node::alone();
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let value = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        let line = format!(
            r#"{{"src":"c1","dest":"n1","body":{{"type":"echo","msg_id":1,"echo":{value}}}}}"#
        );
        skipped(&mut node, line.as_bytes(), 1);
        skipped(&mut node, open.repeat(100_000).as_bytes(), 1);
    }
}

#[test]
fn odd_values_are_answered() {
    let mut node = Node::alone();
    node.play(
        r#"
        c1 > create_topic {"topic": "t", "partitions": 1e3}
        c1 < error 12 INVALID_REQUEST partitions, 1e3
        c1 > fetch {"topic": "t", "partition": 123456789012345678901234567890, "offset": 0}
        c1 < error 12 INVALID_REQUEST partition, 123456789012345678901234567890
        c1 > commit_offsets {"offsets": {"k": 99999999999999999999}}
        c1 < error 12 INVALID_REQUEST offsets, 99999999999999999999
        c1 > write {"key": 1, "value": 1e99999999999999999999}
        c1 < error 12 INVALID_REQUEST value, 1e99999999999999999999
        c1 > write {"key": 1, "value": 123456789012345678901234567890}
        c1 < write_ok
        c1 > read {"key": 1}
        c1 < read_ok {"value": 123456789012345678901234567890}
        c1 > send {"key": "\u0000", "msg": "\ud83d\ude00"}
        c1 < send_ok {"offset": 0}
        c1 > poll {"offsets": {"\u0000": 0}}
        c1 < poll_ok {"msgs": {"\u0000": [[0, "\ud83d\ude00"]]}}
        "#,
    );
    // Half a surrogate pair is no text: skipped or refused, and never kept.
    node.write_line(r#"{"src":"c\ud800","dest":"n1","body":{"type":"echo","msg_id":1,"echo":1}}"#);
    node.play("c1 > echo {\"echo\": 1}\nc1 < echo_ok {\"echo\": 1}");
}

#[test]
fn long_lists_are_answered() {
    let mut node = Node::alone();
    let many =
        |item: &dyn Fn(usize) -> String| (0..100_000).map(item).collect::<Vec<_>>().join(",");
    let (numbers, names) = (many(&|i| i.to_string()), many(&|i| format!("\"m{i}\"")));
    let offsets = many(&|i| format!("\"k{i}\":{i}"));
    for (request, kind) in [
        (
            format!(
                r#"consumer_rebalance {{"group":"g","consumers":["a","b"],"partitions":[{numbers}]}}"#
            ),
            "consumer_rebalance_ok",
        ),
        (
            format!(
                r#"consumer_rebalance {{"group":"h","consumers":[{names}],"partitions":[1,2]}}"#
            ),
            "consumer_rebalance_ok",
        ),
        (format!(r#"poll {{"offsets":{{{offsets}}}}}"#), "poll_ok"),
        (format!(r#"commit_offsets {{"offsets":{{{offsets}}}}}"#), "commit_offsets_ok"),
        (
            format!(r#"list_committed_offsets {{"keys":[{}]}}"#, names.replace('m', "k")),
            "list_committed_offsets_ok",
        ),
        (format!(r#"subscribe {{"group":"s","consumer":"a","topics":[{names}]}}"#), "subscribe_ok"),
        (r#"poll {"group":"s","consumer":"a"}"#.to_owned(), "poll_ok"),
        (format!(r#"echo {{"echo":[{numbers}]}}"#), "echo_ok"),
    ] {
        let reply = node.call("c1", &request);
        // A request that takes more than 2 MiB is refused for that.
        let too_large = reply["error"] == "MESSAGE_TOO_LARGE" && request.len() > 1 << 20;
        let shown: String = reply.to_string().chars().take(200).collect();
        assert!(reply["type"] == kind || too_large, "{kind}: {shown}");
    }
    let peak = peak_mib(node.pid());
    assert!(peak < 500, "{peak} MiB");
}

/// Nothing that a stranger prints in a peer's name harms more than a lost message would.
#[test]
fn forged_messages_of_peers_are_skipped() {
    let mut node = Node::forsaken(&["--quiet", "600000", "--request-timeout", "300"]);
    let base64 = |bytes: &[u8]| STANDARD_NO_PAD.encode(bytes);
    // Bytes that look like nothing, the same at each run.
    let mut seed = 7_u64;
    let mut random = |len: usize| -> Vec<u8> {
        let mut next = || {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 56) as u8
        };
        (0..len).map(|_| next()).collect()
    };
    let kinds = [
        "raft_append",
        "raft_vote",
        "raft_pre_vote",
        "raft_snapshot",
        "raft_append_ok",
        "forward",
        "forward_ok",
    ];
    let mut sent = 0;
    for kind in kinds {
        for body in [
            String::new(),
            r#","incarnation":1"#.to_owned(),
            r#","data":"AAAA""#.to_owned(),
            r#","incarnation":"1","data":"AAAA""#.to_owned(),
            r#","incarnation":-1,"data":"AAAA""#.to_owned(),
            r#","incarnation":1e3,"data":"AAAA""#.to_owned(),
            r#","incarnation":99999999999999999999999,"data":"AAAA""#.to_owned(),
            r#","incarnation":1,"data":7"#.to_owned(),
            r#","incarnation":1,"data":["AAAA"]"#.to_owned(),
            r#","incarnation":1,"data":"no base64 !""#.to_owned(),
            r#","incarnation":1,"data":"""#.to_owned(),
            format!(r#","incarnation":1,"data":"{}""#, base64(&[0xff; 64])),
            // A list of 2^60 elements is announced; none comes.
            format!(
                r#","incarnation":1,"data":"{}""#,
                base64(&[2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f])
            ),
            format!(r#","incarnation":1,"data":"{}""#, base64(&random(1 << 20))),
        ] {
            node.write_line(&format!(
                r#"{{"src":"n2","dest":"n1","body":{{"type":"{kind}"{body}}}}}"#
            ));
            sent += 1;
        }
        // From a stranger, from the node itself, for another.
        for (src, dest) in [("n9", "n1"), ("c1", "n1"), ("n1", "n1"), ("n2", "n3")] {
            node.write_line(&format!(
                r#"{{"src":"{src}","dest":"{dest}","body":{{"type":"{kind}","incarnation":1,"data":"AAAA"}}}}"#
            ));
            sent += 1;
        }
    }
    node.play("c1 > echo {\"echo\": 1}\nc1 < echo_ok {\"echo\": 1}");
    node.wait_for_stderr("every forged message", |stderr| skips(stderr) == sent);
    for len in 0..300 {
        let data = base64(&random(len));
        node.write_line(&format!(
            r#"{{"src":"n3","dest":"n1","body":{{"type":"forward","incarnation":3,"data":"{data}"}}}}"#
        ));
    }
    node.play("c1 > echo {\"echo\": 2}\nc1 < echo_ok {\"echo\": 2}");
    node.play("c1 > read {\"key\": 1}\nc1 < error 11 COORDINATOR_NOT_AVAILABLE 300");
    assert!(peak_mib(node.pid()) < 100, "{} MiB", peak_mib(node.pid()));
}

/// What a real node says to its peers, cut short anywhere, does nothing.
#[test]
fn cut_messages_of_peers_are_skipped() {
    let mut speaker = Node::forsaken(&["--quiet", "0", "--log", "error"]);
    let real = speaker.line_to("n2");
    let message: serde_json::Value = serde_json::from_str(&real).expect("a line is JSON");
    let data = message["body"]["data"].as_str().expect("data");
    let mut node = Node::start(&["--quiet", "600000"]);
    node.write_line(
        r#"{"src":"c0","dest":"n2","body":{"type":"init","msg_id":1,"node_id":"n2","node_ids":["n1","n2","n3"]}}"#,
    );
    node.line();
    let mut cut_off = 0;
    for len in 0..data.len() {
        node.write_line(&real.replace(data, &data[..len]));
        cut_off += 1;
    }
    node.wait_for_stderr("every cut message", |stderr| skips(stderr) == cut_off);
    // Cut short it was never heard; whole it is, so that another life of that node is not.
    node.write_line(&real);
    let incarnation = message["body"]["incarnation"].as_u64().expect("an incarnation");
    // Far from the first, as one is that was drawn by a process without memory.
    let other = incarnation ^ (1 << 40);
    node.write_line(&real.replace(&incarnation.to_string(), &other.to_string()));
    let stderr = node.wait_for_stderr("the other life", |stderr| skips(stderr) == cut_off + 1);
    assert!(stderr.contains(&other.to_string()), "{stderr}");
}

/// 200,000 requests and no leader: as many as fit are held, the others refused; each is answered
/// once.
#[test]
fn memory_is_bounded_while_no_leader_is_known() {
    const REQUESTS: usize = 200_000;
    let mut node = Node::forsaken(&["--request-timeout", "2000", "--max-open", "32"]);
    let mut stdin = node.take_stdin();
    let writer = thread::spawn(move || {
        let value = "v".repeat(500);
        for i in 0..REQUESTS {
            let request = format!(
                r#"{{"src":"c1","dest":"n1","body":{{"type":"write","msg_id":{i},"key":{i},"value":"{value}"}}}}"#
            );
            writeln!(stdin, "{request}").expect("the node reads its input");
        }
        stdin
    });
    let mut answered = vec![false; REQUESTS];
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut left = REQUESTS;
    while left > 0 {
        assert!(Instant::now() < deadline, "{left} requests without an answer");
        let line = node.line_to("c1");
        let reply: serde_json::Value = serde_json::from_str(&line).expect("a line is JSON");
        let body = &reply["body"];
        // None was printed to a peer: all are definitely refused, at their deadline or for want of
        // room.
        assert_eq!(
            (&body["code"], &body["error"]),
            (&11.into(), &"COORDINATOR_NOT_AVAILABLE".into()),
            "{line}"
        );
        let id = usize::try_from(body["in_reply_to"].as_u64().expect("a number")).expect("small");
        assert!(!std::mem::replace(&mut answered[id], true), "answered twice: {line}");
        left -= 1;
    }
    let _stdin = writer.join().expect("all is written");
    let peak = peak_mib(node.pid());
    assert!(peak < 300, "{peak} MiB for 110 MB of requests, of which 32 MiB may be held");
}

/// Nobody reads stdout: at some point the node stops reading too. When somebody does, every answer
/// is there.
#[test]
fn memory_is_bounded_while_nobody_reads() {
    const REQUESTS: usize = 100_000;
    let mut child = support::cohort(&[]).spawn().expect("the binary under test starts");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let stdout = child.stdout.take().expect("stdout is piped");
    let (told, written) = std::sync::mpsc::channel();
    let writer = thread::spawn(move || {
        let value = "v".repeat(1_000);
        let init = r#"{"src":"c0","dest":"n1","body":{"type":"init","msg_id":1,"node_id":"n1","node_ids":["n1"]}}"#;
        writeln!(stdin, "{init}").expect("the node reads its input");
        for i in 0..REQUESTS {
            let request = format!(
                r#"{{"src":"c1","dest":"n1","body":{{"type":"echo","msg_id":{i},"echo":"{value}"}}}}"#
            );
            writeln!(stdin, "{request}").expect("the node reads its input in the end");
            told.send(i).expect("the test counts");
        }
    });
    // The writer comes to a halt, as the node does not take everything that it cannot give back.
    let mut taken = 0;
    while let Ok(i) = written.recv_timeout(Duration::from_secs(2)) {
        taken = i;
    }
    assert!(taken < REQUESTS - 1, "100 MB were taken in, and nobody had read a reply");
    let peak = peak_mib(child.id());
    assert!(peak < 300, "{peak} MiB");
    let reader =
        thread::spawn(move || std::io::BufRead::lines(std::io::BufReader::new(stdout)).count());
    writer.join().expect("all is written");
    assert_eq!(reader.join().expect("all is read"), REQUESTS + 1);
    let peak = peak_mib_or_zero(child.id()).max(peak);
    assert!(peak < 300, "{peak} MiB");
    let began = Instant::now();
    while child.try_wait().expect("the child can be waited for").is_none() {
        assert!(began.elapsed() < PATIENCE, "the node lives on after its input");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The process may be over already.
fn peak_mib_or_zero(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    if status.contains("VmHWM") { peak_mib(pid) } else { 0 }
}
