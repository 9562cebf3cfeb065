//! Nodes as processes, the lines between them, and clients that keep a window of requests under way.
//!
//! A thread for each node reads what it prints, passes on what is for other nodes, and answers each reply to
//! a client with that client's next request; another writes to it. Lines are handled in batches, as many as
//! one read gives, so that the harness takes little of the machine from the nodes.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::workload::{Client, Work, name};

/// A run without a reply for so long has failed.
const PATIENCE: Duration = Duration::from_secs(15);

/// Ticks of `/proc/PID/stat` in a second, on every Linux.
const TICKS: f64 = 100.0;

pub type Result<T> = std::result::Result<T, String>;

/// What is to be written to a node.
#[derive(Default)]
struct Pipe {
    waiting: Mutex<(Vec<u8>, bool)>,
    filled: Condvar,
}

impl Pipe {
    fn lock(&self) -> MutexGuard<'_, (Vec<u8>, bool)> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, lines: &mut Vec<u8>) {
        if !lines.is_empty() {
            self.lock().0.append(lines);
            self.filled.notify_one();
        }
    }

    fn close(&self) {
        self.lock().1 = true;
        self.filled.notify_one();
    }

    fn write_to(&self, mut stdin: ChildStdin) {
        let mut taken = Vec::new();
        loop {
            {
                let mut waiting = self.lock();
                while waiting.0.is_empty() {
                    if waiting.1 {
                        return;
                    }
                    waiting = self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                }
                std::mem::swap(&mut waiting.0, &mut taken);
            }
            if stdin.write_all(&taken).is_err() {
                return;
            }
            taken.clear();
        }
    }
}

#[derive(Default)]
struct Counters {
    acknowledged: AtomicU64,
    refused: AtomicU64,
    /// Replies that came out of order, or lines that nobody understands.
    strange: AtomicU64,
    under_way: AtomicU64,
    between: AtomicU64,
    stopping: AtomicU64,
}

struct Shared {
    pipes: Vec<Pipe>,
    /// The clients of each node.
    clients: Vec<Mutex<Vec<Client>>>,
    counters: Counters,
}

/// What was counted so far.
#[derive(Clone, Copy)]
struct Snapshot {
    at: Instant,
    acknowledged: u64,
    between: u64,
    cpu: f64,
}

/// What a run showed.
#[derive(Debug, Clone, Default)]
pub struct Run {
    pub per_second: f64,
    /// Of all nodes, for one acknowledged request.
    pub cpu_us: f64,
    pub messages: f64,
    /// The most that any node ever held, in MiB.
    pub memory_mib: f64,
    /// Of clients that wait for each reply, sorted.
    pub latencies: Vec<Duration>,
}

/// The requests of a run.
#[derive(Clone, Copy)]
pub struct Plan {
    pub work: Work,
    pub clients: usize,
    /// Requests that each client has under way.
    pub window: u64,
    /// Answered before anything is counted.
    pub warm_up: u64,
    pub requests: u64,
}

/// Nodes `n1`, `n2` … that run.
pub struct Cluster {
    children: Vec<Child>,
    shared: Arc<Shared>,
    replies: mpsc::Receiver<String>,
    threads: Vec<JoinHandle<()>>,
    asked: u64,
}

