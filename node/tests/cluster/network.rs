//! Several real nodes, and a network between them that can be cut. The full network, with loss and
//! delay, is the arena's; this one is for what needs no chance.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long a reply may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the network's threads share.
struct Network {
    names: Vec<String>,
    stdins: Vec<Mutex<Option<ChildStdin>>>,
    cut: Mutex<BTreeSet<usize>>,
    longest_line: Mutex<usize>,
}

/// A cluster of real processes.
pub struct Cluster {
    flags: Vec<String>,
    network: Arc<Network>,
    children: Vec<Child>,
    sender: Sender<Value>,
    replies: Receiver<Value>,
    next_msg_id: u64,
}

fn spawn(flags: &[String]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cohort"));
    command.args(flags).args(["--log", "error"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    command.spawn().expect("the node starts")
}

impl Cluster {
    /// Starts `n` nodes with these flags and initialises them.
    pub fn start(n: usize, flags: &[&str]) -> Self {
        let names: Vec<String> = (1..=n).map(|i| format!("n{i}")).collect();
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let mut children: Vec<Child> = names.iter().map(|_| spawn(&flags)).collect();
        let stdins = children.iter_mut().map(|child| Mutex::new(child.stdin.take())).collect();
        let (cut, longest_line) = (Mutex::default(), Mutex::default());
        let network = Arc::new(Network { names: names.clone(), stdins, cut, longest_line });
        let (sender, replies) = channel();
        for (node, child) in children.iter_mut().enumerate() {
            let stdout = child.stdout.take().expect("stdout is piped");
            let (network, sender) = (network.clone(), sender.clone());
            thread::spawn(move || network.carry(node, BufReader::new(stdout), &sender));
        }
        let mut cluster = Self { flags, network, children, sender, replies, next_msg_id: 0 };
        for node in 0..n {
            cluster.initialise(node);
        }
        cluster
    }

    fn initialise(&mut self, node: usize) {
        let init =
            json!({"type": "init", "node_id": self.name(node), "node_ids": self.network.names});
        assert_eq!(self.ask(node, init)["type"], "init_ok");
    }

    /// Kills a node and starts another process under its name.
    pub fn restart(&mut self, node: usize) {
        let child = &mut self.children[node];
        child.kill().expect("the node lives");
        child.wait().expect("the node ends");
        *child = spawn(&self.flags);
        *self.network.stdins[node].lock().expect("no thread panicked") = child.stdin.take();
        let stdout = child.stdout.take().expect("stdout is piped");
        let (network, sender) = (self.network.clone(), self.sender.clone());
        thread::spawn(move || network.carry(node, BufReader::new(stdout), &sender));
        self.initialise(node);
    }

    /// A node's name.
    pub fn name(&self, node: usize) -> &str {
        &self.network.names[node]
    }

    /// Sends a request without waiting, and gives its `msg_id`.
    pub fn send(&mut self, node: usize, mut body: Value) -> u64 {
        self.next_msg_id += 1;
        body["msg_id"] = self.next_msg_id.into();
        let line = format!("{}\n", json!({"src": "c1", "dest": self.name(node), "body": body}));
        self.network.deliver(node, line.as_bytes());
        self.next_msg_id
    }

    /// The next reply, whosever it is.
    pub fn reply(&self) -> Value {
        self.replies.recv_timeout(PATIENCE).expect("a reply comes in time")["body"].take()
    }

    /// Sends a request and waits for its reply.
    pub fn ask(&mut self, node: usize, body: Value) -> Value {
        let msg_id = self.send(node, body);
        let reply = self.reply();
        assert_eq!(reply["in_reply_to"], msg_id, "{reply}");
        reply
    }

    /// Asks until the reply is as wanted.
    pub fn ask_until(
        &mut self,
        node: usize,
        body: &Value,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let begun = Instant::now();
        loop {
            let reply = self.ask(node, body.clone());
            if wanted(&reply) {
                return reply;
            }
            assert!(begun.elapsed() < PATIENCE, "still {reply}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Who leads, once somebody does.
    pub fn leader(&mut self) -> usize {
        let reply = self.ask(0, json!({"type": "list_topics"}));
        assert_eq!(reply["type"], "list_topics_ok", "{reply}");
        let reply = self
            .ask_until(0, &json!({"type": "cluster_status"}), |reply| !reply["leader"].is_null());
        self.network.names.iter().position(|name| reply["leader"] == **name).expect("a node leads")
    }

    /// Loses every line from and to a node.
    pub fn cut(&self, node: usize) {
        self.network.cut.lock().expect("no thread panicked").insert(node);
    }

    /// Loses nothing any more.
    pub fn heal(&self) {
        self.network.cut.lock().expect("no thread panicked").clear();
    }

    /// The longest line that a node has printed to another, in bytes.
    pub fn longest_line(&self) -> usize {
        *self.network.longest_line.lock().expect("no thread panicked")
    }

    /// The most memory that a node has held, in KiB.
    pub fn peak_memory_kib(&self, node: usize) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.children[node].id()));
        let status = status.expect("the node lives");
        let line =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux tells it");
        line.trim().trim_end_matches(" kB").parse().expect("a number of KiB")
    }

    /// Ends every node's input and gives their exit statuses.
    pub fn end(mut self) -> Vec<ExitStatus> {
        for stdin in &self.network.stdins {
            stdin.lock().expect("no thread panicked").take();
        }
        self.children.iter_mut().map(|child| child.wait().expect("the node ends")).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in &mut self.children {
            // One that has ended already cannot be killed, which is as good.
            let _killed = child.kill();
            let _status = child.wait();
        }
    }
}

impl Network {
    fn deliver(&self, node: usize, line: &[u8]) {
        if let Some(stdin) = self.stdins[node].lock().expect("no thread panicked").as_mut() {
            // A node that has ended reads no more; whoever waits for it will say so.
            let _delivered = stdin.write_all(line);
        }
    }

    fn carry(&self, from: usize, mut stdout: impl BufRead, replies: &Sender<Value>) {
        let mut line = Vec::new();
        loop {
            line.clear();
            if !stdout.read_until(b'\n', &mut line).is_ok_and(|len| len > 0) {
                return;
            }
            let message: Value = serde_json::from_slice(&line).expect("a node prints JSON");
            match self.names.iter().position(|name| message["dest"] == **name) {
                Some(to) => {
                    let mut longest = self.longest_line.lock().expect("no thread panicked");
                    *longest = (*longest).max(line.len());
                    drop(longest);
                    let cut = self.cut.lock().expect("no thread panicked");
                    let lost = cut.contains(&from) || cut.contains(&to);
                    drop(cut);
                    if !lost {
                        self.deliver(to, &line);
                    }
                }
                // The test has ended, and with it whoever waited.
                None if replies.send(message).is_err() => return,
                None => {}
            }
        }
    }
}
