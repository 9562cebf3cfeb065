//! A TCP proxy that can do what networks do: stall in one direction or both, take time, be narrow,
//! and break a connection in the middle of what it carries.
//!
//! Owns its listener and the connections through it. Knows nothing of what the bytes mean, nor why
//! it behaves as it does.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::history::Micros;
use crate::rng::Rng;

/// The most bytes that are read at once.
const CHUNK: usize = 64 << 10;
/// So many chunks may be under way in a direction; then the sender has to wait.
const UNDER_WAY: usize = 64;

/// How a proxy behaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Behaviour {
    /// Nothing comes through from whoever connects. It is kept, and arrives later.
    pub stalls_there: bool,
    /// The same for the way back.
    pub stalls_back: bool,
    /// How long bytes take, each way.
    pub latency_us: Micros,
    /// So many bytes a second come through, each way; 0: as many as there are.
    pub bytes_per_s: u64,
    /// Of a million pieces so many are cut in half, and end their connection.
    pub breaks_ppm: u32,
}

/// A listener that passes everything on to one address.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    behaviour: watch::Sender<Behaviour>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Listens at a free port of this machine. `rng` draws which pieces break.
    ///
    /// # Errors
    /// Where there is no port.
    pub async fn start(target: String, rng: Rng) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (behaviour, seen) = watch::channel(Behaviour::default());
        let task = tokio::task::spawn_local(accept(listener, target, seen, rng));
        Ok(Self { address, behaviour, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on it behaves like this, on connections that are open too.
    pub fn behave(&self, behaviour: Behaviour) {
        self.behaviour.send_if_modified(|now| std::mem::replace(now, behaviour) != behaviour);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(
    listener: TcpListener,
    target: String,
    behaviour: watch::Receiver<Behaviour>,
    rng: Rng,
) {
    let rng = Rc::new(RefCell::new(rng));
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // Out of file descriptors: whoever has connected sees that nobody answers.
                let Ok((client, _)) = accepted else { continue };
                let pass = pass(client, target.clone(), behaviour.clone(), Rc::clone(&rng));
                connections.spawn_local(pass);
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One connection, until one side of it ends.
async fn pass(
    mut client: TcpStream,
    target: String,
    behaviour: watch::Receiver<Behaviour>,
    rng: Rc<RefCell<Rng>>,
) {
    // A target that is not there ends the connection, as if it had been refused.
    let Ok(mut server) = TcpStream::connect(&target).await else { return };
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let there = Way { back: false, behaviour: behaviour.clone(), rng: Rc::clone(&rng) };
    let back = Way { back: true, behaviour, rng };
    // The end of either way is the end of both: clients of Kafka never half-close.
    tokio::select! {
        () = there.carry(from_client, to_server) => {}
        () = back.carry(from_server, to_client) => {}
    }
}

struct Way {
    back: bool,
    behaviour: watch::Receiver<Behaviour>,
    rng: Rc<RefCell<Rng>>,
}

impl Way {
    async fn carry(self, from: ReadHalf<'_>, to: WriteHalf<'_>) {
        let (sender, receiver) = mpsc::channel(UNDER_WAY);
        let seen = self.behaviour.clone();
        let put_out = self.put_out(receiver, to);
        tokio::pin!(put_out);
        tokio::select! {
            () = &mut put_out => return,
            () = take_in(from, sender, seen) => {}
        }
        // What was read before the end still has to arrive.
        put_out.await;
    }

    fn stalls(&self, now: &Behaviour) -> bool {
        if self.back { now.stalls_back } else { now.stalls_there }
    }

    async fn put_out(
        mut self,
        mut pieces: mpsc::Receiver<(Instant, Bytes)>,
        mut to: WriteHalf<'_>,
    ) {
        while let Some((due, piece)) = pieces.recv().await {
            tokio::time::sleep_until(due).await;
            loop {
                let now = *self.behaviour.borrow_and_update();
                if !self.stalls(&now) {
                    break;
                }
                if self.behaviour.changed().await.is_err() {
                    return;
                }
            }
            let now = *self.behaviour.borrow();
            let breaks = self.rng.borrow_mut().chance_ppm(now.breaks_ppm);
            let piece = if breaks { piece.slice(..piece.len() / 2) } else { piece };
            if to.write_all(&piece).await.is_err() || breaks {
                return;
            }
            if let Some(us) = (piece.len() as u64 * 1_000_000).checked_div(now.bytes_per_s) {
                tokio::time::sleep(Duration::from_micros(us)).await;
            }
        }
    }
}

async fn take_in(
    mut from: ReadHalf<'_>,
    pieces: mpsc::Sender<(Instant, Bytes)>,
    behaviour: watch::Receiver<Behaviour>,
) {
    let mut buffer = vec![0; CHUNK];
    // The end and an error are the same to whoever is at the other side.
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let latency = Duration::from_micros(behaviour.borrow().latency_us);
        let piece = Bytes::copy_from_slice(&buffer[..read]);
        if pieces.send((Instant::now() + latency, piece)).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that says what it hears.
    async fn echo() -> String {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        tokio::task::spawn_local(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::task::spawn_local(async move {
                    let (mut from, mut to) = stream.split();
                    tokio::io::copy(&mut from, &mut to).await.ok();
                });
            }
        });
        address
    }

    fn with_proxy<F: Future<Output = ()>>(test: impl FnOnce(Proxy, TcpStream) -> F) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let proxy = Proxy::start(echo().await, Rng::new(1, "proxy")).await.expect("a port");
            let stream = TcpStream::connect(proxy.address()).await.expect("it listens");
            test(proxy, stream).await;
        });
    }

    async fn hears(stream: &mut TcpStream, within_ms: u64) -> Option<Vec<u8>> {
        let mut buffer = [0; 64];
        let read = stream.read(&mut buffer);
        match tokio::time::timeout(Duration::from_millis(within_ms), read).await {
            Ok(Ok(read)) => Some(buffer[..read].to_vec()),
            Ok(Err(_)) => Some(Vec::new()),
            Err(_) => None,
        }
    }

    #[test]
    fn what_stalls_arrives_later() {
        with_proxy(|proxy, mut stream| async move {
            stream.write_all(b"one").await.expect("sent");
            assert_eq!(hears(&mut stream, 5_000).await.as_deref(), Some(&b"one"[..]));
            proxy.behave(Behaviour { stalls_back: true, ..Behaviour::default() });
            stream.write_all(b"two").await.expect("sent");
            assert_eq!(hears(&mut stream, 100).await, None);
            proxy.behave(Behaviour::default());
            assert_eq!(hears(&mut stream, 5_000).await.as_deref(), Some(&b"two"[..]));
        });
    }

    #[test]
    fn a_break_leaves_half_and_ends() {
        with_proxy(|proxy, mut stream| async move {
            proxy.behave(Behaviour { breaks_ppm: 1_000_000, ..Behaviour::default() });
            stream.write_all(b"12345678").await.expect("sent");
            // Half of it reached the other side, nothing comes back.
            assert_eq!(hears(&mut stream, 5_000).await.as_deref(), Some(&b""[..]));
        });
    }

    #[test]
    fn latency_holds_for_both_ways() {
        with_proxy(|proxy, mut stream| async move {
            proxy.behave(Behaviour { latency_us: 60_000, ..Behaviour::default() });
            let begun = Instant::now();
            stream.write_all(b"slow").await.expect("sent");
            assert_eq!(hears(&mut stream, 5_000).await.as_deref(), Some(&b"slow"[..]));
            assert!(begun.elapsed() >= Duration::from_millis(120));
        });
    }
}
