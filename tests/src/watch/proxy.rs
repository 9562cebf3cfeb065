//! Passes everything on between clients and brokers, and tells a recorder what it saw.
//!
//! Each broker has a listener here. Answers name the listeners instead of the brokers, so that
//! clients stay. The module owns sockets and the order of requests and answers on a connection:
//! Kafka's brokers answer each connection's requests in their order. It does not know what a
//! request means.
//!
//! Memory is bounded: of each direction of a connection there is one frame, and what waits for the
//! recorder has [`WAITING`] bytes at most. Then the clients wait too.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::{AsyncWriteExt, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use wire::frame;
use wire::kafka_protocol::protocol::StrBytes;
use wire::versions::{self, API_VERSIONS, PRODUCE};

use super::frames::{Frames, Next};
use super::recorder::Event;
use super::rewrite::{
    Address, address, api_versions, each_address, names_brokers, older_api_versions,
};
use crate::history::Micros;

/// How many bytes of frames may wait for the recorder.
pub(super) const WAITING: usize = 256 * 1024 * 1024;

/// How long to wait before the next connection is taken, where one could not be.
const BREATH: Duration = Duration::from_millis(10);

/// What was seen that is no operation.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    /// Connections of clients.
    pub(super) connections: u64,
    /// Requests.
    pub(super) requests: u64,
    /// Connections that no broker took.
    pub(super) not_taken: u64,
    /// Connections that at some point were not Kafka's any more.
    pub(super) opaque: u64,
    /// Answers that may name brokers, and could not be read.
    pub(super) not_rewritten: u64,
}

/// The way to the recorder.
#[derive(Debug, Clone)]
pub(super) struct Tell {
    events: mpsc::UnboundedSender<Event>,
    room: Arc<Semaphore>,
}

impl Tell {
    /// A way, its other end, and what the recorder gives back when it has taken an event.
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Event>, Arc<Semaphore>) {
        let (events, taken) = mpsc::unbounded_channel();
        let room = Arc::new(Semaphore::new(WAITING));
        (Self { events, room: room.clone() }, taken, room)
    }

    /// Waits until there is room. A recorder that is gone is told nothing.
    async fn tell(&self, event: Event) {
        let size = event.size().min(WAITING);
        let Ok(permits) = self.room.acquire_many(u32::try_from(size).unwrap_or(u32::MAX)).await
        else {
            return;
        };
        permits.forget();
        // Only where the recorder has ended before the watch.
        let _nobody = self.events.send(event);
    }
}

/// All that connections share.
#[derive(Debug)]
pub(super) struct Proxy {
    began: Instant,
    /// Where its listeners are bound.
    host: IpAddr,
    /// Where a broker is reached, if that is not the address that it tells.
    routes: HashMap<Address, SocketAddr>,
    tell: Tell,
    /// The port of the listener for each broker.
    listeners: RefCell<HashMap<Address, u16>>,
    counts: RefCell<Counts>,
}

/// A request that was passed on and not answered.
#[derive(Debug)]
struct Waiting {
    correlation_id: i32,
    key: i16,
    version: i16,
    number: u64,
    /// Whether it asked for ApiVersions in a version that only the broker understands.
    too_new: bool,
}

/// One connection of a client.
#[derive(Debug)]
struct Connection {
    proxy: Rc<Proxy>,
    id: u64,
    /// The address that the client connected to: where it can reach the other listeners too.
    reached: IpAddr,
    waiting: RefCell<VecDeque<Waiting>>,
}

impl Proxy {
    /// A proxy whose listeners are bound to this address.
    pub(super) fn new(
        began: Instant,
        host: IpAddr,
        routes: HashMap<Address, SocketAddr>,
        tell: Tell,
    ) -> Rc<Self> {
        let (listeners, counts) = <_>::default();
        Rc::new(Self { began, host, routes, tell, listeners, counts })
    }

    /// Where its listeners are bound.
    pub(super) fn host(&self) -> IpAddr {
        self.host
    }

    /// What was seen so far.
    pub(super) fn counts(&self) -> Counts {
        *self.counts.borrow()
    }

    /// The brokers that have a listener.
    pub(super) fn brokers(&self) -> Vec<String> {
        let mut brokers: Vec<_> = self.listeners.borrow().keys().map(Address::to_string).collect();
        brokers.sort();
        brokers
    }

    fn now(&self) -> Micros {
        Micros::try_from(self.began.elapsed().as_micros()).unwrap_or(Micros::MAX)
    }

