//! The one runtime of production and simulation: openraft's [`AsyncRuntime`] over tokio, with a
//! clock, a random source and a list of tasks for each node.
//!
//! In production there is one node in the process and no [`Host`]: time is the machine's,
//! randomness the operating system's. A simulator makes a [`Host`] for each node and runs the node
//! inside [`Host::scope`]; every task that the node spawns belongs to that host, reads its clock,
//! draws from its seed, and ends with it. Together with a paused tokio clock and the [`watch`]
//! channel of this module, which wakes in the order of waiting, the same seed then gives the same
//! run.
//!
//! openraft's part of the time runs at a [`Pace`] of its own ([`PacedRuntime`]).
//!
//! Code of a node takes time, sleep, spawn and randomness from here and from nowhere else. This
//! module knows nothing of Raft, networks or messages; a host carries what is attached to its node
//! as it is.

use std::any::Any;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use openraft_rt::AsyncRuntime;
use openraft_rt::OptionalSend;
use openraft_rt_tokio::{TokioMpsc, TokioMutex, TokioOneshot};

pub mod durations;
pub mod files;
mod host;
mod instant;
pub mod net;
mod paced;
pub mod watch;

pub use host::{Host, Scoped};
pub use instant::Instant;
pub use paced::{Pace, PacedInstant, PacedRuntime, pace, set_pace};

/// See the [module](self).
#[derive(Debug)]
pub struct Runtime;

/// A random source: the current host's, or the operating system's.
#[derive(Debug, Clone, Copy)]
pub struct Rng;

impl rand::TryRng for Rng {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok((random() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(random())
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Self::Error> {
        for chunk in dest.chunks_mut(8) {
            chunk.copy_from_slice(&random().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

/// A random number: of the current host's seed, or of the operating system.
pub fn random() -> u64 {
    host::current().map_or_else(rand::random, |host| host.random())
}

/// What is [attached](Host::with_attachment) to the current host under this type. Nothing where
/// there is no host.
pub fn attachment<T: Any + Send + Sync>() -> Option<Arc<T>> {
    host::current()?.attachment()
}

/// The wall clock in milliseconds since 1970: the current host's, or the machine's.
pub fn wall_ms() -> u64 {
    match host::current() {
        Some(host) => host.wall_ms(),
        None => {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
        }
    }
}

/// Starts a task that belongs to the current host, if there is one.
pub fn spawn<F>(future: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    match host::current() {
        Some(host) => host.spawn(future),
        None => tokio::spawn(future),
    }
}

/// Sleeps for a time of the current host's clock.
pub fn sleep(duration: Duration) -> tokio::time::Sleep {
    tokio::time::sleep(host::to_real(duration))
}

/// Sleeps until an instant of the current host's clock.
pub fn sleep_until(deadline: Instant) -> tokio::time::Sleep {
    sleep(deadline - Instant::now())
}

/// Runs work that takes long on a thread of its own; in a simulation at once, since threads have no
/// order.
///
/// # Errors
/// Where the work panicked.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    if host::current().is_some() {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)
}

impl AsyncRuntime for Runtime {
    type JoinError = tokio::task::JoinError;
    type JoinHandle<T: OptionalSend + 'static> = tokio::task::JoinHandle<T>;
    type Sleep = tokio::time::Sleep;
    type Instant = Instant;
    type TimeoutError = tokio::time::error::Elapsed;
    type Timeout<R, T: Future<Output = R> + OptionalSend> = tokio::time::Timeout<T>;
    type ThreadLocalRng = Rng;
    type Mpsc = TokioMpsc;
    type Watch = watch::FifoWatch;
    type Oneshot = TokioOneshot;
    type Mutex<T: OptionalSend + 'static> = TokioMutex<T>;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        spawn(future)
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        sleep(duration)
    }

    fn sleep_until(deadline: Instant) -> Self::Sleep {
        sleep_until(deadline)
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(
        duration: Duration,
        future: F,
    ) -> Self::Timeout<R, F> {
        tokio::time::timeout(host::to_real(duration), future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(
        deadline: Instant,
        future: F,
    ) -> Self::Timeout<R, F> {
        tokio::time::timeout(host::to_real(deadline - Instant::now()), future)
    }

    fn is_panic(error: &Self::JoinError) -> bool {
        error.is_panic()
    }

    fn thread_rng() -> Rng {
        Rng
    }

    fn spawn_blocking<F, T>(work: F) -> impl Future<Output = Result<T, io::Error>> + Send
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        blocking(work)
    }

    fn new(_threads: usize) -> Self {
        Self
    }

    fn block_on<F, T>(&mut self, future: F) -> T
    where
        F: Future<Output = T>,
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.expect("a runtime without I/O needs nothing that can be missing").block_on(future)
    }
}
