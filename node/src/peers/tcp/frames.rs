//! The form of what nodes say to each other over TCP. Pure.
//!
//! The node that connects says who it is; the other says who it is, or why it does not listen. From
//! then on messages go one way, from the one that connected.
//!
//! ```text
//! hello    "cohortpp", format u16, then a frame with a `Hello`
//! answer   format u16, then a frame: 0 and a `Hello`, or 1 and a text that says what is wrong
//! frame    length u32 of what follows its head, CRC-32C u32 of it, then it
//! ```
//!
//! Numbers are big-endian. A `Hello` and a message are in the replicated form
//! ([`raft_store::codec`]). The head of a hello and a refusal keep their form in later formats, so
//! that nodes of different versions can say so.

use bytes::{Buf, BytesMut};
use raft_store::codec::{self, DecodeError};
use serde::{Deserialize, Serialize};
use state_machine::ids::NodeId;
use thiserror::Error;

use crate::cluster::directory::Endpoint;
use crate::limits;

/// What a connection between nodes begins with.
pub(super) const MAGIC: [u8; 8] = *b"cohortpp";

/// The form of hellos, frames and messages. It changes with the replicated form as well.
pub(super) const FORMAT: u16 = 1 << 8 | codec::VERSION as u16;

/// A frame's length and checksum.
const HEAD: usize = 8;

const WELCOME: u8 = 0;
const REFUSED: u8 = 1;

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
}

/// Why bytes of a peer are not understood.
#[derive(Debug, Error)]
pub(super) enum BadFrame {
    #[error("it does not begin as a node of cohort does")]
    Magic,
    #[error("it speaks format {0:#x}, and this node speaks {FORMAT:#x}")]
    Format(u16),
    #[error("a frame of {0} bytes, and {most} are allowed", most = limits::PEER_FRAME)]
    Length(usize),
    #[error("a frame's checksum is wrong")]
    Checksum,
    #[error("a frame is not what it should be: {0}")]
    Content(#[from] DecodeError),
    #[error("an answer that is neither a welcome nor a refusal")]
    Answer,
    /// The other end has said why.
    #[error("{0}")]
    Refused(String),
}

/// A frame with a value in the replicated form, of about so many bytes. It is written where it
/// stands in the frame: it may be large.
pub(super) fn frame<T: Serialize>(value: &T, about_bytes: usize) -> Result<Vec<u8>, BadFrame> {
    let mut bytes = Vec::with_capacity(HEAD + about_bytes);
    bytes.resize(HEAD, 0);
    finish(codec::encode_behind(bytes, value))
}

/// A frame with these bytes.
fn frame_of(body: &[u8]) -> Result<Vec<u8>, BadFrame> {
    finish([&[0; HEAD], body].concat())
}

/// Fills in the head of a frame.
fn finish(mut frame: Vec<u8>) -> Result<Vec<u8>, BadFrame> {
    let body = &frame[HEAD..];
    if body.len() > limits::PEER_FRAME {
        return Err(BadFrame::Length(body.len()));
    }
    let len = u32::try_from(body.len()).map_err(|_| BadFrame::Length(body.len()))?;
    let crc = crc32c::crc32c(body);
    frame[..4].copy_from_slice(&len.to_be_bytes());
    frame[4..HEAD].copy_from_slice(&crc.to_be_bytes());
    Ok(frame)
}

/// How many bytes are missing of the frame that has begun, if its length is known.
pub(super) fn missing(input: &BytesMut) -> usize {
    let Some(len) = input.first_chunk::<4>() else { return 0 };
    (HEAD + u32::from_be_bytes(*len) as usize).saturating_sub(input.len())
}

/// Takes the next whole frame out of what was read. `None`: there is none yet.
pub(super) fn take_frame(input: &mut BytesMut) -> Result<Option<BytesMut>, BadFrame> {
    let Some(head) = input.first_chunk::<HEAD>() else { return Ok(None) };
    let [l0, l1, l2, l3, c0, c1, c2, c3] = *head;
    let len = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
    let crc = u32::from_be_bytes([c0, c1, c2, c3]);
    if len > limits::PEER_FRAME {
        return Err(BadFrame::Length(len));
    }
    if input.len() < HEAD + len {
        return Ok(None);
    }
    input.advance(HEAD);
    let body = input.split_to(len);
    if crc32c::crc32c(&body) != crc { Err(BadFrame::Checksum) } else { Ok(Some(body)) }
}

/// The first bytes of a connection.
pub(super) fn hello(hello: &Hello) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&FORMAT.to_be_bytes());
    bytes.extend(frame(hello, 0).expect("a hello is small"));
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
    let Some(body) = take_frame(&mut rest)? else { return Ok(None) };
    *input = rest;
    Ok(Some(codec::decode(&body)?))
}

