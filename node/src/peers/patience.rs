//! How long a call waits for its answer, where that is found out while it waits.
//!
//! How far away a peer is follows from its last answers. Where one of those took long by chance,
//! since a process stood still or a link was slow, a peer seems far away until it has answered
//! again. A call that had begun meanwhile and whose message got lost must not wait for as long as
//! seemed right then: openraft sends this peer nothing else before the call has ended.

use std::time::Duration;

use openraft::AsyncRuntime;
use runtime::{PacedInstant, PacedRuntime};

/// What `answer` gives, or `None` once it has taken longer than `most` says at that time. It looks
/// so often whether that has changed. All times are of Raft's clock.
pub(super) async fn in_time<T>(
    answer: impl Future<Output = T> + Send,
    most: impl Fn() -> Duration + Send + Sync,
    look_every: Duration,
) -> Option<T> {
    let begun = PacedInstant::now();
    let mut answer = std::pin::pin!(answer);
    loop {
        let left = most().saturating_sub(PacedInstant::now() - begun);
        if left.is_zero() {
            return None;
        }
        if let Ok(given) = PacedRuntime::timeout(left.min(look_every), answer.as_mut()).await {
            return Some(given);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use runtime::{Host, Instant};

    use super::*;

    const LOOK: Duration = Duration::from_millis(300);

    /// When a call ended, in milliseconds after its beginning, and whether with an answer: one that
    /// may take `first` ms, and from `changed_at` on `then` ms.
    async fn ended(answer_at: u64, first: u64, changed_at: u64, then: u64) -> (u64, bool) {
        let ms = Duration::from_millis;
        let most = AtomicU64::new(first);
        let call = async {
            let begun = Instant::now();
            let answer = runtime::sleep(ms(answer_at));
            let given = in_time(answer, || ms(most.load(Ordering::Relaxed)), LOOK).await;
            ((Instant::now() - begun).as_millis() as u64, given.is_some())
        };
        let change = async {
            runtime::sleep(ms(changed_at)).await;
            most.store(then, Ordering::Relaxed);
        };
        Host::new(1, 0).scope(async { futures::future::join(call, change).await.0 }).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_to_a_peer_that_seemed_far_away_ends_soon_after_that_is_known() {
        assert_eq!(ended(9_000, 6_400, 9_000, 400).await, (6_400, false), "it stays so far away");
        assert_eq!(ended(9_000, 6_400, 650, 400).await, (900, false), "the next look");
        assert_eq!(ended(9_000, 400, 350, 6_400).await, (6_400, false), "farther than it seemed");
        assert_eq!(ended(1_000, 6_400, 9_000, 400).await, (1_000, true));
        assert_eq!(ended(850, 6_400, 650, 400).await, (850, true), "before the look");
    }
}
