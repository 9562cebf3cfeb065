//! One real node over pipes, and dialogues with it as text.
//!
//! A dialogue is a list of lines. `c1 > echo {"echo": 1}` sends a request of client `c1`; its
//! `msg_id` is added. `c1 < echo_ok {"echo": 1}` waits for the next line to `c1` and compares it,
//! text by text, with the only line that it may be: envelope, order of keys, `in_reply_to` of the
//! client's oldest open request and the node's own count of `msg_id` included. `c1 < error 12
//! INVALID_REQUEST partition, -1` expects an error whose text names all that follows, separated by
//! commas. Lines that begin with `#` are remarks.
//!
//! `$name` in a reply takes what stands there the first time (letters, digits, `_`, `.`, `-`), and
//! has to find the same later; in a request it is replaced. `$_` takes anything, every time.

#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// A busy machine may take so long for what takes milliseconds on an idle one.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How often something is looked at that cannot be waited for.
const LOOK: Duration = Duration::from_millis(5);

/// A node: a child process with pipes.
pub struct Node {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Receiver<String>,
    stderr: Arc<Mutex<Vec<u8>>>,
    name: String,
    /// Lines that have come and that nobody has asked for yet, by whom they are for.
    came: BTreeMap<String, VecDeque<String>>,
    /// Open requests: their `msg_id`, by client.
    open: BTreeMap<String, VecDeque<u64>>,
    asked: u64,
    /// Replies to clients so far: the next one's `msg_id`.
    counted: u64,
    known: BTreeMap<String, String>,
}

