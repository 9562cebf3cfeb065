//! Two nodes over sockets, and somebody between them.

use std::future::Future;
use std::time::Duration;

use runtime::net;
use tokio::io::AsyncWriteExt;

use super::proof::{End, Proof};
use super::*;
use crate::peers::message::{Message, RpcRequest};
use crate::peers::transport::Received;

/// Longer than anything takes here.
const LONG: Duration = Duration::from_secs(20);

const OURS: &[u8] = b"a secret of the cluster";
const OTHER: &[u8] = b"a secret of somebody else";

fn endpoint(node: NodeId) -> Endpoint {
    Endpoint { host: format!("h{node}").into(), port: 9092 }
}

/// A node of cluster `c` of n1 and n2, where they listen, that n1 being at `listener`.
fn node(node: NodeId, secret: Option<&[u8]>, at: &[String; 2], listener: Listener) -> TcpTransport {
    let own = Own {
        cluster: "c".to_owned(),
        node,
        incarnation: 10 * node,
        endpoint: endpoint(node),
        secret: secret.map(|secret| Secret::new(secret).expect("long enough")),
    };
    let members: Vec<(NodeId, String)> = (1..).zip(at.iter().cloned()).collect();
    let directory = Directory::new(node, endpoint(node), vec![1, 2]);
    TcpTransport::start(own, Addresses::new(members), directory, &BTreeMap::new(), listener)
}

async fn listener() -> (Listener, String) {
    let listener = Listener::bind("127.0.0.1:0").await.expect("a port");
    let at = listener.address().expect("it listens").to_string();
    (listener, at)
}

/// A node that answers nobody's calls: its peer's address leads nowhere.
async fn node_2(secret: Option<&[u8]>) -> (TcpTransport, String) {
    let (listener, at) = listener().await;
    let nowhere = "127.0.0.1:1".to_owned();
    (node(2, secret, &[nowhere, at.clone()], listener), at)
}

/// Who can tell from their numbers which they were.
fn message(number: u64) -> Message {
    Message::Request(number, RpcRequest::Probe(None))
}

fn number(received: &Received) -> u64 {
    match received.message {
        Message::Request(number, _) => number,
        _ => panic!("another message"),
    }
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::select! {
        it = what => it,
        () = runtime::sleep(LONG) => panic!("not in time"),
    }
}

/// Runs a test, with tasks and sockets.
fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(test);
}

/// What n1 says of itself.
fn hello(secret: bool, process: u64) -> Hello {
    Hello {
        cluster: "c".to_owned(),
        from: 1,
        incarnation: 10,
        process,
        to: 2,
        usage: Use::Small,
        endpoint: endpoint(1),
        challenge: secret.then(proof::challenge),
    }
}

/// Says what n1 would, with a secret; the refusal, or the connection and how it is sealed.
async fn speak(at: &str, secret: &[u8], process: u64) -> Result<(Stream, Seal), String> {
    let secret = Secret::new(secret).expect("long enough");
    let mut stream = net::connect(at).await.expect("it listens");
    let own = hello(true, process);
    // It may be closed already.
    let _sent = stream.write_all(&frames::hello(&own)).await;
    let mut input = BytesMut::new();
    let theirs = said(&mut stream, &mut input).await?;
    let theirs: Hello = codec::decode(&theirs).expect("a hello");
    let proof = Proof::new(&secret, &own, &theirs);
    let _code = said(&mut stream, &mut input).await?;
    stream.write_all(&frames::said(Ok(&proof.of(End::Connects)))).await.expect("it reads");
    said(&mut stream, &mut input).await?;
    Ok((stream, proof.seal()))
}

/// Takes a connection of n2; what it says first.
async fn taken(listener: &Listener) -> (Stream, BytesMut, Hello) {
    let (mut stream, _) = in_time(listener.accept()).await.expect("it connects");
    let mut input = BytesMut::new();
    loop {
        if let Some(hello) = frames::take_hello(&mut input).expect("a hello") {
            return (stream, input, hello);
        }
        in_time(stream.read_buf(&mut input)).await.expect("it says hello");
    }
}

