//! `arena watch` between small clients and real brokers: what it writes down, what it changes, and
//! that it finds a lie.

#[path = "watch/client.rs"]
mod client;
#[path = "support/cohort.rs"]
mod cohort;
#[path = "watch/liar.rs"]
mod liar;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;

use arena::checkers::{Judgement, Verdict, judge};
use arena::history::{History, Op, Outcome};
use arena::watch::{Bounds, Settings, WatchError, Watched, watch};
use client::{Client, fetch, produce};
use serde_json::json;
use tokio::sync::oneshot;
use wire::kafka_protocol::messages::api_versions_request::ApiVersionsRequest;
use wire::kafka_protocol::messages::{RequestKind, ResponseKind};
use wire::versions::API_VERSIONS;

/// A broker of this source's own.
struct Broker {
    child: Child,
    addresses: Vec<String>,
}

impl Broker {
    fn start(settings: &[&str]) -> Self {
        let mut command = Command::new(cohort::binary());
        command.args(["serve", "--dev", "--kafka", "127.0.0.1:0"]).args(settings);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the binary starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let ready: serde_json::Value = serde_json::from_str(&line).expect("a line of JSON");
        let addresses = ready["kafka"].as_str().expect("an address").split(',');
        Self { child, addresses: addresses.map(str::to_owned).collect() }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A watch in a thread of its own.
struct Watching {
    address: String,
    end: oneshot::Sender<()>,
    thread: JoinHandle<Result<Watched, WatchError>>,
}

impl Watching {
    fn start(kafka: &str, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings {
            listen: "127.0.0.1:0".to_owned(),
            kafka: kafka.to_owned(),
            lasts: None,
            whole: true,
            bounds: Bounds::of(100_000),
        };
        change(&mut settings);
        let ((end, ended), (ready, is_ready)) = (oneshot::channel(), mpsc::channel());
        let thread = std::thread::spawn(move || {
            let ready = |address: &str| ready.send(address.to_owned()).expect("the test waits");
            watch(&settings, ready, async { ended.await.expect("the test ends it") })
        });
        Self { address: is_ready.recv().expect("it listens"), end, thread }
    }

    fn client(&self) -> Client {
        Client::to(&self.address)
    }

    fn end(self) -> (History, Vec<String>) {
        self.end.send(()).expect("it still runs");
        let watched = self.thread.join().expect("no panic").expect("a watch");
        // What is written can be read.
        let mut file = Vec::new();
        watched.history.write(&mut file).expect("memory takes everything");
        assert_eq!(History::read(&file[..]).expect("a history"), watched.history);
        (watched.history, watched.remarks)
    }
}

fn verdict<'a>(judgement: &'a Judgement, checker: &str) -> &'a Verdict {
    let found = judgement.verdicts.iter().find(|(name, _)| *name == checker);
    &found.unwrap_or_else(|| panic!("no checker {checker}")).1
}

fn told(history: &History) -> Vec<(&str, Outcome)> {
    history.ops.iter().map(|op| (op.f.as_str(), op.outcome)).collect()
}

fn only<'h>(history: &'h History, f: &str) -> &'h Op {
    let found: Vec<&Op> = history.ops.iter().filter(|op| op.f == f).collect();
    assert_eq!(found.len(), 1, "{f} in {:?}", told(history));
    found[0]
}

#[test]
fn what_an_application_does_is_written_down_and_judged() {
    let broker = Broker::start(&[]);
    let watching = Watching::start(&broker.addresses[0], |_| ());
    let client = &mut watching.client();
    client.create("t", 1);
    assert_eq!(client.produce("t", &["a", "b"], -1), 0);
    assert_eq!(client.produce("t", &["c"], -1), 2);
    assert_eq!(client.fetch("t", 1), ["b", "c"]);
    let member = client.join("g", "t");
    client.sync("g", &member, "t", &[0]);
    client.heartbeat("g", &member);
    client.commit("g", &member, "t", 2);
    assert_eq!(client.committed("g", "t"), 2);
    client.leave("g", &member);
    let (history, remarks) = watching.end();
    assert!(remarks[0].starts_with("watched       1 connections, "), "{remarks:?}");
    assert_eq!(remarks.len(), 1, "{remarks:?}");
    let ok = Outcome::Ok;
    let mut expected = vec![
        ("create_topic", ok),
        ("send", ok),
        ("send", ok),
        ("send", ok),
        ("fetch", ok),
        ("join_group", ok),
        ("sync_group", ok),
        ("heartbeat", ok),
        ("commit_offset", ok),
        ("fetch_offset", ok),
        ("leave_group", ok),
    ];
    // A member may have to ask twice to be let in.
    if told(&history)[5].1 == Outcome::Fail {
        expected.insert(5, ("join_group", Outcome::Fail));
    }
    assert_eq!(told(&history), expected);
    let fetch = only(&history, "fetch");
    assert_eq!(fetch.args, json!({ "topic": "t", "partition": 0, "offset": 1 }));
    let records = json!([{ "offset": 1, "message": "b" }, { "offset": 2, "message": "c" }]);
    assert_eq!(fetch.result, Some(json!({ "records": records, "high_watermark": 3 })));
    assert_eq!((fetch.process.as_str(), &fetch.node), ("test-0", &broker.addresses[0]));
    assert!(history.ops.windows(2).all(|pair| pair[0].invoke_us <= pair[1].invoke_us));
    let judgement = judge(&history);
    assert_eq!(judgement.exit_code(), 0, "{judgement}");
    for checker in ["lost-write", "phantom-record", "spurious-offset", "fenced-commit"] {
        assert!(verdict(&judgement, checker).is_valid(), "{judgement}");
    }
}

