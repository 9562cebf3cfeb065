//! Brokers that speak Kafka's wire: processes of a cluster file, or whoever runs already.
//!
//! Owns the processes, their folders, a [`proxy`] in front of each broker and, where the cluster
//! file says so, between any two. It knows nothing of requests. A broker is known to clients by the
//! address that it tells them, and reached through its proxy.

pub mod cluster;
pub mod proxy;

use std::fs::OpenOptions;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::nemesis::network::Network;
use crate::rng::Rng;
use crate::targets::TargetError;
use crate::targets::guard::Guard;
use cluster::{ClusterFile, Places};
use proxy::{Behaviour, Proxy};

/// Ports are taken from here on: below those that a system gives to clients, which might be taken
/// while a broker is away.
const FIRST_PORT: u16 = 20_000;
/// The last port.
const LAST_PORT: u16 = 31_999;

/// How a node's process is started.
#[derive(Debug)]
struct Process {
    prepare: Vec<String>,
    start: Vec<String>,
    env: Vec<(String, String)>,
    log: PathBuf,
    prepared: bool,
    child: Option<Child>,
}

#[derive(Debug)]
struct Broker {
    /// What it tells clients to connect to.
    address: String,
    /// How clients reach it.
    proxy: Proxy,
    /// `None`: somebody else runs it.
    process: Option<Process>,
}

/// All brokers of a cluster.
#[derive(Debug)]
pub struct Brokers {
    brokers: Vec<Broker>,
    /// From each node to each other one, where the cluster file has them.
    links: Vec<Vec<Option<Proxy>>>,
    guard: Option<Guard>,
    data: Option<PathBuf>,
}