/// What the other end says next, or why it does not listen.
async fn said(stream: &mut Stream, input: &mut BytesMut) -> Result<Bytes, String> {
    #[derive(Debug, thiserror::Error)]
    enum Problem {
        #[error(transparent)]
        Socket(#[from] io::Error),
        #[error(transparent)]
        Frame(#[from] BadFrame),
    }
    let heard: Result<_, Problem> = in_time(heard(stream, input)).await;
    heard.map_err(|problem| problem.to_string())?.ok_or_else(|| "closed".to_owned())
}

fn frame(seal: &mut Seal, number: u64) -> Vec<u8> {
    let mut frame = Vec::new();
    seal.put(&codec::encode(&message(number)), &mut frame);
    frame
}

/// Waits until the other end has closed a connection.
async fn closed(stream: &mut Stream) {
    let mut nothing = [0; 1];
    // A reset is as good.
    let read = in_time(stream.read(&mut nothing)).await.unwrap_or_default();
    assert_eq!(read, 0, "it says nothing");
}

#[test]
fn nodes_with_one_secret_or_with_none_hear_each_other() {
    run(async {
        for secrets in [[None, None], [Some(OURS), Some(b"a secret of the cluster\n")]] {
            let ((first, at1), (second, at2)) = (listener().await, listener().await);
            let at = [at1, at2];
            let nodes = [node(1, secrets[0], &at, first), node(2, secrets[1], &at, second)];
            nodes[0].send(2, &message(7));
            nodes[1].send(1, &message(8));
            let at_2 = in_time(nodes[1].receive()).await;
            assert_eq!((at_2[0].from, at_2[0].incarnation, number(&at_2[0])), (1, 10, 7));
            assert_eq!(number(&in_time(nodes[0].receive()).await[0]), 8);
            let up = nodes[0].0.directory.of(2);
            assert_eq!(up, Some(endpoint(2)), "it knows where the clients of its peer connect");
        }
    });
}

#[test]
fn who_does_not_have_the_secret_is_refused_and_takes_nobodys_place() {
    run(async {
        let (node, at) = node_2(Some(OURS)).await;
        let refusal = speak(&at, OTHER, 8).await.expect_err("another secret");
        assert_eq!(refusal, "this is n2, and n1 has another cluster secret");
        // One that says that it is n1 and comes later.
        let mut without = net::connect(&at).await.expect("it listens");
        let later = Hello { incarnation: 11, ..hello(false, 8) };
        without.write_all(&frames::hello(&later)).await.expect("it reads");
        let refusal = said(&mut without, &mut BytesMut::new()).await.expect_err("no secret");
        assert_eq!(refusal, "this is n2, which has a cluster secret, and n1 has none");
        closed(&mut without).await;
        // The true one is listened to.
        let (mut stream, mut seal) = speak(&at, OURS, 9).await.expect("it has the secret");
        stream.write_all(&frame(&mut seal, 1)).await.expect("it reads");
        assert_eq!(number(&in_time(node.receive()).await[0]), 1);
    });
}

#[test]
fn a_node_without_a_secret_does_not_speak_to_one_that_has_one() {
    run(async {
        let (_node, at) = node_2(None).await;
        let refusal = speak(&at, OURS, 8).await.expect_err("it has none");
        assert_eq!(refusal, "this is n2, which has no cluster secret, and n1 has one");
    });
}

#[test]
fn a_node_says_nothing_to_one_that_does_not_prove_that_it_has_the_secret() {
    run(async {
        for (proves, expected) in [
            (false, "this is n2, and n1 has no cluster secret"),
            (true, "this is n2, and n1 has another cluster secret"),
        ] {
            let ((first, at1), (second, at2)) = (listener().await, listener().await);
            let node = node(2, Some(OURS), &[at1, at2], second);
            node.send(1, &message(1));
            let (mut stream, mut input, theirs) = taken(&first).await;
            let own = Hello { usage: theirs.usage, to: 2, ..hello(proves, 5) };
            stream.write_all(&frames::said(Ok(&codec::encode(&own)))).await.expect("it reads");
            if proves {
                // It may send back what it hears, but has no code of its own.
                let other = Secret::new(OTHER).expect("long enough");
                let code = Proof::new(&other, &theirs, &own).of(End::Listens);
                stream.write_all(&frames::said(Ok(&code))).await.expect("it reads");
                let refusal = said(&mut stream, &mut input).await.expect_err("not proved");
                assert_eq!(refusal, expected);
            }
            closed(&mut stream).await;
        }
    });
}

#[test]
fn a_frame_that_was_changed_or_sent_again_ends_its_connection_and_is_not_heard() {
    run(async {
        let (node, at) = node_2(Some(OURS)).await;
        let mut heard = Vec::new();
        for forge in [
            |mut sent: Vec<u8>| {
                *sent.last_mut().expect("a frame") ^= 1;
                sent
            },
            |sent: Vec<u8>| [sent.clone(), sent].concat(),
        ] {
            let (mut stream, mut seal) = speak(&at, OURS, 9).await.expect("it has the secret");
            let (first, second) = (frame(&mut seal, 1), frame(&mut seal, 2));
            let third = frame(&mut seal, 3);
            let sent = [first, forge(second), third].concat();
            stream.write_all(&sent).await.expect("it reads");
            closed(&mut stream).await;
            heard.extend(in_time(node.receive()).await.iter().map(number));
        }
        assert_eq!(heard, [1, 1, 2], "what came before, and one of two copies");
    });
}

#[test]
fn what_was_said_on_an_earlier_connection_is_of_no_use_on_another() {
    run(async {
        let (_node, at) = node_2(Some(OURS)).await;
        let secret = Secret::new(OURS).expect("long enough");
        let own = hello(true, 9);
        let mut recorded = None;
        for expected in [None, Some("this is n2, and n1 has another cluster secret")] {
            let mut stream = net::connect(&at).await.expect("it listens");
            stream.write_all(&frames::hello(&own)).await.expect("it reads");
            let mut input = BytesMut::new();
            let theirs = said(&mut stream, &mut input).await.expect("a hello");
            let theirs: Hello = codec::decode(&theirs).expect("a hello");
            let _code = said(&mut stream, &mut input).await.expect("its code");
            let code = Proof::new(&secret, &own, &theirs).of(End::Connects);
            let code = *recorded.get_or_insert(code);
            stream.write_all(&frames::said(Ok(&code))).await.expect("it reads");
            let refusal = said(&mut stream, &mut input).await.err();
            assert_eq!(refusal.as_deref(), expected);
        }
    });
}

#[tokio::test(start_paused = true)]
async fn what_finds_no_room_is_lost_and_the_newest_is_kept() {
    let queue = Queue::default();
    let message = |first: u8| {
        let mut message = vec![0; limits::PEER_QUEUE / 2];
        message[0] = first;
        message
    };
    assert_eq!([queue.push(message(1)), queue.push(message(2)), queue.push(message(3))], [0, 0, 1]);
    assert_eq!((queue.take_now()[0][0], queue.take_now()[0][0]), (2, 3));
    assert_eq!(queue.waiting().bytes, 0);
    assert_eq!(queue.push(vec![0; 2 * limits::PEER_QUEUE]), 0, "one always has room");
}

#[tokio::test(start_paused = true)]
async fn what_is_old_when_a_connection_is_made_is_not_sent() {
    let within_a_clock = async {
        let queue = Queue::default();
        queue.push(vec![1]);
        runtime::sleep(limits::PEER_STALE * 2).await;
        queue.push(vec![2]);
        queue.forget_old();
        let mut expected = Vec::new();
        Seal::Checksum.put(&[2], &mut expected);
        assert_eq!(queue.take(&mut Seal::Checksum).await, expected);
    };
    runtime::Host::new(1, 0).scope(within_a_clock).await;
}

#[test]
fn regression_a_stranger_does_not_end_a_node_that_has_a_secret() {
    run(async {
        for secret in [None, Some(OURS)] {
            let ((first, at1), (second, at2)) = (listener().await, listener().await);
            let node = node(2, secret, &[at1, at2], second);
            // Each of its connections is made again only after the answer to the last was read.
            for _ in 0..4 {
                let (mut stream, _) = in_time(first.accept()).await.expect("it connects");
                stream.write_all(&frames::forgotten("go", None)).await.expect("it reads");
            }
            let told = node.0.forgotten.borrow().clone();
            assert_eq!(told.as_deref(), Some("go").filter(|_| secret.is_none()));
        }
    });
}

/// Takes a connection of n2 and proves, as n1, that it has the secret; what both said.
async fn prove_to_n2(listener: &Listener, secret: &Secret) -> (Stream, Hello, Hello) {
    let (mut stream, mut input, theirs) = taken(listener).await;
    let own = Hello { usage: theirs.usage, to: 2, ..hello(true, 5) };
    let proof = Proof::new(secret, &theirs, &own);
    let welcome = frames::said(Ok(&codec::encode(&own)));
    let code = frames::said(Ok(&proof.of(End::Listens)));
    stream.write_all(&[welcome, code].concat()).await.expect("it reads");
    let code = said(&mut stream, &mut input).await.expect("its code");
    assert!(proof.is_of(End::Connects, &code));
    (stream, theirs, own)
}

#[test]
fn only_a_peer_that_proves_it_says_that_a_node_has_lost_its_memory() {
    run(async {
        let (ours, other) = (Secret::new(OURS), Secret::new(OTHER));
        let (ours, other) = (ours.expect("long enough"), other.expect("long enough"));
        let ((first, at1), (second, at2)) = (listener().await, listener().await);
        let node = node(2, Some(OURS), &[at1, at2], second);
        // Somebody on the way says it without a code, with one of his own, or repeats it.
        let mut earlier = frames::forgotten("go", None);
        for way in [0, 1, 2, 0, 1, 2] {
            let (mut stream, theirs, own) = prove_to_n2(&first, &ours).await;
            let by = |secret| frames::forgotten("go", Some(&Proof::new(secret, &theirs, &own)));
            let forged = [frames::forgotten("go", None), by(&other), earlier];
            stream.write_all(&forged[way]).await.expect("it reads");
            closed(&mut stream).await;
            earlier = by(&ours);
        }
        assert_eq!(*node.0.forgotten.borrow(), None);
        let (mut stream, theirs, own) = prove_to_n2(&first, &ours).await;
        let proof = Proof::new(&ours, &theirs, &own);
        stream.write_all(&frames::forgotten("go", Some(&proof))).await.expect("it reads");
        assert_eq!(in_time(node.forgotten()).await, "go");
    });
}

#[test]
fn strangers_leave_room_for_peers_and_do_not_stay() {
    run(async {
        let (node, at) = node_2(Some(OURS)).await;
        let (mut peer, mut seal) = speak(&at, OURS, 9).await.expect("it has the secret");
        let mut strangers = Vec::new();
        for _ in 0..limits::PEER_STRANGERS {
            strangers.push(net::connect(&at).await.expect("it listens"));
        }
        assert!(speak(&at, OURS, 9).await.is_err(), "as many as may be open are");
        assert_eq!(node.connections().refused(), 1);
        peer.write_all(&frame(&mut seal, 1)).await.expect("it reads");
        assert_eq!(number(&in_time(node.receive()).await[0]), 1, "who has proved it is heard");
        for stranger in &mut strangers {
            closed(stranger).await;
        }
        speak(&at, OURS, 9).await.expect("they were silent for too long");
    });
}

#[test]
fn a_peer_has_no_more_connections_than_it_needs() {
    run(async {
        let (node, at) = node_2(Some(OURS)).await;
        let mut open = Vec::new();
        while let Ok(connection) = speak(&at, OURS, 9).await {
            open.push(connection);
            assert!(open.len() < 1_000, "there is no bound");
        }
        assert_eq!(open.len(), limits::PEER_STRANGERS + limits::PEER_CONNECTIONS);
        assert_eq!(node.connections().open(), open.len());
    });
}