#[test]
fn what_others_may_have_done_is_not_judged() {
    let broker = Broker::start(&[]);
    let stranger = &mut Client::to(&broker.addresses[0]);
    stranger.create("t", 1);
    stranger.produce("t", &["a"], -1);
    let watching = Watching::start(&broker.addresses[0], |settings| settings.whole = false);
    let client = &mut watching.client();
    client.produce("t", &["b", "b"], -1);
    stranger.commit("g", "", "t", 1);
    assert_eq!(client.committed("g", "t"), 1);
    assert_eq!(client.fetch("t", 0), ["a", "b", "b"]);
    let (history, _) = watching.end();
    assert_eq!(history.header.config["partial"], true);
    let judgement = judge(&history);
    assert_eq!(judgement.exit_code(), 0, "{judgement}");
    for checker in ["phantom-record", "duplicate", "spurious-offset", "linearizable-offset"] {
        assert!(matches!(verdict(&judgement, checker), Verdict::NotJudged(_)), "{judgement}");
    }
    assert!(verdict(&judgement, "lost-write").is_valid(), "{judgement}");
}

#[test]
fn a_send_that_promises_nothing_has_an_unknown_outcome() {
    let broker = Broker::start(&[]);
    let watching = Watching::start(&broker.addresses[0], |_| ());
    let client = &mut watching.client();
    client.create("t", 1);
    client.send_all(&[produce("t", &["unasked"], 0)]);
    assert_eq!(client.produce("t", &["leader"], 1), 1);
    assert_eq!(client.produce("t", &["all"], -1), 2);
    let (history, _) = watching.end();
    let sends = history.ops.iter().filter(|op| op.f == "send");
    let told: Vec<_> = sends.map(|op| (op.args["message"].as_str(), op.outcome)).collect();
    assert_eq!(
        told,
        [
            (Some("unasked"), Outcome::Info),
            (Some("leader"), Outcome::Info),
            (Some("all"), Outcome::Ok)
        ]
    );
}

#[test]
fn requests_under_way_at_the_end_have_an_unknown_outcome() {
    let broker = Broker::start(&[]);
    let watching = Watching::start(&broker.addresses[0], |_| ());
    let client = &mut watching.client();
    client.create("t", 1);
    // Both in one write: the answer to the first shows that the second was read.
    client.send_all(&[produce("t", &["x"], -1), fetch("t", 1, 600_000)]);
    client.frame();
    let (history, _) = watching.end();
    let fetch = only(&history, "fetch");
    assert_eq!((fetch.outcome, fetch.complete_us), (Outcome::Info, None));
    assert_eq!(judge(&history).exit_code(), 0);
}

#[test]
fn every_broker_is_reached_through_the_watch() {
    let broker = Broker::start(&["--nodes", "3"]);
    let watching = Watching::start(&broker.addresses[0], |_| ());
    let metadata = watching.client().metadata();
    let own: BTreeSet<String> =
        metadata.brokers.iter().map(|b| format!("{}:{}", &*b.host, b.port)).collect();
    assert_eq!(own.len(), 3);
    assert!(broker.addresses.iter().all(|address| !own.contains(address)), "{own:?}");
    let leader = metadata.controller_id;
    for (at, broker) in metadata.brokers.iter().enumerate() {
        let client = &mut Client::to(&format!("{}:{}", &*broker.host, broker.port));
        let seen = client.metadata();
        let again: BTreeSet<String> =
            seen.brokers.iter().map(|b| format!("{}:{}", &*b.host, b.port)).collect();
        assert_eq!(again, own, "broker {at} tells the same");
        let coordinator = client.coordinator("g");
        assert!(own.contains(&coordinator), "{coordinator} of {own:?}");
        if broker.node_id == leader {
            client.create("t", 1);
            client.produce("t", &["a"], -1);
        }
    }
    let (history, _) = watching.end();
    assert_eq!(history.header.nodes.len(), 3);
    let nodes: BTreeSet<&String> = history.ops.iter().map(|op| &op.node).collect();
    assert!(nodes.iter().all(|node| broker.addresses.contains(node)), "{nodes:?}");
    assert!(judge(&history).exit_code() == 0);
}