fn system(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> TargetError {
    let what = what.into();
    move |source| TargetError::System { what, source }
}

impl Brokers {
    /// Brokers that run already, at these addresses.
    ///
    /// # Errors
    /// Where there is no port for a proxy.
    pub async fn elsewhere(addresses: &[String], seed: u64) -> Result<Self, TargetError> {
        let mut brokers = Vec::new();
        for address in addresses {
            let proxy = clients_proxy(address, brokers.len(), seed).await?;
            brokers.push(Broker { address: address.clone(), proxy, process: None });
        }
        Ok(Self { brokers, links: Vec::new(), guard: None, data: None })
    }

    /// Those of a cluster file, not started yet. Logs and data go to `folder`.
    ///
    /// # Errors
    /// Where a command cannot be filled in, a folder cannot be made or a port cannot be had.
    pub async fn of_file(
        file: &ClusterFile,
        here: &Path,
        folder: &Path,
        seed: u64,
    ) -> Result<Self, TargetError> {
        let data = folder.join("data");
        // What an earlier run of this name has left.
        if data.exists() {
            std::fs::remove_dir_all(&data).map_err(system("remove the old data"))?;
        }
        std::fs::create_dir_all(&data).map_err(system(format!("make {}", data.display())))?;
        let data = data.canonicalize().map_err(system("find the data folder"))?;
        let mut ports = Ports { next: port_for(seed) };
        let kafka = ports.take(file.nodes)?;
        let peers = ports.take(file.nodes)?;
        let address = |port: u16| format!("127.0.0.1:{port}");
        let mut all = Self {
            brokers: Vec::new(),
            links: Vec::new(),
            guard: Some(Guard::start().map_err(system("start a shell"))?),
            data: Some(data.clone()),
        };
        let linked = file.start.iter().any(|word| word.contains("{peer."));
        for node in 0..file.nodes {
            let mut links = Vec::new();
            let mut places = Places::default();
            places.set("n", (node + 1).to_string());
            places.set("kafka", address(kafka[node]));
            places.set("kafka.port", kafka[node].to_string());
            places.set("peers", address(peers[node]));
            places.set("peers.port", peers[node].to_string());
            places.set("data", data.join(format!("n{}", node + 1)).display().to_string());
            places.set("here", here.display().to_string());
            for (other, port) in peers.iter().enumerate() {
                let mut reached = address(*port);
                places.set(format!("own.{}", other + 1), reached.clone());
                let link = if linked && other != node {
                    let purpose = format!("link {node} {other}");
                    let proxy = Proxy::start(reached, Rng::new(seed, &purpose));
                    let proxy = proxy.await.map_err(system("listen for peers"))?;
                    reached = proxy.address().to_string();
                    Some(proxy)
                } else {
                    None
                };
                places.set(format!("peer.{}", other + 1), reached);
                links.push(link);
            }
            set_programs(&mut places);
            let process = process(file, &places, &folder.join(format!("n{}.log", node + 1)))?;
            let proxy = clients_proxy(&address(kafka[node]), node, seed).await?;
            all.links.push(links);
            let address = address(kafka[node]);
            all.brokers.push(Broker { address, proxy, process: Some(process) });
        }
        Ok(all)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.brokers.len()
    }

    /// What a node tells clients to connect to.
    pub fn told_at(&self, node: usize) -> &str {
        &self.brokers[node].address
    }

    /// How clients reach a node.
    pub fn reached_at(&self, node: usize) -> SocketAddr {
        self.brokers[node].proxy.address()
    }

    /// Which node tells clients this address.
    pub fn node_at(&self, host: &str, port: i32) -> Option<usize> {
        let local = |host: &str| matches!(host, "localhost" | "127.0.0.1" | "::1");
        self.brokers.iter().position(|broker| {
            broker.address.rsplit_once(':').is_some_and(|(own_host, own_port)| {
                own_port.parse() == Ok(port) && (own_host == host || local(own_host) && local(host))
            })
        })
    }

    /// Whether nodes reach each other through proxies.
    pub fn are_linked(&self) -> bool {
        self.links.iter().flatten().any(Option::is_some)
    }

    /// Starts a node's process, on what an earlier one has left.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start(&mut self, node: usize) -> Result<(), TargetError> {
        let Some(process) = &mut self.brokers[node].process else { return Ok(()) };
        if !std::mem::replace(&mut process.prepared, true) && !process.prepare.is_empty() {
            let status = process.command(&process.prepare)?.status();
            let status = status.map_err(system(process.prepare.join(" ")))?;
            if !status.success() {
                let command = process.prepare.join(" ");
                let log = process.log.display();
                return Err(TargetError::Unable(format!("`{command}`: {status}; see {log}")));
            }
        }
        let child = process.command(&process.start)?.spawn();
        let child = child.map_err(|source| TargetError::Start {
            path: process.start.first().cloned().unwrap_or_default(),
            source,
        })?;
        let id = child.id();
        process.child = Some(child);
        self.guarded(|guard| guard.started(id))
    }

    /// Whether a node's process has ended by itself, and how.
    ///
    /// # Errors
    /// Where the system does not tell.
    pub fn ended(&mut self, node: usize) -> Result<Option<ExitStatus>, TargetError> {
        let process = self.brokers[node].process.as_mut();
        let Some((process, child)) =
            process.and_then(|process| process.child.take().map(|child| (process, child)))
        else {
            return Ok(None);
        };
        let mut child = child;
        let status = child.try_wait().map_err(system("ask for a process"))?;
        if status.is_none() {
            process.child = Some(child);
        } else {
            let id = child.id();
            self.guarded(|guard| guard.ended(id))?;
        }
        Ok(status)
    }

    /// Ends a node's process at once.
    ///
    /// # Errors
    /// Where the system does not do it.
    pub fn kill(&mut self, node: usize) -> Result<(), TargetError> {
        let process = self.brokers[node].process.as_mut();
        let Some(mut child) = process.and_then(|process| process.child.take()) else {
            return Ok(());
        };
        child.kill().map_err(system("kill a process"))?;
        child.wait().map_err(system("wait for a process"))?;
        let id = child.id();
        self.guarded(|guard| guard.ended(id))
    }

    /// Stops a node's process where it stands.
    ///
    /// # Errors
    /// Where the system does not do it.
    pub fn pause(&self, node: usize) -> Result<(), TargetError> {
        self.signal(node, Signal::STOP)
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// Where the system does not do it.
    pub fn resume(&self, node: usize) -> Result<(), TargetError> {
        self.signal(node, Signal::CONT)
    }

    /// Makes all proxies do what the network does.
    pub fn behave(&self, net: &Network) {
        let base = Behaviour {
            latency_us: net.latency_us,
            bytes_per_s: net.bytes_per_s,
            ..Behaviour::default()
        };
        for broker in &self.brokers {
            broker.proxy.behave(Behaviour { breaks_ppm: net.breaks_ppm, ..base });
        }
        for (from, links) in self.links.iter().enumerate() {
            for (to, link) in links.iter().enumerate() {
                let Some(link) = link else { continue };
                link.behave(Behaviour {
                    stalls_there: net.is_cut(from, to),
                    stalls_back: net.is_cut(to, from),
                    ..base
                });
            }
        }
    }

    fn signal(&self, node: usize, signal: Signal) -> Result<(), TargetError> {
        let child = self.brokers[node].process.as_ref().and_then(|process| process.child.as_ref());
        let Some(pid) = child.and_then(|child| Pid::from_raw(i32::try_from(child.id()).ok()?))
        else {
            return Ok(());
        };
        kill_process(pid, signal).map_err(|errno| TargetError::System {
            what: format!("signal n{}", node + 1),
            source: errno.into(),
        })
    }

    fn guarded(
        &mut self,
        tell: impl FnOnce(&mut Guard) -> std::io::Result<()>,
    ) -> Result<(), TargetError> {
        let Some(guard) = &mut self.guard else { return Ok(()) };
        tell(guard).map_err(system("tell the shell that guards processes"))
    }
}

impl Drop for Brokers {
    fn drop(&mut self) {
        for node in 0..self.brokers.len() {
            // The guard ends what this does not.
            let _ended = self.kill(node);
        }
        if let Some(data) = &self.data {
            // What stays lies beside the logs, and the next run of this name takes it away.
            let _gone = std::fs::remove_dir_all(data);
        }
    }
}

impl Process {
    fn command(&self, words: &[String]) -> Result<Command, TargetError> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        let log = log.map_err(system(format!("open {}", self.log.display())))?;
        let output = log.try_clone().map_err(system("share a log"))?;
        let mut words = words.iter();
        let mut command = Command::new(words.next().map_or("", String::as_str));
        command.args(words).envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(output).stderr(log);
        Ok(command)
    }
}

