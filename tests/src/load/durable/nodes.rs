//! Three nodes on data folders: cohort's over TCP, or the floor's.

use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
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

/// Processes of one kind. They end with it, and their folders go.
#[derive(Debug)]
pub(super) struct Nodes {
    children: Vec<(Child, BufReader<ChildStdout>)>,
    /// Whom clients ask.
    pub(super) leader: SocketAddr,
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

fn spawn(program: &Path, args: &[String]) -> io::Result<(Child, BufReader<ChildStdout>)> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let stdout = child.stdout.take().ok_or_else(|| io::Error::other("no pipe"))?;
    Ok((child, BufReader::new(stdout)))
}

/// Where a node listens, as its first line says.
fn listens(stdout: &mut impl BufRead) -> io::Result<SocketAddr> {
    let mut line = String::new();
    stdout.read_line(&mut line)?;
    let odd = || io::Error::other(format!("a node said {line:?} where it should say where it is"));
    let told: Value = serde_json::from_str(&line).map_err(|_| odd())?;
    told["kafka"].as_str().and_then(|address| address.parse().ok()).ok_or_else(odd)
}

impl Nodes {
    /// The floor: a leader and two followers.
    pub(super) fn of_floor(program: &Path, data: &Path) -> io::Result<Self> {
        let folder = tempfile::tempdir_in(data)?;
        let mut nodes =
            Self { children: Vec::new(), leader: ([0, 0, 0, 0], 0).into(), _folder: folder };
        let mut followers = Vec::new();
        for node in ["n2", "n3", "n1"] {
            let mut args = vec![nodes._folder.path().join(node).display().to_string()];
            if node == "n1" {
                args.append(&mut followers);
            }
            nodes.children.push(spawn(program, &args)?);
            if let Some((_, stdout)) = nodes.children.last_mut() {
                nodes.leader = listens(stdout)?;
                followers.push(nodes.leader.to_string());
            }
        }
        Ok(nodes)
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
        let mut children = Vec::new();
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
            children.push(spawn(program, &args.map(str::to_owned))?);
        }
        let mut nodes = Self { children, leader: ([0, 0, 0, 0], 0).into(), _folder: folder };
        for (_, stdout) in &mut nodes.children {
            nodes.leader = listens(stdout)?;
        }
        nodes.leader = leader(nodes.leader).await?;
        Ok(nodes)
    }

    /// What they have taken so far.
    pub(super) fn taken(&self) -> io::Result<Taken> {
        let mut taken = Taken { cpu: 0.0, written: 0 };
        for (child, _) in &self.children {
            taken.cpu += cpu_seconds(child.id())?;
            taken.written += written_bytes(child.id())?;
        }
        Ok(taken)
    }

    /// The most that any of them ever held, in MiB.
    pub(super) fn peak_mib(&self) -> io::Result<f64> {
        self.children
            .iter()
            .try_fold(0.0, |most: f64, (child, _)| Ok(most.max(peak_mib(child.id())?)))
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for (child, _) in &mut self.children {
            // It may have ended by itself; then there is nothing to kill.
            let _ended = child.kill();
            let _reaped = child.wait();
        }
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
