//! Which appends a follower is sent that only say what is raft-committed.
//!
//! After every round openraft tells each follower at once how far the log is raft-committed. That
//! is a message, an answer, and the waking of two nodes. Under load the next round follows within
//! less than a millisecond, and its entries say the same. So such an append waits for a moment, and
//! goes only if no entries come meanwhile.
//!
//! Nothing is answered in a follower's place: an append that was left out has no answer. openraft
//! takes the next one's for both, as it does with answers that were lost. That says nothing false:
//! the next one is sent after both were made.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{Stream, StreamExt, stream};
use runtime::Instant;

use super::appends::{Append, Held};

/// The appends of a stream, without those whose news the next one brings within `wait`. While one
/// waits, it is `held`.
///
/// The first of a stream is never left out: it may ask what the follower has.
pub(super) fn without_overtaken(
    appends: impl Stream<Item = Append> + Unpin,
    wait: Duration,
    held: Held,
) -> impl Stream<Item = Append> {
    let alarm = Box::pin(runtime::sleep(Duration::ZERO));
    let begun = Waiting { appends, first: true, alarm };
    stream::unfold((begun, held), move |(mut waiting, held)| async move {
        let append = waiting.next(wait, &held).await?;
        held.store(false, Ordering::Relaxed);
        Some((append, (waiting, held)))
    })
}

/// A stream of appends, and what it takes to wait for the next one.
struct Waiting<S> {
    appends: S,
    /// None has come yet.
    first: bool,
    /// Goes off when there may be nothing left to wait for. It is set anew only when it has gone
    /// off: to set one that is earlier than all others wakes the node, and that in each round.
    alarm: BoxFuture<'static, ()>,
}

impl<S: Stream<Item = Append> + Unpin> Waiting<S> {
    async fn next(&mut self, wait: Duration, held: &Held) -> Option<Append> {
        let mut append = self.appends.next().await?;
        if std::mem::take(&mut self.first) {
            return Some(append);
        }
        let due = Instant::now() + wait;
        held.store(append.entries.is_empty(), Ordering::Relaxed);
        while append.entries.is_empty() {
            tokio::select! {
                biased;
                next = self.appends.next() => match next {
                    Some(next) => append = next,
                    None => break,
                },
                () = self.alarm.as_mut() => {
                    let left = due - Instant::now();
                    if left.is_zero() {
                        break;
                    }
                    self.alarm = Box::pin(runtime::sleep(left));
                }
            }
        }
        Some(append)
    }
}

#[cfg(test)]
mod tests {
    use openraft::EntryPayload;
    use openraft::alias::{EntryOf, LogIdOf, VoteOf};
    use openraft::entry::RaftEntry;
    use openraft::impls::leader_id_std::LeaderId;
    use openraft::raft::AppendEntriesRequest;
    use openraft::vote::{RaftLeaderId, RaftVote};
    use raft_store::TypeConfig;
    use runtime::Host;
    use state_machine::ids::NodeId;

    use super::*;

    const ME: NodeId = 1;
    const WAIT: Duration = Duration::from_millis(5);

    fn id(index: u64) -> LogIdOf<TypeConfig> {
        LogIdOf::<TypeConfig>::new(LeaderId::new(1, ME).to_committed(), index)
    }

    /// An append of so many entries behind `before`, which says that `committed` is committed.
    fn append(before: u64, entries: u64, committed: u64) -> Append {
        let entry = |index| EntryOf::<TypeConfig>::new(id(index), EntryPayload::Blank);
        AppendEntriesRequest {
            vote: VoteOf::<TypeConfig>::from_leader_id(LeaderId::new(1, ME), true),
            prev_log_id: Some(id(before)),
            entries: (before + 1..=before + entries).map(entry).collect(),
            leader_commit: Some(id(committed)),
        }
    }

    /// What is sent of appends that come so many milliseconds after the start: when, behind which
    /// entry, how many entries, and up to where is committed.
    async fn sent(appends: Vec<(u64, Append)>) -> Vec<(u64, u64, usize, u64)> {
        let host = Host::new(1, 0);
        let sent = async {
            let begun = Instant::now();
            let come = stream::iter(appends).then(move |(at, append)| async move {
                runtime::sleep_until(begun + Duration::from_millis(at)).await;
                append
            });
            let index = |id: Option<LogIdOf<TypeConfig>>| id.map_or(0, |id| id.index());
            let told = |append: Append| {
                let at = (Instant::now() - begun).as_millis() as u64;
                let Append { prev_log_id, entries, leader_commit, .. } = append;
                (at, index(prev_log_id), entries.len(), index(leader_commit))
            };
            without_overtaken(Box::pin(come), WAIT, Held::default()).map(told).collect().await
        };
        host.scope(sent).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_commit_goes_with_the_entries_that_follow() {
        let come = vec![(0, append(0, 1, 0)), (1, append(1, 0, 1)), (3, append(1, 2, 1))];
        assert_eq!(sent(come).await, [(0, 0, 1, 0), (3, 1, 2, 1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_commit_that_nothing_follows_goes_by_itself() {
        let come = vec![(0, append(0, 1, 0)), (1, append(1, 0, 1)), (9, append(1, 1, 1))];
        assert_eq!(sent(come).await, [(0, 0, 1, 0), (6, 1, 0, 1), (9, 1, 1, 1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_commit_takes_the_place_of_one_that_waits_and_waits_no_longer() {
        let come = vec![(0, append(0, 2, 0)), (1, append(2, 0, 1)), (4, append(2, 0, 2))];
        let come = come.into_iter().chain([(20, append(2, 1, 2))]).collect();
        assert_eq!(sent(come).await, [(0, 0, 2, 0), (6, 2, 0, 2), (20, 2, 1, 2)]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_of_a_stream_and_the_last_do_not_wait() {
        assert_eq!(sent(vec![(0, append(7, 0, 7))]).await, [(0, 7, 0, 7)]);
        let come = vec![(0, append(0, 1, 0)), (1, append(1, 0, 1))];
        assert_eq!(sent(come).await, [(0, 0, 1, 0), (1, 1, 0, 1)]);
    }
}
