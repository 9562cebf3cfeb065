//! Nodes as processes, the lines between them, and clients that ask as fast as they are answered,
//! or at set times.
//!
//! A thread for each node reads what it prints, passes on what is for other nodes, and answers each
//! reply to a client with that client's next request; another writes to it. Lines are handled in
//! batches, as many as one read gives, so that the harness takes little of the machine from the
//! nodes. No line is delayed or lost, and nothing of a line is looked at beyond whom it is for and
//! whether it is the answer that had to come.

mod reader;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::load::machine::{cpu_seconds, peak_mib, resident_mib};
use crate::load::script::{Client, Work, name};
use reader::Reader;

/// A run without a reply for so long has failed.
const PATIENCE: Duration = Duration::from_secs(15);

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The program does not start.
    #[error("cannot start {path}: {source}")]
    Start {
        /// The program.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system does not say what a process took.
    #[error("cannot look at a node: {0}")]
    Look(#[from] io::Error),
    /// A node's output ended before its input did.
    #[error("{ended} of {nodes} nodes ended")]
    Ended {
        /// How many.
        ended: u64,
        /// Of how many.
        nodes: usize,
    },
    /// The nodes do not agree on a leader.
    #[error("no leader for {PATIENCE:?}")]
    NoLeader,
    /// Requests stay without replies.
    #[error("no reply for {PATIENCE:?}, after {replies} replies")]
    Silent {
        /// How many came before that, of the whole run.
        replies: u64,
    },
    /// A request that somebody waits for stays without its reply.
    #[error("no reply for {PATIENCE:?} to request {number}")]
    Unanswered {
        /// Its `msg_id`.
        number: u64,
    },
    /// A reply is an error, or another one than it has to be.
    #[error("{refused} requests were refused, {wrong} lines were wrong, first this one: {first}")]
    Wrong {
        /// Replies that were errors.
        refused: u64,
        /// Replies that were wrong or out of order, and lines that nobody understands.
        wrong: u64,
        /// The first line of them all.
        first: String,
    },
}

/// What came out, or why nothing did.
pub type Result<T> = std::result::Result<T, Failure>;

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
    wrong: AtomicU64,
    /// Clients whose set-up has been answered.
    prepared: AtomicU64,
    under_way: AtomicU64,
    between: AtomicU64,
    stopping: AtomicU64,
    /// Nodes whose output has ended.
    ended: AtomicU64,
}

struct Shared {
    pipes: Vec<Pipe>,
    /// The clients of each node.
    clients: Vec<Mutex<Vec<Client>>>,
    counters: Counters,
    /// The first line that was refused or wrong.
    first_wrong: Mutex<Option<String>>,
}

impl Shared {
    fn clients(&self, node: usize) -> MutexGuard<'_, Vec<Client>> {
        self.clients[node].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn first_wrong(&self) -> MutexGuard<'_, Option<String>> {
        self.first_wrong.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was counted so far.
#[derive(Clone, Copy)]
struct Snapshot {
    at: Instant,
    acknowledged: u64,
    between: u64,
    cpu: f64,
    own_cpu: f64,
}

/// What a run showed.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// Acknowledged requests in a second.
    pub per_second: f64,
    /// Of all nodes, for one acknowledged request, in microseconds.
    pub cpu_us: f64,
    /// Of this process, for one acknowledged request, in microseconds.
    pub own_cpu_us: f64,
    /// Messages between nodes for one acknowledged request.
    pub messages: f64,
    /// The most that any node ever held, in MiB.
    pub memory_mib: f64,
    /// Acknowledged requests, those before and after the counted ones too.
    pub acknowledged: u64,
    /// Of clients that wait for each reply, sorted.
    pub latencies: Vec<Duration>,
}

impl Run {
    /// The latency in milliseconds below which `share` of them are; 1.0 gives the longest.
    pub fn latency_ms(&self, share: f64) -> f64 {
        at(&self.latencies, share).as_secs_f64() * 1e3
    }
}