    /// Takes connections for a broker, for ever.
    pub(super) async fn serve(self: Rc<Self>, listener: TcpListener, broker: Address) {
        loop {
            match listener.accept().await {
                Ok((client, _)) => {
                    let id = self.counts.borrow().connections;
                    self.counts.borrow_mut().connections += 1;
                    tokio::task::spawn_local(self.clone().connect(id, client, broker.clone()));
                }
                // The client has gone again, or there are no more descriptors until others go.
                Err(_) => tokio::time::sleep(BREATH).await,
            }
        }
    }

    async fn connect(self: Rc<Self>, id: u64, client: TcpStream, broker: Address) {
        let server = match self.routes.get(&broker) {
            Some(reached) => TcpStream::connect(reached).await,
            None => TcpStream::connect((broker.host.as_str(), broker.port)).await,
        };
        let (Ok(server), Ok(reached)) = (server, client.local_addr()) else {
            self.counts.borrow_mut().not_taken += 1;
            return;
        };
        self.tell.tell(Event::Opened { connection: id, node: broker.to_string() }).await;
        let connection = Connection {
            proxy: self.clone(),
            id,
            reached: reached.ip(),
            waiting: RefCell::default(),
        };
        // A connection that breaks is what it is: the recorder is told that it is over.
        let _broken = connection.pass(client, server).await;
        self.tell.tell(Event::Closed { connection: id, at: self.now() }).await;
    }

    /// The port at which a broker can be reached through the watch.
    pub(super) async fn port_for(self: &Rc<Self>, broker: Address) -> io::Result<u16> {
        if let Some(port) = self.listeners.borrow().get(&broker) {
            return Ok(*port);
        }
        let listener = TcpListener::bind(SocketAddr::new(self.host, 0)).await?;
        let port = listener.local_addr()?.port();
        // Another connection may have been faster.
        let port = *self.listeners.borrow_mut().entry(broker.clone()).or_insert(port);
        if listener.local_addr()?.port() == port {
            tokio::task::spawn_local(self.clone().serve(listener, broker));
        }
        Ok(port)
    }
}

impl Connection {
    async fn pass(&self, client: TcpStream, server: TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        tokio::try_join!(
            self.requests(from_client, to_server),
            self.answers(from_server, to_client)
        )
        .map(|_| ())
    }

    async fn requests(&self, from: OwnedReadHalf, mut to: OwnedWriteHalf) -> io::Result<()> {
        let mut frames = Frames::new(from);
        let mut number = 0;
        loop {
            match frames.next().await? {
                Next::Frame(frame) => {
                    let frame = self.request(number, frame).await;
                    number += 1;
                    to.write_all(&frame).await?;
                }
                Next::Opaque(bytes) => {
                    self.proxy.counts.borrow_mut().opaque += 1;
                    to.write_all(&bytes).await?;
                    copy(&mut frames.into_inner(), &mut to).await?;
                    return to.shutdown().await;
                }
                Next::End => return to.shutdown().await,
            }
        }
    }

    /// Notes a request, and says what is passed on.
    async fn request(&self, number: u64, frame: Bytes) -> Bytes {
        let at = self.proxy.now();
        self.proxy.counts.borrow_mut().requests += 1;
        let Some((key, version, correlation_id)) = front(&frame) else { return frame };
        let newest = versions::find(API_VERSIONS).map_or(0, |api| api.max);
        let older = (key == API_VERSIONS && version > newest).then(|| older_api_versions(&frame));
        let older = older.flatten();
        let version = if older.is_some() { 0 } else { version };
        if expects_answer(key, version, &frame) {
            self.waiting.borrow_mut().push_back(Waiting {
                correlation_id,
                key,
                version,
                number,
                too_new: older.is_some(),
            });
        }
        let event = Event::Request { connection: self.id, number, at, frame: frame.clone() };
        self.proxy.tell.tell(event).await;
        older.unwrap_or(frame)
    }

    async fn answers(&self, from: OwnedReadHalf, mut to: OwnedWriteHalf) -> io::Result<()> {
        let mut frames = Frames::new(from);
        loop {
            match frames.next().await? {
                Next::Frame(frame) => {
                    let frame = self.answer(frame).await?;
                    to.write_all(&frame).await?;
                }
                Next::Opaque(bytes) => {
                    to.write_all(&bytes).await?;
                    copy(&mut frames.into_inner(), &mut to).await?;
                    return to.shutdown().await;
                }
                Next::End => return to.shutdown().await,
            }
        }
    }

