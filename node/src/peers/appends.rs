//! Which appends of a stream are under way, and whose answers openraft is given.
//!
//! openraft notes when it makes an append, and takes each answer for all that it has made up to the
//! same entry. An append without entries, which only says what is raft-committed, ends at the same
//! entry as the one before it. So the answer to that one would count for it too, although it may
//! have been given before it was made; and a read goes by when a quorum has answered. Hence:
//!
//! - Behind an append with entries none is made before it is answered, but behind the first of a
//!   stream: a new leader's first two rounds need not wait for each other.
//! - Behind one without entries the next one is made at once, so that entries do not wait for a
//!   round trip that nobody else waits for.
//! - If that next one has no entries, the answer to the one before it is passed over: its own
//!   counts for both.
//! - One that overtakes the one before it is refused. That is no conflict: openraft would see a log
//!   that has become shorter.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::stream::{self, FuturesOrdered};
use futures::{Stream, StreamExt};
use openraft::alias::LogIdOf;
use openraft::entry::RaftEntry;
use openraft::errors::{NetworkError, RPCError};
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, StreamAppendResult};
use raft_store::TypeConfig;

/// An append.
pub(super) type Append = AppendEntriesRequest<TypeConfig>;

/// Whether an append without entries was made and has not come yet: it waits for entries to go with
/// ([`commits`](super::commits)).
pub(super) type Held = Arc<AtomicBool>;

/// What openraft is told of one append of a stream.
pub(super) type Appended = Result<StreamAppendResult<TypeConfig>, RPCError<TypeConfig>>;

/// What has to be known of an append to tell what became of it.
pub(super) struct Asked {
    before: Option<LogIdOf<TypeConfig>>,
    upto: Option<LogIdOf<TypeConfig>>,
    alone: bool,
}

impl Asked {
    /// `alone`: all appends before it were answered when it was sent.
    pub(super) fn new(append: &Append, alone: bool) -> Self {
        let before = append.prev_log_id;
        let upto = append.entries.last().map(RaftEntry::log_id).or(before);
        Self { before, upto, alone }
    }

    /// What openraft is told of its answer, and whether that ends the stream.
    pub(super) fn told(
        self,
        answer: Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>>,
    ) -> (Appended, bool) {
        match answer {
            Ok(AppendEntriesResponse::Conflict) if !self.alone => {
                let overtaken = NetworkError::from_string("an append overtook the one before it");
                (Err(RPCError::Network(overtaken)), true)
            }
            Ok(response) => {
                // A follower that took only a part is sent the rest anew.
                let whole = match &response {
                    AppendEntriesResponse::PartialSuccess(taken) => *taken == self.upto,
                    _ => true,
                };
                let result = response.into_stream_result(self.before, self.upto);
                let last = result.is_err() || !whole;
                (Ok(result), last)
            }
            Err(error) => (Err(error), true),
        }
    }
}

/// What openraft is given: the answers to appends, in their order. `send` is told whether all
/// before it were answered; it gives an answer, and whether that ends the stream.
pub(super) fn answers<A, F: Future<Output = (A, bool)>>(
    appends: impl Stream<Item = Append> + Unpin,
    held: Held,
    send: impl Fn(Append, bool) -> F,
) -> impl Stream<Item = A> {
    let kinds = VecDeque::new();
    let begun = UnderWay {
        appends,
        held,
        send,
        sent: FuturesOrdered::new(),
        kinds,
        first: true,
        ended: false,
        over: false,
    };
    stream::unfold(begun, |mut under_way| async move {
        let answer = under_way.next().await?;
        Some((answer, under_way))
    })
}

/// See the [module](self).
struct UnderWay<S, M, F: Future> {
    appends: S,
    held: Held,
    send: M,
    sent: FuturesOrdered<F>,
    /// Of those that were sent, whether the next one may be made before they are answered.
    kinds: VecDeque<bool>,
    /// None has come yet.
    first: bool,
    /// No more will come.
    ended: bool,
    /// An answer has ended the stream.
    over: bool,
}