async fn clients_proxy(target: &str, node: usize, seed: u64) -> Result<Proxy, TargetError> {
    let rng = Rng::new(seed, &format!("proxy {node}"));
    Proxy::start(target.to_owned(), rng).await.map_err(system("listen for clients"))
}

/// The arena itself, and `cohort` beside it.
pub(crate) fn set_programs(places: &mut Places) {
    let Ok(arena) = std::env::current_exe() else { return };
    if let Some(cohort) = arena.parent().map(|folder| folder.join("cohort")) {
        places.set("cohort", cohort.display().to_string());
    }
    places.set("arena", arena.display().to_string());
}

fn process(file: &ClusterFile, places: &Places, log: &Path) -> Result<Process, TargetError> {
    let fill = |text: &String| places.fill(text).map_err(TargetError::Unable);
    Ok(Process {
        prepare: file.prepare.iter().map(fill).collect::<Result<_, _>>()?,
        start: file.start.iter().map(fill).collect::<Result<_, _>>()?,
        env: file
            .env
            .iter()
            .map(|(name, value)| Ok((name.clone(), fill(value)?)))
            .collect::<Result<_, TargetError>>()?,
        log: log.to_owned(),
        prepared: false,
        child: None,
    })
}

/// Where the search for free ports begins: apart for runs at one time.
fn port_for(seed: u64) -> u16 {
    let span = u64::from(LAST_PORT - FIRST_PORT);
    let apart = seed.wrapping_mul(37).wrapping_add(u64::from(std::process::id()) * 101);
    FIRST_PORT + u16::try_from(apart % span).unwrap_or(0)
}

struct Ports {
    next: u16,
}

impl Ports {
    /// So many ports at which nobody listens.
    fn take(&mut self, count: usize) -> Result<Vec<u16>, TargetError> {
        let mut taken = Vec::new();
        for _ in FIRST_PORT..=LAST_PORT {
            if taken.len() == count {
                return Ok(taken);
            }
            self.next = if self.next >= LAST_PORT { FIRST_PORT } else { self.next + 1 };
            if TcpListener::bind(("127.0.0.1", self.next)).is_ok() {
                taken.push(self.next);
            }
        }
        Err(TargetError::Unable("no free ports are left".to_owned()))
    }
}
