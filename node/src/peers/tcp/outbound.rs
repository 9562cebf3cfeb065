//! Connections to peers: made, made again when they break, and written to.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use raft_store::codec::{self, DecodeError};
use runtime::Instant;
use runtime::net::{self, Stream};
use state_machine::ids::NodeId;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::frames::{self, BadFrame, Hello, Use};
use super::proof::{End, Proof};
use super::seal::Seal;
use super::{Shared, heard, name};
use crate::limits;

/// Why there is no connection, or none any more.
#[derive(Debug, Error)]
enum Lost {
    #[error(transparent)]
    Socket(#[from] io::Error),
    #[error(transparent)]
    Frame(#[from] BadFrame),
    #[error("what it says is not what it should be: {0}")]
    Content(#[from] DecodeError),
    #[error("no answer within {} ms", limits::PEER_HELLO.as_millis())]
    Silent,
    #[error("n{0} answers there")]
    AnotherNode(NodeId),
    #[error("it is of cluster {0}")]
    AnotherCluster(String),
    #[error("this is n{me}, and n{peer} has no cluster secret")]
    NoSecret { me: NodeId, peer: NodeId },
    #[error("this is n{me}, and n{peer} has another cluster secret")]
    OtherSecret { me: NodeId, peer: NodeId },
    #[error("it was closed")]
    Closed,
}

impl Lost {
    /// What it is if nobody has proved that he is the peer: a node does not end for a stranger.
    fn of_a_stranger(self) -> Self {
        match self {
            Self::Frame(told @ BadFrame::Forgotten(_)) => {
                BadFrame::Refused(told.to_string()).into()
            }
            other => other,
        }
    }

    /// What it is if the peer is proved: somebody on the way may have said it.
    fn of_the_peer(self, proof: &Proof<'_>) -> Self {
        match self {
            Self::Frame(BadFrame::Forgotten(told)) => match proof.take_forgotten(&told) {
                Some(text) => BadFrame::Forgotten(Bytes::copy_from_slice(text)).into(),
                None => BadFrame::Code.into(),
            },
            other => other,
        }
    }
}

/// Keeps a connection to a peer, for ever.
pub(super) async fn keep_connected(shared: Arc<Shared>, peer: NodeId, usage: Use) {
    let mut pause = Pause::default();
    let mut told = None;
    loop {
        let lost = match connect(&shared, peer, usage).await {
            Ok((stream, hello, seal)) => {
                let begun = Instant::now();
                let lost = write(&shared, stream, &hello, seal).await;
                // A peer that closes each connection at once is no better than one that is down.
                if Instant::now() - begun >= limits::PEER_PAUSE_MOST {
                    told = None;
                    pause = Pause::default();
                }
                lost
            }
            Err(lost) => lost,
        };
        let problem = lost.to_string();
        if let Lost::Frame(BadFrame::Forgotten(_)) = &lost {
            shared.forgotten.send_replace(Some(problem.clone()));
        }
        // A peer that is down would fill the log.
        if usage == Use::Small && told.as_ref() != Some(&problem) {
            let address = shared.addresses.of(peer).unwrap_or_default();
            tracing::warn!(peer = name(peer), address, problem, "no connection to a peer");
            told = Some(problem);
        }
        runtime::sleep(pause.next()).await;
    }
}

/// How long to wait before the next try: ever longer, and never quite as long as somebody else.
#[derive(Debug, Default)]
struct Pause(u32);

impl Pause {
    fn next(&mut self) -> Duration {
        let whole = limits::PEER_PAUSE.saturating_mul(1 << self.0).min(limits::PEER_PAUSE_MOST);
        self.0 = (self.0 + 1).min(16);
        let drawn = (runtime::random() >> 11) as f64 / (1_u64 << 53) as f64;
        whole.mul_f64(0.5 + drawn / 2.0)
    }
}

/// Connects and says hello; who answers, and how messages are sealed.
async fn connect(shared: &Shared, peer: NodeId, usage: Use) -> Result<(Stream, Hello, Seal), Lost> {
    let greeted = async {
        let address = shared.addresses.of(peer).unwrap_or_default();
        let mut stream = net::connect(address).await?;
        net::notice_silence(&stream, limits::PEER_SILENCE)?;
        let (hello, seal) = greet(shared, peer, usage, &mut stream).await?;
        Ok((stream, hello, seal))
    };
    tokio::select! {
        biased;
        greeted = greeted => greeted,
        () = runtime::sleep(limits::PEER_HELLO) => Err(Lost::Silent),
    }
}

async fn greet(
    shared: &Shared,
    peer: NodeId,
    usage: Use,
    stream: &mut Stream,
) -> Result<(Hello, Seal), Lost> {
    let own = shared.hello(peer, usage);
    stream.write_all(&frames::hello(&own)).await?;
    let mut input = BytesMut::new();
    let proves = shared.own.secret.is_some();
    let unproved = |lost: Lost| if proves { lost.of_a_stranger() } else { lost };
    let hello: Hello = codec::decode(&answer(stream, &mut input).await.map_err(unproved)?)?;
    if hello.from != peer {
        return Err(Lost::AnotherNode(hello.from));
    }
    if hello.cluster != shared.own.cluster {
        return Err(Lost::AnotherCluster(hello.cluster));
    }
    let Some(secret) = &shared.own.secret else { return Ok((hello, Seal::Checksum)) };
    let me = own.from;
    if hello.challenge.is_none() {
        return Err(Lost::NoSecret { me, peer });
    }
    let proof = Proof::new(secret, &own, &hello);
    if !proof.is_of(End::Listens, &answer(stream, &mut input).await.map_err(unproved)?) {
        // It gets no code of ours, only the reason.
        let lost = Lost::OtherSecret { me, peer };
        stream.write_all(&frames::said(Err(&lost.to_string()))).await?;
        return Err(lost);
    }
    stream.write_all(&frames::said(Ok(&proof.of(End::Connects)))).await?;
    answer(stream, &mut input).await.map_err(|lost| lost.of_the_peer(&proof))?;
    Ok((hello, proof.seal()))
}

/// What the other end says next.
async fn answer(stream: &mut Stream, input: &mut BytesMut) -> Result<Bytes, Lost> {
    heard::<Lost>(stream, input).await?.ok_or(Lost::Closed)
}

/// Writes what there is to send, until the connection breaks.
async fn write(shared: &Shared, stream: Stream, hello: &Hello, mut seal: Seal) -> Lost {
    let Some(queue) = shared.queues.get(&(hello.from, hello.usage)) else {
        return Lost::Closed;
    };
    let _connected = shared.directory.connected(hello.from, hello.endpoint.clone());
    tracing::debug!(peer = name(hello.from), "connected");
    queue.forget_old();
    let (mut reader, mut writer) = stream.into_split();
    let mut nothing = [0; 1];
    loop {
        // The other end says nothing any more: what can be read is that it has closed.
        let bytes = tokio::select! {
            biased;
            read = reader.read(&mut nothing) => {
                return read.map_or_else(Lost::from, |_| Lost::Closed);
            }
            bytes = queue.take(&mut seal) => bytes,
        };
        if let Err(error) = writer.write_all(&bytes).await {
            return error.into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_most() {
        let mut pause = Pause::default();
        let pauses: Vec<_> = (0..40).map(|_| pause.next()).collect();
        assert!(pauses[0] <= limits::PEER_PAUSE);
        assert!(pauses.iter().all(|pause| *pause <= limits::PEER_PAUSE_MOST));
        assert!(pauses[39] >= limits::PEER_PAUSE_MOST / 2);
    }
}
