//! Clients that keep requests under way, over TCP, and take the time of each.
//!
//! All run in one thread, so that they cost little beside the nodes. They know where an answer says
//! that it is a refusal, and nothing else of it.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use futures::future::try_join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Where a request's correlation id stands, its length in front.
const ID: std::ops::Range<usize> = 8..12;
/// The same of an answer.
const ANSWERED_ID: std::ops::Range<usize> = 4..8;
/// What is not answered after so long never will be.
const PATIENCE: Duration = Duration::from_secs(20);

/// What clients do.
#[derive(Debug)]
pub(super) struct Load {
    /// Whom they ask.
    pub(super) address: SocketAddr,
    /// How many they are, each with a connection.
    pub(super) connections: usize,
    /// How many requests each has under way.
    pub(super) window: usize,
    /// Requests, their length in front. The clients take turns.
    pub(super) frames: Vec<Vec<u8>>,
    /// Where an answer has its two bytes of error code; none if it has no such thing.
    pub(super) error_at: Option<usize>,
}

/// When answers count.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counted {
    /// From here on.
    pub(super) from: Instant,
    /// Up to here. No requests are made after it.
    pub(super) until: Instant,
}

impl Load {
    /// Asks until the time is over. How long each request that counts took, sorted.
    ///
    /// # Errors
    /// Where a connection breaks, an answer is a refusal or another one than was waited for.
    pub(super) async fn run(&self, counted: Counted) -> io::Result<Vec<Duration>> {
        let clients = (0..self.connections).map(|number| self.client(number, counted));
        let limit = counted.until.saturating_duration_since(Instant::now()) + PATIENCE;
        let all = tokio::time::timeout(limit, try_join_all(clients)).await;
        let all = all.map_err(|_| io::Error::other(format!("no answer for {PATIENCE:?}")))??;
        let mut latencies: Vec<Duration> = all.into_iter().flatten().collect();
        latencies.sort_unstable();
        Ok(latencies)
    }

    async fn client(&self, number: usize, counted: Counted) -> io::Result<Vec<Duration>> {
        let mut stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let frame = &self.frames[number % self.frames.len()];
        let (mut latencies, mut asked) = (Vec::new(), VecDeque::new());
        let (mut input, mut output) = (BytesMut::new(), Vec::new());
        let (mut next_asked, mut next_answered) = (0_i32, 0_i32);
        let mut more = self.window;
        loop {
            for _ in 0..more {
                let at = output.len();
                output.extend_from_slice(frame);
                output[at..][ID].copy_from_slice(&next_asked.to_be_bytes());
                next_asked = next_asked.wrapping_add(1);
                asked.push_back(Instant::now());
            }
            stream.write_all(&output).await?;
            output.clear();
            if asked.is_empty() {
                return Ok(latencies);
            }
            if stream.read_buf(&mut input).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let now = Instant::now();
            more = 0;
            while let Some(length) = input.first_chunk::<4>().copied().map(u32::from_be_bytes) {
                let whole = 4 + length as usize;
                let Some(answer) = input.get(..whole) else { break };
                self.check(answer, next_answered)?;
                input.advance(whole);
                next_answered = next_answered.wrapping_add(1);
                let began = asked.pop_front().ok_or_else(|| io::Error::other("nobody asked"))?;
                if counted.from <= now && now < counted.until {
                    latencies.push(now - began);
                }
                more += 1;
            }
            if now >= counted.until {
                more = 0;
            }
        }
    }

    fn check(&self, answer: &[u8], expected: i32) -> io::Result<()> {
        let wrong = |what: String| Err(io::Error::other(what));
        if answer.get(ANSWERED_ID) != Some(&expected.to_be_bytes()) {
            return wrong(format!(
                "answer {:?} where {expected} was to be answered",
                answer.get(ANSWERED_ID)
            ));
        }
        let Some(at) = self.error_at else { return Ok(()) };
        match answer.get(at..at + 2) {
            Some([0, 0]) => Ok(()),
            other => wrong(format!("refused: error code {other:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// What clients say of a broker that answers each request of 12 bytes with its id and a code;
    /// to the fourth it gives another.
    async fn asked(fourth: [u8; 2]) -> io::Result<usize> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let broker = async {
            let (mut stream, _) = listener.accept().await?;
            for number in 0.. {
                let mut frame = [0; 12];
                if stream.read_exact(&mut frame).await.is_err() {
                    break;
                }
                let code = if number == 3 { fourth } else { [0, 0] };
                let answer = [&6_u32.to_be_bytes()[..], &frame[ID], &code].concat();
                stream.write_all(&answer).await?;
            }
            Ok(())
        };
        let frames = vec![[&8_u32.to_be_bytes()[..], &[0; 8]].concat()];
        let load = Load { address, connections: 1, window: 2, frames, error_at: Some(8) };
        let from = Instant::now();
        let counted = Counted { from, until: from + Duration::from_millis(50) };
        let (latencies, ()) = tokio::try_join!(load.run(counted), broker)?;
        assert!(latencies.is_sorted());
        Ok(latencies.len())
    }

    #[tokio::test]
    async fn every_answer_counts_and_a_refusal_ends_the_load() {
        assert!(asked([0, 0]).await.expect("all were answered") > 3);
        let refused = asked([0, 6]).await.expect_err("a refusal");
        assert!(refused.to_string().contains("refused: error code"), "{refused}");
    }
}
