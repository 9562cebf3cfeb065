//! `cohort serve`: a node with a Kafka listener, from its start to its end.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use raft_store::{OpenError, StateMachine, Storage, WalSizes};
use runtime::files::os::OsFiles;
use runtime::net::{self, Listener, SocketAddr};
use state_machine::ids::NodeId;
use thiserror::Error;
use tokio::task::JoinHandle;

use crate::cluster::addresses::{self, Addresses};
use crate::cluster::directory::{Directory, Endpoint};
use crate::config::Config;
use crate::config::serve::Serve;
use crate::connections::Connections;
use crate::limits;
use crate::listeners::admin::dev::Dev;
use crate::listeners::admin::{self, Admin};
use crate::listeners::kafka::counters::Counters;
use crate::listeners::kafka::{Owed, Settings, server};
use crate::peers::rpc::{Peers, Timeouts};
use crate::peers::tcp::{Own, TcpTransport};
use crate::peers::transport::{Nobody, Transport};
use crate::service::Service;
use crate::service::handle::Handle;

/// Why a node does not serve, or no longer.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The data folder is refused.
    #[error("data folder {}: {refused}", .folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// Why.
        refused: OpenError,
    },
    /// A peer has heard this node with a memory that it does not have now.
    #[error("{0}")]
    Forgotten(String),
    /// The address cannot be listened at.
    #[error("{flag} {address}: {problem}")]
    Address {
        /// The setting that has it.
        flag: &'static str,
        /// The address.
        address: String,
        /// Why.
        problem: io::Error,
    },
    /// The operating system gives no signals.
    #[error("signals: {0}")]
    Signals(io::Error),
    /// Raft or its storage has failed.
    #[error("the node has stopped: {0}")]
    Stopped(String),
}

impl ServeError {
    /// Whether it is the data folder that is refused.
    pub fn is_of_folder(&self) -> bool {
        matches!(self, Self::Folder { .. } | Self::Forgotten(_))
    }
}

/// What is told when the node serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// Where Kafka's clients connect; of several nodes in one process, all, with commas.
    pub kafka: String,
    /// Where HTTP is answered, in the same way.
    pub admin: Option<String>,
    /// The node; of several the first.
    pub node: u64,
    /// The cluster's name.
    pub cluster: String,
}

impl Ready {
    /// As a line of JSON.
    pub fn line(&self) -> String {
        let Self { kafka, admin, node, cluster } = self;
        let mut line = serde_json::json!({
            "ready": true, "kafka": kafka, "node": node, "cluster": cluster,
        });
        if let Some(admin) = admin {
            line["admin"] = admin.as_str().into();
        }
        format!("{line}\n")
    }
}