    /// Notes an answer, and says what is passed on.
    async fn answer(&self, frame: Bytes) -> io::Result<Bytes> {
        let at = self.proxy.now();
        let id = frame.get(4..8).and_then(|id| id.first_chunk().copied()).map(i32::from_be_bytes);
        let answered = {
            let mut waiting = self.waiting.borrow_mut();
            let is_next = waiting.front().is_some_and(|asked| Some(asked.correlation_id) == id);
            if is_next { waiting.pop_front() } else { None }
        };
        let Some(asked) = answered else { return Ok(frame) };
        let number = asked.number;
        let event = Event::Answer { connection: self.id, number, at, frame: frame.clone() };
        self.proxy.tell.tell(event).await;
        let rewritten = match asked.key {
            API_VERSIONS => api_versions(asked.version, asked.too_new, &frame),
            key if names_brokers(key, asked.version) => self.here(&asked, &frame).await?,
            _ => return Ok(frame),
        };
        Ok(rewritten.unwrap_or_else(|| {
            self.proxy.counts.borrow_mut().not_rewritten += 1;
            frame
        }))
    }

    /// An answer that names the listeners here instead of brokers; none if it cannot be read.
    async fn here(&self, asked: &Waiting, frame: &Bytes) -> io::Result<Option<Bytes>> {
        let reply = frame::reply(asked.key, asked.version, frame.slice(4..));
        let Ok((id, mut reply)) = reply else { return Ok(None) };
        let mut named = Vec::new();
        each_address(&mut reply, &mut |host, port| named.extend(address(host, *port)));
        if named.is_empty() {
            return Ok(Some(frame.clone()));
        }
        let mut ports = HashMap::new();
        for broker in named {
            let port = self.proxy.port_for(broker.clone()).await?;
            ports.insert(broker, port);
        }
        let reached = StrBytes::from_string(self.reached.to_string());
        each_address(&mut reply, &mut |host, port| {
            if let Some(here) = address(host, *port).and_then(|broker| ports.get(&broker)) {
                (*host, *port) = (reached.clone(), (*here).into());
            }
        });
        Ok(frame::encode(asked.key, asked.version, id, &reply).ok())
    }
}

/// Key, version and correlation id of a request.
fn front(frame: &Bytes) -> Option<(i16, i16, i32)> {
    let [k0, k1, v0, v1, id @ ..] = frame.get(4..12)?.first_chunk::<8>().copied()?;
    let (key, version) = (i16::from_be_bytes([k0, k1]), i16::from_be_bytes([v0, v1]));
    Some((key, version, i32::from_be_bytes(id)))
}

/// Whether a request is answered: a Produce that wants no acknowledgement is not.
fn expects_answer(key: i16, version: i16, frame: &Bytes) -> bool {
    key != PRODUCE || acks(version, frame) != Some(0)
}

/// How many acknowledgements a Produce asks for.
fn acks(version: i16, frame: &Bytes) -> Option<i16> {
    let int16 = |at: usize| frame.get(at..at + 2)?.first_chunk().copied().map(i16::from_be_bytes);
    let text = |at: usize| Some(at + 2 + usize::try_from(int16(at)?).unwrap_or(0));
    let body = text(12)?;
    let at = match version {
        // Tagged fields of the header, which no client sends, and a compact transactional id.
        9.. => body + 2 + usize::from(frame.get(body + 1)?.saturating_sub(1)),
        3.. => text(body)?,
        _ => body,
    };
    int16(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::kafka_protocol::messages::{ProduceRequest, RequestKind};

    #[test]
    fn acknowledgements_are_found_in_every_version() {
        for version in 3..=11 {
            for acks in [-1, 0, 1] {
                for id in [None, Some(""), Some("an id")] {
                    let id = id.map(|id| StrBytes::from_string(id.to_owned()).into());
                    let request =
                        ProduceRequest::default().with_acks(acks).with_transactional_id(id);
                    let request = RequestKind::Produce(request);
                    let frame = frame::request(PRODUCE, version, 7, Some("me"), &request)
                        .expect("a request");
                    assert_eq!(super::acks(version, &frame), Some(acks), "version {version}");
                    assert_eq!(front(&frame), Some((PRODUCE, version, 7)));
                }
            }
        }
    }
}
