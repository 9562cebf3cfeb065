//! The form of what nodes say to each other over TCP before messages begin. Pure.
//!
//! The node that connects says who it is; the other says who it is, or why it does not listen. With
//! a cluster's secret both prove that they have it (`proof`). From then on messages go one way,
//! from the one that connected, in frames (`seal`).
//!
//! ```text
//! connects   "cohortpp", format u16, then a frame with a `Hello`
//! listens    said: a `Hello`;                             with a secret: said: its code
//! connects                                                with a secret: said: its code
//! listens                                                 with a secret: said: nothing
//! said       format u16, then a frame: 0 and that, or 1 and a text that says what is wrong,
//!            or 2 and a text: who connects does not have the memory of the node that was heard;
//!            with a secret the code of that text stands before it
//! ```
//!
//! Numbers are big-endian, and these frames have checksums. A `Hello` and a message are in the
//! replicated form ([`raft_store::codec`]). The head of a hello and a refusal keep their form in
//! later formats, so that nodes of different versions can say so.

use bytes::{Buf, Bytes, BytesMut};
use raft_store::codec::{self, DecodeError};
use serde::{Deserialize, Serialize};
use state_machine::ids::NodeId;
use thiserror::Error;

use super::proof::{Challenge, Proof};
use super::seal::Seal;
use crate::cluster::directory::Endpoint;
use crate::limits;

/// What a connection between nodes begins with.
pub(super) const MAGIC: [u8; 8] = *b"cohortpp";

/// The form of hellos, frames and messages. It changes with the replicated form as well.
pub(super) const FORMAT: u16 = 2 << 8 | codec::VERSION as u16;

const SAID: u8 = 0;
const REFUSED: u8 = 1;
const FORGOTTEN: u8 = 2;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Use {
    /// Messages that should not wait behind large ones.
    Small,
    /// Large messages.
    Large,
}

/// Who speaks, and to whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hello {
    /// The cluster's name.
    pub(super) cluster: String,
    /// The node that speaks.
    pub(super) from: NodeId,
    /// Its incarnation.
    pub(super) incarnation: u64,
    /// A number that no other process has.
    pub(super) process: u64,
    /// The node that it wants to speak to.
    pub(super) to: NodeId,
    /// What the connection is for.
    pub(super) usage: Use,
    /// Where the speaker's clients connect.
    pub(super) endpoint: Endpoint,
    /// What the other end has to prove the cluster's secret with. `None`: the speaker has none.
    pub(super) challenge: Option<Challenge>,
}

/// Why bytes of a peer are not understood.
#[derive(Debug, Error)]
pub(super) enum BadFrame {
    #[error("it does not begin as a node of cohort does")]
    Magic,
    #[error("it speaks format {0:#x}, and this node speaks {FORMAT:#x}")]
    Format(u16),
    #[error("a frame of {len} bytes, and {most} are allowed")]
    Length { len: usize, most: usize },
    #[error("a frame's checksum is wrong")]
    Checksum,
    #[error("a frame was changed, repeated or left out on its way, or is not of the peer")]
    Code,
    #[error("a frame is not what it should be: {0}")]
    Content(#[from] DecodeError),
    #[error("it answers neither what was asked nor with a refusal")]
    Answer,
    /// The other end has said why.
    #[error("{0}")]
    Refused(String),
    /// The other end has heard this node with another memory than it has now. With a secret a code
    /// stands before the text.
    #[error("{}", String::from_utf8_lossy(.0))]
    Forgotten(Bytes),
}

/// The first bytes of a connection.
pub(super) fn hello(hello: &Hello) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&FORMAT.to_be_bytes());
    Seal::Checksum.put(&codec::encode(hello), &mut bytes);
    bytes
}

/// Takes a hello out of what was read. `None`: it is not whole yet.
pub(super) fn take_hello(input: &mut BytesMut) -> Result<Option<Hello>, BadFrame> {
    let begun = input.len().min(MAGIC.len());
    if input[..begun] != MAGIC[..begun] {
        return Err(BadFrame::Magic);
    }
    let Some(format) = input.get(MAGIC.len()..MAGIC.len() + 2) else { return Ok(None) };
    same_format(u16::from_be_bytes([format[0], format[1]]))?;
    // It is small, and comes whole: looking again costs nothing.
    let mut rest = input.clone();
    rest.advance(MAGIC.len() + 2);
    let Some(body) = Seal::Checksum.take(&mut rest, limits::PEER_GREETING)? else {
        return Ok(None);
    };
    *input = rest;
    Ok(Some(codec::decode(&body)?))
}

fn same_format(format: u16) -> Result<(), BadFrame> {
    if format == FORMAT { Ok(()) } else { Err(BadFrame::Format(format)) }
}

/// What one end says to the other: something that the moment asks for, or what is wrong.
pub(super) fn said(what: Result<&[u8], &str>) -> Vec<u8> {
    match what {
        Ok(what) => framed(SAID, what),
        Err(problem) => framed(REFUSED, cut(problem)),
    }
}

