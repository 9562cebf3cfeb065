//! A node under Maelstrom: the loop over standard input and output, from `init` to the end of
//! input.
//!
//! The loop reads lines, gives them to the [`Listener`], and prints what it says. With `init` it
//! starts the service, as a task of its own. From then on it only carries: requests to the service,
//! replies back, peers' messages to the transport.

use std::sync::Arc;

use raft_store::{OpenError, Storage};
use runtime::Instant;
use state_machine::ids::NodeId;
use thiserror::Error;
use tokio::sync::Notify;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;

use super::lines::{self, Lines, Taken};
use super::outbox::Outbox;
use super::peers::LinesTransport;
use super::{Listener, Received};
use crate::cluster::members::Members;
use crate::config::Config;
use crate::limits;
use crate::peers::rpc::{Peers, Timeouts};
use crate::peers::transport;
use crate::service::Service;
use crate::service::handle::{Connection, Handle};

/// Input as it was read, of any size: bytes of lines.
#[derive(Debug)]
pub struct Chunk {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// When they were read. `None`: when the node takes them. A node that is busy takes them later
    /// than they came, and the clients' time runs.
    pub read_at: Option<Instant>,
}

impl From<Vec<u8>> for Chunk {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, read_at: None }
    }
}

/// Why a node stopped before its input ended.
#[derive(Debug, Error)]
pub enum NodeError {
    /// Raft has stopped: its memory or its storage failed.
    #[error("raft has stopped: {0}")]
    Raft(String),
    /// The data folder is not this node's.
    #[error("{0}")]
    Folder(#[from] OpenError),
    /// What it says cannot be printed. Who writes it knows why.
    #[error("nothing can be printed any more")]
    Output,
}

/// Runs a node until its input has ended and everything is answered. `storage` is what it remembers
/// and where it keeps what it must not forget; `input` gives chunks of lines, of any size; lines to
/// print go to `outbox`, which is closed at the end.
///
/// # Errors
/// Where the node cannot go on. It has then stopped answering, as a crash would.
pub async fn run(
    config: Config,
    storage: Storage,
    mut input: Receiver<Chunk>,
    outbox: Outbox,
) -> Result<(), NodeError> {
    let mut node = Node::new(config, storage, outbox.clone());
    let ended = node.serve(&mut input).await;
    outbox.close();
    ended
}

struct Node {
    config: Arc<Config>,
    storage: Storage,
    outbox: Outbox,
    lines: Lines,
    listener: Listener,
    running: Option<Running>,
    /// Why the node does not start.
    refused: Option<OpenError>,
}

/// The service, once the node knows who it is.
struct Running {
    alone: bool,
    handle: Handle,
    transport: LinesTransport,
    /// Somebody has spoken, so peers may be spoken to.
    spoken: Arc<Notify>,
    task: JoinHandle<String>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Running {
    /// Waits until the service has failed, and says why.
    async fn failed(&mut self) -> NodeError {
        let ended = (&mut self.task).await;
        NodeError::Raft(ended.unwrap_or_else(|error| error.to_string()))
    }
}

/// What the loop waited for.
enum Woken {
    Failed(NodeError),
    Broken,
    Replies,
    Input(Option<Chunk>),
    Drained,
}

impl Node {
    fn new(config: Config, storage: Storage, outbox: Outbox) -> Self {
        let config = Arc::new(config);
        Self {
            storage,
            outbox,
            lines: Lines::new(config.max_line),
            listener: Listener::new(config.clone()),
            running: None,
            refused: None,
            config,
        }
    }

    async fn serve(&mut self, input: &mut Receiver<Chunk>) -> Result<(), NodeError> {
        loop {
            let may_read = self.may_read();
            let (failed, replied) = waits(&mut self.running, &self.listener);
            let woken = tokio::select! {
                biased;
                error = failed => Woken::Failed(error),
                () = self.outbox.broken() => Woken::Broken,
                () = replied => Woken::Replies,
                chunk = input.recv(), if may_read => Woken::Input(chunk),
                () = self.outbox.drained(), if !may_read => Woken::Drained,
            };
            match woken {
                Woken::Failed(error) => return Err(error),
                Woken::Broken => return Err(NodeError::Output),
                Woken::Input(Some(Chunk { bytes, read_at })) => {
                    self.take_input(&bytes, read_at.unwrap_or_else(Instant::now));
                }
                Woken::Input(None) => return self.end(Instant::now()).await,
                Woken::Replies | Woken::Drained => {}
            }
            if let Some(refused) = self.refused.take() {
                return Err(refused.into());
            }
            self.print();
            // The service has to come to its turn, however much input there is.
            tokio::task::yield_now().await;
        }
    }

    fn may_read(&self) -> bool {
        let full = self.running.as_ref().is_some_and(|running| {
            running.alone && running.handle.in_flight_bytes() > limits::IN_FLIGHT_ALONE
        });
        !full && self.outbox.backlog() < limits::OUTPUT
    }