/// How a node ended.
pub struct Ended {
    /// What it printed after the last line that was read.
    pub lines: Vec<String>,
    /// Its exit status.
    pub status: ExitStatus,
    /// All that it wrote on standard error.
    pub stderr: String,
    /// From the end of its input to its own.
    pub took: Duration,
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already.
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A command that starts the binary under test.
pub fn cohort(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cohort"));
    command.args(args).env_remove("RUST_LOG");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Node {
    /// A process that has not been told anything yet.
    pub fn start(args: &[&str]) -> Self {
        let mut child = cohort(args).spawn().expect("the binary under test starts");
        let stdout = child.stdout.take().expect("stdout is piped");
        let (sender, receiver) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                let line = line.expect("stdout is text");
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let stderr = Arc::new(Mutex::new(Vec::new()));
        let (mut from, to) = (child.stderr.take().expect("stderr is piped"), stderr.clone());
        thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(len @ 1..) = from.read(&mut piece) {
                to.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&piece[..len]);
            }
        });
        Self {
            stdin: child.stdin.take(),
            child,
            stdout: receiver,
            stderr,
            name: "n1".to_owned(),
            came: BTreeMap::new(),
            open: BTreeMap::new(),
            asked: 0,
            counted: 0,
            known: BTreeMap::new(),
        }
    }

    /// Node `n1`, alone in its cluster.
    pub fn alone() -> Self {
        Self::alone_with(&[])
    }

    /// Node `n1`, alone in its cluster, with flags.
    pub fn alone_with(args: &[&str]) -> Self {
        let mut node = Self::start(args);
        node.play(
            r#"c0 > init {"node_id": "n1", "node_ids": ["n1"]}
               c0 < init_ok"#,
        );
        node
    }

    /// Node `n1` of three, whose peers are nowhere.
    pub fn forsaken(args: &[&str]) -> Self {
        let mut node = Self::start(args);
        node.play(
            r#"c0 > init {"node_id": "n1", "node_ids": ["n1", "n2", "n3"]}
               c0 < init_ok"#,
        );
        node
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes to its standard input.
    pub fn write(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().expect("the input has not ended");
        stdin.write_all(bytes).expect("the node reads its input");
        stdin.flush().expect("the node reads its input");
    }

    /// Writes a line to its standard input.
    pub fn write_line(&mut self, line: &str) {
        self.write(format!("{line}\n").as_bytes());
    }

    /// Its standard input, for somebody else to write to.
    pub fn take_stdin(&mut self) -> ChildStdin {
        self.stdin.take().expect("the input has not ended")
    }

    /// The next line that it prints, whoever it is for.
    pub fn line(&mut self) -> String {
        self.line_within(PATIENCE).unwrap_or_else(|| {
            panic!("nothing printed in {PATIENCE:?}; stderr: {}", self.stderr());
        })
    }

    /// The next line, if it comes in time.
    pub fn line_within(&mut self, time: Duration) -> Option<String> {
        match self.stdout.recv_timeout(time) {
            Ok(line) => {
                self.count(&line);
                Some(line)
            }
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                panic!("the node has ended; stderr: {}", self.stderr())
            }
        }
    }

    /// Every reply to a client has the next number, and no message to a peer has any.
    fn count(&mut self, line: &str) {
        let message: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let body = &message["body"];
        if body.get("in_reply_to").is_some() {
            assert_eq!(body["msg_id"], self.counted, "replies are numbered 0, 1, 2 …: {line}");
            self.counted += 1;
        } else {
            assert!(body.get("msg_id").is_none(), "messages between nodes take no number: {line}");
        }
    }

    /// The next line to a client (or peer).
    pub fn line_to(&mut self, client: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(line) = self.came.get_mut(client).and_then(VecDeque::pop_front) {
                return line;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let Some(line) = self.line_within(left) else {
                panic!("nothing to {client} in {PATIENCE:?}; stderr: {}", self.stderr());
            };
            let message: Value = serde_json::from_str(&line).expect("it was read before");
            let dest = message["dest"].as_str().expect("a dest").to_owned();
            self.came.entry(dest).or_default().push_back(line);
        }
    }

    /// What it has written on standard error so far.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr.lock().unwrap_or_else(PoisonError::into_inner))
            .into_owned()
    }

    /// Waits until standard error has what is looked for.
    pub fn wait_for_stderr(&self, what: &str, found: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let stderr = self.stderr();
            if found(&stderr) {
                return stderr;
            }
            assert!(Instant::now() < deadline, "{what} is not on stderr: {stderr}");
            thread::sleep(LOOK);
        }
    }

    /// Sends a request, without blanks: `echo {"echo": 1}`. Returns its `msg_id`.
    pub fn ask(&mut self, client: &str, request: &str) -> u64 {
        self.asked += 1;
        let msg_id = self.asked;
        let request = self.filled_in(request);
        let (kind, fields) = request.split_once(' ').unwrap_or((&request, "{}"));
        let body = body(&format!("{kind} {}", compact(fields)), &format!("\"msg_id\":{msg_id}"));
        let (client_text, dest) = (Value::from(client), Value::from(self.name.as_str()));
        self.write_line(&format!("{{\"src\":{client_text},\"dest\":{dest},\"body\":{body}}}"));
        self.open.entry(client.to_owned()).or_default().push_back(msg_id);
        msg_id
    }

    /// Waits for the reply to a client's oldest open request and returns its body, as parsed.
    pub fn reply(&mut self, client: &str) -> Value {
        let line = self.line_to(client);
        let mut message: Value = serde_json::from_str(&line).expect("it was read before");
        let msg_id = self.open.get_mut(client).and_then(VecDeque::pop_front);
        let msg_id = msg_id.unwrap_or_else(|| panic!("{client} has asked nothing, but: {line}"));
        assert_eq!(message["body"]["in_reply_to"], msg_id, "{line}");
        message["body"].take()
    }

    /// Asks and waits for the reply's body.
    pub fn call(&mut self, client: &str, request: &str) -> Value {
        self.ask(client, request);
        self.reply(client)
    }

    /// Plays a dialogue; see the [module](self).
    pub fn play(&mut self, script: &str) {
        for step in
            script.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            let mut words = step.splitn(3, ' ');
            let (Some(client), Some(way), Some(text)) = (words.next(), words.next(), words.next())
            else {
                panic!("not a step: {step}");
            };
            match way {
                ">" => {
                    self.ask(client, text);
                }
                "<" => self.expect(client, text, step),
                _ => panic!("not a step: {step}"),
            }
        }
    }

    fn expect(&mut self, client: &str, expected: &str, step: &str) {
        let line = self.line_to(client);
        let msg_id = self.open.get_mut(client).and_then(VecDeque::pop_front);
        let msg_id =
            msg_id.unwrap_or_else(|| panic!("{step}\n{client} has asked nothing, but: {line}"));
        let message: Value = serde_json::from_str(&line).expect("it was read before");
        let number = message["body"]["msg_id"].clone();
        let head = format!("\"in_reply_to\":{msg_id}");
        let expected = match expected.strip_prefix("error ") {
            Some(error) => {
                let mut words = error.splitn(3, ' ');
                let (code, name) =
                    (words.next().unwrap_or_default(), words.next().unwrap_or_default());
                let text = &message["body"]["text"];
                for named in words.next().unwrap_or_default().split(", ") {
                    let named = self.filled_in(named);
                    let found = text.as_str().is_some_and(|text| text.contains(&named));
                    assert!(
                        found,
                        "the text should name {named}\nexpected: {step}\nfound:    {line}"
                    );
                }
                format!(
                    "{{\"type\":\"error\",{head},\"code\":{code},\"error\":\"{name}\",\"text\":{text}}}"
                )
            }
            None => {
                let (kind, fields) = expected.split_once(' ').unwrap_or((expected, "{}"));
                body(&format!("{kind} {}", compact(fields)), &head)
            }
        };
        let body = &expected[..expected.len() - 1];
        let (src, dest) = (Value::from(self.name.as_str()), Value::from(client));
        let expected =
            format!("{{\"src\":{src},\"dest\":{dest},\"body\":{body},\"msg_id\":{number}}}}}");
        if !self.matches(&expected, &line) {
            panic!("{step}\nexpected: {expected}\nfound:    {line}\nknown: {:?}", self.known);
        }
    }

    /// What a `$name` has taken.
    pub fn known(&self, name: &str) -> &str {
        self.known.get(name).unwrap_or_else(|| panic!("${name} is not known"))
    }

    fn filled_in(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            let (name, after) = split_name(after);
            out.push_str(before);
            out.push_str(self.known(name));
            rest = after;
        }
        out.push_str(rest);
        out
    }

    fn matches(&mut self, expected: &str, found: &str) -> bool {
        let (mut expected, mut found) = (expected, found);
        while let Some((before, after)) = expected.split_once('$') {
            let Some(rest) = found.strip_prefix(before) else { return false };
            let (name, after) = split_name(after);
            let value = match self.known.get(name) {
                Some(known) => known.clone(),
                None => {
                    let end = rest.find(|c: char| !(c.is_alphanumeric() || "_.-".contains(c)));
                    rest[..end.unwrap_or(rest.len())].to_owned()
                }
            };
            let Some(rest) = rest.strip_prefix(value.as_str()) else { return false };
            if value.is_empty() {
                return false;
            }
            if name != "_" {
                self.known.insert(name.to_owned(), value);
            }
            (expected, found) = (after, rest);
        }
        expected == found
    }

    /// Ends its input and waits until it is over.
    pub fn end(mut self) -> Ended {
        drop(self.stdin.take());
        let began = Instant::now();
        let mut lines = Vec::new();
        loop {
            let left = (began + PATIENCE).saturating_duration_since(Instant::now());
            match self.stdout.recv_timeout(left) {
                Ok(line) => lines.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("still there after {PATIENCE:?}: {}", self.stderr())
                }
            }
        }
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("the child can be waited for") {
                break status;
            }
            assert!(began.elapsed() < PATIENCE, "stdout is closed, but the node lives on");
            thread::sleep(LOOK);
        };
        let took = began.elapsed();
        lines.iter().for_each(|line| self.count(line));
        Ended { lines, status, stderr: self.stderr(), took }
    }
}