/// Serves until the process is told to end. `ready` is called once, when the node serves.
///
/// # Errors
/// Where it cannot serve, or cannot go on.
pub async fn run(
    serve: Serve,
    ready: impl FnOnce(&Ready) -> io::Result<()>,
) -> Result<(), ServeError> {
    net::survive_limits_of_files().map_err(ServeError::Signals)?;
    let sockets = Sockets::bind(&serve).await?;
    if serve.dev {
        tracing::info!("everything is in memory, and nothing outlives the process (--dev)");
    } else {
        tracing::info!("what is acknowledged outlives the process");
    }
    let members = sockets.first().and_then(|first| first.members.clone());
    let name = serve.cluster_id.clone().or_else(|| members.as_ref().map(derived_name));
    let dev = serve.dev.then(Arc::<Dev>::default);
    let mut nodes = Vec::with_capacity(sockets.len());
    for sockets in sockets {
        nodes.push(Node::start(&serve, sockets, name.clone(), dev.clone()).await?);
    }
    let mut end = Box::pin(net::told_to_end());
    for node in &mut nodes {
        let handle = node.handle.clone();
        tokio::select! {
            biased;
            error = node.failed() => return Err(error),
            ended = &mut end => return ended.map_err(ServeError::Signals),
            () = knows_leader(&handle) => {}
        }
    }
    let kafka: Vec<String> = nodes.iter().map(|node| node.kafka.to_string()).collect();
    let admin: Vec<String> =
        nodes.iter().filter_map(|node| node.admin_at).map(|at| at.to_string()).collect();
    let cluster = nodes[0].settings.cluster.to_string();
    for node in &mut nodes {
        node.serve_clients();
    }
    let told = Ready {
        kafka: kafka.join(","),
        admin: Some(admin.join(",")).filter(|admin| !admin.is_empty()),
        node: nodes[0].settings.node,
        cluster,
    };
    tracing::info!(kafka = %told.kafka, cluster = %told.cluster, "ready");
    ready(&told).map_err(|error| ServeError::Stopped(format!("standard output: {error}")))?;
    let failed = nodes.iter_mut().map(|node| Box::pin(node.failed()));
    tokio::select! {
        biased;
        (error, ..) = futures::future::select_all(failed) => return Err(error),
        ended = &mut end => ended.map_err(ServeError::Signals)?,
    }
    tracing::info!("told to end");
    tokio::select! {
        biased;
        ended = net::told_to_end() => ended.map_err(ServeError::Signals),
        () = leave(&nodes) => Ok(()),
    }
}

/// Takes no more connections, hands leadership over, and waits until what was taken in is answered;
/// none of that for ever.
async fn leave(nodes: &[Node]) {
    nodes.iter().flat_map(|node| &node.clients).for_each(JoinHandle::abort);
    // Of several nodes in one process none can take over for long.
    let [node] = nodes else { return };
    let me = node.settings.node;
    let alone = node.settings.directory.members().len() == 1;
    // What waits for its group at a node without peers is never answered.
    let most = if alone { limits::LAST_ANSWERS } else { limits::LAST_SERVICE };
    let others_lead = async {
        let mut leadership = node.handle.leadership();
        if !alone {
            node.handle.resign();
            // An error: the service has ended, and nothing leads here any more.
            let _gone = leadership.wait_for(|now| now.leader.is_some_and(|it| it != me)).await;
        }
        while node.owed.count() > 0 {
            runtime::sleep(limits::LAST_LOOK).await;
        }
    };
    tokio::select! {
        biased;
        () = others_lead => {}
        () = runtime::sleep(most) => tracing::warn!("not everything was answered"),
    }
}

/// Waits until a node knows who leads. For ever where its service has ended.
async fn knows_leader(handle: &Handle) {
    let mut leadership = handle.leadership();
    if leadership.wait_for(|now| now.leader.is_some()).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// What a node listens at.
struct Sockets {
    node: NodeId,
    kafka: Listener,
    admin: Option<Listener>,
    /// Where it listens for its peers, if it has any.
    peers: Option<Listener>,
    /// All nodes, if there are others.
    members: Option<Addresses>,
}

impl Sockets {
    /// Of all nodes of this process.
    async fn bind(serve: &Serve) -> Result<Vec<Self>, ServeError> {
        if serve.nodes == 1 {
            let members = serve.cluster.clone();
            let own = members.as_ref().and_then(|members| members.of(serve.node));
            let peers = match serve.peers.as_deref().or(own).filter(|_| members.is_some()) {
                Some(address) => Some(listen("--peers", address).await?),
                None => None,
            };
            let kafka = listen("--kafka", &serve.kafka).await?;
            let admin = listen_for_admin(serve, 0).await?;
            return Ok(vec![Self { node: serve.node, kafka, admin, peers, members }]);
        }
        let (mut sockets, mut members) = (Vec::new(), Vec::new());
        for node in 1..=NodeId::from(serve.nodes) {
            let address = nth_address("--kafka", &serve.kafka, node - 1)?;
            let admin = listen_for_admin(serve, node - 1).await?;
            let kafka = listen("--kafka", &address).await?;
            let peers = listen("--peers", "127.0.0.1:0").await?;
            let at = peers.address().map_err(|problem| refused("--peers", "", problem))?;
            members.push((node, at.to_string()));
            sockets.push(Self { node, kafka, admin, peers: Some(peers), members: None });
        }
        let members = Addresses::new(members);
        sockets.iter_mut().for_each(|sockets| sockets.members = Some(members.clone()));
        Ok(sockets)
    }
}

/// Where clients are told to connect: where `--advertise` says, or at the name that the node
/// listens at, and the port that it has.
fn endpoint(serve: &Serve, listens_at: SocketAddr) -> Result<Endpoint, ServeError> {
    let (host, port) = match &serve.advertise {
        Some((host, port)) => (host.clone(), *port),
        // What a name means is known only now.
        None if listens_at.ip().is_unspecified() => {
            let everywhere = "it listens everywhere: --advertise has to say where clients connect";
            let problem = io::Error::new(io::ErrorKind::InvalidInput, everywhere);
            return Err(refused("--kafka", &serve.kafka, problem));
        }
        None => (host(&serve.kafka).to_owned(), listens_at.port()),
    };
    Ok(Endpoint { host: host.into(), port })
}

/// The host of an address. Clients are told the name that was given, not what it means here.
fn host(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(host, _)| host.trim_matches(['[', ']']))
}

