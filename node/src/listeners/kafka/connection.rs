//! One connection: frames in, frames out, in the same order.
//!
//! What is not a request, or none that is understood, closes the connection, as Kafka does: there
//! is no form in which it could be answered. The node reads no more of a connection that has enough
//! requests under way, or does not take its replies.

use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures::future::poll_immediate;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use wire::frame::{self, BadLength, EncodeError, HeadError};
use wire::{errors, versions};

use super::api::{self, Context};
use super::ask::Asker;
use super::pipeline::{Answer, Answering, Pipeline, Reply};
use super::{Broker, Held};
use crate::limits;

/// Why a connection was closed from this end.
#[derive(Debug, Error)]
pub(super) enum Closed {
    /// The socket failed.
    #[error(transparent)]
    Socket(#[from] io::Error),
    /// A frame of a length that cannot be.
    #[error(transparent)]
    Length(#[from] BadLength),
    /// A header of no request that is served.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// A body that is not what its header says.
    #[error("request {key} version {version}: {problem}")]
    Body {
        /// Which kind of request.
        key: i16,
        /// In which version.
        version: i16,
        /// What is wrong.
        problem: wire::Malformed,
    },
    /// A reply that cannot be told in the version asked for.
    #[error(transparent)]
    Reply(#[from] EncodeError),
    /// A request that can only be refused so.
    #[error("{0}")]
    Refused(&'static str),
    /// Nothing was said for a long time.
    #[error("it was idle for {} s", .0.as_secs())]
    Idle(Duration),
}

/// See the [module](self).
pub(super) struct Connection<S> {
    broker: Arc<Broker>,
    asker: Arc<Asker>,
    host: Arc<str>,
    stream: S,
    input: BytesMut,
    /// The bytes of a frame that has begun, with its length.
    wanted: Option<usize>,
    owed: Pipeline,
    /// Answers that are written together.
    output: BytesMut,
    /// How many bytes of input are counted among those of all connections.
    counted: Held,
    /// How many answers are counted among those that all clients are owed.
    counted_owed: Held,
}

/// Writes all of it to a client that takes some of it from time to time.
async fn write_all(stream: &mut (impl AsyncWrite + Unpin), mut bytes: &[u8]) -> Result<(), Closed> {
    while !bytes.is_empty() {
        let written = tokio::select! {
            biased;
            written = stream.write(bytes) => written?,
            () = runtime::sleep(limits::KAFKA_IDLE) => {
                return Err(Closed::Refused("it took nothing of an answer for a long time"));
            }
        };
        if written == 0 {
            return Err(io::Error::from(io::ErrorKind::WriteZero).into());
        }
        bytes = &bytes[written..];
    }
    Ok(())
}

enum Woken {
    Read(io::Result<usize>),
    Replied,
    Answer(Answer),
    Idle,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Connection<S> {
    pub(super) fn new(broker: Arc<Broker>, stream: S, host: Arc<str>) -> Self {
        let asker = Arc::new(Asker::new(broker.handle.connect_to_leader()));
        let counted = Held::new(&broker.input_bytes);
        let counted_owed = Held::new(&broker.owed.0);
        Self {
            broker,
            asker,
            host,
            stream,
            input: BytesMut::new(),
            wanted: None,
            owed: Pipeline::default(),
            output: BytesMut::new(),
            counted,
            counted_owed,
        }
    }

    /// Serves until the client closes it.
    pub(super) async fn serve(mut self) -> Result<(), Closed> {
        loop {
            while self.owed.may_take()
                && let Some(request) = self.next_frame()?
            {
                self.take(request).await?;
            }
            if self.counted.set(self.input.len()) > limits::KAFKA_INPUT {
                return Err(Closed::Refused("the requests of all connections take too many bytes"));
            }
            self.counted_owed.set(self.owed.len());
            match self.wait().await {
                Woken::Read(read) => {
                    if read? == 0 {
                        return Ok(());
                    }
                }
                Woken::Replied => self.asker.hand_over(),
                Woken::Answer(answer) => self.write(answer).await?,
                Woken::Idle => return Err(Closed::Idle(limits::KAFKA_IDLE)),
            }
        }
    }

    /// Writes an answer, and with it those behind it that are known.
    async fn write(&mut self, first: Answer) -> Result<(), Closed> {
        let mut next = Some(first);
        let mut last = Ok(());
        // They are counted until they are written.
        let mut written = Vec::new();
        while let Some(answer) = next.take() {
            match answer {
                Ok(None) => {}
                Ok(Some(Reply { bytes, held }))
                    if self.output.is_empty() && bytes.len() >= limits::KAFKA_WRITE =>
                {
                    write_all(&mut self.stream, &bytes).await?;
                    drop(held);
                }
                Ok(Some(reply)) => {
                    self.output.extend_from_slice(&reply.bytes);
                    written.extend(reply.held);
                }
                // Those before it are owed all the same.
                Err(closed) => {
                    last = Err(closed);
                    break;
                }
            }
            if self.output.len() < limits::KAFKA_WRITE {
                next = self.owed.known().await;
            }
        }
        write_all(&mut self.stream, &self.output).await?;
        if self.output.capacity() > 2 * limits::KAFKA_WRITE {
            self.output = BytesMut::new();
        }
        self.output.clear();
        last
    }

    async fn wait(&mut self) -> Woken {
        let may_read = self.owed.may_take();
        let is_idle = self.owed.len() == 0;
        let room = self.wanted.map_or(limits::KAFKA_READ, |wanted| {
            wanted
                .saturating_sub(self.input.len())
                .clamp(limits::KAFKA_READ, limits::KAFKA_READ_MOST)
        });
        if may_read {
            // It grows with what comes, not with what is announced.
            self.input.reserve(room);
        }
        tokio::select! {
            biased;
            () = self.asker.replied() => Woken::Replied,
            answer = self.owed.next() => Woken::Answer(answer),
            read = self.stream.read_buf(&mut self.input), if may_read => Woken::Read(read),
            () = runtime::sleep(limits::KAFKA_IDLE), if is_idle => Woken::Idle,
        }
    }

    /// The next whole frame, without its length.
    fn next_frame(&mut self) -> Result<Option<Bytes>, Closed> {
        let len = match self.wanted {
            Some(len) => len,
            None => {
                let Some(head) = self.input.first_chunk::<4>() else { return Ok(None) };
                let len = frame::frame_len(*head, frame::MAX_FRAME)?;
                self.input.advance(4);
                self.wanted = Some(len);
                len
            }
        };
        if self.input.len() < len {
            return Ok(None);
        }
        self.wanted = None;
        Ok(Some(self.input.split_to(len).freeze()))
    }

    /// Begins to answer a request. What it submits at once is submitted before the next one is
    /// looked at.
    async fn take(&mut self, request: Bytes) -> Result<(), Closed> {
        let len = request.len();
        let head = match frame::head(request) {
            Ok(head) => head,
            Err(HeadError::UnsupportedApiVersions { correlation_id }) => {
                self.broker.counters.request(versions::API_VERSIONS);
                self.broker.counters.error(versions::API_VERSIONS, errors::UNSUPPORTED_VERSION);
                let answer = api::unsupported_api_versions(correlation_id);
                let answer = answer.map(|bytes| Some(Reply { bytes, held: None }));
                self.owed.push(versions::API_VERSIONS, len, Box::pin(async { answer }));
                return Ok(());
            }
            Err(other) => return Err(other.into()),
        };
        let (key, version, correlation_id) = (head.key, head.version, head.correlation_id);
        let client_id: Arc<str> = head.client_id.as_deref().unwrap_or("").into();
        let faults = self.broker.settings.faults.as_ref();
        self.broker.counters.request(key);
        let context = Context {
            broker: self.broker.clone(),
            asker: self.asker.clone(),
            version,
            made_fail: faults.and_then(|faults| faults.take(&client_id, key)),
            client_id,
            host: self.host.clone(),
        };
        if api::is_for_the_leader(key) && self.broker.leadership().leader.is_none() {
            // One will lead in a moment, perhaps this node. A client that is refused meanwhile may
            // stay away for seconds.
            self.broker.leadership_in_time().await;
        }
        let request =
            frame::decode(head).map_err(|problem| Closed::Body { key, version, problem })?;
        let mut answering: Answering = Box::pin(async move {
            match api::answer(&context, request).await? {
                Some(reply) => {
                    context.broker.counters.answer(key, &reply);
                    let bytes = frame::encode(key, version, correlation_id, &reply)?;
                    drop(reply);
                    let is_cut = key == versions::FETCH;
                    let held = Held::answer(&context.broker.reply_bytes, bytes.len(), is_cut)?;
                    Ok(Some(Reply { bytes, held }))
                }
                None => Ok(None),
            }
        });
        let owed: Answering = match poll_immediate(&mut answering).await {
            Some(answer) => Box::pin(std::future::poll_fn({
                let mut answer = Some(answer);
                move |_| answer.take().map_or(Poll::Pending, Poll::Ready)
            })),
            None => answering,
        };
        self.owed.push(key, len, owed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_may_take_an_answer_slowly_and_not_at_all_only_for_a_while() {
        let half = limits::KAFKA_IDLE / 2;
        let (mut ours, mut clients) = tokio::io::duplex(16);
        let slowly = async {
            for _ in 0..8 {
                runtime::sleep(half).await;
                clients.read_exact(&mut [0; 16]).await.expect("it is written");
            }
        };
        let (written, ()) = futures::future::join(write_all(&mut ours, &[7; 128]), slowly).await;
        written.expect("it took some from time to time");
        let refused = write_all(&mut ours, &[7; 128]).await.expect_err("nobody reads");
        assert!(matches!(refused, Closed::Refused(_)), "{refused}");
    }
}
