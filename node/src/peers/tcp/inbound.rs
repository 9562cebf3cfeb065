//! Connections from peers: who speaks, whether this node listens, and what they say.

use std::io;
use std::sync::{Arc, PoisonError};

use bytes::BytesMut;
use raft_store::codec;
use runtime::net::{self, Listener, SocketAddr, Stream};
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::frames::{self, BadFrame, Hello};
use super::proof::{End, Proof};
use super::seal::Seal;
use super::{Shared, Speaker, heard};
use crate::connections::Open;
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
    #[error("it left before it had proved who it is")]
    Left,
    #[error("n{from} is refused: {refusal}")]
    Refused {
        from: u64,
        refusal: Refusal,
        /// What is said to it.
        said: Vec<u8>,
    },
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
    #[error(
        "this is n{me}, which has heard n{from} before, and this n{from} does not have its memory"
    )]
    Forgotten { me: u64, from: u64 },
    #[error("this is n{me}, which has a cluster secret, and n{from} has none")]
    WithoutSecret { me: u64, from: u64 },
    #[error("this is n{me}, which has no cluster secret, and n{from} has one")]
    WithSecret { me: u64, from: u64 },
    #[error("this is n{me}, and n{from} has another cluster secret")]
    OtherSecret { me: u64, from: u64 },
    #[error("another process is n{from}")]
    Second { from: u64 },
}

impl Refusal {
    /// Refuses who said hello. `proof`: where both have proved that they have the secret.
    fn of(self, hello: &Hello, proof: Option<&Proof<'_>>) -> Closed {
        let text = self.to_string();
        let said = match &self {
            Self::Forgotten { .. } => frames::forgotten(&text, proof),
            _ => frames::said(Err(&text)),
        };
        Closed::Refused { from: hello.from, refusal: self, said }
    }
}

/// Takes connections, for ever.
pub(super) async fn accept(shared: Arc<Shared>, listener: Listener) {
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                let Some(open) = shared.connections.take(shared.most_connections()) else {
                    tracing::warn!(%from, "too many connections of peers: this one is closed");
                    continue;
                };
                // It ends with its socket.
                let _task = runtime::spawn(serve(shared.clone(), stream, from, open));
            }
            Err(error) => {
                tracing::warn!(%error, "a peer's connection cannot be taken");
                runtime::sleep(limits::ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(shared: Arc<Shared>, stream: Stream, from: SocketAddr, open: Open) {
    let _open = open;
    match listen(&shared, stream).await {
        Ok(()) => tracing::debug!(%from, "a peer's connection was closed"),
        Err(problem) => tracing::warn!(%from, %problem, "a peer's connection"),
    }
}

/// Listens until the connection ends.
async fn listen(shared: &Shared, mut stream: Stream) -> Result<(), Closed> {
    net::notice_silence(&stream, limits::PEER_SILENCE)?;
    let mut input = BytesMut::new();
    let greeted = tokio::select! {
        biased;
        greeted = greet(shared, &mut stream, &mut input) => greeted,
        () = runtime::sleep(limits::PEER_HELLO) => Err(Closed::Silent),
    };
    let (speaking, mut seal) = match greeted {
        Ok(Some(greeted)) => greeted,
        Ok(None) => return Ok(()),
        Err(problem) => {
            let told = match &problem {
                Closed::Frame(problem @ BadFrame::Format(_)) => {
                    Some(frames::said(Err(&problem.to_string())))
                }
                Closed::Refused { said, .. } => Some(said.clone()),
                _ => None,
            };
            if let Some(told) = told {
                stream.write_all(&told).await?;
            }
            return Err(problem);
        }
    };
    let _greeted = shared.greeted.take(usize::MAX);
    let Hello { from, incarnation, endpoint, .. } = &speaking.hello;
    let _connected = shared.directory.connected(*from, endpoint.clone());
    loop {
        while let Some(body) = seal.take(&mut input, limits::PEER_FRAME)? {
            let message: Message = codec::decode(&body).map_err(BadFrame::from)?;
            let (from, incarnation) = (*from, *incarnation);
            shared.inbox.deliver(Received { from, incarnation, message }, body.len());
            shared.inbox.has_room(limits::PEER_INBOX).await;
        }
        // It grows with what comes, not with what is announced; in steps that do not have it copied
        // again and again.
        let missing = seal.missing(&input);
        input.reserve(missing.clamp(limits::PEER_READ, limits::PEER_READ_MOST));
        if stream.read_buf(&mut input).await? == 0 {
            return Ok(());
        }
    }
}

/// Who speaks, and how messages are sealed. `None`: the connection was closed first.
async fn greet<'a>(
    shared: &'a Shared,
    stream: &mut Stream,
    input: &mut BytesMut,
) -> Result<Option<(Speaking<'a>, Seal)>, Closed> {
    let hello = loop {
        if let Some(hello) = frames::take_hello(input)? {
            break hello;
        }
        if stream.read_buf(input).await? == 0 {
            return Ok(None);
        }
    };
    let from = hello.from;
    let refused = |refusal: Refusal| refusal.of(&hello, None);
    may_speak(shared, &hello).map_err(refused)?;
    let own = shared.hello(from, hello.usage);
    let welcome = frames::said(Ok(&codec::encode(&own)));
    let Some(secret) = &shared.own.secret else {
        let speaking = Speaking::new(shared, &hello).map_err(refused)?;
        stream.write_all(&welcome).await?;
        return Ok(Some((speaking, Seal::Checksum)));
    };
    let proof = Proof::new(secret, &hello, &own);
    stream.write_all(&[welcome, frames::said(Ok(&proof.of(End::Listens)))].concat()).await?;
    let Some(code) = heard::<Closed>(stream, input).await? else { return Err(Closed::Left) };
    if !proof.is_of(End::Connects, &code) {
        return Err(refused(Refusal::OtherSecret { me: own.from, from }));
    }
    // Only now: who speaks in a peer's name takes its place.
    let speaking =
        Speaking::new(shared, &hello).map_err(|refusal| refusal.of(&hello, Some(&proof)))?;
    stream.write_all(&frames::said(Ok(&[]))).await?;
    Ok(Some((speaking, proof.seal())))
}

/// Whether who said hello may be a peer of this node. It changes nothing.
fn may_speak(shared: &Shared, hello: &Hello) -> Result<(), Refusal> {
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
    match (&shared.own.secret, hello.challenge) {
        (Some(_), None) => Err(Refusal::WithoutSecret { me, from }),
        (None, Some(_)) => Err(Refusal::WithSecret { me, from }),
        (Some(_), Some(_)) | (None, None) => Ok(()),
    }
}

/// A peer speaks on a connection, as long as this is held.
struct Speaking<'a> {
    shared: &'a Shared,
    hello: Hello,
}