fn refused(flag: &'static str, address: &str, problem: io::Error) -> ServeError {
    ServeError::Address { flag, address: address.to_owned(), problem }
}

async fn listen(flag: &'static str, address: &str) -> Result<Listener, ServeError> {
    Listener::bind(address).await.map_err(|problem| refused(flag, address, problem))
}

async fn listen_for_admin(serve: &Serve, after: u64) -> Result<Option<Listener>, ServeError> {
    match &serve.admin {
        Some(address) => {
            Ok(Some(listen("--admin", &nth_address("--admin", address, after)?).await?))
        }
        None => Ok(None),
    }
}

/// The address whose port is so many after another's. Any free port stays one.
fn nth_address(flag: &'static str, address: &str, after: u64) -> Result<String, ServeError> {
    let none = || refused(flag, address, io::Error::other("expected HOST:PORT"));
    let (host, port) = address.rsplit_once(':').ok_or_else(none)?;
    let port: u16 = port.parse().map_err(|_| none())?;
    let after = if port == 0 { 0 } else { u16::try_from(after).map_err(|_| none())? };
    let port = port.checked_add(after).ok_or_else(none)?;
    Ok(format!("{host}:{port}"))
}

/// A node of this process.
struct Node {
    service: JoinHandle<String>,
    handle: Handle,
    kafka: SocketAddr,
    settings: Settings,
    /// Where it keeps everything; `None`: in memory.
    folder: Option<PathBuf>,
    /// Where it has peers.
    transport: Option<TcpTransport>,
    /// Taken when clients are served.
    listener: Option<Listener>,
    clients: Option<JoinHandle<()>>,
    owed: Owed,
    counters: Counters,
    /// Where HTTP is answered.
    admin_at: Option<SocketAddr>,
    admin: Option<JoinHandle<io::Result<()>>>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.service.abort();
        self.clients.iter().for_each(JoinHandle::abort);
        self.admin.iter().for_each(JoinHandle::abort);
    }
}

