//! `cohort serve`: a node with a Kafka listener, from its start to its end.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use raft_store::{OpenError, StateMachine, Storage, WalSizes};
use runtime::files::os::OsFiles;
use runtime::net::{self, Listener};
use thiserror::Error;

use crate::config::serve::Serve;
use crate::listeners::kafka::{Endpoint, Settings, server};
use crate::peers::rpc::{Peers, Timeouts};
use crate::peers::transport::Nobody;
use crate::service::Service;

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
    /// The address cannot be listened at.
    #[error("--kafka {address}: {problem}")]
    Address {
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

/// What is told when the node serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// Where Kafka's clients connect.
    pub kafka: String,
    /// The node.
    pub node: u64,
    /// The cluster's name.
    pub cluster: String,
}

impl Ready {
    /// As a line of JSON.
    pub fn line(&self) -> String {
        let Self { kafka, node, cluster } = self;
        let line = serde_json::json!({
            "ready": true, "kafka": kafka, "node": node, "cluster": cluster,
        });
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
    let folder = serve.config.data_dir.clone();
    let refuse = |refused| {
        let folder = folder.clone().unwrap_or_default();
        ServeError::Folder { folder, refused }
    };
    let mut storage = open_storage(folder.as_deref(), serve.config.moved).await.map_err(refuse)?;
    let address = serve.kafka.clone();
    let problem = |problem| ServeError::Address { address: address.clone(), problem };
    let listener = Listener::bind(&serve.kafka).await.map_err(problem)?;
    let bound = listener.address().map_err(problem)?;
    if serve.dev {
        tracing::info!("everything is in memory, and nothing outlives the process (--dev)");
    } else {
        tracing::info!("what is acknowledged outlives the process");
    }
    let name = format!("n{}", serve.node);
    storage.belong_to(&name, std::slice::from_ref(&name)).map_err(refuse)?;
    let (host, port) =
        serve.advertise.clone().unwrap_or_else(|| (bound.ip().to_string(), bound.port()));
    let cluster = cluster_name(storage.folder_id().unwrap_or_else(runtime::random));
    let settings = Settings {
        cluster: cluster.as_str().into(),
        node: serve.node,
        endpoints: vec![Endpoint { node: serve.node, host: host.into(), port }],
        auto_create_topics: serve.auto_create_topics,
        partitions: serve.partitions,
        max_batch: serve.max_batch,
        session_timeout: serve.config.session_timeout,
        retention_ms: serve.config.retention.ms,
        retention_bytes: serve.config.retention.bytes,
        segment_bytes: serve.config.log_limits.segment_bytes,
    };
    let timeouts = Timeouts {
        append: serve.config.append_timeout,
        chunk: serve.config.snapshot_timeout,
        heartbeat: serve.config.heartbeat,
    };
    let peers = Peers::new(serve.node, Vec::new(), Box::new(Nobody), timeouts, &storage);
    let service =
        Service::new(Arc::new(serve.config), serve.node, vec![serve.node], &storage, peers);
    let handle = service.handle();
    let mut leadership = handle.leadership();
    let mut service = runtime::spawn(service.run());
    let mut end = Box::pin(net::told_to_end());
    let stopped = |ended: Result<String, _>| {
        ServeError::Stopped(ended.unwrap_or_else(|error: tokio::task::JoinError| error.to_string()))
    };
    tokio::select! {
        biased;
        ended = &mut service => return Err(stopped(ended)),
        ended = &mut end => return ended.map_err(ServeError::Signals),
        led = leadership.wait_for(|now| now.leader.is_some()) => {
            if led.is_err() {
                return Err(stopped((&mut service).await));
            }
        }
    }
    let clients = runtime::spawn(server::serve(listener, settings, handle));
    let told = Ready { kafka: bound.to_string(), node: serve.node, cluster };
    tracing::info!(kafka = %told.kafka, cluster = %told.cluster, "ready");
    ready(&told).map_err(|error| ServeError::Stopped(format!("standard output: {error}")))?;
    let ended = tokio::select! {
        biased;
        ended = &mut service => Err(stopped(ended)),
        ended = &mut end => ended.map_err(ServeError::Signals),
    };
    clients.abort();
    service.abort();
    ended
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