impl<'a> Speaking<'a> {
    /// Whether this node listens to who said hello, and [may speak](may_speak).
    fn new(shared: &'a Shared, hello: &Hello) -> Result<Self, Refusal> {
        let from = hello.from;
        let mut speaking = shared.speaking.lock().unwrap_or_else(PoisonError::into_inner);
        let Hello { incarnation, process, .. } = *hello;
        let same = |other: &Speaker| other.incarnation == incarnation;
        if speaking.get(&from).is_some_and(|other| same(other) && other.process != process) {
            return Err(Refusal::Second { from });
        }
        let mut incarnations = shared.incarnations.lock().unwrap_or_else(PoisonError::into_inner);
        incarnations.hear(from, incarnation).map_err(|_| {
            let me = shared.own.node;
            Refusal::Forgotten { me, from }
        })?;
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use tokio::sync::watch;

    use super::super::frames::Use;
    use super::super::{Inbox, Own};
    use super::*;
    use crate::cluster::addresses::Addresses;
    use crate::cluster::directory::{Directory, Endpoint};
    use crate::cluster::incarnations::Incarnations;
    use crate::connections::Connections;

    fn endpoint() -> Endpoint {
        Endpoint { host: "h".into(), port: 9092 }
    }

    /// Node 1 of nodes 1 and 2, which has heard incarnation 70 of node 2.
    fn node_1() -> Shared {
        let own = Own {
            cluster: "c".to_owned(),
            node: 1,
            incarnation: 7,
            endpoint: endpoint(),
            secret: None,
        };
        Shared {
            own,
            process: 8,
            addresses: Addresses::parse("n1=a:1,n2=b:1").expect("good"),
            directory: Directory::new(1, endpoint(), vec![1, 2]),
            queues: BTreeMap::new(),
            inbox: Inbox::default(),
            incarnations: Mutex::new(Incarnations::remembered(&BTreeMap::from([(2, 70)]))),
            speaking: Mutex::default(),
            forgotten: watch::Sender::default(),
            connections: Connections::default(),
            greeted: Connections::default(),
        }
    }

    /// What node 2 says rightly.
    fn hello() -> Hello {
        Hello {
            cluster: "c".to_owned(),
            from: 2,
            incarnation: 70,
            process: 9,
            to: 1,
            usage: Use::Small,
            endpoint: endpoint(),
            challenge: None,
        }
    }

    #[test]
    fn who_is_not_the_peer_that_it_says_is_refused() {
        let node = node_1();
        let judge = |hello: &Hello| {
            may_speak(&node, hello)?;
            Speaking::new(&node, hello)
        };
        let speaking = judge(&hello()).expect("a peer");
        let another = judge(&Hello { usage: Use::Large, ..hello() });
        for (hello, expected) in [
            (Hello { cluster: "d".to_owned(), ..hello() }, "n2 is of cluster d"),
            (Hello { to: 3, ..hello() }, "this is n1, not n3"),
            (Hello { from: 1, ..hello() }, "a second node has its number"),
            (Hello { from: 3, ..hello() }, "n3 is no member of the cluster n1=a:1,n2=b:1"),
            (Hello { challenge: Some([1; 32]), ..hello() }, "no cluster secret, and n2 has one"),
            (Hello { incarnation: 9, process: 5, ..hello() }, "does not have its memory"),
            (Hello { process: 5, ..hello() }, "another process is n2"),
        ] {
            let refusal = judge(&hello).err().expect("a refusal").to_string();
            assert!(refusal.contains(expected), "{refusal}");
        }
        drop((speaking, another));
        assert!(judge(&Hello { process: 5, ..hello() }).is_ok(), "nobody else is");
    }

    #[test]
    fn a_later_incarnation_takes_the_place_of_one_whose_connection_has_not_ended() {
        let node = node_1();
        let before = Speaking::new(&node, &hello()).expect("a peer");
        let later = Hello { incarnation: 71, process: 5, ..hello() };
        let now = Speaking::new(&node, &later).expect("it came back");
        drop(before);
        assert!(Speaking::new(&node, &hello()).is_err(), "what came before is over");
        drop(now);
        assert!(node.speaking.lock().expect("nobody panicked").is_empty());
    }
}
