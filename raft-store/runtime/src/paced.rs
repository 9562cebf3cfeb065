//! Raft's own clock: the node's clock, slowed down by a *pace*.
//!
//! openraft's timers are numbers of its configuration, and cannot follow a network that turns out
//! to be slow. But every one of them goes through the runtime. So openraft gets [`PacedRuntime`]:
//! at pace 3 its clock shows a third of the time that passes, so each heartbeat interval, election
//! time-out, lease and deadline of a message takes three times as long. All of them keep their
//! relations to each other.
//!
//! The pace is at least 1: what is configured is what a fast network gets. The node sets it from
//! the round trips that it measures ([`set_pace`]). A simulated node's pace is its host's; in
//! production there is one node, and one pace.
//!
//! **Why this is safe.** Raft's safety needs no clock. Leases do: a node that reads by its lease
//! trusts that others wait as long as it believes. cohort reads by ReadIndex alone, so a pace that
//! differs from node to node, or changes, costs time and nothing else.
//!
//! A wait looks at the clock again and again, at the latest after the time that it would take at
//! pace 1 ([`LOOK`] at least). So it follows a pace that rises while it waits, and one that falls.

use std::fmt;
use std::future::Future;
use std::io;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use openraft_rt::{AsyncRuntime, OptionalSend};
use openraft_rt_tokio::{TokioMpsc, TokioMutex, TokioOneshot};

use super::{Instant, Rng, Runtime, host, watch};

/// How many times as long Raft's time takes, in thousandths: 1,000 is the node's own time, and the
/// least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pace(u32);

impl Pace {
    /// Raft's time is the node's time.
    pub const NORMAL: Self = Self(1_000);

    /// So many thousandths, but at least 1,000.
    pub fn from_thousandths(thousandths: u32) -> Self {
        Self(thousandths.max(Self::NORMAL.0))
    }

    /// How many thousandths.
    pub fn thousandths(self) -> u32 {
        self.0
    }

    /// How long a time of Raft's takes by the node's clock. Rounded up: a wait is never too short.
    pub fn stretch(self, raft: Duration) -> Duration {
        if self == Self::NORMAL {
            return raft;
        }
        let nanos = (raft.as_nanos() * u128::from(self.0)).div_ceil(u128::from(Self::NORMAL.0));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// Raft's clock: its reading, from the node's clock. Both in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    set_at: u64,
    set_to: u64,
    pace: Pace,
}

impl Clock {
    /// A clock that shows the node's own time.
    pub(super) const fn new() -> Self {
        Self { set_at: 0, set_to: 0, pace: Pace::NORMAL }
    }

    /// What it shows when the node's clock shows `now`.
    fn read(&self, now: u64) -> u64 {
        let since = now.saturating_sub(self.set_at);
        if self.pace == Pace::NORMAL {
            return self.set_to.saturating_add(since);
        }
        let raft = u128::from(since) * u128::from(Pace::NORMAL.0) / u128::from(self.pace.0);
        self.set_to.saturating_add(u64::try_from(raft).unwrap_or(u64::MAX))
    }

    /// From now on it runs at that pace; what it shows does not jump.
    pub(super) fn set(&mut self, now: u64, pace: Pace) {
        if pace != self.pace {
            *self = Self { set_at: now.max(self.set_at), set_to: self.read(now), pace };
        }
    }
}

/// Sets the pace of this node's Raft.
pub fn set_pace(pace: Pace) {
    let now = host::monotonic_nanos();
    host::with_paced_clock(|clock| clock.set(now, pace));
}

/// The pace of this node's Raft.
pub fn pace() -> Pace {
    host::with_paced_clock(|clock| clock.pace)
}

/// A point of time of this node's Raft, in nanoseconds since its clock began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PacedInstant(Instant);

impl PacedInstant {
    /// Now, by the clock of this node's Raft.
    pub fn now() -> Self {
        let now = host::monotonic_nanos();
        Self(Instant::from_nanos(host::with_paced_clock(|clock| clock.read(now))))
    }
}

impl openraft_rt::Instant for PacedInstant {
    fn now() -> Self {
        Self::now()
    }
}

impl Add<Duration> for PacedInstant {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self(self.0 + duration)
    }
}

impl AddAssign<Duration> for PacedInstant {
    fn add_assign(&mut self, duration: Duration) {
        self.0 += duration;
    }
}

impl Sub<Duration> for PacedInstant {
    type Output = Self;
    fn sub(self, duration: Duration) -> Self {
        Self(self.0 - duration)
    }
}

impl SubAssign<Duration> for PacedInstant {
    fn sub_assign(&mut self, duration: Duration) {
        self.0 -= duration;
    }
}

impl Sub<Self> for PacedInstant {
    type Output = Duration;
    fn sub(self, earlier: Self) -> Duration {
        self.0 - earlier.0
    }
}

/// At a pace above 1 a wait looks at the clock after this time at the earliest.
const LOOK: Duration = Duration::from_millis(50);

/// Waits for a point of Raft's time.
#[derive(Debug)]
pub struct Sleep {
    deadline: PacedInstant,
    inner: Pin<Box<tokio::time::Sleep>>,
}

impl Sleep {
    fn until(deadline: PacedInstant) -> Self {
        Self {
            deadline,
            inner: Box::pin(tokio::time::sleep(until_look(deadline - PacedInstant::now()))),
        }
    }
}

