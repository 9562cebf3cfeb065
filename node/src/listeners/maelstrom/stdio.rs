//! A node: input, listener, service and peers, tied together in one loop.

use std::sync::Arc;

use raft_store::Storage;
use runtime::Instant;
use thiserror::Error;
use tokio::sync::mpsc::Receiver;

use crate::cluster::incarnations::Incarnations;
use crate::cluster::members::Members;
use crate::config::Config;
use crate::listeners::maelstrom::lines::{Lines, Piece, Taken};
use crate::listeners::maelstrom::outbox::{INPUT_LIMIT, Outbox};
use crate::listeners::maelstrom::peers::{self, StdoutTransport};
use crate::listeners::maelstrom::replies::{self, Encoded};
use crate::listeners::maelstrom::requests::ReplyShape;
use crate::listeners::maelstrom::{Caller, Listener, Received};
use crate::peers::rpc::{Peers, Timeouts};
use crate::service::api::{Failure, Request, RequestNumber};
use crate::service::{Service, Woken};

/// A node without peers stops reading while its requests take this many bytes: its input waits instead.
const ALONE_OPEN_BYTES: usize = 16 * 1024 * 1024;

/// After the end of input, peers' last words are given this long to take effect.
const LAST_WORDS: std::time::Duration = std::time::Duration::from_millis(50);

/// Why a node stopped before its input ended.
#[derive(Debug, Error)]
pub enum NodeError {
    /// Raft has stopped: its memory or its storage failed.
    #[error("raft has stopped: {0}")]
    Raft(String),
}

/// Runs a node until its input has ended and everything is answered. `storage` is what it remembers and where it
/// keeps what it must not forget; `input` gives pieces of lines, of any size; lines to print go to `outbox`, which
/// is closed at the end.
///
/// # Errors
/// Where the node cannot go on. It has then stopped answering, as a crash would.
pub async fn run(
    config: Config,
    storage: Storage,
    mut input: Receiver<Vec<u8>>,
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
    incarnation: u64,
    outbox: Outbox,
    lines: Lines,
    listener: Listener,
    service: Option<Cluster>,
}

/// What there is once the node knows who it is.
struct Cluster {
    members: Members,
    service: Service,
    incarnations: Incarnations,
    /// Peers are spoken to from then on, or from the first word of a client or a peer.
    quiet_until: Instant,
}

impl Node {
    fn new(config: Config, storage: Storage, outbox: Outbox) -> Self {
        let config = Arc::new(config);
        Self {
            incarnation: storage.next_incarnation(),
            storage,
            outbox,
            lines: Lines::new(config.max_line),
            listener: Listener::new(config.clone()),
            service: None,
            config,
        }
    }