/// The value below which `share` of the sorted ones are.
pub fn at(sorted: &[Duration], share: f64) -> Duration {
    let place = (sorted.len() as f64 * share) as usize;
    sorted.get(place.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// How long something goes on.
#[derive(Debug, Clone, Copy)]
pub enum Span {
    /// Until so many requests were acknowledged.
    Requests(u64),
    /// So long.
    Time(Duration),
}

/// The requests of a run.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// What the clients ask.
    pub work: Work,
    /// How many clients.
    pub clients: usize,
    /// Requests that each client has under way. Latencies are noted where it is 1.
    pub window: u64,
    /// A client that waits asks at most once in this time, each at another moment of it.
    pub pace: Option<Duration>,
    /// Before anything is counted; the set-up of all clients is over by then in any case.
    pub warm_up: Span,
    /// While everything is counted.
    pub counted: Span,
}

/// Nodes `n1`, `n2` … that run.
pub struct Cluster {
    children: Vec<Child>,
    shared: Arc<Shared>,
    replies: mpsc::Receiver<String>,
    threads: Vec<JoinHandle<()>>,
    asked: u64,
    /// Clients of all runs so far: no two have the same number.
    clients: usize,
}

impl Cluster {
    /// Starts nodes and tells them who they are.
    pub fn start(program: &Path, count: usize) -> Result<Self> {
        let shared = Arc::new(Shared {
            pipes: (0..count).map(|_| Pipe::default()).collect(),
            clients: (0..count).map(|_| Mutex::default()).collect(),
            counters: Counters::default(),
            first_wrong: Mutex::default(),
        });
        let (sender, replies) = mpsc::channel();
        let mut cluster = Self {
            children: Vec::new(),
            shared,
            replies,
            threads: Vec::new(),
            asked: 0,
            clients: 0,
        };
        for node in 0..count {
            let (child, stdin, stdout) = spawn(program)?;
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
                return Err(Failure::Wrong { refused: 1, wrong: 0, first: reply.to_string() });
            }
        }
        Ok(cluster)
    }

    /// Asks a node, and gives the number of the request.
    fn send(&mut self, node: usize, fields: &str) -> u64 {
        self.asked += 1;
        let number = self.asked;
        let line = format!(
            r#"{{"src":"c0","dest":"{}","body":{{{fields},"msg_id":{number}}}}}"#,
            name(node)
        ) + "\n";
        self.shared.pipes[node].push(&mut line.into_bytes());
        number
    }

    /// Asks a node and waits for the reply.
    fn ask(&mut self, node: usize, fields: &str) -> Result<Value> {
        let number = self.send(node, fields);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let line = match self.replies.recv_timeout(Duration::from_millis(100)) {
                Ok(line) => line,
                Err(_) if Instant::now() > deadline => return Err(Failure::Unanswered { number }),
                Err(_) => {
                    self.all_there()?;
                    continue;
                }
            };
            let reply: Value = serde_json::from_str(&line).unwrap_or_default();
            if reply["body"]["in_reply_to"] == number {
                return Ok(reply);
            }
        }
    }

    /// An error where a node has ended.
    fn all_there(&self) -> Result<()> {
        match self.shared.counters.ended.load(SeqCst) {
            0 => Ok(()),
            ended => Err(Failure::Ended { ended, nodes: self.children.len() }),
        }
    }

    /// Waits until all nodes know the same leader, and says who it is; `None` where a node knows no
    /// `cluster_status`: then there is nothing to wait for.
    pub fn ready(&mut self) -> Result<Option<usize>> {
        for node in 0..self.children.len() {
            // All are there, but a node is silent towards its peers until somebody wants something
            // of the cluster.
            self.send(node, r#""type":"read","key":"ready""#);
        }
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let mut leaders = Vec::new();
            for node in 0..self.children.len() {
                let status = self.ask(node, r#""type":"cluster_status""#)?;
                if status["body"]["code"] == 10 {
                    return Ok(None);
                }
                leaders.push(status["body"]["leader"].as_str().map(str::to_owned));
            }
            let known = (0..leaders.len()).find(|node| leaders[0].as_ref() == Some(&name(*node)));
            if known.is_some() && leaders.iter().all(|other| *other == leaders[0]) {
                return Ok(known);
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err(Failure::NoLeader)
    }

    /// Carries a plan out, with its clients spread over `nodes`.
    pub fn run(&mut self, plan: &Plan, nodes: &[usize]) -> Result<Run> {
        let (counters, begun) = (&self.shared.counters, Instant::now());
        for counter in [
            &counters.acknowledged,
            &counters.refused,
            &counters.wrong,
            &counters.prepared,
            &counters.stopping,
        ] {
            counter.store(0, SeqCst);
        }
        counters.under_way.store(plan.clients as u64 * plan.window, SeqCst);
        let mut first = vec![Vec::new(); self.children.len()];
        for index in 0..plan.clients {
            let node = nodes[index % nodes.len()];
            let mut client = Client::new(self.clients + index + 1, &name(node), plan.work);
            client.timed = plan.window == 1;
            // Each begins at another moment.
            client.due =
                plan.pace.map(|pace| begun + pace.mul_f64(index as f64 / plan.clients as f64));
            (0..plan.window).for_each(|_| client.ask(&mut first[node]));
            self.shared.clients(node).push(client);
        }
        self.clients += plan.clients;
        for (node, lines) in first.iter_mut().enumerate() {
            self.shared.pipes[node].push(lines);
        }
        let begin = self.until(plan, begun, plan.warm_up, 0)?;
        // What is counted begins now, latencies too.
        for node in nodes {
            self.shared.clients(*node).iter_mut().for_each(|client| client.latencies.clear());
        }
        let end = self.until(plan, begin.at, plan.counted, begin.acknowledged)?;
        let counters = &self.shared.counters;
        counters.stopping.store(1, SeqCst);
        self.wait_for(|counters| counters.under_way.load(SeqCst) == 0, || ())?;
        let (refused, wrong) = (counters.refused.load(SeqCst), counters.wrong.load(SeqCst));
        if refused + wrong > 0 {
            let first = self.shared.first_wrong().take().unwrap_or_default();
            return Err(Failure::Wrong { refused, wrong, first });
        }
        let requests = (end.acknowledged - begin.acknowledged) as f64;
        let mut latencies: Vec<Duration> = Vec::new();
        for node in nodes {
            self.shared
                .clients(*node)
                .drain(..)
                .for_each(|mut client| latencies.append(&mut client.latencies));
        }
        latencies.sort_unstable();
        Ok(Run {
            per_second: requests / (end.at - begin.at).as_secs_f64(),
            cpu_us: (end.cpu - begin.cpu) * 1e6 / requests,
            own_cpu_us: (end.own_cpu - begin.own_cpu) * 1e6 / requests,
            messages: (end.between - begin.between) as f64 / requests,
            memory_mib: self.memory_mib()?,
            acknowledged: self.shared.counters.acknowledged.load(SeqCst),
            latencies,
        })
    }

    /// Waits for the end of a span that began at `since` with so many acknowledged.
    fn until(
        &self,
        plan: &Plan,
        since: Instant,
        span: Span,
        acknowledged: u64,
    ) -> Result<Snapshot> {
        let reached = |counters: &Counters| {
            let now = counters.acknowledged.load(SeqCst);
            counters.prepared.load(SeqCst) >= plan.clients as u64
                && match span {
                    Span::Requests(requests) => now >= acknowledged + requests,
                    // Without any there is no figure.
                    Span::Time(time) => since.elapsed() >= time && now > acknowledged,
                }
        };
        self.wait_for(reached, || plan.pace.into_iter().for_each(|pace| self.ask_on_time(pace)))?;
        let mut cpu = 0.0;
        for child in &self.children {
            cpu += cpu_seconds(child.id())?;
        }
        let own_cpu = cpu_seconds(std::process::id())?;
        let counters = &self.shared.counters;
        let (acknowledged, between) =
            (counters.acknowledged.load(SeqCst), counters.between.load(SeqCst));
        Ok(Snapshot { at: Instant::now(), acknowledged, between, cpu, own_cpu })
    }

    /// Lets those clients ask whose time has come.
    fn ask_on_time(&self, pace: Duration) {
        let now = Instant::now();
        let mut lines = Vec::new();
        for (node, pipe) in self.shared.pipes.iter().enumerate() {
            for client in self.shared.clients(node).iter_mut().filter(|client| client.idle) {
                let Some(due) = client.due.filter(|due| *due <= now) else { continue };
                // Who was held up longer than that lets those times pass.
                client.due = Some((due + pace).max(now));
                client.idle = false;
                client.ask(&mut lines);
                self.shared.counters.under_way.fetch_add(1, SeqCst);
            }
            pipe.push(&mut lines);
        }
    }

    fn wait_for(&self, reached: impl Fn(&Counters) -> bool, meanwhile: impl Fn()) -> Result<()> {
        let counters = &self.shared.counters;
        let (mut last, mut since) = (0, Instant::now());
        while !reached(counters) {
            self.all_there()?;
            let replies = counters.acknowledged.load(SeqCst) + counters.refused.load(SeqCst);
            if replies != last {
                (last, since) = (replies, Instant::now());
            } else if since.elapsed() > PATIENCE {
                return Err(Failure::Silent { replies });
            }
            meanwhile();
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// The most that any node holds now, in MiB.
    pub fn resident_mib(&self) -> Result<f64> {
        let mut held = self.children.iter().map(|child| resident_mib(child.id()));
        held.try_fold(0.0, |most, mib| Ok(mib?.max(most)))
    }

    fn memory_mib(&self) -> Result<f64> {
        self.children
            .iter()
            .map(|child| peak_mib(child.id()))
            .try_fold(0.0, |most, mib| Ok(mib?.max(most)))
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
pub fn spawn(program: &Path) -> Result<(Child, ChildStdin, ChildStdout)> {
    let failed = |source| Failure::Start { path: program.to_owned(), source };
    let mut command = Command::new(program);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(failed)?;
    let pipes = child.stdin.take().zip(child.stdout.take());
    let (stdin, stdout) = pipes.ok_or_else(|| failed(io::Error::other("it has no pipes")))?;
    Ok((child, stdin, stdout))
}