impl Node {
    /// Starts a node. `cluster`: the cluster's name, where it is known.
    async fn start(
        serve: &Serve,
        sockets: Sockets,
        cluster: Option<String>,
        dev: Option<Arc<Dev>>,
    ) -> Result<Self, ServeError> {
        let Sockets { node, kafka: listener, admin, peers, members } = sockets;
        let kafka =
            listener.address().map_err(|problem| refused("--kafka", &serve.kafka, problem))?;
        let (storage, cluster) = storage(serve, node, members.as_ref(), cluster).await?;
        let endpoint = endpoint(serve, kafka)?;
        let nodes: Vec<NodeId> = members.as_ref().map_or(vec![node], |all| all.ids().collect());
        let directory = Directory::new(node, endpoint.clone(), nodes.clone());
        let transport = match (peers, members) {
            (Some(listener), Some(members)) => {
                let incarnation = storage.incarnation();
                let secret = serve.secret.clone();
                let own = Own { cluster: cluster.clone(), node, incarnation, endpoint, secret };
                let (heard, directory) = (storage.heard(), directory.clone());
                Some(TcpTransport::start(own, members, directory, heard, listener))
            }
            _ => None,
        };
        let config = Arc::new(serve.config.clone());
        let others = nodes.iter().copied().filter(|id| *id != node).collect();
        let carrier = carrier(&transport);
        let peers = Peers::new(node, others, carrier, timeouts(&config), &storage);
        let service = Service::new(config, node, nodes, &storage, peers);
        let handle = service.handle();
        let settings = Settings {
            cluster: cluster.into(),
            node,
            directory,
            auto_create_topics: serve.auto_create_topics,
            partitions: serve.partitions,
            max_batch: serve.max_batch,
            session_timeout: serve.config.session_timeout,
            retention_ms: serve.config.retention.ms,
            retention_bytes: serve.config.retention.bytes,
            segment_bytes: serve.config.log_limits.segment_bytes,
            connections: connections(net::raise_open_files(), serve.nodes),
            faults: dev.as_ref().map(|dev| dev.faults.clone()),
        };
        dev.iter().for_each(|dev| dev.add(node, handle.clone()));
        let service = runtime::spawn(service.run());
        let (listener, clients, owed) = (Some(listener), None, Owed::default());
        let counters = Counters::default();
        let admin_at = admin.as_ref().map(Listener::address).transpose();
        let admin_at = admin_at.map_err(|problem| refused("--admin", "", problem))?;
        // From the start: probes ask while nobody leads yet.
        let admin = admin.map(|listener| {
            let admin = Admin {
                settings: settings.clone(),
                handle: handle.clone(),
                owed: owed.clone(),
                counters: counters.clone(),
                connections: Connections::default(),
                peers: transport.as_ref().map(TcpTransport::connections),
                dev,
            };
            runtime::spawn(admin::serve(listener, admin))
        });
        Ok(Self {
            service,
            handle,
            kafka,
            settings,
            folder: serve.config.data_dir.clone(),
            transport,
            listener,
            clients,
            owed,
            counters,
            admin_at,
            admin,
        })
    }

