//! The runtime's sockets, as axum takes them: so many at most, and none that is silent for ever.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use runtime::net::{Listener, SocketAddr, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::connections::{Connections, Open};
use crate::limits;

/// A socket that takes connections. Those beyond the most are closed at once.
pub(super) struct Accepting {
    pub(super) listener: Listener,
    pub(super) connections: Connections,
    /// How long nothing may move on a connection. `None`: for ever, where an answer may take that.
    pub(super) idle: Option<Duration>,
}

impl axum::serve::Listener for Accepting {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, from)) => match self.connections.take(limits::ADMIN_CONNECTIONS) {
                    Some(open) => return (Connection::new(stream, self.idle, open), from),
                    None => tracing::warn!(%from, "too many connections: this one is closed"),
                },
                Err(error) => {
                    tracing::warn!(%error, "a connection to the admin port cannot be taken");
                    runtime::sleep(limits::ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.address()
    }
}

/// A connection. One on which nothing has moved for too long fails, so that it ends.
pub(super) struct Connection {
    stream: Stream,
    idle: Option<Duration>,
    silence: BoxFuture<'static, ()>,
    _open: Open,
}

/// Waits until nothing has moved for too long, from now on.
fn silence(idle: Option<Duration>) -> BoxFuture<'static, ()> {
    match idle {
        Some(idle) => Box::pin(runtime::sleep(idle)),
        None => Box::pin(std::future::pending()),
    }
}

impl Connection {
    fn new(stream: Stream, idle: Option<Duration>, open: Open) -> Self {
        Self { stream, idle, silence: silence(idle), _open: open }
    }

    /// What became of reading or writing, unless nothing has moved for too long.
    fn or_silent<T>(
        &mut self,
        cx: &mut Context<'_>,
        moved: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if moved.is_ready() {
            self.silence = silence(self.idle);
            return moved;
        }
        self.silence.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, into);
        self.or_silent(cx, read)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.or_silent(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use runtime::net;
    use tokio::io::AsyncReadExt;

    use super::*;

    /// What reading from a connection gives on which nothing ever moves, within an hour.
    async fn read(idle: Option<Duration>) -> Option<io::ErrorKind> {
        let listener = Listener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.address().expect("it has one").to_string();
        let mut accepting = Accepting { listener, connections: Connections::default(), idle };
        let _client = net::connect(&address).await.expect("it listens");
        let (mut connection, _) = axum::serve::Listener::accept(&mut accepting).await;
        tokio::select! {
            read = connection.read_u8() => Some(read.expect_err("nobody says anything").kind()),
            () = runtime::sleep(Duration::from_secs(3_600)) => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_on_which_nothing_moves_ends_where_that_is_wanted() {
        assert_eq!(read(Some(limits::ADMIN_IDLE)).await, Some(io::ErrorKind::TimedOut));
        assert_eq!(read(None).await, None);
    }
}