/// What one end says to a node that does not have the memory of the one that was heard. `proof`:
/// where there is a secret.
pub(super) fn forgotten(problem: &str, proof: Option<&Proof<'_>>) -> Vec<u8> {
    let text = cut(problem);
    match proof {
        Some(proof) => framed(FORGOTTEN, &proof.forgotten(text)),
        None => framed(FORGOTTEN, text),
    }
}

/// So much of a text as is told. It may name what a stranger said.
fn cut(problem: &str) -> &[u8] {
    &problem.as_bytes()[..problem.floor_char_boundary(limits::PEER_REFUSAL)]
}

fn framed(kind: u8, what: &[u8]) -> Vec<u8> {
    let mut bytes = FORMAT.to_be_bytes().to_vec();
    Seal::Checksum.put(&[&[kind], what].concat(), &mut bytes);
    bytes
}

/// Takes what the other end said out of what was read. `None`: it is not whole yet.
pub(super) fn take_said(input: &mut BytesMut) -> Result<Option<Bytes>, BadFrame> {
    let Some(format) = input.first_chunk::<2>() else { return Ok(None) };
    let format = u16::from_be_bytes(*format);
    let mut rest = input.clone();
    rest.advance(2);
    let Some(mut body) = Seal::Checksum.take(&mut rest, limits::PEER_GREETING)? else {
        return Ok(None);
    };
    *input = rest;
    match body.first() {
        Some(&REFUSED) => Err(BadFrame::Refused(String::from_utf8_lossy(&body[1..]).into_owned())),
        Some(&FORGOTTEN) => Err(BadFrame::Forgotten(body.split_off(1).freeze())),
        Some(&SAID) => {
            same_format(format)?;
            Ok(Some(body.split_off(1).freeze()))
        }
        _ => Err(BadFrame::Answer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_node_1() -> Hello {
        Hello {
            cluster: "c".to_owned(),
            from: 1,
            incarnation: 7,
            process: 8,
            to: 2,
            usage: Use::Large,
            endpoint: Endpoint { host: "h".into(), port: 9092 },
            challenge: Some([3; 32]),
        }
    }

    #[test]
    fn a_hello_and_what_follows_come_in_any_pieces() {
        let mut sent = hello(&of_node_1());
        sent.extend(said(Ok(b"one")));
        sent.extend(said(Ok(b"")));
        for cut in 0..=sent.len() {
            let mut input = BytesMut::from(&sent[..cut]);
            let early = take_hello(&mut input).expect("a hello");
            input.extend_from_slice(&sent[cut..]);
            let whole = early.or_else(|| take_hello(&mut input).expect("a hello"));
            assert_eq!(whole, Some(of_node_1()), "cut at {cut}");
            assert_eq!(take_said(&mut input).expect("said").as_deref(), Some(&b"one"[..]));
            assert_eq!(take_said(&mut input).expect("said").as_deref(), Some(&b""[..]));
            assert!(take_said(&mut input).expect("nothing").is_none());
        }
    }

    #[test]
    fn no_stranger_is_waited_for_beyond_the_bytes_of_a_greeting() {
        let mut sent = hello(&of_node_1());
        let most = u32::try_from(limits::PEER_GREETING).expect("of 32 bits");
        sent[10..14].copy_from_slice(&(most + 1).to_be_bytes());
        let taken = take_hello(&mut BytesMut::from(&sent[..]));
        assert!(matches!(taken, Err(BadFrame::Length { .. })));
        let long = "ü".repeat(limits::PEER_GREETING);
        let refused = take_said(&mut BytesMut::from(&said(Err(&long))[..])).expect_err("refused");
        assert!(refused.to_string().len() <= limits::PEER_REFUSAL);
        assert!(long.starts_with(&refused.to_string()), "cut between characters");
    }

    #[test]
    fn strangers_and_other_versions_are_told_apart() {
        let problem = |bytes: &[u8]| take_hello(&mut BytesMut::from(bytes)).expect_err("no hello");
        assert!(matches!(problem(b"GET / HTTP/1.1"), BadFrame::Magic));
        let mut newer = hello(&of_node_1());
        newer[9] += 1;
        assert!(matches!(problem(&newer), BadFrame::Format(_)));
    }

    #[test]
    fn what_is_said_is_what_was_asked_for_or_a_refusal() {
        let take = |bytes: Vec<u8>| take_said(&mut BytesMut::from(&bytes[..]));
        assert_eq!(take(said(Ok(b"it"))).expect("said").as_deref(), Some(&b"it"[..]));
        let refused = take(said(Err("this is n3"))).expect_err("a refusal");
        assert_eq!(refused.to_string(), "this is n3");
        assert!(matches!(take(forgotten("n2", None)), Err(BadFrame::Forgotten(it)) if it == "n2"));
        let mut of_another_version = said(Err("too old"));
        of_another_version[0] += 1;
        assert_eq!(take(of_another_version).expect_err("a refusal").to_string(), "too old");
        let mut newer = said(Ok(b"it"));
        newer[0] += 1;
        assert!(matches!(take(newer), Err(BadFrame::Format(_))));
    }
}