impl Cluster {
    /// Starts nodes and tells them who they are.
    pub fn start(program: &Path, count: usize) -> Result<Self> {
        let shared = Arc::new(Shared {
            pipes: (0..count).map(|_| Pipe::default()).collect(),
            clients: (0..count).map(|_| Mutex::default()).collect(),
            counters: Counters::default(),
        });
        let (sender, replies) = mpsc::channel();
        let mut cluster = Self { children: Vec::new(), shared, replies, threads: Vec::new(), asked: 0 };
        for node in 0..count {
            let mut child = spawn(program)?;
            let (stdin, stdout) = child.stdin.take().zip(child.stdout.take()).ok_or("no pipes")?;
            cluster.children.push(child);
            let (shared, sender) = (cluster.shared.clone(), sender.clone());
            let reader = thread::spawn(move || Reader::new(node, shared, sender).run(stdout));
            let shared = cluster.shared.clone();
            let writer = thread::spawn(move || shared.pipes[node].write_to(stdin));
            cluster.threads.extend([reader, writer]);
        }
        let names: Vec<String> = (0..count).map(name).collect();
        for node in 0..count {
            let init = format!(r#""type":"init","node_id":"{}","node_ids":{names:?}"#, name(node));
            let reply = cluster.ask(node, &init)?;
            if reply["body"]["type"] != "init_ok" {
                return Err(format!("{} answered init with {reply}", name(node)));
            }
        }
        Ok(cluster)
    }

    /// Asks a node and waits for the reply.
    fn ask(&mut self, node: usize, fields: &str) -> Result<Value> {
        self.asked += 1;
        let number = self.asked;
        let line =
            format!(r#"{{"src":"c0","dest":"{}","body":{{{fields},"msg_id":{number}}}}}"#, name(node)) + "\n";
        self.shared.pipes[node].push(&mut line.into_bytes());
        loop {
            let line = self.replies.recv_timeout(PATIENCE).map_err(|e| format!("{fields}: {e}"))?;
            let reply: Value = serde_json::from_str(&line).map_err(|e| format!("{line}: {e}"))?;
            if reply["body"]["in_reply_to"] == number {
                return Ok(reply);
            }
        }
    }

    /// Waits until all nodes know the same leader.
    pub fn leader(&mut self) -> Result<usize> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let mut leaders = Vec::new();
            for node in 0..self.children.len() {
                let status = self.ask(node, r#""type":"cluster_status""#)?;
                leaders.push(status["body"]["leader"].as_str().map(str::to_owned));
            }
            let known = (0..leaders.len()).find(|node| leaders[0].as_ref() == Some(&name(*node)));
            if let Some(leader) = known.filter(|_| leaders.iter().all(|other| *other == leaders[0])) {
                return Ok(leader);
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err("no leader".into())
    }

    /// Carries a plan out, with client `i` at the `i`-th of `nodes`, over and over.
    pub fn run(&mut self, plan: Plan, nodes: &[usize]) -> Result<Run> {
        let counters = &self.shared.counters;
        counters.under_way.store(plan.clients as u64 * plan.window, SeqCst);
        let mut first = vec![Vec::new(); self.children.len()];
        for index in 0..plan.clients {
            let node = nodes[index % nodes.len()];
            let mut client = Client::new(index + 1, name(node), plan.work);
            (0..plan.window).for_each(|_| client.next(&mut first[node]));
            client.timed = plan.window == 1;
            self.clients(node).push(client);
        }
        for (node, lines) in first.iter_mut().enumerate() {
            self.shared.pipes[node].push(lines);
        }
        let begin = self.until(plan.warm_up)?;
        // What is counted begins now, latencies too.
        for node in nodes {
            self.clients(*node).iter_mut().for_each(|client| client.latencies.clear());
        }
        let end = self.until(begin.acknowledged + plan.requests)?;
        let counters = &self.shared.counters;
        counters.stopping.store(1, SeqCst);
        self.wait_for(|counters| counters.under_way.load(SeqCst) == 0)?;
        let (refused, strange) = (counters.refused.load(SeqCst), counters.strange.load(SeqCst));
        if refused + strange > 0 {
            return Err(format!("{refused} requests were refused, and {strange} lines were out of order"));
        }
        let requests = (end.acknowledged - begin.acknowledged) as f64;
        let mut latencies: Vec<Duration> = Vec::new();
        for node in nodes {
            self.clients(*node).iter_mut().for_each(|client| latencies.append(&mut client.latencies));
        }
        latencies.sort_unstable();
        Ok(Run {
            per_second: requests / (end.at - begin.at).as_secs_f64(),
            cpu_us: (end.cpu - begin.cpu) * 1e6 / requests,
            messages: (end.between - begin.between) as f64 / requests,
            memory_mib: self.memory_mib()?,
            latencies,
        })
    }

    fn clients(&self, node: usize) -> MutexGuard<'_, Vec<Client>> {
        self.shared.clients[node].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn until(&self, acknowledged: u64) -> Result<Snapshot> {
        self.wait_for(|counters| counters.acknowledged.load(SeqCst) >= acknowledged)?;
        let mut cpu = 0.0;
        for child in &self.children {
            cpu += cpu_seconds(child.id())?;
        }
        let counters = &self.shared.counters;
        let (acknowledged, between) = (counters.acknowledged.load(SeqCst), counters.between.load(SeqCst));
        Ok(Snapshot { at: Instant::now(), acknowledged, between, cpu })
    }

    fn wait_for(&self, reached: impl Fn(&Counters) -> bool) -> Result<()> {
        let counters = &self.shared.counters;
        let (mut last, mut since) = (0, Instant::now());
        while !reached(counters) {
            let answered = counters.acknowledged.load(SeqCst) + counters.refused.load(SeqCst);
            if answered != last {
                (last, since) = (answered, Instant::now());
            } else if since.elapsed() > PATIENCE {
                return Err(format!("no reply for {PATIENCE:?}, after {answered}"));
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn memory_mib(&self) -> Result<f64> {
        self.children.iter().map(|child| peak_mib(child.id())).try_fold(0.0, |most, mib| Ok(mib?.max(most)))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.shared.pipes.iter().for_each(Pipe::close);
        for child in &mut self.children {
            let deadline = Instant::now() + Duration::from_secs(5);
            while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(5));
            }
            // Ended long ago, in the usual case.
            let _killed = child.kill();
            let _reaped = child.wait();
        }
        for thread in self.threads.drain(..) {
            let _ended = thread.join();
        }
    }
}

/// Starts a node that logs where this program does.
pub fn spawn(program: &Path) -> Result<Child> {
    let mut command = Command::new(program);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command.spawn().map_err(|e| format!("{}: {e}", program.display()))
}

/// User and system time of a process.
fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat =
        std::fs::read_to_string(format!("/proc/{pid}/stat")).map_err(|e| format!("node {pid}: {e}"))?;
    // The name, in brackets, may hold anything; utime and stime are the 12th and 13th after it.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: Vec<f64> = fields.skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    Ok(ticks.iter().sum::<f64>() / TICKS)
}

/// The most memory that a process ever held.
pub fn peak_mib(pid: u32) -> Result<f64> {
    let status =
        std::fs::read_to_string(format!("/proc/{pid}/status")).map_err(|e| format!("node {pid}: {e}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    Ok(kib.ok_or("no VmHWM")? / 1024.0)
}

/// Reads what a node prints.
struct Reader {
    node: usize,
    shared: Arc<Shared>,
    control: mpsc::Sender<String>,
    /// For each node, what came for it in this chunk.
    passed: Vec<Vec<u8>>,
}

impl Reader {
    fn new(node: usize, shared: Arc<Shared>, control: mpsc::Sender<String>) -> Self {
        let passed = vec![Vec::new(); shared.pipes.len()];
        Self { node, shared, control, passed }
    }

    fn run(mut self, mut stdout: ChildStdout) {
        let mut input = vec![0; 256 * 1024];
        let mut held = 0;
        loop {
            if held == input.len() {
                input.resize(2 * held, 0);
            }
            let Ok(read @ 1..) = stdout.read(&mut input[held..]) else { return };
            let searched = held;
            held += read;
            let Some(whole) = input[searched..held].iter().rposition(|byte| *byte == b'\n') else { continue };
            let whole = searched + whole + 1;
            self.pass_on(&input[..whole]);
            input.copy_within(whole..held, 0);
            held -= whole;
        }
    }

    fn pass_on(&mut self, lines: &[u8]) {
        let now = Instant::now();
        let shared = self.shared.clone();
        let counters = &shared.counters;
        let stopping = counters.stopping.load(SeqCst) > 0;
        let mut clients = shared.clients[self.node].lock().unwrap_or_else(PoisonError::into_inner);
        let (mut acknowledged, mut refused, mut strange, mut ended, mut between) = (0, 0, 0, 0, 0);
        // Clients of a run have consecutive numbers at a distance; those of this node are in order.
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            match Line::parse(line) {
                Some(Line::Peer(node)) if node < self.passed.len() => {
                    self.passed[node].extend_from_slice(line);
                    between += 1;
                }
                Some(Line::Client { number: 0, .. }) => {
                    // Nobody waits for it when the run is over.
                    let _told = self.control.send(String::from_utf8_lossy(line).into_owned());
                }
                Some(Line::Client { number, in_reply_to, error }) => {
                    let place = clients.binary_search_by_key(&number, |client| client.number);
                    let Some(client) = place.ok().map(|place| &mut clients[place]) else {
                        strange += 1;
                        continue;
                    };
                    if error {
                        refused += 1
                    } else {
                        acknowledged += 1
                    }
                    strange += u64::from(!client.answered(in_reply_to, now));
                    if stopping {
                        ended += 1;
                    } else {
                        client.next(&mut self.passed[self.node]);
                    }
                }
                Some(Line::Peer(_)) | None => strange += 1,
            }
        }
        drop(clients);
        for (pipe, lines) in shared.pipes.iter().zip(&mut self.passed) {
            pipe.push(lines);
        }
        for (counter, count) in [
            (&counters.acknowledged, acknowledged),
            (&counters.refused, refused),
            (&counters.strange, strange),
            (&counters.between, between),
        ] {
            counter.fetch_add(count, SeqCst);
        }
        counters.under_way.fetch_sub(ended, SeqCst);
    }
}

/// What the harness has to know of a line that a node printed. It has the keys in the contract's order.
enum Line {
    Peer(usize),
    Client { number: usize, in_reply_to: u64, error: bool },
}

impl Line {
    fn parse(line: &[u8]) -> Option<Self> {
        let rest = line.strip_prefix(br#"{"src":""#)?;
        let rest = after(rest, br#"","dest":""#)?;
        let (number, after_number) = number(rest.get(1..)?)?;
        match rest[0] {
            b'n' => Some(Self::Peer(usize::try_from(number).ok()?.checked_sub(1)?)),
            b'c' => {
                let rest = after_number.strip_prefix(br#"","body":{"type":""#)?;
                let error = rest.starts_with(b"error\"");
                let (in_reply_to, _) = self::number(after(rest, br#"","in_reply_to":"#)?)?;
                Some(Self::Client { number: usize::try_from(number).ok()?, in_reply_to, error })
            }
            _ => None,
        }
    }
}

/// What follows a name that is ended by `mark`.
fn after<'a>(text: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    let end = text.iter().position(|byte| *byte == b'"')?;
    text[end..].strip_prefix(mark)
}

fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit())?;
    let number = text[..end].iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
    (end > 0).then_some((number, &text[end..]))
}