impl<A, S, M, F> UnderWay<S, M, F>
where
    S: Stream<Item = Append> + Unpin,
    M: Fn(Append, bool) -> F,
    F: Future<Output = (A, bool)>,
{
    async fn next(&mut self) -> Option<A> {
        loop {
            if self.over || self.ended && self.sent.is_empty() {
                return None;
            }
            let may_make =
                !self.ended && self.kinds.len() < 2 && self.kinds.iter().all(|bare| *bare);
            tokio::select! {
                biased;
                Some((answer, last)) = self.sent.next(), if !self.sent.is_empty() => {
                    let bare = self.kinds.pop_front() == Some(true);
                    let followed =
                        self.held.load(Ordering::Relaxed) || self.kinds.front() == Some(&true);
                    if bare && followed && !last {
                        continue;
                    }
                    self.over = last;
                    return Some(answer);
                }
                append = self.appends.next(), if may_make => match append {
                    Some(append) => {
                        let first = std::mem::take(&mut self.first);
                        self.kinds.push_back(append.entries.is_empty() || first);
                        let alone = self.sent.is_empty();
                        self.sent.push_back((self.send)(append, alone));
                    }
                    None => self.ended = true,
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use openraft::EntryPayload;
    use openraft::alias::{EntryOf, LogIdOf, VoteOf};
    use openraft::entry::RaftEntry;
    use openraft::impls::leader_id_std::LeaderId;
    use openraft::vote::{RaftLeaderId, RaftVote};
    use state_machine::ids::NodeId;
    use tokio::sync::{mpsc, oneshot};

    use super::*;

    const ME: NodeId = 1;

    /// The answer to the append that says that so much is committed, and whether it is the last.
    type Answer = (u64, bool);

    /// Those that were sent, by what they say is committed, and where their answers go.
    type Sent = Vec<(u64, oneshot::Sender<Answer>)>;

    /// A stream of appends that the test makes, answers, and takes answers from.
    struct Play {
        make: mpsc::UnboundedSender<Append>,
        held: Held,
        sent: Arc<Mutex<Sent>>,
        answers: stream::BoxStream<'static, u64>,
    }

    impl Play {
        fn begin() -> Self {
            let (make, mut made) = mpsc::unbounded_channel();
            let (held, sent) = (Held::default(), Arc::<Mutex<Sent>>::default());
            let appends = stream::poll_fn(move |cx| made.poll_recv(cx));
            let list = sent.clone();
            let send = move |append: Append, _alone| {
                let (sender, answered) = oneshot::channel();
                let number = append.leader_commit.map_or(0, |id| id.index());
                list.lock().expect("no test panics with it").push((number, sender));
                async move { answered.await.expect("it is answered, or not polled again") }
            };
            let answers = answers(appends, held.clone(), send).boxed();
            Self { make, held, sent, answers }
        }

        /// openraft could make an append with so many entries, known by its number.
        fn append(&self, number: u64, entries: u64) {
            let id = |index| LogIdOf::<TypeConfig>::new(LeaderId::new(1, ME).to_committed(), index);
            let entry = |index| EntryOf::<TypeConfig>::new(id(index), EntryPayload::Blank);
            let append = AppendEntriesRequest {
                vote: VoteOf::<TypeConfig>::from_leader_id(LeaderId::new(1, ME), true),
                prev_log_id: Some(id(0)),
                entries: (1..=entries).map(entry).collect(),
                leader_commit: Some(id(number)),
            };
            self.make.send(append).expect("it is taken");
        }

        /// The next answer that openraft is given, if there is one by now.
        async fn given(&mut self) -> Option<u64> {
            futures::future::poll_immediate(self.answers.next()).await.flatten()
        }

        /// Those that were sent and are not answered.
        fn under_way(&self) -> Vec<u64> {
            let sent = self.sent.lock().expect("no test panics with it");
            sent.iter().map(|(number, _)| *number).collect()
        }

        fn answer(&self, number: u64, last: bool) {
            let mut sent = self.sent.lock().expect("no test panics with it");
            let at = sent.iter().position(|(other, _)| *other == number).expect("it was sent");
            sent.remove(at).1.send((number, last)).expect("it is waited for");
        }
    }

    #[tokio::test]
    async fn behind_entries_none_is_made_before_they_are_answered() {
        let mut play = Play::begin();
        (1..=4).for_each(|number| play.append(number, u64::from(number != 3)));
        assert_eq!((play.given().await, play.under_way()), (None, vec![1, 2]), "1 is the first");
        play.answer(1, false);
        assert_eq!(play.given().await, Some(1));
        assert_eq!((play.given().await, play.under_way()), (None, vec![2]));
        play.answer(2, false);
        assert_eq!(play.given().await, Some(2));
        assert_eq!((play.given().await, play.under_way()), (None, vec![3, 4]), "3 has no entries");
        play.append(5, 0);
        play.answer(4, false);
        assert_eq!((play.given().await, play.under_way()), (None, vec![3]), "in their order");
        play.answer(3, false);
        assert_eq!((play.given().await, play.given().await), (Some(3), Some(4)));
        assert_eq!((play.given().await, play.under_way()), (None, vec![5]));
    }

    #[tokio::test]
    async fn regression_an_answer_does_not_count_for_an_append_that_was_made_after_it() {
        let mut play = Play::begin();
        play.append(1, 1);
        play.append(2, 0);
        assert_eq!((play.given().await, play.under_way()), (None, vec![1, 2]), "1 is the first");
        play.answer(1, false);
        assert_eq!(play.given().await, None, "2 may have been made after that answer");
        play.append(3, 0);
        assert_eq!((play.given().await, play.under_way()), (None, vec![2, 3]));
        play.answer(2, false);
        assert_eq!(play.given().await, None, "3 may have been made after that answer");
        play.answer(3, false);
        assert_eq!(play.given().await, Some(3), "which counts for both");
        // The next one is made, and waits for entries to go with.
        play.append(4, 0);
        assert_eq!((play.given().await, play.under_way()), (None, vec![4]));
        play.held.store(true, Ordering::Relaxed);
        play.answer(4, false);
        assert_eq!(play.given().await, None);
    }

    #[tokio::test]
    async fn what_ends_the_stream_is_always_given() {
        let mut play = Play::begin();
        play.append(1, 1);
        assert_eq!(play.given().await, None);
        play.answer(1, false);
        assert_eq!(play.given().await, Some(1));
        play.append(2, 0);
        assert_eq!(play.given().await, None);
        play.append(3, 0);
        assert_eq!((play.given().await, play.under_way()), (None, vec![2, 3]));
        play.answer(2, true);
        assert_eq!(play.given().await, Some(2));
        play.append(4, 1);
        assert_eq!((play.given().await, play.under_way()), (None, vec![3]), "nothing behind it");
    }
}
