//! A simulated machine for one node: its clock, its randomness, its tasks.

use std::any::Any;
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::Instant as TokioInstant;

use super::paced;

/// Clock rates are in millionths of real time, as integers, so that a run repeats on any machine.
const REAL_TIME: u64 = 1_000_000;

/// Forget handles of finished tasks when there are this many.
const SWEEP_TASKS: usize = 256;

thread_local! {
    static CURRENT: RefCell<Option<Host>> = const { RefCell::new(None) };
}

/// The host whose task is running, if any.
pub(super) fn current() -> Option<Host> {
    CURRENT.with(|current| current.borrow().clone())
}

/// The current host's monotonic clock.
pub(super) fn monotonic_nanos() -> u64 {
    static BEGINNING: OnceLock<std::time::Instant> = OnceLock::new();
    match current() {
        Some(host) => host.lock().local_nanos(),
        None => nanos(BEGINNING.get_or_init(std::time::Instant::now).elapsed()),
    }
}

/// The clock of the current host's Raft, or of this process's.
pub(super) fn with_paced_clock<T>(f: impl FnOnce(&mut paced::Clock) -> T) -> T {
    static PROCESS: Mutex<paced::Clock> = Mutex::new(paced::Clock::new());
    match current() {
        Some(host) => f(&mut host.lock().paced),
        None => f(&mut PROCESS.lock().unwrap_or_else(PoisonError::into_inner)),
    }
}

/// How long a time of the current host's clock takes in real (or the simulator's) time.
pub(super) fn to_real(local: Duration) -> Duration {
    let rate = current().map_or(REAL_TIME, |host| host.lock().rate);
    if rate == REAL_TIME || local.is_zero() {
        return local;
    }
    // Rounded up: a wait that is never over because it was rounded down to nothing would stop
    // virtual time.
    let real = (local.as_nanos() * u128::from(REAL_TIME)).div_ceil(u128::from(rate));
    Duration::from_nanos(u64::try_from(real).unwrap_or(u64::MAX))
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[derive(Debug)]
struct Inner {
    /// When the clock was last set, in real and in local time.
    set_at: TokioInstant,
    set_local: u64,
    /// Local nanoseconds per million real ones.
    rate: u64,
    /// Wall clock at local time 0, in ms since 1970.
    epoch_ms: u64,
    /// The clock of the node's Raft, which reads this one.
    paced: paced::Clock,
    random: u64,
    tasks: Vec<AbortHandle>,
    dead: bool,
    /// While the machine is stopped: who is to be woken when it goes on.
    stopped: Option<Vec<Waker>>,
}

impl Inner {
    fn local_nanos(&self) -> u64 {
        let real = TokioInstant::now().saturating_duration_since(self.set_at).as_nanos();
        let local = real * u128::from(self.rate) / u128::from(REAL_TIME);
        self.set_local.saturating_add(u64::try_from(local).unwrap_or(u64::MAX))
    }
}

/// Something that belongs to a machine and is not the runtime's business.
#[derive(Clone)]
struct Attachment(Arc<dyn Any + Send + Sync>);

impl std::fmt::Debug for Attachment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Attachment")
    }
}

/// A simulated machine. Clones are the same machine.
#[derive(Debug, Clone)]
pub struct Host {
    inner: Arc<Mutex<Inner>>,
    /// At most one of a type.
    attachments: Arc<Vec<Attachment>>,
}

impl Host {
    /// A machine whose clock runs at real time (the simulator's) from now, with a seed of its own.
    /// `epoch_ms` is its wall clock's beginning, in ms since 1970.
    pub fn new(seed: u64, epoch_ms: u64) -> Self {
        let inner = Inner {
            set_at: TokioInstant::now(),
            // Not 0, so that what is computed back from now stays above it.
            set_local: 1_000_000_000,
            rate: REAL_TIME,
            epoch_ms,
            paced: paced::Clock::new(),
            random: seed,
            tasks: Vec::new(),
            dead: false,
            stopped: None,
        };
        Self { inner: Arc::new(Mutex::new(inner)), attachments: Arc::default() }
    }

    /// The same machine with something attached, which its tasks find by its type with
    /// [`attachment`](super::attachment). It takes the place of an earlier one of that type. The
    /// runtime does not know what it is. Call this before anything runs on the machine.
    #[must_use]
    pub fn with_attachment<T: Any + Send + Sync>(self, attachment: T) -> Self {
        let others = self.attachments.iter().filter(|other| !other.0.is::<T>()).cloned();
        let attachments = others.chain([Attachment(Arc::new(attachment))]).collect();
        Self { attachments: Arc::new(attachments), ..self }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the clock run at `rate` millionths of real time from now on, after a jump forward.
    pub fn set_clock(&self, rate: u64, jump: Duration) {
        let mut inner = self.lock();
        inner.set_local = inner.local_nanos().saturating_add(nanos(jump));
        inner.set_at = TokioInstant::now();
        inner.rate = rate.max(1);
    }

    /// Runs a future as a task of this machine would run.
    pub fn scope<F: Future>(&self, future: F) -> Scoped<F> {
        Scoped { host: self.clone(), future: Box::pin(future) }
    }

    /// Starts a task of this machine.
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let handle = tokio::spawn(self.scope(future));
        let mut inner = self.lock();
        if inner.dead {
            handle.abort();
            return handle;
        }
        if inner.tasks.len() >= SWEEP_TASKS {
            inner.tasks.retain(|task| !task.is_finished());
        }
        inner.tasks.push(handle.abort_handle());
        handle
    }

    /// Stops the machine where it stands: none of its tasks runs until [`resume`](Self::resume).
    /// Its clock goes on.
    pub fn pause(&self) {
        self.lock().stopped.get_or_insert_default();
    }

    /// Lets a stopped machine go on.
    pub fn resume(&self) {
        let stopped = self.lock().stopped.take();
        for waker in stopped.into_iter().flatten() {
            waker.wake();
        }
    }

    /// Ends all tasks of this machine, as a crash would: none runs again, nothing is flushed.
    pub fn kill(&self) {
        let tasks = {
            let mut inner = self.lock();
            inner.dead = true;
            std::mem::take(&mut inner.tasks)
        };
        for task in tasks {
            task.abort();
        }
    }

    pub(super) fn attachment<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.attachments.iter().find_map(|attachment| attachment.0.clone().downcast().ok())
    }

    /// Lets a machine run tasks again after [`kill`](Self::kill). Its clock and its randomness have
    /// gone on.
    pub fn revive(&self) {
        let mut inner = self.lock();
        (inner.dead, inner.stopped) = (false, None);
        // What the node's last incarnation had measured is lost with it; its clock has gone on all
        // the same.
        let now = inner.local_nanos();
        inner.paced.set(now, paced::Pace::NORMAL);
    }

    pub(super) fn random(&self) -> u64 {
        // SplitMix64 (Steele, Lea, Flood, 2014): a counter and a mixing function.
        let mut inner = self.lock();
        inner.random = inner.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = inner.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn wall_ms(&self) -> u64 {
        let inner = self.lock();
        inner.epoch_ms + inner.local_nanos() / 1_000_000
    }
}

/// A future that runs as part of a [`Host`].
#[derive(Debug)]
pub struct Scoped<F> {
    host: Host,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        if let Some(stopped) = &mut self.host.lock().stopped {
            stopped.push(cx.waker().clone());
            return Poll::Pending;
        }
        let outer = CURRENT.with(|current| current.replace(Some(self.host.clone())));
        let polled = self.future.as_mut().poll(cx);
        CURRENT.with(|current| *current.borrow_mut() = outer);
        polled
    }
}
