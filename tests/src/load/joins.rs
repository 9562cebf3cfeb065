//! Mass joins: so many consumers subscribe at once, through all nodes, while a bystander at each
//! node writes to a register. What a join costs, how long the bystanders wait, which replies come
//! too late, and what a node holds.
//!
//! A thread for each node reads what it prints and passes on what is for other nodes; another
//! writes to it. Every reply is looked at, as one that comes late is what this is about.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use cohort::config::Config;
use cohort::limits;
use serde_json::Value;

use super::cluster::{Failure, Result, at, spawn};
use super::machine::peak_mib;
use super::table::{markdown, numbers, short, words};

/// How long a request has, and how long after that a reply may still come.
static IN_TIME: LazyLock<Duration> =
    LazyLock::new(|| Config::default().request_timeout + limits::LATE_ANSWER);

/// Without a line for so long a run has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often a bystander asks.
const EVERY: Duration = Duration::from_millis(2);

/// What is measured.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The program; `cohort` beside this one where it is left out
    #[arg(long, value_name = "FILE")]
    pub bin: Option<PathBuf>,

    /// Sizes of the cluster
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1, 3])]
    nodes: Vec<usize>,

    /// How many consumers join at once
    #[arg(
        long,
        value_name = "N",
        value_delimiter = ',',
        default_values_t = [500, 1_000, 2_000, 4_000, 8_000]
    )]
    members: Vec<usize>,

    /// Partitions of their topic
    #[arg(long, value_name = "N", default_value_t = 100)]
    partitions: u32,

    /// Only these groups
    #[arg(long, value_name = "GROUP", value_delimiter = ',', value_enum)]
    only: Vec<Crowd>,
}

/// Takes all figures and says how far it is. Gives a table in Markdown, and whether all was well:
/// no run failed, and no reply came too late.
pub fn measure(args: &Args, program: &Path, tell: &dyn Fn(&str)) -> (String, bool) {
    let all = [Crowd::Cooperative, Crowd::HoldsNothing, Crowd::Eager, Crowd::Different];
    let wanted = |crowd: &Crowd| args.only.is_empty() || args.only.contains(crowd);
    let (mut rows, mut well) = (Vec::new(), true);
    for nodes in &args.nodes {
        for crowd in all.into_iter().filter(wanted) {
            for members in &args.members {
                let name = format!("{}, {members} members, {nodes} nodes", crowd.title());
                tell(&name);
                let mut row: Vec<String> = vec![crowd.title().into()];
                row.extend([*nodes, *members].map(|count| count.to_string()));
                match run(program, *nodes, crowd, *members, args.partitions) {
                    Ok(joins) => {
                        well &= joins.late == 0;
                        row.extend(joins.row());
                    }
                    Err(problem) => {
                        well = false;
                        tell(&format!("{name}: FAILED: {problem}"));
                        row.push("failed".to_owned());
                    }
                }
                rows.push(row);
            }
        }
    }
    let columns = [
        words("group"),
        numbers("nodes"),
        numbers("members"),
        numbers("µs per join"),
        numbers("joined, refused, unanswered"),
        numbers("late replies"),
        numbers("ms of a bystander's write: p50, p99, most"),
        numbers("elections"),
        numbers("MiB"),
    ];
    let mut table = String::new();
    // A string takes everything.
    let _written = markdown(&mut table, &columns, &rows);
    let _written = writeln!(table, "\n{} partitions.", args.partitions);
    (table, well)
}

/// What the consumers join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Crowd {
    /// A cooperative group, all of whose members read one topic.
    Cooperative,
    /// An eager group whose members hold nothing, as their topic does not exist.
    HoldsNothing,
    /// An eager group that reads one topic.
    Eager,
    /// A cooperative group whose members read different topics, so that every join has the whole
    /// assignment computed.
    Different,
}

impl Crowd {
    /// What it is called in a table.
    pub fn title(self) -> &'static str {
        match self {
            Self::Cooperative => "cooperative",
            Self::HoldsNothing => "no topic",
            Self::Eager => "eager",
            Self::Different => "cooperative, different topics",
        }
    }

    fn subscribe(self, member: usize, node: usize) -> String {
        let topics = match self {
            Self::HoldsNothing => r#"["nothing"]"#.to_owned(),
            Self::Cooperative | Self::Eager => r#"["orders"]"#.to_owned(),
            Self::Different => format!(r#"["orders","own-{}"]"#, member % 3),
        };
        let strategy = match self {
            Self::Cooperative | Self::Different => "cooperative-sticky",
            Self::Eager | Self::HoldsNothing => "range",
        };
        format!(
            "{{\"src\":\"c{member}\",\"dest\":\"n{}\",\"body\":{{\"type\":\"subscribe\",\"msg_id\":1,\"group\":\"g\",\"consumer\":\"c{member:06}\",\"topics\":{topics},\"strategy\":\"{strategy}\"}}}}\n",
            node + 1
        )
    }
}