impl Ended {
    /// The end that the contract asks for: exit code 0 within 4 s. Returns what was printed last.
    pub fn well(self) -> Vec<String> {
        assert!(self.status.success(), "{}; stderr: {}", self.status, self.stderr);
        assert!(self.took < Duration::from_secs(4), "it took {:?}", self.took);
        self.lines
    }
}

fn split_name(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    text.split_at(end)
}

/// `echo {"echo": 1}` with another field after the type becomes `{"type":"echo",…,"echo": 1}`.
fn body(text: &str, field: &str) -> String {
    let (kind, fields) = text.split_once(' ').unwrap_or((text, "{}"));
    let fields =
        fields.trim().strip_prefix('{').unwrap_or_else(|| panic!("fields in braces: {text}"));
    let comma = if fields.trim_start() == "}" { "" } else { "," };
    format!("{{\"type\":{},{field}{comma}{fields}", Value::from(kind))
}

/// JSON without blanks between its tokens.
pub fn compact(json: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    let keep = |c: &char| {
        let in_token = in_string;
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = in_string,
            '"' => in_string = !in_string,
            _ => {}
        }
        in_token || !c.is_ascii_whitespace()
    };
    json.chars().filter(keep).collect()
}

/// The most memory that a process has ever held, in MiB.
pub fn peak_mib(pid: u32) -> u64 {
    let status =
        std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is there");
    let line =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux tells VmHWM");
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().expect("a number of kB");
    kib / 1024
}

/// How often a group has rebalanced.
pub fn rebalances(node: &mut Node, group: &str) -> u64 {
    let reply = node.call("asker", &format!(r#"describe_group {{"group": "{group}"}}"#));
    reply["rebalances"].as_u64().unwrap_or_else(|| panic!("{reply}"))
}