fn same_format(format: u16) -> Result<(), BadFrame> {
    if format == FORMAT { Ok(()) } else { Err(BadFrame::Format(format)) }
}

/// The answer to a hello: this node's own, or what is wrong.
pub(super) fn answer(answer: Result<&Hello, &str>) -> Vec<u8> {
    let mut body = match answer {
        Ok(_) => vec![WELCOME],
        Err(_) => vec![REFUSED],
    };
    match answer {
        Ok(hello) => body.extend(codec::encode(hello)),
        Err(problem) => body.extend_from_slice(problem.as_bytes()),
    }
    let mut bytes = FORMAT.to_be_bytes().to_vec();
    bytes.extend(frame_of(&body).expect("an answer is small"));
    bytes
}

/// Takes the answer to a hello out of what was read. `None`: it is not whole yet.
pub(super) fn take_answer(input: &mut BytesMut) -> Result<Option<Hello>, BadFrame> {
    let Some(format) = input.first_chunk::<2>() else { return Ok(None) };
    let format = u16::from_be_bytes(*format);
    let mut rest = input.clone();
    rest.advance(2);
    let Some(body) = take_frame(&mut rest)? else { return Ok(None) };
    *input = rest;
    match body.split_first() {
        Some((&REFUSED, text)) => {
            Err(BadFrame::Refused(String::from_utf8_lossy(text).into_owned()))
        }
        Some((&WELCOME, hello)) => {
            same_format(format)?;
            Ok(Some(codec::decode(hello)?))
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
        }
    }

    #[test]
    fn a_hello_and_what_follows_come_in_any_pieces() {
        let mut sent = hello(&of_node_1());
        sent.extend(frame_of(b"one").expect("small"));
        sent.extend(frame_of(b"").expect("small"));
        for cut in 0..=sent.len() {
            let mut input = BytesMut::from(&sent[..cut]);
            let early = take_hello(&mut input).expect("a hello");
            input.extend_from_slice(&sent[cut..]);
            let whole = early.or_else(|| take_hello(&mut input).expect("a hello"));
            assert_eq!(whole, Some(of_node_1()), "cut at {cut}");
            assert_eq!(take_frame(&mut input).expect("a frame").as_deref(), Some(&b"one"[..]));
            assert_eq!(take_frame(&mut input).expect("a frame").as_deref(), Some(&b""[..]));
            assert!(take_frame(&mut input).expect("nothing").is_none());
        }
    }

    #[test]
    fn no_flipped_bit_of_a_frame_is_believed() {
        let sent = frame_of(b"message").expect("small");
        for bit in 0..8 * sent.len() {
            let mut input = BytesMut::from(&sent[..]);
            input[bit / 8] ^= 1 << (bit % 8);
            // Of a longer one the rest is waited for, and its checksum is wrong then.
            assert!(!matches!(take_frame(&mut input), Ok(Some(_))), "bit {bit}");
        }
    }

    #[test]
    fn a_length_is_judged_before_anything_is_kept_for_it() {
        let most = u32::try_from(limits::PEER_FRAME).expect("of 32 bits");
        for (len, allowed) in [(most, true), (most + 1, false), (u32::MAX, false)] {
            let mut head = len.to_be_bytes().to_vec();
            head.extend([0; 4]);
            let taken = take_frame(&mut BytesMut::from(&head[..]));
            assert_eq!(taken.is_ok(), allowed, "{len}");
        }
        let too_long = frame_of(&vec![0; limits::PEER_FRAME + 1]);
        assert!(matches!(too_long, Err(BadFrame::Length(_))));
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
    fn an_answer_says_who_listens_or_why_nobody_does() {
        let take = |bytes: Vec<u8>| take_answer(&mut BytesMut::from(&bytes[..]));
        assert_eq!(take(answer(Ok(&of_node_1()))).expect("a welcome"), Some(of_node_1()));
        let refused = take(answer(Err("this is n3"))).expect_err("a refusal");
        assert_eq!(refused.to_string(), "this is n3");
        let mut of_another_version = answer(Err("too old"));
        of_another_version[0] += 1;
        assert_eq!(take(of_another_version).expect_err("a refusal").to_string(), "too old");
    }
}