/// What came out of a run.
#[derive(Debug, Clone)]
pub struct Joins {
    /// From the first line to the last reply, for each member.
    pub us_per_join: f64,
    /// How many joins were answered with `subscribe_ok`.
    pub joined: usize,
    /// How many were refused, or given up at their deadline.
    pub refused: usize,
    /// Joins that stayed without a reply, as it would have come too late.
    pub unanswered: usize,
    /// Replies, of bystanders too, that came too late.
    pub late: usize,
    /// How long bystanders waited meanwhile, shortest first.
    pub waits: Vec<Duration>,
    /// How many of the bystanders' writes failed.
    pub failed_writes: usize,
    /// How many elections were held meanwhile.
    pub elections: u64,
    /// The most that any node held.
    pub peak_mib: f64,
}

impl Joins {
    fn row(&self) -> [String; 6] {
        let wait = |share| match self.wait_ms(share) {
            Some(ms) => short(ms),
            None => "–".to_owned(),
        };
        let waits = [0.5, 0.99, 1.0].map(wait);
        [
            short(self.us_per_join),
            format!("{}, {}, {}", self.joined, self.refused, self.unanswered),
            self.late.to_string(),
            waits.join(", "),
            self.elections.to_string(),
            short(self.peak_mib),
        ]
    }

    /// How long bystanders waited at most, of this share of their requests, in ms. `None`: none was
    /// answered.
    pub fn wait_ms(&self, share: f64) -> Option<f64> {
        (!self.waits.is_empty()).then(|| at(&self.waits, share).as_secs_f64() * 1e3)
    }
}

/// A line for a client, and when it came.
struct Reply {
    at: Instant,
    text: String,
}

/// Nodes, and the lines between them.
struct Nodes {
    children: Vec<Child>,
    inputs: Vec<Sender<Vec<u8>>>,
    replies: Receiver<Reply>,
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for child in &mut self.children {
            // They may have ended.
            let _killed = child.kill();
            let _reaped = child.wait();
        }
    }
}

impl Nodes {
    fn start(program: &Path, count: usize) -> Result<Self> {
        let (mut children, mut inputs, mut outputs) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..count {
            let (child, mut stdin, stdout) = spawn(program)?;
            let (sender, lines) = channel::<Vec<u8>>();
            thread::spawn(move || while lines.recv().is_ok_and(|l| stdin.write_all(&l).is_ok()) {});
            children.push(child);
            inputs.push(sender);
            outputs.push(stdout);
        }
        let (sender, replies) = channel();
        for stdout in outputs {
            let (inputs, sender) = (inputs.clone(), sender.clone());
            thread::spawn(move || {
                for text in BufReader::new(stdout).lines().map_while(std::io::Result::ok) {
                    let rest = text.split_once("\"dest\":\"").map_or("", |(_, rest)| rest);
                    let to = rest.split('"').next().unwrap_or_default();
                    let node = to.strip_prefix('n').and_then(|n| n.parse::<usize>().ok());
                    let passed = match node.and_then(|n| inputs.get(n - 1)) {
                        Some(input) => input.send(format!("{text}\n").into_bytes()).is_ok(),
                        None => sender.send(Reply { at: Instant::now(), text }).is_ok(),
                    };
                    if !passed {
                        return;
                    }
                }
            });
        }
        Ok(Self { children, inputs, replies })
    }

    fn say(&self, node: usize, lines: String) {
        // A node that has ended is noticed by its silence.
        let _said = self.inputs[node].send(lines.into_bytes());
    }

