//! Three nodes on data folders: cohort's over TCP, or the floor's.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use wire::kafka_protocol::messages::create_topics_request::CreatableTopic;
use wire::kafka_protocol::messages::{
    CreateTopicsRequest, MetadataRequest, MetadataResponse, ResponseKind,
};
use wire::kafka_protocol::protocol::StrBytes;
use wire::versions::{CREATE_TOPICS, METADATA};

use super::super::machine::{cpu_seconds, peak_mib, written_bytes};
use crate::wire::connection::Connection;

/// The topic that is written to.
pub(super) const TOPIC: &str = "bench";
/// Its partitions.
pub(super) const PARTITIONS: i32 = 6;
/// How long nodes may take until they serve.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks whether they do.
const LOOK: Duration = Duration::from_millis(20);

/// A process, which ends with it.
#[derive(Debug)]
struct Node {
    child: Child,
    /// Its first line, which says where it listens.
    said: mpsc::Receiver<io::Result<String>>,
    /// What it complains of.
    log: PathBuf,
}

/// Processes of one kind. They end with it, and their folders go.
#[derive(Debug)]
pub(super) struct Nodes {
    nodes: Vec<Node>,
    /// Whom clients ask.
    pub(super) leader: SocketAddr,
    /// Held until the processes are gone.
    _folder: TempDir,
}

/// What nodes have taken so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken {
    /// Processor time of all, in seconds.
    pub(super) cpu: f64,
    /// What all have written to their disk, in bytes.
    pub(super) written: u64,
}

