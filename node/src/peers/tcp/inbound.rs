//! Connections from peers: who speaks, whether this node listens, and what they say.

use std::io;
use std::sync::{Arc, PoisonError};

use bytes::BytesMut;
use raft_store::codec;
use runtime::net::{self, Listener, SocketAddr, Stream};
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::frames::{self, BadFrame, Hello};
use super::{Shared, Speaker};
use crate::limits;
use crate::peers::message::Message;
use crate::peers::transport::Received;

/// Why a connection is closed from this end.
#[derive(Debug, Error)]
enum Closed {
    #[error(transparent)]
    Socket(#[from] io::Error),
    #[error(transparent)]
    Frame(#[from] BadFrame),
    #[error("it has not said who it is within {} ms", limits::PEER_HELLO.as_millis())]
    Silent,
    #[error("n{0} is refused: {1}")]
    Refused(u64, Refusal),
}

/// Why a node is not listened to. Its text goes to that node, which tells its own log.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
enum Refusal {
    #[error("this is n{me} of cluster {mine}, and n{from} is of cluster {theirs}")]
    Cluster { me: u64, mine: String, from: u64, theirs: String },
    #[error("this is n{me}, not n{to}")]
    To { me: u64, to: u64 },
    #[error("this is n{0}: a second node has its number")]
    Myself(u64),
    #[error("this is n{me}, and n{from} is no member of the cluster {members}")]
    NoMember { me: u64, from: u64, members: String },
    #[error("n{from} was heard here before, and this one does not have its memory")]
    Forgotten { from: u64 },
    #[error("another process is n{from}")]
    Second { from: u64 },
}

/// Takes connections, for ever.
pub(super) async fn accept(shared: Arc<Shared>, listener: Listener) {
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                // It ends with its socket.
                let _task = runtime::spawn(serve(shared.clone(), stream, from));
            }
            Err(error) => {
                tracing::warn!(%error, "a peer's connection cannot be taken");
                runtime::sleep(limits::KAFKA_ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(shared: Arc<Shared>, stream: Stream, from: SocketAddr) {
    match listen(&shared, stream).await {
        Ok(()) => tracing::debug!(%from, "a peer's connection was closed"),
        Err(problem) => tracing::warn!(%from, %problem, "a peer's connection"),
    }
}

/// Listens until the connection ends.
async fn listen(shared: &Shared, mut stream: Stream) -> Result<(), Closed> {
    net::notice_silence(&stream, limits::PEER_SILENCE)?;
    let mut input = BytesMut::new();
    let hello = tokio::select! {
        biased;
        hello = greeting(&mut stream, &mut input) => hello,
        () = runtime::sleep(limits::PEER_HELLO) => Err(Closed::Silent),
    };
    let hello = match hello {
        Ok(Some(hello)) => hello,
        Ok(None) => return Ok(()),
        Err(problem) => {
            if let Closed::Frame(BadFrame::Format(_)) = problem {
                stream.write_all(&frames::answer(Err(&problem.to_string()))).await?;
            }
            return Err(problem);
        }
    };
    let _speaking = match Speaking::new(shared, &hello) {
        Ok(speaking) => speaking,
        Err(refusal) => {
            stream.write_all(&frames::answer(Err(&refusal.to_string()))).await?;
            return Err(Closed::Refused(hello.from, refusal));
        }
    };
    let _connected = shared.directory.connected(hello.from, hello.endpoint.clone());
    stream.write_all(&frames::answer(Ok(&shared.hello(hello.from, hello.usage)))).await?;
    loop {
        while let Some(body) = frames::take_frame(&mut input)? {
            let message: Message = codec::decode(&body).map_err(BadFrame::from)?;
            let Hello { from, incarnation, .. } = hello;
            shared.inbox.deliver(Received { from, incarnation, message }, body.len());
            shared.inbox.has_room(limits::PEER_INBOX).await;
        }
        // It grows with what comes, not with what is announced.
        input.reserve(limits::PEER_READ);
        if stream.read_buf(&mut input).await? == 0 {
            return Ok(());
        }
    }
}

async fn greeting(stream: &mut Stream, input: &mut BytesMut) -> Result<Option<Hello>, Closed> {
    loop {
        if let Some(hello) = frames::take_hello(input)? {
            return Ok(Some(hello));
        }
        if stream.read_buf(input).await? == 0 {
            return Ok(None);
        }
    }
}

/// A peer speaks on a connection, as long as this is held.
struct Speaking<'a> {
    shared: &'a Shared,
    hello: Hello,
}

impl<'a> Speaking<'a> {
    /// Whether this node listens to who said hello.
    fn new(shared: &'a Shared, hello: &Hello) -> Result<Self, Refusal> {
        let (me, from) = (shared.own.node, hello.from);
        let (mine, theirs) = (&shared.own.cluster, &hello.cluster);
        if mine != theirs {
            let (mine, theirs) = (mine.clone(), theirs.clone());
            return Err(Refusal::Cluster { me, mine, from, theirs });
        }
        if hello.to != me {
            return Err(Refusal::To { me, to: hello.to });
        }
        if from == me {
            return Err(Refusal::Myself(me));
        }
        if shared.addresses.of(from).is_none() {
            let members = shared.addresses.to_string();
            return Err(Refusal::NoMember { me, from, members });
        }
        let mut speaking = shared.speaking.lock().unwrap_or_else(PoisonError::into_inner);
        let Hello { incarnation, process, .. } = *hello;
        let same = |other: &Speaker| other.incarnation == incarnation;
        if speaking.get(&from).is_some_and(|other| same(other) && other.process != process) {
            return Err(Refusal::Second { from });
        }
        let mut incarnations = shared.incarnations.lock().unwrap_or_else(PoisonError::into_inner);
        incarnations.hear(from, incarnation).map_err(|_| Refusal::Forgotten { from })?;
        let now = speaking.get(&from).filter(|other| same(other)).map_or(0, |o| o.connections);
        speaking.insert(from, Speaker { incarnation, process, connections: now + 1 });
        drop(incarnations);
        drop(speaking);
        Ok(Self { shared, hello: hello.clone() })
    }
}

impl Drop for Speaking<'_> {
    fn drop(&mut self) {
        let mut speaking = self.shared.speaking.lock().unwrap_or_else(PoisonError::into_inner);
        let Hello { from, process, .. } = self.hello;
        if let Some(speaker) = speaking.get_mut(&from).filter(|s| s.process == process) {
            speaker.connections -= 1;
            if speaker.connections == 0 {
                speaking.remove(&from);
            }
        }
    }
}