    /// Prints what is known and at its turn.
    fn print(&mut self) {
        if let Some(replied) = self.listener.connection().map(Connection::take_replies) {
            self.listener.complete(replied, Instant::now());
        }
        if let Some(running) = &self.running {
            self.listener.tell_status(|| running.handle.status());
        }
        self.listener.print_output(|lines| self.outbox.push(lines.as_bytes()));
    }

    fn take_input(&mut self, chunk: &[u8], now: Instant) {
        let mut lines = std::mem::replace(&mut self.lines, Lines::new(0));
        lines.push(chunk, &mut |piece| self.take_piece(piece, now));
        self.lines = lines;
    }

    fn take_piece(&mut self, piece: lines::Piece<'_>, now: Instant) -> Taken {
        match piece {
            lines::Piece::Text(text) => self.take_message(text, now),
            lines::Piece::Broken(head, problem) => {
                self.listener.skip(head, problem);
                Taken::Whole
            }
        }
    }

    fn take_message(&mut self, text: &[u8], now: Instant) -> Taken {
        match self.listener.receive(text, now) {
            Received::Handled => {}
            Received::Submitted => self.speak(),
            Received::Unfinished => return Taken::Unfinished,
            Received::Initialised(members) => self.start(&members),
            Received::Peer { from, incarnation, message } => {
                self.speak();
                if let Some(running) = &self.running {
                    running.transport.deliver(transport::Received { from, incarnation, message });
                }
            }
        }
        Taken::Whole
    }

    fn speak(&self) {
        if let Some(running) = &self.running {
            running.spoken.notify_one();
        }
    }

    /// The node has been told who it is: it starts its service.
    fn start(&mut self, members: &Members) {
        let names: Vec<String> = members.names().map(str::to_owned).collect();
        if let Err(refused) = self.storage.belong_to(members.my_name(), &names) {
            self.refused = Some(refused);
            return;
        }
        let incarnation = self.storage.incarnation();
        let transport = LinesTransport::new(members.clone(), incarnation, self.outbox.clone());
        let timeouts = Timeouts {
            append: self.config.append_timeout,
            chunk: self.config.snapshot_timeout,
            heartbeat: self.config.heartbeat,
        };
        let nodes: Vec<NodeId> = members.ids().collect();
        let others = nodes.iter().copied().filter(|id| *id != members.me()).collect();
        let transport_of_peers = Box::new(transport.clone());
        let peers = Peers::new(members.me(), others, transport_of_peers, timeouts, &self.storage);
        let (alone, config) = (nodes.len() == 1, self.config.clone());
        let service = Service::new(config, members.me(), nodes, &self.storage, peers);
        let handle = service.handle();
        self.listener.connect(handle.connect());
        let (spoken, quiet) = (Arc::new(Notify::new()), self.config.quiet);
        let task = runtime::spawn({
            let spoken = spoken.clone();
            async move {
                // Maelstrom adds its nodes one by one, and a line to one that is not there yet
                // would be the last that it reads of this node.
                if !alone {
                    tokio::select! {
                        biased;
                        () = spoken.notified() => {}
                        () = runtime::sleep(quiet) => {}
                    }
                }
                service.run().await
            }
        });
        self.running = Some(Running { alone, handle, transport, spoken, task });
    }

    /// The input has ended: what was taken in is finished, what only more input could finish is
    /// answered.
    async fn end(&mut self, now: Instant) -> Result<(), NodeError> {
        let mut lines = std::mem::replace(&mut self.lines, Lines::new(0));
        lines.end(&mut |piece| self.take_piece(piece, now));
        self.print();
        let last_words = now + limits::LAST_WORDS;
        let mut closed = false;
        while !self.listener.is_idle() {
            let alone = self.running.as_ref().is_some_and(|running| running.alone);
            if !closed && (alone || Instant::now() >= last_words) {
                // Nothing else will start a service that waits for somebody to speak.
                self.speak();
                self.listener.connection().map(Connection::close).unwrap_or_default();
                closed = true;
            }
            let (failed, replied) = waits(&mut self.running, &self.listener);
            tokio::select! {
                biased;
                error = failed => return Err(error),
                () = self.outbox.broken() => return Err(NodeError::Output),
                () = replied => {}
                () = runtime::sleep_until(last_words), if !closed => {}
            }
            self.print();
        }
        Ok(())
    }
}

/// The waits for a failure of the service and for its replies; for ever where there is none.
fn waits<'a>(
    running: &'a mut Option<Running>,
    listener: &'a Listener,
) -> (impl Future<Output = NodeError> + 'a, impl Future<Output = ()> + 'a) {
    let failed = async {
        match running {
            Some(running) => running.failed().await,
            None => std::future::pending().await,
        }
    };
    let replied = async {
        match listener.connection() {
            Some(connection) => connection.replied().await,
            None => std::future::pending().await,
        }
    };
    (failed, replied)
}