impl Node {
    fn start(program: &Path, args: &[String], log: PathBuf) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(&log)?);
        let mut child = command.spawn().map_err(|source| {
            io::Error::other(format!("cannot start {}: {source}", program.display()))
        })?;
        let (say, said) = mpsc::channel();
        let stdout = child.stdout.take();
        let node = Self { child, said, log };
        let mut stdout = BufReader::new(stdout.ok_or_else(|| io::Error::other("no pipe"))?);
        thread::spawn(move || {
            let mut line = String::new();
            let read = stdout.read_line(&mut line);
            // Nobody waits for it where the figure has failed meanwhile.
            let _nobody = say.send(read.map(|_| line));
            // A node that says more is not held up, and one that ends ends this.
            io::copy(&mut stdout, &mut io::sink())
        });
        Ok(node)
    }

    /// Where it listens.
    fn listens(&self) -> io::Result<SocketAddr> {
        let line = match self.said.recv_timeout(PATIENCE) {
            Ok(line) => line?,
            Err(_) => {
                return Err(self.problem(&format!("has not begun to serve after {PATIENCE:?}")));
            }
        };
        let told = serde_json::from_str(&line).unwrap_or(Value::Null);
        let address = told["kafka"].as_str().and_then(|address| address.parse().ok());
        address.ok_or_else(|| self.problem(&format!("said {line:?}, and not where it listens")))
    }

    fn problem(&self, what: &str) -> io::Error {
        let log = std::fs::read_to_string(&self.log).unwrap_or_else(|error| error.to_string());
        io::Error::other(format!("a node {what}; it complains: {}", log.trim()))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Nodes {
    /// The floor: a leader and two followers.
    pub(super) fn of_floor(program: &Path, data: &Path) -> io::Result<Self> {
        let folder = tempfile::tempdir_in(data)?;
        let (mut nodes, mut addresses) = (Vec::new(), Vec::new());
        for name in ["n2", "n3", "n1"] {
            let mut args = vec![folder.path().join(name).display().to_string()];
            if name == "n1" {
                args.extend(addresses.iter().map(SocketAddr::to_string));
            }
            let node = Node::start(program, &args, folder.path().join(format!("{name}.log")))?;
            addresses.push(node.listens()?);
            nodes.push(node);
        }
        Ok(Self { nodes, leader: addresses[2], _folder: folder })
    }

    /// Three nodes of cohort with a topic.
    pub(super) async fn of_cohort(program: &Path, data: &Path) -> io::Result<Self> {
        let folder = tempfile::tempdir_in(data)?;
        // They are free for others as soon as they are known here; a node that finds its own taken
        // says so, and the figure fails.
        let held: Vec<TcpListener> =
            (0..3).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
        let peers: Vec<String> = held
            .iter()
            .map(|listener| listener.local_addr().map(|address| address.to_string()))
            .collect::<Result<_, _>>()?;
        drop(held);
        let cluster = format!("n1={},n2={},n3={}", peers[0], peers[1], peers[2]);
        let mut nodes = Vec::new();
        for (id, peer) in ["1", "2", "3"].into_iter().zip(&peers) {
            let own = folder.path().join(id).display().to_string();
            let args = [
                "serve",
                "--node-id",
                id,
                "--data-dir",
                &own,
                "--kafka",
                "127.0.0.1:0",
                "--peers",
                peer,
                "--cluster",
                &cluster,
                "--cluster-id",
                "bench",
            ];
            let log = folder.path().join(format!("{id}.log"));
            nodes.push(Node::start(program, &args.map(str::to_owned), log)?);
        }
        let addresses: Vec<SocketAddr> =
            nodes.iter().map(Node::listens).collect::<Result<_, _>>()?;
        Ok(Self { nodes, leader: leader(addresses[0]).await?, _folder: folder })
    }

    /// What they have taken so far.
    pub(super) fn taken(&self) -> io::Result<Taken> {
        let mut taken = Taken { cpu: 0.0, written: 0 };
        for node in &self.nodes {
            taken.cpu += cpu_seconds(node.child.id())?;
            taken.written += written_bytes(node.child.id())?;
        }
        Ok(taken)
    }

    /// The most that any of them ever held, in MiB.
    pub(super) fn peak_mib(&self) -> io::Result<f64> {
        let peaks = self.nodes.iter().map(|node| peak_mib(node.child.id()));
        peaks.into_iter().try_fold(0.0, |most: f64, peak| Ok(most.max(peak?)))
    }
}

/// Makes the topic, and waits until somebody leads it.
async fn leader(any: SocketAddr) -> io::Result<SocketAddr> {
    let connection = Connection::open(any, "bench").await?;
    let topic = CreatableTopic::default()
        .with_name(StrBytes::from_static_str(TOPIC).into())
        .with_num_partitions(PARTITIONS)
        .with_replication_factor(-1);
    let request =
        CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000).into();
    let deadline = Instant::now() + PATIENCE;
    loop {
        // Made already is made as well.
        let made = connection.ask(CREATE_TOPICS, 7, &request).await.map_err(io::Error::other)?;
        let code = match made {
            ResponseKind::CreateTopics(made) => made.topics.first().map(|topic| topic.error_code),
            _ => None,
        };
        let metadata = MetadataRequest::default().with_topics(None).into();
        let told = connection.ask(METADATA, 12, &metadata).await.map_err(io::Error::other)?;
        if let ResponseKind::Metadata(told) = told
            && let Some(leader) = leads_all(&told)
        {
            return Ok(leader);
        }
        if Instant::now() > deadline {
            let why = format!("nobody leads after {PATIENCE:?}; the topic was answered {code:?}");
            return Err(io::Error::other(why));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The broker that leads all partitions of the topic.
fn leads_all(told: &MetadataResponse) -> Option<SocketAddr> {
    let named = |name: &str| name == TOPIC;
    let topic = told.topics.iter().find(|topic| topic.name.as_ref().is_some_and(|n| named(n)))?;
    let leader = topic.partitions.first()?.leader_id;
    let all = topic.partitions.iter().all(|partition| partition.leader_id == leader);
    let broker = told.brokers.iter().find(|broker| broker.node_id == leader && all)?;
    format!("{}:{}", broker.host, broker.port).parse().ok()
}