    async fn serve(&mut self, input: &mut Receiver<Vec<u8>>) -> Result<(), NodeError> {
        loop {
            let may_read = self.may_read();
            let (woken, read) = {
                let (service, outbox) = (&mut self.service, &self.outbox);
                let service = async {
                    match service {
                        Some(cluster) if cluster.service.started() => cluster.service.wait().await,
                        Some(cluster) => {
                            runtime::sleep_until(cluster.quiet_until).await;
                            Woken::Tick
                        }
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    biased;
                    woken = service => (Some(woken), None),
                    chunk = input.recv(), if may_read => (None, Some(chunk)),
                    () = outbox.drained(), if !may_read => (None, None),
                }
            };
            let now = Instant::now();
            if let Some(cluster) = &mut self.service {
                cluster.service.expire_overdue(now);
            }
            match read {
                Some(Some(chunk)) => self.take_input(&chunk, now),
                Some(None) => return self.end(now).await,
                None => {}
            }
            self.advance(woken, now).await?;
            // Raft's own tasks have to come to their turn, however much input there is.
            tokio::task::yield_now().await;
        }
    }

    fn may_read(&self) -> bool {
        let full = self.service.as_ref().is_some_and(|cluster| {
            cluster.service.alone() && cluster.service.open_bytes() > ALONE_OPEN_BYTES
        });
        !full && self.outbox.backlog() < INPUT_LIMIT
    }

    async fn advance(&mut self, woken: Option<Woken>, now: Instant) -> Result<(), NodeError> {
        // What is answered without a leader goes out before Raft starts, which takes its time.
        self.print();
        if let Some(cluster) = &mut self.service {
            if !cluster.service.started() && now >= cluster.quiet_until {
                cluster.service.start().await.map_err(NodeError::Raft)?;
            }
            cluster.service.advance(woken, now);
            self.listener.complete(cluster.service.completions());
            self.listener.tell_status(|| replies::status(&cluster.service.status(), &cluster.members));
            if let Some(problem) = cluster.service.failure() {
                return Err(NodeError::Raft(problem.to_owned()));
            }
        }
        self.print();
        Ok(())
    }

    fn print(&mut self) {
        self.outbox.push(self.listener.take_output().as_bytes());
    }

    fn take_input(&mut self, chunk: &[u8], now: Instant) {
        let mut lines = std::mem::replace(&mut self.lines, Lines::new(0));
        lines.push(chunk, &mut |piece| self.take_piece(piece, now));
        self.lines = lines;
    }

    fn take_piece(&mut self, piece: Piece<'_>, now: Instant) -> Taken {
        match piece {
            Piece::Text(text) => self.take_message(text, now),
            Piece::Broken(head, problem) => {
                self.listener.skip(head, problem);
                Taken::Whole
            }
        }
    }

    fn take_message(&mut self, text: &[u8], now: Instant) -> Taken {
        match self.listener.receive(text) {
            Received::Handled => {}
            Received::Unfinished => return Taken::Unfinished,
            Received::Initialised(members) => self.service = Some(self.join(members, now)),
            Received::Peer { from, incarnation, data } => {
                self.take_peer_message(text, &from, incarnation, &data)
            }
            Received::Request(caller, request, form) => self.take_request(caller, request, form, now),
        }
        Taken::Whole
    }

    fn join(&self, members: Members, now: Instant) -> Cluster {
        let transport = StdoutTransport::new(members.clone(), self.incarnation, self.outbox.clone());
        let timeouts = Timeouts { append: self.config.append_timeout, chunk: self.config.snapshot_timeout };
        let peers = Peers::new(members.me(), Box::new(transport), timeouts);
        let (me, nodes) = (members.me(), members.ids().collect());
        let service = Service::new(self.config.clone(), me, nodes, self.incarnation, &self.storage, peers);
        // Maelstrom adds its nodes one by one, and a line to one that is not there yet would be the last
        // that it reads of this node.
        let quiet_until = if service.alone() { now } else { now + self.config.quiet };
        Cluster { members, service, incarnations: Incarnations::default(), quiet_until }
    }

    fn take_request(&mut self, caller: Caller, request: Request, form: ReplyShape, now: Instant) {
        let Some(cluster) = &mut self.service else { return };
        cluster.quiet_until = cluster.quiet_until.min(now);
        let after: Option<RequestNumber> = self.listener.last_open(&caller);
        match cluster.service.submit(request, after, now) {
            Ok(id) => self.listener.submitted(id, caller, form),
            Err(error) => {
                let refused = Encoded::response(Err(Failure::from(error)), form, &cluster.members);
                self.listener.answer(caller, refused);
            }
        }
    }

    fn take_peer_message(&mut self, text: &[u8], from: &str, incarnation: u64, data: &str) {
        let Some(cluster) = &mut self.service else { return };
        let Some(peer) = cluster.members.peer(from) else { return };
        let heard = peers::decode(data).map_err(|error| error.to_string()).and_then(|message| {
            cluster.incarnations.hear(peer, incarnation).map_err(|error| error.to_string())?;
            Ok(message)
        });
        match heard {
            Ok(message) => {
                cluster.quiet_until = cluster.quiet_until.min(Instant::now());
                cluster.service.on_message(peer, incarnation, message);
            }
            Err(error) => self.listener.skip(text, &error),
        }
    }

    /// The input has ended: what was taken in is finished, what only more input could finish is answered.
    async fn end(&mut self, now: Instant) -> Result<(), NodeError> {
        let mut lines = std::mem::replace(&mut self.lines, Lines::new(0));
        lines.end(&mut |piece| self.take_piece(piece, now));
        self.advance(None, now).await?;
        let last_words = now + LAST_WORDS;
        loop {
            let Some(cluster) = &mut self.service else { return Ok(()) };
            if cluster.service.alone() || Instant::now() >= last_words {
                cluster.service.input_ended();
            }
            self.listener.complete(cluster.service.completions());
            self.listener.tell_status(|| replies::status(&cluster.service.status(), &cluster.members));
            if cluster.service.is_idle() {
                self.print();
                return Ok(());
            }
            let woken = if cluster.service.started() {
                tokio::select! {
                    biased;
                    woken = cluster.service.wait() => Some(woken),
                    () = runtime::sleep_until(last_words), if Instant::now() < last_words => None,
                }
            } else {
                None
            };
            self.advance(woken, Instant::now()).await?;
            tokio::task::yield_now().await;
        }
    }
}