#[test]
fn versions_that_nobody_reads_are_not_offered() {
    let broker = Broker::start(&[]);
    let watching = Watching::start(&broker.addresses[0], |_| ());
    let client = &mut watching.client();
    let request = RequestKind::ApiVersions(ApiVersionsRequest::default());
    let ResponseKind::ApiVersions(reply) = client.ask_in(API_VERSIONS, 0, &request) else {
        panic!("another answer")
    };
    let known =
        reply.api_keys.iter().filter_map(|told| Some((told, wire::versions::find(told.api_key)?)));
    assert!(known.clone().count() > 20);
    assert!(known.into_iter().all(|(told, api)| told.max_version <= api.max));
    // A version that the watch does not know is refused, whatever the broker knows.
    client.send_bytes(&[0, 0, 0, 14, 0, 18, 0, 9, 0, 0, 0, 77, 0, 0, 0, 1, 1, 0]);
    let frame = client.frame();
    assert_eq!(frame[..6], [0, 0, 0, 77, 0, 35]);
    watching.end();
}

#[test]
fn what_is_not_kafkas_passes() {
    let echo = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = echo.local_addr().expect("an address").to_string();
    let serves = std::thread::spawn(move || {
        let (mut stream, _) = echo.accept().expect("a connection");
        let mut asked = Vec::new();
        stream.read_to_end(&mut asked).expect("it is closed");
        stream.write_all(&asked).expect("it reads");
    });
    let watching = Watching::start(&address, |_| ());
    let mut stream = TcpStream::connect(&watching.address).expect("it listens");
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("it reads");
    stream.shutdown(std::net::Shutdown::Write).expect("it is open");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("text");
    assert_eq!(answer, "GET / HTTP/1.1\r\n\r\n");
    serves.join().expect("it served");
    let (history, remarks) = watching.end();
    assert!(history.ops.is_empty());
    assert_eq!(remarks[1], "1 connections that were not Kafka's, or not to the end");
}

#[test]
fn a_recording_that_is_full_ends_and_traffic_goes_on() {
    let broker = Broker::start(&[]);
    let watching = Watching::start(&broker.addresses[0], |settings| settings.bounds.most = 3);
    let client = &mut watching.client();
    client.create("t", 1);
    for at in 0..10 {
        assert_eq!(client.produce("t", &["x"], -1), at);
    }
    let (history, remarks) = watching.end();
    assert_eq!(history.ops.len(), 3);
    assert!(remarks.iter().any(|remark| remark.starts_with("the recording ended at")));
    assert_eq!(judge(&history).exit_code(), 0);
}

#[test]
fn a_lie_is_found_and_the_exit_status_says_so() {
    let liar = liar::start();
    let mut command = Command::new(env!("CARGO_BIN_EXE_arena"));
    command.args(["watch", "--listen", "127.0.0.1:0", "--kafka", &liar]);
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut said = BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    said.read_line(&mut line).expect("a line");
    let address = line.split(" at ").nth(1).and_then(|rest| rest.split(';').next());
    let client = &mut Client::to(address.expect("an address"));
    assert_eq!(client.produce("t", &["a"], -1), 0);
    assert_eq!(client.produce("t", &["lost"], -1), 1);
    assert_eq!(client.produce("t", &["c"], -1), 2);
    assert_eq!(client.fetch("t", 0), ["a", "c"]);
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("it runs");
    let output = child.wait_with_output().expect("it ends");
    let text = String::from_utf8(output.stdout).expect("text");
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("ANOMALY     lost-write"), "{text}");
    assert!(text.lines().last().is_some_and(|line| line.starts_with("anomaly: ")), "{text}");
}

#[test]
fn a_watch_of_nobody_is_refused_or_judges_nothing() {
    let arena = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_arena"));
        let output = command.arg("watch").args(args).output().expect("it starts");
        (output.status.code(), String::from_utf8(output.stdout).expect("text"))
    };
    let (code, text) = arena(&["--listen", "127.0.0.1:0", "--kafka", "nowhere"]);
    assert_eq!(code, Some(2));
    assert!(text.contains("nowhere: expected HOST:PORT"), "{text}");
    let (code, text) =
        arena(&["--listen", "127.0.0.1:0", "--kafka", "127.0.0.1:1", "--seconds", "0"]);
    assert_eq!(code, Some(2));
    assert!(text.contains("not judged: no checker found anything"), "{text}");
}
