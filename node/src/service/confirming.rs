//! Reads that need no place among the writes: whether what this node has applied is current.
//!
//! A read that goes with a round waits for the one under way, which may wait for a disk. Who has
//! asked for nothing else meanwhile has no order to keep, and may read as soon as a quorum has
//! confirmed that this node leads still: one ReadIndex. One is under way at a time; who comes
//! meanwhile shares the next.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openraft::raft::ReadPolicy;
use raft_store::Raft;
use tokio::sync::oneshot;

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Confirming(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    /// Who waits for the next one.
    waiting: Vec<oneshot::Sender<bool>>,
    is_under_way: bool,
}

impl Confirming {
    /// Waits until it is known that this node has applied all that was acknowledged before the
    /// call. `false`: it does not lead, or no quorum says so in time.
    pub(super) async fn confirm(self: &Arc<Self>, raft: &Raft) -> bool {
        let raft = raft.clone();
        let ask = move || {
            let raft = raft.clone();
            async move { raft.ensure_linearizable(ReadPolicy::ReadIndex).await.is_ok() }
        };
        self.confirm_by(ask).await
    }

    async fn confirm_by<A, F>(self: &Arc<Self>, ask: A) -> bool
    where
        A: Fn() -> F + Send + 'static,
        F: Future<Output = bool> + Send,
    {
        let (sender, confirmed) = oneshot::channel();
        let begins = {
            let mut open = self.open();
            open.waiting.push(sender);
            !std::mem::replace(&mut open.is_under_way, true)
        };
        if begins {
            let all = self.clone();
            // It ends by itself, when nobody waits any more. Whoever began it may go before.
            let _task = runtime::spawn(async move {
                while let Some(waiting) = all.take() {
                    let confirmed = ask().await;
                    for waiter in waiting {
                        // Who does not wait any more does not miss it.
                        let _gone = waiter.send(confirmed);
                    }
                }
            });
        }
        confirmed.await.unwrap_or(false)
    }

    /// Who waits now; `None`, and none is under way any more, if nobody does.
    fn take(&self) -> Option<Vec<oneshot::Sender<bool>>> {
        let mut open = self.open();
        let waiting = std::mem::take(&mut open.waiting);
        open.is_under_way = !waiting.is_empty();
        open.is_under_way.then_some(waiting)
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_comes_while_a_quorum_is_asked_waits_for_the_next_answer() {
        let confirming = Arc::<Confirming>::default();
        let asked = Arc::<AtomicUsize>::default();
        // Each time the quorum takes a while, and the second time it does not confirm.
        let confirm = || {
            let asked = asked.clone();
            confirming.confirm_by(move || {
                let asked = asked.clone();
                async move {
                    let times = asked.fetch_add(1, Ordering::Relaxed) + 1;
                    runtime::sleep(Duration::from_millis(10)).await;
                    times != 2
                }
            })
        };
        let after = |ms| runtime::sleep(Duration::from_millis(ms));
        let later = |ms| async move {
            after(ms).await;
            confirm().await
        };
        let within_a_clock = async {
            let all = tokio::join!(later(0), later(1), later(2), later(15), later(40));
            // The second and third share one, which began after they had come.
            assert_eq!(all, (true, false, false, true, true));
        };
        runtime::Host::new(1, 0).scope(within_a_clock).await;
        assert_eq!(asked.load(Ordering::Relaxed), 4);
    }
}