    fn hear(&self, patience: Duration) -> Result<Option<Reply>> {
        match self.replies.recv_timeout(patience) {
            Ok(reply) => Ok(Some(reply)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => {
                let nodes = self.children.len();
                Err(Failure::Ended { ended: nodes as u64, nodes })
            }
        }
    }

    fn ask(&self, node: usize, line: &str, expected: &str) -> Result<()> {
        self.say(node, format!("{line}\n"));
        let reply = self.hear(PATIENCE)?.ok_or(Failure::Silent { replies: 0 })?;
        if reply.text.contains(expected) {
            return Ok(());
        }
        Err(Failure::Wrong { refused: 1, wrong: 0, first: reply.text })
    }

    /// Tells the nodes who they are, and waits until they have a leader and a topic.
    fn prepare(&self, partitions: u32) -> Result<()> {
        let names: Vec<String> = (1..=self.inputs.len()).map(|n| format!("\"n{n}\"")).collect();
        let names = names.join(",");
        for node in 0..self.inputs.len() {
            let name = node + 1;
            let init = format!(
                "{{\"src\":\"c\",\"dest\":\"n{name}\",\"body\":{{\"type\":\"init\",\"msg_id\":1,\"node_id\":\"n{name}\",\"node_ids\":[{names}]}}}}"
            );
            self.ask(node, &init, "init_ok")?;
        }
        let create = format!(
            "{{\"src\":\"c\",\"dest\":\"n1\",\"body\":{{\"type\":\"create_topic\",\"msg_id\":2,\"topic\":\"orders\",\"partitions\":{partitions}}}}}"
        );
        self.ask(0, &create, "create_topic_ok")
    }
}

impl Nodes {
    /// The term that the first node knows: it grows with every election.
    fn term(&self) -> Result<u64> {
        let ask = r#"{"src":"c","dest":"n1","body":{"type":"cluster_status","msg_id":3}}"#;
        self.say(0, format!("{ask}\n"));
        loop {
            let reply = self.hear(PATIENCE)?.ok_or(Failure::Silent { replies: 0 })?;
            let line = serde_json::from_str::<Value>(&reply.text).unwrap_or_default();
            if line["body"]["type"] == "cluster_status_ok" {
                return Ok(line["body"]["term"].as_u64().unwrap_or_default());
            }
        }
    }
}

/// What has been asked, and what has come.
struct Tally {
    begun: Instant,
    /// When a bystander's requests were written, by node.
    asked: Vec<Vec<Instant>>,
    answered: usize,
    last: Instant,
    joins: Joins,
}

impl Tally {
    fn take(&mut self, reply: &Reply) {
        let Ok(line) = serde_json::from_str::<Value>(&reply.text) else { return };
        let (dest, body) = (line["dest"].as_str().unwrap_or_default(), &line["body"]);
        let is_ok = body["type"] != "error";
        let since = match dest.strip_prefix('w').and_then(|node| node.parse::<usize>().ok()) {
            Some(node) => {
                let number = body["in_reply_to"].as_u64().unwrap_or(1);
                let asked = self.asked[node][usize::try_from(number).unwrap_or(1) - 1];
                let wait = reply.at - asked;
                self.joins.waits.push(wait);
                self.joins.failed_writes += usize::from(!is_ok);
                wait
            }
            None => {
                self.answered += 1;
                self.last = reply.at;
                self.joins.joined += usize::from(is_ok);
                self.joins.refused += usize::from(!is_ok);
                reply.at - self.begun
            }
        };
        self.joins.late += usize::from(since > *IN_TIME);
    }
}

/// Has so many members join at once.
///
/// # Errors
/// Where nodes end, or do not answer at all.
pub fn run(
    program: &Path,
    nodes: usize,
    crowd: Crowd,
    members: usize,
    partitions: u32,
) -> Result<Joins> {
    let nodes = Nodes::start(program, nodes)?;
    nodes.prepare(partitions)?;
    let (count, term) = (nodes.inputs.len(), nodes.term()?);
    for node in 0..count {
        let lines = (node..members).step_by(count).map(|member| crowd.subscribe(member, node));
        nodes.say(node, lines.collect());
    }
    let begun = Instant::now();
    let joins = Joins {
        us_per_join: 0.0,
        joined: 0,
        refused: 0,
        unanswered: 0,
        late: 0,
        waits: Vec::new(),
        failed_writes: 0,
        elections: 0,
        peak_mib: 0.0,
    };
    let mut tally =
        Tally { begun, asked: vec![Vec::new(); count], answered: 0, last: begun, joins };
    let mut next = begun;
    // What does not come in time does not come at all.
    while tally.answered < members && begun.elapsed() < *IN_TIME + Duration::from_secs(1) {
        let now = Instant::now();
        if now >= next {
            next = now + EVERY;
            for (node, asked) in tally.asked.iter_mut().enumerate() {
                asked.push(now);
                let (number, name) = (asked.len(), node + 1);
                let write = format!(
                    "{{\"src\":\"w{node}\",\"dest\":\"n{name}\",\"body\":{{\"type\":\"write\",\"msg_id\":{number},\"key\":\"x{node}\",\"value\":{number}}}}}\n"
                );
                nodes.say(node, write);
            }
        }
        if let Some(reply) = nodes.hear(next.saturating_duration_since(Instant::now()))? {
            tally.take(&reply);
        }
    }
    // What bystanders still wait for.
    let asked: usize = tally.asked.iter().map(Vec::len).sum();
    let patience = Instant::now() + *IN_TIME;
    while tally.joins.waits.len() < asked && Instant::now() < patience {
        if let Some(reply) = nodes.hear(Duration::from_millis(100))? {
            tally.take(&reply);
        }
    }
    let mut joins = tally.joins;
    joins.elections = nodes.term()?.saturating_sub(term);
    joins.unanswered = members.saturating_sub(tally.answered);
    joins.us_per_join = (tally.last - begun).as_secs_f64() * 1e6 / members.max(1) as f64;
    joins.waits.sort_unstable();
    for child in &nodes.children {
        joins.peak_mib = joins.peak_mib.max(peak_mib(child.id())?);
    }
    Ok(joins)
}
