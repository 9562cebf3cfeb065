//! Sockets and signals: TCP as the operating system gives it, and what it tells a process.
//!
//! A node that serves opens its sockets here and nowhere else. What is spoken over them is others'
//! business. The simulator has none of this: it drives a listener over any stream of bytes.

use std::io;
pub use std::net::SocketAddr;
use std::time::Duration;

use rustix::net::sockopt;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
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

/// Connects to an address, `host:port`. Small pieces are sent at once.
///
/// # Errors
/// Where nobody listens there, or it cannot be reached.
pub async fn connect(address: &str) -> io::Result<Stream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Has the operating system end a connection whose other end has vanished: when nothing that was
/// sent, or a question whether it is still there, was answered for `silence`, which is rounded up
/// to whole seconds.
///
/// # Errors
/// Where the operating system cannot.
pub fn notice_silence(stream: &Stream, silence: Duration) -> io::Result<()> {
    let silence = Duration::from_secs(silence.as_millis().div_ceil(1_000).try_into().unwrap_or(1));
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, silence)?;
    sockopt::set_tcp_keepintvl(stream, Duration::from_secs(1))?;
    // Elsewhere the system's own patience counts for what was sent.
    #[cfg(target_os = "linux")]
    sockopt::set_tcp_user_timeout(stream, u32::try_from(silence.as_millis()).unwrap_or(u32::MAX))?;
    Ok(())
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

/// Makes a write that would make a file larger than this process may have fail, as on a full disk.
/// Otherwise the operating system ends the process without a word (SIGXFSZ).
///
/// # Errors
/// Where signals cannot be watched.
pub fn survive_limits_of_files() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    // The signal stays watched, though nobody waits for it.
    let number = rustix::process::Signal::XFSZ.as_raw();
    signal(SignalKind::from_raw(number)).map(drop)
}

/// Raises the limit of files and sockets that the process may have open at a time, as far as it may
/// do so itself; what the limit is then. `None`: there is none.
pub fn raise_open_files() -> Option<u64> {
    let found = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: found.maximum, maximum: found.maximum };
    // Some systems refuse what they call the maximum.
    let allowed = if setrlimit(Resource::Nofile, raised).is_ok() { raised } else { found };
    allowed.current
}
