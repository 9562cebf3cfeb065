//! One connection to a broker: requests out, answers in, by their correlation id.
//!
//! Knows frames and no request's meaning.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use ::wire::frame;
use ::wire::kafka_protocol::messages::{RequestKind, ResponseKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinHandle;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// The request cannot be written in that version. It was not sent.
    #[error("the request cannot be written: {0}")]
    Unwritable(String),
    /// The connection ended. The request may have arrived.
    #[error("the connection ended")]
    Broken,
    /// The answer cannot be read. The request was carried out, or refused.
    #[error("the answer cannot be read: {0}")]
    Unreadable(String),
}

type Answer = Result<ResponseKind, Unanswered>;

#[derive(Debug, Default)]
struct Waiting {
    requests: HashMap<i32, (i16, i16, oneshot::Sender<Answer>)>,
    ended: bool,
}

/// A connection that is open, or was.
#[derive(Debug)]
pub struct Connection {
    waiting: Rc<RefCell<Waiting>>,
    writer: Mutex<OwnedWriteHalf>,
    next: Cell<i32>,
    client: String,
    reader: JoinHandle<()>,
}

impl Connection {
    /// Connects. `client` is what the client calls itself.
    ///
    /// # Errors
    /// Where nobody listens there.
    pub async fn open(address: SocketAddr, client: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (from, to) = stream.into_split();
        let waiting = Rc::new(RefCell::new(Waiting::default()));
        let reader = tokio::task::spawn_local(read(from, Rc::clone(&waiting)));
        let client = client.to_owned();
        Ok(Self { waiting, writer: Mutex::new(to), next: Cell::new(0), client, reader })
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.waiting.borrow().ended
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// Where there is none. Whether the request arrived is not known then.
    pub async fn ask(&self, key: i16, version: i16, body: &RequestKind) -> Answer {
        let correlation = self.next.get();
        self.next.set(correlation.wrapping_add(1));
        let bytes = frame::request(key, version, correlation, Some(&self.client), body)
            .map_err(|error| Unanswered::Unwritable(error.to_string()))?;
        let (sender, answer) = oneshot::channel();
        {
            let mut waiting = self.waiting.borrow_mut();
            if waiting.ended {
                return Err(Unanswered::Broken);
            }
            waiting.requests.insert(correlation, (key, version, sender));
        }
        if self.writer.lock().await.write_all(&bytes).await.is_err() {
            return Err(Unanswered::Broken);
        }
        answer.await.unwrap_or(Err(Unanswered::Broken))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

async fn read(mut from: OwnedReadHalf, waiting: Rc<RefCell<Waiting>>) {
    while let Ok(bytes) = frame_of(&mut from).await {
        let Some(id) = bytes.first_chunk::<4>().map(|id| i32::from_be_bytes(*id)) else { break };
        let asked = waiting.borrow_mut().requests.remove(&id);
        // An answer that nobody waits for: the connection is of no more use.
        let Some((key, version, sender)) = asked else { break };
        let answer = frame::reply(key, version, bytes.into())
            .map(|(_, reply)| reply)
            .map_err(|error| Unanswered::Unreadable(error.to_string()));
        // Whoever gave up does not want it any more.
        let _given_up = sender.send(answer);
    }
    let mut waiting = waiting.borrow_mut();
    waiting.ended = true;
    for (_, (_, _, sender)) in waiting.requests.drain() {
        let _given_up = sender.send(Err(Unanswered::Broken));
    }
}

async fn frame_of(from: &mut OwnedReadHalf) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length).await?;
    let length = frame::frame_len(length, frame::MAX_FRAME).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes).await?;
    Ok(bytes)
}