/// In how much real (or the simulator's) time to look at the clock, where so much of Raft's time is
/// left.
fn until_look(left: Duration) -> Duration {
    host::to_real(pace().stretch(left).min(left.max(LOOK)))
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        while self.inner.as_mut().poll(cx).is_ready() {
            let left = self.deadline - PacedInstant::now();
            if left.is_zero() {
                return Poll::Ready(());
            }
            let again = tokio::time::Instant::now() + until_look(left);
            self.inner.as_mut().reset(again);
        }
        Poll::Pending
    }
}

/// A future that has to be ready before a point of Raft's time.
#[derive(Debug)]
pub struct Timeout<F> {
    future: Pin<Box<F>>,
    sleep: Sleep,
}

/// A future was not ready in time.
#[derive(Debug)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not ready in time")
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(output) = self.future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        Pin::new(&mut self.sleep).poll(cx).map(|()| Err(Elapsed))
    }
}

/// The [`Runtime`], with Raft's time instead of the node's. For openraft, and for what waits for
/// its messages.
#[derive(Debug)]
pub struct PacedRuntime;

impl AsyncRuntime for PacedRuntime {
    type JoinError = tokio::task::JoinError;
    type JoinHandle<T: OptionalSend + 'static> = tokio::task::JoinHandle<T>;
    type Sleep = Sleep;
    type Instant = PacedInstant;
    type TimeoutError = Elapsed;
    type Timeout<R, T: Future<Output = R> + OptionalSend> = Timeout<T>;
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
        Runtime::spawn(future)
    }

    fn sleep(duration: Duration) -> Sleep {
        Sleep::until(PacedInstant::now() + duration)
    }

    fn sleep_until(deadline: PacedInstant) -> Sleep {
        Sleep::until(deadline)
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(
        duration: Duration,
        future: F,
    ) -> Timeout<F> {
        Self::timeout_at(PacedInstant::now() + duration, future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(
        deadline: PacedInstant,
        future: F,
    ) -> Timeout<F> {
        Timeout { future: Box::pin(future), sleep: Sleep::until(deadline) }
    }

    fn is_panic(error: &Self::JoinError) -> bool {
        Runtime::is_panic(error)
    }

    fn thread_rng() -> Rng {
        Rng
    }

    fn spawn_blocking<F, T>(work: F) -> impl Future<Output = Result<T, io::Error>> + Send
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        Runtime::spawn_blocking(work)
    }

    fn new(_threads: usize) -> Self {
        Self
    }

    fn block_on<F, T>(&mut self, future: F) -> T
    where
        F: Future<Output = T>,
    {
        Runtime.block_on(future)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Host;
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn the_clock_runs_slower_at_a_higher_pace_and_never_jumps() {
        let mut clock = Clock::new();
        assert_eq!(clock.read(5 * SECOND), 5 * SECOND);
        clock.set(5 * SECOND, Pace::from_thousandths(4_000));
        assert_eq!(clock.read(5 * SECOND), 5 * SECOND);
        assert_eq!(clock.read(9 * SECOND), 6 * SECOND);
        clock.set(9 * SECOND, Pace::NORMAL);
        assert_eq!(clock.read(10 * SECOND), 7 * SECOND);
        // A node's clock that is read out of order does not turn it back.
        clock.set(8 * SECOND, Pace::from_thousandths(2_000));
        assert!(clock.read(10 * SECOND) >= 6 * SECOND);
    }

    #[test]
    fn a_pace_is_never_below_the_nodes_own_time_and_stretches_by_rounding_up() {
        assert_eq!(Pace::from_thousandths(3), Pace::NORMAL);
        assert_eq!(Pace::NORMAL.stretch(Duration::from_nanos(7)), Duration::from_nanos(7));
        assert_eq!(
            Pace::from_thousandths(1_001).stretch(Duration::from_nanos(1)),
            Duration::from_nanos(2)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_follows_the_pace_and_each_host_has_its_own() {
        let (slow, fast) = (Host::new(1, 0), Host::new(2, 0));
        let begun = tokio::time::Instant::now();
        let waits = || async {
            PacedRuntime::sleep(Duration::from_secs(2)).await;
            tokio::time::Instant::now()
        };
        let slowed = slow.spawn(waits());
        let other = fast.spawn(waits());
        tokio::time::sleep(Duration::from_secs(1)).await;
        slow.scope(async { set_pace(Pace::from_thousandths(3_000)) }).await;
        assert_eq!(other.await.expect("no panic") - begun, Duration::from_secs(2));
        // tokio rounds a wait that is set anew up to a millisecond.
        let slowed = slowed.await.expect("no panic") - begun;
        assert!((4_000..=4_002).contains(&slowed.as_millis()), "{slowed:?}");
        // It falls.
        slow.scope(async { set_pace(Pace::from_thousandths(10_000)) }).await;
        let begun = tokio::time::Instant::now();
        let slowed = slow.spawn(waits());
        tokio::time::sleep(Duration::from_millis(10)).await;
        slow.scope(async { set_pace(Pace::NORMAL) }).await;
        let slowed = slowed.await.expect("no panic") - begun;
        assert!((2_000..=2_020).contains(&slowed.as_millis()), "{slowed:?}");
        slow.scope(async { set_pace(Pace::from_thousandths(3_000)) }).await;
        let timed_out = slow.scope(async {
            let begun = tokio::time::Instant::now();
            let ended =
                PacedRuntime::timeout(Duration::from_secs(1), std::future::pending::<()>()).await;
            ended.expect_err("it never ends");
            tokio::time::Instant::now() - begun
        });
        assert_eq!(timed_out.await.as_secs(), 3);
    }
}