    /// Waits until the node cannot go on, and says why.
    async fn failed(&mut self) -> ServeError {
        let forgotten = async {
            match &self.transport {
                Some(transport) => transport.forgotten().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            ended = &mut self.service => {
                ServeError::Stopped(ended.unwrap_or_else(|error| error.to_string()))
            }
            told = forgotten => ServeError::Forgotten(match &self.folder {
                Some(folder) => {
                    let folder = folder.display();
                    format!("data folder {folder} is refused: {told}; it needs the one that it had")
                }
                None => format!("what was in memory has ended with its process: {told}"),
            }),
        }
    }

    fn serve_clients(&mut self) {
        if let Some(listener) = self.listener.take() {
            let (settings, handle) = (self.settings.clone(), self.handle.clone());
            let (owed, counters) = (self.owed.clone(), self.counters.clone());
            let serve = server::serve(listener, settings, handle, owed, counters);
            self.clients = Some(runtime::spawn(serve));
        }
    }
}

/// How many connections of clients each of so many nodes of this process takes, where the process
/// may have so many files open. A node that has none left for its records ends.
fn connections(files: Option<u64>, nodes: u8) -> usize {
    let most = limits::KAFKA_CONNECTIONS;
    let left = files.map(|files| files.saturating_sub(limits::FILES_KEPT) / u64::from(nodes));
    let left = left.and_then(|left| usize::try_from(left).ok()).unwrap_or(most);
    left.clamp(limits::KAFKA_CONNECTIONS_LEAST, most)
}

/// How long the node waits for its peers' answers.
fn timeouts(config: &Config) -> Timeouts {
    Timeouts {
        append: config.append_timeout,
        chunk: config.snapshot_timeout,
        heartbeat: config.heartbeat,
    }
}

/// What carries messages to a node's peers, if it has any.
fn carrier(transport: &Option<TcpTransport>) -> Box<dyn Transport> {
    match transport {
        Some(transport) => Box::new(transport.clone()),
        None => Box::new(Nobody),
    }
}

/// What a node remembers, and the name of its cluster.
async fn storage(
    serve: &Serve,
    node: NodeId,
    members: Option<&Addresses>,
    cluster: Option<String>,
) -> Result<(Storage, String), ServeError> {
    let folder = serve.config.data_dir.clone();
    let refuse = |refused| {
        let folder = folder.clone().unwrap_or_default();
        ServeError::Folder { folder, refused }
    };
    let mut storage = open_storage(folder.as_deref(), serve.config.moved).await.map_err(refuse)?;
    let names = members.map_or_else(|| vec![addresses::name(node)], Addresses::names);
    let own = addresses::name(node);
    // What was said counts before what is remembered, and that before what is made up.
    let said = serve.cluster_id.clone();
    let known = said.or_else(|| storage.cluster().map(str::to_owned)).or(cluster);
    let cluster = match known {
        Some(cluster) => {
            storage.belong_to_cluster(&own, &names, &cluster).map_err(refuse)?;
            cluster
        }
        None => {
            storage.belong_to(&own, &names).map_err(refuse)?;
            cluster_name(storage.folder_id().unwrap_or_else(runtime::random))
        }
    };
    Ok((storage, cluster))
}

/// The name of a cluster whose nodes were not told one: the same at all of them.
fn derived_name(members: &Addresses) -> String {
    let name = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, members.to_string().as_bytes());
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(name.as_bytes())
}

/// What a node has in its data folder, or an empty memory where it has none. `moved`: the folder
/// may stand somewhere else than before.
///
/// # Errors
/// Where the folder is refused.
pub async fn open_storage(data_dir: Option<&Path>, moved: bool) -> Result<Storage, OpenError> {
    let Some(data_dir) = data_dir else { return Ok(Storage::default()) };
    let files = Arc::new(OsFiles::new(data_dir.to_owned()));
    let (machine, sizes) = (StateMachine::default(), WalSizes::default());
    if moved {
        Storage::open_moved(files, machine, sizes).await
    } else {
        Storage::open(files, machine, sizes).await
    }
}

/// A cluster's name as Kafka writes them: 16 bytes in base64.
fn cluster_name(seed: u64) -> String {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    bytes[8..].copy_from_slice(b"cohort\0\0");
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_get_the_connections_that_files_leave() {
        // Files that the process may have open (none: any number), nodes in it, connections of each.
        for (files, nodes, expected) in [
            (Some(0), 1, 16),
            (Some(64), 1, 16),
            (Some(400), 1, 16),
            (Some(416), 1, 16),
            (Some(417), 1, 17),
            (Some(1_024), 1, 624),
            (Some(1_024), 3, 208),
            (Some(4_096), 1, 3_696),
            (Some(10_400), 1, 10_000),
            (Some(10_399), 1, 9_999),
            (Some(1 << 20), 1, 10_000),
            (Some(1 << 20), 200, 5_240),
            (Some(u64::MAX), 1, 10_000),
            (None, 1, 10_000),
            (None, 3, 10_000),
        ] {
            assert_eq!(connections(files, nodes), expected, "{files:?} files, {nodes} nodes");
        }
    }
}
