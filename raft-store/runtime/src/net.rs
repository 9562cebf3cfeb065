//! Sockets: TCP as the operating system gives it.
//!
//! A node that serves opens its sockets here and nowhere else. What is spoken over them is others'
//! business. The simulator has none of this: it drives a listener over any stream of bytes.

use std::io;
pub use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};

/// A connection.
pub type Stream = TcpStream;

/// A socket that takes connections.
#[derive(Debug)]
pub struct Listener(TcpListener);

impl Listener {
    /// Listens at an address, `host:port`. Port 0 takes a free one.
    ///
    /// # Errors
    /// Where there is no such address, or it is taken.
    pub async fn bind(address: &str) -> io::Result<Self> {
        TcpListener::bind(address).await.map(Self)
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// The next connection. Small replies are sent at once.
    ///
    /// # Errors
    /// Those of the operating system, such as too many open files. Later ones may come.
    pub async fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        let (stream, from) = self.0.accept().await?;
        stream.set_nodelay(true)?;
        Ok((stream, from))
    }
}

/// Waits until the process is told to end: SIGTERM or SIGINT.
///
/// # Errors
/// Where signals cannot be watched.
pub async fn told_to_end() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    Ok(())
}
