//! Frames off a connection, one after another, as they are.
//!
//! A frame is kept whole, its length in front. What is no frame of Kafka's, or a longer one than
//! any request may be, ends them: from there on the bytes are nobody's business.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};
use wire::frame::MAX_FRAME;

/// How much is asked for at a time, at least.
const CHUNK: usize = 64 * 1024;

/// The shortest frame, in bytes after the length: the correlation id of an answer.
const SHORTEST: usize = 4;

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A frame, its length in front.
    Frame(Bytes),
    /// Bytes that are no frame of a bearable length, and whatever follows them.
    Opaque(Bytes),
    /// The other side says no more.
    End,
}

/// The frames of one direction of a connection.
#[derive(Debug)]
pub(super) struct Frames<R> {
    from: R,
    buffer: BytesMut,
}

impl<R: AsyncRead + Unpin> Frames<R> {
    pub(super) fn new(from: R) -> Self {
        Self { from, buffer: BytesMut::new() }
    }

    /// Waits for the next frame. What ends in the middle of one is passed on as it is.
    pub(super) async fn next(&mut self) -> std::io::Result<Next> {
        loop {
            let mut missing = CHUNK;
            if let Some(length) = self.buffer.first_chunk::<4>().copied().map(i32::from_be_bytes) {
                match usize::try_from(length) {
                    Ok(length @ SHORTEST..=MAX_FRAME) => {
                        match (4 + length).checked_sub(self.buffer.len()) {
                            None | Some(0) => {
                                return Ok(Next::Frame(self.buffer.split_to(4 + length).freeze()));
                            }
                            Some(left) => missing = left.max(CHUNK),
                        }
                    }
                    _ => return Ok(Next::Opaque(self.buffer.split().freeze())),
                }
            }
            // No more at once than has come already: a length alone takes no memory.
            self.buffer.reserve(missing.min(self.buffer.len().max(CHUNK)));
            if self.from.read_buf(&mut self.buffer).await? == 0 {
                return Ok(match self.buffer.is_empty() {
                    true => Next::End,
                    false => Next::Opaque(self.buffer.split().freeze()),
                });
            }
        }
    }

    /// The rest, unread.
    pub(super) fn into_inner(self) -> R {
        self.from
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<Next> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let mut frames = Frames::new(bytes);
            let mut all = Vec::new();
            loop {
                let next = frames.next().await.expect("bytes in memory");
                let ends = next == Next::End;
                all.push(next);
                if ends {
                    return all;
                }
            }
        })
    }

    #[test]
    fn frames_follow_each_other() {
        let mut bytes = Vec::new();
        for body in [&b"abcd"[..], &[7; 200_000], b"efghi"] {
            bytes.extend((body.len() as i32).to_be_bytes());
            bytes.extend(body);
        }
        let sizes: Vec<_> = all(&bytes)
            .into_iter()
            .map(|next| match next {
                Next::Frame(frame) => frame.len(),
                _ => 0,
            })
            .collect();
        assert_eq!(sizes, [8, 200_004, 9, 0]);
    }

    #[test]
    fn what_is_no_frame_is_opaque() {
        for bytes in [&b"GET / HTTP/1.1"[..], &[0xff; 9], &[0, 0, 0, 3, 1, 1, 1], &[0, 0, 0, 9, 1]]
        {
            assert_eq!(all(bytes), [Next::Opaque(Bytes::copy_from_slice(bytes)), Next::End]);
        }
        assert_eq!(all(&[]), [Next::End]);
    }
}
